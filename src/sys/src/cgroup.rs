//! Keeps the processes of each unit together, where there is a cgroup v2 tree, and writes the
//! limits it is told. Decides none.

use crate::kernel::{self, Feature};
use crate::raw::retry;
use crate::{BorrowedFd, Errno, OwnedFd, Result, process};
use core::ffi::CStr;
use core::mem::MaybeUninit;
use rustix::fd::AsFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, RawDirEntry, SeekFrom, statfs};

/// What statfs says of a cgroup v2 tree.
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// Where it may be: as the only tree, or beside the v1 ones.
const PLACES: [&CStr; 2] = [c"/sys/fs/cgroup", c"/sys/fs/cgroup/unified"];

/// Files that came later than the tree.
const FREEZE: &CStr = c"cgroup.freeze";
const KILL: &CStr = c"cgroup.kill";

/// Bytes of a list of processes read at a time.
const CHUNK: usize = 1024;

/// Bytes of directory entries fetched at a time.
const ENTRY_BYTES: usize = 2048;

/// The longest path of our own cgroup that is followed.
const OWN_PATH: usize = 512;

/// How many groups below a unit's are removed with it, and how deep they may lie to be looked into
/// and removed. Only a service that builds a tree of its own has any.
const INNER_GROUPS: usize = 64;
const INNER_DEPTH: usize = 16;

/// How often killing one by one goes through the list before it gives up: a group that still
/// fills faster (frozen, it cannot) is tried again by the caller.
const KILL_ROUNDS: usize = 16;

/// The name of our part of the tree, below the group that PID 1 is in.
pub const BASE: &CStr = c"ettan";

/// The unit whose group, or one below it, is at the path `theirs`. `ours` is the path of the
/// group that PID 1 is in. Both as [`crate::procfs::cgroup_of`] gives them.
#[must_use]
pub fn unit_in<'a>(ours: &[u8], theirs: &'a [u8]) -> Option<&'a [u8]> {
    let base = ours.strip_suffix(b"/").unwrap_or(ours);
    let below = theirs.strip_prefix(base)?.strip_prefix(b"/")?;
    let inside = below.strip_prefix(BASE.to_bytes())?.strip_prefix(b"/")?;
    let unit = inside.split(|byte| *byte == b'/').next().unwrap_or_default();
    // The last words on a zombie whose group was removed.
    let unit = unit.strip_suffix(b" (deleted)").unwrap_or(unit);
    (!unit.is_empty()).then_some(unit)
}

/// The part of the cgroup tree that is ours.
#[derive(Debug)]
pub struct Tree {
    dir: OwnedFd,
}

/// The group of one unit.
#[derive(Debug)]
pub struct Group {
    dir: OwnedFd,
}

/// What the kernel says of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    /// A process that has not ended is in it or below.
    pub populated: bool,
    /// It, or a group above it, is frozen.
    pub frozen: bool,
}

impl Tree {
    /// The group `base` below the one this process is in, made where missing. None without a
    /// cgroup v2 tree, or where we may not make groups. What is missing is told to [`kernel`].
    #[must_use]
    pub fn find(base: &CStr) -> Option<Self> {
        Self::beside(process::own_pid(), base)
    }

    /// As [`Tree::find`], below the group that process `pid` is in.
    #[must_use]
    pub fn beside(pid: i32, base: &CStr) -> Option<Self> {
        let found = Self::look(pid, base);
        match &found {
            None => kernel::lacks(Feature::Cgroups),
            Some(tree) => {
                for (feature, file) in
                    [(Feature::CgroupFreeze, FREEZE), (Feature::CgroupKill, KILL)]
                {
                    if open_file(&tree.dir, file, OFlags::WRONLY).is_err_and(is_missing) {
                        kernel::lacks(feature);
                    }
                }
            }
        }
        found
    }

    fn look(pid: i32, base: &CStr) -> Option<Self> {
        let root = PLACES.into_iter().find_map(open_tree)?;
        let here = group_of(pid, &root).unwrap_or(root);
        make(here.as_fd(), base).ok().map(|dir| Self { dir })
    }

