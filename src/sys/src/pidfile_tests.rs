//! Faults F2 as far as one file goes.

use super::*;
use crate::testing::{Place, c_path, limit};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Instant;

const PID_MAX: i32 = 4_194_304;

fn look_at(content: impl AsRef<[u8]>) -> Look {
    let place = Place::new();
    look(&place.file("pid", content), None, PID_MAX)
}

#[test]
fn f2_1_missing_is_missing() {
    let place = Place::new();
    assert_eq!(look(&place.c_at("pid"), None, PID_MAX), Look::Missing);
    assert_eq!(look(&place.c_at("no/such/pid"), None, PID_MAX), Look::Missing);
}

#[test]
fn f2_2_empty_is_not_yet() {
    for content in ["", "\n", " ", " \r\n", "\t"] {
        assert_eq!(look_at(content), Look::NotYet, "{content:?}");
    }
}

#[test]
fn f2_4_a_number_counts_with_its_line_break_or_the_second_time() {
    let place = Place::new();
    let path = place.file("pid", "12");
    assert_eq!(look(&path, None, PID_MAX), Look::Unended(12));
    place.file("pid", "1234");
    assert_eq!(look(&path, Some(12), PID_MAX), Look::Unended(1234));
    assert_eq!(look(&path, Some(1234), PID_MAX), Look::Number(1234));
    place.file("pid", "1234\n");
    assert_eq!(look(&path, None, PID_MAX), Look::Number(1234));
    // What may become more is not refused yet.
    assert_eq!(look_at("1"), Look::NotYet);
}

#[test]
fn f2_5_only_a_plain_decimal_number_of_a_service_is_accepted() {
    use Why::{NotANumber, OutOfRange, TooLong};
    let nuls = "\0".repeat(20);
    let cases: [(&str, Look); 25] = [
        ("1234\n", Look::Number(1234)),
        ("1234\r\n", Look::Number(1234)),
        ("  1234 \t\n", Look::Number(1234)),
        (" 5\n", Look::Number(5)),
        ("1234\nsecond line\n", Look::Number(1234)),
        ("2\n", Look::Number(2)),
        ("4194304\n", Look::Number(4_194_304)),
        ("4194305\n", Look::Refused(OutOfRange)),
        ("1\n", Look::Refused(OutOfRange)),
        ("0\n", Look::Refused(OutOfRange)),
        ("0", Look::Refused(OutOfRange)),
        ("4294967297\n", Look::Refused(OutOfRange)),
        ("2147483648\n", Look::Refused(OutOfRange)),
        ("-1\n", Look::Refused(NotANumber)),
        ("+5\n", Look::Refused(NotANumber)),
        ("0x10\n", Look::Refused(NotANumber)),
        ("010\n", Look::Refused(NotANumber)),
        ("00\n", Look::Refused(NotANumber)),
        ("12 34\n", Look::Refused(NotANumber)),
        ("12.0\n", Look::Refused(NotANumber)),
        ("1e3\n", Look::Refused(NotANumber)),
        ("pid: 12\n", Look::Refused(NotANumber)),
        (&nuls, Look::Refused(NotANumber)),
        ("12\0\n", Look::Refused(NotANumber)),
        ("1000000000000000000000000000000\n", Look::Refused(TooLong)),
    ];
    for (content, expected) in cases {
        assert_eq!(look_at(content), expected, "{content:?}");
    }
    assert_eq!(look_at([0xff, 0xfe, b'1', b'\n']), Look::Refused(NotANumber));
    assert_eq!(look_at("١٢\n"), Look::Refused(NotANumber));
}

