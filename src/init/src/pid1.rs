//! The loop of PID 1, and everything it holds. One thread; after boot no allocation. Holds no
//! decision: those are the core's.

use crate::boot::{self, Ground};
use crate::builtin::Builtins;
use crate::closing::Closing;
use crate::control::describe::{self, Sources};
use crate::control::{Command, Context, Control, TableFacts};
use crate::degraded::{Degraded, Feature};
use crate::group::{Groups, runs_beside};
use crate::guard::{self, Guard};
use crate::kernel_words::KernelWords;
use crate::late::Late;
use crate::loading::Loading;
use crate::marks::Mark;
use crate::past::{self, Past};
use crate::pipes::Pipes;
use crate::places::Places;
use crate::probes::Probes;
use crate::report;
use crate::reserve::Reserve;
use crate::resume;
use crate::seek::{Seekers, View};
use crate::state::Part;
use crate::tables::Tables;
use crate::unsent::UnsentList;
use crate::upgrade::Upgrade;
use crate::vitals::Vitals;
use crate::wall::Wall;
use crate::watchdog::{Keeper, RESET_AHEAD};
use core::ffi::CStr;
use ettan_core::{
    Action, Event, Millis, Notice, Probes as Duty, Program, State, Supervisor, UnitId,
};
use ettan_sys::poll::{Epoll, Interest, Ready};
use ettan_sys::signals::Signals;
use ettan_sys::{Errno, clock, heap};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard};

/// How many ready descriptors one turn takes; the rest stay ready for the next.
const READY_MAX: usize = 64;

/// Without signalfd or without cgroups some news arrive only by looking.
const LOOK_ANYWAY_MS: u64 = 1_000;
const SWEEP_AGAIN_MS: u64 = 100;

pub(crate) const CONTROL_SOCKET: &CStr = c"/run/ettan/control.sock";

/// All units. Static, so that the memory of units that are not there is never touched.
static SUPERVISOR: Mutex<Supervisor> = Mutex::new(Supervisor::new());

/// Which descriptor is ready. The control socket numbers its own from `CONTROL` on.
pub(crate) mod token {
    pub(crate) const SIGNALS: u64 = 0;
    pub(crate) const INOTIFY: u64 = 1;
    pub(crate) const LOGGER: u64 = 2;
    pub(crate) const PROBER: u64 = 3;
    pub(crate) const WALL: u64 = 4;
    pub(crate) const CONTROL: u64 = 16;
    /// And the unit's number. The control socket's have nothing there (see [`Control::new`]).
    ///
    /// [`Control::new`]: crate::control::Control
    pub(crate) const PLACES: u64 = 1 << 31;
}

