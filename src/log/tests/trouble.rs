//! Stories of a logger whose calls fail for a while: no log is given up for that, and what is lost is
//! said.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;

use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::Command;

use ettan_sys::pipe::{self, Pipe};
use ettan_sys::socket;
use harness::{Folder, Line, World, be_a_logger, lines, say, story};

const ROLE: &str = "logger_process";

/// Not a test: what the processes that tests start do.
#[test]
fn logger_process() {
    be_a_logger();
}

fn log_of(world: &World, name: &str) -> Vec<Line> {
    lines(&fs::read(world.current(name)).unwrap())
}

/// A logger whose calls fail as strace(1) is told; of those, that concern these descriptors and files.
fn under_strace(folder: Folder, calls: &str, injections: &[&str], about: &[String]) -> World {
    let trace = format!("trace={calls}");
    let mut before = vec!["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace];
    injections.iter().for_each(|injection| before.extend(["-e", injection]));
    about.iter().for_each(|path| before.extend(["-P", path]));
    World::process_over(folder, &before, ROLE)
}

/// How the kernel calls the pipe.
fn name_of(pipe: &Pipe) -> String {
    format!("pipe:[{}]", pipe::identity(&pipe.read).unwrap())
}

#[test]
fn f3_3_pipes_that_came_when_no_descriptor_was_left_are_read_once_there_is_one() {
    const UNITS: u32 = 24;
    story(|| {
        let few = ["sh", "-c", "ulimit -S -n 20; exec \"$@\"", "few"];
        let mut world = World::process(&few, ROLE);
        let units: Vec<_> = (0..UNITS).map(|unit| format!("unit{unit}")).collect();
        let pipes: Vec<_> = units.iter().map(|unit| world.open(unit, 1 << 20, 4)).collect();
        for (unit, pipe) in units.iter().zip(&pipes) {
            say(pipe, format!("{unit} begins\n"));
        }
        // Those that fit are logged, and nothing else is.
        assert!(world.has_read(&pipes[0]));
        let pid = world.pid().to_string();
        let more = Command::new("prlimit").args(["--pid", &pid, "--nofile=100:"]).status();
        assert!(more.unwrap().success());
        for pipe in &pipes {
            assert!(world.has_read(pipe));
        }
        world.end();
        for unit in &units {
            assert_eq!(log_of(&world, unit), [Line::new(' ', format!("{unit} begins"))]);
        }
    });
}

#[test]
fn f3_3_a_pipe_that_could_not_be_waited_for_is_read_all_the_same() {
    story(|| {
        let web = pipe::pipe().unwrap();
        let once = "inject=epoll_ctl:error=ENOMEM:when=1";
        let mut world = under_strace(Folder::new(), "epoll_ctl", &[once], &[name_of(&web)]);
        world.reopen("web", 1 << 20, 4, &web);
        say(&web, "here\n");
        assert!(world.has_read(&web));
        world.end();
        assert_eq!(log_of(&world, "web"), [Line::new(' ', "here")]);
    });
}

#[test]
fn f3_3_a_pipe_that_could_not_be_read_is_read_again() {
    story(|| {
        let web = pipe::pipe().unwrap();
        let (move_it, read_it) =
            ("inject=splice:error=ENOMEM:when=1..2", "inject=read:error=ENOMEM:when=1..2");
        let folder = Folder::new();
        let mut world = under_strace(folder, "splice,read", &[move_it, read_it], &[name_of(&web)]);
        world.reopen("web", 1 << 20, 4, &web);
        say(&web, "here\n");
        assert!(world.has_read(&web));
        world.end();
        assert_eq!(log_of(&world, "web"), [Line::new(' ', "here")]);
    });
}

#[test]
fn f3_3_messages_are_read_again_after_a_failure() {
    story(|| {
        let folder = Folder::new();
        let (ours, theirs) = socket::seqpacket_pair().unwrap();
        let (kernel, kernels) = socket::seqpacket_pair().unwrap();
        let name = |fd: &std::os::fd::OwnedFd| {
            let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
            fs::read_link(link).unwrap().to_str().unwrap().to_owned()
        };
        pipe::set_nonblocking(&kernels, true).unwrap();
        let about = [name(&theirs), name(&kernels)];
        let injections = [
            "inject=epoll_ctl:error=ENOMEM:when=1..2",
            "inject=recvmsg:error=ENOMEM:when=1",
            "inject=read:error=EIO:when=1",
        ];
        let mut world = under_strace(folder, "epoll_ctl,recvmsg,read", &injections, &about);
        world.hand_over("syslog", theirs.as_fd());
        world.hand_over("kernel", kernels.as_fd());
        socket::send(&ours, b"<30>Nov  1 01:02:03 a[1]: said").unwrap();
        socket::send(&kernel, b"6,10,1234567,-;usb 1-1: new device\n").unwrap();
        world.expect("ettan-syslog", |log| log.ends_with(b"said\n"));
        world.expect("ettan-kernel", |log| log.ends_with(b"new device\n"));
        world.end();
    });
}

#[test]
fn f3_3_what_was_taken_and_could_not_be_read_back_once_is_not_lost() {
    story(|| {
        let folder = Folder::new();
        let stage = folder.path().join(".stage").to_str().unwrap().to_owned();
        let once = "inject=pread64:error=EIO:when=1";
        let mut world = under_strace(folder, "pread64", &[once], &[stage]);
        let web = world.open("web", 1 << 20, 4);
        say(&web, "one\n");
        assert!(world.has_read(&web));
        say(&web, "two\n");
        world.end();
        assert_eq!(log_of(&world, "web"), [Line::new(' ', "one"), Line::new(' ', "two")]);
    });
}

#[test]
fn f3_3_what_was_taken_and_cannot_be_read_back_is_owned_up_to() {
    story(|| {
        let folder = Folder::new();
        let stage = folder.path().join(".stage").to_str().unwrap().to_owned();
        // As often as it is tried.
        let thrice = "inject=pread64:error=EIO:when=1..3";
        let mut world = under_strace(folder, "pread64", &[thrice], &[stage]);
        let web = world.open("web", 1 << 20, 4);
        say(&web, "one\n");
        assert!(world.has_read(&web));
        assert!(world.is_through("it has taken one"));
        say(&web, "two\n");
        world.end();
        let note = "lost 4 bytes (0 line ends or more) here: Input/output error (os error 5)";
        assert_eq!(log_of(&world, "web"), [Line::new('*', note), Line::new(' ', "two")]);
    });
}
