//! All units together: names to units, `before` turned around, cycles, what two units cannot
//! share.

use std::ops::Range;
use std::path::Path;
use std::rc::Rc;

use ettan_core::order::{self, Graph, Link};
use ettan_core::{MAX_CONDITIONS, MAX_NEEDS};
use ettan_table::write::{Entry, EntryNeed, EntryNeedKind};

use crate::compile::Compiled;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::draft::At;
use crate::files::Absent;
use crate::former::{self, Former, Kept};
use crate::instances::Groups;
use crate::log;
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
        let kept = former.kept(absent, 0);
        said = shared_pid_files(units, &kept, root);
        said.extend(shared_logs(units, &kept));
        said.extend(routes_to_units(units, &kept));
        if said.is_empty() {
            return diagnostics;
        }
    }
}

/// A unit that has such a file, and where it says so; a kept unit has no such place.
struct User<'a> {
    name: &'a str,
    place: Option<(&'a Compiled, &'a At<String>)>,
}

/// Which units have which file.
#[derive(Default)]
struct Users<'a>(Names<Vec<User<'a>>>);

impl<'a> Users<'a> {
    fn add(&mut self, path: &str, user: User<'a>) {
        self.0.insert_new(path, Vec::new());
        if let Some(users) = self.0.get_mut(path) {
            users.push(user);
        }
    }

    /// An error for each unit that has the same `what` as another.
    fn at_odds(&self, what: &str, hint: &str) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        for users in self.0.values().filter(|users| users.len() > 1) {
            let group = |user: &User<'a>| user.place.and_then(|(unit, _)| unit.group.as_deref());
            let one = users.first().and_then(group).filter(|one| {
                // Of one file, none of them has a name that would help.
                users.iter().all(|user| group(user) == Some(*one))
            });
            for User { name: own, place } in users {
                let Some((unit, path)) = place else { continue };
                if let Some(file) = one {
                    let message = format!("the same {what} for all instances of `{file}`: refused");
                    let hint = Some("with `%i` in it, each has its own".to_string());
                    let severity = Severity::Error;
                    diagnostics.push(unit.source.diagnostic(severity, &path.span, message, hint));
                    continue;
                }
                let names = users.iter().map(|user| user.name);
                let others = names.filter(|name| name != own).map(|name| format!("`{name}`"));
                let others = others.collect::<Vec<_>>().join(", ");
                let message =
                    format!("the same {what} as that of {others}: all of them are refused");
                let (severity, hint) = (Severity::Error, Some(hint.to_string()));
                diagnostics.push(unit.source.diagnostic(severity, &path.span, message, hint));
            }
        }
        diagnostics
    }
}

/// Two daemons cannot be told apart by one PID file (`tests/FAULTS.md` 2.20).
fn shared_pid_files(units: &Units, kept: &Kept, root: &Path) -> Vec<Diagnostic> {
    let mut users = Users::default();
    for unit in units.values() {
        if let Some(path) = &unit.pid_file {
            users.add(&path.value, User { name: &unit.unit.name, place: Some((unit, path)) });
        }
    }
    for entry in kept.values() {
        if let Some(path) = former::pid_file(root, entry) {
            users.add(&path, User { name: &entry.unit.name, place: None });
        }
    }
    users.at_odds("PID file", "each daemon writes a file of its own")
}

/// Two logs in one directory would rotate each other away. Those of routes count too; two of one
/// unit are refused with its file.
fn shared_logs(units: &Units, kept: &Kept) -> Vec<Diagnostic> {
    let mut users = Users::default();
    for unit in units.values() {
        for (_, path) in unit.named.paths.iter().filter(|(key, _)| *key == "directory") {
            let place = log::place_of(&path.value);
            users.add(&place, User { name: &unit.unit.name, place: Some((unit, path)) });
        }
    }
    for entry in kept.values() {
        for path in former::log_directories(entry) {
            users.add(&log::place_of(&path), User { name: &entry.unit.name, place: None });
        }
    }
    users.at_odds("log directory", "`directory` is for one unit; without it, each has its own")
}

