//! Mounts what a Linux program expects, and closes file systems at the end. Each call may hang
//! on broken storage: whoever closes real disks does it in a process of its own.

use crate::raw::retry;
use crate::{Errno, Result};
use core::ffi::CStr;
use rustix::fs::{Mode, StatVfsMountFlags, statfs, statvfs};
use rustix::mount::{MountFlags, UnmountFlags};

/// One of the kernel's file systems.
#[derive(Clone, Copy, Debug)]
struct Api {
    target: &'static CStr,
    kind: &'static CStr,
    /// What statfs says of it.
    magic: u32,
    flags: MountFlags,
    options: &'static CStr,
}

const PROC: u32 = 0x9fa0;
const SYSFS: u32 = 0x6265_6572;
const TMPFS: u32 = 0x0102_1994;
const RAMFS: u32 = 0x8584_58f6;
const DEVPTS: u32 = 0x1cd1;
const OVERLAY: u32 = 0x794c_7630;
const CGROUP2: u32 = 0x6367_7270;
const CGROUP1: u32 = 0x0027_e0eb;

const PLAIN: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
const DEVICES: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);
const SCRATCH: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// In this order: what is inside another comes after it.
const APIS: [Api; 7] = [
    Api { target: c"/proc", kind: c"proc", magic: PROC, flags: PLAIN, options: c"" },
    Api { target: c"/sys", kind: c"sysfs", magic: SYSFS, flags: PLAIN, options: c"" },
    Api {
        target: c"/dev",
        kind: c"devtmpfs",
        magic: TMPFS,
        flags: MountFlags::NOSUID,
        options: c"mode=0755",
    },
    Api { target: c"/run", kind: c"tmpfs", magic: TMPFS, flags: SCRATCH, options: c"mode=0755" },
    Api {
        target: c"/dev/pts",
        kind: c"devpts",
        magic: DEVPTS,
        flags: DEVICES,
        options: c"gid=5,mode=0620,ptmxmode=0666",
    },
    Api {
        target: c"/dev/shm",
        kind: c"tmpfs",
        magic: TMPFS,
        flags: SCRATCH,
        options: c"mode=1777",
    },
    Api { target: c"/sys/fs/cgroup", kind: c"cgroup2", magic: CGROUP2, flags: PLAIN, options: c"" },
];

/// How one mount went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounted {
    /// It was there.
    Already,
    /// It is there now.
    Now,
}

