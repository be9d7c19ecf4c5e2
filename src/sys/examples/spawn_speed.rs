//! Measures starts: microseconds from spawn to reaped, with few and with many descriptors open,
//! the best of 40 rounds (other work on the machine only ever adds).
//! Usage: spawn_speed PROGRAM COUNT
use ettan_sys::spawn::{SpawnPlan, Strings, spawn};
use rustix::fd::AsFd;
use std::ffi::CString;
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = CString::new(arguments.next().expect("a program")).expect("no NUL");
    let count: u32 = arguments.next().and_then(|n| n.parse().ok()).expect("a number");
    let _ = ettan_sys::limits::raise_nofile(10_000);
    let argv = Strings::of([program.as_c_str()]).expect("one string");
    let envp = Strings::of([c"PATH=/bin", c"ETTAN_COOKIE=0123456789abcdef"]).expect("two strings");
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").expect("null");
    let fds = [(null.as_fd(), 0), (null.as_fd(), 1), (null.as_fd(), 2)];
    let tree = ettan_sys::cgroup::Tree::find(c"ettan-speed");
    let group = tree.as_ref().and_then(|tree| tree.create(c"unit").ok());
    let mut held = Vec::new();
    for (more, grouped) in [(0, false), (0, true), (2000, false)] {
        for _ in 0..more {
            held.push(ettan_sys::pipe::duplicate(&null).expect("a descriptor"));
        }
        let plan = SpawnPlan {
            program: &program,
            argv: &argv,
            envp: &envp,
            identity: None,
            working_directory: None,
            umask: 0o022,
            tty_path: None,
            tty_fds: [true; 3],
            fds: &fds,
            cgroup: group.as_ref().filter(|_| grouped).map(AsFd::as_fd),
            oom_score_adj: 0,
            rights: ettan_sys::spawn::Rights::default(),
        };
        let round = || {
            let begin = Instant::now();
            for _ in 0..count {
                let pid = spawn(&plan).expect("a process");
                let _ = ettan_sys::reap::wait_for(pid);
            }
            begin.elapsed().as_secs_f64() * 1e6 / f64::from(count)
        };
        let best = (0..40).map(|_| round()).fold(f64::INFINITY, f64::min);
        println!("{best:.1} us each, {more} more descriptors, cgroup: {grouped}");
    }
    drop(group);
    if let Some(tree) = tree {
        let _ = tree.remove(c"unit");
        for place in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let _ = std::fs::remove_dir(format!("{place}/ettan-speed"));
        }
    }
}