    /// The group of this name, made where missing.
    ///
    /// # Errors
    /// EACCES, ENOSPC (`cgroup.max.descendants`), EMFILE; EAGAIN while it is frozen and cannot be
    /// thawed, because a group above it is.
    pub fn create(&self, name: &CStr) -> Result<Group> {
        if was_killed_at(self.dir.as_fd(), name) {
            // If it is still in use it stays, and a start in it takes the longer way.
            let _ = self.remove(name);
        }
        let group = make(self.dir.as_fd(), name).map(|dir| Group { dir })?;
        group.thaw()?;
        Ok(group)
    }

    /// Lets the groups in it be limited by `controller` (`memory`, `pids`, `cpu`).
    ///
    /// # Errors
    /// ENOENT where the kernel has none of that name or gave it to a v1 tree; EBUSY in a group
    /// with processes that is not the whole machine's.
    pub fn enable(&self, controller: &str) -> Result<()> {
        let mut text = [0_u8; 16];
        let word = text.get_mut(..controller.len().saturating_add(1)).ok_or(Errno::INVAL)?;
        let (sign, name) = word.split_first_mut().ok_or(Errno::INVAL)?;
        *sign = b'+';
        name.copy_from_slice(controller.as_bytes());
        write(&self.dir, c"../cgroup.subtree_control", word)?;
        write(&self.dir, c"cgroup.subtree_control", word)
    }

    /// The group of this name, if it is there.
    ///
    /// # Errors
    /// ENOENT, EMFILE.
    pub fn open(&self, name: &CStr) -> Result<Group> {
        open_dir(self.dir.as_fd(), name).map(|dir| Group { dir })
    }

    /// Removes the group of this name and what its service made below. Fine when it is not there.
    ///
    /// # Errors
    /// EBUSY while a process is in it.
    pub fn remove(&self, name: &CStr) -> Result<()> {
        for _ in 0..INNER_GROUPS {
            match remove_dir(self.dir.as_fd(), name) {
                Err(Errno::BUSY | Errno::NOTEMPTY) => {}
                Err(Errno::NOENT) => return Ok(()),
                other => return other,
            }
            if !remove_one_inside(self.dir.as_fd(), name)? {
                return Err(Errno::BUSY);
            }
        }
        Err(Errno::BUSY)
    }
}

impl Group {
    /// Writes one of its files: `memory.max`, `pids.max`.
    ///
    /// # Errors
    /// ENOENT without the controller; what the kernel says of the value.
    pub fn set(&self, file: &CStr, value: &[u8]) -> Result<()> {
        write(&self.dir, file, value)
    }

    /// Whether a process that has not ended is in it or below.
    ///
    /// # Errors
    /// ENODEV when it was removed, EMFILE.
    pub fn populated(&self) -> Result<bool> {
        self.events().map(|events| events.populated)
    }

    /// The same, and whether a process born in it now would stop at birth.
    ///
    /// # Errors
    /// As [`Group::populated`].
    pub fn events(&self) -> Result<Events> {
        let mut buffer = [0_u8; 128];
        let file = open_file(&self.dir, c"cgroup.events", OFlags::RDONLY)?;
        let len = retry(|| rustix::io::read(&file, &mut buffer))?;
        let text = buffer.get(..len).unwrap_or(&[]);
        let frozen = text.split(|&byte| byte == b'\n').any(|line| line == b"frozen 1");
        Ok(Events { populated: says_populated(text), frozen })
    }

    /// Calls `visit` with each process in it and below. Processes come and go meanwhile, and one may
    /// be named twice.
    ///
    /// # Errors
    /// ENODEV when it was removed, EOPNOTSUPP for a threaded group; EMFILE (each level below takes
    /// a descriptor) and ELOOP (a group lies too deep) after those that could be seen.
    pub fn procs(&self, visit: &mut dyn FnMut(i32)) -> Result<()> {
        procs_in(&self.dir, visit)?;
        procs_below(&self.dir, INNER_DEPTH, visit)
    }

    /// Sends KILL to every process in it and below, however fast it forks. They end a little
    /// later: [`Group::populated`] tells.
    ///
    /// Marks the group, so that [`Tree::create`] makes it anew: newer kernels (seen on 6.18) kill
    /// at birth whatever clone3 places in a group that was ever killed this way.
    ///
    /// # Errors
    /// ENODEV when it was removed, EMFILE.
    pub fn kill(&self) -> Result<()> {
        if !kernel::has(Feature::CgroupKill) {
            return self.kill_one_by_one();
        }
        let _ = rustix::fs::fchmod(&self.dir, KILLED);
        match write(&self.dir, KILL, b"1") {
            Err(Errno::NOENT | Errno::OPNOTSUPP) => self.kill_one_by_one(),
            other => other,
        }
    }

