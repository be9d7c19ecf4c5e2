//! What files on the boot partition ask of units: written on any computer, with the card in its reader.
//! Text in, wishes and diagnostics out. A line that is wrong counts for nothing, and the others count.

use std::ops::Range;
use std::path::Path;

use ettan_table::is_name;
use toml::de::{DeTable, DeValue};

use crate::asked::{Said, Switch, Variable};
use crate::diagnostic::{Complaint, Diagnostic, Notes, Severity};
use crate::document::{self, Content};
use crate::draft::{boolean, kind_word, odd_variable, text};
use crate::files::{Look, Words, read_unit};
use crate::names::sort_by;
use crate::nearest::nearest;
use crate::reference::shown;
use crate::tree::{Owners, resolve, words};

/// Where the boot partition is mounted, on newer systems and older ones, and where its files are while
/// it is not. The first that is there counts.
const DIRECTORIES: [&str; 3] = ["/boot/firmware/ettan", "/boot/ettan", "/run/ettan/boot"];

/// The most files: one is enough.
const MAX_FILES: usize = 64;
/// The most variables of all files, a quarter of what a unit may have.
const MAX_VARIABLES: usize = 64;

const KEYS: [&str; 3] = ["rescue", "units", "environment"];

/// All that the files ask for, the last word of each last.
#[derive(Default)]
pub(crate) struct Overrides {
    pub(crate) switches: Vec<Switch>,
    pub(crate) rescue: Option<Said>,
    pub(crate) variables: Vec<Variable>,
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Reads the files of the boot partition, in the order of their names.
pub(crate) fn read(root: &Path) -> Overrides {
    let mut overrides = Overrides::default();
    let directories = DIRECTORIES.iter().filter_map(|inside| {
        let path = resolve(root, Path::new(inside)).ok()?;
        path.is_dir().then_some((*inside, path))
    });
    let Some((inside, path)) = directories.into_iter().next() else { return overrides };
    let owners = Owners::of(root);
    let files = match list(&path, &owners) {
        Ok(files) => files,
        Err(words) => {
            overrides.say(inside, words);
            return overrides;
        }
    };
    if files.len() > MAX_FILES {
        let message = format!("only the first {MAX_FILES} files are read");
        overrides.say(inside, (message, None));
    }
    for name in files.iter().take(MAX_FILES) {
        let file = format!("{inside}/{}", name.escape_debug());
        match read_unit(&path.join(name), false, Some(&owners)) {
            Ok(Look::Unit(bytes)) => overrides.file(file, bytes),
            Ok(Look::Masked) => {}
            Err(words) => overrides.say(&file, words),
        }
    }
    overrides
}

/// One file by itself: how many wishes it has, and what is wrong with it.
#[must_use]
pub fn read_override(file: &str, bytes: Vec<u8>) -> (usize, Vec<Diagnostic>) {
    let mut overrides = Overrides::default();
    overrides.file(file.to_owned(), bytes);
    let Overrides { switches, rescue, variables, diagnostics } = overrides;
    let wishes = switches.len().saturating_add(variables.len());
    (wishes.saturating_add(usize::from(rescue.is_some())), diagnostics)
}

/// The names that count, those that differ in upper and lower case only side by side.
fn list(path: &Path, owners: &Owners) -> Result<Vec<String>, Words> {
    let failed = |error: std::io::Error| (format!("cannot be read: {}", words(&error)), None);
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if let Some((message, hint)) = owners.distrust("the directory", &metadata) {
        return Err((format!("{message}: no file in it is used"), Some(hint)));
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.to_str().filter(|name| is_override(name)).map(str::to_owned));
    }
    sort_by(&mut names, |a, b| (a.to_ascii_lowercase(), a).cmp(&(b.to_ascii_lowercase(), b)));
    Ok(names)
}

/// Whether a file of the boot partition's folder is read: `X.toml` in whatever case, also as old FAT and
/// Windows' editors make of it. What begins with a dot is what other systems leave behind.
#[must_use]
pub fn is_override(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    !name.starts_with('.') && [".toml", ".tom", ".toml.txt"].iter().any(|end| lower.ends_with(end))
}

impl Overrides {
    fn say(&mut self, file: &str, (message, hint): Words) {
        let (unit, place) = (None, None);
        let (severity, file) = (Severity::Error, file.to_owned());
        self.diagnostics.push(Diagnostic { severity, unit, file, place, message, hint });
    }

    fn file(&mut self, name: String, bytes: Vec<u8>) {
        let mut notes = document::open("", Content { name, bytes }, Vec::new());
        document::each(&mut notes, &mut |table, notes| self.walk(table, notes));
        let said = notes.finish();
        // The text is of no one unit.
        let of_all = |diagnostic| Diagnostic { unit: None, ..diagnostic };
        self.diagnostics.extend(said.into_iter().map(of_all));
    }

