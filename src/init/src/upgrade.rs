//! Another file in the place of the one that PID 1 runs: tries it out as a child, then executes
//! it. Whoever asked is told why when nothing came of it.
//!
//! The child gets a copy of the state and the table in force, does with them what an execution of
//! it as PID 1 would do first, and says so. It has nothing else of PID 1's, and not for long.
#![allow(
    clippy::result_large_err,
    reason = "the reason is text, and there is no heap to put it in"
)]

use crate::helper::{Helper, PROGRAM, own_file};
use crate::memory::Memory;
use crate::past;
use crate::pid1::Pid1;
use crate::report::Cause;
use core::fmt::{self, Display, Formatter};
use ettan_core::{Catalog, ExitStatus, Millis, Phase, Pid, Supervisor};
use ettan_sys::spawn::{self, SpawnPlan, Strings};
use ettan_sys::{Errno, OwnedFd, cgroup, clock, memory, pipe, process, reexec, signals, words};
use ettan_table::Table;
use ettan_wire::Text;
use std::os::fd::{AsFd, BorrowedFd};

/// How a child begins that looks whether it could be PID 1, and can; its version follows. A program that is not Ettan says
/// something else, whatever it exits with.
const VOW: &str = "ettan-init can go on, version ";

/// A Pi Zero under load needs a second for it.
const CHECK_MS: u64 = 10_000;

/// As much of what the child says as is told.
const WORDS_MAX: usize = 300;

/// What the child finds open: the copy of the state, the table, and its own file.
const STATE: u8 = 3;
const TABLE: u8 = 4;
const FILE: i32 = 5;

/// How far an upgrade has come.
pub(crate) enum Upgrade {
    /// Nobody asked for one.
    None,
    /// The file is being tried out.
    Checking(Check),
    /// The file is good: it is executed at the end of the turn.
    Ready(OwnedFd),
    /// The machine goes down, and a child copies our own file into memory.
    Moving {
        /// The child.
        child: Pid,
        /// The memory.
        copy: OwnedFd,
        /// When file systems are closed without it: a disk may never answer.
        until: Millis,
    },
    /// We stay what we are, whatever the disk thinks of it.
    Over,
}

/// A file that is being tried out.
pub(crate) struct Check {
    child: Pid,
    file: OwnedFd,
    /// What the child says.
    words: OwnedFd,
    /// When its time is up; None: it was up, and the child killed.
    until: Option<Millis>,
}

impl Upgrade {
    /// When the child's time is up.
    pub(crate) const fn deadline(&self) -> Option<Millis> {
        match self {
            Self::Checking(check) => check.until,
            Self::Moving { until, .. } => Some(*until),
            Self::None | Self::Ready(_) | Self::Over => None,
        }
    }
}

impl Pid1 {
    /// Somebody wants the file at PID 1's path to be executed. Of several who do at a time all
    /// get the same.
    pub(crate) fn ask_for_upgrade(&mut self) {
        match self.upgrade {
            Upgrade::Checking(_) | Upgrade::Ready(_) => {}
            Upgrade::Moving { .. } | Upgrade::Over => {
                self.refuse_upgrade(&why(format_args!("the machine is going down")));
            }
            Upgrade::None => match self.try_out() {
                Ok(check) => self.upgrade = Upgrade::Checking(check),
                Err(why) => self.refuse_upgrade(&why),
            },
        }
    }

    /// Ends a child whose time is up.
    pub(crate) fn mind_upgrade(&mut self) {
        if self.upgrade.deadline().is_none_or(|until| self.now < until) {
            return;
        }
        match &mut self.upgrade {
            Upgrade::Checking(check) => {
                check.until = None;
                // Our own child, not reaped yet.
                let _ = process::kill(check.child.raw(), signals::KILL);
            }
            Upgrade::Moving { child, .. } => {
                let _ = process::kill(child.raw(), signals::KILL);
                log::error!("PID 1's file was replaced, and copying it takes too long");
                self.upgrade = Upgrade::Over;
                self.close_after_all();
            }
            Upgrade::None | Upgrade::Ready(_) | Upgrade::Over => {}
        }
    }

    /// A child ended: the one that tries the file out, perhaps.
    pub(crate) fn check_ended(&mut self, pid: Pid, status: ExitStatus) {
        if matches!(self.upgrade, Upgrade::Moving { child, .. } if child == pid) {
            return self.moved(status);
        }
        if !matches!(&self.upgrade, Upgrade::Checking(check) if check.child == pid) {
            return;
        }
        let found = core::mem::replace(&mut self.upgrade, Upgrade::None);
        let Upgrade::Checking(found) = found else { return };
        match found.verdict(status) {
            Ok(version) => {
                log::info!("PID 1 is to be Ettan {version} instead of {}", crate::VERSION);
                self.upgrade = Upgrade::Ready(found.file);
            }
            Err(why) => self.refuse_upgrade(&why),
        }
    }

