//! `ettan logs`: reads the logger's files themselves, so that logs are there when PID 1 is not.
//! Follows them by inotify, across rotation.

mod reader;

use crate::code::Code;
use crate::escape::{Screen, json_string};
use crate::link::{Link, Trouble};
use ettan_log::record::{Kind, Line};
use ettan_sys::inotify::Inotify;
use ettan_sys::poll::{Interest, wait_one};
use ettan_wire::{ErrorCode, Refusal, Reply, Request, Which};
use reader::Reader;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the logger keeps its files.
const ROOT: &str = "/run/log/ettan";

/// Ettan's own log.
const OWN: &str = "ettan";

/// Lines before the new ones when following, unless asked otherwise.
const BEFORE: usize = 10;

/// How often to look when the kernel does not tell of changes.
const LOOK_MS: u64 = 1_000;

/// `logs [-f] [-n N] [UNIT…]`
pub(crate) fn logs(units: &[String], lines: Option<usize>, follow: bool, screen: &Screen) -> Code {
    let own = [OWN.to_owned()];
    let units = if units.is_empty() { &own[..] } else { units };
    let mut sources = Vec::new();
    for unit in units {
        match source(unit, follow) {
            Ok(source) => sources.push(source),
            Err(trouble) => return trouble.tell(screen),
        }
    }
    let show = Show { screen, named: units.len() > 1 };
    let lines = lines.or(follow.then_some(BEFORE));
    let read = past(&mut sources, lines, follow).map(|past| past.iter().for_each(|l| show.line(l)));
    let done = read.and_then(|()| if follow { go_on(&mut sources, &show) } else { Ok(()) });
    match done {
        Ok(()) => Code::Done,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            screen.complain(&format!("logs: {error}"));
            Code::NotPermitted
        }
        Err(error) => {
            screen.complain(&format!("logs: {error}"));
            Code::Failed
        }
    }
}

/// The last lines of one unit, as they are in the files; none when they cannot be read.
pub(crate) fn last_lines(unit: &str, count: usize) -> Vec<Vec<u8>> {
    let Some(directory) = directory(unit) else { return Vec::new() };
    let mut sources = [Source { unit: unit.to_owned(), reader: Reader::new(directory) }];
    let lines = past(&mut sources, Some(count), false).unwrap_or_default();
    lines.into_iter().map(|(_, line)| line).collect()
}

/// One unit's log.
struct Source {
    unit: String,
    reader: Reader,
}

/// A line and the name of its unit.
type Named = (String, Vec<u8>);

fn directory(unit: &str) -> Option<PathBuf> {
    let is_name = !unit.is_empty() && !unit.contains('/') && unit != "." && unit != "..";
    is_name.then(|| Path::new(ROOT).join(unit))
}

/// A unit that never wrote has no folder; only PID 1 knows whether there is such a unit.
fn source(unit: &str, follow: bool) -> Result<Source, Trouble> {
    let unknown =
        || Trouble { text: format!("no unit is called {unit}"), code: Code::NotInstalled };
    let directory = directory(unit).ok_or_else(unknown)?;
    if !follow && unit != OWN && !directory.exists() {
        let request = Request::IsActive(Which { unit: crate::change::name(unit)? });
        let answer = Link::ask(&request)?.next()?;
        if let Reply::Error(Refusal { code: ErrorCode::UnknownUnit, text, .. }) = answer.reply {
            return Err(Trouble { text: text.to_string(), code: Code::NotInstalled });
        }
    }
    Ok(Source { unit: unit.to_owned(), reader: Reader::new(directory) })
}

/// Everything up to now, oldest first, at most the last `lines`. A line without an end waits for
/// it when there is somebody to wait.
fn past(sources: &mut [Source], lines: Option<usize>, follow: bool) -> io::Result<Vec<Named>> {
    let mut past: Vec<Named> = Vec::new();
    for Source { unit, reader } in &mut *sources {
        reader.read(|line| past.push((unit.clone(), line.to_vec())))?;
        if !follow {
            reader.rest(|line| past.push((unit.clone(), line.to_vec())));
        }
    }
    if sources.len() > 1 {
        // Stable: lines of one unit stay in their order.
        past.sort_by(|(_, a), (_, b)| Line::of(a).stamp.cmp(Line::of(b).stamp));
    }
    let skip = lines.map_or(0, |lines| past.len().saturating_sub(lines));
    Ok(past.split_off(skip))
}

/// Shows what is written from now on, for ever.
fn go_on(sources: &mut [Source], show: &Show<'_>) -> io::Result<()> {
    let inotify = Inotify::new().ok();
    loop {
        let watched = inotify.as_ref().is_some_and(|inotify| watch(inotify, sources));
        for Source { unit, reader } in &mut *sources {
            reader.read(|line| show.line(&(unit.clone(), line.to_vec())))?;
        }
        let timeout_ms = (!watched).then_some(LOOK_MS);
        match &inotify {
            Some(inotify) => {
                wait_one(inotify, Interest::Read, timeout_ms)?;
                inotify.changes(&mut |_| {})?;
            }
            None => std::thread::sleep(std::time::Duration::from_millis(LOOK_MS)),
        }
    }
}

/// Watches every folder; false when one cannot be watched (yet). Watching again changes nothing.
fn watch(inotify: &Inotify, sources: &[Source]) -> bool {
    let add = |path: &Path| {
        let path = CString::new(path.as_os_str().as_bytes()).ok();
        path.is_some_and(|path| inotify.watch_directory(&path).is_ok())
    };
    let root = add(Path::new(ROOT));
    // A folder to come shows in the root.
    sources.iter().all(|source| add(source.reader.directory()) || root)
}

/// How lines are shown.
struct Show<'a> {
    screen: &'a Screen,
    /// Lines say of which unit they are.
    named: bool,
}

impl Show<'_> {
    fn line(&self, (unit, bytes): &Named) {
        if self.screen.json {
            return self.screen.packet(&json(unit, bytes));
        }
        if !self.named {
            return self.screen.write(bytes);
        }
        let stamp = Line::of(bytes).stamp;
        let rest = bytes.get(stamp.len()..).unwrap_or_default();
        let named = if stamp.is_empty() {
            [unit.as_bytes(), b" ", rest].concat()
        } else {
            [stamp, b" ", unit.as_bytes(), rest].concat()
        };
        self.screen.write(&named);
    }
}

fn json(unit: &str, bytes: &[u8]) -> String {
    let line = Line::of(bytes);
    let kind = match line.kind {
        Kind::Line => "line",
        Kind::Error => "error",
        Kind::Rest => "rest",
        Kind::Note => "note",
        Kind::Message(_) => "message",
        Kind::Clock => "clock",
    };
    format!(
        "{{\"unit\":{},\"time\":{},\"kind\":\"{kind}\",\"text\":{}}}",
        json_string(unit),
        json_string(&String::from_utf8_lossy(line.stamp)),
        json_string(&String::from_utf8_lossy(line.text)),
    )
}

#[cfg(test)]
mod tests {
    use super::{directory, json};

    #[test]
    fn a_line_as_json() {
        assert_eq!(
            json("web", b"2026-11-21T01:02:07.001Z*ended: \"x\"\x1b\xff"),
            "{\"unit\":\"web\",\"time\":\"2026-11-21T01:02:07.001Z\",\"kind\":\"note\",\"text\":\"ended: \\\"x\\\"\\u001b\u{fffd}\"}"
        );
    }

    #[test]
    fn a_name_never_leaves_the_folder() {
        for name in ["", ".", "..", "../x", "/etc", "a/b"] {
            assert_eq!(directory(name), None, "{name}");
        }
    }
}
