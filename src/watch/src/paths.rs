//! Which of the wished paths there are. Watches each directory on the way to them, links followed,
//! and what is mounted: a path may come, go or change its meaning anywhere.

use std::collections::VecDeque;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use ettan_sys::inotify::{Change, Inotify, Watch};
use ettan_sys::{AsFd, BorrowedFd, Errno};

/// Links followed on one way, as many as the kernel follows.
const MAX_LINKS: u32 = 40;

/// Between two looks where the kernel watches no more directories, in milliseconds: what a person
/// takes for at once.
const BLIND_MS: u64 = 1_000;

/// The watches, and what they are for.
#[derive(Debug)]
pub(crate) struct Paths {
    inotify: Inotify,
    /// Which name in which directory matters.
    watched: Vec<(Watch, OsString)>,
    mounts: Option<File>,
    /// The kernel refused a watch: when to look again.
    again: Option<u64>,
}

impl Paths {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub(crate) fn new() -> Result<Self, Errno> {
        Ok(Paths { inotify: Inotify::new()?, watched: Vec::new(), mounts: None, again: None })
    }

    /// From now on, or no longer. Gives what shows an error to epoll when something was mounted or
    /// unmounted, if that is new. Without /proc mounts are not heard of, and everything else is.
    pub(crate) fn hear_of_mounts(&mut self, wished: bool) -> Option<BorrowedFd<'_>> {
        let heard = self.mounts.take().filter(|_| wished);
        let is_new = heard.is_none();
        let open = || File::open("/proc/self/mountinfo").ok().filter(|_| wished);
        self.mounts = heard.or_else(open);
        self.mounts.as_ref().filter(|_| is_new).map(AsFd::as_fd)
    }

    /// Whether something is there, of each path. Watches what leads to them, and nothing else.
    pub(crate) fn look<'a>(
        &mut self,
        now: u64,
        paths: impl Iterator<Item = &'a Path>,
    ) -> Vec<bool> {
        let before = std::mem::take(&mut self.watched);
        let mut blind = false;
        let found = paths.map(|path| self.find(path, &mut blind)).collect();
        self.again = blind.then_some(now + BLIND_MS);
        for (watch, _) in before {
            if !self.watched.iter().any(|(still, _)| *still == watch) {
                // Gone with its directory, perhaps, or named twice.
                let _ = self.inotify.unwatch(watch);
            }
        }
        found
    }

    /// True if one of the paths may have come or gone.
    ///
    /// # Errors
    /// None are known.
    pub(crate) fn changed(&self, now: u64) -> Result<bool, Errno> {
        let mut changed = self.again.is_some_and(|again| now >= again);
        self.inotify.changes(&mut |change| {
            changed |= match change {
                Change::File { watch, name } => {
                    let name = OsStr::from_bytes(name.to_bytes());
                    self.watched.iter().any(|(at, wished)| *at == watch && wished == name)
                }
                // Also the answer to no longer watching one.
                Change::DirectoryGone { watch } => self.watched.iter().any(|(at, _)| *at == watch),
                Change::Overflow => true,
            };
        })?;
        Ok(changed)
    }

    /// How long until it is time to look although nothing is heard.
    pub(crate) fn timeout_ms(&self, now: u64) -> Option<u64> {
        self.again.map(|again| again.saturating_sub(now))
    }

    /// Goes the way of the path. Each directory is watched before it is asked, so that nothing
    /// comes unseen in between.
    fn find(&mut self, path: &Path, blind: &mut bool) -> bool {
        let mut rest: VecDeque<OsString> = VecDeque::new();
        prepend(path, &mut rest);
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            *blind |= !self.watch(&at, &name);
            let next = at.join(&name);
            let Ok(kind) = fs::symlink_metadata(&next) else { return false };
            if kind.is_symlink() {
                let Ok(aim) = fs::read_link(&next) else { return false };
                links += 1;
                if links > MAX_LINKS {
                    return false;
                }
                if aim.is_absolute() {
                    at = PathBuf::from("/");
                }
                prepend(&aim, &mut rest);
            } else if kind.is_dir() || rest.is_empty() {
                at = next;
            } else {
                return false;
            }
        }
        true
    }

    /// False if the kernel refuses it.
    fn watch(&mut self, directory: &Path, name: &OsStr) -> bool {
        let path = CString::new(directory.as_os_str().as_bytes()).map_err(|_| Errno::INVAL);
        match path.and_then(|path| self.inotify.watch_names(&path)) {
            Ok(watch) => self.watched.push((watch, name.to_owned())),
            // Gone meanwhile, which the one before it tells.
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(_) => return false,
        }
        true
    }
}

