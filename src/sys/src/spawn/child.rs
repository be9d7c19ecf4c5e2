//! What a child does between birth and execve, in order. Runs in our memory while we are
//! suspended: no heap, no lock, no panic, nothing but system calls.

use super::plan::{MAX_GROUPS, SpawnPlan};
use super::slots::{Filled, close_range};
use super::{Heritage, KILLED, SpawnFault, SpawnStep, fault};
use crate::raw::{check, errno, last, retry};
use crate::{Errno, Result, limits, signals};
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, Ordering};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::fs::{Mode, OFlags};
use rustix::thread::Gid;

/// What the exit status of a child says that could not execute; nobody reads it.
const NOT_EXECUTED: i32 = 127;

/// How far it came, beside the numbers of steps: it is still preparing; it is in execve.
const PREPARING: u8 = 0;
const EXECUTING: u8 = u8::MAX;

/// Everything the child needs, and the two numbers it leaves behind.
#[derive(Debug)]
pub(super) struct Child<'a> {
    plan: &'a SpawnPlan<'a>,
    fds: &'a Filled<'a>,
    groups: [Gid; MAX_GROUPS],
    heritage: Heritage,
    shares_table: bool,
    step: AtomicU8,
    errno: AtomicI32,
    walks_in: AtomicBool,
}

impl<'a> Child<'a> {
    /// `shares_table`: it will be born sharing our descriptors and unshares the low ones.
    pub(super) fn new(plan: &'a SpawnPlan<'a>, fds: &'a Filled<'a>, shares_table: bool) -> Self {
        let mut groups = [Gid::from_raw_unchecked(0); MAX_GROUPS];
        let wanted = plan.identity.map_or(&[][..], |identity| identity.groups);
        for (slot, &group) in groups.iter_mut().zip(wanted) {
            *slot = Gid::from_raw_unchecked(group);
        }
        Self {
            plan,
            fds,
            groups,
            heritage: Heritage::look(),
            shares_table,
            step: AtomicU8::new(PREPARING),
            errno: AtomicI32::new(0),
            walks_in: AtomicBool::new(false),
        }
    }

    pub(super) fn shares_table(&self) -> bool {
        self.shares_table
    }