#[test]
fn f2_6_of_a_huge_file_four_kilobytes_are_read() {
    let _limit = limit(5.0);
    let place = Place::new();
    let path = place.file("pid", "1234\n");
    let file = std::fs::File::options().write(true).open(place.at("pid")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_eq!(look(&path, None, PID_MAX), Look::Number(1234));
    assert_eq!(remove(&path, None), Err(Why::TooBig));
    let sparse = place.file("sparse", "");
    std::fs::File::options()
        .write(true)
        .open(place.at("sparse"))
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    assert_eq!(look(&sparse, None, PID_MAX), Look::Refused(Why::NotANumber));
    let blank = place.file("blank", " ".repeat(1 << 20));
    assert_eq!(look(&blank, None, PID_MAX), Look::Refused(Why::TooLong));
    let begun = Instant::now();
    assert_eq!(look(c"/dev/zero", None, PID_MAX), Look::Refused(Why::NotRegular));
    assert!(begun.elapsed().as_millis() < 100);
}

#[test]
fn f2_7_a_stale_file_is_removed() {
    let place = Place::new();
    let path = place.file("pid", "1234\n");
    assert_eq!(remove(&path, None), Ok(true));
    assert!(!place.at("pid").exists());
    assert_eq!(remove(&path, None), Ok(false));
    assert_eq!(remove(&place.c_at("no/such/pid"), None), Ok(false));
}

#[test]
fn what_is_no_pid_file_is_never_removed() {
    let place = Place::new();
    for content in ["", "secret\n", "12 34\n", "-1\n", "010\n"] {
        let path = place.file("pid", content);
        assert_eq!(remove(&path, None), Err(Why::NotANumber), "{content:?}");
        assert!(place.at("pid").exists());
    }
}

#[test]
fn after_a_stop_only_a_file_that_still_names_the_process_goes() {
    let place = Place::new();
    let path = place.file("pid", "77\n");
    assert_eq!(remove(&path, Some(78)), Ok(false));
    assert!(place.at("pid").exists());
    assert_eq!(remove(&path, Some(77)), Ok(true));
    assert!(!place.at("pid").exists());
}

#[test]
fn f2_12_a_link_is_refused_and_its_target_stays() {
    let place = Place::new();
    let target = place.file("other", "1234\n");
    let targets = ["other", "/etc/shadow", "nowhere", "link"];
    for aim in targets {
        let _ = std::fs::remove_file(place.at("link"));
        symlink(aim, place.at("link")).unwrap();
        let path = place.c_at("link");
        assert_eq!(look(&path, None, PID_MAX), Look::Refused(Why::Link), "{aim}");
        assert_eq!(remove(&path, None), Err(Why::Link), "{aim}");
    }
    assert_eq!(look(&target, None, PID_MAX), Look::Number(1234));
}

#[test]
fn f2_12_no_reason_tells_what_is_in_the_file() {
    let Look::Refused(why) = look_at("hunter2\n") else { panic!("accepted") };
    assert!(!why.to_string().contains("hunter2") && !format!("{why:?}").contains("hunter2"));
}

#[test]
fn f2_13_a_linked_directory_is_fine_for_reading() {
    let place = Place::new();
    std::fs::create_dir(place.at("real")).unwrap();
    place.file("real/pid", "1234\n");
    symlink("real", place.at("run")).unwrap();
    let path = place.c_at("run/pid");
    assert_eq!(look(&path, None, PID_MAX), Look::Number(1234));
    // A link of root's, as /var/run is, may be followed for removing.
    assert_eq!(remove(&path, None), Ok(true));
}

#[test]
fn f2_13_a_strangers_link_is_not_followed_for_removing() {
    let place = Place::new();
    std::fs::create_dir(place.at("real")).unwrap();
    place.file("real/pid", "1234\n");
    symlink(place.at("real"), place.at("run")).unwrap();
    std::os::unix::fs::lchown(place.at("run"), Some(65_534), Some(65_534)).unwrap();
    let path = place.c_at("run/pid");
    assert_eq!(look(&path, None, PID_MAX), Look::Number(1234));
    assert_eq!(remove(&path, None), Err(Why::StrangersPath));
    assert!(place.at("real/pid").exists());
}

#[test]
fn links_of_links_end() {
    let place = Place::new();
    symlink("b", place.at("a")).unwrap();
    symlink("a", place.at("b")).unwrap();
    assert_eq!(remove(&place.c_at("a/pid"), None), Err(Why::Errno(Errno::LOOP)));
    std::fs::create_dir(place.at("real")).unwrap();
    place.file("real/pid", "9\n");
    symlink(place.at("../").join(place.path()).join("./real//"), place.at("c")).unwrap();
    assert_eq!(remove(&place.c_at("c/../c//pid"), None), Ok(true));
}

#[test]
fn f2_14_what_is_not_a_file_is_refused_at_once() {
    let _limit = limit(5.0);
    let place = Place::new();
    let fifo = place.c_at("fifo");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(place.at("socket")).unwrap();
    std::fs::create_dir(place.at("directory")).unwrap();
    let device = place.c_at("device");
    let null = rustix::fs::makedev(1, 3);
    rustix::fs::mknodat(CWD, &device, FileType::CharacterDevice, Mode::RWXU, null).unwrap();
    for name in ["fifo", "socket", "directory", "device"] {
        let path = place.c_at(name);
        let begun = Instant::now();
        assert_eq!(look(&path, None, PID_MAX), Look::Refused(Why::NotRegular), "{name}");
        assert!(begun.elapsed().as_millis() < 100, "{name}");
        assert_eq!(remove(&path, None), Err(Why::NotRegular), "{name}");
        assert!(place.at(name).exists());
    }
    drop(socket);
}

#[test]
fn f2_16_root_reads_what_nobody_may() {
    let place = Place::new();
    let path = place.file("pid", "1234\n");
    std::fs::set_permissions(place.at("pid"), PermissionsExt::from_mode(0o000)).unwrap();
    assert_eq!(look(&path, None, PID_MAX), Look::Number(1234));
}

#[test]
fn f2_17_a_file_that_changes_all_the_time_gives_one_of_its_contents() {
    let _limit = limit(20.0);
    let place = Place::new();
    let path = place.file("pid", "1111\n");
    let (link, temporary) = (place.at("pid"), place.at("new"));
    std::thread::scope(|scope| {
        let swaps = scope.spawn(move || {
            for _ in 0..500 {
                symlink("/etc/shadow", &temporary).unwrap();
                std::fs::rename(&temporary, &link).unwrap();
                std::fs::write(&temporary, "2222\n").unwrap();
                std::fs::rename(&temporary, &link).unwrap();
            }
        });
        while !swaps.is_finished() {
            let found = look(&path, None, PID_MAX);
            let fine = [Look::Number(1111), Look::Number(2222), Look::Refused(Why::Link)];
            assert!(fine.contains(&found), "{found:?}");
        }
    });
}

#[test]
fn a_path_too_long_is_an_error() {
    let long = std::ffi::OsString::from("x".repeat(300));
    let path = c_path(&std::path::Path::new("/tmp").join(long));
    assert_eq!(remove(&path, None), Err(Why::Errno(Errno::NAMETOOLONG)));
    let deep = c_path(std::path::Path::new(&"/x".repeat(2000)));
    assert_eq!(remove(&deep, None), Err(Why::Errno(Errno::NAMETOOLONG)));
    assert_eq!(remove(c"/", None), Err(Why::Errno(Errno::NAMETOOLONG)));
    assert_eq!(remove(c"", None), Err(Why::Errno(Errno::NAMETOOLONG)));
}
