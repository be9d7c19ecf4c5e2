//! Keeps the hardware watchdog: opens it, feeds it as long as the loop of PID 1 makes progress,
//! stops it before the machine is switched off. A PID 1 that hangs is reset with its machine.

use crate::kernel_words::WATCHDOG_OFF;
use crate::pid1::Pid1;
use crate::report::Cause;
use core::fmt::{self, Display, Formatter};
use ettan_core::{Event, Millis, Name, Power};
use ettan_sys::Errno;
use ettan_sys::watchdog::Watchdog;
use ettan_wire::Text;

/// What is asked of the driver: the most that a Raspberry Pi's can before Linux 6.8.
const TIMEOUT_S: u32 = 15;

/// For a driver that does not say what it has.
const ASSUMED_S: u32 = 3;

/// It is fed three times in its time-out, so that one feed may be late by all of a turn.
const FEEDS: u64 = 3;

/// A driver may come with a module that a unit loads, or be let go by somebody else: it is looked
/// for again after this time, then after twice as much, up to the second number.
const LOOK_AGAIN_MS: u64 = 1_000;
const LOOK_AGAIN_MAX_MS: u64 = 256_000;

/// The condition that holds while it is not fed: what is to be written down before the reset.
pub(crate) const RESET_AHEAD: &str = "reset-ahead";

/// What a driver does. `sys::watchdog` is the real one.
pub(crate) trait Device: Sized {
    fn open() -> Result<Self, Errno>;
    fn identity(&self) -> Text<32>;
    fn set_timeout(&self, seconds: u32) -> Result<u32, Errno>;
    fn timeout(&self) -> Result<u32, Errno>;
    fn last_reset(&self) -> &'static str;
    fn feed(&self) -> Result<(), Errno>;
    fn disarm(self) -> Result<(), Errno>;
}

/// The watchdog of this machine.
pub(crate) struct Keeper<D = Watchdog> {
    state: State<D>,
    last_reset: &'static str,
    /// The machine was to restart, and did not.
    reboot_refused: bool,
    /// The condition [`RESET_AHEAD`] holds.
    told: bool,
}

enum State<D> {
    /// It is not ours to have.
    Left(&'static str),
    /// There is none, or none for us; looked for again.
    Missing {
        errno: Errno,
        look_at: Millis,
        pause_ms: u64,
    },
    Armed(Armed<D>),
    /// Stopped for good.
    Disarmed,
}

struct Armed<D> {
    device: D,
    timeout_ms: u64,
    fed_at: Millis,
    feed_at: Millis,
    trouble: Option<Trouble>,
}

/// What `ettan status` shows: see the fields of these names of [`ettan_wire::Stats`].
pub(crate) struct Report {
    pub(crate) identity: Text<32>,
    pub(crate) timeout_ms: u64,
    pub(crate) fed_ms: u64,
    pub(crate) trouble: Text<96>,
    pub(crate) last_reset: &'static str,
}

/// Why it is not fed, or not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    /// Its reset is the last way to a restart.
    RebootRefused,
    /// This unit, without which the machine is of no use, is not well, and was.
    Critical(Name),
    /// The device itself.
    Device(Errno),
}

impl Display for Trouble {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::RebootRefused => f.write_str("not fed: the kernel refuses to restart"),
            Self::Critical(name) => write!(f, "not fed: {name} is not well"),
            Self::Device(errno) => write!(f, "cannot be fed: {}", Cause(*errno)),
        }
    }
}

impl Keeper {
    /// `inherited`: what the execution before had open. `ours`: the machine is. `allowed`: by the kernel's
    /// command line.
    pub(crate) fn new(inherited: Option<Watchdog>, ours: bool, allowed: bool, now: Millis) -> Self {
        match (inherited, ours, allowed) {
            (Some(device), _, _) => Self::take(device, now),
            (None, false, _) => Self::with(State::Left("")),
            (None, true, false) => {
                log::warn!("the hardware watchdog is left alone: {WATCHDOG_OFF}");
                Self::with(State::Left(WATCHDOG_OFF))
            }
            (None, true, true) => Self::find(now),
        }
    }
}

impl<D: Device> Keeper<D> {
    const fn with(state: State<D>) -> Self {
        Self { state, last_reset: "", reboot_refused: false, told: false }
    }

