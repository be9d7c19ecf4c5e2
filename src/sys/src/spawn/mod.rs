//! Starts programs. One system call makes the child in its cgroup, a handful prepare it, execve
//! ends it or says why not. Knows nothing of units.
//!
//! The child shares our memory and we are suspended until it executes or exits (vfork), so
//! nothing is copied and a failure comes back as two numbers in memory. That leaves duties: the
//! child runs on a stack of its own, allocates nothing, takes no lock, and cannot outlive this
//! function. PID 1 has one thread; in other programs a lock lets one thread spawn at a time.
//!
//! What is paid: execve reads the program's first pages while we wait, so a program on a hung
//! file system holds us up. Every way to avoid that costs each start a copy of the page tables.

mod child;
mod plan;
mod rights;
mod slots;
mod trampoline;

#[cfg(test)]
mod tests;

pub use plan::{Identity, MAX_FDS, MAX_GROUPS, MAX_STRINGS, OwnPid, SpawnPlan, Strings};
pub use rights::Rights;

use crate::kernel::{self, Feature};
use crate::raw::retry;
use crate::{Errno, limits, signals};
use child::Child;
use core::ffi::CStr;
use rustix::fs::{Access, AtFlags, CWD};
use slots::Slots;
use std::sync::{Mutex, PoisonError};
use trampoline::Stack;

/// What was being done when a start failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SpawnStep {
    /// Making the process. EAGAIN and ENOMEM pass with time.
    Fork = 1,
    /// Placing it in its cgroup.
    Cgroup,
    /// Placing its descriptors.
    Descriptors,
    /// Opening tty-path and making it the controlling terminal.
    Tty,
    /// Giving back the limits of boot time.
    Limits,
    /// setgroups, setgid.
    Group,
    /// setuid.
    User,
    /// chdir.
    WorkingDirectory,
    /// The program file itself.
    Exec,
    /// The program is there, its interpreter (`#!` or ELF loader) is not.
    Interpreter,
    /// nice, io-scheduling-class, cpu-affinity.
    Scheduling,
    /// The capability sets, no-new-privileges.
    Capabilities,
    /// Making a directory of the unit's own.
    Directory,
    /// Opening what is to be descriptor 0, 1 or 2.
    Stream,
    /// Mounting.
    Mount,
    /// Making a network of its own.
    Network,
    /// Entering another root directory.
    Root,
}

/// Why there is no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpawnFault {
    /// What was being done.
    pub step: SpawnStep,
    /// The kernel's answer.
    pub errno: Errno,
}

/// What is used of what this kernel can do.
#[derive(Clone, Copy, Debug)]
struct Abilities {
    /// See [`Feature::Clone3`].
    clone3: bool,
    /// See [`Feature::CloseRange`].
    close_range: bool,
}

/// What one spawn at a time needs.
struct Workshop {
    stack: &'static Stack,
    slots: Option<Slots>,
}

static WORKSHOP: Mutex<Workshop> = Mutex::new(Workshop { stack: Stack::only(), slots: None });

/// Starts `plan.program`. When this returns a process id, the program has been executed; it is a
/// child of ours and stays a zombie until reaped. When it returns a fault, no process is left.
///
/// The program gets: its own session; descriptors `plan.fds` (and the terminal) and no other; no
/// blocked and no ignored signal; the resource limits of boot time but for those in `plan.rights`; the given umask, directory,
/// identity, arguments and environment.
///
/// # Errors
/// The step that failed and the kernel's answer.
pub fn spawn(plan: &SpawnPlan<'_>) -> Result<i32, SpawnFault> {
    let (clone3, close_range) = (kernel::has(Feature::Clone3), kernel::has(Feature::CloseRange));
    spawn_with(plan, Abilities { clone3, close_range })
}

