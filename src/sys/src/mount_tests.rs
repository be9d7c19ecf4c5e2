//! In a mount namespace and a root of the test's own.

use super::*;
use crate::testing::{Place, c_path, limit};
use rustix::mount::MountPropagationFlags;
use rustix::thread::{UnshareFlags, unshare_unsafe};

const FLAGS: MountPropagationFlags =
    MountPropagationFlags::PRIVATE.union(MountPropagationFlags::REC);

/// Runs `story` in a thread whose root is an empty tmpfs that nobody else sees.
fn in_empty_root(story: impl FnOnce() + Send + 'static) {
    let place = Place::new();
    let root = c_path(place.path());
    let outcome = std::thread::spawn(move || {
        // SAFETY: the descriptor table stays shared; only this thread's view of files changes.
        unsafe { unshare_unsafe(UnshareFlags::FS | UnshareFlags::NEWNS) }.unwrap();
        // What is mounted here shows nowhere else.
        rustix::mount::mount_change(c"/", FLAGS).unwrap();
        rustix::mount::mount(c"tmpfs", &root, c"tmpfs", MountFlags::empty(), c"mode=0755").unwrap();
        rustix::process::chroot(&root).unwrap();
        rustix::process::chdir(c"/").unwrap();
        story();
    })
    .join();
    drop(place);
    outcome.unwrap();
}

fn mount_all() -> Vec<(String, Result<Mounted>)> {
    let mut found = Vec::new();
    mount_api_fs(&mut |target, how| found.push((target.to_str().unwrap().to_owned(), how)));
    found
}

#[test]
fn f7_1_what_is_missing_is_mounted_and_f7_2_what_is_there_is_kept() {
    let _limit = limit(20.0);
    in_empty_root(|| {
        let first = mount_all();
        let targets: Vec<&str> = first.iter().map(|(target, _)| target.as_str()).collect();
        let all = ["/proc", "/sys", "/dev", "/run", "/dev/pts", "/dev/shm", "/sys/fs/cgroup"];
        assert_eq!(targets, all);
        for (target, how) in &first {
            // devtmpfs is one for the machine: what is mounted inside shows only in our view.
            assert_eq!(*how, Ok(Mounted::Now), "{target}");
        }
        assert!(std::path::Path::new("/dev/null").exists());
        assert!(std::path::Path::new("/proc/self/stat").exists());
        std::fs::write("/run/kept", "").unwrap();
        for (target, how) in mount_all() {
            assert_eq!(how, Ok(Mounted::Already), "{target}");
        }
        assert!(std::path::Path::new("/run/kept").exists());
    });
}

#[test]
fn f7_1_one_that_is_refused_keeps_none_back() {
    let _limit = limit(20.0);
    in_empty_root(|| {
        std::fs::write("/proc", "not a directory").unwrap();
        let found = mount_all();
        assert_eq!(found[0], ("/proc".to_owned(), Err(Errno::NOTDIR)));
        assert!(found[1..].iter().all(|(_, how)| how.is_ok()), "{found:?}");
    });
}

#[test]
fn a_file_system_can_be_closed() {
    let _limit = limit(20.0);
    in_empty_root(|| {
        std::fs::create_dir("/data").unwrap();
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        rustix::mount::mount(c"tmpfs", c"/data", c"tmpfs", flags, c"").unwrap();
        let file = std::fs::File::create("/data/file").unwrap();
        assert_eq!(remount_ro(c"/data"), Err(Errno::BUSY));
        assert_eq!(unmount(c"/data", false), Err(Errno::BUSY));
        drop(file);
        remount_ro(c"/data").unwrap();
        let error = std::fs::write("/data/file", "x").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
        let kept = statvfs(c"/data").unwrap().f_flag;
        assert!(kept.contains(StatVfsMountFlags::NOSUID | StatVfsMountFlags::NOEXEC));
        rustix::mount::mount_remount(c"/data", flags, c"").unwrap();
        let held = std::fs::File::create("/data/file").unwrap();
        unmount(c"/data", true).unwrap();
        assert!(!std::path::Path::new("/data/file").exists());
        drop(held);
        assert_eq!(unmount(c"/data", false), Err(Errno::INVAL));
        sync();
    });
}

#[test]
fn f7_1_the_links_of_dev_are_made_and_f7_2_what_is_there_is_kept() {
    let _limit = limit(20.0);
    in_empty_root(|| {
        for folder in ["/dev", "/run"] {
            std::fs::create_dir(folder).unwrap();
        }
        std::fs::write("/dev/stdin", "kept").unwrap();
        furnish();
        furnish();
        let target = |link: &str| std::fs::read_link(link).unwrap();
        assert_eq!(target("/dev/stderr").as_os_str(), "/proc/self/fd/2");
        assert_eq!(target("/dev/fd").as_os_str(), "/proc/self/fd");
        assert_eq!(std::fs::read("/dev/stdin").unwrap(), b"kept");
        let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata("/run/lock").unwrap());
        assert_eq!(mode & 0o7777, 0o1777);
    });
}
