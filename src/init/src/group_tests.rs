//! Against processes of the tests' own, mostly where there is no cgroup tree.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{Famine, Units, in_a_copy, unit};
use ettan_core::{KillMode, Millis, Unit};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

fn supervisor(units: Vec<Unit>) -> Box<Supervisor> {
    let mut supervisor = Box::new(Supervisor::new());
    supervisor.load(Millis(10_000), &Units(units));
    supervisor
}

/// A number is somebody else's as soon as its process was reaped, and start times are told in
/// ticks of 10 ms: the newcomer may have the same.
#[test]
fn f1_11_a_number_is_nobodys_once_its_process_was_reaped() {
    let mut groups = Groups::new(None);
    let (unit, me) = (UnitId(7), Pid::new(process::own_pid()).unwrap());
    groups.promise(unit);
    let launched = groups.launched(unit);
    groups.remember(unit, Launched { first: me.raw(), ..launched });
    groups.remember_main(unit, me);
    assert!(groups.is_member_by_cookie(unit, me.raw()));
    groups.forget_reaped(unit, me);
    assert!(!groups.is_member_by_cookie(unit, me.raw()));
    assert_eq!(groups.launched(unit).main, me.raw(), "its PID file is still told by it");
    // Or this would be the end of the test.
    assert_eq!(groups.signal_main(unit, Some(me), signals::KILL), Ok(()));
}

/// Nobody would look again at the one that could not be looked at.
#[test]
fn f3_3_what_one_sweep_could_not_do_is_not_forgotten_over_another() {
    let supervisor = supervisor(vec![unit("one"), unit("other")]);
    let (one, other) = (supervisor.find("one").unwrap(), supervisor.find("other").unwrap());
    let mut groups = Groups::new(None);
    let said = in_a_copy(|famine: Famine| {
        if groups.sweep(&supervisor, None, one, None) != Err(Errno::MFILE) {
            return 1;
        }
        drop(famine);
        if groups.sweep(&supervisor, None, other, None) != Ok(true) {
            return 2;
        }
        if groups.trouble() != Some(Errno::MFILE) {
            return 3;
        }
        let found = groups.swept(&supervisor, None);
        if found != Some(one) || groups.trouble().is_some() || groups.must_look_again() {
            return 4;
        }
        0
    });
    assert_eq!(said, 0);
}

fn cat() -> (Child, Pid) {
    let child = Command::new("/bin/cat").stdin(Stdio::piped()).spawn().unwrap();
    let pid = Pid::new(child.id().try_into().unwrap()).unwrap();
    (child, pid)
}

/// A second instance beside a first one that was only not seen.
#[test]
fn f3_3_who_could_not_be_looked_at_is_not_gone() {
    let spares = Unit { kill_mode: KillMode::Process, ..unit("web") };
    let supervisor = supervisor(vec![spares]);
    let web = supervisor.find("web").unwrap();
    let mut groups = Groups::new(None);
    let (mut child, main) = cat();
    groups.remember_main(web, main);
    let said = in_a_copy(|famine: Famine| {
        if groups.sweep(&supervisor, None, web, Some(main)) != Err(Errno::MFILE) {
            return 1;
        }
        drop(famine);
        // KILL reaches it now, and its parent has yet to reap it.
        while groups.sweep(&supervisor, None, web, Some(main)) != Ok(true) {}
        0
    });
    assert_eq!(said, 0);
    assert_eq!(child.wait().unwrap().signal(), Some(signals::KILL.into()));
}
