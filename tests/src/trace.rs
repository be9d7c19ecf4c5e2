//! Tampers with the system calls of processes from outside, by strace(1).

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;

/// A strace at work. Dropping it lets the process go on as before.
#[derive(Debug)]
pub struct Trace {
    strace: Child,
    log: PathBuf,
}

impl Trace {
    /// To the process, and to what it starts from now on if that is `followed`.
    pub(crate) fn attach(pid: i32, followed: bool, expressions: &[&str], log: &Path) -> Self {
        let mut command = Command::new("strace");
        command.args(followed.then_some("-f")).args(["-p", &pid.to_string(), "-o"]).arg(log);
        for expression in expressions {
            let option = if expression.contains('=') { "-e" } else { "-P" };
            command.args([option, expression]);
        }
        let strace = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut strace = strace.expect("strace is there");
        let mut errors = BufReader::new(strace.stderr.take().expect("a pipe"));
        let trace = Self { strace, log: log.to_path_buf() };
        await_attached(&mut errors);
        // It says there whom else it attaches to, and would wait for a reader.
        thread::spawn(move || io::copy(&mut errors, &mut io::sink()));
        trace
    }

    /// The traced calls so far, one a line.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// strace says `Process N attached`, perhaps after what it makes of a path, or what prevents it.
fn await_attached(errors: &mut BufReader<ChildStderr>) {
    let mut last = String::new();
    while errors.read_line(&mut last).is_ok_and(|read| read > 0) {
        if !last.contains("Requested path") {
            break;
        }
        last.clear();
    }
    assert!(last.contains("attached"), "strace does not attach: {last}");
}

impl Drop for Trace {
    fn drop(&mut self) {
        // INT, so that it detaches.
        let pid = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, Signal::INT));
        let _ = self.strace.wait();
    }
}
