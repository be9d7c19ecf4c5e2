//! Against the real kernel: what a program finds when it starts, by every way to make it.

use super::*;
use crate::pipe::{Pipe, pipe};
use crate::reap::{Status, wait_for};
use rustix::fd::AsFd;
use std::ffi::{CStr, CString};
use std::io::Read;

const BEST: Abilities = Abilities { clone3: true, close_range: true };
const OLD: Abilities = Abilities { clone3: false, close_range: false };
const WAYS: [Abilities; 4] = [
    BEST,
    OLD,
    Abilities { clone3: true, close_range: false },
    Abilities { clone3: false, close_range: true },
];

fn plan<'a>(program: &'a CStr, argv: &'a Strings<'a>, envp: &'a Strings<'a>) -> SpawnPlan<'a> {
    SpawnPlan {
        program,
        argv,
        envp,
        identity: None,
        working_directory: None,
        umask: 0o022,
        tty_path: None,
        fds: &[],
        cgroup: None,
        oom_score_adj: 0,
    }
}

/// Runs a shell script by every way and gives what it printed, the same each time.
fn says(script: &str, change: impl Fn(&mut SpawnPlan<'_>)) -> String {
    let outputs = WAYS.map(|way| says_by(way, script, &change));
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]), "{outputs:?}");
    outputs[0].clone()
}

fn says_by(way: Abilities, script: &str, change: &impl Fn(&mut SpawnPlan<'_>)) -> String {
    let Pipe { read, write } = pipe().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let fds = [(null.as_fd(), 0), (write.as_fd(), 1), (write.as_fd(), 2)];
    let script = CString::new(script).unwrap();
    let argv = Strings::of([c"sh", c"-c", script.as_c_str()]).unwrap();
    let envp = Strings::of([c"PATH=/usr/bin:/bin", c"ETTAN_COOKIE=abc"]).unwrap();
    let mut plan = plan(c"/bin/sh", &argv, &envp);
    plan.fds = &fds;
    change(&mut plan);
    let pid = spawn_with(&plan, way).unwrap();
    drop(write);
    let mut said = String::new();
    std::fs::File::from(read).read_to_string(&mut said).unwrap();
    assert_eq!(wait_for(pid), Ok(Status::Code(0)), "{said}");
    said
}

#[test]
fn a_program_starts_by_every_way() {
    assert_eq!(says("echo hello", |_| {}), "hello\n");
}
