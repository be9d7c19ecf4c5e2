//! `reload-units`: has the unit files read again, and says what that made of the units.

use crate::change;
use crate::code::Code;
use crate::escape::Screen;
use crate::link::Trouble;
use crate::status::{self, Listing};
use ettan_wire::{Severity, UnitStatus, severity};

/// What PID 1 says of a unit whose new definition wants another run.
const RESTARTED: &str = "its definition changed";

/// reload-units: 6 when a file is refused, which PID 1 takes for no failure of its own.
pub(crate) fn reload(wait: bool, screen: &Screen) -> Code {
    if !wait {
        return change::read_again(false, screen);
    }
    let before = status::listing(true);
    match change::read_again(true, screen) {
        Code::Done => {}
        failed => return failed,
    }
    match (before, status::listing(true)) {
        (Ok(before), Ok(after)) => tell(&before, &after, screen),
        (Err(trouble), _) | (_, Err(trouble)) => Trouble::tell(trouble, screen),
    }
}

fn tell(before: &Listing, after: &Listing, screen: &Screen) -> Code {
    if !screen.json {
        differences(&before.statuses(), &after.statuses()).iter().for_each(|line| screen.say(line));
    }
    let mut code = Code::Done;
    for (said, json) in &after.diagnostics {
        if severity(&said.text) != Some(Severity::Error) {
            continue;
        }
        code = Code::NotConfigured;
        match screen.json {
            true => screen.packet(json),
            false => screen.complain(said.text.trim_end()),
        }
    }
    code
}

/// A line for each unit that is there, gone or restarted since.
fn differences(before: &[&UnitStatus], after: &[&UnitStatus]) -> Vec<String> {
    let find =
        |units: &[&UnitStatus], name: &str| units.iter().position(|unit| *unit.unit == *name);
    let mut lines = Vec::new();
    for is in after.iter().filter(|unit| !unit.builtin) {
        let was = find(before, &is.unit).and_then(|at| before.get(at));
        if let Some(text) = difference(was.copied(), is) {
            lines.push(format!("{}: {text}", is.unit));
        }
    }
    let gone = before.iter().filter(|was| find(after, &was.unit).is_none());
    lines.extend(gone.map(|was| format!("{}: gone", was.unit)));
    lines
}

fn difference(was: Option<&UnitStatus>, is: &UnitStatus) -> Option<&'static str> {
    let Some(was) = was else { return Some("new") };
    let run = |unit: &UnitStatus| (unit.reason.clone(), unit.main_pid, unit.state, unit.since_ms);
    match (was.orphaned, is.orphaned) {
        (false, true) => Some("its unit file is gone; it runs until it is stopped"),
        (true, false) => Some("its unit file is back"),
        _ if &*is.reason == RESTARTED && run(was) != run(is) => Some("changed, and is restarted"),
        _ if policy(was) != policy(is) => Some("changed"),
        _ => None,
    }
}

/// What a list shows of a definition.
fn policy(unit: &UnitStatus) -> impl PartialEq {
    let UnitStatus { description, kind, restart, autostart, timed, critical, persistent, .. } =
        unit;
    (description.clone(), *kind, restart.clone(), [*autostart, *timed, *critical, *persistent])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::up;
    use ettan_wire::StateWord;

    fn unit(name: &str) -> UnitStatus {
        UnitStatus { unit: name.into(), ..up() }
    }

    #[test]
    fn a_line_says_what_became_of_each_unit() {
        let before = [unit("back"), unit("gone"), unit("left"), unit("same"), unit("web")];
        let before = before.map(|unit| UnitStatus { orphaned: *unit.unit == *"back", ..unit });
        let restarted =
            UnitStatus { state: StateWord::Stopping, reason: RESTARTED.into(), ..unit("web") };
        let after = [
            unit("back"),
            UnitStatus { orphaned: true, ..unit("left") },
            unit("new"),
            unit("same"),
            restarted,
            UnitStatus { builtin: true, ..unit("ettan-watch") },
        ];
        let refs = |units: &'static [UnitStatus]| units.iter().collect::<Vec<_>>();
        let (before, after) = (Vec::from(before).leak(), Vec::from(after).leak());
        assert_eq!(
            differences(&refs(before), &refs(after)),
            [
                "back: its unit file is back",
                "left: its unit file is gone; it runs until it is stopped",
                "new: new",
                "web: changed, and is restarted",
                "gone: gone",
            ]
        );
        // It was restarted for its definition before, and has gone on since.
        assert_eq!(differences(&refs(after), &refs(after)), Vec::<String>::new());
        let policy = UnitStatus { restart: "no".into(), ..unit("web") };
        assert_eq!(difference(Some(&unit("web")), &policy), Some("changed"));
    }
}
