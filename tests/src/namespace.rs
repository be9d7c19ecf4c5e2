//! A machine made of fresh namespaces on this host. Process 1 is the real `/sbin/init`.
//!
//! The oracle of its end is the wait status of the namespace's process 1, which the kernel sets
//! in reboot(2): SIGHUP for a restart, SIGINT for power-off and halt. `unshare` passes it on.

use crate::binaries::{Program, look, target};
use crate::cgroup::Cgroup;
use crate::client::wait;
use crate::host::Mounts;
use crate::notices::{Next, Notices};
use crate::{Client, End, Limit, Machine, Output, Process, Received, Story, Trace};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SETUP: &str = include_str!("setup.sh");
const INIT: &str = "/sbin/init";
const LACKING: &str = "/usr/bin/lacking";
/// An init in a directory where a test puts it, and may put another one.
const MOVABLE: &str = "/disk/init";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a machine is made of, before it is made.
#[derive(Clone, Debug)]
pub struct Builder {
    start: Start,
    cgroups: Cgroups,
    seconds: u64,
    lacking: Option<[String; 2]>,
    command: Vec<String>,
    environment: Vec<(String, String)>,
    layer: Option<PathBuf>,
}

/// What process 1 finds when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// /proc, a small /dev, descriptors 0 to 2 on the console.
    Usual,
    /// As `Usual` without console and kernel log, and descriptors 0 to 2 closed.
    NoConsole,
    /// No /proc, nothing in /dev; descriptors 0 to 2 on a file.
    Bare,
    /// As `Bare`, and descriptors 0 to 2 closed: as the kernel starts an init in a root file
    /// system without /dev/console.
    Closed,
}

/// Whether process 1 can have control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cgroups {
    /// A cgroup2 tree of its own.
    Own,
    /// None at all.
    Missing,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            start: Start::Usual,
            cgroups: Cgroups::Own,
            seconds: 60,
            lacking: None,
            command: vec![INIT.to_owned()],
            environment: Vec::new(),
            layer: None,
        }
    }
}

impl Builder {
    /// What process 1 finds.
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// Whether there are control groups.
    #[must_use]
    pub fn cgroups(mut self, cgroups: Cgroups) -> Self {
        self.cgroups = cgroups;
        self
    }

    /// The time limit of the whole test, in seconds.
    #[must_use]
    pub fn seconds(mut self, seconds: u64) -> Self {
        self.seconds = seconds;
        self
    }

    /// What to execute as process 1 instead of `/sbin/init`.
    #[must_use]
    pub fn command(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// System calls that fail with this error (`ENOSYS`, `EPERM`) for process 1 and all that it
    /// starts. Names divided by commas, or `since-4.9`.
    #[must_use]
    pub fn lacking(mut self, errno: &str, calls: &str) -> Self {
        self.lacking = Some([errno, calls].map(str::to_owned));
        self
    }

    /// One variable more for process 1 than the kernel's HOME and TERM.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A folder whose `usr` lies over the host's and whose `etc` is copied.
    #[must_use]
    pub fn layer(mut self, folder: &Path) -> Self {
        self.layer = Some(folder.to_path_buf());
        self
    }

    /// Makes the machine: its root file system is there and can be written to; process 1 has
    /// not started.
    ///
    /// # Panics
    /// When the host does not let us make namespaces.
    #[must_use]
    pub fn build(self) -> Namespace {
        Namespace::new(self)
    }

    fn options(&self) -> String {
        let start = match self.start {
            Start::Usual => "",
            Start::NoConsole => "no-console closed",
            Start::Bare => "bare",
            Start::Closed => "bare closed",
        };
        let cgroups = match self.cgroups {
            Cgroups::Own => "",
            Cgroups::Missing => "no-cgroup",
        };
        format!("{start} {cgroups}")
    }
}

/// So often a process without words is looked at again; some never have any.
const EXECUTIONS: u32 = 20;

/// A machine in namespaces. Dropping it ends every process in it and removes all it was made of.
#[derive(Debug)]
pub struct Namespace {
    shell: Shell,
    shell_fd: OwnedFd,
    /// Process 1 as the host numbers it.
    init: i32,
    init_fd: OwnedFd,
    /// Whether process 1 is Ettan, and has been started.
    booted: bool,
    is_ettan: bool,
    end: Option<End>,
    notices: Notices,
    story: Story,
    console: Option<File>,
    kmsg: Option<File>,
    limit: Limit,
    /// Removed when the processes are gone.
    _cgroup: Option<Cgroup>,
    directory: Directory,
    mounts: Mounts,
}

impl Namespace {
    /// A machine as most tests want it.
    #[must_use]
    pub fn usual() -> Self {
        Builder::default().build()
    }