fn spawn_with(plan: &SpawnPlan<'_>, may: Abilities) -> Result<i32, SpawnFault> {
    let mut workshop = WORKSHOP.lock().unwrap_or_else(PoisonError::into_inner);
    let stack = workshop.stack;
    let slots =
        reserve(&mut workshop.slots).map_err(|errno| fault(SpawnStep::Descriptors, errno))?;
    let filled = slots.fill(plan.fds).map_err(|errno| fault(SpawnStep::Descriptors, errno))?;
    let born_inside = may.clone3 && plan.cgroup.is_some();
    let first = once(&Child::new(plan, &filled, may.close_range), stack, may.clone3);
    if born_inside && first == Err(KILLED) {
        // Perhaps because its group was killed before (see `Group::kill`): it may still walk in.
        let child = Child::new(plan, &filled, may.close_range).walking_in();
        return once(&child, stack, may.clone3);
    }
    first
}

/// One attempt, to its end.
fn once(child: &Child<'_>, stack: &Stack, clone3: bool) -> Result<i32, SpawnFault> {
    let pid = make(child, stack, clone3)?;
    match child.report() {
        None => Ok(pid),
        Some(found) => {
            // It has exited, or is about to. Its status tells nothing more.
            let _ = crate::reap::wait_for(pid);
            Err(closer_look(child.plan().program, found))
        }
    }
}

/// A child that was killed before it got anywhere: like a fork that failed, this passes.
const KILLED: SpawnFault = fault(SpawnStep::Fork, Errno::AGAIN);

fn reserve(slots: &mut Option<Slots>) -> crate::Result<&mut Slots> {
    if slots.is_none() {
        *slots = Some(Slots::reserve()?);
    }
    slots.as_mut().ok_or(Errno::MFILE)
}

/// Makes the process in the best way that the kernel offers.
fn make(child: &Child<'_>, stack: &Stack, clone3: bool) -> Result<i32, SpawnFault> {
    if clone3 {
        match retry(|| trampoline::clone3(child, stack)) {
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG) => {
                kernel::lacks(Feature::Clone3);
            }
            Err(errno) => return Err(fault(blame(child, errno), errno)),
            Ok(pid) => return Ok(pid),
        }
    }
    // Without CLONE_CLEAR_SIGHAND a handler of ours could run in the child, on our memory.
    let before = signals::set_mask(u64::MAX).map_err(|errno| fault(SpawnStep::Fork, errno))?;
    let made = retry(|| trampoline::clone(child, stack));
    let _ = signals::set_mask(before);
    made.map_err(|errno| fault(SpawnStep::Fork, errno))
}

/// What clone3 says about a cgroup it cannot place a process in is not about processes.
fn blame(child: &Child<'_>, errno: Errno) -> SpawnStep {
    let passing = [Errno::AGAIN, Errno::NOMEM];
    if child.birthplace().is_some() && !passing.contains(&errno) {
        SpawnStep::Cgroup
    } else {
        SpawnStep::Fork
    }
}

/// ENOENT for a program that is there means that its interpreter is not.
pub(crate) fn closer_look(program: &CStr, found: SpawnFault) -> SpawnFault {
    let there = || rustix::fs::accessat(CWD, program, Access::EXISTS, AtFlags::empty()).is_ok();
    if found.step == SpawnStep::Exec && found.errno == Errno::NOENT && there() {
        return fault(SpawnStep::Interpreter, found.errno);
    }
    found
}

const fn fault(step: SpawnStep, errno: Errno) -> SpawnFault {
    SpawnFault { step, errno }
}

/// Values of this process that a child would inherit and must not.
#[derive(Clone, Copy, Debug)]
struct Heritage {
    ignored: u64,
    nofile: Option<rustix::process::Rlimit>,
    oom_score_adj: i16,
}

impl Heritage {
    fn look() -> Self {
        Self {
            ignored: signals::ignored(),
            nofile: limits::boot_nofile(),
            oom_score_adj: limits::own_oom_score_adj(),
        }
    }
}
