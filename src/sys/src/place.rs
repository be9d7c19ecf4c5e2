//! What a service finds around it: directories of its own, files to read from and write to, mounts
//! and a network that only it sees. Any of it may block: it is for a process between PID 1 and the
//! service, never for PID 1. Decides nothing.
//!
//! No path of a service is trusted: directories are made and emptied by descriptor, symbolic links
//! are not followed, and nothing recurses.

use crate::raw::{check, retry};
use crate::spawn::{Identity, MAX_GROUPS, Rights, SpawnFault, SpawnStep, Strings};
use crate::{Errno, OwnedFd, Result, signals};
use core::ffi::{CStr, c_char};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags};
use rustix::thread::{Gid, UnshareFlags};
use std::collections::VecDeque;
use std::ffi::CString;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// As many symbolic links as the kernel follows in one path.
const LINKS_MAX: u32 = 40;

/// Rounds of emptying a directory: each takes a level off, and a path of Linux has no more.
const ROUNDS_MAX: u32 = 4096;

/// Makes the directory `name` below `base`, those on the way too, and gives the last one to the user
/// and the group. What is there already is taken, if it is a directory and no link leads to it.
///
/// # Errors
/// ENOTDIR or ELOOP when something else is in the way, EINVAL for a name that leads elsewhere.
pub fn make_directory(base: &CStr, name: &CStr, (uid, gid): (u32, u32), mode: u32) -> Result<()> {
    let mut at = open_base(base)?;
    for part in parts(name)? {
        match rustix::fs::mkdirat(&at, &part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        at = retry(|| rustix::fs::openat(&at, &part, DIRECTORY | OFlags::RDONLY, Mode::empty()))?;
    }
    let found = rustix::fs::fstat(&at)?;
    if (found.st_uid, found.st_gid) != (uid, gid) {
        let (owner, group) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        rustix::fs::fchown(&at, Some(owner), Some(group))?;
    }
    if found.st_mode & 0o7777 != mode {
        rustix::fs::fchmod(&at, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

/// Removes the directory `name` below `base` with all that is in it. Other file systems mounted
/// there stay, and so does what holds them.
///
/// # Errors
/// EXDEV for those; ENOTDIR or ELOOP when the way there leads elsewhere.
pub fn remove_tree(base: &CStr, name: &CStr) -> Result<()> {
    let mut at = open_base(base)?;
    let mut parts = parts(name)?;
    let last = parts.pop().ok_or(Errno::INVAL)?;
    for part in parts {
        at = match retry(|| rustix::fs::openat(&at, &part, DIRECTORY, Mode::empty())) {
            Err(Errno::NOENT) => return Ok(()),
            other => other?,
        };
    }
    if removed(&at, &last)? {
        return Ok(());
    }
    let top = open_below(&at, &last)?;
    let mut lifted = 0;
    for _ in 0..ROUNDS_MAX {
        let names = names(&top)?;
        if names.is_empty() {
            return rustix::fs::unlinkat(&at, &last, AtFlags::REMOVEDIR);
        }
        for name in names {
            if !removed(&top, &name)? {
                lift(&open_below(&top, &name)?, &top, &mut lifted)?;
            }
        }
    }
    Err(Errno::LOOP)
}

/// Moves the directories in `from` that are not empty up into `top`, and removes the rest.
fn lift(from: &OwnedFd, top: &OwnedFd, lifted: &mut u64) -> Result<()> {
    for name in names(from)? {
        while !removed(from, &name)? {
            *lifted = lifted.saturating_add(1);
            let new = CString::new(format!(".{lifted}")).map_err(|_| Errno::INVAL)?;
            match rustix::fs::renameat(from, &name, top, &new) {
                Ok(()) => break,
                // The name is taken.
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
    Ok(())
}

/// Whether it is gone now; false: a directory that is not empty.
fn removed(at: &OwnedFd, name: &CStr) -> Result<bool> {
    match rustix::fs::unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(true),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno),
    }
    match rustix::fs::unlinkat(at, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn open_base(base: &CStr) -> Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    retry(|| rustix::fs::open(base, flags, Mode::empty()))
}

/// A directory on the same file system.
fn open_below(at: &OwnedFd, name: &CStr) -> Result<OwnedFd> {
    let opened = retry(|| rustix::fs::openat(at, name, DIRECTORY, Mode::empty()))?;
    let same = rustix::fs::fstat(at)?.st_dev == rustix::fs::fstat(&opened)?.st_dev;
    if same { Ok(opened) } else { Err(Errno::XDEV) }
}

fn names(of: &OwnedFd) -> Result<Vec<CString>> {
    let mut list = Vec::new();
    for entry in Dir::read_from(of)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            list.push(name);
        }
    }
    Ok(list)
}

/// The parts of a path that stays below where it begins.
fn parts(name: &CStr) -> Result<Vec<CString>> {
    let plain = |part: &&[u8]| !matches!(*part, b"" | b"." | b"..");
    let all: Vec<&[u8]> = name.to_bytes().split(|byte| *byte == b'/').collect();
    if all.is_empty() || !all.iter().all(plain) {
        return Err(Errno::INVAL);
    }
    all.into_iter().map(|part| CString::new(part).map_err(|_| Errno::INVAL)).collect()
}

/// What to open a file for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To read it.
    Read,
    /// To write to it from its beginning; made where it is missing.
    Write,
    /// To write to its end; made where it is missing.
    Append,
    /// A terminal that does not become ours, to write to.
    Terminal,
}

/// Opens a file for a service while still root. Symbolic links are followed if they are root's: one
/// that a user planted could name any file.
///
/// # Errors
/// EPERM at a link of somebody else's.
pub fn open(path: &CStr, way: Way) -> Result<OwnedFd> {
    let flags = match way {
        Way::Read => OFlags::RDONLY,
        Way::Write => OFlags::WRONLY | OFlags::CREATE,
        Way::Append => OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND,
        // Without it a serial line waits for its carrier.
        Way::Terminal => OFlags::WRONLY | OFlags::NONBLOCK,
    };
    let flags = flags | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let mut at = open_base(c"/")?;
    let mut left = queue(path.to_bytes());
    let mut links = 0_u32;
    while let Some(part) = left.pop_front() {
        let name = CString::new(part).map_err(|_| Errno::INVAL)?;
        if left.is_empty() {
            match retry(|| rustix::fs::openat(&at, &name, flags, Mode::from_raw_mode(0o644))) {
                Err(Errno::LOOP) => {}
                opened => return opened.and_then(|file| settled(file, way)),
            }
        }
        let found = retry(|| rustix::fs::openat(&at, &name, HANDLE, Mode::empty()))?;
        let stat = rustix::fs::fstat(&found)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            at = found;
            continue;
        }
        links = links.saturating_add(1);
        if links > LINKS_MAX {
            return Err(Errno::LOOP);
        }
        if stat.st_uid != 0 {
            return Err(Errno::PERM);
        }
        let target = rustix::fs::readlinkat(&found, c"", Vec::new())?;
        if target.to_bytes().starts_with(b"/") {
            at = open_base(c"/")?;
        }
        let mut first = queue(target.to_bytes());
        first.append(&mut left);
        left = first;
    }
    Err(Errno::ISDIR)
}

fn queue(path: &[u8]) -> VecDeque<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    parts.map(<[u8]>::to_vec).collect()
}

fn settled(file: OwnedFd, way: Way) -> Result<OwnedFd> {
    if way == Way::Terminal {
        rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
    }
    Ok(file)
}

/// Makes `fd` the descriptor `number`, 0 to 2, for this program and those it executes.
///
/// # Errors
/// EBADF for another number.
pub fn replace(fd: impl AsFd, number: i32) -> Result<()> {
    if !(0..=2).contains(&number) {
        return Err(Errno::BADF);
    }
    let raw = fd.as_fd().as_raw_fd();
    if raw == number {
        return rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty());
    }
    // SAFETY: nobody owns 0 to 2 in this program: they are open from its beginning to its end.
    retry(|| check(unsafe { libc::syscall(libc::SYS_dup3, raw, number, 0) })).map(drop)
}

