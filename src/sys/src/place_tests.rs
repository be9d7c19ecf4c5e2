//! The real kernel's directories, links and mounts.

use super::*;
use crate::testing::{Place, limit};
use std::os::unix::fs::{MetadataExt, symlink};

#[test]
fn a_directory_is_made_with_those_on_the_way_and_given_away() {
    let place = Place::new();
    let base = place.c_at("");
    make_directory(&base, c"one/two", (990, 46), 0o755).unwrap();
    let (one, two) = (place.at("one").metadata().unwrap(), place.at("one/two").metadata().unwrap());
    assert_eq!((one.uid(), one.gid(), one.mode() & 0o7777), (0, 0, 0o755));
    assert_eq!((two.uid(), two.gid(), two.mode() & 0o7777), (990, 46, 0o755));
    std::fs::write(place.at("one/two/kept"), "x").unwrap();
    // Again, for another: what is in it stays whose it was.
    make_directory(&base, c"one/two", (991, 47), 0o700).unwrap();
    let two = place.at("one/two").metadata().unwrap();
    assert_eq!((two.uid(), two.gid(), two.mode() & 0o7777), (991, 47, 0o700));
    assert_eq!(place.at("one/two/kept").metadata().unwrap().uid(), 0);
}

#[test]
fn r9_no_link_is_followed_to_make_or_to_remove_a_directory() {
    let place = Place::new();
    let base = place.c_at("");
    std::fs::create_dir(place.at("victim")).unwrap();
    std::fs::write(place.at("victim/file"), "x").unwrap();
    symlink(place.at("victim"), place.at("planted")).unwrap();
    for name in [c"planted", c"planted/below"] {
        let made = make_directory(&base, name, (990, 990), 0o755);
        assert!(matches!(made, Err(Errno::NOTDIR | Errno::LOOP)), "{made:?}");
    }
    assert_eq!(place.at("victim").metadata().unwrap().uid(), 0);
    let odd = remove_tree(&base, c"planted/below");
    assert!(matches!(odd, Err(Errno::NOTDIR | Errno::LOOP)), "{odd:?}");
    // The link itself goes, and nothing behind it.
    remove_tree(&base, c"planted").unwrap();
    assert!(place.at("victim/file").exists() && !place.at("planted").exists());
    for name in [c"", c"/etc", c"../x", c"a/../b", c".", c"a//b"] {
        assert_eq!(make_directory(&base, name, (0, 0), 0o755), Err(Errno::INVAL), "{name:?}");
        assert_eq!(remove_tree(&base, name), Err(Errno::INVAL), "{name:?}");
    }
}

/// CVE-2021-3997: a directory so deep that whoever recurses overflows.
#[test]
fn r9_a_tree_of_any_depth_is_removed() {
    let _limit = limit(60.0);
    let place = Place::new();
    let base = place.c_at("");
    std::fs::create_dir(place.at("deep")).unwrap();
    let mut at = open_base(&place.c_at("deep")).unwrap();
    for depth in 0..3_000 {
        for name in [c"d", c".1", c"wide"] {
            rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o700)).unwrap();
        }
        if depth % 100 == 0 {
            let flags = OFlags::CREATE | OFlags::WRONLY;
            rustix::fs::openat(&at, c"file", flags, Mode::from_raw_mode(0o400)).unwrap();
            rustix::fs::symlinkat(c"/etc", &at, c"link").unwrap();
        }
        at = rustix::fs::openat(&at, c"d", DIRECTORY, Mode::empty()).unwrap();
    }
    remove_tree(&base, c"deep").unwrap();
    assert!(!place.at("deep").exists());
    assert_eq!(remove_tree(&base, c"deep"), Ok(()), "nothing there is as good");
    assert_eq!(remove_tree(&base, c"not/there"), Ok(()));
}

#[test]
fn a_file_is_opened_through_links_of_root_only() {
    let place = Place::new();
    std::fs::create_dir(place.at("logs")).unwrap();
    symlink("logs", place.at("by-root")).unwrap();
    symlink("logs", place.at("by-user")).unwrap();
    symlink("by-root/./new", place.at("last")).unwrap();
    std::os::unix::fs::lchown(place.at("by-user"), Some(990), None).unwrap();
    let file = open(&place.c_at("by-root/../by-root/out"), Way::Append).unwrap();
    crate::pipe::write(&file, b"one").unwrap();
    let file = open(&place.c_at("logs/out"), Way::Append).unwrap();
    crate::pipe::write(&file, b" two").unwrap();
    let file = open(&place.c_at("logs/out"), Way::Write).unwrap();
    crate::pipe::write(&file, b"ONE").unwrap();
    assert_eq!(std::fs::read(place.at("logs/out")).unwrap(), b"ONE two");
    open(&place.c_at("last"), Way::Write).unwrap();
    assert!(place.at("logs/new").exists());
    for path in ["by-user/out", "by-user/other"] {
        assert_eq!(open(&place.c_at(path), Way::Append).unwrap_err(), Errno::PERM);
    }
    assert!(!place.at("logs/other").exists());
    symlink("/etc/passwd", place.at("logs/planted")).unwrap();
    std::os::unix::fs::lchown(place.at("logs/planted"), Some(990), None).unwrap();
    assert_eq!(open(&place.c_at("logs/planted"), Way::Append).unwrap_err(), Errno::PERM);
    symlink("round", place.at("round")).unwrap();
    assert_eq!(open(&place.c_at("round"), Way::Read).unwrap_err(), Errno::LOOP);
    assert_eq!(open(&place.c_at("logs/none"), Way::Read).unwrap_err(), Errno::NOENT);
    assert_eq!(open(&place.c_at("logs/out/below"), Way::Read).unwrap_err(), Errno::NOTDIR);
    assert_eq!(open(c"/", Way::Read).unwrap_err(), Errno::ISDIR);
}

#[test]
fn only_the_standard_descriptors_are_replaced() {
    for number in [-1, 3, 100] {
        assert_eq!(copy(number, 1), Err(Errno::BADF));
        assert_eq!(copy(1, number), Err(Errno::BADF));
    }
}
