//! What PID 1 is to the logger, for tests: pipes with both ends kept, packets, a folder.

use std::ffi::CString;
use std::fs;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ettan_log::{Buffers, End};
use ettan_sys::pipe::{self, Pipe};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::{Errno, ioctl_fionread};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};

/// Runs a story, and fails it after 30 s (times `ETTAN_TEST_SLOW`).
pub(crate) fn story(body: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let teller = thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match ended.recv_timeout(limit()) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the time limit is over"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {}
    }
    if let Err(panic) = teller.join() {
        std::panic::resume_unwind(panic);
    }
}

fn limit() -> Duration {
    let slow = std::env::var("ETTAN_TEST_SLOW").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(30).mul_f64(slow.unwrap_or(1.0))
}

/// A folder of its own that goes when the test does.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ettan-log-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The logger, and PID 1's end of everything.
pub(crate) struct World {
    pub(crate) folder: Folder,
    control: Option<OwnedFd>,
    running: Running,
}

enum Running {
    Thread(JoinHandle<End>),
    Process(Child),
    Not,
}

impl World {
    /// A logger in a thread of this process.
    pub(crate) fn new() -> Self {
        World::over(Folder::new())
    }

    /// The same over this folder.
    pub(crate) fn over(folder: Folder) -> Self {
        let (ours, theirs) = pair();
        let root = folder.path().to_owned();
        let logger = thread::spawn(move || {
            let mut buffers = Box::new(Buffers::new());
            ettan_log::serve(&root, &pid_1_of(&root), theirs.as_fd(), None, &mut buffers).unwrap()
        });
        World { folder, control: Some(ours), running: Running::Thread(logger) }
    }

    /// A logger that is a process: `role` is the test of this program that it runs, after the
    /// words of `before`.
    pub(crate) fn process(before: &[&str], role: &str) -> Self {
        World::process_over(Folder::new(), before, role)
    }

    /// The same over this folder.
    pub(crate) fn process_over(folder: Folder, before: &[&str], role: &str) -> Self {
        let mut world = World { folder, control: None, running: Running::Not };
        world.start_process(before, role);
        world
    }

    /// A logger process that is killed before its call of that number; of those, in strace's words,
    /// which concern these files of its folder.
    pub(crate) fn killed_before(call: &str, number: usize, names: &[&str], role: &str) -> Self {
        let folder = Folder::new();
        let calls = format!("trace={call}");
        let kill = format!("inject={call}:signal=KILL:when={number}");
        let mut before = vec!["strace", "-f", "-qq", "-o", "/dev/null", "-e", &calls, "-e", &kill];
        // Those of the test's own start are not meant.
        let paths: Vec<_> = names.iter().map(|name| folder.path().join(name)).collect();
        for path in &paths {
            before.extend(["-P", path.to_str().unwrap()]);
        }
        World::process_over(folder, &before, role)
    }

    /// Another logger process over the same folder; PID 1 would open all pipes again now.
    pub(crate) fn start_process(&mut self, before: &[&str], role: &str) {
        let (ours, theirs) = pair();
        let program = std::env::current_exe().unwrap();
        let program = program.to_str().unwrap();
        let words = [before, &[program, "--exact", role, "--nocapture", "--test-threads=1"]];
        let words = words.concat();
        let child = Command::new(words[0])
            .args(&words[1..])
            .env(ROOT, self.folder.path())
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.control = Some(ours);
        self.running = Running::Process(child);
    }

    pub(crate) fn pid(&self) -> i32 {
        match &self.running {
            Running::Process(child) => i32::try_from(child.id()).unwrap(),
            Running::Thread(_) | Running::Not => panic!("no process"),
        }
    }

    /// A pipe for this unit, both ends of which stay with us, as with PID 1.
    pub(crate) fn open(&self, name: &str, max_size_bytes: u64, max_files: u32) -> Pipe {
        let pipe = pipe::pipe().unwrap();
        self.reopen(name, max_size_bytes, max_files, &pipe);
        pipe
    }

    /// The same with these words about it.
    pub(crate) fn open_with(&self, name: &str, words: &str) -> Pipe {
        let pipe = pipe::pipe().unwrap();
        self.reopen_with(name, words, &pipe);
        pipe
    }

    /// Sends the read end of this pipe.
    pub(crate) fn reopen(&self, name: &str, max_size_bytes: u64, max_files: u32, pipe: &Pipe) {
        self.reopen_with(name, &format!("{max_size_bytes} {max_files}"), pipe);
    }

