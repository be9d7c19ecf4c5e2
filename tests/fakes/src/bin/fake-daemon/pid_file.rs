//! Writes a PID file in every way that daemons have been seen to write one, as a
//! row of steps, each at its time. Waits for nothing itself.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ettan_fakes::start_self;
use nix::sys::stat::Mode;

use crate::crowd::Crowd;
use crate::events::Events;
use crate::options::{Kind, Options, PidOf};

/// Whom the writer knows.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) daemon: u32,
    pub(crate) crowd: Crowd,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Empty,
    Partial,
    Whole,
}

#[derive(Debug)]
pub(crate) struct PidFile {
    options: Options,
    subject: Subject,
    steps: Vec<(Instant, Step)>,
    held: Option<File>,
}

impl PidFile {
    pub(crate) fn new(options: &Options, subject: Subject) -> PidFile {
        let mut at = Instant::now() + options.pid_after;
        let mut steps = Vec::new();
        if !options.pid_empty_for.is_zero() {
            steps.push((at, Step::Empty));
            at += options.pid_empty_for;
        }
        if !options.pid_partial_for.is_zero() {
            steps.push((at, Step::Partial));
            at += options.pid_partial_for;
        }
        steps.push((at, Step::Whole));
        PidFile { options: options.clone(), subject, steps, held: None }
    }

    /// Does what is due; says when to come again.
    pub(crate) fn advance(&mut self, events: &Events) -> io::Result<Option<Instant>> {
        let Some(path) = self.options.pid_file.clone() else {
            return Ok(None);
        };
        while let Some((at, step)) = self.steps.first().copied() {
            if Instant::now() < at {
                return Ok(Some(at));
            }
            self.steps.remove(0);
            self.perform(&path, step, events)?;
        }
        Ok(None)
    }

    pub(crate) fn remove(&self) {
        if let (Some(path), true) = (&self.options.pid_file, self.options.pid_remove) {
            let _ = fs::remove_file(path);
        }
    }

    fn perform(&mut self, path: &Path, step: Step, events: &Events) -> io::Result<()> {
        let number = self.number()?;
        let whole = self.options.pid_content.replace("{pid}", &number);
        let text = match step {
            Step::Empty => String::new(),
            Step::Partial => {
                let mut part = number.clone();
                part.pop();
                part
            }
            Step::Whole => whole,
        };
        self.put(path, text.as_bytes())?;
        let (path, said) = (path.display(), text.trim_end().escape_default());
        match step {
            Step::Empty => events.say(format_args!("created {path} empty")),
            Step::Partial => events.say(format_args!("wrote-part {path} {said}")),
            Step::Whole => {
                events.say(format_args!("wrote {path} {said}"));
                if let Some(every) = self.options.pid_rewrite_every {
                    self.steps.push((Instant::now() + every, Step::Whole));
                }
            }
        }
        Ok(())
    }

    fn number(&self) -> io::Result<String> {
        let known = |pid: Option<u32>| {
            pid.ok_or_else(|| io::Error::other("--pid-of: there is no such process"))
        };
        let number = match self.options.pid_of {
            PidOf::Daemon => self.subject.daemon,
            PidOf::Launcher => std::os::unix::process::parent_id(),
            PidOf::Itself => std::process::id(),
            PidOf::Dead => dead()?,
            PidOf::Escapee => known(find_escapee(&self.options.name))?,
            PidOf::Child => known(self.subject.crowd.child)?,
        };
        Ok(number.to_string())
    }

    fn put(&mut self, path: &Path, text: &[u8]) -> io::Result<()> {
        match self.options.pid_kind.clone() {
            Kind::File => self.put_file(path, text),
            Kind::Fifo => match nix::unistd::mkfifo(path, Mode::from_bits_truncate(0o644)) {
                Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
                Err(errno) => Err(errno.into()),
            },
            Kind::Socket => {
                let _ = fs::remove_file(path);
                UnixListener::bind(path).map(drop)
            }
            Kind::Directory => fs::create_dir_all(path),
            Kind::Symlink(to) => {
                let _ = fs::remove_file(path);
                symlink(to, path)
            }
            Kind::Sparse(size) => {
                self.put_file(path, text)?;
                OpenOptions::new().write(true).open(path)?.set_len(size)
            }
        }
    }

    fn put_file(&mut self, path: &Path, text: &[u8]) -> io::Result<()> {
        if self.options.pid_rename {
            let beside = beside(path);
            self.open(&beside)?.write_all(text)?;
            return fs::rename(beside, path);
        }
        let mut file = match self.held.take() {
            Some(file) => file,
            None => self.open(path)?,
        };
        // Open, truncate, write: the gap between is what readers must bear.
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(text)?;
        if self.options.pid_hold {
            self.held = Some(file);
        }
        Ok(())
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let mode = self.options.pid_mode;
        let mut how = OpenOptions::new();
        let file = how.write(true).create(true).truncate(false).mode(mode).open(path)?;
        file.set_permissions(Permissions::from_mode(mode))?;
        Ok(file)
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// The number of a process that has been and gone.
fn dead() -> io::Result<u32> {
    let mut child = start_self(&["--role".to_owned(), "orphan".to_owned()], false)?;
    child.wait()?;
    Ok(child.id())
}

/// The first process whose arguments say that it is this daemon's escapee.
fn find_escapee(name: &str) -> Option<u32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let named = words.windows(2).any(|pair| pair == [b"--name", name.as_bytes()]);
        let escapee = words.windows(2).any(|pair| pair == [&b"--role"[..], b"escapee"]);
        (named && escapee).then_some(pid)
    })
}
