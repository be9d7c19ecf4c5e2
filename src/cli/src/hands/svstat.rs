//! `svstat UNIT…`, the line that daemontools prints, and `svok UNIT`.

use super::unit_of;
use crate::change::name;
use crate::code::Code;
use crate::escape::Screen;
use crate::instances;
use crate::link::{Answer, Link, Trouble};
use crate::status::unexpected;
use ettan_sys::procfs;
use ettan_wire::{GoalWord, Reply, Request, UnitStatus, Which};

/// One line for each; daemontools' own ends with 0 whatever it finds.
pub(super) fn svstat(units: &[String], screen: &Screen) -> Code {
    for typed in units {
        let named = unit_of(typed);
        for unit in &instances::of(core::slice::from_ref(&named)) {
            let shown = if *unit == named { typed } else { unit };
            match status(unit) {
                Ok((_, json)) if screen.json => screen.packet(&json),
                Ok((status, _)) => {
                    let is_paused = status.main_pid.is_some_and(is_paused);
                    screen.say(&format!("{shown}: {}", line(&status, is_paused)));
                }
                Err(trouble) if screen.json => {
                    trouble.tell(screen);
                }
                Err(trouble) => screen.say(&format!("{shown}: {}", trouble.text)),
            }
        }
    }
    Code::Done
}

/// 0 if PID 1 knows it.
pub(super) fn svok(unit: &str, screen: &Screen) -> Code {
    let units = instances::of(&[unit_of(unit)]);
    match status(units.first().map_or(unit, String::as_str)) {
        Ok(_) => Code::Done,
        Err(Trouble { code: Code::NotInstalled | Code::NotConfigured, .. }) => Code::Hand,
        Err(trouble) => {
            screen.complain(&format!("svok: fatal: {}", trouble.text));
            Code::Fatal
        }
    }
}

fn status(unit: &str) -> Result<(UnitStatus, String), Trouble> {
    let request = Request::Status(Which { unit: name(unit)? });
    let Answer { reply, json } = Link::ask(&request)?.expect()?;
    let Reply::Unit(status) = reply else { return Err(unexpected()) };
    Ok((status, json))
}

/// STOP was sent to it, and no CONT since.
fn is_paused(pid: i32) -> bool {
    procfs::stat(pid).is_some_and(|stat| stat.state == b'T')
}

/// `up (pid 2226) 220460 seconds, normally down, paused`
fn line(status: &UnitStatus, is_paused: bool) -> String {
    let seconds = status.now_ms.saturating_sub(status.since_ms.unwrap_or_default()) / 1000;
    let normally = if status.autostart && !status.timed { "up" } else { "down" };
    let wanted = match status.goal {
        GoalWord::Up => "up",
        GoalWord::Down => "down",
    };
    let mut line = match status.main_pid {
        Some(pid) => format!("up (pid {pid}) {seconds} seconds"),
        None => format!("down {seconds} seconds"),
    };
    let is = if status.main_pid.is_some() { "up" } else { "down" };
    for (word, sense) in [("normally", normally), ("want", wanted)] {
        if word == "want" && is_paused {
            line.push_str(", paused");
        }
        if sense != is {
            line.push_str(&format!(", {word} {sense}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::line;
    use crate::show::tests::up;
    use ettan_wire::{GoalWord, StateWord, UnitStatus};

    #[test]
    fn it_reads_as_daemontools_says_it() {
        assert_eq!(line(&up(), false), "up (pid 212) 125 seconds");
        let wanted = UnitStatus { goal: GoalWord::Down, autostart: false, ..up() };
        assert_eq!(
            line(&wanted, true),
            "up (pid 212) 125 seconds, normally down, paused, want down"
        );
        let down = UnitStatus { state: StateWord::Down, main_pid: None, ..up() };
        assert_eq!(line(&down, false), "down 125 seconds, normally up, want up");
        let off = UnitStatus { goal: GoalWord::Down, ..down };
        assert_eq!(line(&off, false), "down 125 seconds, normally up");
    }
}
