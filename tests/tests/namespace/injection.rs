//! F3: system calls of process 1 that fail, one at a time and one kind for a while. Samples: `make
//! soak` takes every call.

use crate::lives::{kill_init, told};
use ettan_tests::inject::{Injector, Plan};
use ettan_tests::ordeal::{ERRNOS, Ordeal, Work};
use ettan_tests::units::idle;
use ettan_tests::{Machine, Namespace, Operate};
use nix::libc;

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
fn f3_3_what_a_boot_had_no_memory_for_is_there_later_and_a_fault_costs_nothing() {
    let mut machine = Namespace::usual();
    machine.unit("web", &idle());
    let injector = Injector::attach(machine.init(), "init");
    let call = libc::SYS_memfd_create.unsigned_abs();
    injector.plan(Plan::Every { call, errno: libc::ENOMEM });
    machine.boot();
    machine.until("it says so", |m| {
        told(m, "degraded").as_str().is_some_and(|text| text.contains("surviving: "))
    });
    let _ = injector.lift();
    drop(injector);
    machine.until("web is up", |m| m.ettan("is-active web").code == 0);
    machine.until("nothing is degraded", |m| told(m, "degraded") == "");
    let web = machine.main_pid("web");
    kill_init(&machine, "SEGV");
    machine.until("PID 1 answers again", |m| told(m, "crashes") == 1);
    assert_eq!(machine.main_pid("web"), web, "it was replaced");
    assert_eq!(machine.running("sleep 100000").len(), 1);
}

#[test]
fn f3_3_what_a_boot_had_nothing_left_to_hear_with_is_there_later() {
    for call in [libc::SYS_pipe2, libc::SYS_socket] {
        let mut machine = Namespace::usual();
        let injector = Injector::attach(machine.init(), "init");
        let call = call.unsigned_abs();
        injector.plan(Plan::Every { call, errno: libc::EMFILE });
        machine.boot();
        machine.until("it was tried again", |_| injector.tally().hits >= 12);
        let _ = injector.lift();
        machine.until("nothing is degraded", |m| told(m, "degraded") == "");
        machine.until("its first words are logged", |m| m.ettan("logs").out.contains(" is PID 1"));
        let _ = machine.sh("test -S /dev/log").ok();
    }
}

#[test]
fn f3_4_calls_that_are_interrupted_once() {
    let mut ordeal = Ordeal::begin(120);
    let mut damages = Vec::new();
    for nth in (1..200).step_by(11) {
        let plan = Plan::Nth { nth, errno: libc::EINTR };
        damages.extend(ordeal.round(plan, Work::Services).err());
    }
    assert!(damages.is_empty(), "{damages:#?}");
}