    pub(super) fn plan(&self) -> &SpawnPlan<'a> {
        self.plan
    }

    /// The cgroup that the kernel is to place it in.
    pub(super) fn birthplace(&self) -> Option<BorrowedFd<'a>> {
        self.plan.cgroup.filter(|_| !self.walks_in.load(Ordering::Relaxed))
    }

    /// The kernel will not place it in its cgroup; it has to go there by itself.
    pub(super) fn walk_in(&self) {
        self.walks_in.store(true, Ordering::Relaxed);
    }

    /// As [`Child::walk_in`].
    pub(super) fn walking_in(self) -> Self {
        self.walk_in();
        self
    }

    /// What stopped it, once it is gone; none if it executed.
    pub(super) fn report(&self) -> Option<SpawnFault> {
        match self.step.load(Ordering::Acquire) {
            EXECUTING => None,
            PREPARING => Some(KILLED),
            number => SpawnStep::from_number(number)
                .map(|step| fault(step, errno(self.errno.load(Ordering::Acquire)))),
        }
    }

    /// The child's whole life. Never returns.
    pub(super) extern "C" fn live(&self) -> ! {
        let SpawnFault { step, errno } = self.run();
        self.errno.store(errno.raw_os_error(), Ordering::Release);
        self.step.store(step as u8, Ordering::Release);
        loop {
            // SAFETY: ends this process without running anything of the parent's.
            unsafe { libc::syscall(libc::SYS_exit_group, NOT_EXECUTED) };
        }
    }

    /// Comes back only with what went wrong.
    fn run(&self) -> SpawnFault {
        match self.prepare() {
            Err(found) => found,
            Ok(()) => {
                self.step.store(EXECUTING, Ordering::Release);
                fault(SpawnStep::Exec, self.execute())
            }
        }
    }

    fn prepare(&self) -> core::result::Result<(), SpawnFault> {
        let at = |step| move |errno| fault(step, errno);
        self.enter_cgroup().map_err(at(SpawnStep::Cgroup))?;
        // A newborn process leads no group, so this cannot fail.
        rustix::process::setsid().map_err(at(SpawnStep::Fork))?;
        self.place_descriptors().map_err(at(SpawnStep::Descriptors))?;
        self.take_terminal().map_err(at(SpawnStep::Tty))?;
        self.restore_limits().map_err(at(SpawnStep::Limits))?;
        rustix::process::umask(Mode::from_raw_mode(self.plan.umask));
        self.plan.rights.limit()?;
        let count = self.plan.identity.map_or(0, |identity| identity.groups.len());
        let groups = self.groups.get(..count).ok_or(fault(SpawnStep::Group, Errno::INVAL))?;
        self.plan.rights.become_user(self.plan.identity, groups)?;
        if let Some(directory) = self.plan.working_directory {
            rustix::process::chdir(directory).map_err(at(SpawnStep::WorkingDirectory))?;
        }
        signals::clear_in_child(self.heritage.ignored);
        Ok(())
    }

    fn execute(&self) -> Errno {
        let SpawnPlan { program, argv, envp, .. } = self.plan;
        envp.fill_in(crate::process::own_pid().unsigned_abs());
        // SAFETY: both lists end in a null pointer and borrow their strings, which live in the
        // suspended parent.
        unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
        last()
    }

    fn enter_cgroup(&self) -> Result<()> {
        if !self.walks_in.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(group) = self.plan.cgroup else { return Ok(()) };
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let procs = retry(|| rustix::fs::openat(group, c"cgroup.procs", flags, Mode::empty()))?;
        retry(|| rustix::io::write(&procs, b"0")).map(drop)
    }

    fn place_descriptors(&self) -> Result<()> {
        if self.shares_table {
            close_range(self.fds.end().unsigned_abs(), true)?;
        }
        for (slot, target) in self.fds.pairs() {
            // SAFETY: the table is the child's own by now, and targets are below the slots.
            retry(|| check(unsafe { libc::syscall(libc::SYS_dup3, slot, target, 0) }))?;
        }
        // All of ours are closed by execve; this is for what we were given without knowing.
        let end = self.fds.targets_end();
        for number in (0..end).filter(|&number| !self.fds.wants(number)) {
            // SAFETY: as above. That it was not open is no fault.
            unsafe { libc::syscall(libc::SYS_close, number) };
        }
        if self.shares_table { close_range(end.unsigned_abs(), false) } else { Ok(()) }
    }

    fn take_terminal(&self) -> Result<()> {
        let Some(path) = self.plan.tty_path else { return Ok(()) };
        // Without O_NONBLOCK a serial line waits for its carrier, and PID 1 with it.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let tty = retry(|| rustix::fs::open(path, flags, Mode::empty()))?;
        // SAFETY: the argument is a number: take it from whoever has it.
        check(unsafe { libc::ioctl(tty.as_raw_fd(), libc::TIOCSCTTY as _, 1) }.into())?;
        rustix::fs::fcntl_setfl(&tty, OFlags::empty())?;
        let numbers = (0..).zip(self.plan.tty_fds);
        for number in numbers.filter_map(|(number, is_tty)| is_tty.then_some(number)) {
            let raw = tty.as_raw_fd();
            if raw == number {
                rustix::io::fcntl_setfd(&tty, rustix::io::FdFlags::empty())?;
                continue;
            }
            // SAFETY: the table is the child's own.
            retry(|| check(unsafe { libc::syscall(libc::SYS_dup3, raw, number, 0) }))?;
        }
        if tty.as_raw_fd() <= 2 {
            core::mem::forget(tty);
        }
        Ok(())
    }

    fn restore_limits(&self) -> Result<()> {
        if let Some(nofile) = self.heritage.nofile {
            rustix::process::setrlimit(rustix::process::Resource::Nofile, nofile)?;
        }
        limits::calm_down();
        if self.heritage.oom_score_adj != self.plan.oom_score_adj {
            // A preference; without /proc, or in a container that may not lower it, it is none.
            let _ = limits::write_oom_score_adj(self.plan.oom_score_adj);
        }
        Ok(())
    }
}

impl SpawnStep {
    /// The step of this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        const ALL: [SpawnStep; 17] = [
            SpawnStep::Fork,
            SpawnStep::Cgroup,
            SpawnStep::Descriptors,
            SpawnStep::Tty,
            SpawnStep::Limits,
            SpawnStep::Group,
            SpawnStep::User,
            SpawnStep::WorkingDirectory,
            SpawnStep::Exec,
            SpawnStep::Interpreter,
            SpawnStep::Scheduling,
            SpawnStep::Capabilities,
            SpawnStep::Directory,
            SpawnStep::Stream,
            SpawnStep::Mount,
            SpawnStep::Network,
            SpawnStep::Root,
        ];
        ALL.into_iter().find(|&step| step as u8 == number)
    }
}