/// Makes descriptor `number` what `source`, one of 0 to 2, is.
///
/// # Errors
/// EBADF for other numbers.
pub fn copy(source: i32, number: i32) -> Result<()> {
    if !(0..=2).contains(&source) {
        return Err(Errno::BADF);
    }
    // SAFETY: open from the beginning of this program to its end.
    replace(unsafe { BorrowedFd::borrow_raw(source) }, number)
}

/// From now on this process sees mounts that nobody else does. Those of the machine that come and go
/// later do so here too, where the machine shares them.
///
/// # Errors
/// EPERM, or EINVAL and ENOSYS from a kernel without them.
pub fn own_mounts() -> Result<()> {
    // SAFETY: no descriptors and no memory are unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change(c"/", flags)
}

/// From now on this process has a network of its own, with nothing but a loopback interface.
///
/// # Errors
/// As [`own_mounts`].
pub fn own_network() -> Result<()> {
    // SAFETY: as above.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
}

/// Makes a directory, or a file, a mount of its own.
///
/// # Errors
/// ENOENT, EPERM.
pub fn mount_itself(path: &CStr) -> Result<()> {
    retry(|| rustix::mount::mount_bind_recursive(path, path))
}

/// Makes what is mounted there read-only for this process, with its other options (as
/// /proc/self/mountinfo has them) as they are.
///
/// # Errors
/// EINVAL when nothing is mounted there.
pub fn protect(path: &CStr, options: &[u8]) -> Result<()> {
    const KNOWN: [(&[u8], MountFlags); 6] = [
        (b"nosuid", MountFlags::NOSUID),
        (b"nodev", MountFlags::NODEV),
        (b"noexec", MountFlags::NOEXEC),
        (b"noatime", MountFlags::NOATIME),
        (b"nodiratime", MountFlags::NODIRATIME),
        (b"relatime", MountFlags::RELATIME),
    ];
    let flags = options.split(|byte| *byte == b',').fold(
        MountFlags::RDONLY | MountFlags::BIND,
        |flags, word| match KNOWN.iter().find(|(name, _)| *name == word) {
            Some((_, flag)) => flags | *flag,
            None => flags,
        },
    );
    retry(|| rustix::mount::mount_remount(path, flags, c""))
}

