//! One file, many units: which instances a file asks for and what they are called, whom the file's
//! name means, and what is told once instead of once for each of them.

use ettan_table::is_name;

use crate::compile::World;
use crate::diagnostic::{Complaint, Diagnostic, Notes, Severity};
use crate::draft::{At, Draft, Item, Type, at, text};
use crate::extras::whole;
use crate::files::{Absent, MAX_FOUND, Search, odd_name};
use crate::former::Former;
use crate::graph::{Absentees, Units};
use crate::names::Names;
use crate::reference::{Target, shown};
use crate::specifier::Specifiers;

/// The most instances of one file: an eighth of all units there can be.
const MAX_INSTANCES: u16 = 128;

/// What instances are called when the file does not say.
const USUAL_NAME: &str = "%p_%02i";

pub(crate) fn instances(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let count = whole(item.value, 1, i64::from(MAX_INSTANCES))
        .and_then(|count| u16::try_from(count).map_err(|_| Complaint::new("out of range")));
    draft.instances = at(item, notes.take(&item.span, count));
}

pub(crate) fn instance_name(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.instance_name = at(item, notes.take(&item.span, text(item.value)));
}

/// One of the units that a file makes.
pub(crate) struct Instance {
    pub(crate) name: String,
    /// What `%i` stands for.
    pub(crate) number: String,
}

/// What else there is beside a file: its instances have to find names and room there.
pub(crate) struct Others {
    /// Names that are taken, and by what.
    taken: Names<String>,
    /// Names that stand for nothing, and whether an instance would have one.
    masked: Names<bool>,
    /// How many units there is room for.
    pub(crate) room: usize,
}

impl Others {
    pub(crate) fn of(search: &Search) -> Self {
        let (mut taken, mut masked) = (Names::default(), Names::default());
        for found in search.found.values() {
            taken.insert(&found.name, format!("the unit in {}", found.file));
        }
        for (name, absent) in search.absent.names().zip(search.absent.values()) {
            match absent {
                Absent::Refused => taken.insert_new(name, "a unit that is refused".to_string()),
                Absent::Masked => masked.insert(name, false),
            }
        }
        Self { taken, masked, room: MAX_FOUND }
    }

    /// A file has these instances now.
    pub(crate) fn add<'a>(&mut self, file: &str, names: impl Iterator<Item = &'a str>) {
        for name in names {
            self.taken.insert_new(name, format!("an instance of `{file}`"));
        }
    }

    /// Whether the name is masked, and an instance would have it.
    pub(crate) fn masks(&self, name: &str) -> bool {
        self.masked.get(name).is_some_and(|is_met| *is_met)
    }

    /// Why no instance of `file` can have this name.
    fn odd(&self, file: &str, name: &str) -> Option<Complaint> {
        if !is_name(name) {
            let message = format!("`{}` cannot be a unit's name", shown(name));
            return Some(Complaint::new(message).hint("1 to 64 letters, digits and `:_.-`"));
        }
        if name.contains('@') {
            let message = format!("`{name}` would be an instance of a template");
            return Some(Complaint::new(message).hint("another character than `@`"));
        }
        if odd_name(name).is_some() {
            let message = format!("`{name}` is a name of Ettan's own, or of a condition");
            return Some(Complaint::new(message));
        }
        let taken = self.taken.get(name)?;
        let message = match name == file {
            true => format!("`{name}` means all instances, and one of them would have that name"),
            false => format!("an instance of `{file}` has the name of {taken}: `{name}`"),
        };
        Some(Complaint::new(message).hint("`instance-name` says what they are called"))
    }
}

