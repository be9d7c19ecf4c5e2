//! Makes system calls of a running process fail, from outside and one by one: ptrace(2) without
//! the process's children. Faster than strace(1), and it counts the calls of all kinds together.

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// None.
    Nothing,
    /// Only the `nth` from now on, from 1, of whatever kind.
    Nth {
        /// Its number.
        nth: u64,
        /// What it gives.
        errno: i32,
    },
    /// Every one of this kind.
    Every {
        /// Its number in the kernel's table.
        call: u64,
        /// What it gives.
        errno: i32,
    },
}

/// What has happened since the plan was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Calls made, of whatever kind.
    pub calls: u64,
    /// Calls that failed by the plan.
    pub hits: u64,
    /// The kind of the last of those.
    pub last_hit: u64,
}

/// A process under the knife. Dropping it lets the process go at its next system call.
#[derive(Debug)]
pub struct Injector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    work: Mutex<(Plan, Tally)>,
    seen: Mutex<BTreeSet<u64>>,
    /// Counting begins with an executed file of this name; empty: at once.
    from: &'static str,
    begun: AtomicBool,
    leaves: AtomicBool,
}

impl Injector {
    /// Takes hold of a process of this host. With `from`, calls count from when the process has
    /// executed a file of that name.
    ///
    /// # Panics
    /// When the kernel does not let us trace it.
    #[must_use]
    pub fn attach(pid: i32, from: &'static str) -> Self {
        let shared = Arc::new(Shared {
            work: Mutex::new((Plan::Nothing, Tally::default())),
            seen: Mutex::default(),
            from,
            begun: AtomicBool::new(from.is_empty()),
            leaves: AtomicBool::new(false),
        });
        let (tell, told) = mpsc::channel();
        let tracer = Arc::clone(&shared);
        // The kernel knows threads as tracers, so one thread does it all. It ends with the process.
        std::thread::spawn(move || tracer.trace(Pid::from_raw(pid), &tell));
        told.recv().expect("a tracer").expect("the process can be traced");
        Self(shared)
    }

    /// From now on these calls fail.
    pub fn plan(&self, plan: Plan) {
        *self.0.work() = (plan, Tally::default());
    }

    /// No call fails any more; what the plan came to.
    #[must_use]
    pub fn lift(&self) -> Tally {
        let mut work = self.0.work();
        work.0 = Plan::Nothing;
        work.1
    }

    /// What the plan has come to so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.0.work().1
    }

    /// The kinds of calls that the process has made so far.
    #[must_use]
    pub fn kinds(&self) -> Vec<u64> {
        let seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().copied().collect()
    }
}

impl Drop for Injector {
    fn drop(&mut self) {
        self.0.leaves.store(true, Ordering::Relaxed);
    }
}

/// Never return, or fail only for a wrong argument: C libraries do not even look. (Where blocking
/// all signals fails, musl goes on to set whatever is on its stack as the mask.)
const SPARED: [i64; 9] = [
    libc::SYS_arch_prctl,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getpid,
    libc::SYS_gettid,
];

