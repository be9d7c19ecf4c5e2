//! Starts the processes around a daemon: orphans, escapees, children, zombies.

use std::io;
use std::time::{Duration, Instant};

use ettan_fakes::{Signals, start_self};
use nix::sys::signal::Signal;

use crate::events::Events;
use crate::options::{self, Options, Role};

/// Those whose number a PID file may name by mistake.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Crowd {
    pub(crate) child: Option<u32>,
}

impl Crowd {
    /// Starts all of them. Orphans and escapees lose their parent at once: a
    /// breeder starts them and exits.
    pub(crate) fn start(
        options: &Options,
        arguments: &[String],
        events: &Events,
    ) -> io::Result<Crowd> {
        let mut crowd = Crowd::default();
        for _ in 0..options.zombies {
            let mut flags = options::with_role(arguments, Role::Orphan);
            flags.extend(["--orphans-live".to_owned(), "0".to_owned()]);
            start_self(&flags, false)?;
        }
        for _ in 0..options.children {
            let child = start_self(&options::with_role(arguments, Role::Child), false)?;
            crowd.child = Some(child.id());
        }
        if options.orphans > 0 || options.escapees > 0 {
            let mut breeder = start_self(&options::with_role(arguments, Role::Breeder), false)?;
            breeder.wait()?;
            events.say(format_args!("bred {} orphans", options.orphans));
        }
        Ok(crowd)
    }
}

/// The breeder's life.
pub(crate) fn breed(options: &Options, arguments: &[String]) -> io::Result<u8> {
    for _ in 0..options.escapees {
        start_self(&options::with_role(arguments, Role::Escapee), false)?;
    }
    for _ in 0..options.orphans {
        start_self(&options::with_role(arguments, Role::Orphan), false)?;
    }
    Ok(0)
}

/// The life of an orphan, an escapee or a child: stand there, then go.
pub(crate) fn stand_by(options: &Options) -> io::Result<u8> {
    if options.role == Role::Orphan {
        return live(options.orphans_live);
    }
    let events = Events::open(options)?;
    if options.role == Role::Escapee {
        nix::unistd::setsid()?;
    }
    let deaf = options.role == Role::Escapee && options.escapees_ignore_term;
    let mut signals = Signals::catch(&[Signal::SIGTERM])?;
    events.started();
    loop {
        if let Some(signal) = signals.take()? {
            events.say(format_args!("got {signal}"));
            if !deaf {
                return Ok(0);
            }
        }
        signals.wait(&[], None)?;
    }
}

fn live(long: Duration) -> io::Result<u8> {
    let end = Instant::now() + long;
    let signals = Signals::catch(&[])?;
    while Instant::now() < end {
        signals.wait(&[], Some(end))?;
    }
    Ok(0)
}
