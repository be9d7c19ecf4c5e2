//! When units whose timer catches up were started last, told to PID 1 after boot. The stage that starts
//! them writes it down (`ettan-enter`), as the time stamp of a file. PID 1 itself looks at no disk.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use ettan_sys::stamp::set_written;
use ettan_sys::{Errno, clock};
use ettan_watch::Line;
use ettan_wire::{Ran, Reply, Request, SOCKET, Text};

use crate::{Cause, floor};

/// One empty file for each unit.
const TIMERS: &str = "/var/lib/ettan/timers";

/// Tells PID 1 of all such units, again and again: before the clock is right there is nothing to write
/// down, and what a stage wrote down is too early.
#[derive(Debug, Default)]
pub(crate) struct Stamps {
    /// What is in the way was said.
    said: bool,
}

impl Stamps {
    /// Tells it what the stamps say, and has them say what PID 1 knows better. True while some unit waits
    /// for the clock.
    pub(crate) fn tell(&mut self) -> bool {
        self.try_to().unwrap_or_else(|errno| {
            self.say(format_args!("telling when timers started units last: {}", Cause(errno)));
            false
        })
    }

    fn try_to(&mut self) -> Result<bool, Errno> {
        let path = CString::new(SOCKET).map_err(|_| Errno::INVAL)?;
        let mut line = Line::new(&path)?;
        let units = persistent(&mut line)?;
        let waits = units.iter().any(|unit| !unit.clock_right);
        for status in units {
            let Some(second) = self.last(Path::new(TIMERS), &status) else { continue };
            line.say(&Request::Ran(Ran { unit: status.unit, second }))?;
            line.answer()?;
        }
        Ok(waits)
    }

    /// When the unit was started last, in seconds since 1970. One that never was counts from when the
    /// clock is right for the first time: what it misses until its first start is caught up, too.
    fn last(&mut self, folder: &Path, status: &Timed) -> Option<i64> {
        let path = folder.join(&*status.unit);
        let written = floor::stamp(&path);
        let known = if status.clock_right { status.ran_s } else { None };
        let second = match (written, known) {
            (Some(written), Some(known)) if known > written => known,
            (Some(written), _) => return Some(written),
            (None, _) if !status.clock_right => return None,
            (None, known) => known.unwrap_or_else(|| clock::wall().div_euclid(1000)),
        };
        if let Err(error) = write(folder, &path, second) {
            let unit = &status.unit;
            let path = path.display();
            self.say(format_args!("{path}: {error}; runs that {unit} misses are not caught up"));
            return written;
        }
        Some(second)
    }

    /// Once is enough: it is tried again and again.
    fn say(&mut self, what: std::fmt::Arguments<'_>) {
        if !std::mem::replace(&mut self.said, true) {
            crate::say!("{what}");
        }
    }
}

fn write(folder: &Path, path: &Path, second: i64) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let file = File::options().append(true).create(true).open(path)?;
    Ok(set_written(&file, second)?)
}

/// A unit whose timer catches up.
struct Timed {
    unit: Text<64>,
    /// When PID 1 knows it to have been started last.
    ran_s: Option<i64>,
    clock_right: bool,
}

fn persistent(line: &mut Line) -> Result<Vec<Timed>, Errno> {
    line.say(&Request::List)?;
    let mut units = Vec::new();
    loop {
        match line.answer()? {
            Reply::Unit(status) if status.persistent => units.push(Timed {
                unit: status.unit,
                ran_s: status.ran_s,
                clock_right: !status.awaits_clock,
            }),
            Reply::End(_) => return Ok(units),
            Reply::Error(_) => return Err(Errno::BUSY),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(ran_s: Option<i64>, clock_right: bool) -> Timed {
        Timed { unit: "backup".into(), ran_s, clock_right }
    }

    #[test]
    fn a_unit_that_never_ran_counts_from_when_the_clock_is_right() {
        let folder = std::env::temp_dir().join(format!("ettan-stamps-{}", std::process::id()));
        let deep = folder.join("deep");
        let mut stamps = Stamps::default();
        assert_eq!(stamps.last(&deep, &timed(None, false)), None);
        assert!(!deep.exists());
        let now = clock::wall() / 1000;
        let told = stamps.last(&deep, &timed(None, true)).unwrap();
        assert!((now..now + 60).contains(&told));
        assert_eq!(stamps.last(&deep, &timed(None, false)), Some(told));
        write(&deep, &deep.join("backup"), 4_000_000_000).unwrap();
        assert_eq!(stamps.last(&deep, &timed(None, true)), Some(4_000_000_000), "past 2038 too");
        fs::remove_dir_all(&folder).unwrap();
        let nowhere = Path::new("/proc/ettan");
        assert_eq!(stamps.last(nowhere, &timed(None, true)), None);
        assert!(stamps.said);
    }

    #[test]
    fn a_stamp_of_a_wrong_clock_is_put_right() {
        let folder = std::env::temp_dir().join(format!("ettan-late-{}", std::process::id()));
        write(&folder, &folder.join("backup"), 1_793_491_200).unwrap();
        let mut stamps = Stamps::default();
        let ran = Some(1_800_000_000);
        assert_eq!(stamps.last(&folder, &timed(ran, false)), Some(1_793_491_200));
        for _ in 0..2 {
            assert_eq!(stamps.last(&folder, &timed(ran, true)), ran);
        }
        assert_eq!(
            stamps.last(&folder, &timed(Some(1_700_000_000), true)),
            ran,
            "a stage wrote it"
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