    pub(crate) fn reopen_with(&self, name: &str, words: &str, pipe: &Pipe) {
        let rights = [pipe.read.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&rights)));
        self.send_with(&format!("open {name} {words}"), &mut ancillary);
    }

    /// Sends a descriptor with this packet.
    pub(crate) fn hand_over(&self, packet: &str, fd: BorrowedFd<'_>) {
        let rights = [fd];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&rights)));
        self.send_with(packet, &mut ancillary);
    }

    /// The same with a logger that may be gone already. True if it got the packet.
    pub(crate) fn try_reopen(&self, name: &str, max: u64, max_files: u32, pipe: &Pipe) -> bool {
        self.try_reopen_with(name, &format!("{max} {max_files}"), pipe)
    }

    pub(crate) fn try_reopen_with(&self, name: &str, words: &str, pipe: &Pipe) -> bool {
        let rights = [pipe.read.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&rights)));
        let packet = format!("open {name} {words}");
        let parts = [IoSlice::new(packet.as_bytes())];
        let control = self.control.as_ref().unwrap();
        sendmsg(control, &parts, &mut ancillary, SendFlags::NOSIGNAL).is_ok()
    }

    /// Closes the socket of a logger that may be killed. True if it ended well.
    pub(crate) fn try_end(&mut self) -> bool {
        self.control = None;
        self.gone()
    }

    /// Waits until the logger has done all that it was given so far. False if it is gone instead.
    pub(crate) fn is_through(&mut self, word: &str) -> bool {
        let _ = self.try_send(&format!("mark ettan {word}"));
        let own = self.current("ettan");
        self.comes_to(|| fs::read_to_string(&own).is_ok_and(|log| log.contains(word)))
    }

    /// Waits until the logger has taken all that is in the pipe. False if it is gone instead.
    pub(crate) fn has_read(&mut self, pipe: &Pipe) -> bool {
        self.comes_to(|| ioctl_fionread(&pipe.read).unwrap() == 0)
    }

    fn comes_to(&mut self, is_so: impl Fn() -> bool) -> bool {
        let Running::Process(child) = &mut self.running else { panic!("no process") };
        while !is_so() {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            thread::yield_now();
        }
        true
    }

    /// Waits until the logger process is gone, however. True if it ended well.
    pub(crate) fn gone(&mut self) -> bool {
        match std::mem::replace(&mut self.running, Running::Not) {
            Running::Process(mut child) => child.wait().unwrap().success(),
            Running::Thread(_) | Running::Not => panic!("no process"),
        }
    }

    pub(crate) fn send(&self, packet: &str) {
        self.send_with(packet, &mut SendAncillaryBuffer::default());
    }

    /// The same to a logger that may be gone. True if it was heard.
    pub(crate) fn try_send(&self, packet: &str) -> bool {
        let control = self.control.as_ref().unwrap();
        let parts = [IoSlice::new(packet.as_bytes())];
        let mut none = SendAncillaryBuffer::default();
        sendmsg(control, &parts, &mut none, SendFlags::NOSIGNAL).is_ok()
    }

    fn send_with(&self, packet: &str, ancillary: &mut SendAncillaryBuffer<'_, '_, '_>) {
        let control = self.control.as_ref().unwrap();
        let parts = [IoSlice::new(packet.as_bytes())];
        sendmsg(control, &parts, ancillary, SendFlags::NOSIGNAL).unwrap();
    }

    /// Closes the socket, as PID 1 does at the end, and waits for the logger to end.
    pub(crate) fn end(&mut self) {
        self.control = None;
        self.wait();
    }

    /// Waits for the logger to end, and to say that all is well.
    pub(crate) fn wait(&mut self) {
        match std::mem::replace(&mut self.running, Running::Not) {
            Running::Thread(logger) => assert_eq!(logger.join().unwrap(), End::Closed),
            Running::Process(mut child) => assert!(child.wait().unwrap().success()),
            Running::Not => panic!("it ended before"),
        }
    }

    /// Kills the logger process, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        match std::mem::replace(&mut self.running, Running::Not) {
            Running::Process(mut child) => {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            Running::Thread(_) | Running::Not => panic!("no process"),
        }
    }

    /// How often the logger process waited for something so far.
    pub(crate) fn wake_ups(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let waits = |task: std::io::Result<fs::DirEntry>| -> u64 {
            let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let line = status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
            line.unwrap().trim().parse().unwrap()
        };
        tasks.map(waits).sum()
    }

    /// The unit's `current`.
    pub(crate) fn current(&self, name: &str) -> PathBuf {
        self.folder.path().join(name).join("current")
    }

    /// Waits until the unit's `current` is as wished for.
    pub(crate) fn expect(&self, name: &str, wish: impl Fn(&[u8]) -> bool) {
        let path = self.current(name);
        expect_file(&path, wish);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.control = None;
        if let Running::Process(child) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Where PID 1 listens for the loggers of this folder.
pub(crate) fn pid_1_of(root: &Path) -> CString {
    CString::new(root.join(".control.sock").into_os_string().into_vec()).unwrap()
}

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

/// Where a logger process finds its folder.
const ROOT: &str = "ETTAN_LOG_TEST_ROOT";

/// The body of a logger process; returns where this is no such process.
pub(crate) fn be_a_logger() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let control = pipe::inherited(0).unwrap();
    let signals = ettan_sys::signals::block_these(&[15]).unwrap();
    let mut buffers = Box::new(Buffers::new());
    let end = ettan_log::serve(
        Path::new(&root),
        &pid_1_of(Path::new(&root)),
        control.as_fd(),
        Some(signals),
        &mut buffers,
    );
    std::process::exit(i32::from(end.is_err()));
}

