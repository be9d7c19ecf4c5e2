//! `ettan logs`: reads the logger's files themselves, so that logs are there when PID 1 is not.
//! Follows them by inotify, across rotation. Writes nothing there.

mod clocks;
mod reader;
mod wish;

use crate::code::Code;
use crate::escape::{Screen, json_string, packet, terminal};
use crate::link::{Link, Trouble};
use clocks::{Clocks, Spell, When};
use ettan_log::iso;
use ettan_log::note::Note;
use ettan_log::record::{Kind, Line};
use ettan_sys::inotify::Inotify;
use ettan_sys::poll::{Interest, wait_one};
use ettan_wire::{ErrorCode, Refusal, Reply, Request, Which};
use reader::Reader;
use std::collections::VecDeque;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
pub(crate) use wish::{Wish, moment, severity_of};

/// Where the logger keeps its files.
pub(crate) const ROOT: &str = "/run/log/ettan";

/// Where it copies them to, unless a unit says otherwise.
const DISK: &str = "/var/log/ettan";

/// Ettan's own log, and those of what belongs to no unit.
const OWN: &str = "ettan";
pub(crate) const KERNEL: &str = "ettan-kernel";
const WITHOUT_UNIT: [&str; 3] = [OWN, KERNEL, "ettan-syslog"];

/// Lines before the new ones when following, unless asked otherwise.
const BEFORE: usize = 10;

/// How often to look when the kernel does not tell of changes.
const LOOK_MS: u64 = 1_000;

/// What `logs` was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) units: Vec<String>,
    pub(crate) lines: Option<usize>,
    pub(crate) follow: bool,
    pub(crate) wish: Wish,
}

/// `logs [-f] [-n N] [UNIT…]`
pub(crate) fn logs(query: Query, screen: &Screen) -> Code {
    let Query { mut units, lines, follow, wish } = query;
    if units.is_empty() {
        units.push(OWN.to_owned());
    }
    let units = crate::instances::of(&units);
    let sources = units.iter().map(|unit| source(unit, follow)).collect::<Result<Vec<_>, _>>();
    let sources = match sources {
        Ok(sources) => sources,
        Err(trouble) => return trouble.tell(screen),
    };
    let show = Show { screen, named: units.len() > 1 };
    let mut journal = Journal { sources, clocks: Clocks::new(), wish };
    let lines = lines.or(follow.then_some(BEFORE));
    let read = journal.read(lines, follow).map(|entries| show.all(&journal, &entries));
    let done = read.and_then(|()| if follow { go_on(&mut journal, &show) } else { Ok(()) });
    for (unit, bytes) in journal.foreign() {
        screen.complain(&format!(
            "logs: {unit}: {bytes} bytes are no log lines (a power cut?); skipped"
        ));
    }
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

/// The last lines of one unit, as `logs` shows them; none when they cannot be read.
pub(crate) fn last_lines(unit: &str, count: usize) -> Vec<Vec<u8>> {
    let Some(source) = Source::of(unit) else { return Vec::new() };
    let mut journal =
        Journal { sources: vec![source], clocks: Clocks::new(), wish: Wish::default() };
    let entries = journal.read(Some(count), false).unwrap_or_default();
    entries.iter().map(|entry| journal.text(entry, false)).collect()
}

/// How a line is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As `logs` does on a terminal.
    Text,
    /// As `logs --json` does.
    Json,
}

/// The last lines of one unit, at most `count` of them and, shown, `most` bytes; or why they cannot
/// be read.
pub(crate) fn last(
    unit: &str,
    count: usize,
    most: usize,
    form: Form,
) -> Result<Vec<String>, Trouble> {
    let source = source(unit, false)?;
    let mut journal =
        Journal { sources: vec![source], clocks: Clocks::new(), wish: Wish::default() };
    let entries = journal.read(Some(count), false).map_err(|error| Trouble {
        code: match error.kind() {
            io::ErrorKind::PermissionDenied => Code::NotPermitted,
            _ => Code::Failed,
        },
        text: format!("the log of {unit}: {error}"),
    })?;
    let shown = entries.iter().rev().map(|entry| match form {
        Form::Json => packet(&journal.json(entry)),
        Form::Text => String::from_utf8_lossy(&terminal(&journal.text(entry, false))).into_owned(),
    });
    let mut left = most;
    let fit = shown.map_while(|line| {
        left = left.checked_sub(line.len())?;
        Some(line)
    });
    let mut lines: Vec<String> = fit.collect();
    lines.reverse();
    Ok(lines)
}