    /// Whether [`Group::kill`] ever hit it: then [`Tree::create`] may give a better one.
    #[must_use]
    pub fn was_killed(&self) -> bool {
        rustix::fs::fstat(&self.dir).is_ok_and(|stat| says_killed(&stat))
    }

    /// What is born in a frozen group never gets to execve, and who waits for that waits for ever.
    fn thaw(&self) -> Result<()> {
        if !self.events()?.frozen {
            return Ok(());
        }
        write(&self.dir, FREEZE, b"0")?;
        if self.events()?.frozen { Err(Errno::AGAIN) } else { Ok(()) }
    }

    /// Before 5.14: what is frozen cannot fork, in groups below neither; KILL thaws what it hits.
    fn kill_one_by_one(&self) -> Result<()> {
        // Where nothing can be frozen the rounds have to be enough.
        let freezes = kernel::has(Feature::CgroupFreeze);
        let _ = freezes.then(|| write(&self.dir, FREEZE, b"1"));
        let mut outcome = Ok(());
        for _ in 0..KILL_ROUNDS {
            let mut hit = false;
            outcome = self.procs(&mut |pid| hit |= process::kill(pid, libc::SIGKILL as u8).is_ok());
            if !hit || outcome.is_err() {
                break;
            }
        }
        let _ = freezes.then(|| write(&self.dir, FREEZE, b"0"));
        outcome
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// Puts decimal numbers together from a stream of bytes; anything else ends a number, and a
/// number too long for a process id is none. Reads `cgroup.procs`.
#[derive(Debug, Default)]
pub struct Numbers {
    so_far: Option<i32>,
    spoiled: bool,
}

impl Numbers {
    /// The next byte; the number that it ends.
    pub fn feed(&mut self, byte: u8) -> Option<i32> {
        if byte.is_ascii_digit() {
            let digit = i32::from(byte.wrapping_sub(b'0'));
            let longer =
                self.so_far.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(digit));
            self.spoiled |= longer.is_none();
            self.so_far = Some(longer.unwrap_or(0));
            return None;
        }
        let whole = self.so_far.take().filter(|&n| n > 0 && !self.spoiled);
        self.spoiled = false;
        whole
    }
}

fn is_missing(errno: Errno) -> bool {
    errno == Errno::NOENT
}

/// What `cgroup.events` says: nothing but a plain `populated 0` means empty.
#[must_use]
pub fn says_populated(text: &[u8]) -> bool {
    !text.split(|&byte| byte == b'\n').any(|line| line == b"populated 0")
}

fn open_tree(path: &CStr) -> Option<OwnedFd> {
    let found = statfs(path).ok()?;
    let magic = u64::from(found.f_type as u32);
    (magic == CGROUP2_SUPER_MAGIC).then_some(())?;
    retry(|| rustix::fs::open(path, DIRECTORY, Mode::empty())).ok()
}

/// The group this process is in, if it is inside what we see of the tree.
fn group_of(pid: i32, root: &OwnedFd) -> Option<OwnedFd> {
    let mut buffer = [0_u8; OWN_PATH];
    let path = crate::procfs::cgroup_of(pid, &mut buffer)?;
    let relative = path.strip_prefix(b"/")?;
    if relative.is_empty() || relative.split(|&byte| byte == b'/').any(|part| part == b"..") {
        return None;
    }
    let mut name = [0_u8; OWN_PATH];
    name.get_mut(..relative.len())?.copy_from_slice(relative);
    open_dir(root.as_fd(), CStr::from_bytes_until_nul(&name).ok()?).ok()
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// The mode of a group's directory, and of one that was killed: outlives us, costs nothing.
const USUAL: Mode = Mode::from_bits_retain(0o755);
const KILLED: Mode = Mode::from_bits_retain(0o700);

fn was_killed_at(at: BorrowedFd<'_>, name: &CStr) -> bool {
    let found = rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW);
    found.is_ok_and(|stat| says_killed(&stat))
}

fn says_killed(stat: &rustix::fs::Stat) -> bool {
    Mode::from_raw_mode(stat.st_mode) == KILLED
}

fn make(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    match rustix::fs::mkdirat(at, name, USUAL) {
        Ok(()) | Err(Errno::EXIST) => open_dir(at, name),
        Err(errno) => Err(errno),
    }
}

fn open_dir(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    retry(|| rustix::fs::openat(at, name, DIRECTORY, Mode::empty()))
}

fn open_file(dir: &OwnedFd, name: &CStr, mode: OFlags) -> Result<OwnedFd> {
    retry(|| rustix::fs::openat(dir, name, mode | OFlags::CLOEXEC, Mode::empty()))
}

fn write(dir: &OwnedFd, name: &CStr, bytes: &[u8]) -> Result<()> {
    let file = open_file(dir, name, OFlags::WRONLY)?;
    retry(|| rustix::io::write(&file, bytes)).map(drop)
}

fn procs_in(dir: &OwnedFd, visit: &mut dyn FnMut(i32)) -> Result<()> {
    let mut chunk = [0_u8; CHUNK];
    let file = open_file(dir, c"cgroup.procs", OFlags::RDONLY)?;
    let mut numbers = Numbers::default();
    loop {
        let len = retry(|| rustix::io::read(&file, &mut chunk))?;
        if len == 0 {
            return Ok(());
        }
        for &byte in chunk.get(..len).unwrap_or(&[]) {
            if let Some(pid) = numbers.feed(byte) {
                visit(pid);
            }
        }
    }
}

/// The processes of the groups below, so many levels down. One that goes meanwhile is none, and what
/// is in a threaded one its parent has told.
fn procs_below(dir: &OwnedFd, levels: usize, visit: &mut dyn FnMut(i32)) -> Result<()> {
    // Who looked before has left off at the end.
    rustix::fs::seek(dir, SeekFrom::Start(0))?;
    let mut buffer = [MaybeUninit::<u8>::uninit(); ENTRY_BYTES];
    let mut entries = RawDir::new(dir, &mut buffer);
    let mut outcome = Ok(());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if !is_group(&entry) {
            continue;
        }
        let levels = levels.checked_sub(1).ok_or(Errno::LOOP)?;
        let looked = open_dir(dir.as_fd(), entry.file_name()).and_then(|below| {
            let found = procs_in(&below, visit);
            let deeper = procs_below(&below, levels, visit);
            if found == Err(Errno::OPNOTSUPP) { deeper } else { found.and(deeper) }
        });
        if !matches!(looked, Err(Errno::NOENT | Errno::NODEV)) {
            outcome = outcome.and(looked);
        }
    }
    outcome
}

