//! Against processes of the tests' own, mostly where there is no cgroup tree.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::start::run;
use crate::testing::{Famine, Units, in_a_copy, unit};
use ettan_core::{Event, KillMode, Millis, Unit};
use ettan_sys::reap;
use ettan_sys::spawn::{Rights, SpawnPlan, Strings};
use std::ffi::CString;
use std::os::fd::AsFd;
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
        let nothing_left = Ok(Some(Event::Emptied { unit: other }));
        if groups.sweep(&supervisor, None, other, None) != nothing_left {
            return 2;
        }
        if groups.trouble() != Some(Errno::MFILE) {
            return 3;
        }
        let found = groups.swept(&supervisor, None);
        if found != Some(Event::Emptied { unit: one })
            || groups.trouble().is_some()
            || groups.must_look_again()
        {
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
        while groups.sweep(&supervisor, None, web, Some(main))
            != Ok(Some(Event::MainLost { unit: web, status: None }))
        {}
        0
    });
    assert_eq!(said, 0);
    assert_eq!(child.wait().unwrap().signal(), Some(signals::KILL.into()));
}

/// A tree of one test's own with a controller that no group can both use and give to others.
struct Controlled {
    tree: Option<cgroup::Tree>,
    controller: &'static str,
    /// The group that the tree is below of, and the tree's name there.
    above: String,
    base: String,
    /// It had given the controller to others before.
    gave: bool,
}

impl Controlled {
    /// None (said aloud) where that cannot be had.
    fn new() -> Option<Self> {
        let base = format!("ettan-init-split-{}", process::own_pid());
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
        let above = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(|top| format!("{top}{own}"));
        let is_there = |above: &String| std::fs::exists(format!("{above}/cgroup.procs")).unwrap();
        let above = above.into_iter().find(is_there).unwrap_or_default();
        let given = std::fs::read_to_string(format!("{above}/cgroup.subtree_control"));
        let given = given.unwrap_or_default();
        let tree = cgroup::Tree::find(&CString::new(base.as_str()).unwrap());
        let mut new = Self { tree, controller: "", above, base, gave: true };
        let controllers = ["hugetlb", "misc", "io", "memory"].into_iter();
        let can = |name: &&str| new.tree.as_ref().is_some_and(|tree| tree.enable(name).is_ok());
        let Some(controller) = controllers.into_iter().find(can) else {
            eprintln!("no cgroup v2 tree with a controller here: nothing tested");
            return None;
        };
        new.controller = controller;
        new.gave = given.split_whitespace().any(|word| word == controller);
        Some(new)
    }
}

impl Drop for Controlled {
    fn drop(&mut self) {
        let Self { controller, above, base, .. } = self;
        let _ = std::fs::remove_dir(format!("{above}/{base}/web"));
        let _ = std::fs::remove_dir(format!("{above}/{base}"));
        if !self.gave {
            let _ =
                std::fs::write(format!("{above}/cgroup.subtree_control"), format!("-{controller}"));
        }
    }
}

#[test]
fn a_group_that_its_last_run_split_up_is_made_anew() {
    let Some(mut controlled) = Controlled::new() else { return };
    let tree = controlled.tree.take().unwrap();
    let group = tree.create(c"web").unwrap();
    let to_below = format!("+{}", controlled.controller);
    group.set(c"cgroup.subtree_control", to_below.as_bytes()).unwrap();
    let groups = Groups::new(Some(tree));
    let argv = Strings::of([c"true"]).unwrap();
    let start = |group: Option<&cgroup::Group>| {
        run(&SpawnPlan {
            program: c"/bin/true",
            argv: &argv,
            envp: &Strings::new(),
            fds: &[],
            tty_path: None,
            tty_fds: [true; 3],
            identity: None,
            working_directory: None,
            umask: 0o022,
            cgroup: group.map(AsFd::as_fd),
            oom_score_adj: 0,
            rights: Rights::default(),
        })
    };
    assert_eq!(start(Some(&group)), Err(fault(Step::Cgroup, Errno::BUSY)));
    drop(group);
    let pid = groups.start_in(UnitId(7), "web", start).unwrap();
    assert_eq!(reap::wait_for(pid.raw()), Ok(reap::Status::Code(0)));
}