/// Mounts /proc /sys /dev /run /dev/pts /dev/shm and cgroup2 where they are missing, and tells
/// `report` of each how it went. One that is refused keeps none of the others back. Can be
/// called again.
pub fn mount_api_fs(report: &mut dyn FnMut(&'static CStr, Result<Mounted>)) {
    for api in &APIS {
        report(api.target, ensure(api));
    }
}

/// What programs expect in /dev beside the nodes that devtmpfs makes.
const LINKS: [(&CStr, &CStr); 4] = [
    (c"/dev/fd", c"/proc/self/fd"),
    (c"/dev/stdin", c"/proc/self/fd/0"),
    (c"/dev/stdout", c"/proc/self/fd/1"),
    (c"/dev/stderr", c"/proc/self/fd/2"),
];

/// Makes what a program expects in file systems that are empty at each boot, and no package and no udev may be
/// there to make it: the links of /dev to a program's own descriptors (without them `>/dev/stderr` fills
/// the memory of /dev), and /run/lock, for all to write in. What is there is kept.
pub fn furnish() {
    for (link, target) in LINKS {
        let _ = rustix::fs::symlink(target, link);
    }
    // The mode of a new directory is cut by the umask, and the mode of one that is there is its owner's.
    if rustix::fs::mkdir(c"/run/lock", Mode::RWXU).is_ok() {
        let _ = rustix::fs::chmod(c"/run/lock", Mode::from_raw_mode(0o1777));
    }
}

fn ensure(api: &Api) -> Result<Mounted> {
    if is_mounted(api) {
        return Ok(Mounted::Already);
    }
    // A read-only root that lacks the directory: mounting then says what is wrong.
    let _ = rustix::fs::mkdir(api.target, Mode::from_raw_mode(0o755));
    match rustix::mount::mount(api.kind, api.target, api.kind, api.flags, Some(api.options)) {
        Ok(()) => Ok(Mounted::Now),
        Err(Errno::BUSY) => Ok(Mounted::Already),
        Err(errno) => Err(errno),
    }
}

/// Something of the right kind is there. For /dev/shm "there" means a mount of its own: on a
/// devtmpfs it would look like one. A v1 or hybrid cgroup tree is left as it is.
fn is_mounted(api: &Api) -> bool {
    let Ok(found) = statfs(api.target) else { return false };
    let magic = found.f_type as u32;
    let alike = magic == api.magic
        || (api.magic == TMPFS && magic == RAMFS)
        || (api.magic == CGROUP2 && matches!(magic, TMPFS | CGROUP1));
    alike && is_mount_point(api.target)
}

/// Whether the file is in an overlay: what is removed there may be back after a reboot, from the layer
/// below.
///
/// # Errors
/// Those of statfs(2).
pub fn is_overlaid(file: impl rustix::fd::AsFd) -> Result<bool> {
    Ok(retry(|| rustix::fs::fstatfs(&file))?.f_type as u32 == OVERLAY)
}

/// On another device than its parent, or the root itself.
fn is_mount_point(path: &CStr) -> bool {
    let mut parent = [0_u8; 64];
    let bytes = path.to_bytes();
    let len = bytes.iter().rposition(|&byte| byte == b'/').unwrap_or(0).max(1);
    if let (Some(to), Some(from)) = (parent.get_mut(..len), bytes.get(..len)) {
        to.copy_from_slice(from);
    }
    let parent = CStr::from_bytes_until_nul(&parent).unwrap_or(c"/");
    match (rustix::fs::stat(path), rustix::fs::stat(parent)) {
        (Ok(here), Ok(above)) => here.st_dev != above.st_dev,
        _ => false,
    }
}

/// Mounts a FAT file system for a look at it: nothing is written.
///
/// # Errors
/// EINVAL when it is none, ENODEV where the kernel knows no FAT, EBUSY while it is mounted to be written.
pub fn mount_fat(device: &CStr, target: &CStr) -> Result<()> {
    let flags = PLAIN | MountFlags::RDONLY;
    retry(|| rustix::mount::mount(device, target, c"vfat", flags, Some(c"")))
}

/// Writes all changed data to all disks. May take long.
pub fn sync() {
    rustix::fs::sync();
}

/// Unmounts one. `lazily` takes it out of sight at once and ends it when the last user is gone.
///
/// # Errors
/// EBUSY while it is in use, EINVAL when it is no mount point.
pub fn unmount(target: &CStr, lazily: bool) -> Result<()> {
    let flags = if lazily { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    retry(|| rustix::mount::unmount(target, flags | UnmountFlags::NOFOLLOW))
}

/// Makes one read-only, keeping nosuid, nodev, noexec as they are: what is on the disk is
/// complete then.
///
/// # Errors
/// EBUSY while a file is open for writing, or one that was deleted is still open.
pub fn remount_ro(target: &CStr) -> Result<()> {
    let kept = statvfs(target).map_or(MountFlags::empty(), |found| flags_of(found.f_flag));
    retry(|| rustix::mount::mount_remount(target, kept | MountFlags::RDONLY, c""))
}

/// What is mounted or unmounted from now on shows in the mount namespaces that are made of this one
/// too: what is unmounted here is then used nowhere.
///
/// # Errors
/// EPERM.
pub fn make_shared() -> Result<()> {
    use rustix::mount::MountPropagationFlags;
    let flags = MountPropagationFlags::SHARED | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", flags)
}

fn flags_of(found: StatVfsMountFlags) -> MountFlags {
    const SAME: [(StatVfsMountFlags, MountFlags); 4] = [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
    ];
    SAME.into_iter()
        .filter(|(there, _)| found.contains(*there))
        .fold(MountFlags::empty(), |all, (_, flag)| all | flag)
}

#[cfg(test)]
#[path = "mount_tests.rs"]
mod tests;
