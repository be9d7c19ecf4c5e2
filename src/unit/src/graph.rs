//! All units together: names to units, `before` turned around, cycles, what two units cannot
//! share.

use std::path::Path;

use ettan_core::order::{self, Graph, Link};
use ettan_core::{MAX_CONDITIONS, MAX_NEEDS};
use ettan_table::write::{Entry, EntryNeed, EntryNeedKind};

use crate::compile::Compiled;
use crate::diagnostic::{Diagnostic, Severity};
use crate::draft::At;
use crate::files::Absent;
use crate::former::{self, Former, Kept};
use crate::names::{Names, sort_by};
use crate::nearest;
use crate::reference::Target;

/// The units by name; only those that stay.
pub(crate) type Units = Names<Compiled>;
/// Names without a usable unit.
pub(crate) type Absentees = Names<Absent>;

/// Refuses units that cannot be loaded together, before anything refers to them.
pub(crate) fn refuse(
    units: &mut Units,
    absent: &mut Absentees,
    former: &Former<'_>,
    root: &Path,
) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    let mut said = too_many_needs(units);
    loop {
        for name in said.iter().filter_map(|diagnostic| diagnostic.unit.as_ref()) {
            units.remove(name);
            absent.insert(name, Absent::Refused);
        }
        diagnostics.append(&mut said);
        // What is kept for a refused unit may in turn be at odds with another.
        said = shared_pid_files(units, &former.kept(absent, 0), root);
        if said.is_empty() {
            return diagnostics;
        }
    }
}

/// A unit that has a PID file, and where it says so; a kept unit has no such place.
struct User<'a> {
    name: &'a str,
    place: Option<(&'a Compiled, &'a At<String>)>,
}

fn users_by_pid_file<'a>(units: &'a Units, kept: &'a Kept, root: &Path) -> Names<Vec<User<'a>>> {
    let mut by_file: Names<Vec<User<'a>>> = Names::default();
    let mut add = |path: &str, user| {
        by_file.insert_new(path, Vec::new());
        if let Some(users) = by_file.get_mut(path) {
            users.push(user);
        }
    };
    for unit in units.values() {
        if let Some(path) = &unit.pid_file {
            add(&path.value, User { name: &unit.unit.name, place: Some((unit, path)) });
        }
    }
    for entry in kept.values() {
        if let Some(path) = former::pid_file(root, entry) {
            add(&path, User { name: &entry.unit.name, place: None });
        }
    }
    by_file
}

/// Two daemons cannot be told apart by one PID file (`faults.md` 2.20).
fn shared_pid_files(units: &Units, kept: &Kept, root: &Path) -> Vec<Diagnostic> {
    let by_file = users_by_pid_file(units, kept, root);
    let mut diagnostics = Vec::new();
    for users in by_file.values().filter(|users| users.len() > 1) {
        for User { name: own, place } in users {
            let Some((unit, path)) = place else { continue };
            let names = users.iter().map(|user| user.name);
            let others = names.filter(|name| name != own).map(|name| format!("`{name}`"));
            let others = others.collect::<Vec<_>>().join(", ");
            let message = format!("the same PID file as that of {others}: all of them are refused");
            let hint = Some("each daemon writes a file of its own".to_string());
            let severity = Severity::Error;
            diagnostics.push(unit.source.diagnostic(severity, &path.span, message, hint));
        }
    }
    diagnostics
}

/// What PID 1 has no room for is refused here, with a message, and not there.
fn too_many_needs(units: &Units) -> Vec<Diagnostic> {
    let mut conditions: Names<()> = Names::default();
    let mut needs = 0_usize;
    let mut diagnostics = Vec::new();
    for unit in units.values() {
        let own = unit.after.iter().filter_map(|at| match &at.value {
            Target::Condition(name) => Some((name.as_str(), at)),
            Target::Unit(_) => None,
        });
        let new = own.filter(|(name, _)| !conditions.contains(name)).collect::<Vec<_>>();
        let lists = [unit.after.len(), unit.before.len(), unit.wants.len(), unit.requires.len()];
        let more = needs.saturating_add(lists.iter().sum());
        let (what, most) = if conditions.len().saturating_add(new.len()) > MAX_CONDITIONS {
            ("conditions", MAX_CONDITIONS)
        } else if more > MAX_NEEDS {
            ("dependencies", MAX_NEEDS)
        } else {
            needs = more;
            new.iter().for_each(|(name, _)| conditions.insert(name, ()));
            continue;
        };
        let span = new.first().map_or(0..0, |(_, at)| at.span.clone());
        let message = format!("more than {most} {what} in all units together: refused");
        diagnostics.push(unit.source.diagnostic(Severity::Error, &span, message, None));
    }
    diagnostics
}