    fn new(builder: Builder) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mounts = Mounts::now();
        let is_ettan = builder
            .command
            .first()
            .is_some_and(|program| program.starts_with(INIT) || program.ends_with(MOVABLE));
        let directory = stage(number, is_ettan);
        let cgroup = match builder.cgroups {
            Cgroups::Own => Some(Cgroup::new(number).expect("a control group on the host")),
            Cgroups::Missing => None,
        };
        let mut shell = unshare(&builder, &directory.0, cgroup.as_ref());
        let shell_fd = pidfd(shell.0.id());
        await_ready(&mut shell.0, &directory.0);
        let init = only_child(shell.0.id());
        let init_fd = pidfd(init.unsigned_abs());
        let root = PathBuf::from(format!("/proc/{init}/root"));
        Self {
            shell,
            shell_fd,
            init,
            init_fd,
            booted: false,
            is_ettan,
            end: None,
            notices: Notices::new(&root),
            story: Story::default(),
            console: File::open(root.join("dev/console")).ok(),
            kmsg: File::open(root.join("dev/kmsg")).ok(),
            limit: Limit::seconds(builder.seconds),
            _cgroup: cgroup,
            directory,
            mounts,
        }
    }

    /// The machine's root file system as the host sees it, while process 1 lives.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.init))
    }

    /// Process 1 as the host numbers it.
    #[must_use]
    pub fn init(&self) -> i32 {
        self.init
    }

    /// The control socket as the host sees it.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.root().join("run/ettan/control.sock")
    }

    /// What was written to the console so far.
    pub fn console(&mut self) -> String {
        self.console.as_mut().map(whole).unwrap_or_default()
    }

    /// What was written to the kernel's log so far.
    pub fn kmsg(&mut self) -> String {
        self.kmsg.as_mut().map(whole).unwrap_or_default()
    }

    /// Sends one request to the control socket and returns the packets that come back until
    /// the first whose kind is in `last`.
    ///
    /// # Panics
    /// When nobody listens, or the answer does not come in time.
    #[track_caller]
    pub fn ask(&self, request: &str, last: &[&str]) -> Vec<Value> {
        let client = loop {
            match Client::connect(&self.socket()) {
                // Too many wait to be let in, for the moment.
                Err(Errno::AGAIN) if !self.limit.over() => {}
                outcome => break outcome.expect("somebody listens"),
            }
        };
        client.send(request.as_bytes()).expect("a request is taken");
        let mut answer = Vec::new();
        loop {
            match client.receive(self.limit) {
                Received::Packet(packet) => {
                    let value: Value = serde_json::from_str(&packet).expect("a packet is JSON");
                    let ends = last.iter().any(|kind| value["reply"] == *kind);
                    answer.push(value);
                    if ends {
                        return answer;
                    }
                }
                other => panic!("{request}: {answer:?} and then {other:?}"),
            }
        }
    }

    /// What PID 1 says about itself.
    ///
    /// # Panics
    /// As `ask`.
    #[track_caller]
    pub fn stats(&self) -> Value {
        self.ask(r#"{"verb":"stats"}"#, &["stats"]).remove(0)
    }

    /// Attaches strace(1) to process 1, which then tampers with its system calls as
    /// `expressions` say (`inject=clone3:error=EAGAIN`). It does so as long as the value lives.
    #[must_use]
    pub fn trace(&self, expressions: &[&str]) -> Trace {
        Trace::attach(self.init, false, expressions, &self.directory.0.join("strace"))
    }

    /// The same with all that process 1 starts from now on.
    #[must_use]
    pub fn trace_all(&self, expressions: &[&str]) -> Trace {
        Trace::attach(self.init, true, expressions, &self.directory.0.join("strace"))
    }

    /// Expects nothing of this machine any more when it is dropped.
    pub(crate) fn give_up(&mut self) {
        self.booted = false;
    }

    /// Looks whether the machine has ended, without waiting.
    fn look(&mut self) -> Option<&End> {
        if self.end.is_none() {
            let status = self.shell.0.try_wait().expect("wait for the namespace");
            self.end = status.map(verdict);
        }
        self.end.as_ref()
    }
}