    /// The end of a turn: everything is done and written.
    pub(crate) fn after_save(&mut self) {
        self.past.after_turn(self.now);
        if !matches!(self.upgrade, Upgrade::Ready(_)) {
            return;
        }
        let Upgrade::Ready(file) = core::mem::replace(&mut self.upgrade, Upgrade::None) else {
            return;
        };
        if self.past.behind {
            return self.refuse_upgrade(&why(format_args!(
                "the state of units cannot be recorded, try again later"
            )));
        }
        crate::report::flush();
        let errno = reexec::upgrade(file);
        self.refuse_upgrade(&why(format_args!("cannot be executed: {}", Cause(errno))));
    }

    /// Before file systems are closed: when our own file was replaced and has no name any more, the
    /// one it is on could not be made read-only (`tests/FAULTS.md` 8.6). A child copies it into memory,
    /// since reading a disk may take for ever: it has a third of the time that there is. True: what
    /// follows, follows from the child's end.
    pub(crate) fn leave_disk(&mut self) -> bool {
        let left_ms = self.supervisor.phase_ends().since(self.now);
        let third = self.now.after(left_ms.checked_div(3).unwrap_or(0));
        if let Upgrade::Moving { until, .. } = &mut self.upgrade {
            // Less time than it was told of before.
            *until = third.min(*until);
            return true;
        }
        if matches!(self.upgrade, Upgrade::Over) || !reexec::is_nameless() {
            return false;
        }
        let begun = memory::memfd_create(PROGRAM).map_err(Cause).and_then(|copy| {
            let child = self.spawn_copier(&copy);
            child.map(|child| Upgrade::Moving { child, copy, until: third }).map_err(Cause)
        });
        match begun {
            Ok(moving) => {
                self.upgrade = moving;
                true
            }
            Err(cause) => {
                log::error!("PID 1's file was replaced, and cannot be copied: {cause}");
                self.upgrade = Upgrade::Over;
                false
            }
        }
    }

    fn moved(&mut self, status: ExitStatus) {
        let moving = core::mem::replace(&mut self.upgrade, Upgrade::Over);
        if let (Upgrade::Moving { copy, .. }, ExitStatus::Code(0)) = (moving, status) {
            self.save(false);
            crate::report::flush();
            let errno = reexec::move_to(copy);
            log::error!("PID 1's file was replaced, and its copy not executed: {}", Cause(errno));
        }
        self.close_after_all();
    }

    fn close_after_all(&mut self) {
        if let Some(outcome) = self.close_file_systems() {
            self.feed(outcome);
        }
    }

    fn refuse_upgrade(&mut self, why: &Why) {
        let path = reexec::path().to_str().unwrap_or("(its file)");
        let text: Text<512> =
            Text::format(format_args!("{path}: {why}; Ettan {} goes on", crate::VERSION));
        log::error!("{text}");
        self.tell_not_executed(&text);
    }

    /// Starts the child.
    fn try_out(&self) -> Result<Check, Why> {
        if self.supervisor.phase() != Phase::Running {
            return Err(why(format_args!("the machine is going down")));
        }
        if self.past.trial != past::Trial::Over {
            return Err(why(format_args!("the last new one is still on trial; try again")));
        }
        let Some(memory) = &self.past.memory else {
            return Err(why(format_args!("there is no memory for the state of PID 1")));
        };
        let cannot = |errno| why(format_args!("cannot be tried out: {}", Cause(errno)));
        let file = reexec::open_program().map_err(|errno| why(format_args!("{}", Cause(errno))))?;
        let state = memory.copy_for_check().map_err(cannot)?;
        let words = pipe::pipe().map_err(cannot)?;
        pipe::set_nonblocking(&words.read, true).map_err(cannot)?;
        let child = self
            .spawn_check(&file, &state, &words.write)
            .map_err(|errno| why(format_args!("cannot be executed: {}", Cause(errno))))?;
        let until = Some(self.now.after(CHECK_MS));
        Ok(Check { child, file, words: words.read, until })
    }