impl Shared {
    fn work(&self) -> MutexGuard<'_, (Plan, Tally)> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trace(&self, pid: Pid, tell: &mpsc::Sender<nix::Result<()>>) {
        let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACEEXEC;
        let held = ptrace::seize(pid, options).and_then(|()| ptrace::interrupt(pid));
        if held.is_err() || tell.send(held).is_err() {
            return;
        }
        let mut failing = None;
        while let Ok(status) = waitpid(pid, Some(WaitPidFlag::__WALL)) {
            let mut signal = None;
            match status {
                WaitStatus::PtraceSyscall(_) => failing = self.at_call(pid, failing),
                WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => self.at_exec(pid),
                WaitStatus::PtraceEvent(..) => failing = None,
                WaitStatus::Stopped(_, arrived) => signal = Some(arrived),
                _ => return,
            }
            let idle = failing.is_none() && signal.is_none();
            if idle && self.leaves.load(Ordering::Relaxed) {
                let _ = ptrace::detach(pid, None::<Signal>);
                return;
            }
            if ptrace::syscall(pid, signal).is_err() {
                return;
            }
        }
    }

    fn at_exec(&self, pid: Pid) {
        let file = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        if file.file_name().is_some_and(|name| name == self.from) {
            self.begun.store(true, Ordering::Relaxed);
        }
    }

    /// At the beginning of a call, and again at its end. Gives what it is to fail with.
    #[cfg(target_arch = "x86_64")]
    fn at_call(&self, pid: Pid, failing: Option<i32>) -> Option<i32> {
        let op = ptrace::syscall_info(pid).map_or(libc::PTRACE_SYSCALL_INFO_NONE, |info| info.op);
        let mut registers = ptrace::getregs(pid).ok()?;
        if op == libc::PTRACE_SYSCALL_INFO_EXIT {
            registers.rax = u64::from(failing?.unsigned_abs()).wrapping_neg();
            let _ = ptrace::setregs(pid, registers);
            return None;
        }
        let call = registers.orig_rax;
        let errno = self.decide(call)?;
        // A descriptor is closed even when close(2) fails.
        if call != libc::SYS_close.unsigned_abs() {
            registers.orig_rax = u64::MAX;
            let _ = ptrace::setregs(pid, registers);
        }
        Some(errno)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn at_call(&self, _: Pid, _: Option<i32>) -> Option<i32> {
        unimplemented!("injection is written for x86-64")
    }

    fn decide(&self, call: u64) -> Option<i32> {
        if !self.begun.load(Ordering::Relaxed) || SPARED.iter().any(|s| s.unsigned_abs() == call) {
            return None;
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(call);
        let (plan, tally) = &mut *self.work();
        tally.calls += 1;
        let errno = match *plan {
            Plan::Nth { nth, errno } if nth == tally.calls => errno,
            Plan::Every { call: kind, errno } if kind == call => errno,
            Plan::Nothing | Plan::Nth { .. } | Plan::Every { .. } => return None,
        };
        tally.hits += 1;
        tally.last_hit = call;
        Some(errno)
    }
}

/// A signal came in between.
pub const EINTR: i32 = libc::EINTR;

/// The name of a call, as far as PID 1 makes it.
#[must_use]
pub fn name(call: u64) -> String {
    macro_rules! names {
        ($($name:ident)*) => {
            [$((concat!(stringify!($name)).trim_start_matches("SYS_"), libc::$name)),*]
        };
    }
    let names = names!(SYS_read SYS_write SYS_open SYS_close SYS_stat SYS_fstat SYS_lstat SYS_poll
        SYS_lseek SYS_mmap SYS_mprotect SYS_munmap SYS_brk SYS_rt_sigaction SYS_rt_sigprocmask
        SYS_ioctl SYS_pread64 SYS_pwrite64 SYS_readv SYS_writev SYS_access SYS_sendto SYS_recvfrom
        SYS_sendmsg SYS_recvmsg SYS_bind SYS_listen SYS_getsockname SYS_socketpair SYS_setsockopt
        SYS_getsockopt SYS_socket SYS_connect SYS_clone SYS_clone3 SYS_vfork SYS_execve SYS_wait4
        SYS_waitid SYS_kill SYS_fcntl SYS_ftruncate SYS_getdents64 SYS_mkdir SYS_rmdir SYS_unlink
        SYS_unlinkat SYS_readlink SYS_readlinkat SYS_chmod SYS_fchmod SYS_fchmodat SYS_chown
        SYS_umask SYS_getuid SYS_prctl SYS_arch_prctl SYS_setrlimit SYS_getrlimit SYS_prlimit64
        SYS_mount SYS_umount2 SYS_reboot SYS_sethostname SYS_futex SYS_epoll_ctl SYS_epoll_wait
        SYS_epoll_pwait SYS_epoll_pwait2 SYS_epoll_create1 SYS_openat SYS_openat2 SYS_mkdirat
        SYS_newfstatat SYS_statx SYS_signalfd4 SYS_inotify_init1 SYS_inotify_add_watch
        SYS_inotify_rm_watch SYS_pipe2 SYS_dup3 SYS_accept4 SYS_getrandom SYS_memfd_create
        SYS_pidfd_open SYS_pidfd_send_signal SYS_close_range SYS_clock_gettime SYS_clock_nanosleep
        SYS_nanosleep SYS_set_tid_address SYS_sigaltstack SYS_statfs SYS_fstatfs SYS_sched_yield
        SYS_uname SYS_sync SYS_faccessat SYS_rt_sigpending SYS_rt_sigtimedwait SYS_madvise);
    let known = names.iter().find(|(_, number)| number.unsigned_abs() == call);
    known.map_or_else(|| format!("call {call}"), |(name, _)| (*name).to_owned())
}
