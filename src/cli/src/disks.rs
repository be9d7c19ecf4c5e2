//! Logs that are kept on a disk too: has them brought there, and tells how it stands with them, from
//! the logger's notes beside the logs in memory.

use crate::change::accepted;
use crate::code::Code;
use crate::escape::{Screen, json_string};
use crate::link::{Link, Trouble};
use crate::logs;
use crate::show::{many, size};
use ettan_log::note::{Note, flushed_ms};
use ettan_sys::inotify::Inotify;
use ettan_sys::poll::{Interest, wait_one};
use ettan_sys::{Errno, clock};
use ettan_wire::Request;
use std::ffi::CString;
use std::fmt;
use std::path::Path;
use std::time::Duration;

/// How long a disk may take.
const LIMIT_MS: u64 = 60_000;

/// A logger that was killed meanwhile knows of nothing: asked again so often.
const AGAIN_MS: u64 = 5_000;

/// Between two looks whether it is done, where the kernel does not tell of changes.
const PAUSE: Duration = Duration::from_millis(20);

/// `logs --flush`: done when everything that was said before is on its disk.
pub(crate) fn flush(wait: bool, screen: &Screen) -> Code {
    let done = if wait { flush_and_wait(screen) } else { flush_some_time(screen) };
    done.unwrap_or_else(|trouble| trouble.tell(screen))
}

fn flush_some_time(screen: &Screen) -> Result<Code, Trouble> {
    accepted(&Link::ask(&Request::Flush)?, "accepted", screen)
}

fn flush_and_wait(screen: &Screen) -> Result<Code, Trouble> {
    let begun_ms = clock::now();
    let mut asked_ms = None;
    let inotify = watched();
    while flushed_ms(Path::new(logs::ROOT)) < begun_ms {
        let now = clock::now();
        if now.saturating_sub(begun_ms) > LIMIT_MS {
            let text = "a disk has not taken the logs for a minute (ettan status)";
            return Err(Trouble { text: text.into(), code: Code::Failed });
        }
        if asked_ms.is_none_or(|asked| now.saturating_sub(asked) > AGAIN_MS) {
            Link::ask(&Request::Flush)?.expect()?;
            asked_ms = Some(now);
        }
        match &inotify {
            Some(inotify) => {
                let trouble =
                    |errno: Errno| Trouble { text: errno.to_string(), code: Code::Failed };
                wait_one(inotify, Interest::Read, Some(AGAIN_MS)).map_err(trouble)?;
                inotify.changes(&mut |_| {}).map_err(trouble)?;
            }
            None => std::thread::sleep(PAUSE),
        }
    }
    Ok(tell(&all(), screen))
}

/// Tells when the logger says that something is done.
fn watched() -> Option<Inotify> {
    let root = CString::new(logs::ROOT).ok()?;
    let inotify = Inotify::new().ok()?;
    inotify.watch_directory(&root).ok()?;
    Some(inotify)
}

fn tell(notes: &[(String, Note)], screen: &Screen) -> Code {
    let mut code = Code::Done;
    for (name, note) in notes {
        let why =
            note.error.as_deref().or(note.is_used_up.then_some("the day's budget is used up"));
        if let Some(why) = why {
            screen.complain(&format!("{name}: not all of its log is on the disk: {why}"));
            code = Code::Failed;
        }
    }
    if code == Code::Done && !screen.json {
        screen.say(&match notes.len() {
            0 => "no log is kept on a disk".to_owned(),
            count => format!("{} on disk", many(count, "log")),
        });
    }
    code
}

/// The notes of all logs that are kept on a disk, by name.
pub(crate) fn all() -> Vec<(String, Note)> {
    let note = |name: String| Some((Note::read(&logs::directory(&name)?)?, name));
    logs::names().into_iter().filter_map(note).map(|(note, name)| (name, note)).collect()
}

/// The note of this log, if it is kept on a disk.
pub(crate) fn of(unit: &str) -> Option<Note> {
    Note::read(&logs::directory(unit)?)
}

