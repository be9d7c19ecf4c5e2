//! `tree [UNIT…]`: which unit needs which, with how it stands with each. PID 1's own view, so that
//! a circle shows where it was cut.

use crate::code::Code;
use crate::escape::Screen;
use crate::instances;
use crate::link::{Answer, Link, Trouble};
use crate::show::{brief, cut, word};
use crate::status::units as all_units;
use ettan_wire::{Blocked, Need, Reply, Request, UnitStatus};
use std::collections::{BTreeMap, BTreeSet};

/// 0 if all that was asked for is there, else 4.
pub(crate) fn tree(roots: &[String], screen: &Screen) -> Code {
    shown(roots, screen).unwrap_or_else(|trouble| trouble.tell(screen))
}

fn shown(roots: &[String], screen: &Screen) -> Result<Code, Trouble> {
    let roots = &instances::of(roots);
    let needs = needs()?;
    if screen.json {
        needs.iter().for_each(|(_, json)| screen.packet(json));
        return Ok(Code::Done);
    }
    let units = all_units()?;
    let holding = conditions()?;
    let forest = Forest::of(&units, needs.iter().map(|(need, _)| need), &holding);
    let mut code = Code::Done;
    for root in roots.iter().filter(|root| !forest.units.contains_key(root.as_str())) {
        screen.complain(&format!("no unit is called {root}"));
        code = Code::Unknown;
    }
    let text = forest.text(roots, screen.columns(), screen.draws_lines());
    if !text.is_empty() {
        screen.say(&text);
    }
    Ok(code)
}

pub(crate) fn needs() -> Result<Vec<(Need, String)>, Trouble> {
    let link = Link::ask(&Request::Needs)?;
    let mut needs = Vec::new();
    loop {
        let Answer { reply, json } = link.expect()?;
        match reply {
            Reply::Need(need) => needs.push((need, json)),
            Reply::End(_) => return Ok(needs),
            _ => {}
        }
    }
}

/// The conditions that hold.
fn conditions() -> Result<BTreeSet<String>, Trouble> {
    let known = crate::status::known_conditions()?;
    let holding = known.into_iter().filter(|(condition, _)| condition.holds);
    Ok(holding.map(|(condition, _)| condition.name.to_string()).collect())
}

/// The strokes of a tree.
struct Strokes {
    fork: &'static str,
    last: &'static str,
    pass: &'static str,
}

const ASCII: Strokes = Strokes { fork: "|- ", last: "`- ", pass: "|  " };
const LINES: Strokes = Strokes { fork: "├─ ", last: "└─ ", pass: "│  " };

/// Units and what each needs, by name.
struct Forest<'a> {
    units: BTreeMap<&'a str, &'a UnitStatus>,
    needs: BTreeMap<&'a str, Vec<&'a Need>>,
    holding: &'a BTreeSet<String>,
}

/// What is known while a tree is drawn.
struct Walk<'a> {
    strokes: Strokes,
    /// Units on the way from the root.
    path: Vec<&'a str>,
    /// Units that were shown with all that they need.
    shown: BTreeSet<&'a str>,
    /// The tree's column, and what stands beside it.
    rows: Vec<[String; 2]>,
}

impl<'a> Forest<'a> {
    fn of(
        units: &'a [UnitStatus],
        needs: impl Iterator<Item = &'a Need>,
        holding: &'a BTreeSet<String>,
    ) -> Self {
        let units = units.iter().map(|unit| (unit.unit.as_str(), unit)).collect();
        let mut by_unit: BTreeMap<&str, Vec<&Need>> = BTreeMap::new();
        for need in needs {
            by_unit.entry(need.unit.as_str()).or_default().push(need);
        }
        for needs in by_unit.values_mut() {
            needs.sort_by_key(|need| (need.what == Blocked::Condition, need.on.as_str()));
        }
        Self { units, needs: by_unit, holding }
    }

