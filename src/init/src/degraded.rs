//! What does not work just now, since when and why: the one place that knows, for `ettan status`
//! and for the log. Tells what is tried again, mends nothing itself.
//!
//! What the kernel lacks for good is a fall-back, not this: degraded heals.

use crate::report::Cause;
use ettan_core::Millis;
use ettan_sys::Errno;
use ettan_wire::{Span, Text};

/// Between two complaints about the same thing, when it comes and goes.
const COMPLAIN_EVERY_MS: u64 = 10_000;

/// How long a trouble counts that did not show again.
const FORGET_MS: u64 = 60_000;

/// How often what is degraded is tried again.
const MEND_EVERY_MS: u64 = 250;

/// What PID 1 does, each of which can be out of order for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Waiting for descriptors: PID 1 looks around instead.
    Waiting,
    /// Receiving signals: exits are found by looking.
    Signals,
    /// Taking the status of children that ended.
    Reaping,
    /// Sending a signal to a process of a unit.
    Signalling,
    /// Starting a process.
    Starting,
    /// Looking into cgroups and /proc for what is left of a unit.
    Looking,
    /// Letting clients in.
    Control,
    /// Showing new log pipes to the logger.
    Logging,
    /// Telling the prober of units.
    Probing,
    /// The socket where services say that they are ready.
    Notifying,
    /// Being told of changed PID files and empty cgroups.
    Watching,
    /// Taking the table that a loader made.
    Loading,
    /// PID 1's own log, /dev/log and /dev/kmsg.
    Hearing,
    /// Going on after a fault of PID 1.
    Surviving,
    /// The loop itself: it turns without doing anything.
    Loop,
}

const TASKS: [Task; 15] = [
    Task::Waiting,
    Task::Signals,
    Task::Reaping,
    Task::Signalling,
    Task::Starting,
    Task::Looking,
    Task::Control,
    Task::Logging,
    Task::Probing,
    Task::Notifying,
    Task::Watching,
    Task::Loading,
    Task::Hearing,
    Task::Surviving,
    Task::Loop,
];

impl Task {
    /// What is degraded, and what is done meanwhile.
    const fn words(self) -> &'static str {
        match self {
            Self::Waiting => "waiting for events, looking around instead",
            Self::Signals => "receiving signals, looking for exits instead",
            Self::Reaping => "reaping",
            Self::Signalling => "sending signals",
            Self::Starting => "starting processes",
            Self::Looking => "looking for leftovers",
            Self::Control => "control socket",
            Self::Logging => "showing pipes to the logger",
            Self::Probing => "telling the prober of units",
            Self::Notifying => "the socket of sd_notify",
            Self::Watching => "watching files, polling instead",
            Self::Loading => "taking the unit table",
            Self::Hearing => "PID 1's own log, /dev/log or /dev/kmsg",
            Self::Surviving => "surviving a fault of PID 1, which would be the end of the machine",
            Self::Loop => "the loop, slowed down because it spins (a bug)",
        }
    }

    /// The word for programs.
    const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Signals => "signals",
            Self::Reaping => "reaping",
            Self::Signalling => "signalling",
            Self::Starting => "starting",
            Self::Looking => "looking",
            Self::Control => "control",
            Self::Logging => "logging",
            Self::Probing => "probing",
            Self::Notifying => "notifying",
            Self::Watching => "watching",
            Self::Loading => "loading",
            Self::Hearing => "hearing",
            Self::Surviving => "surviving",
            Self::Loop => "loop",
        }
    }
}

/// Whether this says that the machine has no such thing, or that it is forbidden: nothing to be tried again.
pub(crate) const fn is_for_good(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::NOENT
            | Errno::NOTDIR
            | Errno::NODEV
            | Errno::NXIO
            | Errno::PERM
            | Errno::ACCESS
            | Errno::ROFS
            | Errno::NOSYS
            | Errno::AFNOSUPPORT
            // Something else is mounted there: a container's /dev/log may be the host's.
            | Errno::BUSY
            | Errno::ISDIR
    )
}

/// One thing's trouble.
#[derive(Clone, Copy)]
struct Trouble {
    since: Millis,
    last: Millis,
    /// What the kernel said last; None where it said nothing.
    errno: Option<Errno>,
}

/// All that is degraded.
#[derive(Default)]
pub(crate) struct Degraded {
    troubles: [Option<Trouble>; TASKS.len()],
    said: [Option<Millis>; TASKS.len()],
    /// When it is tried again.
    mend_at: Millis,
}

impl Degraded {
    /// It did not work just now. Said at most every ten seconds, however often it happens.
    pub(crate) fn note(&mut self, now: Millis, task: Task, errno: Errno) {
        self.put(now, task, Some(errno));
    }

    /// The loop turns and nothing is done.
    pub(crate) fn note_spinning(&mut self, now: Millis) {
        self.put(now, Task::Loop, None);
    }

