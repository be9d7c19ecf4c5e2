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
}

#[test]
fn f3_4_calls_that_are_interrupted_once() {
    let mut ordeal = Ordeal::begin(120);
    let mut damages = Vec::new();
    for nth in (1..200).step_by(11) {
        let plan = Plan::Nth { nth, errno: ettan_tests::inject::EINTR };
        damages.extend(ordeal.round(plan, Work::Services).err());
    }
    assert!(damages.is_empty(), "{damages:#?}");
}