    /// Looks for it for the first time.
    fn find(now: Millis) -> Self {
        let mut keeper = Self::with(State::Disarmed);
        keeper.look(now, LOOK_AGAIN_MS);
        if !keeper.last_reset.is_empty() {
            log::warn!("the reason of the last reset: {}", keeper.last_reset);
        }
        keeper
    }

    /// One that runs already; the execution before may have been late.
    fn take(device: D, now: Millis) -> Self {
        let mut keeper = Self::with(State::Disarmed);
        keeper.last_reset = device.last_reset();
        keeper.arm(device, now);
        keeper
    }

    fn look(&mut self, now: Millis, pause_ms: u64) {
        match D::open() {
            Ok(device) => {
                self.last_reset = device.last_reset();
                self.arm(device, now);
            }
            Err(errno) => {
                if errno != Errno::NOENT && pause_ms == LOOK_AGAIN_MS {
                    log::warn!("hardware watchdog: {}; trying again now and then", Cause(errno));
                }
                self.state = State::Missing { errno, look_at: now.after(pause_ms), pause_ms };
            }
        }
    }

    fn arm(&mut self, device: D, now: Millis) {
        let timeout_s = clamp(&device);
        let timeout_ms = u64::from(timeout_s).saturating_mul(1_000);
        let name = device.identity();
        log::info!("hardware watchdog {}: a PID 1 that hangs is reset after {timeout_s} s", &*name);
        self.state =
            State::Armed(Armed { device, timeout_ms, fed_at: now, feed_at: now, trouble: None });
        self.feed(now, None);
    }

    /// When there is something to do.
    pub(crate) const fn next_deadline(&self) -> Option<Millis> {
        match &self.state {
            State::Left(_) | State::Disarmed => None,
            State::Missing { look_at, .. } => Some(*look_at),
            State::Armed(armed) => Some(armed.feed_at),
        }
    }

    /// It is not fed, and resets the machine unless that changes.
    pub(crate) const fn starves(&self) -> bool {
        match &self.state {
            State::Armed(armed) => armed.trouble.is_some(),
            State::Left(_) | State::Missing { .. } | State::Disarmed => false,
        }
    }

    /// What the core knows of [`RESET_AHEAD`].
    pub(crate) const fn told_before(&mut self, holds: bool) {
        self.told = holds;
    }

    /// Whether [`RESET_AHEAD`] holds or not any more, which the core does not know.
    pub(crate) const fn has_news(&self) -> bool {
        self.starves() != self.told
    }

    /// A turn of the loop has come to its end, in which every source was looked at: nothing else
    /// feeds. `hopeless`: the unit for whose sake the machine should be reset.
    pub(crate) fn turned(&mut self, now: Millis, hopeless: impl FnOnce() -> Option<Name>) {
        match &self.state {
            State::Missing { look_at, pause_ms, .. } if *look_at <= now => {
                let pause_ms = pause_ms.saturating_mul(2).min(LOOK_AGAIN_MAX_MS);
                self.look(now, pause_ms);
            }
            State::Armed(armed) if armed.feed_at <= now => self.feed(now, hopeless()),
            State::Left(_) | State::Missing { .. } | State::Armed(_) | State::Disarmed => {}
        }
    }

    /// The one place that says no.
    fn why_not(&self, hopeless: Option<Name>) -> Option<Trouble> {
        self.reboot_refused.then_some(Trouble::RebootRefused).or(hopeless.map(Trouble::Critical))
    }

    fn feed(&mut self, now: Millis, hopeless: Option<Name>) {
        let why_not = self.why_not(hopeless);
        let State::Armed(armed) = &mut self.state else { return };
        let trouble = why_not.or_else(|| armed.device.feed().err().map(Trouble::Device));
        match &trouble {
            None => armed.fed_at = now,
            Some(_) if armed.trouble == trouble => {}
            Some(trouble) => log::error!("hardware watchdog {trouble}"),
        }
        armed.trouble = trouble;
        armed.feed_at = now.after(armed.timeout_ms / FEEDS);
    }

