//! What is asked of units for one boot from outside of their files: by the kernel's command line, and
//! by files on the boot partition (`overrides`). Which are off or on, what is in their environment,
//! whether any starts at all, and the words that conditions may name.

use std::path::Path;

use ettan_table::is_name;

use crate::diagnostic::{Diagnostic, Place, Severity};
use crate::files::{Absent, Search, template_of};
use crate::overrides::{self, Overrides};
use crate::specifier::Specifiers;

/// Where the kernel's command line is read.
const COMMAND_LINE: &str = "/proc/cmdline";
/// The terminals that the kernel writes to, below a root; the last is /dev/console.
const CONSOLES: &str = "sys/class/tty/console/active";

/// The words that concern units.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// One for each unit that is to be off or on.
    pub(crate) switches: Vec<Switch>,
    /// What is set for units, whatever their files say.
    pub(crate) variables: Vec<Variable>,
    /// Nothing starts by itself but what is on.
    pub(crate) rescue: Option<Said>,
    /// All words, on the machine that the units are for; None elsewhere, where nothing is skipped.
    pub(crate) words: Option<Vec<String>>,
    /// What is wrong with the files.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// A unit that is to be off, as if it were masked, or on, as if it were enabled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) unit: String,
    pub(crate) on: bool,
    pub(crate) said: Said,
}

/// A variable of one unit, or of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) unit: Option<String>,
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) said: Said,
}

/// Where something is asked for, and in which words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) file: String,
    pub(crate) place: Option<Place>,
    pub(crate) words: String,
}

impl Said {
    fn by_the_kernel(words: String) -> Self {
        Self { file: COMMAND_LINE.into(), place: None, words }
    }

    /// What it led to.
    pub(crate) fn told(&self, severity: Severity, unit: Option<&str>, outcome: &str) -> Diagnostic {
        Diagnostic {
            severity,
            unit: unit.map(str::to_owned),
            file: self.file.clone(),
            place: self.place.clone(),
            message: format!("{}: {outcome}", self.words),
            hint: None,
        }
    }
}

impl Switch {
    /// Of one that nothing in the directories is called after.
    pub(crate) fn of_a_stranger(&self, is_there: bool) -> Diagnostic {
        let outcome = if is_there { MASKED } else { NOBODY };
        self.said.told(Severity::Warning, Some(&self.unit), outcome)
    }
}

const MASKED: &str = "it is masked for this boot";
const NOBODY: &str = "there is no such unit";

impl Asked {
    /// Reads the kernel's command line of this machine; in a container it is somebody else's, and
    /// empty here. What follows `--` is init's, and is passed over.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        let mut asked = Self::default();
        let mut all = Vec::new();
        let words = line.split(u8::is_ascii_whitespace).take_while(|word| *word != b"--");
        for word in words.filter_map(|word| core::str::from_utf8(word).ok()) {
            let unit = word.strip_prefix("ettan.unit.").and_then(|rest| rest.strip_suffix("=off"));
            let said = || Said::by_the_kernel(format!("`{word}`"));
            if word == "single" {
                asked.rescue = Some(said());
            }
            if let Some(unit) = unit.filter(|unit| is_name(unit)) {
                asked.put(Switch { unit: unit.to_owned(), on: false, said: said() });
            }
            all.push(word.to_owned());
        }
        asked.words = Some(all);
        asked
    }

    /// As well as what the boot partition says. Of both the kernel's command line counts.
    #[must_use]
    pub fn with_files(mut self, root: &Path) -> Self {
        let Overrides { switches, rescue, variables, diagnostics } = overrides::read(root);
        for switch in switches.into_iter().chain(core::mem::take(&mut self.switches)) {
            self.put(switch);
        }
        self.rescue = self.rescue.or(rescue);
        self.variables = variables;
        self.diagnostics = diagnostics;
        self
    }

    /// The last word about a unit counts.
    fn put(&mut self, switch: Switch) {
        self.switches.retain(|other| other.unit != switch.unit);
        self.switches.push(switch);
    }

    /// The units that are to be on, masked or not.
    pub(crate) fn on(&self) -> Vec<String> {
        let on = self.switches.iter().filter(|switch| switch.on);
        on.map(|switch| switch.unit.clone()).collect()
    }

    /// Whether a shell has the console: in a rescue, unless a login on that terminal is on.
    pub(crate) fn wants_shell(&self, root: &Path) -> bool {
        let consoles = std::fs::read_to_string(root.join(CONSOLES)).unwrap_or_default();
        let console = match consoles.split_whitespace().next_back() {
            Some("tty0") => "tty1",
            Some(name) => name,
            None => "",
        };
        let terminal = |unit: &str| unit.split_once('@').map(|(_, terminal)| terminal.to_owned());
        let is_taken =
            self.on().iter().any(|unit| terminal(unit).is_some_and(|name| name == console));
        self.rescue.is_some() && !is_taken
    }

    /// What became of what is asked, once it is known which names there are.
    pub(crate) fn tell(&self, known: &dyn Fn(&str) -> bool) -> Vec<Diagnostic> {
        let mut list = self.diagnostics.clone();
        for Variable { unit, said, .. } in &self.variables {
            let (severity, outcome) = match unit.as_deref() {
                Some(unit) if !known(unit) => (Severity::Warning, NOBODY.to_owned()),
                Some(unit) => (Severity::Note, format!("set for {unit}")),
                None => (Severity::Note, "set for every unit".to_owned()),
            };
            list.push(said.told(severity, unit.as_deref(), &outcome));
        }
        list
    }

    /// What a unit finds in its environment, after what its file says.
    pub(crate) fn variables_of(&self, who: &Specifiers<'_>) -> impl Iterator<Item = &Variable> {
        let template = template_of(who.unit);
        let file = who.instance.map(|_| who.prefix);
        self.variables.iter().filter(move |variable| match variable.unit.as_deref() {
            None => true,
            Some(unit) => {
                unit == who.unit || Some(unit) == file || Some(unit) == template.as_deref()
            }
        })
    }
}

