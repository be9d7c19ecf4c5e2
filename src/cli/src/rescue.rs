//! `rescue`: every unit is stopped but those that are kept, and a shell has the console. `rescue --leave`:
//! the units that start at boot are started again, and the shell ends.

use crate::change::{AT_ONCE, name};
use crate::code::Code;
use crate::escape::Screen;
use crate::link::{Link, Trouble};
use crate::show::many;
use ettan_wire::{Change, GoalWord, Request, UnitStatus};

/// The unit of PID 1 that is a shell on the console.
const RESCUE: &str = "ettan-rescue";

/// There, or back.
pub(crate) fn rescue(leave: bool, keep: &[String], wait: bool, screen: &Screen) -> Code {
    let done = crate::status::units().and_then(|units| {
        let own: Vec<_> = units.into_iter().filter(|unit| !unit.builtin).collect();
        if leave { back(&own, screen) } else { there(&own, keep, wait, screen) }
    });
    done.unwrap_or_else(|trouble| trouble.tell(screen))
}

/// First the shell, last the unit that this command runs in: it may take the command along.
fn there(
    units: &[UnitStatus],
    keep: &[String],
    wait: bool,
    screen: &Screen,
) -> Result<Code, Trouble> {
    let keep = crate::instances::of(keep);
    let is_there = |name: &String| units.iter().any(|unit| unit.unit.as_str() == name);
    if let Some(name) = keep.iter().find(|name| !is_there(name)) {
        let text = format!("no unit is called {name:?}; nothing was stopped");
        return Err(Trouble { text, code: Code::NotInstalled });
    }
    ask(Request::Start(change(RESCUE, false)?))?;
    let own = own_unit();
    let is_kept = |unit: &UnitStatus| keep.iter().any(|name| unit.unit.as_str() == name);
    let goes = |unit: &&UnitStatus| unit.goal == GoalWord::Up && !is_kept(unit);
    let mut wanted: Vec<_> = units.iter().filter(goes).collect();
    wanted.sort_by_key(|unit| own.as_deref() == Some(unit.unit.as_str()));
    screen.say(&format!(
        "{} stopping; a shell has the console (ettan rescue --leave: back to work)",
        many(wanted.len(), "unit")
    ));
    for unit in &wanted {
        ask(Request::Stop(change(&unit.unit, false)?))?;
    }
    // All are stopping; who waits for them leaves room for other clients of PID 1.
    for batch in wanted.chunks(AT_ONCE).filter(|_| wait) {
        let asked = |unit: &&UnitStatus| Link::ask(&Request::Stop(change(&unit.unit, true)?));
        let links = batch.iter().map(asked).collect::<Result<Vec<_>, _>>()?;
        for link in &links {
            // Accepted, then done.
            link.expect()?;
            link.expect()?;
        }
    }
    Ok(Code::Done)
}

fn back(units: &[UnitStatus], screen: &Screen) -> Result<Code, Trouble> {
    let wanted: Vec<_> = units.iter().filter(|unit| unit.autostart && !unit.timed).collect();
    for unit in &wanted {
        ask(Request::Start(change(&unit.unit, false)?))?;
    }
    screen.say(&format!("{} starting (ettan status)", many(wanted.len(), "unit")));
    // Last: this command may run in that shell.
    ask(Request::Stop(change(RESCUE, false)?))?;
    Ok(Code::Done)
}

fn ask(request: Request) -> Result<(), Trouble> {
    Link::ask(&request)?.expect().map(drop)
}

fn change(unit: &str, wait: bool) -> Result<Change, Trouble> {
    Ok(Change { unit: name(unit)?, wait })
}

/// The unit whose cgroup this command is in.
fn own_unit() -> Option<String> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    path.rsplit('/').next().map(str::to_owned)
}