    /// The last call is about to be made: it stays armed over a restart, so that one that hangs is
    /// a reset, and must not start again what is to be off.
    pub(crate) fn before(&mut self, power: Power, now: Millis) {
        match power {
            Power::Reboot => {
                // The firmware gets all of the time there is.
                if let State::Armed(armed) = &mut self.state
                    && !self.reboot_refused
                    && armed.device.feed().is_ok()
                {
                    armed.fed_at = now;
                }
            }
            Power::PowerOff | Power::Halt => {
                if let State::Armed(armed) = core::mem::replace(&mut self.state, State::Disarmed)
                    && let Err(errno) = armed.device.disarm()
                {
                    log::error!(
                        "the hardware watchdog cannot be stopped ({}): it resets the machine in {} s",
                        Cause(errno),
                        armed.timeout_ms / 1_000
                    );
                }
            }
        }
    }

    /// The kernel did not restart the machine; what is left is to starve the watchdog.
    pub(crate) const fn starve(&mut self) {
        self.reboot_refused = true;
    }

    /// For `ettan status`; none where the machine is not ours.
    pub(crate) fn facts(&self) -> Option<Report> {
        let mut facts = Report {
            identity: Text::new(),
            timeout_ms: 0,
            fed_ms: 0,
            trouble: Text::new(),
            last_reset: self.last_reset,
        };
        match &self.state {
            State::Left("") => return None,
            State::Left(why) => facts.trouble = Text::from(*why),
            State::Missing { errno, .. } => {
                facts.trouble = Text::format(format_args!("{}", Cause(*errno)));
            }
            State::Disarmed => facts.trouble = Text::from("stopped"),
            State::Armed(armed) => {
                facts.identity = armed.device.identity();
                facts.timeout_ms = armed.timeout_ms;
                facts.fed_ms = armed.fed_at.0;
                if let Some(trouble) = &armed.trouble {
                    facts.trouble = Text::format(format_args!("{trouble}"));
                }
            }
        }
        Some(facts)
    }
}

impl Keeper {
    /// The descriptor that the next execution inherits, and feeds.
    pub(crate) fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        match &self.state {
            State::Armed(armed) => Some(std::os::fd::AsFd::as_fd(&armed.device)),
            State::Left(_) | State::Missing { .. } | State::Disarmed => None,
        }
    }
}

impl Pid1 {
    /// A reset is near, or not any more: there are seconds to write down why.
    pub(crate) fn tell_of_reset(&mut self) {
        if self.watchdog.has_news() {
            let holds = self.watchdog.starves();
            self.watchdog.told_before(holds);
            self.set_condition(RESET_AHEAD, holds);
        }
    }

    /// A condition holds or not, whoever says so. Before a reset, what memory has of logs that are kept on a disk
    /// is to be there.
    pub(crate) fn set_condition(&mut self, name: &str, holds: bool) {
        if holds && name == RESET_AHEAD {
            self.pipes.flush();
        }
        self.feed(Event::Condition { name, holds });
    }

    /// The one place where it is fed: the end of a turn.
    pub(crate) fn feed_watchdog(&mut self) {
        let Self { vitals, supervisor, now, .. } = self;
        self.watchdog.turned(*now, || vitals.hopeless(*now, supervisor));
    }
}

/// Asks for the time-out we want, or for the half and so on when the driver cannot; gives what it
/// has then, in seconds.
fn clamp<D: Device>(device: &D) -> u32 {
    let mut wanted = TIMEOUT_S;
    while wanted > 0 && device.set_timeout(wanted) == Err(Errno::INVAL) {
        wanted /= 2;
    }
    device.timeout().ok().filter(|seconds| *seconds > 0).unwrap_or(ASSUMED_S)
}

impl Device for Watchdog {
    fn open() -> Result<Self, Errno> {
        Self::open()
    }

    fn identity(&self) -> Text<32> {
        Text::from(Watchdog::identity(self, &mut [0; 32]))
    }

    fn set_timeout(&self, seconds: u32) -> Result<u32, Errno> {
        Watchdog::set_timeout(self, seconds)
    }

    fn timeout(&self) -> Result<u32, Errno> {
        Watchdog::timeout(self)
    }

    fn last_reset(&self) -> &'static str {
        Watchdog::last_reset(self).words()
    }

    fn feed(&self) -> Result<(), Errno> {
        Watchdog::feed(self)
    }

    fn disarm(self) -> Result<(), Errno> {
        Watchdog::disarm(self)
    }
}

#[cfg(test)]
#[path = "watchdog_tests.rs"]
mod tests;
