//! Against the real kernel: what a program finds when it starts, by every way to start it.

use super::*;
use crate::cgroup::Tree;
use crate::pipe::{Pipe, pipe};
use crate::procfs;
use crate::reap::{Status, wait_for};
use crate::testing::{Place, limit};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ffi::{CStr, CString};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};

/// As on this kernel, as before 5.7, as before 5.9 (f7_5: probed, the others taken).
const WAYS: [Abilities; 4] = [
    Abilities { clone3: true, close_range: true },
    Abilities { clone3: true, close_range: false },
    Abilities { clone3: false, close_range: true },
    Abilities { clone3: false, close_range: false },
];

/// Runs `argv` by every way with what `change` makes of the plan; gives what it printed, which
/// has to be the same.
fn says(argv: &[&CStr], change: impl Fn(&mut SpawnPlan<'_>)) -> String {
    let outputs = WAYS.map(|way| says_by(way, argv, &change));
    assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]), "{outputs:?}");
    outputs[0].clone()
}

fn says_by(way: Abilities, argv: &[&CStr], change: &impl Fn(&mut SpawnPlan<'_>)) -> String {
    let Pipe { read, write } = pipe().unwrap();
    let null = std::fs::File::open("/dev/null").unwrap();
    let fds = [(null.as_fd(), 0), (write.as_fd(), 1), (write.as_fd(), 2)];
    let strings = Strings::of(argv.iter().copied()).unwrap();
    let envp = Strings::of([c"PATH=/usr/bin:/bin", c"ETTAN_COOKIE=abc"]).unwrap();
    let mut plan = SpawnPlan { fds: &fds, ..plain(argv[0], &strings, &envp) };
    change(&mut plan);
    let pid = spawn_with(&plan, way).unwrap();
    drop(write);
    let mut said = String::new();
    std::fs::File::from(read).read_to_string(&mut said).unwrap();
    assert_eq!(wait_for(pid), Ok(Status::Code(0)), "{said}");
    said
}

fn plain<'a>(program: &'a CStr, argv: &'a Strings<'a>, envp: &'a Strings<'a>) -> SpawnPlan<'a> {
    SpawnPlan {
        program,
        argv,
        envp,
        identity: None,
        working_directory: None,
        umask: 0o022,
        tty_path: None,
        tty_fds: [true; 3],
        fds: &[],
        cgroup: None,
        oom_score_adj: 0,
        rights: Rights::default(),
    }
}