impl Machine for Namespace {
    fn write(&mut self, path: &str, content: &[u8]) {
        let file = self.root().join(path.trim_start_matches('/'));
        let directory = file.parent().expect("a path of a file");
        fs::create_dir_all(directory).and_then(|()| fs::write(&file, content)).expect(path);
    }

    fn boot(&mut self) {
        let go = self.shell.0.stdin.take().map(|mut stdin| stdin.write_all(b"go\n"));
        go.expect("a machine boots once").expect("the setup shell waits for this");
        self.booted = true;
    }

    fn sh(&mut self, command: &str) -> Output {
        let seconds = self.limit.left().as_secs().saturating_add(1).to_string();
        let init = self.init.to_string();
        // Files and no pipes: what the command leaves running may keep them open.
        let names = ["out", "err"].map(|name| self.directory.0.join(name));
        let [out, err] =
            names.each_ref().map(|name| File::create(name).expect("a file for output"));
        let status = Command::new("timeout")
            .args(["-s", "KILL", &seconds, "nsenter", "-t", &init])
            .args(["-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"])
            .args(["env", "-i", PATH, "HOME=/root", "sh", "-c", command])
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .status()
            .expect("nsenter is there");
        let [out, err] = names.map(|name| fs::read(name).unwrap_or_default());
        Output {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            out: String::from_utf8_lossy(&out).into_owned(),
            err: String::from_utf8_lossy(&err).into_owned(),
        }
    }

    /// One that is just being executed has no words yet, while who started it goes on already
    /// (vfork(2)): it is looked at again.
    fn processes(&mut self) -> Vec<Process> {
        let proc = self.root().join("proc");
        let wordless = |process: &Process| !process.is_zombie() && process.command.starts_with('[');
        for _ in 0..EXECUTIONS {
            let all = Process::all(&proc);
            if !all.iter().any(wordless) || !self.turn() {
                return all;
            }
        }
        Process::all(&proc)
    }

    fn next_notice(&mut self, limit: Limit) -> Option<String> {
        loop {
            match self.notices.next(limit.left()) {
                Next::Told(notice) => {
                    self.story.tell(notice.clone());
                    return Some(notice);
                }
                Next::Late | Next::Ended => return None,
                Next::Silent => {
                    wait(&[self.shell_fd.as_fd()], TURN_MS);
                    if limit.over() || self.look().is_some() {
                        return None;
                    }
                }
            }
        }
    }

    fn story(&mut self) -> &mut Story {
        &mut self.story
    }

    fn end(&mut self) -> End {
        while self.look().is_none() && !self.limit.over() {
            wait(&[self.shell_fd.as_fd()], self.limit.left_ms());
        }
        while self.next_notice(self.limit).is_some() {}
        self.end.clone().expect("the machine comes to its end in time")
    }

    fn turn(&mut self) -> bool {
        wait(&[self.shell_fd.as_fd()], TURN_MS);
        self.look().is_none()
    }

