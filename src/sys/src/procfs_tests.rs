//! Against the real /proc, and against what it might say.

use super::*;
use crate::process::own_pid;
use crate::testing::limit;
use std::process::{Command, Stdio};

#[test]
fn our_own_stat_is_true() {
    let before = crate::clock::now_ticks();
    let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
    let pid = child.id() as i32;
    let found = stat(pid).unwrap();
    let after = crate::clock::now_ticks();
    assert_eq!(found.ppid, own_pid());
    assert!(!found.kernel_thread && !found.is_zombie());
    // The kernel and we round down differently.
    assert!(found.start_time + 1 >= before && found.start_time <= after + 1, "{found:?}");
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(stat(pid), None);
}

#[test]
fn a_zombie_shows_and_has_no_environment() {
    let _limit = limit(10.0);
    let mut child = Command::new("/bin/true").spawn().unwrap();
    let pid = child.id() as i32;
    while !stat(pid).unwrap().is_zombie() {
        std::thread::yield_now();
    }
    assert_eq!(first_environment_has(pid, b"A=b"), None);
    child.wait().unwrap();
}

#[test]
fn a_kernel_thread_shows() {
    assert!(stat(2).is_none_or(|found| found.kernel_thread));
}

#[test]
fn a_hostile_name_shifts_no_field() {
    let tail = " S 7 8 9 34816 5 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 1000 200";
    let names: [&[u8]; 7] =
        [b"cat", b") R 1 1 1 (", b"a b c", b"\n\n", b"((((", b"))))", b"\xff\0\xfe"];
    for name in names {
        let line = [b"42 (", name, b")", tail.as_bytes(), b"\n"].concat();
        let found = parse_stat(&line).unwrap();
        assert_eq!((found.state, found.ppid, found.pgrp, found.session), (b'S', 7, 8, 9));
        assert_eq!((found.start_time, found.kernel_thread), (4711, false));
    }
}

#[test]
fn a_process_may_call_itself_anything() {
    let _limit = limit(10.0);
    let ready = std::thread::spawn(|| {
        let name = c") R 1 1 1\n(";
        // SAFETY: sets this thread's name from a string.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
        let tid = rustix::thread::gettid().as_raw_nonzero().get();
        stat(tid).map(|found| (found.ppid, found.state))
    });
    let (ppid, state) = ready.join().unwrap().unwrap();
    assert_eq!(ppid, rustix::process::getppid().unwrap().as_raw_nonzero().get());
    assert_eq!(state, b'R');
}

#[test]
fn a_line_that_is_cut_or_odd_is_nothing() {
    for text in ["", "1", "1 (a", "1 (a) S", "1 (a) SS 1 1 1", "1 (a) S x 1 1 1 1 1 1"] {
        assert_eq!(parse_stat(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn the_first_environment_is_searched_for_whole_entries() {
    let _limit = limit(10.0);
    let entry = "ETTAN_COOKIE=0123456789abcdef";
    let long = "x".repeat(3 * ENVIRONMENT_CHUNK);
    let mut child = Command::new("/bin/cat")
        .env_clear()
        .env("A_LONG_ONE", long)
        .env("ETTAN_COOKIE", "0123456789abcdef")
        .env("Z", "last")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id() as i32;
    let has = |entry: &str| first_environment_has(pid, entry.as_bytes());
    // Whoever waited for execve is let go a moment before the new environment is in place.
    while has(entry).is_none() {
        std::thread::yield_now();
    }
    assert_eq!(has(entry), Some(true));
    assert_eq!(has("Z=last"), Some(true));
    for part in ["ETTAN_COOKIE=0123456789abcde", "TTAN_COOKIE=0123456789abcdef", "Z=lastly", "x"] {
        assert_eq!(has(part), Some(false), "{part}");
    }
    assert_eq!(has(""), None);
    let begins = |start: &str| first_environment_begins(pid, start.as_bytes());
    for start in ["ETTAN_COOKIE=", entry, "A_LONG_ONE=xxx", "Z=las", "Z=last"] {
        assert_eq!(begins(start), Some(true), "{start}");
    }
    for start in ["TTAN_COOKIE=", "Z=lastly", "x", "\0"] {
        assert_eq!(begins(start), Some(false), "{start}");
    }
    assert!(command_begins(pid, b"/bin/cat\0") && command_begins(pid, b"/bin/c"));
    assert!(!command_begins(pid, b"bin/cat") && !command_begins(pid, b"/bin/cat\0x"));
    drop(child.stdin.take());
    child.wait().unwrap();
    assert_eq!(has(entry), None);
    assert_eq!(begins(entry), None);
    assert!(!command_begins(pid, b"/bin/cat"));
}

#[test]
fn an_entry_across_chunks_is_found() {
    let text = b"A=1\0COOKIE=abc\0B=2\0";
    for cut in 0..text.len() {
        let mut search = Search::new(b"COOKIE=abc").unwrap();
        let (front, back) = text.split_at(cut);
        assert!(search.feed(front) || search.feed(back), "{cut}");
        let mut search = Search::new(b"COOKIE=ab").unwrap();
        assert!(!search.feed(front) && !search.feed(back) && !search.end(), "{cut}");
    }
}

#[test]
fn our_own_descriptors_are_listed() {
    let files: Vec<_> = (0..300).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
    let numbers = own_descriptors().unwrap();
    for file in &files {
        let number = file.as_raw_fd();
        assert_eq!(numbers.iter().filter(|&&found| found == number).count(), 1, "{number}");
    }
}

#[test]
fn every_process_is_found_once() {
    let children: Vec<_> = (0..200)
        .map(|_| {
            Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
        })
        .collect();
    let found: Vec<i32> = pids().unwrap().collect();
    let mut unique = found.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), found.len());
    for mut child in children {
        assert!(found.contains(&(child.id() as i32)));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
    assert!(found.contains(&own_pid()) && found.iter().all(|&pid| pid > 0));
}

#[test]
fn the_v2_line_of_a_cgroup_file_counts() {
    assert_eq!(parse_cgroup(b"4:pids:/x\n0::/ettan/web\n"), Some(&b"/ettan/web"[..]));
    assert_eq!(parse_cgroup(b"0::/\n"), Some(&b"/"[..]));
    for text in [&b""[..], b"1:name=systemd:/x\n", b"0::/cut", b"10::/x\n"] {
        assert_eq!(parse_cgroup(text), None);
    }
    let mut small = [0; 4];
    assert_eq!(cgroup_of(own_pid(), &mut small), None);
}

#[test]
fn there_is_a_largest_process_id() {
    assert!(pid_max() >= 300);
}