/// Everything PID 1 holds.
pub(crate) struct Pid1 {
    pub(crate) now: Millis,
    pub(crate) supervisor: MutexGuard<'static, Supervisor>,
    pub(crate) builtins: Option<Builtins>,
    pub(crate) tables: Tables,
    pub(crate) groups: Groups,
    pub(crate) seekers: Seekers,
    pub(crate) pipes: Pipes,
    pub(crate) places: Places,
    pub(crate) probes: Probes,
    pub(crate) control: Control,
    pub(crate) epoll: Option<Epoll>,
    pub(crate) signals: Option<Signals>,
    /// More children may be waiting than one turn reaps.
    pub(crate) reap_more: bool,
    /// How far the end of the machine is.
    pub(crate) closing: Closing,
    pub(crate) loading: Loading,
    /// What logger and watcher wait for.
    pub(crate) late: Late,
    /// Ctrl-Alt-Del presses within `translate::CAD_WINDOW_MS`.
    pub(crate) cad: crate::translate::CtrlAltDel,
    /// Signals without a meaning.
    pub(crate) strays: crate::translate::Strays,
    /// What does not work just now, and when it is tried again.
    pub(crate) degraded: Degraded,
    pub(crate) unsent: UnsentList,
    pub(crate) reserve: Reserve,
    /// Slows down a loop that spins.
    pub(crate) guard: Guard,
    pub(crate) signals_polled: bool,
    pub(crate) inotify_polled: bool,
    /// What the execution after this one will find, and what this one found.
    pub(crate) past: Past,
    /// Another file to be executed in place of this one.
    pub(crate) upgrade: Upgrade,
    /// Resets the machine when this loop stands still.
    pub(crate) watchdog: Keeper,
    pub(crate) vitals: Vitals,
    /// What the core was told of the wall clock.
    pub(crate) wall: Wall,
}

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
        let inotify = degraded.judge(now, Feature::Watching, inotify);
        let epoll = degraded.judge(now, Feature::Waiting, Epoll::new());
        if let Some(errno) = ground.no_signals {
            degraded.note(now, Feature::Signals, errno);
        }
        if let Some(errno) = past.defenceless {
            degraded.note(now, Feature::Surviving, errno);
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
            epoll,
            signals: ground.signals,
            reap_more: false,
            closing: Closing::default(),
            loading: Loading::default(),
            late: Late::new(now),
            cad: crate::translate::CtrlAltDel::default(),
            strays: crate::translate::Strays::default(),
            degraded,
            unsent: UnsentList::new(),
            reserve: Reserve::new(),
            guard: Guard::default(),
            signals_polled: false,
            inotify_polled: false,
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
        if self.reap_more || !self.signals_polled {
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
        self.after_turn();
        self.poll_logger();
        self.poll_prober();
        self.save(false);
        self.after_save();
        report::flush();
        self.guard_loop();
        self.feed_watchdog();
    }

    fn wait(&mut self, ready: &mut [Ready; READY_MAX]) -> usize {
        if self.guard.slow() {
            clock::pause(guard::PAUSE_MS);
        }
        let timeout_ms = self.timeout_ms();
        let waited = match &self.epoll {
            Some(epoll) => epoll.wait(ready, timeout_ms),
            None => Err(Errno::BADF),
        };
        match waited {
            Ok(count) => {
                self.degraded.heal(self.now, Feature::Waiting);
                if self.guard.slow() {
                    // Perhaps what is ready is not told of.
                    self.look_around();
                } else if !self.signals_polled {
                    self.read_signals();
                }
                count
            }
            Err(errno) => {
                if self.epoll.is_some() {
                    self.degraded.note(self.now, Feature::Waiting, errno);
                }
                self.wait_blindly(timeout_ms);
                self.now = Millis(clock::now());
                self.look_around();
                0
            }
        }
    }

    fn timeout_ms(&self) -> Option<u64> {
        // It is found at the end of a turn.
        if self.reap_more || self.watchdog.has_news() {
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
            (!self.signals_polled).then(|| self.now.after(LOOK_ANYWAY_MS)),
            self.degraded.next_mending(),
        ];
        let next = deadlines.into_iter().flatten().min()?;
        Some(next.since(Millis(clock::now())))
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

    /// Whether this is the first thing that is done for a new launch. The prober knows the launch of
    /// a program that it is told of before by its cookie: that one has it from then on.
    fn begins_a_launch(&self, action: &Action) -> bool {
        match *action {
            Action::Announce { .. } => true,
            Action::Spawn { unit, what: Program::Main } => {
                let policy = self.supervisor.unit(unit);
                policy.is_none_or(|unit| unit.probes == Duty::Nothing)
            }
            Action::Spawn { what: what @ Program::Hook(..), .. } => !runs_beside(what),
            Action::Signal { .. }
            | Action::Sweep { .. }
            | Action::SeekMain { .. }
            | Action::Forget { .. }
            | Action::Publish(_)
            | Action::KillStrays { .. }
            | Action::KillRest
            | Action::CloseFilesystems
            | Action::Power(_) => false,
        }
    }

    /// What a look at processes and PID files needs to see.
    pub(crate) fn split(&mut self) -> (&mut Seekers, View<'_>) {
        let view =
            View { supervisor: &self.supervisor, groups: &self.groups, tables: &self.tables };
        (&mut self.seekers, view)
    }

    /// Serves a descriptor of the control socket.
    pub(crate) fn serve(&mut self, ready: &Ready) {
        let facts = facts(
            &self.tables,
            &self.past,
            (&self.degraded, &self.probes),
            &self.watchdog,
            self.now,
        );
        let Some(epoll) = &self.epoll else { return };
        let context = Context { now: self.now, supervisor: &self.supervisor, facts: &facts, epoll };
        match self.control.on_ready(ready, &context) {
            None => {}
            Some(Command::Ask { unit, ask }) => self.feed(Event::Ask { unit, ask }),
            Some(Command::Condition { name, holds }) => {
                self.feed(Event::Condition { name: &name, holds });
            }
            Some(Command::Ran { unit, second }) => self.feed(Event::Ran { unit, second }),
            Some(Command::Shutdown { power, force }) => {
                self.feed(Event::Shutdown { power, haste: crate::translate::haste(force) });
            }
            Some(Command::ReloadUnits) => self.reload(),
            Some(Command::Reexec) => self.ask_for_upgrade(),
            Some(Command::Flush) => self.pipes.flush(),
            #[cfg(feature = "fault-injection")]
            Some(Command::Fail(wanted)) => crate::fault::ask(self, wanted),
        }
    }

    /// Tells clients what came of what they asked.
    fn after_turn(&mut self) {
        let facts = facts(
            &self.tables,
            &self.past,
            (&self.degraded, &self.probes),
            &self.watchdog,
            self.now,
        );
        let Some(epoll) = &self.epoll else { return };
        let context = Context { now: self.now, supervisor: &self.supervisor, facts: &facts, epoll };
        if let Some(loaded) = self.loading.outcome.take() {
            let text = describe::reloaded(loaded, &facts);
            self.control.reloaded(loaded, &text, &context);
        }
        self.control.after_turn(&context);
        if let Some((at, errno)) = self.control.trouble()
            && at == self.now
        {
            self.degraded.note(self.now, Feature::Control, errno);
        }
    }

    /// Listens anew if somebody deleted the control socket (`tests/FAULTS.md` 4.5).
    pub(crate) fn mend_control(&mut self) {
        if let Some(epoll) = &self.epoll
            && let Err(errno) = self.control.mend(epoll, CONTROL_SOCKET)
        {
            self.degraded.note(self.now, Feature::Control, errno);
        }
    }

    /// Tells those who asked for it that PID 1 was not executed anew.
    pub(crate) fn tell_not_executed(&mut self, text: &str) {
        let facts = facts(
            &self.tables,
            &self.past,
            (&self.degraded, &self.probes),
            &self.watchdog,
            self.now,
        );
        let Some(epoll) = &self.epoll else { return };
        let context = Context { now: self.now, supervisor: &self.supervisor, facts: &facts, epoll };
        self.control.not_executed(text, &context);
    }

    /// Tells the log and whoever follows events.
    pub(crate) fn publish(&mut self, notice: &Notice) {
        let facts = facts(
            &self.tables,
            &self.past,
            (&self.degraded, &self.probes),
            &self.watchdog,
            self.now,
        );
        let sources = Sources { supervisor: &self.supervisor, facts: &facts, now: self.now };
        self.control.publish(notice, sources);
        if let Notice::State { unit, .. } = *notice {
            self.probes.note(unit);
        }
        if let Notice::State { unit, to, reason, .. } = *notice
            // That one is noted before the program is executed.
            && !matches!(to, State::Starting { .. })
            && self.supervisor.unit(unit).is_some_and(|unit| !unit.builtin)
        {
            self.pipes.mark(Mark { unit, to, reason });
        }
    }

    /// Tells the logger of pipes and of what happened to units, as far as it listens.
    pub(crate) fn tell_logger(&mut self) {
        let untold = self.pipes.untold();
        let told = self.pipes.show(&self.tables).and_then(|()| {
            let facts = facts(
                &self.tables,
                &self.past,
                (&self.degraded, &self.probes),
                &self.watchdog,
                self.now,
            );
            let sources = Sources { supervisor: &self.supervisor, facts: &facts, now: self.now };
            self.pipes.send_marks(sources)
        });
        self.guard.work |= self.pipes.untold() < untold;
        match told {
            Ok(()) => self.degraded.heal(self.now, Feature::Logging),
            Err(errno) => self.degraded.note(self.now, Feature::Logging, errno),
        }
    }

    /// Polls the logger's socket for writing only while there is something to write.
    fn poll_logger(&mut self) {
        self.tell_logger();
        let wanted = self.pipes.has_news().then_some(Interest::Write);
        if let Err(errno) = self.pipes.logger.poll(self.epoll.as_ref(), token::LOGGER, wanted) {
            self.degraded.note(self.now, Feature::Logging, errno);
        }
    }
}

/// What answers need beyond the supervisor. Borrows some fields, so that the others stay free.
fn facts<'a>(
    tables: &'a Tables,
    past: &Past,
    (degraded, probes): (&'a Degraded, &'a Probes),
    watchdog: &'a Keeper,
    now: Millis,
) -> TableFacts<'a> {
    let (table, loaded, history) = (tables.table(), tables.loaded(), past.history());
    TableFacts { table, loaded, degraded, probes, now, history, watchdog }
}