    fn spawn_check(&self, file: &OwnedFd, state: &OwnedFd, words: &OwnedFd) -> Result<Pid, Errno> {
        let placed: [(Option<BorrowedFd<'_>>, i32); 6] = [
            (self.reserve.null().map(AsFd::as_fd), 0),
            (Some(words.as_fd()), 1),
            (Some(words.as_fd()), 2),
            (Some(state.as_fd()), i32::from(STATE)),
            (self.tables.former(), i32::from(TABLE)),
            (Some(file.as_fd()), FILE),
        ];
        let fds: heapless::Vec<_, 6> =
            placed.into_iter().filter_map(|(fd, number)| Some((fd?, number))).collect();
        let pid = spawn::spawn(&SpawnPlan {
            program: c"/proc/self/fd/5",
            argv: &Strings::of(Helper::Check.argv())?,
            envp: &Strings::new(),
            fds: &fds,
            tty_path: None,
            tty_fds: [true; 3],
            identity: None,
            working_directory: None,
            umask: 0o022,
            cgroup: None,
            oom_score_adj: 0,
            rights: spawn::Rights::default(),
        })
        .map_err(|fault| fault.errno)?;
        Pid::new(pid).ok_or(Errno::SRCH)
    }
}

impl Check {
    /// The version that may be executed, or why none.
    fn verdict(&self, status: ExitStatus) -> Result<Text<32>, Why> {
        let mut words = [0; WORDS_MAX];
        let length = pipe::read(&self.words, &mut words).unwrap_or(0);
        let words = words.get(..length).unwrap_or_default();
        let words = words.utf8_chunks().next().map_or("", |chunk| chunk.valid()).trim_end();
        let check = Helper::Check.text();
        if self.until.is_none() {
            let limit = ettan_wire::Span(CHECK_MS);
            return Err(why(format_args!("{check} did not end within {limit}")));
        }
        match (status, words.strip_prefix(VOW)) {
            (ExitStatus::Code(0), Some(version)) => Ok(Text::from(version)),
            (ExitStatus::Code(0), None) => {
                Err(why(format_args!("is no Ettan that could go on here ({})", OneLine(words))))
            }
            (ExitStatus::Code(_) | ExitStatus::Signal { .. }, _) => {
                let how = crate::control::describe::Exit(status);
                Err(why(format_args!("{check} {how}: {}", OneLine(words))))
            }
        }
    }
}

/// Why a file is not executed.
type Why = Text<400>;

fn why(text: fmt::Arguments<'_>) -> Why {
    Text::format(text)
}

/// Several lines as one.
struct OneLine<'a>(&'a str);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (place, line) in self.0.lines().filter(|line| !line.is_empty()).enumerate() {
            f.write_str(if place == 0 { "" } else { "; " })?;
            f.write_str(line)?;
        }
        Ok(())
    }
}

/// `ettan-init copy`: the program's own file into descriptor 3.
pub(crate) fn copier_main() -> i32 {
    let copied = std::fs::read(own_file()).map_err(|error| error.to_string()).and_then(|own| {
        let copy = pipe::inherited(STATE).map_err(|errno| errno.to_string())?;
        memory::write_all(copy, &own).map_err(|errno| errno.to_string())
    });
    match copied {
        Ok(()) => 0,
        Err(why) => {
            words::say("PID 1's own file", format_args!("it cannot be copied: {why}"));
            1
        }
    }
}

/// `ettan-init --check-state`: does with the copies of state and table what PID 1 would do first.
pub(crate) fn helper_main() -> i32 {
    let (text, status) = match take_over() {
        Ok(()) => (format!("{VOW}{}", crate::VERSION), 0),
        Err(why) => (why, 1),
    };
    println!("{text}");
    status
}

fn take_over() -> Result<(), String> {
    let state = pipe::inherited(STATE)
        .map_err(|_| "this is for PID 1 to ask: there is no state to check".to_owned())?;
    let mut supervisor = Box::new(Supervisor::new());
    let memory = Memory::over(state).ok();
    let whole = memory.as_ref().and_then(past::read_whole);
    let restored = memory.as_ref().and_then(|memory| past::restore(memory, &mut supervisor));
    let Some(whole) = whole.filter(|_| restored.is_some()) else {
        return match cgroup::Tree::find(cgroup::BASE) {
            Some(_) => Ok(()),
            None => Err("the state is another version's, and without cgroups \
                         every service would have to be ended"
                .to_owned()),
        };
    };
    let map = pipe::inherited(TABLE).and_then(memory::map_sealed).ok();
    // One that cannot be read is made anew from the unit files.
    let table = map.as_ref().and_then(|map| Table::read(map.bytes()).ok());
    let catalog = table.as_ref().map(|table| table as &dyn Catalog);
    supervisor.restored(Millis(clock::now()), catalog, whole.acting);
    while supervisor.next_action().is_some() {}
    Ok(())
}
