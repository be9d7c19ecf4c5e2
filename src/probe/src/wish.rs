//! One wish of a unit that starts, and how far it is. Looks at it when asked; remembers that it was
//! met once.

use std::ffi::CString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ettan_log::record::{Kind, Line};
use ettan_sys::pipe;
use ettan_sys::reap::Status;
use regex_lite::Regex;

use crate::follow::Follow;
use crate::look::{self, Call};
use crate::plan::{User, Wish};
use crate::sample::{self, Mark, Sample};
use crate::serve::Places;

/// Pieces of a file that one look reads: one that is written to all the time does not keep us from
/// the others.
const PIECES: usize = 16;

/// How long one look at a socket or a command may take.
const LOOK_MS: u64 = 5_000;

/// One wish.
pub(crate) struct Wanted {
    wish: Wish,
    pub(crate) met: bool,
    follow: Option<Follow>,
    /// Of the unit's own log.
    run: Run,
    /// The pipe that the unit writes a newline to.
    pipe: Option<File>,
    call: Option<Call>,
}

/// How far the unit's own log is read.
#[derive(Default)]
struct Run {
    /// What follows is of this run.
    inside: bool,
    /// By stream: the line that the rest of one would go on in, as far as it is judged.
    heads: [Vec<u8>; 2],
}

/// The longest beginning of a line that is kept for its rest.
const LONGEST: usize = 8 * 1024;

/// What a look needs to know.
pub(crate) struct Moment<'a> {
    pub(crate) sample: &'a Sample,
    pub(crate) user: &'a User,
    pub(crate) now_ms: u64,
    /// Since when the unit is awaited.
    pub(crate) since_ms: u64,
    /// It is time to begin another look at sockets and commands.
    pub(crate) is_due: bool,
}

impl Wanted {
    /// Not `known`: nobody can say what was there before the start, so that all of it counts.
    pub(crate) fn new(
        wish: Wish,
        name: &str,
        sample: &Sample,
        places: Places<'_>,
        known: bool,
    ) -> Self {
        let follow = match &wish {
            Wish::Log(_, Some(file)) => Some(Follow::file(file.clone(), sample.log)),
            Wish::Log(_, None) => Some(Follow::log(places.log_of(name), sample.log, known)),
            Wish::Systemd
            | Wish::Descriptor
            | Wish::Activity(_)
            | Wish::Look(_)
            | Wish::Settle(_) => None,
        };
        let pipe = match &wish {
            Wish::Descriptor => open_pipe(places, name),
            Wish::Systemd | Wish::Log(..) | Wish::Activity(_) | Wish::Look(_) | Wish::Settle(_) => {
                None
            }
        };
        Self {
            wish,
            met: false,
            follow,
            run: Run { inside: !known, ..Run::default() },
            pipe,
            call: None,
        }
    }

    /// A look is under way.
    pub(crate) fn is_calling(&self) -> bool {
        self.call.is_some()
    }

    /// A child of ours ended.
    pub(crate) fn ended(&mut self, child: i32, status: Status) {
        if let Some(call) = &mut self.call {
            call.ended(child, status);
        }
    }

    /// Looks, unless it is met already.
    pub(crate) fn look(&mut self, moment: &Moment<'_>) {
        if self.met {
            return;
        }
        self.met = match &self.wish {
            Wish::Systemd => moment.sample.notified,
            Wish::Descriptor => self.pipe.as_mut().is_some_and(has_newline),
            Wish::Log(regex, file) => {
                let is_captured = file.is_none();
                let (mut met, run) = (false, &mut self.run);
                let mut judge = |line: &[u8]| {
                    if is_captured {
                        run.captured(line, &mut met, regex);
                    } else {
                        met |= regex.is_match(&String::from_utf8_lossy(line));
                    }
                };
                let follow = &mut self.follow;
                let mut more = || follow.as_mut().is_some_and(|follow| follow.look(&mut judge));
                (0..PIECES).find(|_| !more());
                met
            }
            Wish::Activity(path) => {
                let now = Mark::of(path);
                now.is_some() && now != moment.sample.activity
            }
            Wish::Settle(span) => moment.now_ms >= moment.since_ms.saturating_add(*span),
            Wish::Look(_) => self.call(moment),
        };
    }

