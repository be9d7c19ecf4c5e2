//! A daemon that behaves, or misbehaves, as its flags say: `fake-daemon --help`
//! (options.rs) lists them all; they combine. Three roles run the same program
//! with the same flags: the launcher, which a supervisor starts; with
//! `--grandchild` the middle process; and the daemon. Around them may stand
//! orphans, escapees, children and zombies (crowd.rs).
//!
//! Every role prints events, one line each, on stdout or in the file that
//! `--events` names, which also works after `--close-fds`:
//!
//! ```text
//! NAME launcher started pid 40 ppid 1
//! NAME daemon started pid 41 ppid 40
//! NAME launcher wrote /run/NAME.pid 41
//! NAME launcher exits 0
//! NAME daemon got SIGTERM
//! NAME daemon exits 0
//! ```
#![forbid(unsafe_code)]

mod crowd;
mod daemon;
mod events;
mod options;
mod pid_file;
mod report;

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ettan_fakes::{Signals, start_self};

use crate::crowd::Crowd;
use crate::events::Events;
use crate::options::{Options, Role, Writer};
use crate::pid_file::{PidFile, Subject};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        print!("{}", options::HELP);
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(&arguments) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("fake-daemon: {problem} (--help lists the flags)");
            return ExitCode::from(2);
        }
    };
    match run(&options, &arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("fake-daemon: {error}");
            ExitCode::from(70)
        }
    }
}

fn run(options: &Options, arguments: &[String]) -> io::Result<u8> {
    if let Some(second) = options.set_clock {
        ettan_sys::clock::set_wall(second)?;
        return Ok(0);
    }
    match options.role {
        Role::Launcher if options.foreground => daemon::run(options, arguments),
        Role::Launcher => launch(options, arguments, Role::Launcher),
        Role::Middle => launch(options, arguments, Role::Middle),
        Role::Daemon => daemon::run(options, arguments),
        Role::Orphan | Role::Escapee | Role::Child => crowd::stand_by(options),
        Role::Breeder => crowd::breed(options, arguments),
    }
}

/// The launcher, and the middle process between it and a grandchild.
fn launch(options: &Options, arguments: &[String], role: Role) -> io::Result<u8> {
    let events = Events::open(options)?;
    events.started();
    if role == Role::Launcher {
        report::write(options)?;
    }
    let mut signals = Signals::catch(&[])?;
    let next = match role {
        Role::Launcher if options.grandchild => Role::Middle,
        _ => Role::Daemon,
    };
    let child = start_self(&options::with_role(arguments, next), options.wipe_environment)?;
    let writes = match role {
        Role::Launcher => options.pid_by == Writer::Launcher,
        _ => options.pid_by == Writer::Middle,
    };
    let mut pid_file = writes.then(|| {
        let subject = Subject { daemon: child.id(), crowd: Crowd::default() };
        PidFile::new(options, subject)
    });
    let leave = Instant::now() + options.launcher_exit_after;
    loop {
        let next = match &mut pid_file {
            Some(file) => file.advance(&events)?,
            None => None,
        };
        let now = Instant::now();
        if next.is_none() && now >= leave && !options.launcher_hangs {
            break;
        }
        let _ = signals.take()?;
        signals.wait(&[], until(options, next, leave))?;
    }
    // The middle process is no launcher: it just goes.
    let code = if role == Role::Launcher { options.launcher_exit } else { 0 };
    events.say(format_args!("exits {code}"));
    Ok(code)
}

fn until(options: &Options, next: Option<Instant>, leave: Instant) -> Option<Instant> {
    match (next, options.launcher_hangs) {
        (Some(next), _) => Some(next),
        (None, false) => Some(leave),
        // For ever, in steps of an hour.
        (None, true) => Some(Instant::now() + Duration::from_secs(3600)),
    }
}