/// Starts it by every way, expects a fault, the same each time.
fn fault_of(program: &CStr, change: impl Fn(&mut SpawnPlan<'_>)) -> (SpawnStep, Errno) {
    let argv = Strings::of([program]).unwrap();
    let envp = Strings::new();
    let faults = WAYS.map(|way| {
        let mut plan = plain(program, &argv, &envp);
        change(&mut plan);
        let found = spawn_with(&plan, way).unwrap_err();
        (found.step, found.errno)
    });
    assert!(faults.windows(2).all(|pair| pair[0] == pair[1]), "{faults:?}");
    faults[0]
}

fn executable(place: &Place, name: &str, content: &[u8]) -> CString {
    let path = place.file(name, content);
    std::fs::set_permissions(place.at(name), PermissionsExt::from_mode(0o755)).unwrap();
    path
}

#[test]
fn arguments_and_environment_are_exactly_the_given_ones() {
    let _limit = limit(20.0);
    assert_eq!(says(&[c"/bin/echo", c"a b", c"", c"c"], |_| {}), "a b  c\n");
    assert_eq!(says(&[c"/usr/bin/env"], |_| {}), "PATH=/usr/bin:/bin\nETTAN_COOKIE=abc\n");
    let nothing: &Strings<'_> = Box::leak(Box::new(Strings::new()));
    assert_eq!(says(&[c"/usr/bin/env"], |plan| plan.envp = nothing), "");
}

#[test]
fn a_variable_says_the_number_of_the_child_itself() {
    let _limit = limit(20.0);
    let variable: &OwnPid = Box::leak(Box::new(OwnPid::new("WATCHDOG_PID")));
    let envp: &mut Strings<'_> = Box::leak(Box::new(Strings::of([c"A=1"]).unwrap()));
    envp.push_own_pid(variable).unwrap();
    let envp: &Strings<'_> = envp;
    for way in WAYS {
        let said = says_by(way, &[c"/bin/sh", c"-c", c"echo $$ $WATCHDOG_PID"], &|plan| {
            plan.envp = envp;
        });
        let (own, told) = said.trim().split_once(' ').unwrap();
        assert_eq!(own, told);
    }
}

#[test]
fn p20_descriptors_are_exactly_the_given_ones() {
    let _limit = limit(20.0);
    // Whoever started the tests may have left us some that are inherited.
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let number: i32 = entry.unwrap().file_name().to_str().unwrap().parse().unwrap();
        if number > 2 {
            // SAFETY: sets a flag; of a number closed meanwhile it sets none.
            unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    // The 3 is how ls reads the directory.
    assert_eq!(says(&[c"/bin/ls", c"/proc/self/fd"], |_| {}), "0\n1\n2\n3\n");
}

#[test]
fn p20_one_that_lacks_cloexec_is_closed_all_the_same() {
    let _limit = limit(20.0);
    for number in [5, 13, 300] {
        let null = null();
        // SAFETY: makes a descriptor at or above the number.
        let leak = unsafe { libc::fcntl(null.as_raw_fd(), libc::F_DUPFD, number) };
        // SAFETY: it was just made.
        let leak = unsafe { OwnedFd::from_raw_fd(leak) };
        for way in WAYS.into_iter().filter(|way| way.close_range) {
            let said = says_by(way, &[c"/bin/ls", c"/proc/self/fd"], &|_| {});
            assert_eq!(said, "0\n1\n2\n3\n", "{leak:?}");
        }
    }
}

#[test]
fn descriptors_land_where_the_plan_says() {
    let _limit = limit(20.0);
    for way in WAYS {
        let ends: Vec<Pipe> = (0..3).map(|_| pipe().unwrap()).collect();
        let fds =
            [(ends[0].write.as_fd(), 7), (ends[1].write.as_fd(), 3), (ends[2].write.as_fd(), 1)];
        let argv =
            Strings::of([c"sh", c"-c", c"echo seven >&7; echo three >&3; echo one"]).unwrap();
        let envp = Strings::new();
        let plan = SpawnPlan { fds: &fds, ..plain(c"/bin/sh", &argv, &envp) };
        let pid = spawn_with(&plan, way).unwrap();
        assert_eq!(wait_for(pid), Ok(Status::Code(0)));
        for (end, expected) in ends.into_iter().zip(["seven\n", "three\n", "one\n"]) {
            // End of file comes at once: no copy of the writing end was left behind.
            drop(end.write);
            let mut said = String::new();
            std::fs::File::from(end.read).read_to_string(&mut said).unwrap();
            assert_eq!(said, expected, "{way:?}");
        }
    }
}

#[test]
fn a_descriptor_that_has_no_place_is_a_fault() {
    let null = std::fs::File::open("/dev/null").unwrap();
    for targets in [&[8][..], &[-1], &[0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8]] {
        let fds: Vec<_> = targets.iter().map(|&target| (null.as_fd(), target)).collect();
        let argv = Strings::of([c"/bin/true"]).unwrap();
        let envp = Strings::new();
        let plan = SpawnPlan { fds: &fds, ..plain(c"/bin/true", &argv, &envp) };
        let expected = SpawnFault { step: SpawnStep::Descriptors, errno: Errno::INVAL };
        assert_eq!(spawn(&plan), Err(expected));
    }
}

#[test]
fn p20_no_signal_is_blocked_ignored_or_handled() {
    let _limit = limit(20.0);
    // std ignores PIPE; this thread blocks a few more, as PID 1 does.
    let before = signals::set_mask(1 << (libc::SIGTERM - 1) | 1 << (libc::SIGHUP - 1)).unwrap();
    let status = says_by(WAYS[0], &[c"/bin/cat", c"/proc/self/status"], &|_| {});
    let status_old = says_by(WAYS[3], &[c"/bin/cat", c"/proc/self/status"], &|_| {});
    signals::set_mask(before).unwrap();
    for line in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        let none = format!("\n{line}\t0000000000000000\n");
        assert!(status.contains(&none) && status_old.contains(&none), "{status}{status_old}");
    }
}

#[test]
fn the_program_leads_a_session_of_its_own() {
    let _limit = limit(20.0);
    for way in WAYS {
        let (pid, stdin) = cat(way, None);
        let found = procfs::stat(pid).unwrap();
        assert_eq!((found.session, found.pgrp), (pid, pid));
        assert_eq!(found.ppid, crate::process::own_pid());
        drop(stdin);
        assert_eq!(wait_for(pid), Ok(Status::Code(0)));
    }
}

fn null() -> std::fs::File {
    std::fs::File::options().read(true).write(true).open("/dev/null").unwrap()
}

/// A cat that lives until the descriptor is dropped.
fn cat(way: Abilities, cgroup: Option<BorrowedFd<'_>>) -> (i32, OwnedFd) {
    let Pipe { read, write } = pipe().unwrap();
    let null = null();
    let fds = [(read.as_fd(), 0), (null.as_fd(), 1)];
    let argv = Strings::of([c"cat"]).unwrap();
    let envp = Strings::of([c"ETTAN_COOKIE=0123456789abcdef"]).unwrap();
    let plan = SpawnPlan { fds: &fds, cgroup, ..plain(c"/bin/cat", &argv, &envp) };
    (spawn_with(&plan, way).unwrap(), write)
}

#[test]
fn umask_directory_and_identity_are_the_given_ones() {
    let _limit = limit(20.0);
    let said = says(&[c"/bin/sh", c"-c", c"umask; pwd; id -u; id -g; id -G"], |plan| {
        plan.umask = 0o077;
        plan.working_directory = Some(c"/proc");
        let groups = &[12, 20, 4_000_000_000];
        plan.identity = Some(Identity { uid: 65_534, gid: 65_534, groups });
    });
    assert_eq!(said, "0077\n/proc\n65534\n65534\n65534 12 20 4000000000\n");
    let said = says(&[c"/bin/sh", c"-c", c"pwd; id -u; id -G"], |plan| {
        plan.working_directory = Some(c"/");
        plan.identity = Some(Identity { uid: 0, gid: 0, groups: &[] });
    });
    assert_eq!(said, "/\n0\n0\n");
}

#[test]
fn f3_12_limits_are_those_of_boot_and_the_oom_score_the_plans() {
    let _limit = limit(20.0);
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let boot = Rlimit { current: Some(1000), maximum };
    setrlimit(Resource::Nofile, boot).unwrap();
    assert_eq!(limits::raise_nofile(1234), Ok(1234));
    assert_eq!(limits::raise_nofile(100), Ok(1234));
    assert_eq!(getrlimit(Resource::Nofile).current, Some(1234));
    limits::set_own_oom_score_adj(100).unwrap();
    let script = c"ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj";
    let number = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
    let (soft, hard) = (number(boot.current), number(boot.maximum));
    let said = says(&[c"/bin/sh", c"-c", script], |_| {});
    assert_eq!(said, format!("{soft}\n{hard}\n0\n"));
    let said = says(&[c"/bin/sh", c"-c", script], |plan| plan.oom_score_adj = 300);
    assert_eq!(said, format!("{soft}\n{hard}\n300\n"));
    assert_eq!(std::fs::read_to_string("/proc/self/oom_score_adj").unwrap(), "100\n");
}

#[test]
fn f1_15_what_cannot_be_executed_says_why() {
    let _limit = limit(30.0);
    let place = Place::new();
    let loops = place.c_at("loop");
    symlink("loop", place.at("loop")).unwrap();
    let plain_file = place.file("0644", "#!/bin/sh\n");
    let mut elf = std::fs::read("/bin/true").unwrap();
    elf[18] = if elf[18] == 0x28 { 0x3e } else { 0x28 };
    let script = executable(&place, "script", b"#!/no/such/interpreter -x\n");
    let loader = executable(&place, "loader", &with_interpreter("/lib/ld-none.so.1"));
    let inner = place.c_at("0644/program");
    let cases = [
        (c"/no/such/program".into(), SpawnStep::Exec, Errno::NOENT),
        (script, SpawnStep::Interpreter, Errno::NOENT),
        (loader, SpawnStep::Interpreter, Errno::NOENT),
        (executable(&place, "text", b"not a program\n"), SpawnStep::Exec, Errno::NOEXEC),
        (executable(&place, "empty", b""), SpawnStep::Exec, Errno::NOEXEC),
        (executable(&place, "wrong-arch", &elf), SpawnStep::Exec, Errno::NOEXEC),
        (plain_file, SpawnStep::Exec, Errno::ACCESS),
        (place.c_at(""), SpawnStep::Exec, Errno::ACCESS),
        (inner, SpawnStep::Exec, Errno::NOTDIR),
        (loops, SpawnStep::Exec, Errno::LOOP),
    ];
    for (program, step, errno) in cases {
        assert_eq!(fault_of(&program, |_| {}), (step, errno), "{program:?}");
    }
    let busy = executable(&place, "busy", b"#!/bin/sh\n");
    let _writer = std::fs::File::options().write(true).open(place.at("busy")).unwrap();
    assert_eq!(fault_of(&busy, |_| {}), (SpawnStep::Exec, Errno::TXTBSY));
    let huge = CString::new(vec![b'x'; 1 << 20]).unwrap();
    let argv = Strings::of([c"true", huge.as_c_str()]).unwrap();
    let envp = Strings::new();
    for way in WAYS {
        let found = spawn_with(&plain(c"/bin/true", &argv, &envp), way);
        assert_eq!(found, Err(SpawnFault { step: SpawnStep::Exec, errno: Errno::TOOBIG }));
    }
}

/// A copy of /bin/true that asks for another loader.
fn with_interpreter(path: &str) -> Vec<u8> {
    let mut elf = std::fs::read("/bin/true").unwrap();
    let at = elf.windows(5).position(|bytes| bytes == b"/lib6" || bytes == b"/lib/").unwrap();
    let len = elf[at..].iter().position(|&byte| byte == 0).unwrap();
    elf[at..at + len].fill(0);
    elf[at..at + len.min(path.len())].copy_from_slice(&path.as_bytes()[..len.min(path.len())]);
    elf
}

#[test]
fn f1_16_what_cannot_be_prepared_is_not_executed() {
    let _limit = limit(20.0);
    let program = c"/bin/true";
    let step = fault_of(program, |plan| plan.working_directory = Some(c"/no/such/directory"));
    assert_eq!(step, (SpawnStep::WorkingDirectory, Errno::NOENT));
    let as_who = |uid, gid, groups| Some(Identity { uid, gid, groups });
    let step = fault_of(program, |plan| plan.identity = as_who(u32::MAX, 0, &[]));
    assert_eq!(step, (SpawnStep::User, Errno::INVAL));
    let step = fault_of(program, |plan| plan.identity = as_who(0, u32::MAX, &[]));
    assert_eq!(step, (SpawnStep::Group, Errno::INVAL));
    let step = fault_of(program, |plan| plan.identity = as_who(0, 0, &[7; MAX_GROUPS + 1]));
    assert_eq!(step, (SpawnStep::Group, Errno::INVAL));
    // A user who may not enter the directory.
    let place = Place::new();
    std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let (directory, argv, envp) = (place.c_at(""), Strings::new(), Strings::new());
    for way in WAYS {
        let identity = as_who(65_534, 65_534, &[]);
        let working_directory = Some(directory.as_c_str());
        let plan = SpawnPlan { identity, working_directory, ..plain(program, &argv, &envp) };
        let expected = SpawnFault { step: SpawnStep::WorkingDirectory, errno: Errno::ACCESS };
        assert_eq!(spawn_with(&plan, way), Err(expected));
    }
    let step = fault_of(program, |plan| plan.tty_path = Some(c"/dev/no-such-tty"));
    assert_eq!(step, (SpawnStep::Tty, Errno::NOENT));
    let step = fault_of(program, |plan| plan.tty_path = Some(c"/dev/null"));
    assert_eq!(step, (SpawnStep::Tty, Errno::NOTTY));
}

#[test]
fn a_terminal_is_the_controlling_one_and_descriptors_0_to_2() {
    let _limit = limit(20.0);
    for way in WAYS {
        let (master, path) = terminal();
        let script = c"test -t 0 && test -t 1 && test -t 2 && echo all there >/dev/tty";
        let argv = Strings::of([c"sh", c"-c", script]).unwrap();
        let envp = Strings::new();
        let plan = SpawnPlan { tty_path: Some(&path), ..plain(c"/bin/sh", &argv, &envp) };
        let pid = spawn_with(&plan, way).unwrap();
        let mut said = [0; 64];
        let len = crate::pipe::read(&master, &mut said).unwrap();
        assert_eq!(&said[..len], b"all there\r\n", "{way:?}");
        assert_eq!(wait_for(pid), Ok(Status::Code(0)));
    }
}

/// A new pseudo terminal: our end, and the path of the other.
fn terminal() -> (OwnedFd, CString) {
    // SAFETY: makes a descriptor and touches nothing else.
    let master = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    assert!(master >= 0);
    // SAFETY: the descriptor was just made for us.
    let master = unsafe { OwnedFd::from_raw_fd(master) };
    let mut name = [0_u8; 64];
    // SAFETY: the descriptor is a terminal's; the buffer is as long as said.
    let fine = unsafe {
        libc::grantpt(master.as_raw_fd()) == 0
            && libc::unlockpt(master.as_raw_fd()) == 0
            && libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr().cast(), name.len()) == 0
    };
    assert!(fine);
    (master, CStr::from_bytes_until_nul(&name).unwrap().to_owned())
}

