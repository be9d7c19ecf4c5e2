//! How far the end of the machine is, as the core asks for it: strays, the child that closes file systems,
//! reboot(2). How each is done is in `close`.

use crate::builtin;
use crate::control::describe::Exit;
use crate::helper::{Helper, PROGRAM};
use crate::pid1::Pid1;
use crate::report::Cause;
use core::ffi::CStr;
use ettan_core::{Event, ExitStatus, Millis, Phase, Pid, Power};
use ettan_sys::{Errno, signals};

/// So many children may be lost before the file systems are closed.
const CLOSERS_MAX: u8 = 3;

/// The child that closes file systems counts from when it runs; ours goes on while it begins.
const CLOSER_MS: u64 = 200;

/// How long to wait before a refused reboot(2) is tried again.
const POWER_AGAIN_MS: u64 = 1000;

/// What the end of the machine waits for.
#[derive(Default)]
pub(crate) struct Closing {
    /// Strays were signalled, and are looked for after every exit.
    awaits_strays: bool,
    /// The child that closes the file systems.
    child: Option<Pid>,
    /// How many of those ended before they had done it.
    lost: u8,
    /// reboot(2) was refused: what was asked of it, and when it is asked again.
    refused: Option<(Power, Millis)>,
}

impl Closing {
    /// When reboot(2) is asked again.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        self.refused.map(|(_, again)| again)
    }

    /// The child that closes the file systems.
    pub(crate) const fn child(&self) -> Option<Pid> {
        self.child
    }

    /// The one that the execution before has started.
    pub(crate) const fn take_over(&mut self, child: Option<Pid>) {
        self.child = child;
    }
}

impl Pid1 {
    /// Ends what belongs to no unit.
    pub(crate) fn kill_strays(&mut self, signal: u8) -> Option<Event<'static>> {
        let gone = crate::close::kill_strays(signal, &self.spared());
        self.closing.awaits_strays = !gone;
        gone.then_some(Event::StraysGone)
    }

    /// Processes have ended: the last stray among them, perhaps.
    pub(crate) fn look_for_strays(&mut self) {
        if self.closing.awaits_strays && crate::close::strays_gone(&self.spared()) {
            self.closing.awaits_strays = false;
            self.feed(Event::StraysGone);
        }
    }

    /// The processes that shutdown leaves alone until the end.
    fn spared(&self) -> heapless::Vec<Pid, 8> {
        let main_of = |id| self.supervisor.view(id).and_then(|view| view.state.pid());
        let builtins =
            self.builtins.map_or([None; 3], |b| [b.logger, b.watcher, b.prober].map(main_of));
        builtins.into_iter().chain([self.closing.child]).flatten().collect()
    }

    /// In a child, because any of it may hang; the core bounds how long that is waited for. One that was
    /// told of more time makes room.
    pub(crate) fn close_file_systems(&mut self) -> Option<Event<'static>> {
        if let Some(former) = self.closing.child.take() {
            // ESRCH: gone already.
            let _ = ettan_sys::process::kill(former.raw(), signals::KILL);
        }
        let mut room = [0; DIGITS_MAX];
        let left_ms = self.supervisor.phase_ends().since(self.now).saturating_sub(CLOSER_MS);
        let within_ms = digits(left_ms, &mut room);
        let argv = [PROGRAM, Helper::Close.word(), within_ms];
        match self.execute_builtin(builtin::Program::helper(&argv), 0, [None; 2]) {
            Ok(pid) => {
                self.closing.child = Some(pid);
                None
            }
            Err(fault) => {
                let errno = Errno::from_raw_os_error(fault.errno);
                log::error!("no child to close the file systems ({}): syncing only", Cause(errno));
                sync_only()
            }
        }
    }

    /// A child ended: the one that closes file systems, perhaps.
    pub(crate) fn closer_ended(&mut self, pid: Pid, status: ExitStatus) {
        if self.closing.child != Some(pid) {
            return;
        }
        self.closing.child = None;
        match status {
            ExitStatus::Code(0) => self.feed(Event::FilesystemsClosed),
            ExitStatus::Code(_) | ExitStatus::Signal { .. } => self.lost_closer(status),
        }
    }

    /// The child that closes file systems has ended, and has not closed them: somebody killed it, or memory is
    /// short. Another one goes on, but not for ever.
    fn lost_closer(&mut self, status: ExitStatus) {
        if self.supervisor.phase() != Phase::ClosingFilesystems {
            return;
        }
        self.closing.lost = self.closing.lost.saturating_add(1);
        let goes_on = self.closing.lost < CLOSERS_MAX;
        let what = if goes_on { "another one goes on" } else { "syncing only" };
        log::error!("the child that closes the file systems: {}; {what}", Exit(status));
        let outcome = if goes_on { self.close_file_systems() } else { sync_only() };
        if let Some(outcome) = outcome {
            self.feed(outcome);
        }
    }

    /// The last call; again later if the kernel refuses it, for exiting would be a panic.
    pub(crate) fn power(&mut self, power: Power) {
        self.watchdog.before(power, self.now);
        let refused = crate::close::power(power).is_err();
        if refused && power == Power::Reboot {
            self.watchdog.starve();
        }
        self.closing.refused = refused.then(|| (power, self.now.after(POWER_AGAIN_MS)));
    }

    /// Asks for a refused end again, when it is time.
    pub(crate) fn power_again(&mut self) {
        if let Some((power, again)) = self.closing.refused
            && again <= self.now
        {
            self.power(power);
        }
    }
}

/// The kernel does it on its own, and we do not wait for a disk that is dead: the core gives it the time
/// that closing would have had.
fn sync_only() -> Option<Event<'static>> {
    let begun = crate::boot::owns_machine() && ettan_sys::reboot::sync_by_sysrq().is_ok();
    (!begun).then_some(Event::FilesystemsClosed)
}

/// The digits of a u64, and the end.
const DIGITS_MAX: usize = 21;

/// A number as an argument.
fn digits(number: u64, room: &mut [u8; DIGITS_MAX]) -> &CStr {
    use std::io::Write;
    let _ = write!(&mut room[..], "{number}");
    CStr::from_bytes_until_nul(room).unwrap_or(c"0")
}
