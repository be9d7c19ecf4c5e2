//! Runs a program for a moment, as a service would be run, and sees how it behaves: whether it goes
//! to the background, which PID file it writes, what it listens on. Then it ends all of it.

use super::family;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long it is looked at.
pub(super) const SPAN: Duration = Duration::from_secs(3);

/// So long it may take to end when told to.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Where daemons leave their numbers.
const FOLDERS: [&str; 3] = ["/run", "/var/run", "/tmp"];

/// Folders in folders.
const DEPTH: u32 = 2;

/// The longest file that may be a PID file.
const PID_FILE_BYTES: u64 = 32;

/// How it behaves.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Simple,
    Forking,
    Oneshot,
    /// How it ended, in words.
    Fails(String),
}

/// What was seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    pub(super) pid_file: Option<PathBuf>,
    /// Addresses, and paths with `unix:` in front.
    pub(super) listens: Vec<String>,
}

/// Runs it, looks, and leaves no process of it.
pub(super) fn run(command: &[String]) -> io::Result<Seen> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // What its launcher leaves behind becomes our child.
    set_child_subreaper(true)?;
    let child = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()?;
    let seen = look(child);
    end_all();
    let _ = set_child_subreaper(false);
    seen
}

fn look(mut child: Child) -> io::Result<Seen> {
    let until = Instant::now() + SPAN;
    let mut ended = None;
    let mut pid_file = None;
    while Instant::now() < until {
        ended = child.try_wait()?;
        let family = family::members();
        pid_file = pid_file.or_else(|| find_pid_file(&family));
        let is_over = match ended {
            // Its daemon may still have to write its number.
            Some(status) => !status.success() || family.is_empty() || pid_file.is_some(),
            None => false,
        };
        if is_over {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    let family = family::members();
    let kind = match ended {
        None => Kind::Simple,
        Some(status) if !status.success() => Kind::Fails(words(status)),
        Some(_) if family.is_empty() => Kind::Oneshot,
        Some(_) => Kind::Forking,
    };
    Ok(Seen { kind, pid_file, listens: family::listens(&family) })
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with status {code}"),
        (None, signal) => format!("was killed by signal {}", signal.unwrap_or(0)),
    }
}

/// A file that holds the number of one of these.
fn find_pid_file(family: &[i32]) -> Option<PathBuf> {
    FOLDERS.iter().find_map(|folder| in_folder(Path::new(folder), family, DEPTH))
}

fn in_folder(folder: &Path, family: &[i32], depth: u32) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        let found = if kind.is_dir() && depth > 0 {
            in_folder(&path, family, depth - 1)
        } else if kind.is_file() && names_one(&path, family) {
            Some(path)
        } else {
            None
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn names_one(path: &Path, family: &[i32]) -> bool {
    let is_short = fs::metadata(path).is_ok_and(|file| file.len() <= PID_FILE_BYTES);
    let text = if is_short { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    text.trim().parse().is_ok_and(|pid| family.contains(&pid))
}

/// TERM, then KILL, until nobody is left; reaps whoever ended.
fn end_all() {
    let until = Instant::now() + PATIENCE;
    let mut signal = Signal::SIGTERM;
    let mut told = Vec::new();
    loop {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
        let family = family::members();
        if family.is_empty() {
            return;
        }
        if Instant::now() > until {
            (signal, told) = (Signal::SIGKILL, Vec::new());
        }
        for pid in family {
            if !told.contains(&pid) {
                let _ = kill(Pid::from_raw(pid), signal);
                told.push(pid);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One after the other: each looks at all children of this process.
    #[test]
    fn a_program_is_seen_as_what_it_is_and_nothing_is_left_of_it() {
        let file = std::env::temp_dir().join(format!("ettan-trial-{}.pid", std::process::id()));
        let shell = |script: &str| ["/bin/sh", "-c", script].map(str::to_owned);
        let daemon =
            format!("(trap '' HUP; sleep 60 & echo $! >{}; wait) & exit 0", file.display());
        for (script, kind, writes) in [
            ("sleep 60", Kind::Simple, false),
            (&*daemon, Kind::Forking, true),
            ("true", Kind::Oneshot, false),
            ("exit 3", Kind::Fails("exited with status 3".into()), false),
        ] {
            let seen = run(&shell(script)).expect("there is a shell");
            assert_eq!(seen.kind, kind, "{script}");
            assert_eq!(seen.pid_file.as_deref() == Some(&file), writes, "{script}: {seen:?}");
            assert_eq!(family::members(), Vec::<i32>::new(), "{script}");
        }
        fs::remove_file(&file).expect("the daemon wrote it");
    }
}