#[test]
fn f1_17_a_program_that_ends_at_once_is_not_lost() {
    let _limit = limit(60.0);
    let argv = Strings::of([c"/bin/true"]).unwrap();
    let envp = Strings::new();
    let plan = plain(c"/bin/true", &argv, &envp);
    for round in 0..200 {
        let pid = spawn_with(&plan, WAYS[round % 4]).unwrap();
        assert_eq!(wait_for(pid), Ok(Status::Code(0)));
    }
}

#[test]
fn a_program_is_born_in_its_cgroup() {
    let _limit = limit(20.0);
    let base = CString::new(format!("ettan-sys-spawn-{}", std::process::id())).unwrap();
    let Some(tree) = Tree::find(&base) else {
        return eprintln!("no cgroup v2 tree here: nothing tested");
    };
    let group = tree.create(c"web").unwrap();
    for way in WAYS {
        let directory = group.as_fd();
        let (pid, stdin) = cat(way, Some(directory));
        let mut path = [0; 512];
        assert!(procfs::cgroup_of(pid, &mut path).unwrap().ends_with(b"/web"), "{way:?}");
        drop(stdin);
        assert_eq!(wait_for(pid), Ok(Status::Code(0)));
    }
    tree.remove(c"web").unwrap();
    // The directory is gone, the descriptor is not.
    let argv = Strings::of([c"true"]).unwrap();
    let envp = Strings::new();
    for way in WAYS {
        let plan = SpawnPlan { cgroup: Some(group.as_fd()), ..plain(c"/bin/true", &argv, &envp) };
        assert_eq!(spawn_with(&plan, way).unwrap_err().step, SpawnStep::Cgroup, "{way:?}");
    }
    drop(group);
    drop(tree);
    crate::cgroup::remove_for_test(&base);
}