/// The instances that the file called `file` asks for; None where it is a unit by itself, or wrong.
pub(crate) fn of(
    file: &str,
    draft: &Draft,
    world: &World<'_>,
    others: &mut Others,
    notes: &mut Notes,
) -> Option<Vec<Instance>> {
    let Some(count) = &draft.instances else {
        if let Some(pattern) = &draft.instance_name {
            let hint = "`instances` says how many there are";
            notes.warning(&pattern.span, "has no effect: there is only one", hint);
        }
        return None;
    };
    // It executes nothing, which is told elsewhere.
    if draft.kind == Some(Type::Target) {
        return None;
    }
    if file.contains('@') {
        let message = format!("`instances` in `{file}`, which is of a template");
        notes.error_with(&count.span, message, "links say which instances a template has");
        return None;
    }
    let pattern = draft.instance_name.as_ref();
    let span = pattern.map_or(&count.span, |pattern| &pattern.span);
    let pattern = pattern.map_or(USUAL_NAME, |pattern| pattern.value.as_str());
    let named = |number: u16| -> Result<Instance, Complaint> {
        let number = number.to_string();
        let specifiers =
            Specifiers { unit: file, prefix: file, instance: Some(&number), host: world.host() };
        let name = specifiers.expand(pattern)?;
        Ok(Instance { name, number })
    };
    let first = notes.take(span, named(0))?;
    if notes.take(span, named(1))?.name == first.name {
        let message = format!("every instance would be called `{}`", shown(&first.name));
        notes.error_with(span, message, "`%i`, or `%02i`, stands for the number of each");
        return None;
    }
    if count.value == 1 {
        return None;
    }
    if usize::from(count.value) > others.room {
        let message = format!("there is room for {} more units", others.room);
        notes.error_with(&count.span, message, format!("at most {MAX_FOUND} units in all files"));
        return None;
    }
    let mut list = Vec::new();
    for number in 0..count.value {
        let instance = notes.take(span, named(number))?;
        if let Some(complaint) = others.odd(file, &instance.name) {
            notes.take::<()>(span, Err(complaint));
            return None;
        }
        match others.masked.get_mut(&instance.name) {
            Some(is_met) => *is_met = true,
            None => list.push(instance),
        }
    }
    Some(list)
}

/// Names of files that have instances, each with those.
#[derive(Default)]
pub struct Groups {
    members: Names<Vec<String>>,
    /// The file of each instance.
    files: Names<String>,
}

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.members.names()).finish()
    }
}

impl Groups {
    pub(crate) fn add(&mut self, file: &str, instance: &str) {
        self.files.insert(instance, file.to_string());
        self.members.insert_new(file, Vec::new());
        if let Some(members) = self.members.get_mut(file) {
            members.push(instance.to_string());
        }
    }

    /// The instances of a file; None where the name is no such file's.
    pub(crate) fn members(&self, file: &str) -> Option<&[String]> {
        self.members.get(file).map(Vec::as_slice)
    }

    /// Instances whose file is refused stay as they were, and its name means them.
    pub(crate) fn keep(&mut self, former: &Former<'_>, absent: &mut Absentees) {
        for (name, file) in former.instances() {
            if absent.get(file) == Some(&Absent::Refused) {
                absent.insert_new(name, Absent::Refused);
                self.add(file, name);
            }
        }
    }

    /// Former units that are one less of what a file asks for now: neither in `units` nor kept.
    pub(crate) fn ended(
        &self,
        former: &Former<'_>,
        units: &Units,
        absent: &Absentees,
    ) -> Vec<String> {
        let gone = |name: &str| !units.contains(name) && absent.get(name) != Some(&Absent::Refused);
        let is_file = |name: &str| self.members.contains(name) || units.contains(name);
        let fewer = former.instances().filter(|(name, file)| gone(name) && is_file(file));
        let split = former.names().filter(|name| gone(name) && self.members.contains(name));
        fewer.map(|(name, _)| name).chain(split).map(str::to_string).collect()
    }

    /// Puts the instances in place of their file's name, wherever a unit names it. An instance that
    /// names its own file names itself, as the file does.
    pub(crate) fn spread(&self, units: &mut Units) {
        if self.members.len() == 0 {
            return;
        }
        for unit in units.values_mut() {
            let own = (unit.unit.name.as_str(), unit.group.as_deref());
            for list in [&mut unit.after, &mut unit.binds_to] {
                self.replace(list, own, Target::Unit, |target| match target {
                    Target::Unit(name) => Some(name),
                    Target::Condition(_) => None,
                });
            }
            for list in [
                &mut unit.before,
                &mut unit.wants,
                &mut unit.requires,
                &mut unit.part_of,
                &mut unit.conflicts,
                &mut unit.on_failure,
            ] {
                self.replace(list, own, |name| name, |name| Some(name));
            }
        }
    }

