//! What this kernel has of what PID 1 would like to use. Each feature is asked for once, at boot
//! and again in each new execution; whoever uses one has another way for when it is missing.
//!
//! Linux 4.9 is the oldest that PID 1 runs on. A feature is missing when the kernel is too old
//! for it (ENOSYS), built without it, or when seccomp refuses it (mostly EPERM).

use crate::Errno;
use crate::raw::check;
use core::fmt::{self, Display, Formatter};
use core::sync::atomic::{AtomicU32, Ordering};

/// Something that not every kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// clone3 with `CLONE_INTO_CGROUP` and `CLONE_CLEAR_SIGHAND`.
    Clone3,
    /// `close_range` with `CLOSE_RANGE_UNSHARE`.
    CloseRange,
    /// `pidfd_open` and `pidfd_send_signal`.
    Pidfd,
    /// System calls with 64 bits of seconds, on processors of 32 bits.
    Time64,
    /// A cgroup v2 tree that we may make groups in.
    Cgroups,
    /// `cgroup.freeze`.
    CgroupFreeze,
    /// `cgroup.kill`.
    CgroupKill,
    /// `memfd_create` with seals.
    Memfd,
    /// signalfd.
    Signalfd,
    /// execveat of an open file.
    Execveat,
    /// Mounts that only one service sees.
    OwnMounts,
    /// A network that only one service sees.
    OwnNetwork,
}

/// What there is to say of a feature.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Which one.
    pub feature: Feature,
    /// Its name in a few words, for `ettan status`.
    pub name: &'static str,
    /// The first Linux that has all of it.
    pub since: &'static str,
    /// What is done without it.
    pub instead: &'static str,
}

/// All of them. What PID 1 uses and is not here, Linux 4.9 has and every configuration too.
pub const FEATURES: [About; 12] = [
    About {
        feature: Feature::Clone3,
        name: "clone3",
        since: "5.7",
        instead: "clone, signals blocked meanwhile; the child enters its cgroup by itself",
    },
    About {
        feature: Feature::CloseRange,
        name: "close_range",
        since: "5.9",
        instead: "the child gets a copy of all descriptors, and execve closes them",
    },
    About {
        feature: Feature::Pidfd,
        name: "pidfd",
        since: "5.3",
        instead: "kill by number, membership looked at just before",
    },
    About {
        feature: Feature::Time64,
        name: "64-bit time",
        since: "5.1",
        instead: "clock_gettime with 32 bits of seconds: right since boot, wall clock to 2038",
    },
    About {
        feature: Feature::Cgroups,
        name: "cgroup v2",
        since: "4.5",
        instead: "processes belong to a unit by session and by cookie",
    },
    About {
        feature: Feature::CgroupFreeze,
        name: "cgroup.freeze",
        since: "5.2",
        instead: "what forks is killed in rounds",
    },
    About {
        feature: Feature::CgroupKill,
        name: "cgroup.kill",
        since: "5.14",
        instead: "the group is frozen and its processes are killed one by one",
    },
    About {
        feature: Feature::Memfd,
        name: "memfd",
        since: "3.17",
        instead: "a file without a name in /run, and a copy of it where seals would be asked for",
    },
    About {
        feature: Feature::Signalfd,
        name: "signalfd",
        since: "2.6.27",
        instead: "signals are looked for four times a second",
    },
    About {
        feature: Feature::Execveat,
        name: "execveat",
        since: "3.19",
        instead: "a new execution goes by /proc/self/fd",
    },
    About {
        feature: Feature::OwnMounts,
        name: "mount namespaces",
        since: "2.4.19",
        instead: "private-tmp, protect-system and read-write-paths are left out",
    },
    About {
        feature: Feature::OwnNetwork,
        name: "network namespaces",
        since: "2.6.29",
        instead: "private-network is left out",
    },
];

/// One bit for each that is missing, and one that says that somebody asked.
static MISSING: AtomicU32 = AtomicU32::new(0);
const ASKED: u32 = 1 << 31;

/// Whether to use it.
#[must_use]
pub fn has(feature: Feature) -> bool {
    missing() & bit(feature) == 0
}

/// Whoever finds a feature missing that was thought to be there tells it here, and from then on
/// nobody tries again.
pub fn lacks(feature: Feature) {
    MISSING.fetch_or(bit(feature), Ordering::Relaxed);
}

/// Asks the kernel for each system call. The cgroup tree is looked at when it is found, and of
/// namespaces a service tells that needs them.
fn probe() {
    let found = [
        (Feature::Clone3, has_clone3()),
        (Feature::CloseRange, has_close_range()),
        (Feature::Pidfd, has_pidfd()),
        (Feature::Time64, has_time64()),
        (Feature::Memfd, has_memfd()),
        (Feature::Signalfd, has_signalfd()),
        (Feature::Execveat, has_execveat()),
    ];
    let lacking = found.into_iter().filter(|(_, has)| !has);
    let bits = lacking.fold(ASKED, |bits, (feature, _)| bits | bit(feature));
    MISSING.fetch_or(bits, Ordering::Relaxed);
}

/// What is missing, in words: `no pidfd, no cgroup v2`; nothing where nothing is.
#[derive(Clone, Copy, Debug)]
pub struct Missing;

impl Display for Missing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for about in FEATURES.iter().filter(|about| !has(about.feature)) {
            // Without a tree nobody asks what its files can do.
            let is_file = matches!(about.feature, Feature::CgroupFreeze | Feature::CgroupKill);
            if is_file && !has(Feature::Cgroups) {
                continue;
            }
            write!(f, "{comma}no {}", about.name)?;
            comma = ", ";
        }
        Ok(())
    }
}