/// The last lines of all logs that tell of errors, each with the name of its unit.
pub(crate) fn last_errors(count: usize) -> Vec<Vec<u8>> {
    let names = names();
    let sources = names.iter().filter(|name| *name != KERNEL);
    let sources = sources.filter_map(|name| Source::of(name)?.only_the_end()).collect();
    let mut journal = Journal { sources, clocks: Clocks::new(), wish: Wish::default() };
    let mut entries = journal.read(None, false).unwrap_or_default();
    entries.retain(|entry| is_error(&Line::of(&entry.bytes)));
    let skip = entries.len().saturating_sub(count);
    entries.iter().skip(skip).map(|entry| journal.text(entry, true)).collect()
}

/// The names of all logs in memory.
pub(crate) fn names() -> Vec<String> {
    let names = std::fs::read_dir(ROOT).into_iter().flatten();
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

fn is_error(line: &Line<'_>) -> bool {
    let begins = |words: &[&[u8]]| words.iter().any(|word| line.text.starts_with(word));
    match line.kind {
        Kind::Note => {
            begins(&[b"lost ", b"dropped ", b"failed"])
                || begins(&[b"backoff, "]) && line.text.windows(2).any(|two| two == b": ")
                || begins(&[b"ended: "])
                    && !(line.text.ends_with(b"exited with status 0")
                        || line.text.ends_with(b"(success-exit-status)"))
        }
        Kind::Line
        | Kind::Error
        | Kind::Rest
        | Kind::ErrorRest
        | Kind::Message(_)
        | Kind::Clock => wish::severity(line) <= wish::ERROR,
    }
}

/// Some logs, read together.
struct Journal {
    sources: Vec<Source>,
    clocks: Clocks,
    wish: Wish,
}

/// One unit's log.
struct Source {
    unit: String,
    /// What is on a disk and no longer, or not only, in memory; read first, once.
    disk: Option<Reader>,
    reader: Reader,
    spell: Spell,
    /// Bytes that no logger wrote.
    foreign: usize,
}

/// A record as it is in the file.
struct Entry {
    source: usize,
    bytes: Vec<u8>,
    when: When,
}

impl Source {
    fn of(unit: &str) -> Option<Self> {
        let memory = directory(unit)?;
        let note = Note::read(&memory).unwrap_or_default();
        let place = note.place;
        let on_disk = Some(note.directory).filter(|directory| directory.is_absolute());
        let on_disk = on_disk.unwrap_or_else(|| Path::new(DISK).join(unit));
        let (disk, reader) = Reader::of_both(memory, on_disk, place);
        Some(Source { unit: unit.to_owned(), disk, reader, spell: Spell::default(), foreign: 0 })
    }

    /// There is something to read.
    fn exists(&self) -> bool {
        self.disk.is_some() || self.reader.directory().exists()
    }

    /// None where it cannot be read: that is no reason to be silent about the others.
    fn only_the_end(mut self) -> Option<Self> {
        self.disk = None;
        self.reader.skip_to_the_end().then_some(self)
    }
}

impl Journal {
    /// Everything that is new and wanted, oldest first, at most the last `lines`. A line without an
    /// end waits for it when there is somebody to wait.
    fn read(&mut self, lines: Option<usize>, follow: bool) -> io::Result<Vec<Entry>> {
        let mut logs = Vec::new();
        // No more is kept than is wanted, as far as that is known before all is read.
        let most = lines.filter(|_| self.wish == Wish::default()).unwrap_or(usize::MAX);
        for (source, from) in self.sources.iter_mut().enumerate() {
            let mut log = VecDeque::new();
            let Source { disk, reader, spell, foreign, .. } = from;
            let mut keep = |bytes: &[u8]| {
                // What a power cut leaves of a file that was growing.
                if bytes.first() == Some(&0) {
                    *foreign = foreign.saturating_add(bytes.len());
                    return;
                }
                let line = Line::of(bytes);
                let when = self.clocks.note(spell, &line);
                if line.kind != Kind::Clock && self.wish.has_severity(&line) {
                    if log.len() >= most {
                        log.pop_front();
                    }
                    log.push_back(Entry { source, bytes: bytes.to_vec(), when });
                }
            };
            if let Some(mut disk) = disk.take() {
                disk.read(&mut keep)?;
                disk.rest(&mut keep);
            }
            reader.read(&mut keep)?;
            if !follow {
                reader.rest(&mut keep);
            }
            logs.push(log);
        }
        let mut entries = self.merge(logs);
        entries.retain(|entry| {
            self.wish.has_time(self.clocks.right_ms(entry.when))
                && (!self.wish.this_boot || self.clocks.is_this_boot(entry.when))
        });
        let skip = lines.map_or(0, |lines| entries.len().saturating_sub(lines));
        Ok(entries.split_off(skip))
    }

    /// All in the order of time; those of one log stay in their order.
    fn merge(&self, mut logs: Vec<VecDeque<Entry>>) -> Vec<Entry> {
        let mut merged = Vec::with_capacity(logs.iter().map(VecDeque::len).sum());
        let first =
            |log: &VecDeque<Entry>| log.front().map(|entry| self.clocks.right_ms(entry.when));
        while let Some(next) = logs
            .iter_mut()
            .filter(|log| !log.is_empty())
            .min_by_key(|log| first(log))
            .and_then(VecDeque::pop_front)
        {
            merged.push(next);
        }
        merged
    }

    fn unit(&self, entry: &Entry) -> &str {
        self.sources.get(entry.source).map_or("", |source| source.unit.as_str())
    }

    /// With the right time; where lines have none, they are shown alone, or with that of the record
    /// before when the unit is said.
    fn text(&self, entry: &Entry, named: bool) -> Vec<u8> {
        let stamp = Line::of(&entry.bytes).stamp;
        let rest = entry.bytes.get(stamp.len()..).unwrap_or_default();
        let right = || iso(self.clocks.right_ms(entry.when)).into_bytes();
        let space = if stamp.is_empty() { &b" "[..] } else { b"" };
        match (named, stamp.is_empty()) {
            (false, true) => rest.to_vec(),
            (false, false) => [&right(), rest].concat(),
            (true, _) => [&right(), &b" "[..], self.unit(entry).as_bytes(), space, rest].concat(),
        }
    }

    fn json(&self, entry: &Entry) -> String {
        let line = Line::of(&entry.bytes);
        let kind = match line.kind {
            Kind::Line => "line",
            Kind::Error => "error",
            Kind::Rest => "rest",
            Kind::ErrorRest => "error-rest",
            Kind::Note => "note",
            Kind::Message(_) => "message",
            Kind::Clock => "clock",
        };
        let mut json = format!(
            "{{\"unit\":{},\"time\":\"{}\",\"kind\":\"{kind}\"",
            json_string(self.unit(entry)),
            iso(self.clocks.right_ms(entry.when)),
        );
        if let Kind::Message(priority) = line.kind {
            json.push_str(&format!(",\"facility\":{},\"severity\":{}", priority / 8, priority % 8));
        }
        if let Some((boot, up_ms)) = self.clocks.since_boot(entry.when) {
            json.push_str(&format!(",\"boot\":{},\"up_ms\":{up_ms}", json_string(boot)));
        }
        json + &format!(",\"text\":{}}}", json_string(&String::from_utf8_lossy(line.text)))
    }

    fn foreign(&self) -> impl Iterator<Item = (&str, usize)> {
        let found = self.sources.iter().filter(|source| source.foreign > 0);
        found.map(|source| (source.unit.as_str(), source.foreign))
    }
}

/// Where this log is in memory.
pub(crate) fn directory(unit: &str) -> Option<PathBuf> {
    let is_name = !unit.is_empty() && !unit.contains('/') && !unit.starts_with('.');
    is_name.then(|| Path::new(ROOT).join(unit))
}

/// A unit that never wrote has no folder; only PID 1 knows whether there is such a unit.
fn source(unit: &str, follow: bool) -> Result<Source, Trouble> {
    let unknown =
        || Trouble { text: format!("no unit is called {unit}"), code: Code::NotInstalled };
    let source = Source::of(unit).ok_or_else(unknown)?;
    if !follow && !WITHOUT_UNIT.contains(&unit) && !source.exists() {
        let request = Request::IsActive(Which { unit: crate::change::name(unit)? });
        let answer = Link::ask(&request)?.next()?;
        if let Reply::Error(Refusal { code, text, .. }) = answer.reply
            && matches!(code, ErrorCode::UnknownUnit | ErrorCode::Refused)
        {
            return Err(Trouble { text: text.to_string(), code: Code::of_refusal(code) });
        }
    }
    Ok(source)
}

/// Shows what is written from now on, for ever.
fn go_on(journal: &mut Journal, show: &Show<'_>) -> io::Result<()> {
    let inotify = Inotify::new().ok();
    loop {
        let watched = inotify.as_ref().is_some_and(|inotify| watch(inotify, &journal.sources));
        journal.clocks.look_again();
        let entries = journal.read(None, true)?;
        show.all(journal, &entries);
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
    fn all(&self, journal: &Journal, entries: &[Entry]) {
        for entry in entries {
            if self.screen.json {
                self.screen.packet(&journal.json(entry));
            } else {
                self.screen.write(&journal.text(entry, self.named));
            }
        }
    }
}

#[cfg(test)]
mod tests;
