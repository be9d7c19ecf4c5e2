//! The directories of a run: made at its begin, and what lies below /run removed at its end.
//!
//! Who removes may be late: the next run may have begun meanwhile, with directories of the same
//! names. So both hold a lock, and the file that is locked says which run the directories are of.

use crate::words::Place;
use crate::{Done, Trouble, trouble};
use ettan_sys::spawn::SpawnStep;
use ettan_sys::{Errno, place};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

/// One small file for each unit that has had something below /run.
const RUNS: &str = "/run/ettan/runs";
/// One empty file for each unit with a timer that catches up (the clock helper reads them).
const TIMERS: &str = "/var/lib/ettan/timers";
const RUN: &CStr = c"/run";
const STATE: &CStr = c"/var/lib";
const LOGS: &CStr = c"/var/log";
const MODE: u32 = 0o755;

/// Makes the run's directories, after what an earlier run may have left was removed.
pub(crate) fn begin(place: &Place) -> Done {
    let run = below(place, RUN)?;
    if !place.runtime.is_empty() {
        let mut lock = Lock::take(place)?;
        let cookie = std::env::var_os("ETTAN_COOKIE").unwrap_or_default();
        if lock.run.as_deref().is_some_and(|before| begins_a_run(cookie.as_bytes(), before)) {
            // What cannot be removed is found again by the service.
            let _ = clear(&run, place);
        }
        lock.note(cookie.as_bytes())?;
        make(&run, &place.runtime, place)?;
    }
    make(&below(place, STATE)?, &place.state, place)?;
    make(&below(place, LOGS)?, &place.logs, place)?;
    if place.stamped {
        stamp(place);
    }
    Ok(())
}

/// Writes down that the program is started now: the time stamp of a file, which has no content, so a
/// power cut leaves nothing torn. Without it a run is caught up that was none.
fn stamp(place: &Place) {
    let cookie = std::env::var_os("ETTAN_COOKIE").unwrap_or_default();
    if which(cookie.as_bytes()) != Some(0) {
        return;
    }
    let path = format!("{TIMERS}/{}", place.unit.to_string_lossy());
    let write = || {
        std::fs::create_dir_all(TIMERS)?;
        let file = File::options().append(true).create(true).open(&path)?;
        ettan_sys::stamp::touch(&file)?;
        file.sync_all()
    };
    if let Err(error) = write() {
        let what = format_args!("{error}; after a reboot this run may be caught up once more");
        ettan_sys::words::say(&path, what);
    }
}

/// Removes what the run `cookie` has below /run, unless another has begun since.
pub(crate) fn end(place: &Place, cookie: &CStr) -> Done {
    let mut lock = Lock::take(place)?;
    if lock.run.as_deref().map(launch) != Some(launch(cookie.to_bytes())) {
        return Ok(());
    }
    clear(&below(place, RUN)?, place)?;
    lock.note(b"")
}

/// The last two digits of a cookie say which of a unit's programs it is: 0 is the main one, 1 to 8
/// are those of exec-start-pre in their order, the rest the other hooks.
const WHICH_DIGITS: usize = 2;

/// A cookie without them: the launch.
fn launch(cookie: &[u8]) -> &[u8] {
    cookie.get(..cookie.len().saturating_sub(WHICH_DIGITS)).unwrap_or_default()
}

fn which(cookie: &[u8]) -> Option<u8> {
    let digits = cookie.get(cookie.len().saturating_sub(WHICH_DIGITS)..)?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether the program with this cookie is the first of a run, when the last one that prepared was
/// that `before`. A hook finds what the programs before it have left.
fn begins_a_run(cookie: &[u8], before: &[u8]) -> bool {
    match which(cookie) {
        Some(0) => !matches!(which(before), Some(1..=8)),
        Some(1) => true,
        Some(_) | None => false,
    }
}

fn make(base: &CStr, names: &[CString], place: &Place) -> Done {
    for name in names {
        place::make_directory(base, name, place.owner(), MODE)
            .map_err(trouble(SpawnStep::Directory, &joined(base, name)))?;
    }
    Ok(())
}

fn clear(base: &CStr, place: &Place) -> Done {
    let mut done = Ok(());
    for name in &place.runtime {
        let removed = place::remove_tree(base, name)
            .map_err(trouble(SpawnStep::Directory, &joined(base, name)));
        done = done.and(removed);
    }
    done
}

/// The directory as the service sees it is `base`.
fn below(place: &Place, base: &CStr) -> Result<CString, Trouble> {
    let root = place.root.as_ref().map_or(&[][..], |root| root.to_bytes());
    let path = [root, base.to_bytes()].concat();
    CString::new(path).map_err(|_| trouble(SpawnStep::Directory, base)(Errno::INVAL))
}

/// A directory of the service, as the machine sees it.
pub(crate) fn directories(place: &Place) -> Result<Vec<CString>, Trouble> {
    let mut all = Vec::new();
    for (base, names) in [(RUN, &place.runtime), (STATE, &place.state), (LOGS, &place.logs)] {
        let base = below(place, base)?;
        all.extend(names.iter().map(|name| joined(&base, name)));
    }
    Ok(all)
}

fn joined(base: &CStr, name: &CStr) -> CString {
    // Neither has a NUL.
    CString::new([base.to_bytes(), b"/", name.to_bytes()].concat()).unwrap_or_default()
}

/// Whose the directories are, for as long as nobody else may change that.
struct Lock {
    file: File,
    /// The run they are of; None: there are none.
    run: Option<Vec<u8>>,
}

impl Lock {
    fn take(place: &Place) -> Result<Self, Trouble> {
        let path = format!("{RUNS}/{}", place.unit.to_string_lossy());
        let locked = || {
            let made = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(RUNS);
            made?;
            let mut options = File::options();
            let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let mut file = options.open(&path)?;
            file.lock()?;
            let mut run = Vec::new();
            file.read_to_end(&mut run)?;
            Ok(Self { file, run: Some(run).filter(|run| !run.is_empty()) })
        };
        locked().map_err(|error| failed(&path, &error))
    }

    /// From now on they are of this run; of none when it is empty.
    fn note(&mut self, run: &[u8]) -> Done {
        let mut note = || {
            self.file.set_len(0)?;
            self.file.rewind()?;
            self.file.write_all(run)
        };
        note().map_err(|error| failed(RUNS, &error))
    }
}

fn failed(path: &str, error: &std::io::Error) -> Trouble {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    trouble(SpawnStep::Directory, &CString::new(path).unwrap_or_default())(errno)
}