/// Waits, for as long as a test may take, until the file is as wished for.
pub(crate) fn expect_file(path: &Path, wish: impl Fn(&[u8]) -> bool) {
    let until = Instant::now() + limit();
    loop {
        let watch = inotify::init(CreateFlags::CLOEXEC).unwrap();
        let changes = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVE;
        let folders = path.ancestors().filter(|path| path.starts_with(std::env::temp_dir()));
        for folder in folders {
            // What is renamed meanwhile is seen by the watch of the folder above it.
            match inotify::add_watch(&watch, folder, changes) {
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => panic!("{}: {errno}", folder.display()),
            }
        }
        let text = fs::read(path).unwrap_or_default();
        if wish(&text) {
            return;
        }
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap();
        let changed = poll(&mut [PollFd::new(&watch, PollFlags::IN)], Some(&left)).unwrap();
        assert!(changed > 0, "{} has {}", path.display(), String::from_utf8_lossy(&text));
    }
}

/// Writes all of it, waiting where the pipe is full.
pub(crate) fn say(pipe: &Pipe, text: impl AsRef<[u8]>) {
    let mut left = text.as_ref();
    while !left.is_empty() {
        left = &left[pipe::write(&pipe.write, left).unwrap()..];
    }
}

/// One line of a log: the byte after its time, and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) lead: char,
    pub(crate) text: Vec<u8>,
}

impl Line {
    pub(crate) fn new(lead: char, text: impl AsRef<[u8]>) -> Self {
        Line { lead, text: text.as_ref().to_owned() }
    }
}

/// Reads a log, and insists that every line of it is whole.
pub(crate) fn lines(log: &[u8]) -> Vec<Line> {
    let Some(whole) = log.strip_suffix(b"\n") else {
        assert!(log.is_empty(), "the last line has no end");
        return Vec::new();
    };
    let clock = |line: &Line| line.lead == '=';
    whole.split(|byte| *byte == b'\n').map(line).filter(|line| !clock(line)).collect()
}

fn line(text: &[u8]) -> Line {
    let shape = b"0000-00-00T00:00:00.000Z";
    let fits = |(byte, shape): (&u8, &u8)| match *shape {
        b'0' => byte.is_ascii_digit(),
        other => *byte == other,
    };
    let shown = String::from_utf8_lossy(text);
    assert!(text.len() > 24 && text.iter().zip(shape).all(fits), "no time in {shown:?}");
    Line { lead: char::from(text[24]), text: text[25..].to_owned() }
}

/// All that a service wrote, put together again from its lines.
pub(crate) fn output(lines: &[Line]) -> Vec<u8> {
    let mut all = Vec::new();
    for line in lines.iter().filter(|line| line.lead != '*') {
        if line.lead == '+' {
            assert_eq!(all.pop(), Some(b'\n'));
        }
        all.extend_from_slice(&line.text);
        all.push(b'\n');
    }
    all
}

/// The unit's files in order of age, `current` last.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| !file.file_name().unwrap().as_bytes().starts_with(b"."));
    files.sort();
    files
}

/// The span over which wake-ups are counted: waits for an event that does not come.
pub(crate) fn nothing_for_300_ms() {
    let silent = pipe::pipe().unwrap();
    let span = Timespec { tv_sec: 0, tv_nsec: 300_000_000 };
    let came = poll(&mut [PollFd::new(&silent.read, PollFlags::IN)], Some(&span)).unwrap();
    assert_eq!(came, 0);
}
