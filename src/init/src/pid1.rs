//! The loop of PID 1, and everything it holds. One thread; after boot no allocation. Holds no
//! decision: those are the core's.

use crate::boot::{self, Ground};
use crate::builtin::Builtins;
use crate::closing::Closing;
use crate::control::Control;
use crate::degraded::{Degraded, Task};
use crate::group::Groups;
use crate::guard::Guard;
use crate::kernel_words::KernelWords;
use crate::late::Late;
use crate::loading::Loading;
use crate::past::{self, Past};
use crate::pipes::Pipes;
use crate::places::Places;
use crate::probes::Probing;
use crate::report;
use crate::reserve::Reserve;
use crate::resume;
use crate::seek::Seekers;
use crate::signals::Signalled;
use crate::state::Part;
use crate::tables::Tables;
use crate::unsent::UnsentList;
use crate::upgrade::Upgrade;
use crate::vitals::Vitals;
use crate::wake::{READY_MAX, Wake, token};
use crate::wall::Wall;
use crate::watchdog::{Keeper, RESET_AHEAD};
use ettan_core::{Action, Event, Millis, Supervisor, UnitId};
use ettan_sys::poll::{Epoll, Ready};
use ettan_sys::{clock, heap};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard};

/// The loop. Follow one event: `wait` learns of it from the kernel, `translate` makes an [`Event`] of what is
/// ready and calls `feed`, the core says what follows, `perform` tells the kernel.
impl Pid1 {
    /// wait → translate → step → perform. What must not wait comes first: signals and the exits
    /// they tell of. Each source has a budget (`REAP_MAX`, `SIGNALS_MAX`, one packet of each
    /// client), and what is left of it comes with the next turn.
    fn turn(&mut self) {
        #[cfg(feature = "fault-injection")]
        if self.past.trial != crate::past::Trial::Over {
            crate::fault::at("turn");
        }
        let mut ready = [Ready::default(); READY_MAX];
        self.guard.work = false;
        let count = self.wait(&mut ready);
        self.now = Millis(clock::now());
        // First of all: whatever else came would go by the time before.
        self.mind_wall();
        let due = self.supervisor.next_deadline().filter(|due| *due <= self.now);
        let is_signal = |ready: &&Ready| ready.token == token::SIGNALS;
        let ready = ready.iter().take(count);
        ready.clone().filter(is_signal).for_each(|ready| self.translate(ready));
        if self.wake.reap_more || !self.wake.hears_signals() {
            self.reap();
        }
        ready.filter(|ready| !is_signal(ready)).for_each(|ready| self.translate(ready));
        self.after_wait();
        self.feed(Event::Tick);
        // A time that is over may only end a count.
        self.guard.work |= due.is_some() && self.supervisor.next_deadline() != due;
        self.offer_rescue();
        self.call_late();
        self.look_at_vitals();
        self.tell_of_reset();
        self.answer_clients();
        self.poll_logger();
        self.poll_prober();
        self.save(false);
        self.after_save();
        report::flush();
        self.guard_loop();
        self.feed_watchdog();
    }

    /// What is due in every turn, whoever woke us.
    fn after_wait(&mut self) {
        self.mend();
        self.mind_wall();
        self.tell_swept();
        self.look_for_main_processes();
        if self.loading.again_at.is_some_and(|at| at <= self.now) {
            self.reload();
        }
        self.mind_upgrade();
        self.power_again();
    }

    /// Gives the core an event, and performs everything that follows from it. What a performed
    /// action leads to is the next event; nothing recurses.
    pub(crate) fn feed(&mut self, event: Event<'_>) {
        self.supervisor.handle(self.now, event);
        self.drain();
    }

    /// Performs what the core has asked for until it asks for nothing more.
    pub(crate) fn drain(&mut self) {
        while let Some(action) = self.supervisor.next_action() {
            if let Action::Spawn { unit, .. } | Action::Announce { unit } = action {
                if self.begins_a_launch(&action) {
                    self.groups.promise(unit);
                }
                self.supervisor.not_saved(unit);
            }
            if !matches!(action, Action::Publish(_)) && self.supervisor.has_changed() {
                self.save(true);
            }
            self.guard.work = true;
            if let Some(outcome) = self.perform(action) {
                self.supervisor.handle(self.now, outcome);
            }
            if let Some(outcome) = self.end_of_launcher() {
                self.supervisor.handle(self.now, outcome);
            }
        }
    }
}

/// Without signalfd or without cgroups some news arrive only by looking.
const LOOK_ANYWAY_MS: u64 = 1_000;
const SWEEP_AGAIN_MS: u64 = 100;

impl Pid1 {
    /// How long the kernel may let us wait; None: until something happens.
    pub(crate) fn timeout_ms(&self) -> Option<u64> {
        // It is found at the end of a turn.
        if self.wake.reap_more || self.watchdog.has_news() {
            return Some(0);
        }
        let deadlines = [
            self.supervisor.next_deadline(),
            self.seekers.next_deadline(),
            self.control.next_deadline(),
            self.loading.again_at,
            self.closing.next_deadline(),
            self.upgrade.deadline(),
            self.past.trial.deadline(),
            self.watchdog.next_deadline(),
            self.vitals.next_deadline(),
            self.wall.next_deadline(),
            self.late.deadline(self.control.boot_over().is_some()),
            self.groups.must_look_again().then(|| self.now.after(SWEEP_AGAIN_MS)),
            (!self.wake.hears_signals()).then(|| self.now.after(LOOK_ANYWAY_MS)),
            self.degraded.next_mending(),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.since(Millis(clock::now())))
    }
}

