//! What is wrong, where, and what to do about it. One line each; `ettan check` shows the source too.

use std::fmt;
use std::ops::Range;
use std::rc::Rc;

/// Whether a unit can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something must be changed. Mostly the unit is refused; see the message.
    Error,
    /// The unit is used; something about it is probably not meant.
    Warning,
    /// Nothing is wrong, and worth knowing.
    Note,
}

impl Severity {
    /// As it is written in front of a message.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing to say about one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// The unit it is about, where that is known.
    pub unit: Option<String>,
    /// The file or directory, as seen from inside the root.
    pub file: String,
    /// Where in the file, where that is known.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do, if that can be guessed.
    pub hint: Option<String>,
}

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line where it begins, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    source: Rc<Source>,
    /// The bytes of the source.
    span: Range<usize>,
    /// The key whose value cannot be used.
    key: Option<&'static str>,
}

/// The most lines of a stretch that are shown.
const MAX_LINES: usize = 6;

impl Place {
    /// The whole lines that it touches, the first few, and which bytes of them are meant.
    #[must_use]
    pub fn excerpt(&self) -> (&str, Range<usize>) {
        let Part { text, start, end } = self.source.part(&self.span);
        let from = line_start(text, start);
        let lines = text.get(from..).unwrap_or("");
        let inside = end.saturating_sub(from);
        let ends = || lines.match_indices('\n').map(|(at, _)| at).take(MAX_LINES);
        let last = ends().nth(MAX_LINES.saturating_sub(1));
        let end = ends().find(|at| *at >= inside.saturating_sub(1));
        let to = end.or(last).unwrap_or(lines.len());
        let shown = lines.get(..to).unwrap_or("").trim_end_matches('\r');
        let at = start.saturating_sub(from).min(shown.len());
        (shown, at..inside.clamp(at, shown.len()))
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `/etc/units/web.toml:7:1: error: unknown key … (did you mean `exec-start`?)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column, .. }) = &self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}: ", self.severity.word())?;
        // Without the line beside it nobody sees which key is meant.
        let key = self.place.as_ref().and_then(|place| place.key);
        if let Some(key) = key.filter(|key| !self.message.contains(&format!("`{key}`"))) {
            write!(f, "`{key}`: ")?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// The text of one unit file and of its drop-ins, for pointing into it.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The unit's name.
    pub unit: String,
    /// The file, as seen from inside the root.
    pub file: String,
    /// Its content, then that of its drop-ins; lossy where it was no UTF-8.
    pub text: String,
    /// Where in the text each drop-in begins, in order, and its file.
    pub(crate) drop_ins: Vec<(usize, String)>,
}

/// The part of a source that a span is in, and where in it.
struct Part<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

impl Source {
    /// A diagnostic about the bytes `span`.
    pub fn diagnostic(
        self: &Rc<Self>,
        severity: Severity,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Diagnostic {
        Diagnostic {
            severity,
            unit: Some(self.unit.clone()),
            file: self.file_at(span.start).to_string(),
            place: Some(self.place(span)),
            message: message.into(),
            hint,
        }
    }

    /// The parts of the text: where each begins and ends.
    pub fn parts(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.drop_ins.iter().map(|(start, _)| *start));
        let ends = self.drop_ins.iter().map(|(start, _)| *start);
        starts.zip(ends.chain([self.text.len()])).map(|(start, end)| start..end)
    }

    /// The file that the byte `at` is of.
    fn file_at(&self, at: usize) -> &str {
        let before = self.drop_ins.iter().rev().find(|(start, _)| *start <= at);
        before.map_or(&self.file, |(_, file)| file)
    }

    /// Where `span` begins.
    pub fn place(self: &Rc<Self>, span: &Range<usize>) -> Place {
        let Part { text, start, .. } = self.part(span);
        let before = text.get(..start).unwrap_or("");
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.get(line_start(text, start)..).unwrap_or("").chars().count();
        Place {
            line: number(line),
            column: number(column.saturating_add(1)),
            source: Rc::clone(self),
            span: span.clone(),
            key: None,
        }
    }

    fn part(&self, span: &Range<usize>) -> Part<'_> {
        let part = self.parts().filter(|part| part.start <= span.start).last().unwrap_or(0..0);
        let whole = self.text.get(part.clone()).unwrap_or("");
        let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
        let skipped = part.end.saturating_sub(text.len());
        let start = floor(text, span.start.saturating_sub(skipped));
        let end = floor(text, span.end.saturating_sub(skipped)).max(start);
        Part { text, start, end }
    }
}

/// Where the line begins that the byte `at` is on.
fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or("");
    before.rfind('\n').map_or(0, |at| at.saturating_add(1))
}

/// The character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at = at.saturating_sub(1);
    }
    at
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// What a value is, in the words of TOML: how a complaint begins that it is of the wrong kind.
pub(crate) const KINDS: [&str; 7] =
    ["a text", "an integer", "a fraction", "a boolean", "a date", "a list", "a table"];

/// The most diagnostics of one file: after so many the reason is one and the same.
const MAX_PER_FILE: usize = 20;

/// What was said about one file so far.
pub(crate) struct Notes {
    pub(crate) source: Rc<Source>,
    pub(crate) list: Vec<Diagnostic>,
    unsaid: usize,
    /// How many of the list are syntax errors; they come first.
    syntax: usize,
    /// The key whose value is being read, and what it takes.
    key: Option<(&'static str, &'static str)>,
}

impl Notes {
    pub(crate) fn new(source: Rc<Source>) -> Self {
        Self { source, list: Vec::new(), unsaid: 0, syntax: 0, key: None }
    }

    /// Reads the value of a key with `read`: what is wrong with it is said with the key's name, and with what it takes.
    pub(crate) fn of_key(
        &mut self,
        name: &'static str,
        takes: &'static str,
        read: impl FnOnce(&mut Self),
    ) {
        self.key = Some((name, takes));
        read(self);
        self.key = None;
    }

    /// The unit cannot be used.
    pub(crate) fn error(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.add(Severity::Error, span, message.into(), None);
    }

    /// The unit cannot be used; `hint` says what to do.
    pub(crate) fn error_with(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Severity::Error, span, message.into(), Some(hint.into()));
    }

    /// The unit is used.
    pub(crate) fn warning(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(Severity::Warning, span, message.into(), Some(hint.into()));
    }

    /// Nothing is wrong.
    pub(crate) fn note(&mut self, span: &Range<usize>, message: impl Into<String>) {
        self.add(Severity::Note, span, message.into(), None);
    }

    /// A complaint about a value, or the value.
    pub(crate) fn take<T>(
        &mut self,
        span: &Range<usize>,
        result: Result<T, Complaint>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Complaint { message, hint }) => {
                // Of a value of the right kind the complaint itself says what is wrong.
                let is_of_kind = !KINDS.iter().any(|kind| {
                    message.strip_prefix(kind).is_some_and(|rest| rest.starts_with(" is "))
                });
                let takes = self.key.and_then(|(_, takes)| takes.split(';').next());
                let takes = takes.filter(|_| !is_of_kind).map(|takes| format!("it takes {takes}"));
                let hint = hint.or(takes);
                self.add(Severity::Error, span, message, hint);
                None
            }
        }
    }

    /// Whether some hint speaks of `word`.
    pub(crate) fn guessed(&self, word: &str) -> bool {
        self.list.iter().any(|d| d.hint.as_ref().is_some_and(|hint| hint.contains(word)))
    }

    /// Whether nothing more will be shown.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MAX_PER_FILE
    }

    /// Whether an error is among them.
    pub(crate) fn failed(&self) -> bool {
        self.unsaid > 0 || self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// The file is not TOML at `span`. To be told before everything else.
    pub(crate) fn syntax_error(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(Severity::Error, span, message.into(), hint);
        self.syntax = self.list.len();
    }

    /// Whether the file is TOML only in part.
    pub(crate) fn has_syntax_errors(&self) -> bool {
        self.syntax > 0
    }

    /// Whether the line where `span` begins is not TOML: what was read there is no second mistake.
    pub(crate) fn is_garbled(&self, span: &Range<usize>) -> bool {
        if self.syntax == 0 {
            return false;
        }
        let (line, file) = (self.source.place(span).line, self.source.file_at(span.start));
        let mut syntax = self.list.iter().take(self.syntax);
        syntax.any(|error| {
            error.file == file && error.place.as_ref().is_some_and(|place| place.line == line)
        })
    }

    /// In the order of the file.
    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        let place = |d: &Diagnostic| d.place.as_ref().map(|place| (place.line, place.column));
        crate::names::sort_by(&mut self.list, |a, b| (&a.file, place(a)).cmp(&(&b.file, place(b))));
        if self.unsaid > 0 {
            self.list.push(Diagnostic {
                severity: Severity::Error,
                unit: Some(self.source.unit.clone()),
                file: self.source.file.clone(),
                place: None,
                message: format!("{} more errors are not shown", self.unsaid),
                hint: None,
            });
        }
        self.list
    }

    fn add(
        &mut self,
        severity: Severity,
        span: &Range<usize>,
        message: String,
        hint: Option<String>,
    ) {
        if self.is_full() {
            self.unsaid = self.unsaid.saturating_add(1);
            return;
        }
        let mut said = self.source.diagnostic(severity, span, message, hint);
        if let (Some(place), Some((name, _)), Severity::Error) =
            (&mut said.place, self.key, severity)
        {
            place.key = Some(name);
        }
        self.list.push(said);
    }
}

/// Why a value cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Complaint {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