    fn replace<T>(
        &self,
        list: &mut Vec<At<T>>,
        (own, file): (&str, Option<&str>),
        make: fn(String) -> T,
        name: for<'a> fn(&'a T) -> Option<&'a String>,
    ) {
        for At { span, value } in std::mem::take(list) {
            let named = name(&value).and_then(|name| Some((name.as_str(), self.members(name)?)));
            match named {
                None => list.push(At { span, value }),
                Some((name, _)) if file == Some(name) => {
                    list.push(At { span, value: make(own.to_string()) });
                }
                Some((_, members)) => list.extend(
                    members.iter().map(|name| At { span: span.clone(), value: make(name.clone()) }),
                ),
            }
        }
    }

    /// `text` with the file's name in place of that of each instance.
    fn in_general(&self, text: &str) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || ":_.@-".contains(c);
        let mut out = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (word, tail) =
                rest.split_at(rest.find(|c: char| !is_part(c)).unwrap_or(rest.len()));
            let (mark, tail) = tail.split_at(tail.find(is_part).unwrap_or(tail.len()));
            // The end of a clause is no part of a name.
            let name = word.trim_end_matches([':', '.']);
            match self.files.get(name) {
                Some(file) => {
                    out.push_str(file);
                    out.push_str(word.get(name.len()..).unwrap_or(""));
                }
                None => out.push_str(word),
            }
            out.push_str(mark);
            rest = tail;
        }
        out
    }
}

/// Tells once, of the file, what is said alike of several of its instances.
pub fn fold<T>(list: &mut Vec<T>, groups: &Groups, diagnostic: impl Fn(&mut T) -> &mut Diagnostic) {
    if groups.members.len() == 0 {
        return;
    }
    // By what is said: where it was said first, and whether it was said again.
    let mut said: Names<(usize, bool)> = Names::default();
    let mut general = Vec::new();
    let mut again = Vec::new();
    for (place, item) in list.iter_mut().enumerate() {
        let own = in_general(diagnostic(item), groups);
        let key = key(&own);
        let first = said.get_mut(&key).map(|(_, is_again)| *is_again = true);
        again.push(first.is_some());
        said.insert_new(&key, (place, false));
        general.push(own);
    }
    for (place, is_again) in said.values() {
        if let (Some(item), Some(own), true) =
            (list.get_mut(*place), general.get_mut(*place), *is_again)
        {
            std::mem::swap(diagnostic(item), own);
        }
    }
    let mut again = again.into_iter();
    list.retain(|_| !again.next().unwrap_or_default());
}

fn in_general(diagnostic: &Diagnostic, groups: &Groups) -> Diagnostic {
    let unit = diagnostic.unit.as_ref();
    Diagnostic {
        unit: unit.map(|unit| groups.files.get(unit).unwrap_or(unit).clone()),
        message: groups.in_general(&diagnostic.message),
        hint: diagnostic.hint.as_ref().map(|hint| groups.in_general(hint)),
        ..diagnostic.clone()
    }
}

/// Two diagnostics with the same key say the same of the same place.
fn key(diagnostic: &Diagnostic) -> String {
    let Diagnostic { severity, unit, file, place, message, hint } = diagnostic;
    let place = place.as_ref().map_or((0, 0), |place| (place.line, place.column));
    let severity = match severity {
        Severity::Error => 0,
        Severity::Warning => 1,
        Severity::Note => 2,
    };
    let (unit, hint) = (unit.as_deref().unwrap_or(""), hint.as_deref().unwrap_or(""));
    format!("{file}\0{place:?}\0{severity}\0{unit}\0{message}\0{hint}")
}