/// How it stands with one log on disk, or with all together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) logs: usize,
    today_bytes: u64,
    total_bytes: u64,
    text_bytes: u64,
    budget_bytes: Option<u64>,
    used_up: usize,
    lost_bytes: u64,
    lost_lines: u64,
    errors: Vec<String>,
}

impl Standing {
    pub(crate) fn of(note: &Note) -> Self {
        Standing {
            logs: 1,
            today_bytes: note.today(),
            total_bytes: note.total_bytes,
            text_bytes: note.text_bytes,
            budget_bytes: note.budget_bytes,
            used_up: usize::from(note.is_used_up),
            lost_bytes: note.lost_bytes,
            lost_lines: note.lost_lines,
            errors: note.error.clone().into_iter().collect(),
        }
    }

    /// The sum of all; errors with the names of the units.
    pub(crate) fn of_all() -> Self {
        let sum = |sum: Self, (name, note): &(String, Note)| {
            let one = Self::of(note);
            let errors = one.errors.iter().map(|error| format!("{name}: {error}"));
            Standing {
                logs: sum.logs + one.logs,
                today_bytes: sum.today_bytes.saturating_add(one.today_bytes),
                total_bytes: sum.total_bytes.saturating_add(one.total_bytes),
                text_bytes: sum.text_bytes.saturating_add(one.text_bytes),
                budget_bytes: None,
                used_up: sum.used_up + one.used_up,
                lost_bytes: sum.lost_bytes.saturating_add(one.lost_bytes),
                lost_lines: sum.lost_lines.saturating_add(one.lost_lines),
                errors: sum.errors.into_iter().chain(errors).collect(),
            }
        };
        all().iter().fold(Self::default(), sum)
    }

    /// Fields of an object.
    pub(crate) fn json(&self) -> String {
        let errors = (!self.errors.is_empty()).then(|| json_string(&self.errors.join("; ")));
        format!(
            "\"disk_logs\":{},\"disk_today_bytes\":{},\"disk_total_bytes\":{},\
             \"disk_text_bytes\":{},\"disk_used_up\":{},\"disk_lost_bytes\":{},\"disk_lost_lines\":{}{}{}",
            self.logs,
            self.today_bytes,
            self.total_bytes,
            self.text_bytes,
            self.used_up,
            self.lost_bytes,
            self.lost_lines,
            self.budget_bytes.map(|b| format!(",\"disk_budget_bytes\":{b}")).unwrap_or_default(),
            errors.map(|text| format!(",\"disk_error\":{text}")).unwrap_or_default(),
        )
    }
}

/// `on disk, 1.2 MiB written today of 5.0 MiB, 3.4 MiB since boot for 0.2 MiB of text; lost 12 lines; …`.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "on disk, {} written today", size(self.today_bytes))?;
        if let Some(budget) = self.budget_bytes {
            write!(f, " of {}", size(budget))?;
        }
        write!(f, ", {} since boot for ", size(self.total_bytes))?;
        write!(f, "{} of text", size(self.text_bytes))?;
        if self.used_up > 0 {
            f.write_str("; the budget is used up")?;
        }
        if self.lost_bytes > 0 {
            write!(f, "; lost {} lines, {}", self.lost_lines, size(self.lost_bytes))?;
        }
        for error in &self.errors {
            write!(f, "; {error}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_does_not_take_it_is_told_of() {
        let note = Note {
            total_bytes: 3 << 20,
            text_bytes: 10 << 10,
            today_bytes: 2048,
            day_ms: clock::now().cast_signed(),
            budget_bytes: Some(5 << 20),
            lost_bytes: 100,
            lost_lines: 12,
            error: Some("Input/output error".into()),
            ..Note::default()
        };
        let standing = Standing::of(&note);
        assert_eq!(
            standing.to_string(),
            "on disk, 2.0 KiB written today of 5.0 MiB, 3.0 MiB since boot for 10.0 KiB of text; \
             lost 12 lines, 100 B; Input/output error"
        );
        assert!(standing.json().ends_with(",\"disk_error\":\"Input/output error\""));
    }
}
