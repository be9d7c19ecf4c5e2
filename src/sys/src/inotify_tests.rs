//! Against real directories.

use super::*;
use crate::poll::{Interest, wait_one};
use crate::testing::{Place, c_path, limit};
use std::io::Write;

/// Names of files that changed, until nothing more is there.
fn names(inotify: &Inotify) -> Vec<String> {
    let mut found = Vec::new();
    while wait_one(inotify, Interest::Read, Some(0)).unwrap() {
        inotify
            .changes(&mut |change| match change {
                Change::File { name, .. } => found.push(name.to_str().unwrap().to_owned()),
                Change::DirectoryGone { .. } => found.push("(gone)".to_owned()),
                Change::Overflow => found.push("(overflow)".to_owned()),
            })
            .unwrap();
    }
    found.dedup();
    found
}

#[test]
fn making_writing_moving_and_removing_are_noticed() {
    let _limit = limit(10.0);
    let place = Place::new();
    let inotify = Inotify::new().unwrap();
    inotify.watch_directory(&c_path(place.path())).unwrap();
    assert!(names(&inotify).is_empty());
    place.file("pid", "");
    assert_eq!(names(&inotify), ["pid"]);
    place.file("new", "12\n");
    std::fs::rename(place.at("new"), place.at("moved")).unwrap();
    assert_eq!(names(&inotify), ["new", "moved"]);
    std::fs::remove_file(place.at("pid")).unwrap();
    assert_eq!(names(&inotify), ["pid"]);
}

#[test]
fn f2_19_a_file_rewritten_by_who_keeps_it_open_is_noticed() {
    let _limit = limit(10.0);
    let place = Place::new();
    let mut file = std::fs::File::create(place.at("pid")).unwrap();
    let inotify = Inotify::new().unwrap();
    inotify.watch_directory(&c_path(place.path())).unwrap();
    file.write_all(b"12\n").unwrap();
    assert_eq!(names(&inotify), ["pid"]);
}

#[test]
fn the_end_of_a_directory_is_noticed() {
    let _limit = limit(10.0);
    let place = Place::new();
    std::fs::create_dir(place.at("run")).unwrap();
    let inotify = Inotify::new().unwrap();
    inotify.watch_directory(&place.c_at("run")).unwrap();
    std::fs::remove_dir(place.at("run")).unwrap();
    assert_eq!(names(&inotify), ["(gone)"]);
    assert_eq!(inotify.watch_directory(&place.c_at("run")), Err(Errno::NOENT));
    place.file("file", "");
    assert_eq!(inotify.watch_directory(&place.c_at("file")), Err(Errno::NOTDIR));
}

#[test]
fn f2_22_too_many_changes_are_an_overflow() {
    let _limit = limit(60.0);
    let place = Place::new();
    let inotify = Inotify::new().unwrap();
    let watch = inotify.watch_directory(&c_path(place.path())).unwrap();
    let queue: usize = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    // Each makes at least one change that differs from the one before.
    for number in 0..=queue {
        std::fs::write(place.at(if number % 2 == 0 { "a" } else { "b" }), "").unwrap();
    }
    assert!(names(&inotify).contains(&"(overflow)".to_owned()));
    inotify.unwatch(watch).unwrap();
    assert_eq!(names(&inotify), ["(gone)"]);
    assert_eq!(inotify.unwatch(watch), Err(Errno::INVAL));
}