    fn text(&self, wanted: &'a [String], columns: Option<usize>, draws_lines: bool) -> String {
        let strokes = if draws_lines { LINES } else { ASCII };
        let mut walk = Walk { strokes, path: Vec::new(), shown: BTreeSet::new(), rows: Vec::new() };
        if wanted.is_empty() {
            self.all(&mut walk);
        }
        for root in wanted {
            if let Some((name, _)) = self.units.get_key_value(root.as_str()) {
                self.unit(&mut walk, name, "", "", None);
            }
        }
        let width = walk.rows.iter().map(|[tree, _]| tree.chars().count()).max().unwrap_or(0);
        let line = |[tree, beside]: &[String; 2]| {
            let space = " ".repeat(width - tree.chars().count());
            cut(format!("{tree}{space}  {beside}").trim_end(), columns)
        };
        walk.rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// First what nothing needs, then what is left: circles.
    fn all(&self, walk: &mut Walk<'a>) {
        let needs = self.needs.values().flatten().filter(|need| is_needed(need));
        let needed: BTreeSet<&str> = needs.map(|need| &*need.on).collect();
        let own = |name: &&str| self.units.get(*name).is_some_and(|unit| !unit.builtin);
        let names: Vec<&str> = self.units.keys().copied().filter(own).collect();
        for name in names.iter().filter(|name| !needed.contains(**name)) {
            self.unit(walk, name, "", "", None);
        }
        for name in names {
            if !walk.shown.contains(name) {
                self.unit(walk, name, "", "", None);
            }
        }
    }

    /// One unit and what it needs. `first` leads its own line, `rest` those below.
    fn unit(
        &self,
        walk: &mut Walk<'a>,
        name: &'a str,
        first: &str,
        rest: &str,
        need: Option<&Need>,
    ) {
        let needs = self.needs.get(name).map(Vec::as_slice).unwrap_or_default();
        let note = match (walk.path.contains(&name), walk.shown.contains(name)) {
            (true, _) => "a circle",
            (false, true) if !needs.is_empty() => "as above",
            (false, _) => "",
        };
        let status = self.units.get(name);
        let state = status.map_or("", |status| word(status));
        let relation = need.map_or("", relation);
        let notes = [note.to_owned(), status.map(|status| brief(status)).unwrap_or_default()];
        let notes: Vec<_> = notes.into_iter().filter(|note| !note.is_empty()).collect();
        let beside = format!("{state:<8}  {relation:<8}  {}", notes.join("; "));
        walk.rows.push([format!("{first}{name}"), beside.trim_end().to_owned()]);
        if !note.is_empty() {
            return;
        }
        walk.shown.insert(name);
        walk.path.push(name);
        for (nth, need) in needs.iter().enumerate() {
            let is_last = nth + 1 == needs.len();
            let stroke = if is_last { walk.strokes.last } else { walk.strokes.fork };
            let below = if is_last { "   " } else { walk.strokes.pass };
            self.need(walk, need, &format!("{rest}{stroke}"), &format!("{rest}{below}"));
        }
        walk.path.pop();
    }

    fn need(&self, walk: &mut Walk<'a>, need: &'a Need, first: &str, rest: &str) {
        let on = need.on.as_str();
        match need.what {
            Blocked::Unit | Blocked::Rival | Blocked::Bound if is_needed(need) => {
                self.unit(walk, on, first, rest, Some(need));
            }
            // What it does not need is no part of the tree; how it stands with it is.
            Blocked::Unit | Blocked::Rival | Blocked::Bound => {
                let status = self.units.get(on);
                let state = status.map_or("", |status| word(status));
                let beside = format!("{state:<8}  {}", relation(need));
                walk.rows.push([format!("{first}{on}"), beside.trim_end().to_owned()]);
            }
            Blocked::Condition => {
                let word = if self.holding.contains(on) { "holds" } else { "waiting" };
                let beside = format!("{word:<8}  {:<8}  condition", relation(need));
                walk.rows.push([format!("{first}{on}"), beside]);
            }
            Blocked::Missing => {
                let beside = format!("{:<8}  {:<8}  no file defines it", "missing", relation(need));
                walk.rows.push([format!("{first}{on}"), beside]);
            }
        }
    }
}

/// Whether it is waited for, or started along. What it gives way to, goes along with or calls on a
/// failure, it does not need.
fn is_needed(need: &Need) -> bool {
    need.after || need.wants || need.requires
}

/// The strongest word for it.
fn relation(need: &Need) -> &'static str {
    match need {
        Need { cut: true, .. } => "cut",
        Need { binds_to: true, .. } => "binds-to",
        Need { requires: true, .. } => "requires",
        Need { conflicts: true, .. } => "conflicts",
        Need { part_of: true, .. } => "part-of",
        Need { on_failure: true, .. } => "on-failure",
        Need { wants: true, .. } => "wants",
        Need { after: true, .. } => "after",
        Need { .. } => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::up;

    fn need(unit: &str, on: &str, what: Blocked, cut: bool) -> Need {
        Need {
            unit: unit.into(),
            what,
            on: on.into(),
            after: true,
            wants: false,
            requires: what == Blocked::Unit,
            binds_to: false,
            conflicts: false,
            part_of: false,
            on_failure: false,
            cut,
        }
    }

    fn drawn(units: &[&str], needs: &[Need], draws_lines: bool) -> String {
        let units: Vec<_> =
            units.iter().map(|unit| UnitStatus { unit: (*unit).into(), ..up() }).collect();
        let holding = BTreeSet::from(["network".to_owned()]);
        Forest::of(&units, needs.iter(), &holding).text(&[], Some(80), draws_lines)
    }

    #[test]
    fn what_nothing_needs_is_a_root_and_conditions_are_leaves() {
        let needs = [
            need("app", "web", Blocked::Unit, false),
            need("web", "db", Blocked::Unit, false),
            need("web", "network", Blocked::Condition, false),
            need("job", "web", Blocked::Unit, false),
            need("web", "nosuch", Blocked::Missing, false),
        ];
        assert_eq!(
            drawn(&["app", "db", "job", "web"], &needs, false),
            "\
app            up                  for 2 min 5 s
`- web         up        requires  for 2 min 5 s
   |- db       up        requires  for 2 min 5 s
   |- nosuch   missing   after     no file defines it
   `- network  holds     after     condition
job            up                  for 2 min 5 s
`- web         up        requires  as above; for 2 min 5 s"
        );
    }

    #[test]
    fn what_a_unit_gives_way_to_is_named_and_no_part_of_its_tree() {
        let apart = |unit, on| Need {
            after: false,
            requires: false,
            ..need(unit, on, Blocked::Unit, false)
        };
        let needs = [
            Need { on_failure: true, ..apart("web", "mail") },
            Need { conflicts: true, ..apart("web", "rescue") },
            Need { part_of: true, after: true, ..apart("worker", "web") },
        ];
        assert_eq!(
            drawn(&["mail", "rescue", "web", "worker"], &needs, false),
            "\
mail          up                  for 2 min 5 s
rescue        up                  for 2 min 5 s
worker        up                  for 2 min 5 s
`- web        up        part-of   for 2 min 5 s
   |- mail    up        on-failure
   `- rescue  up        conflicts"
        );
    }

    #[test]
    fn a_circle_is_drawn_once_and_shows_where_it_was_cut() {
        let needs = [need("a", "b", Blocked::Unit, false), need("b", "a", Blocked::Unit, true)];
        assert_eq!(
            drawn(&["a", "b"], &needs, true),
            "\
a        up                  for 2 min 5 s
└─ b     up        requires  for 2 min 5 s
   └─ a  up        cut       a circle; for 2 min 5 s"
        );
    }
}