/// Whether this answer means that the call cannot be had here, whatever its arguments.
#[must_use]
pub(crate) fn is_refusal(errno: Errno) -> bool {
    matches!(errno, Errno::NOSYS | Errno::PERM)
}

fn missing() -> u32 {
    if MISSING.load(Ordering::Relaxed) & ASKED == 0 {
        probe();
    }
    MISSING.load(Ordering::Relaxed)
}

const fn bit(feature: Feature) -> u32 {
    match feature {
        Feature::Clone3 => 1,
        Feature::CloseRange => 1 << 1,
        Feature::Pidfd => 1 << 2,
        Feature::Time64 => 1 << 3,
        Feature::Cgroups => 1 << 4,
        Feature::CgroupFreeze => 1 << 5,
        Feature::CgroupKill => 1 << 6,
        Feature::Memfd => 1 << 7,
        Feature::Signalfd => 1 << 8,
        Feature::Execveat => 1 << 9,
        Feature::OwnMounts => 1 << 10,
        Feature::OwnNetwork => 1 << 11,
    }
}

/// `CLONE_DETACHED`, which clone3 refuses.
const ODD: u64 = 0x0040_0000;

/// With a field of Linux 5.7 that is not zero (older ones say E2BIG), and a flag that is refused
/// (then EINVAL): no process is ever made.
fn has_clone3() -> bool {
    let mut args = [0_u64; 11];
    let [flags, .., cgroup] = &mut args;
    (*flags, *cgroup) = (ODD, 1);
    let size = size_of_val(&args);
    // SAFETY: the arguments are as long as we say, and invalid.
    check(unsafe { libc::syscall(libc::SYS_clone3, args.as_ptr(), size) }) == Err(Errno::INVAL)
}

/// With a range that is empty in practice.
fn has_close_range() -> bool {
    // SAFETY: nobody has a descriptor of that number.
    check(unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0) }).is_ok()
}

/// Of no process, and to a descriptor that is none: that needs no descriptor, which may be scarce just now.
fn has_pidfd() -> bool {
    let info = core::ptr::null::<libc::siginfo_t>();
    // SAFETY: no memory is involved.
    let opened = check(unsafe { libc::syscall(libc::SYS_pidfd_open, 0, 0_u32) });
    // SAFETY: a null siginfo means "as kill(2) would"; signal 0 sends nothing, and there is nobody.
    let sent =
        check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, i32::MAX, 0, info, 0_u32) });
    [opened, sent].iter().all(|said| said.is_err_and(|errno| !is_refusal(errno)))
}

/// Where seconds have 64 bits anyway, every kernel has it.
#[cfg(target_pointer_width = "64")]
const fn has_time64() -> bool {
    true
}

#[cfg(target_pointer_width = "32")]
fn has_time64() -> bool {
    /// `clock_gettime64`, which has this number on every processor of 32 bits.
    const SYS_CLOCK_GETTIME64: libc::c_long = 403;
    let mut time = [0_i64; 2];
    // SAFETY: two numbers of 64 bits are what this call fills.
    let ret =
        unsafe { libc::syscall(SYS_CLOCK_GETTIME64, libc::CLOCK_MONOTONIC, time.as_mut_ptr()) };
    check(ret).is_ok()
}

/// With a flag that it never took.
fn has_memfd() -> bool {
    // SAFETY: the name is a C string.
    let ret = unsafe { libc::syscall(libc::SYS_memfd_create, c"".as_ptr(), 0x4000_0000_u32) };
    check(ret).is_err_and(|errno| !is_refusal(errno))
}

/// On a descriptor that is none.
fn has_signalfd() -> bool {
    let none = 0_u64;
    // SAFETY: the set is as long as we say.
    let ret = unsafe { libc::syscall(libc::SYS_signalfd4, i32::MAX, &raw const none, 8, 0) };
    check(ret).is_err_and(|errno| !is_refusal(errno))
}

/// Of no name at all: that is found out before anything is made ready for a new program.
fn has_execveat() -> bool {
    let none = core::ptr::null::<libc::c_char>();
    // SAFETY: where the name cannot be read, nothing else is, and nothing is executed.
    let ret = unsafe { libc::syscall(libc::SYS_execveat, i32::MAX, none, none, none, 0) };
    check(ret).is_err_and(|errno| !is_refusal(errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_5_a_moment_without_descriptors_is_not_a_kernel_without_pidfds() {
        if !has_pidfd() {
            return eprintln!("no pidfds here: nothing tested");
        }
        let found = crate::testing::without_descriptors(|| i32::from(has_pidfd()));
        assert_eq!(found, 1);
    }

    #[test]
    fn f7_5_every_feature_is_listed_once_and_has_its_own_bit() {
        let bits = FEATURES.iter().fold(0, |bits, about| {
            assert_eq!(bits & bit(about.feature), 0, "{about:?}");
            assert!(!about.instead.is_empty() && !about.since.is_empty());
            bits | bit(about.feature)
        });
        assert_eq!(bits.count_ones() as usize, FEATURES.len());
        assert_eq!(bits & ASKED, 0);
        // All of them together fit into what `ettan status` takes.
        let all = FEATURES.iter().map(|about| about.name.len() + ", no ".len()).sum::<usize>();
        assert!(all < 256, "{all}");
    }
}