    fn limit(&self) -> Limit {
        self.limit
    }

    fn report(&mut self) -> String {
        let _ = self.look();
        while let Next::Told(notice) = self.notices.next(Duration::ZERO) {
            self.story.tell(notice);
        }
        let setup = fs::read_to_string(self.directory.0.join("setup.err")).unwrap_or_default();
        let chapters = [
            ("end", format!("{:?} (limit {:?})", self.end, self.limit.span())),
            ("notices", self.story.all().join("\n")),
            ("processes", Process::table(&self.processes())),
            ("console", self.console()),
            ("kmsg", self.kmsg()),
            ("setup", setup),
            ("logs", logs(&self.root().join("run/log/ettan"))),
        ];
        chapters.iter().map(|(title, text)| format!("== {title}\n{}\n", text.trim_end())).collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            eprintln!("{}", self.report());
        }
        // Process 1 takes all others with it; the shell is reaped when they are gone.
        let healthy = !failed && self.is_ettan && self.booted && self.look().is_none();
        let stats = healthy.then(|| self.stats());
        let _ = pidfd_send_signal(&self.init_fd, Signal::KILL);
        let _ = self.shell.0.wait();
        let changed = self.mounts.changed();
        let allocations = stats.as_ref().map(|stats| &stats["allocations_after_boot"]);
        assert!(allocations.is_none_or(|count| *count == 0), "the heap was used: {stats:?}");
        assert!(failed || changed.is_empty(), "the machine changed the host: {changed:?}");
    }
}

/// The process between this one and process 1. Gone with its value, and process 1 with it.
#[derive(Debug)]
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A directory that goes with its value.
#[derive(Debug)]
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How long a look at something without an event may wait for the machine's end, milliseconds.
const TURN_MS: i32 = 5;

/// The directory that a machine is made from: its programs and its /etc.
fn stage(number: u64, is_ettan: bool) -> Directory {
    static SWEEP: Once = Once::new();
    SWEEP.call_once(sweep);
    let directory = machines().join(format!("{}-{number}", std::process::id()));
    let directory = Directory(directory);
    for name in ["root", "etc", "usr/sbin", "usr/bin"] {
        fs::create_dir_all(directory.0.join(name)).expect("a directory for the machine");
    }
    for (program, name) in PROGRAMS {
        let file = look(program);
        let is_needed = is_ettan && !OPTIONAL.contains(&program);
        assert!(file.is_some() || !is_needed, "{program:?} is not built: make host-musl does it");
        if let Some(file) = file {
            place(&file, &directory.0.join(name));
        }
    }
    for (name, content) in ETC {
        fs::write(directory.0.join("etc").join(name), content)
            .expect("a file for the machine's /etc");
    }
    directory
}

fn machines() -> PathBuf {
    target().join("test/machines")
}