/// Mounts an empty directory in memory, for everybody to write in.
///
/// # Errors
/// ENOENT, ENOMEM, EPERM.
pub fn mount_scratch(path: &CStr) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    retry(|| rustix::mount::mount(c"tmpfs", path, c"tmpfs", flags, Some(c"mode=1777")))
}

/// From now on `/` is this directory.
///
/// # Errors
/// ENOENT, ENOTDIR, EPERM.
pub fn enter_root(path: &CStr) -> Result<()> {
    retry(|| rustix::process::chroot(path))?;
    rustix::process::chdir(c"/")
}

/// Takes on limits, scheduling, identity and capabilities, as a child of [`crate::spawn::spawn`] does.
///
/// # Errors
/// The step that failed and the kernel's answer.
pub fn take_on(
    rights: &Rights,
    identity: Identity<'_>,
    umask: u32,
) -> core::result::Result<(), SpawnFault> {
    let mut groups = [Gid::ROOT; MAX_GROUPS];
    for (slot, group) in groups.iter_mut().zip(identity.groups) {
        *slot = Gid::from_raw_unchecked(*group);
    }
    let odd = SpawnFault { step: SpawnStep::Group, errno: Errno::INVAL };
    let groups = groups.get(..identity.groups.len()).ok_or(odd)?;
    rustix::process::umask(Mode::from_raw_mode(umask));
    rights.limit()?;
    rights.become_user(Some(identity), groups)
}

/// Enters the directory in which the program begins.
///
/// # Errors
/// ENOENT, ENOTDIR, EACCES.
pub fn begin_in(directory: &CStr) -> Result<()> {
    retry(|| rustix::process::chdir(directory))
}

unsafe extern "C" {
    /// The C library's: what this program was given, untouched.
    static environ: *const *const c_char;
}

/// Executes a program in place of this one, with this one's environment, no signal ignored or
/// blocked. Comes back only with why not.
#[must_use]
pub fn execute(program: &CStr, argv: &Strings<'_>) -> SpawnFault {
    signals::clear_in_child(u64::MAX);
    // SAFETY: the lists end in a null pointer, and nothing of this program changes its environment.
    let errno = unsafe {
        libc::execve(program.as_ptr(), argv.as_ptr(), environ);
        crate::raw::last()
    };
    crate::spawn::closer_look(program, SpawnFault { step: SpawnStep::Exec, errno })
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
