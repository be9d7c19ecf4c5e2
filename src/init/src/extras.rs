//! What a service has beside the usual: the table's list turned into what `sys` takes, and the
//! limits of its cgroup written.

use ettan_sys::spawn::Rights;
use ettan_table::{Extra, Extras, Knob, Stream};

use crate::group::Groups;
use crate::report::Cause;
use core::ffi::CStr;
use core::sync::atomic::{AtomicBool, Ordering};
use ettan_sys::{Errno, cgroup};
use std::io::Write;

/// RLIMIT_AS.
const ADDRESS_SPACE: usize = 9;
/// The period of `cpu.max` in microseconds: the kernel's default.
const PERIOD_US: u32 = 100_000;

/// That a limit could not be set was said: once is enough, it is the kernel's and not the unit's.
static WARNED: AtomicBool = AtomicBool::new(false);

/// The extras that the child itself takes on, between birth and execve.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) rights: Rights,
    pub(crate) oom_score_adj: i16,
    pub(crate) shares: Shares,
    /// Descriptors 0 to 2, where the unit says something of them.
    pub(crate) streams: Option<[Stream; 3]>,
    /// The descriptor that it writes a newline to once it is ready.
    pub(crate) ready_fd: Option<u8>,
}

/// The limits of a unit's cgroup.
#[derive(Default)]
pub(crate) struct Shares([Option<(Knob, u64)>; 5]);

impl Shares {
    fn put(&mut self, knob: Knob, value: u64) {
        let taken = |slot: &&mut Option<(Knob, u64)>| slot.is_none_or(|(known, _)| known == knob);
        if let Some(slot) = self.0.iter_mut().find(taken) {
            *slot = Some((knob, value));
        }
    }
}

impl Gathered {
    /// Writes the limits of the unit's cgroup. Where the kernel has none for memory, the address
    /// space is limited instead.
    pub(crate) fn share(&mut self, name: &str, groups: &Groups, group: Option<&cgroup::Group>) {
        for (knob, value) in self.shares.0.into_iter().flatten() {
            let Err(errno) = set(knob, value, groups, group) else { continue };
            if !WARNED.swap(true, Ordering::Relaxed) {
                let (key, hint) = (key(knob), hint(knob));
                log::warn!("{name}: {key} cannot be had from this kernel ({}){hint}", Cause(errno));
            }
            if knob == Knob::MemoryMax
                && let Some(limit) = self.rights.limits.get_mut(ADDRESS_SPACE)
            {
                limit.get_or_insert((value, value));
            }
        }
    }
}

fn set(
    knob: Knob,
    value: u64,
    groups: &Groups,
    group: Option<&cgroup::Group>,
) -> Result<(), Errno> {
    let group = group.ok_or(Errno::NOENT)?;
    let (controller, file) = file(knob);
    groups.enable(controller)?;
    let mut text = [0; 48];
    let mut room = text.as_mut_slice();
    let written = match (knob, value) {
        (Knob::CpuQuota, u64::MAX) => write!(room, "max {PERIOD_US}"),
        (Knob::CpuQuota, value) => write!(room, "{value} {PERIOD_US}"),
        (_, u64::MAX) => write!(room, "max"),
        (_, value) => write!(room, "{value}"),
    };
    written.map_err(|_| Errno::OVERFLOW)?;
    let left = room.len();
    let length = text.len().saturating_sub(left);
    group.set(file, text.get(..length).unwrap_or(&[]))
}

const fn file(knob: Knob) -> (&'static str, &'static CStr) {
    match knob {
        Knob::MemoryMax => ("memory", c"memory.max"),
        Knob::MemoryHigh => ("memory", c"memory.high"),
        Knob::TasksMax => ("pids", c"pids.max"),
        Knob::CpuWeight => ("cpu", c"cpu.weight"),
        Knob::CpuQuota => ("cpu", c"cpu.max"),
    }
}

const fn key(knob: Knob) -> &'static str {
    match knob {
        Knob::MemoryMax => "memory-max",
        Knob::MemoryHigh => "memory-high",
        Knob::TasksMax => "tasks-max",
        Knob::CpuWeight => "cpu-weight",
        Knob::CpuQuota => "cpu-quota",
    }
}

/// What a person can do about it: a Raspberry Pi's firmware switches the controller off.
const fn hint(knob: Knob) -> &'static str {
    match knob {
        Knob::MemoryMax | Knob::MemoryHigh => "; cgroup_enable=memory on its command line may help",
        Knob::TasksMax | Knob::CpuWeight | Knob::CpuQuota => "",
    }
}

/// Takes them together.
pub(crate) fn gather(extras: Extras<'_>) -> Gathered {
    let mut gathered = Gathered::default();
    let rights = &mut gathered.rights;
    for extra in extras {
        match extra {
            Extra::Limit { resource, soft, hard } => {
                if let Some(limit) = rights.limits.get_mut(usize::from(resource)) {
                    *limit = Some((soft, hard));
                }
            }
            Extra::Nice(nice) => rights.nice = Some(nice),
            Extra::IoClass(class) => rights.io_class = Some(class),
            Extra::CpuAffinity(mask) => rights.cpu_affinity = Some(mask),
            Extra::OomScoreAdjust(score) => gathered.oom_score_adj = score,
            Extra::NoNewPrivileges => rights.no_new_privileges = true,
            Extra::BoundingSet(set) => rights.bounding_set = Some(set),
            Extra::Ambient(set) => rights.ambient = set,
            Extra::ReadyFd(number) => gathered.ready_fd = Some(number),
            Extra::Share { knob, value } => gathered.shares.put(knob, value),
            Extra::Streams(streams) => gathered.streams = Some(streams),
            // For when the run is over.
            Extra::Leaves => {}
        }
    }
    gathered
}