/// The needs of every unit, in the order of the names, and what is odd about them.
pub(crate) fn relate(
    units: &Units,
    absent: &Absentees,
    former: &Former<'_>,
    kept: &Kept,
) -> (Vec<Entry>, Vec<Diagnostic>) {
    let (needs, diagnostics) = (Names::default(), Vec::new());
    let mut relating = Relating { units, absent, kept, needs, diagnostics };
    for unit in units.values() {
        relating.unit(unit);
    }
    let Relating { mut needs, mut diagnostics, .. } = relating;
    let entry = |unit: &Compiled| Entry {
        unit: unit.unit.clone(),
        description: unit.description.clone(),
        needs: former.order(&unit.unit.name, kept),
        launch: unit.launch.clone(),
    };
    let mut entries: Vec<Entry> = units.values().map(entry).collect();
    entries.extend(kept.values().cloned());
    sort_by(&mut entries, |a, b| a.unit.name.cmp(&b.unit.name));
    for entry in &mut entries {
        entry.needs.extend(needs.remove(entry.unit.name.as_str()).unwrap_or_default());
        sort_by(&mut entry.needs, EntryNeed::cmp);
        entry.needs.dedup();
    }
    diagnostics.extend(cycles(units, &entries));
    (entries, diagnostics)
}

struct Relating<'a> {
    units: &'a Units,
    absent: &'a Absentees,
    kept: &'a Kept,
    needs: Names<Vec<EntryNeed>>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Relating<'a> {
    fn unit(&mut self, unit: &'a Compiled) {
        let name = unit.unit.name.as_str();
        for at in &unit.after {
            match &at.value {
                Target::Condition(condition) => self.condition(unit, at, condition),
                Target::Unit(other) => {
                    self.other(unit, at, other, EntryNeedKind::After);
                }
            }
        }
        for at in &unit.before {
            let (kind, other) = (EntryNeedKind::After, &at.value);
            if self.is_there(unit, at, other, kind) {
                self.need(other, kind, name, false);
            }
        }
        for at in &unit.wants {
            self.other(unit, at, &at.value, EntryNeedKind::Wants);
        }
        for at in &unit.requires {
            self.other(unit, at, &at.value, EntryNeedKind::Requires);
        }
    }

    fn condition<T>(&mut self, unit: &'a Compiled, at: &At<T>, condition: &str) {
        let name = unit.unit.name.as_str();
        if condition == name {
            let message = format!("`{name}` waits for the condition of its own name");
            let hint = "a unit of that name is the one that brings it about";
            self.warn(unit, at, message, Some(hint.into()));
        }
        self.need(name, EntryNeedKind::After, condition, true);
    }

    /// A need of another unit, there or not; PID 1 knows what a missing one means.
    fn other<T>(&mut self, unit: &'a Compiled, at: &At<T>, other: &str, kind: EntryNeedKind) {
        let name = unit.unit.name.as_str();
        self.is_there(unit, at, other, kind);
        if other != name {
            self.need(name, kind, other, false);
        }
    }

    fn need(&mut self, of: &str, kind: EntryNeedKind, name: &str, condition: bool) {
        let need = EntryNeed { kind, name: name.to_string(), condition };
        self.needs.insert_new(of, Vec::new());
        if let Some(needs) = self.needs.get_mut(of) {
            needs.push(need);
        }
    }

    /// Whether `other` is there, and another unit than `unit`; says so when not.
    fn is_there<T>(
        &mut self,
        unit: &Compiled,
        at: &At<T>,
        other: &str,
        kind: EntryNeedKind,
    ) -> bool {
        let own = unit.unit.name.as_str();
        if other == own {
            // It would wait for ever.
            self.warn(unit, at, format!("`{own}` depends on itself: ignored"), None);
            return false;
        }
        if self.units.contains(other) || self.kept.contains(other) {
            return true;
        }
        let (why, hint) = match self.absent.get(other) {
            Some(Absent::Masked) => ("is masked", None),
            Some(Absent::Refused) => ("is refused, see its own message", None),
            None => ("is not there", self.guess(other)),
        };
        let (severity, outcome) = match kind {
            EntryNeedKind::After => (Severity::Warning, "the order is ignored".into()),
            EntryNeedKind::Wants => (Severity::Warning, "the wish is ignored".into()),
            EntryNeedKind::Requires => (Severity::Error, format!("`{own}` will fail to start")),
        };
        let message = format!("unit `{other}` {why}: {outcome}");
        self.diagnostics.push(unit.source.diagnostic(severity, &at.span, message, hint));
        false
    }

    fn guess(&self, name: &str) -> Option<String> {
        if ["network", "clock"].contains(&name) {
            return Some(format!("`{name}` is a condition too: it can stand in `after`"));
        }
        let plain = name.strip_suffix(".service").or_else(|| name.strip_suffix(".target"));
        let known = || self.units.names();
        let near = plain.filter(|plain| self.units.contains(plain));
        let near = near.or_else(|| nearest::nearest(name, known()))?;
        Some(format!("did you mean `{near}`?"))
    }

    fn warn<T>(&mut self, unit: &Compiled, at: &At<T>, message: String, hint: Option<String>) {
        let severity = Severity::Warning;
        self.diagnostics.push(unit.source.diagnostic(severity, &at.span, message, hint));
    }
}

