//! Fails when asked to, in test builds only.

use crate::pid1::Pid1;
use ettan_wire::{Fail, FailWord};
use std::sync::Mutex;

/// The failure that was asked for and is still to come.
static WAITING: Mutex<Option<Fail>> = Mutex::new(None);

/// Fails at once, or some actions later.
pub(crate) fn ask(pid1: &mut Pid1, wanted: Fail) {
    match (wanted.after, WAITING.lock()) {
        (1.., Ok(mut waiting)) => *waiting = Some(wanted),
        _ => fail(pid1, wanted.kind),
    }
}

/// An action is about to be performed.
pub(crate) fn count_down(pid1: &mut Pid1) {
    let due = WAITING.lock().ok().and_then(|mut waiting| {
        let wanted = waiting.as_mut()?;
        wanted.after = wanted.after.saturating_sub(1);
        waiting.take_if(|wanted| wanted.after == 0)
    });
    if let Some(wanted) = due {
        fail(pid1, wanted.kind);
    }
}

fn fail(pid1: &mut Pid1, kind: FailWord) {
    match kind {
        FailWord::Forget => crate::past::forget_faults(),
        FailWord::Panic => panic!("a test asked for it"),
        FailWord::Segv => ettan_sys::reexec::fail(),
        FailWord::Overflow => drop(dig(0, &mut [0; 512])),
        FailWord::Corrupt => {
            if let Some(memory) = &pid1.past.memory {
                memory.damage();
            }
            ettan_sys::reexec::fail();
        }
    }
}

/// Fails or hangs where a file asks for it: so that a new PID 1 is broken in a certain place.
pub(crate) fn at(place: &str) {
    let is_asked = |file: &str| std::fs::read_to_string(file).is_ok_and(|asked| asked == place);
    if is_asked("/run/fail-at") {
        ettan_sys::reexec::fail();
    }
    while is_asked("/run/hang-at") {}
}

/// Without end: each call keeps what the last one gave.
#[inline(never)]
fn dig(depth: u64, above: &mut [u8; 512]) -> u64 {
    let mut here = [0_u8; 512];
    here[usize::try_from(depth % 512).unwrap_or(0)] = above[0].wrapping_add(1);
    let below = dig(core::hint::black_box(depth).wrapping_add(1), &mut here);
    below.wrapping_add(u64::from(core::hint::black_box(here)[1]))
}
