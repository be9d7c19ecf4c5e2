//! What PID 1 calls in steady state asks for no memory. A program of its own, without the test
//! harness, whose threads do.

use ettan_sys::poll::{Epoll, Interest, Ready};
use ettan_sys::spawn::{Identity, SpawnPlan, Strings, spawn};
use ettan_sys::{AsFd, cgroup, clock, heap, host, inotify, kmsg, memory, pidfile, pipe, process};
use ettan_sys::{procfs, random, reap, signals, socket};

#[global_allocator]
static HEAP: heap::CountingAlloc = heap::CountingAlloc;

fn main() {
    // Once before, as PID 1 does at boot: what is looked up lazily has been.
    let signals = signals::block_all().expect("signals");
    let tree = cgroup::Tree::find(c"ettan-sys-no-heap");
    let kmsg = kmsg::Kmsg::open().ok();
    let work = Work { signals, tree, kmsg };
    work.turn();
    heap::seal();
    let before = heap::after_seal();
    assert_eq!(before, 0);
    work.turn();
    work.turn();
    assert_eq!(heap::after_seal(), 0, "asked for memory");
    // The counter is not asleep.
    drop(std::hint::black_box(Box::new(5_u64)));
    assert_eq!(heap::after_seal(), 1);
    if let Some(tree) = work.tree {
        tree.remove(c"unit").expect("an empty group");
        drop(tree);
        for place in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            let _ = std::fs::remove_dir(format!("{place}/ettan-sys-no-heap"));
        }
    }
    println!("no_heap: ok");
}

struct Work {
    signals: signals::Signals,
    tree: Option<cgroup::Tree>,
    kmsg: Option<kmsg::Kmsg>,
}

impl Work {
    /// A start, an end, a client, a look at everything.
    fn turn(&self) {
        let group = self.tree.as_ref().map(|tree| tree.create(c"unit").expect("a group"));
        let ends = pipe::pipe().expect("a pipe");
        let epoll = Epoll::new().expect("a set");
        epoll.add(&self.signals, 1, Interest::Read).expect("room");
        let argv = Strings::of([c"sh", c"-c", c"exit 3"]).expect("room");
        let envp = Strings::of([c"ETTAN_COOKIE=0123456789abcdef"]).expect("room");
        let fds = [(ends.read.as_fd(), 0), (ends.write.as_fd(), 1), (ends.write.as_fd(), 2)];
        let plan = SpawnPlan {
            program: c"/bin/sh",
            argv: &argv,
            envp: &envp,
            identity: Some(Identity { uid: 65_534, gid: 65_534, groups: &[7, 8] }),
            working_directory: Some(c"/"),
            umask: 0o022,
            tty_path: None,
            tty_fds: [true; 3],
            fds: &fds,
            cgroup: group.as_ref().map(AsFd::as_fd),
            oom_score_adj: 0,
            rights: ettan_sys::spawn::Rights::default(),
        };
        let pid = spawn(&plan).expect("a process");
        let _ = procfs::first_environment_has(pid, b"ETTAN_COOKIE=0123456789abcdef");
        let _ = (procfs::stat(pid), procfs::pid_max(), process::exists(pid));
        let missing = SpawnPlan { program: c"/no/such/program", ..plan };
        assert!(spawn(&missing).is_err());
        let mut ready = [Ready::default(); 8];
        let limit = clock::now() + 20_000;
        loop {
            let _ = epoll.wait(&mut ready, Some(100));
            if let Some(reaped) = reap::reap().expect("reaping") {
                assert_eq!((reaped.pid, reaped.status), (pid, reap::Status::Code(3)));
                break;
            }
            assert!(clock::now() < limit);
        }
        self.look(group.as_ref());
        talk();
    }

    fn look(&self, group: Option<&cgroup::Group>) {
        assert!(procfs::pids().expect("/proc").any(|pid| pid == process::own_pid()));
        let mut path = [0; 512];
        let _ = procfs::cgroup_of(process::own_pid(), &mut path);
        if let Some(group) = group {
            let _ = (group.populated(), group.procs(&mut |_| {}), group.kill());
        }
        let _ = pidfile::look(c"/run/no-such.pid", None, 32_768);
        let _ = pidfile::remove(c"/run/no-such.pid", None);
        let watcher = inotify::Inotify::new().expect("inotify");
        let watch = watcher.watch_directory(c"/run").expect("a watch");
        let _ = (watcher.changes(&mut |_| {}), watcher.unwatch(watch));
        if let Some(kmsg) = &self.kmsg {
            let _ = kmsg.line(kmsg::Level::Debug, format_args!("test {}", 1.5));
        }
        let _ = (clock::wall(), random::number(), process::pidfd_open(process::own_pid()));
        let mut line = [0; 256];
        let _ = host::kernel_command_line(&mut line);
        let memory = memory::memfd_create(c"table").expect("memory");
        memory::write_all(&memory, b"table").expect("room");
        memory::seal(&memory).expect("sealed");
        assert_eq!(memory::map_sealed(&memory).expect("a map").bytes(), b"table");
    }
}

fn talk() {
    let (ours, theirs) = socket::seqpacket_pair().expect("a pair");
    let mut buffer = [0; 64];
    socket::send(&ours, b"hello").expect("room");
    assert!(socket::recv(&theirs, &mut buffer).expect("a packet").is_some());
    socket::send_fd(&ours, b"open", theirs.as_fd()).expect("room");
    assert!(socket::recv_fd(&theirs, &mut buffer).expect("a packet").is_some());
    assert!(socket::peer_credentials(&ours).is_ok());
}
