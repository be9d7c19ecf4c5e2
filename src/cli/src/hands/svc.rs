//! `svc -udopchaitkx UNIT…`: goals and signals, without waiting, in the order of daemontools'
//! letters as they are named here.

use super::unit_of;
use crate::change::name;
use crate::code::Code;
use crate::escape::Screen;
use crate::instances;
use crate::link::{Link, Trouble};
use ettan_wire::{Change, Kill, Reload, Request};

/// The letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Options {
    /// Up: start it, and keep it up
    #[arg(short)]
    up: bool,
    /// Down: TERM, then CONT; do not start it again
    #[arg(short)]
    down: bool,
    /// Once: start it, and do not start it again
    #[arg(short)]
    once: bool,
    /// Pause: STOP
    #[arg(short)]
    pause: bool,
    /// CONT
    #[arg(short)]
    cont: bool,
    /// HUP
    #[arg(short)]
    hup: bool,
    /// ALRM
    #[arg(short)]
    alarm: bool,
    /// INT
    #[arg(short)]
    interrupt: bool,
    /// TERM
    #[arg(short)]
    term: bool,
    /// KILL
    #[arg(short)]
    kill: bool,
    /// Forget the unit once it is down, if its file is gone
    #[arg(short = 'x')]
    exit: bool,
    /// Units, or directories that are called like them
    #[arg(required = true)]
    units: Vec<String>,
}

const HUP: u8 = 1;
const INT: u8 = 2;
const KILL: u8 = 9;
const ALRM: u8 = 14;
const TERM: u8 = 15;
const CONT: u8 = 18;
const STOP: u8 = 19;

/// All letters for one unit, then the next. A signal for what does not run is no mistake.
pub(super) fn svc(options: &Options, screen: &Screen) -> Code {
    let mut code = Code::Done;
    let units: Vec<String> = options.units.iter().map(|unit| unit_of(unit)).collect();
    for unit in &instances::of(&units) {
        if let Err(trouble) = one(options, unit) {
            screen.complain(&format!("svc: warning: {}", trouble.text));
            code = code.or(trouble.code);
        }
    }
    if options.exit {
        // What no file defines any more is forgotten when it is down.
        let asked = Link::ask(&Request::ReloadUnits(Reload { wait: false }));
        if let Err(trouble) = asked.and_then(|link| link.expect()) {
            code = code.or(trouble.tell(screen));
        }
    }
    code
}

fn one(options: &Options, unit: &str) -> Result<(), Trouble> {
    let change = Change { unit: name(unit)?, wait: false };
    let kill = |signal| Request::Kill(Kill { unit: change.unit.clone(), signal });
    let goals = [
        (options.up, Request::Start(change.clone())),
        (options.down, Request::Stop(change.clone())),
        (options.once, Request::Once(change.clone())),
    ];
    for (_, request) in goals.into_iter().filter(|(asked, _)| *asked) {
        Link::ask(&request)?.expect()?;
    }
    let signals = [
        (options.pause, STOP),
        (options.cont || options.down, CONT),
        (options.hup, HUP),
        (options.alarm, ALRM),
        (options.interrupt, INT),
        (options.term, TERM),
        (options.kill, KILL),
    ];
    for (_, signal) in signals.into_iter().filter(|(asked, _)| *asked) {
        match Link::ask(&kill(signal))?.expect() {
            Ok(_) | Err(Trouble { code: Code::NotRunning, .. }) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    Ok(())
}