fn is_group(entry: &RawDirEntry<'_>) -> bool {
    let is_itself = matches!(entry.file_name().to_bytes(), b"." | b"..");
    entry.file_type() == FileType::Directory && !is_itself
}

fn remove_dir(at: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    rustix::fs::unlinkat(at, name, AtFlags::REMOVEDIR)
}

/// Goes down to a group that has none below and removes it. False when there is none below at
/// all.
fn remove_one_inside(at: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    let mut parent = open_dir(at, name)?;
    let Some(mut below) = first_dir(&parent) else { return Ok(false) };
    for _ in 0..INNER_DEPTH {
        let here = open_dir(parent.as_fd(), below.as_c_str())?;
        match first_dir(&here) {
            None => return remove_dir(parent.as_fd(), below.as_c_str()).map(|()| true),
            Some(next) => {
                parent = here;
                below = next;
            }
        }
    }
    Err(Errno::BUSY)
}

/// A file name, kept in place.
struct Name([u8; 256]);

impl Name {
    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

fn first_dir(dir: &OwnedFd) -> Option<Name> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); ENTRY_BYTES];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        if is_group(&entry) {
            let name = entry.file_name().to_bytes_with_nul();
            let mut kept = Name([0; 256]);
            kept.0.get_mut(..name.len())?.copy_from_slice(name);
            return Some(kept);
        }
    }
    None
}

#[cfg(test)]
#[path = "cgroup_tests.rs"]
mod tests;
#[cfg(test)]
pub(crate) use tests::remove_for_test;