impl Search {
    /// Takes units out or lets them start, as it is asked.
    pub(crate) fn obey(&mut self, asked: &Asked) {
        if let Some(said) = &asked.rescue {
            for found in self.found.values_mut().filter(|found| found.autostart) {
                found.autostart = false;
                self.resting.push(found.name.clone());
            }
            let outcome = match asked.switches.iter().any(|switch| switch.on) {
                true => {
                    "no unit starts by itself in this boot but those that are on, and what they need"
                }
                false => "no unit starts by itself in this boot",
            };
            let hint = Some("`ettan start NAME` starts one".to_owned());
            let told = said.told(Severity::Warning, None, outcome);
            self.diagnostics.push(Diagnostic { hint, ..told });
        }
        for switch in &asked.switches {
            let unit = switch.unit.as_str();
            let outcome = if switch.on { self.turn_on(unit) } else { self.turn_off(unit) };
            match outcome {
                Some(text) => {
                    let told = switch.said.told(Severity::Warning, Some(unit), text);
                    self.diagnostics.push(told);
                }
                None => self.strangers.push(switch.clone()),
            }
        }
    }

    fn turn_off(&mut self, unit: &str) -> Option<&'static str> {
        let known = self.found.contains(unit)
            || template_of(unit).is_some_and(|template| self.templates.contains(&template));
        self.found.remove(unit);
        self.absent.insert(unit, Absent::Masked);
        known.then_some(MASKED)
    }

    fn turn_on(&mut self, unit: &str) -> Option<&'static str> {
        if let Some(Absent::Refused) = self.absent.get(unit) {
            return Some("it cannot start, its file is refused");
        }
        if !self.found.contains(unit) {
            let made = self.instance(unit)?;
            self.found.insert(unit, made);
        }
        self.found.get_mut(unit)?.autostart = true;
        Some("it starts in this boot")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_before_two_dashes_count() {
        let of = |line: &[u8]| {
            let asked = Asked::of(line);
            let off: Vec<_> = asked.switches.iter().map(|switch| switch.unit.clone()).collect();
            (off.join(" "), asked.rescue.is_some())
        };
        let line = b"root=/dev/sda ettan.unit.web=off quiet ettan.unit.getty@tty1=off -- single";
        assert_eq!(of(line), ("web getty@tty1".to_owned(), false));
        assert_eq!(of(b"single\n"), (String::new(), true));
        for other in [
            &b""[..],
            b"singles xsingle single=1",
            b"ettan.unit.=off ettan.unit.web=on ettan.unit.web ettan.unit.a/b=off",
            b"ettan.unit.\xff=off xettan.unit.web=off ettan.unit.web=offs",
        ] {
            assert_eq!(of(other), (String::new(), false), "{}", other.escape_ascii());
        }
    }
}