/// The most cycles that are shown: one knot of many units has thousands.
const MAX_CYCLES: usize = 20;

/// Every cycle, with all of its members, and where it is broken. The same walk as PID 1 does.
fn cycles(units: &Units, entries: &[Entry]) -> Vec<Diagnostic> {
    let mut graph = Cycles { links: links(entries), found: Vec::new() };
    order::sort(&mut graph);
    let name = |node: &u16| entries.get(usize::from(*node)).map_or("?", |e| e.unit.name.as_str());
    let mut diagnostics = Vec::new();
    for (cycle, at) in &graph.found {
        let names = cycle.iter().chain(cycle.first()).map(name).collect::<Vec<_>>();
        let (from, to) = (names.get(*at), names.get(at.saturating_add(1)));
        let (Some(from), Some(to)) = (from, to) else { continue };
        // A kept unit has no place to point to; another of the cycle has.
        let told = units.get(from).or_else(|| cycle.iter().find_map(|at| units.get(name(at))));
        let Some(unit) = told else { continue };
        let message = format!("dependency cycle: {}", names.join(" → "));
        let hint = Some(format!("broken here: `{from}` does not wait for `{to}`"));
        let (source, span) = place_of(unit, units.get(to), to);
        diagnostics.push(source.diagnostic(Severity::Warning, &span, message, hint));
    }
    diagnostics
}

/// Where it is written that `unit` comes after `to`.
fn place_of<'a>(
    unit: &'a Compiled,
    other: Option<&'a Compiled>,
    to: &str,
) -> (&'a crate::diagnostic::Source, std::ops::Range<usize>) {
    let own = unit.unit.name.as_str();
    let after = unit.after.iter().find(|at| at.value == Target::Unit(to.to_string()));
    let requires = unit.requires.iter().find(|at| at.value == to);
    let span = after.map(|at| &at.span).or(requires.map(|at| &at.span));
    if let Some(span) = span {
        return (&unit.source, span.clone());
    }
    let before = other.and_then(|other| {
        let at = other.before.iter().find(|at| at.value == own)?;
        Some((&*other.source, at.span.clone()))
    });
    before.unwrap_or((&unit.source, 0..0))
}

/// For each unit what it comes after, as PID 1 merges needs: one arrow for each other unit.
fn links(entries: &[Entry]) -> Vec<Vec<Link>> {
    // The entries are in the order of their names.
    let node = |name: &str| {
        let found = entries.binary_search_by(|entry| entry.unit.name.as_str().cmp(name));
        u16::try_from(found.ok()?).ok()
    };
    let links = |entry: &Entry| {
        let mut links: Vec<(Link, bool)> = Vec::new();
        for need in entry.needs.iter().filter(|need| !need.condition) {
            let Some(to) = node(&need.name) else { continue };
            let orders = need.kind != EntryNeedKind::Wants;
            let strong = need.kind == EntryNeedKind::Requires;
            match links.iter_mut().find(|(link, _)| link.to == to) {
                Some((link, known)) => {
                    link.strong |= strong;
                    *known |= orders;
                }
                None => links.push((Link { to, strong, cut: false }, orders)),
            }
        }
        links.into_iter().map(|(link, orders)| Link { cut: !orders, ..link }).collect()
    };
    entries.iter().map(links).collect()
}

struct Cycles {
    links: Vec<Vec<Link>>,
    found: Vec<(Vec<u16>, usize)>,
}

impl Graph for Cycles {
    fn nodes(&self) -> u16 {
        u16::try_from(self.links.len()).unwrap_or(u16::MAX)
    }

    fn link(&self, node: u16, nth: u16) -> Option<Link> {
        self.links.get(usize::from(node))?.get(usize::from(nth)).copied()
    }

    fn cut(&mut self, node: u16, nth: u16, cycle: &[u16], at: usize) {
        let links = self.links.get_mut(usize::from(node));
        if let Some(link) = links.and_then(|links| links.get_mut(usize::from(nth))) {
            link.cut = true;
        }
        if self.found.len() < MAX_CYCLES {
            self.found.push((cycle.to_vec(), at));
        }
    }
}