impl AsFd for Paths {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Puts the steps of a path before the others. What is at the root already stays there.
fn prepend(path: &Path, rest: &mut VecDeque<OsString>) {
    for step in path.components().rev() {
        match step {
            Component::Normal(name) => rest.push_front(name.to_owned()),
            Component::ParentDir => rest.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A folder for one test, and one path that is wished for.
    struct World {
        folder: PathBuf,
        wish: PathBuf,
        paths: Paths,
    }

    impl World {
        fn new(test: &str, wish: &str) -> Self {
            let name = format!("ettan-paths-{test}-{}", std::process::id());
            let folder = std::env::temp_dir().canonicalize().unwrap().join(name);
            fs::create_dir_all(&folder).unwrap();
            World { wish: folder.join(wish), folder, paths: Paths::new().unwrap() }
        }

        fn make(&self, directory: &str) {
            fs::create_dir_all(self.folder.join(directory)).unwrap();
        }

        fn is_there(&mut self) -> bool {
            self.paths.look(0, std::iter::once(self.wish.as_path())) == [true]
        }

        /// Whether something was noticed, and what is so then.
        fn notices(&mut self) -> Option<bool> {
            self.paths.changed(0).unwrap().then(|| self.is_there())
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    #[test]
    fn a_path_comes_step_by_step_and_goes_at_once() {
        let mut world = World::new("steps", "a/b/c");
        assert!(!world.is_there());
        world.make("other");
        assert_eq!(world.notices(), None, "nobody asked for that one");
        world.make("a");
        assert_eq!(world.notices(), Some(false));
        world.make("a/b");
        assert_eq!(world.notices(), Some(false));
        fs::write(world.wish.clone(), "").unwrap();
        assert_eq!(world.notices(), Some(true));
        fs::write(world.wish.clone(), "more").unwrap();
        fs::write(world.folder.join("a/b/beside"), "").unwrap();
        assert_eq!(world.notices(), None, "what is in it does not matter");
        fs::rename(world.folder.join("a"), world.folder.join("elsewhere")).unwrap();
        assert_eq!(world.notices(), Some(false));
        fs::write(world.folder.join("elsewhere/b/d"), "").unwrap();
        assert_eq!(world.notices(), None, "that is no longer on the way");
        world.make("a/b/c");
        assert_eq!(world.notices(), Some(true));
        assert_eq!(world.notices(), None);
    }

    #[test]
    fn links_are_followed_and_watched() {
        let mut world = World::new("links", "link/x");
        symlink("../nowhere/./aim", world.folder.join("link")).unwrap();
        let inside = world.folder.file_name().unwrap().to_owned();
        assert!(!world.is_there());
        fs::remove_file(world.folder.join("link")).unwrap();
        symlink(Path::new("..").join(inside).join("aim"), world.folder.join("link")).unwrap();
        assert_eq!(world.notices(), Some(false));
        world.make("aim");
        assert_eq!(world.notices(), Some(false));
        symlink(world.folder.join("real"), world.folder.join("aim/x")).unwrap();
        assert_eq!(world.notices(), Some(false), "a link to nothing");
        world.make("real");
        assert_eq!(world.notices(), Some(true));
        fs::remove_dir(world.folder.join("real")).unwrap();
        assert_eq!(world.notices(), Some(false));
        symlink("loop", world.folder.join("loop")).unwrap();
        world.wish = world.folder.join("loop");
        assert!(!world.is_there());
    }

    #[test]
    fn what_is_no_directory_leads_nowhere() {
        let mut world = World::new("file", "file/x");
        fs::write(world.folder.join("file"), "").unwrap();
        assert!(!world.is_there());
        world.wish = world.folder.join("file/..");
        assert!(!world.is_there());
        world.wish = "/".into();
        assert!(world.is_there());
        assert_eq!(world.paths.timeout_ms(0), None);
    }
}
