//! `run`: a unit in the foreground, by PID 1's own program and as PID 1 would start it.

use crate::change::name;
use crate::code::Code;
use crate::escape::Screen;
use crate::link::{Answer, Link, Trouble};
use crate::show::word;
use crate::status::unexpected;
use ettan_wire::{GoalWord, Reply, Request, StateWord, UnitStatus, Which};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The file that PID 1 executes.
const PID_1: &str = "/proc/1/exe";

/// Becomes the program that runs the unit, unless PID 1 has it running.
pub(crate) fn run(unit: &str, screen: &Screen) -> Code {
    if let Err(trouble) = is_free(unit) {
        return trouble.tell(screen);
    }
    let error = Command::new(PID_1).arg0("ettan-init").args(["run", unit]).exec();
    let (why, code) = match error.kind() {
        ErrorKind::PermissionDenied => {
            ("only root may run a unit as PID 1 does".to_owned(), Code::NotPermitted)
        }
        _ => (format!("{PID_1}: {error}"), Code::Failed),
    };
    screen.complain(&format!("{unit}: {why}"));
    code
}

/// Two of one service get in each other's way: the second would find its port or its PID file
/// taken. A unit that PID 1 has not read yet is nobody's.
fn is_free(unit: &str) -> Result<(), Trouble> {
    let asked = Link::ask(&Request::Status(Which { unit: name(unit)? }))?.expect();
    let Answer { reply, .. } = match asked {
        Err(Trouble { code: Code::NotInstalled | Code::NotConfigured, .. }) => return Ok(()),
        answer => answer?,
    };
    let Reply::Unit(status) = reply else { return Err(unexpected()) };
    match held(&status) {
        None => Ok(()),
        Some(text) => Err(Trouble { text, code: Code::Failed }),
    }
}

/// Why it cannot be run beside PID 1.
fn held(status: &UnitStatus) -> Option<String> {
    let UnitStatus { unit, state, goal, main_pid, builtin, .. } = status;
    if *builtin {
        return Some(format!("{unit}: is a part of Ettan itself"));
    }
    match (state, goal) {
        (StateWord::Failed, _) | (StateWord::Down, GoalWord::Down) => return None,
        _ => {}
    }
    let pid = main_pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let word = word(status);
    Some(format!("{unit}: is {word}{pid} under supervision; ettan stop {unit} first, then run it"))
}
