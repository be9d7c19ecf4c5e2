//! What a process may do and how much it gets: limits, scheduling, capabilities. Takes them on in
//! the calling process, with system calls only: between vfork and execve, and in a launcher.

use super::plan::Identity;
use super::{SpawnFault, SpawnStep, fault};
use crate::raw::{check, retry};
use crate::{Errno, Result};
use rustix::process::{Resource, Rlimit};
use rustix::thread::{Gid, Uid};

/// Linux's resources, in the order of their numbers (`asm-generic/resource.h`).
const RESOURCES: [Resource; 16] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Rss,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Locks,
    Resource::Sigpending,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Rtprio,
    Resource::Rttime,
];

/// Capabilities have numbers below this.
const CAPABILITIES: u8 = 64;

/// Everything that is not as usual. What is None stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// Soft and hard limit (`u64::MAX`: none) of each of Linux's resources, by number.
    pub limits: [Option<(u64, u64)>; 16],
    /// Scheduling priority, -20 to 19.
    pub nice: Option<i8>,
    /// I/O scheduling class: 1 realtime, 2 best-effort, 3 idle.
    pub io_class: Option<u8>,
    /// The processors to run on, one bit each.
    pub cpu_affinity: Option<u64>,
    /// Executing a file gives no privileges.
    pub no_new_privileges: bool,
    /// The capabilities to have at all, one bit each.
    pub bounding_set: Option<u64>,
    /// The capabilities to have although not root, one bit each.
    pub ambient: u64,
    /// KILL when whoever started it ends.
    pub dies_with_parent: bool,
}

impl Rights {
    /// Limits and scheduling, while still privileged.
    pub(crate) fn limit(&self) -> core::result::Result<(), SpawnFault> {
        for (resource, limit) in RESOURCES.into_iter().zip(self.limits) {
            let Some((soft, hard)) = limit else { continue };
            let some = |value| (value != u64::MAX).then_some(value);
            let limit = Rlimit { current: some(soft), maximum: some(hard) };
            rustix::process::setrlimit(resource, limit).map_err(at(SpawnStep::Limits))?;
        }
        self.schedule().map_err(at(SpawnStep::Scheduling))
    }

    fn schedule(&self) -> Result<()> {
        if let Some(nice) = self.nice {
            rustix::process::setpriority_process(None, i32::from(nice))?;
        }
        if let Some(class) = self.io_class {
            const IOPRIO_WHO_PROCESS: i32 = 1;
            const IOPRIO_CLASS_SHIFT: i32 = 13;
            // The middle of eight levels; idle has none.
            let level = if class == 3 { 0 } else { 4 };
            let value = (i32::from(class) << IOPRIO_CLASS_SHIFT) | level;
            // SAFETY: numbers only.
            let set = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) };
            match check(set) {
                // A kernel without I/O priorities: a preference, and none is lost.
                Err(Errno::NOSYS) | Ok(_) => {}
                Err(errno) => return Err(errno),
            }
        }
        if let Some(mask) = self.cpu_affinity {
            let bytes = mask.to_ne_bytes();
            // SAFETY: the mask is that many bytes long, and only read.
            check(unsafe {
                libc::syscall(libc::SYS_sched_setaffinity, 0, bytes.len(), bytes.as_ptr())
            })?;
        }
        Ok(())
    }

    /// Becomes `identity`, with what it may keep of root's capabilities.
    pub(crate) fn become_user(
        &self,
        identity: Option<Identity<'_>>,
        groups: &[Gid],
    ) -> core::result::Result<(), SpawnFault> {
        self.drop_bounding_set().map_err(at(SpawnStep::Capabilities))?;
        if self.ambient != 0 {
            prctl(libc::PR_SET_KEEPCAPS, [1, 0]).map_err(at(SpawnStep::Capabilities))?;
        }
        if let Some(identity) = identity {
            rustix::thread::set_thread_groups(groups).map_err(at(SpawnStep::Group))?;
            rustix::thread::set_thread_gid(Gid::from_raw_unchecked(identity.gid))
                .map_err(at(SpawnStep::Group))?;
            rustix::thread::set_thread_uid(Uid::from_raw_unchecked(identity.uid))
                .map_err(at(SpawnStep::User))?;
        }
        self.raise_ambient().map_err(at(SpawnStep::Capabilities))?;
        if self.no_new_privileges {
            prctl(libc::PR_SET_NO_NEW_PRIVS, [1, 0]).map_err(at(SpawnStep::Capabilities))?;
        }
        if self.dies_with_parent {
            // Last: the kernel forgets it when the user changes.
            prctl(libc::PR_SET_PDEATHSIG, [libc::SIGKILL.unsigned_abs().into(), 0])
                .map_err(at(SpawnStep::User))?;
        }
        Ok(())
    }

    fn drop_bounding_set(&self) -> Result<()> {
        let Some(kept) = self.bounding_set else { return Ok(()) };
        for number in (0..CAPABILITIES).filter(|number| !has(kept, *number)) {
            match prctl(libc::PR_CAPBSET_DROP, [number.into(), 0]) {
                Ok(()) => {}
                // Past the last that this kernel knows.
                Err(Errno::INVAL) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn raise_ambient(&self) -> Result<()> {
        if self.ambient == 0 {
            return Ok(());
        }
        let mut sets = capabilities()?;
        // What is to be ambient has to be permitted and inheritable first.
        let wanted = [low(self.ambient), high(self.ambient)];
        for (set, wanted) in sets.iter_mut().zip(wanted) {
            set.inheritable |= wanted;
            set.effective |= wanted & set.permitted;
        }
        set_capabilities(&sets)?;
        for number in (0..CAPABILITIES).filter(|number| has(self.ambient, *number)) {
            prctl(
                libc::PR_CAP_AMBIENT,
                [libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong, number.into()],
            )?;
        }
        Ok(())
    }
}

/// `struct __user_cap_data_struct`, of which version 3 has two.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct CapabilitySet {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `struct __user_cap_header_struct` for the calling process.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

fn capabilities() -> Result<[CapabilitySet; 2]> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    let mut sets = [CapabilitySet::default(); 2];
    // SAFETY: a header of version 3 and its two sets.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) })?;
    Ok(sets)
}

fn set_capabilities(sets: &[CapabilitySet; 2]) -> Result<()> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    // SAFETY: as above; the sets are only read.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) }).map(drop)
}

fn prctl(option: i32, [first, second]: [libc::c_ulong; 2]) -> Result<()> {
    let none: libc::c_ulong = 0;
    // SAFETY: the options used here take numbers only.
    retry(|| check(unsafe { libc::prctl(option, first, second, none, none) }.into())).map(drop)
}

const fn has(set: u64, number: u8) -> bool {
    set.wrapping_shr(number as u32) & 1 == 1
}

const fn low(set: u64) -> u32 {
    set as u32
}

const fn high(set: u64) -> u32 {
    (set >> 32) as u32
}

fn at(step: SpawnStep) -> impl Fn(Errno) -> SpawnFault {
    move |errno| fault(step, errno)
}