    fn walk(&mut self, table: &DeTable<'_>, notes: &mut Notes) {
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            match (name, value.get_ref()) {
                _ if notes.is_garbled(&key.span()) => {}
                ("rescue", wish) => {
                    if let Some(wish) = notes.take(&value.span(), boolean(wish)) {
                        let said = said(notes, &key.span(), format!("`rescue = {wish}`"));
                        self.rescue = Some(said).filter(|_| wish);
                    }
                }
                ("units", DeValue::Table(table)) => self.units(table, notes),
                ("environment", DeValue::Table(table)) => self.environment(table, notes),
                ("units" | "environment", other) => {
                    let message = format!("`{name}` is a table, not {}", kind_word(other));
                    notes.error_with(
                        &key.span(),
                        message,
                        format!("[{name}] on a line of its own"),
                    );
                }
                (_, DeValue::Table(_)) if name.starts_with("x-") => {}
                _ => {
                    let message = format!("unknown key `{}`", shown(name));
                    match nearest(&name.to_ascii_lowercase(), KEYS) {
                        Some(near) => {
                            notes.error_with(
                                &key.span(),
                                message,
                                format!("did you mean `{near}`?"),
                            );
                        }
                        None => notes.error_with(&key.span(), message, KEYS.join(", ")),
                    }
                }
            }
        }
    }

    fn units(&mut self, table: &DeTable<'_>, notes: &mut Notes) {
        for (key, value) in table.iter() {
            let unit = key.get_ref().as_ref();
            if notes.is_garbled(&key.span()) || !names_a_unit(unit, &key.span(), notes) {
                continue;
            }
            let Some(on) = notes.take(&value.span(), switch(value.get_ref())) else { continue };
            let words = format!("`{unit} = \"{}\"`", if on { "on" } else { "off" });
            let said = said(notes, &key.span(), words);
            self.switches.push(Switch { unit: unit.to_owned(), on, said });
        }
    }

    fn environment(&mut self, table: &DeTable<'_>, notes: &mut Notes) {
        for (key, value) in table.iter() {
            let (name, place) = (key.get_ref().as_ref(), key.span());
            let DeValue::Table(own) = value.get_ref() else {
                self.variable(None, name, &place, value.get_ref(), notes);
                continue;
            };
            if notes.is_garbled(&place) || !names_a_unit(name, &place, notes) {
                continue;
            }
            for (key, value) in own.iter() {
                self.variable(Some(name), key.get_ref(), &key.span(), value.get_ref(), notes);
            }
        }
    }

    /// The values are nobody's business but the unit's: they are not shown.
    fn variable(
        &mut self,
        unit: Option<&str>,
        name: &str,
        place: &Range<usize>,
        value: &DeValue<'_>,
        notes: &mut Notes,
    ) {
        if notes.is_garbled(place) {
            return;
        }
        if let Some(message) = odd_variable(name) {
            return notes.error(place, message);
        }
        if self.variables.len() >= MAX_VARIABLES {
            return notes.error(place, format!("more than {MAX_VARIABLES} variables"));
        }
        let value = text(value)
            .map_err(|complaint| complaint.hint("every variable is text: put it in quotes"));
        let Some(value) = notes.take(place, value) else { return };
        let said = said(notes, place, format!("`{name}`"));
        let (unit, name) = (unit.map(str::to_owned), name.to_owned());
        self.variables.push(Variable { unit, name, value, said });
    }
}

fn said(notes: &Notes, place: &Range<usize>, words: String) -> Said {
    let source = &notes.source;
    Said { file: source.file.clone(), place: Some(source.place(place)), words }
}

fn names_a_unit(name: &str, place: &Range<usize>, notes: &mut Notes) -> bool {
    if !is_name(name) {
        let message = format!("`{}` cannot be a unit's name", shown(name));
        notes.error_with(place, message, "1 to 64 letters, digits and `:_.@-`");
    }
    is_name(name)
}

/// On or off, as people write it.
fn switch(value: &DeValue<'_>) -> Result<bool, Complaint> {
    match value {
        DeValue::Boolean(on) => Ok(*on),
        DeValue::String(word) if word.eq_ignore_ascii_case("on") => Ok(true),
        DeValue::String(word) if word.eq_ignore_ascii_case("off") => Ok(false),
        DeValue::Table(_) => Err(Complaint::new("a table is not \"on\" or \"off\"")
            .hint("a name with a dot in it stands in quotes")),
        DeValue::String(word) => {
            Err(Complaint::new(format!("`{}` is not \"on\" or \"off\"", shown(word))))
        }
        other => Err(Complaint::new(format!("{} is not \"on\" or \"off\"", kind_word(other)))),
    }
}