/// The log of a route is called `UNIT.ROUTE`: no unit may be called so.
fn routes_to_units(units: &Units, kept: &Kept) -> Vec<Diagnostic> {
    let mut diagnostics = Vec::new();
    for unit in units.values() {
        for At { span, value } in &unit.routes {
            let log = format!("{}.{value}", unit.unit.name);
            if units.contains(&log) || kept.contains(&log) {
                let message = format!("the log of this route would be that of the unit `{log}`");
                let hint = Some("another `name` for the route".to_string());
                diagnostics.push(unit.source.diagnostic(Severity::Error, span, message, hint));
            }
        }
    }
    for entry in kept.values() {
        for route in former::routes(entry) {
            let log = format!("{}.{route}", entry.unit.name);
            if let Some(unit) = units.get(&log) {
                let message = format!("its log would be that of a route of `{}`", entry.unit.name);
                diagnostics.push(unit.source.diagnostic(Severity::Error, &(0..0), message, None));
            }
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
        let both = unit.after.iter().chain(&unit.binds_to);
        let own = both.filter_map(|at| match &at.value {
            Target::Condition(name) => Some((name.as_str(), at)),
            Target::Unit(_) => None,
        });
        let new = own.filter(|(name, _)| !conditions.contains(name)).collect::<Vec<_>>();
        let more = needs.saturating_add(count_needs(unit));
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

fn count_needs(unit: &Compiled) -> usize {
    let lists = [
        unit.after.len(),
        unit.before.len(),
        unit.wants.len(),
        unit.requires.len(),
        unit.binds_to.len(),
        unit.part_of.len(),
        unit.conflicts.len(),
        unit.on_failure.len(),
    ];
    lists.iter().sum()
}

/// The needs of every unit, in the order of the names, and what is odd about them. What the units
/// launch moves into the entries: twice would be too much for a small board.
pub(crate) fn relate(
    units: &mut Units,
    absent: &Absentees,
    former: &Former<'_>,
    kept: &Kept,
    groups: &Groups,
) -> (Vec<Entry>, Vec<Diagnostic>) {
    let (needs, diagnostics) = (Names::default(), Vec::new());
    let mut relating = Relating { units: &*units, absent, kept, groups, needs, diagnostics };
    for unit in units.values() {
        relating.unit(unit);
    }
    let Relating { mut needs, mut diagnostics, .. } = relating;
    let entry = |unit: &mut Compiled| Entry {
        unit: unit.unit.clone(),
        description: unit.description.clone(),
        needs: former.order(&unit.unit.name, kept),
        launch: unit.launch.take(),
        group: unit.group.clone().unwrap_or_default(),
        timer: unit.timer,
    };
    let mut entries: Vec<Entry> = units.values_mut().map(entry).collect();
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
    groups: &'a Groups,
    needs: Names<Vec<EntryNeed>>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Relating<'a> {
    fn unit(&mut self, unit: &'a Compiled) {
        let name = unit.unit.name.as_str();
        let both = [(&unit.after, EntryNeedKind::After), (&unit.binds_to, EntryNeedKind::BindsTo)];
        for (list, kind) in both {
            for at in list {
                match &at.value {
                    Target::Condition(condition) => self.condition(unit, at, condition, kind),
                    Target::Unit(other) => self.other(unit, at, other, kind),
                }
            }
        }
        for at in &unit.before {
            let (kind, other) = (EntryNeedKind::After, &at.value);
            if self.is_there(unit, at, other, kind) {
                self.need(other, kind, name, false);
            }
        }
        for (list, kind) in [
            (&unit.wants, EntryNeedKind::Wants),
            (&unit.requires, EntryNeedKind::Requires),
            (&unit.part_of, EntryNeedKind::PartOf),
            (&unit.conflicts, EntryNeedKind::Conflicts),
            (&unit.on_failure, EntryNeedKind::OnFailure),
        ] {
            for at in list {
                self.other(unit, at, &at.value, kind);
            }
        }
        for at in &unit.conflicts {
            self.conflict(unit, at);
        }
        for at in &unit.alerts {
            if let Some(first) = self.groups.members(&at.value).and_then(<[String]>::first) {
                let message = format!("`{}` has instances, and a line starts one unit", at.value);
                self.warn(unit, at, message, Some(format!("for example `{first}`")));
            } else if let Some((why, hint)) = self.why_absent(&at.value) {
                let message = format!("unit `{}` {why}: no line will start it", at.value);
                self.warn(unit, at, message, hint);
            }
        }
    }

    /// What a conflict makes impossible.
    fn conflict(&mut self, unit: &'a Compiled, at: &At<String>) {
        let (own, other) = (unit.unit.name.as_str(), at.value.as_str());
        let Some(rival) = self.units.get(other).filter(|_| own != other) else { return };
        for (one, needed) in [(unit, other), (rival, own)] {
            let name = one.unit.name.as_str();
            if requires(one, needed) {
                let message =
                    format!("`{name}` requires `{needed}` and conflicts with it: it never starts");
                let severity = Severity::Error;
                self.diagnostics.push(unit.source.diagnostic(severity, &at.span, message, None));
            } else if one.wants.iter().any(|at| at.value == needed) {
                let message = format!("`{name}` wants `{needed}` and conflicts with it");
                self.warn(unit, at, message, Some("the wish is ignored".into()));
            }
        }
        if unit.unit.autostart && rival.unit.autostart {
            let (first, second) = (own.min(other), own.max(other));
            let message = format!("`{own}` and `{other}` conflict, and both start at boot");
            let hint = format!("`{first}` comes up, the first by name; `{second}` stays down");
            self.warn(unit, at, message, Some(hint));
        }
    }

    fn condition<T>(
        &mut self,
        unit: &'a Compiled,
        at: &At<T>,
        condition: &str,
        kind: EntryNeedKind,
    ) {
        let name = unit.unit.name.as_str();
        if condition == name {
            let message = format!("`{name}` waits for the condition of its own name");
            let hint = "a unit of that name is the one that brings it about";
            self.warn(unit, at, message, Some(hint.into()));
        }
        self.need(name, kind, condition, true);
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
        let Some((why, hint)) = self.why_absent(other) else { return true };
        let (severity, outcome) = match kind {
            EntryNeedKind::After => (Severity::Warning, "the order is ignored".into()),
            EntryNeedKind::Wants => (Severity::Warning, "the wish is ignored".into()),
            EntryNeedKind::Requires | EntryNeedKind::BindsTo => {
                (Severity::Error, format!("`{own}` will fail to start"))
            }
            EntryNeedKind::Conflicts => (Severity::Warning, "there is nothing to stop".into()),
            EntryNeedKind::PartOf => (Severity::Warning, "it is part of nothing".into()),
            EntryNeedKind::OnFailure => (Severity::Warning, "nothing answers a failure".into()),
        };
        let message = format!("unit `{other}` {why}: {outcome}");
        self.diagnostics.push(unit.source.diagnostic(severity, &at.span, message, hint));
        false
    }

    /// Why there is no such unit, and what to do; None if there is one.
    fn why_absent(&self, other: &str) -> Option<(&'static str, Option<String>)> {
        if self.units.contains(other) || self.kept.contains(other) {
            return None;
        }
        Some(match self.absent.get(other) {
            Some(Absent::Masked) => ("is masked", None),
            Some(Absent::Refused) => ("is refused, see its own message", None),
            None => ("is not there", self.guess(other)),
        })
    }

    fn guess(&self, name: &str) -> Option<String> {
        if ["network", "clock"].contains(&name) {
            return Some(format!(
                "`{name}` is a condition too: it can stand in `after` and `binds-to`"
            ));
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

/// Whether the unit needs the other all the time.
fn requires(unit: &Compiled, other: &str) -> bool {
    unit.requires.iter().any(|at| at.value == other)
        || unit.binds_to.iter().any(|at| matches!(&at.value, Target::Unit(name) if name == other))
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
) -> (&'a Rc<Source>, Range<usize>) {
    let own = unit.unit.name.as_str();
    let after = unit.after.iter().find(|at| at.value == Target::Unit(to.to_string()));
    let requires = unit.requires.iter().find(|at| at.value == to);
    let binds = unit.binds_to.iter().find(|at| at.value == Target::Unit(to.to_string()));
    let spans = [after.map(|at| &at.span), requires.map(|at| &at.span), binds.map(|at| &at.span)];
    let span = spans.into_iter().flatten().next();
    if let Some(span) = span {
        return (&unit.source, span.clone());
    }
    let before = other.and_then(|other| {
        let at = other.before.iter().find(|at| at.value == own)?;
        Some((&other.source, at.span.clone()))
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
            let (orders, strong) = match need.kind {
                EntryNeedKind::Requires | EntryNeedKind::BindsTo => (true, true),
                EntryNeedKind::After => (true, false),
                EntryNeedKind::Wants
                | EntryNeedKind::Conflicts
                | EntryNeedKind::PartOf
                | EntryNeedKind::OnFailure => (false, false),
            };
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
