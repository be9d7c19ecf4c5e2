//! Reaping takes any child, so this test has a program of its own.

use ettan_sys::reap::{Reaped, Status, reap};
use ettan_sys::signals;
use ettan_sys::spawn::{SpawnPlan, Strings, spawn};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

#[test]
fn every_child_is_reaped_once_with_its_status() {
    let limit = Instant::now() + Duration::from_secs(60);
    assert_eq!(reap(), Ok(None));
    assert_eq!(start("exit 7", limit), Status::Code(7));
    assert_eq!(start("kill -9 $$", limit), Status::Signal { signal: 9, core: false });
    // f1_13: many ends come as few signals; none may be lost.
    let mut alive: BTreeSet<i32> = (0..500).map(|_| spawn_shell("exit 0")).collect();
    while !alive.is_empty() {
        if let Some(reaped) = reap().expect("reaping") {
            assert!(alive.remove(&reaped.pid), "{reaped:?}");
            assert_eq!(reaped.status, Status::Code(0));
        }
        assert!(Instant::now() < limit);
    }
    assert_eq!(reap(), Ok(None));
}

fn start(script: &str, limit: Instant) -> Status {
    let signals = signals::block_these(&[17]).expect("a descriptor");
    let pid = spawn_shell(script);
    loop {
        match reap().expect("reaping") {
            Some(Reaped { pid: found, status }) => {
                assert_eq!(found, pid);
                return status;
            }
            None => {
                let interest = ettan_sys::poll::Interest::Read;
                let _ = ettan_sys::poll::wait_one(&signals, interest, Some(1_000));
            }
        }
        assert!(Instant::now() < limit);
    }
}

fn spawn_shell(script: &str) -> i32 {
    let script = std::ffi::CString::new(script).expect("no NUL");
    let argv = Strings::of([c"sh", c"-c", script.as_c_str()]).expect("three strings");
    let envp = Strings::new();
    let plan = SpawnPlan {
        program: c"/bin/sh",
        argv: &argv,
        envp: &envp,
        identity: None,
        working_directory: None,
        umask: 0o022,
        tty_path: None,
        tty_fds: [true; 3],
        fds: &[],
        cgroup: None,
        oom_score_adj: 0,
        rights: ettan_sys::spawn::Rights::default(),
    };
    spawn(&plan).expect("a process")
}
