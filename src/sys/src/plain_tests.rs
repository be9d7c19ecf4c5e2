//! One file in a folder of somebody else's: no link that is planted there is followed.

use super::*;
use crate::testing::{Place, limit};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

const ALL: [Access; 3] = [Access::Read, Access::Write, Access::Append];

fn pipe_at(place: &Place, name: &str) {
    rustix::fs::mknodat(rustix::fs::CWD, place.at(name), FileType::Fifo, Mode::RWXU, 0).unwrap();
}

#[test]
fn a_file_is_made_read_and_written() {
    let place = Place::new();
    assert_eq!(open(place.path(), "f", Access::Write, None).err(), Some(Errno::NOENT.into()));
    for text in ["one\n", "two\n"] {
        let file = open(place.path(), "f", Access::Append, Some(0o640)).unwrap();
        File::from(file).write_all(text.as_bytes()).unwrap();
    }
    let file = open(place.path(), "f", Access::Write, None).unwrap();
    File::from(file).write_all(b"ONE").unwrap();
    let mut text = String::new();
    let file = open(place.path(), "f", Access::Read, None).unwrap();
    File::from(file).read_to_string(&mut text).unwrap();
    assert_eq!(text, "ONE\ntwo\n");
    assert_eq!(fs::metadata(place.at("f")).unwrap().permissions().mode() & 0o007, 0);
}

#[test]
fn what_is_no_plain_file_is_not_opened_and_nobody_waits() {
    let _limit = limit(30.0);
    let place = Place::new();
    fs::write(place.at("secret"), "unharmed").unwrap();
    fs::create_dir(place.at("folder")).unwrap();
    // Others can put names there.
    fs::set_permissions(place.at("folder"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::hard_link(place.at("secret"), place.at("folder/second")).unwrap();
    symlink("../secret", place.at("folder/link")).unwrap();
    symlink("../none", place.at("folder/dangling")).unwrap();
    pipe_at(&place, "folder/pipe");
    let _listener = UnixListener::bind(place.at("folder/socket")).unwrap();
    for name in ["second", "link", "dangling", "pipe", "socket"] {
        for access in ALL {
            for mode in [None, Some(0o600)] {
                let opened = open(&place.at("folder"), name, access, mode);
                assert_eq!(opened.err(), Some(Why::NotPlain), "{name} {access:?} {mode:?}");
            }
        }
    }
    let folder = open(place.path(), "folder", Access::Read, None);
    assert_eq!(folder.err(), Some(Why::NotPlain));
    assert_eq!(fs::read_to_string(place.at("secret")).unwrap(), "unharmed");
    assert!(!place.at("none").exists());
    // In a folder of our own it was us who gave it two.
    fs::set_permissions(place.at("folder"), fs::Permissions::from_mode(0o750)).unwrap();
    open(&place.at("folder"), "second", Access::Read, None).unwrap();
}

#[test]
fn a_folder_that_is_a_link_is_none() {
    let place = Place::new();
    fs::create_dir(place.at("folder")).unwrap();
    symlink("folder", place.at("link")).unwrap();
    for path in ["link", "link/", "link//."] {
        let opened = open(&place.at(path), "f", Access::Write, Some(0o600));
        assert_eq!(opened.err(), Some(Errno::NOTDIR.into()), "{path}");
        assert_eq!(open_folder(&place.at(path)).err(), Some(Errno::NOTDIR), "{path}");
    }
    assert!(fs::read_dir(place.at("folder")).unwrap().next().is_none());
    // What is above may be one: /var/log often is.
    fs::create_dir(place.at("folder/log")).unwrap();
    drop(open(&place.at("link/log"), "f", Access::Write, Some(0o600)).unwrap());
    let folder = open_folder(&place.at("folder/log/")).unwrap();
    let found = File::from(folder).metadata().unwrap();
    assert_eq!(found.ino(), fs::metadata(place.at("folder/log")).unwrap().ino());
}