#[test]
fn the_cookie_is_in_the_first_environment() {
    let _limit = limit(20.0);
    let (pid, stdin) = cat(WAYS[0], None);
    let mut found = None;
    while found.is_none() {
        found = procfs::first_environment_has(pid, b"ETTAN_COOKIE=0123456789abcdef");
    }
    assert_eq!(found, Some(true));
    drop(stdin);
    wait_for(pid).unwrap();
}

#[test]
fn threads_may_spawn_at_once() {
    let _limit = limit(60.0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..25 {
                    let said = says_by(WAYS[(thread + round) % 4], &[c"/bin/echo", c"x"], &|_| {});
                    assert_eq!(said, "x\n");
                }
            });
        }
    });
}

#[test]
fn a_list_that_is_full_says_so() {
    let mut list = Strings::new();
    assert!(list.is_empty());
    for _ in 0..MAX_STRINGS {
        list.push(c"x").unwrap();
    }
    assert_eq!(list.push(c"x"), Err(Errno::TOOBIG));
    assert_eq!(list.len(), MAX_STRINGS);
    assert!(Strings::of(std::iter::repeat_n(c"x", MAX_STRINGS + 1)).is_err());
}

#[test]
fn a_group_that_was_killed_takes_a_new_program() {
    let _limit = limit(20.0);
    let base = CString::new(format!("ettan-sys-respawn-{}", std::process::id())).unwrap();
    let Some(tree) = Tree::find(&base) else {
        return eprintln!("no cgroup v2 tree here: nothing tested");
    };
    let group = tree.create(c"web").unwrap();
    for way in WAYS {
        let (first, _stdin) = cat(way, Some(group.as_fd()));
        group.kill().unwrap();
        assert_eq!(wait_for(first), Ok(Status::Signal { signal: 9, core: false }));
        let (pid, stdin) = cat(way, Some(group.as_fd()));
        drop(stdin);
        assert_eq!(wait_for(pid), Ok(Status::Code(0)), "{way:?}");
    }
    tree.remove(c"web").unwrap();
    drop(group);
    drop(tree);
    crate::cgroup::remove_for_test(&base);
}
