//! Tampers with a process's system calls from outside, by strace(1).

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A strace at work. Dropping it lets the process go on as before.
#[derive(Debug)]
pub struct Trace {
    strace: Child,
    log: PathBuf,
}

impl Trace {
    pub(crate) fn attach(pid: i32, expressions: &[&str], log: &Path) -> Self {
        let mut command = Command::new("strace");
        command.args(["-p", &pid.to_string(), "-o"]).arg(log);
        for expression in expressions {
            let option = if expression.contains('=') { "-e" } else { "-P" };
            command.args([option, expression]);
        }
        let strace = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut trace = Self { strace: strace.expect("strace is there"), log: log.to_path_buf() };
        trace.await_attached();
        trace
    }

    /// The traced calls so far, one a line.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// strace says `Process N attached`, or what prevents it.
    fn await_attached(&mut self) {
        let mut line = String::new();
        let errors = self.strace.stderr.take().expect("a pipe");
        let _ = BufReader::new(errors).read_line(&mut line);
        assert!(line.contains("attached"), "strace does not attach: {line}");
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // INT, so that it detaches.
        let pid = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, Signal::INT));
        let _ = self.strace.wait();
    }
}