    fn call(&mut self, moment: &Moment<'_>) -> bool {
        let Wish::Look(target) = &self.wish else { return false };
        if self.call.is_none() && moment.is_due {
            match look::begin(target, moment.user, moment.now_ms, LOOK_MS) {
                Ok(None) => return true,
                Ok(call) => self.call = call,
                Err(_) => return false,
            }
        }
        let found = self.call.as_mut().and_then(|call| call.look(moment.now_ms));
        if found.is_some() {
            self.call = None;
        }
        found == Some(Ok(()))
    }

    /// What is awaited, in the words of the unit file.
    pub(crate) fn in_words(&self) -> String {
        self.wish.in_words()
    }
}

impl Wish {
    /// In the words of the unit file.
    pub(crate) fn in_words(&self) -> String {
        let file = |path: &Path| path.display().to_string();
        match self {
            Self::Systemd => "READY=1".into(),
            Self::Descriptor => "a newline on its ready descriptor".into(),
            Self::Log(regex, Some(path)) => format!("`{regex}` in {}", file(path)),
            Self::Log(regex, None) => format!("`{regex}` in its log"),
            Self::Activity(path) => format!("activity of {}", file(path)),
            Self::Settle(span) => format!("{span} ms of running"),
            Self::Look(target) => target.to_string(),
        }
    }
}

impl Run {
    /// A line of a log that the logger wrote: a note tells where the run begins, and what came into the middle
    /// of a line leaves it whole.
    fn captured(&mut self, line: &[u8], met: &mut bool, regex: &Regex) {
        let line = Line::of(line);
        let [output, errors] = &mut self.heads;
        let (head, is_rest) = match line.kind {
            Kind::Note if line.text == b"starting" => {
                *met = false;
                *self = Self { inside: true, ..Self::default() };
                return;
            }
            Kind::Note | Kind::Clock => return,
            Kind::Message(_) => (&mut Vec::new(), false),
            Kind::Line => (output, false),
            Kind::Rest => (output, true),
            Kind::Error => (errors, false),
            Kind::ErrorRest => (errors, true),
        };
        if !self.inside {
            return;
        }
        if !is_rest {
            head.clear();
        }
        let room = LONGEST.saturating_sub(head.len());
        head.extend_from_slice(line.text.get(..room).unwrap_or(line.text));
        *met |= regex.is_match(&String::from_utf8_lossy(head));
    }
}

fn has_newline(pipe: &mut File) -> bool {
    let mut buffer = [0; 512];
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        if buffer[..count].contains(&b'\n') {
            return true;
        }
    }
    false
}

fn open_pipe(places: Places<'_>, name: &str) -> Option<File> {
    let path = sample::pipe(places.notes, name);
    let named = CString::new(path.as_os_str().as_bytes()).ok()?;
    let opened = pipe::make_named(&named).and_then(|()| pipe::open_named(&named));
    match opened {
        Ok(end) => Some(end.into()),
        Err(error) => {
            complain!("{name}: {}: {error}", path.display());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_run_before_does_not_count() {
        let regex = Regex::new("^running$").expect("a pattern");
        let (mut run, mut met) = (Run::default(), false);
        let mut read = |text: &str| {
            run.captured(text.as_bytes(), &mut met, &regex);
            met
        };
        assert!(!read("2026-11-21T01:02:03.456Z running"));
        assert!(!read("2026-11-21T01:02:03.456Z*starting"));
        assert!(!read("2026-11-21T01:02:03.456Z*up (pid 7)"));
        assert!(read("2026-11-21T01:02:03.456Z running"));
        assert!(!read("2026-11-21T01:02:03.456Z*starting"), "another run has begun");
        assert!(!read("2026-11-21T01:02:03.456Z not running"));
        assert!(read("running"), "a log without times");
    }

    #[test]
    fn a_line_that_something_came_into_is_judged_with_its_rest() {
        let regex = Regex::new("^listening on [0-9]+$").expect("a pattern");
        let (mut run, mut met) = (Run::default(), false);
        let mut read = |text: &str| {
            run.captured(format!("2026-11-21T01:02:03.456Z{text}").as_bytes(), &mut met, &regex);
            met
        };
        assert!(!read(" listening "));
        assert!(!read("*starting"));
        assert!(!read("+on 80"), "that began before the run");
        assert!(!read(" listening "));
        assert!(!read("!listening to nobody"));
        assert!(!read("*awaiting (pid 7)"));
        assert!(!read("-on 80"), "the other stream");
        assert!(!read("+on "));
        assert!(read("+80"));
        assert!(!read("*starting"));
        assert!(!read(&format!(" {}", "x".repeat(LONGEST))));
        assert!(!read("+listening on 80"));
        assert!(read(" listening on 80"));
    }
}
