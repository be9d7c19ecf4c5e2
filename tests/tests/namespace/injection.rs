//! F3: system calls of process 1 that fail, one at a time and one kind for a while. Samples: `make
//! soak` takes every call.

use ettan_tests::inject::Plan;
use ettan_tests::ordeal::{ERRNOS, Ordeal, Work};

#[test]
fn f3_3_calls_that_fail_once() {
    let mut ordeal = Ordeal::begin(120);
    let damages = ordeal.each_call((3..).step_by(7), 0, Work::Services);
    assert!(damages.is_empty(), "{damages:#?}");
}

#[test]
fn f3_3_kinds_of_calls_that_fail_for_a_while() {
    let mut ordeal = Ordeal::begin(120);
    ordeal.round(Plan::Nothing, Work::Services).expect("all is well without a failure");
    let damages = ordeal.each_kind([ERRNOS[0]].into_iter());
    assert!(damages.is_empty(), "{damages:#?}");
    ordeal.await_healed();
}

/// The first calls are the C library's and std's: without memory for those there is no program.
#[test]
fn f3_3_calls_of_the_boot_that_fail_once() {
    for (nth, errno) in (20..).step_by(41).zip(ERRNOS.into_iter().cycle()).take(11) {
        let tally = Ordeal::boot(Plan::Nth { nth, errno }, 60);
        assert!(tally.is_ok(), "{tally:#?}");
    }
}

#[test]
fn f3_3_kinds_of_calls_of_the_boot_that_fail_for_a_while() {
    use nix::libc;
    let calls = [
        libc::SYS_epoll_create1,
        libc::SYS_epoll_ctl,
        libc::SYS_inotify_init1,
        libc::SYS_listen,
        libc::SYS_pipe2,
        libc::SYS_socketpair,
    ];
    for (call, errno) in calls.into_iter().zip(ERRNOS.into_iter().cycle()) {
        let tally = Ordeal::boot(Plan::Every { call: call.unsigned_abs(), errno }, 60);
        assert!(tally.as_ref().is_ok_and(|tally| tally.hits > 0), "{call}: {tally:#?}");
    }
}

#[test]
fn f3_4_calls_that_are_interrupted_once() {
    let mut ordeal = Ordeal::begin(120);
    let mut damages = Vec::new();
    for nth in (1..200).step_by(11) {
        let plan = Plan::Nth { nth, errno: nix::libc::EINTR };
        damages.extend(ordeal.round(plan, Work::Services).err());
    }
    assert!(damages.is_empty(), "{damages:#?}");
}