    fn put(&mut self, now: Millis, task: Task, errno: Option<Errno>) {
        let Some(place) = self.troubles.get_mut(task as usize) else { return };
        let since = place.map_or(now, |trouble| trouble.since);
        let is_new = place.replace(Trouble { since, last: now, errno }).is_none();
        if is_new
            && let Some(said) = self.said.get_mut(task as usize)
            && said.is_none_or(|at| now.since(at) >= COMPLAIN_EVERY_MS)
        {
            *said = Some(now);
            match errno {
                Some(errno) => log::error!("degraded: {}: {}", task.words(), Cause(errno)),
                None => log::error!("degraded: {}", task.words()),
            }
        }
    }

    /// It works.
    pub(crate) fn heal(&mut self, now: Millis, task: Task) {
        let trouble = self.troubles.get_mut(task as usize).and_then(Option::take);
        let said = self.said.get(task as usize).copied().flatten();
        if let Some(trouble) = trouble
            && said.is_some_and(|at| at >= trouble.since)
        {
            let span = Span(now.since(trouble.since));
            log::info!("healed after {span}: {}", task.words());
        }
    }

    /// What is not tried unless somebody asks for it counts as healed after a while.
    pub(crate) fn expire(&mut self, now: Millis, task: Task) {
        let trouble = self.troubles.get(task as usize).copied().flatten();
        if trouble.is_some_and(|trouble| now.since(trouble.last) > FORGET_MS) {
            self.heal(now, task);
        }
    }

    /// `note` or `heal`, as it went.
    pub(crate) fn judge<T>(
        &mut self,
        now: Millis,
        task: Task,
        outcome: Result<T, Errno>,
    ) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.heal(now, task);
                Some(value)
            }
            Err(errno) => {
                self.note(now, task, errno);
                None
            }
        }
    }

    /// Whether this is degraded.
    pub(crate) fn has(&self, task: Task) -> bool {
        self.troubles.get(task as usize).is_some_and(Option::is_some)
    }

    /// When something degraded is due to be tried again.
    pub(crate) fn next_mending(&self) -> Option<Millis> {
        self.any().then_some(self.mend_at)
    }

    /// Whether it is time to try again, which is so for this once.
    pub(crate) fn take_mending(&mut self, now: Millis) -> bool {
        let is_due = self.any() && self.mend_at <= now;
        if is_due {
            self.mend_at = now.after(MEND_EVERY_MS);
        }
        is_due
    }

    fn any(&self) -> bool {
        self.troubles.iter().any(Option::is_some)
    }

    /// `starting: out of descriptors, for 12 s; control: …`, or nothing.
    pub(crate) fn text(&self, now: Millis) -> Text<256> {
        let mut text = heapless::String::<256>::new();
        for (task, trouble) in TASKS.into_iter().zip(self.troubles) {
            let Some(Trouble { since, errno, .. }) = trouble else { continue };
            let mark = if text.is_empty() { "" } else { "; " };
            let span = Span(now.since(since));
            let word = task.word();
            let one: Text<128> = match errno {
                Some(errno) => {
                    Text::format(format_args!("{mark}{word}: {}, for {span}", Cause(errno)))
                }
                None => Text::format(format_args!("{mark}{word}, for {span}")),
            };
            // Whole entries only; there is always the log.
            let _ = text.push_str(&one);
        }
        Text::from(text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Degraded, Errno, Millis, TASKS, Task};

    #[test]
    fn every_task_has_its_own_place() {
        for (place, task) in TASKS.into_iter().enumerate() {
            assert_eq!(task as usize, place, "{task:?}");
        }
    }

    #[test]
    fn what_is_degraded_is_told_until_it_heals() {
        let mut degraded = Degraded::default();
        degraded.note(Millis(1_000), Task::Starting, Errno::MFILE);
        degraded.note(Millis(9_000), Task::Starting, Errno::NOMEM);
        degraded.note(Millis(12_000), Task::Control, Errno::MFILE);
        let text = degraded.text(Millis(13_000));
        assert!(text.starts_with("starting: ") && text.contains("for 12 s; control: "), "{text:?}");
        degraded.heal(Millis(14_000), Task::Starting);
        assert!(!degraded.has(Task::Starting) && degraded.has(Task::Control));
        degraded.heal(Millis(14_000), Task::Control);
        assert!(!degraded.any() && degraded.text(Millis(15_000)).is_empty());
    }

    #[test]
    fn all_at_once_still_fits_or_is_cut_between_entries() {
        let mut degraded = Degraded::default();
        for task in TASKS {
            degraded.note(Millis(0), task, Errno::MFILE);
        }
        let text = degraded.text(Millis(86_400_000));
        assert!(!text.is_empty() && text.split("; ").all(|one| one.contains(", for ")), "{text:?}");
    }
}