/// Removes what test runs left that were killed before they could do it themselves.
fn sweep() {
    let Ok(entries) = fs::read_dir(machines()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let owner = name.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(owner).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

const FAILING_INIT: &str = "usr/sbin/init-failing";

/// Where the programs under test go.
const PROGRAMS: [(Program, &str); 9] = [
    (Program::Init, "usr/sbin/init"),
    (Program::FailingInit, FAILING_INIT),
    (Program::NextInit, "usr/sbin/init-next"),
    (Program::Cli, "usr/bin/ettan"),
    (Program::Web, "usr/bin/ettan-web"),
    (Program::FakeDaemon, "usr/bin/fake-daemon"),
    (Program::Telldusd, "usr/sbin/telldusd"),
    (Program::SoakWorker, "usr/bin/soak-worker"),
    (Program::Lacking, "usr/bin/lacking"),
];

/// What only some tests need, and look for themselves.
const OPTIONAL: [Program; 6] = [
    Program::FailingInit,
    Program::NextInit,
    Program::Lacking,
    Program::SoakWorker,
    Program::Telldusd,
    Program::Web,
];

/// The machine's own /etc.
const ETC: [(&str, &str); 4] = [
    (
        "passwd",
        "root:x:0:0:root:/root:/bin/sh\n\
         daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
         telldus:x:990:990:telldus:/home/telldus:/bin/sh\n\
         ettan-web:x:992:992:status page:/nonexistent:/usr/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    (
        "group",
        "root:x:0:\ndaemon:x:1:\nplugdev:x:46:telldus\ntelldus:x:990:\nettan:x:991:\n\
         ettan-operator:x:992:\nnogroup:x:65534:\n",
    ),
    ("hostname", "machine\n"),
    ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
];

/// Puts a program in its place: a second name for the same file, or a copy on another disk.
fn place(program: &Path, place: &Path) {
    if fs::hard_link(program, place).is_err() {
        fs::copy(program, place).expect("a copy of the program");
    }
}

/// Starts the namespaces. The shell in between joins the control group first, so that the
/// control group namespace begins there; should this process be killed, the kernel ends all.
fn unshare(builder: &Builder, directory: &Path, cgroup: Option<&Cgroup>) -> Shell {
    let join = match cgroup {
        Some(cgroup) => format!("echo $$ >{}/cgroup.procs && ", cgroup.path().display()),
        None => String::new(),
    };
    let enter = "exec setpriv --pdeathsig KILL -- unshare -p -m -u -i -n -C --fork --kill-child \
                 --propagation private bash -c \"$@\"";
    let errors = File::create(directory.join("setup.err")).expect("a file for the setup's errors");
    Command::new("sh")
        .args(["-c", &format!("{join}{enter}"), "unshare", SETUP, "setup"])
        .arg(directory.join("root"))
        .arg(directory)
        .arg(builder.layer.as_deref().unwrap_or(Path::new("")))
        .arg(builder.options())
        .args(["env", "-i", "HOME=/", "TERM=linux"])
        .args(builder.environment.iter().map(|(name, value)| format!("{name}={value}")))
        .args(builder.lacking.iter().flat_map(|[errno, calls]| [LACKING, errno, calls]))
        .args(&builder.command)
        .env_clear()
        .envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/"), ("TERM", "linux")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .map(Shell)
        .expect("unshare is there")
}

/// Waits until the root file system is built.
fn await_ready(shell: &mut Child, directory: &Path) {
    let mut line = String::new();
    let output = shell.stdout.take().expect("the setup's output is a pipe");
    let _ = BufReader::new(output).read_line(&mut line);
    let errors = fs::read_to_string(directory.join("setup.err")).unwrap_or_default();
    assert!(line == "ready\n", "no namespaces on this host (they need root): {errors}");
}

/// The one child of `unshare`: process 1.
fn only_child(parent: u32) -> i32 {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    let children = children.expect("the kernel lists children");
    children.trim().parse().expect("one child")
}

fn pidfd(pid: u32) -> OwnedFd {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("the id of a process");
    pidfd_open(pid, PidfdFlags::empty()).expect("a process of ours")
}

fn verdict(status: ExitStatus) -> End {
    match status.signal() {
        Some(1) => End::Reboot,
        Some(2) => End::Off,
        Some(_) | None => End::Died(status.to_string()),
    }
}

fn whole(file: &mut File) -> String {
    let mut text = Vec::new();
    let _ = std::io::Seek::rewind(file).and_then(|()| file.read_to_end(&mut text));
    String::from_utf8_lossy(&text).into_owned()
}

/// The newest log of every unit, for messages.
fn logs(directory: &Path) -> String {
    let Ok(entries) = fs::read_dir(directory) else { return String::new() };
    let log = |entry: fs::DirEntry| {
        let text = fs::read(entry.path().join("current")).unwrap_or_default();
        format!("-- {}\n{}", entry.file_name().display(), String::from_utf8_lossy(&text))
    };
    entries.flatten().map(log).collect()
}
