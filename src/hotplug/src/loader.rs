//! What devices ask for, and the modprobes that load it: a few at a time, many names for each. One
//! that does not end is killed, and holds up nobody but what it was asked for.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::{CStr, CString};
use std::os::fd::AsFd as _;

use ettan_sys::spawn::{self, Rights, SpawnPlan, Strings};
use ettan_sys::{process, signals};

use crate::place::Place;
use crate::{say, sysfs};

/// So many modprobes run at once: one that hangs leaves room, and a small board has one processor.
const AT_ONCE: usize = 4;

/// So many names go to one modprobe: BusyBox's reads all aliases of all modules for each, which
/// takes a Pi Zero longer than all else.
const BATCH: usize = 64;

/// So many names wait, at most. A board has some hundred devices; beyond, sysfs is looked at again.
const MAX_WANTED: usize = 4_096;

/// So long is a name, at most: what the kernel has room for in a notice.
const MAX_NAME: usize = 2_048;

/// A modprobe that takes longer is killed: milliseconds. Firmware and slow cards take their time.
const PATIENCE_MS: u64 = 120_000;

/// What modprobe finds in its environment.
const ENVIRONMENT: [&CStr; 1] =
    [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];

/// Everything that is wanted, and everything that runs for it.
#[derive(Debug)]
pub(crate) struct Loader {
    place: Place,
    wanted: BTreeSet<CString>,
    /// What was asked for together with something that hangs: each with a modprobe of its own.
    alone: VecDeque<CString>,
    running: Vec<Run>,
    /// There was no room for all.
    look_again: bool,
    /// Why nothing is loaded, when it was tried last.
    trouble: Option<String>,
}

/// A modprobe.
#[derive(Debug)]
struct Run {
    pid: i32,
    until_ms: u64,
    killed: bool,
    names: Vec<CString>,
}

impl Loader {
    pub(crate) fn new(place: Place) -> Self {
        Loader {
            place,
            wanted: BTreeSet::new(),
            alone: VecDeque::new(),
            running: Vec::new(),
            look_again: false,
            trouble: None,
        }
    }

    /// A device wants the module of this alias, if it says one.
    pub(crate) fn want(&mut self, alias: Option<&[u8]>) {
        let Some(alias) = alias.filter(|alias| is_alias(alias)) else { return };
        let Ok(alias) = CString::new(alias) else { return };
        if self.wanted.len() < MAX_WANTED {
            self.wanted.insert(alias);
        } else {
            self.look_again = true;
        }
    }

    /// Asks all devices that are there.
    pub(crate) fn look(&mut self) {
        let sys = self.place.sys.clone();
        sysfs::each_alias(&sys, |alias| self.want(Some(alias)));
    }

    /// Nothing runs, and nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_empty() && self.is_content()
    }

    fn is_content(&self) -> bool {
        self.wanted.is_empty() && self.alone.is_empty() && !self.look_again
    }

    /// Starts what there is room for, and ends what takes too long.
    pub(crate) fn go_on(&mut self, now_ms: u64) {
        self.end_what_hangs(now_ms);
        while self.running.len() < AT_ONCE && !self.is_content() {
            if self.wanted.is_empty() && std::mem::take(&mut self.look_again) {
                self.look();
            }
            match self.place.modprobe() {
                Ok(modprobe) => self.start(&modprobe, now_ms),
                Err(why) => self.forget(why),
            }
        }
    }

    /// When to go on although nothing is heard, from now.
    pub(crate) fn timeout_ms(&self, now_ms: u64) -> Option<u64> {
        let patient = self.running.iter().filter(|run| !run.killed);
        patient.map(|run| run.until_ms.saturating_sub(now_ms)).min()
    }

    /// This child is gone. With `-q` it is no mistake that no module has such an alias, and what
    /// does not load has been said by modprobe itself.
    pub(crate) fn ended(&mut self, pid: i32) {
        self.running.retain(|run| run.pid != pid);
    }

    fn start(&mut self, modprobe: &CStr, now_ms: u64) {
        // Whoever did it or was missing: it is ours again, with what was passed over.
        if self.trouble.take().is_some() {
            self.look();
        }
        let names = match self.alone.pop_front() {
            Some(name) => vec![name],
            None => (0..BATCH).map_while(|_| self.wanted.pop_first()).collect(),
        };
        if names.is_empty() {
            return;
        }
        match execute(modprobe, &names) {
            Ok(pid) => {
                let until_ms = now_ms.saturating_add(PATIENCE_MS);
                self.running.push(Run { pid, until_ms, killed: false, names });
            }
            Err(why) => say!("modprobe: {why}; not asked for: {}", words(&names)),
        }
    }

    /// Says once why nothing is loaded.
    fn forget(&mut self, why: String) {
        self.wanted.clear();
        self.alone.clear();
        self.look_again = false;
        if self.trouble.as_ref() != Some(&why) {
            say!("no modules are loaded for devices: {why}");
        }
        self.trouble = Some(why);
    }

    fn end_what_hangs(&mut self, now_ms: u64) {
        for run in &mut self.running {
            if run.killed || now_ms < run.until_ms {
                continue;
            }
            run.killed = true;
            // Its session is its own. It keeps its place until it is gone, for the kernel may not
            // let go of it.
            let _ = process::kill_group(run.pid, signals::KILL);
            say!("modprobe does not end, and is killed: {}", words(&run.names));
            if run.names.len() > 1 {
                self.alone.extend(run.names.drain(..));
            }
        }
    }
}

/// Whether it is one, and no option of modprobe.
fn is_alias(text: &[u8]) -> bool {
    text.len() <= MAX_NAME && text.contains(&b':') && !text.starts_with(b"-")
}

fn words(names: &[CString]) -> String {
    names.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// Starts a modprobe for all of these names. What it writes is in the unit's log.
fn execute(modprobe: &CStr, names: &[CString]) -> Result<i32, String> {
    let words = |error: ettan_sys::Errno| error.to_string();
    // All of them, none that is blacklisted, and not a word of those that nobody has.
    let argv = [c"modprobe", c"-abq", c"--"].into_iter().chain(names.iter().map(|name| &**name));
    let null = std::fs::File::open("/dev/null").map_err(|error| error.to_string())?;
    let (out, err) = (std::io::stdout(), std::io::stderr());
    spawn::spawn(&SpawnPlan {
        program: modprobe,
        argv: &Strings::of(argv).map_err(words)?,
        envp: &Strings::of(ENVIRONMENT).map_err(words)?,
        identity: None,
        working_directory: None,
        umask: 0o022,
        tty_path: None,
        tty_fds: [false; 3],
        fds: &[(null.as_fd(), 0), (out.as_fd(), 1), (err.as_fd(), 2)],
        cgroup: None,
        oom_score_adj: 0,
        rights: Rights { dies_with_parent: true, ..Rights::default() },
    })
    .map_err(|fault| format!("cannot be executed: {}", fault.errno))
}

#[cfg(test)]
#[path = "loader_tests.rs"]
mod tests;