/// Everything PID 1 holds. Each part is of the file that has its type, which has most of what is done with
/// it.
pub(crate) struct Pid1 {
    /// The time of this turn.
    pub(crate) now: Millis,
    /// What wakes us, and what signals have left.
    pub(crate) wake: Wake,
    pub(crate) signalled: Signalled,
    /// What is decided.
    pub(crate) supervisor: MutexGuard<'static, Supervisor>,
    pub(crate) wall: Wall,
    /// What units are, and the life of who reads them.
    pub(crate) builtins: Option<Builtins>,
    pub(crate) tables: Tables,
    pub(crate) loading: Loading,
    pub(crate) late: Late,
    /// The processes of units.
    pub(crate) groups: Groups,
    pub(crate) seekers: Seekers,
    pub(crate) places: Places,
    /// Whom it tells, and who tells it.
    pub(crate) pipes: Pipes,
    pub(crate) probes: Probing,
    pub(crate) control: Control,
    /// What does not work just now, and what helps meanwhile.
    pub(crate) degraded: Degraded,
    pub(crate) unsent: UnsentList,
    pub(crate) reserve: Reserve,
    /// Whether this loop makes progress, and whether the machine does what it is for.
    pub(crate) guard: Guard,
    pub(crate) watchdog: Keeper,
    pub(crate) vitals: Vitals,
    /// What the execution after this one will find and what this one found, and another file to be executed
    /// in place of this one.
    pub(crate) past: Past,
    pub(crate) upgrade: Upgrade,
    /// How far the end of the machine is.
    pub(crate) closing: Closing,
}

/// All units. Static, so that the memory of units that are not there is never touched.
static SUPERVISOR: Mutex<Supervisor> = Mutex::new(Supervisor::new());

/// PID 1 from its first line to reboot(2).
pub(crate) fn main() -> ExitCode {
    #[cfg(feature = "fault-injection")]
    crate::fault::at("main");
    ettan_sys::reexec::learn_path(own_word());
    let mut past = past::find();
    let is_first = !past.exists();
    let mut ground = boot::before_logging(is_first);
    past.begin();
    // Our own file is found by /proc, which the kernel has not mounted.
    past.arm_memory();
    past.arm();
    let pipes = resume::pipes(&mut past);
    // Noted when it is tried again.
    let _ = report::connect(pipes.own());
    report::start();
    boot::after_logging(&mut ground, is_first);
    past.tell();
    let (mut pid1, parts) = Pid1::new(ground, pipes, past);
    // Before the loader says something.
    report::flush();
    match parts {
        Some(parts) => pid1.resume(&parts),
        None => pid1.start(is_first),
    }
    report::flush();
    heap::seal();
    loop {
        pid1.turn();
    }
}

/// What the kernel was told to execute.
fn own_word() -> Option<std::ffi::CString> {
    let path = std::env::args_os().next()?;
    std::ffi::CString::new(std::os::unix::ffi::OsStringExt::into_vec(path)).ok()
}

impl Pid1 {
    /// With what the execution before said of its units, if there was one.
    fn new(ground: Ground, pipes: Pipes, mut past: Past) -> (Self, Option<Vec<(UnitId, Part)>>) {
        let mut supervisor = SUPERVISOR.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        supervisor.seed(ettan_sys::random::number());
        let parts = resume::units(&mut past, &mut supervisor);
        let words = KernelWords::read();
        supervisor.bound_shutdown(words.shutdown_ms);
        let probes = resume::probes(&mut past);
        let builtins = Builtins::of(&mut supervisor);
        let now = Millis(clock::now());
        let mut degraded = Degraded::default();
        let (open, ours) = (past.take_watchdog(), boot::owns_machine());
        let mut watchdog = Keeper::new(open, ours, words.watchdog, now);
        watchdog.told_before(supervisor.holds(RESET_AHEAD));
        let vitals = Vitals::new(&supervisor, words.proof_ms.into(), now);
        let inotify = ettan_sys::inotify::Inotify::new();
        let inotify = degraded.judge(now, Task::Watching, inotify);
        let epoll = degraded.judge(now, Task::Waiting, Epoll::new());
        if let Some(errno) = ground.no_signals {
            degraded.note(now, Task::Signals, errno);
        }
        if let Some(errno) = past.defenceless {
            degraded.note(now, Task::Surviving, errno);
        }
        let pid1 = Self {
            now,
            supervisor,
            builtins,
            tables: Tables::default(),
            groups: Groups::new(ground.cgroups),
            seekers: Seekers::new(inotify),
            pipes,
            places: Places::new(),
            probes,
            control: Control::new(token::CONTROL),
            wake: Wake::new(epoll, ground.signals),
            closing: Closing::default(),
            loading: Loading::default(),
            late: Late::new(now),
            signalled: Signalled::default(),
            degraded,
            unsent: UnsentList::new(),
            reserve: Reserve::new(),
            guard: Guard::default(),
            past,
            upgrade: Upgrade::None,
            watchdog,
            vitals,
            wall: Wall::default(),
        };
        (pid1, parts)
    }

    /// Registers what is polled, opens the control socket, and lets the first units start: the
    /// loader among them.
    fn start(&mut self, is_first: bool) {
        if !is_first {
            self.clear_away();
        }
        self.begin(None);
        self.feed(Event::Tick);
    }

    /// With the listening socket of the execution before, if there was one.
    pub(crate) fn begin(&mut self, listener: Option<OwnedFd>) {
        self.restock();
        self.poll_sources();
        self.open_control(listener);
        self.mend_notify();
        self.mend_hearing();
    }
}
