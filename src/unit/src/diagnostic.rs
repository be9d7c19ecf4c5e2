//! What is wrong, where, and what to do about it. Plain text, as a compiler prints it.

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
}

/// One thing to say about one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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

/// A stretch of one line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// How many characters, at least 1.
    pub width: u32,
    /// The line's text, cut to at most `MAX_SHOWN` characters around the column.
    pub text: String,
    /// The column within `text`, from 0.
    pub shown_at: u32,
}

/// The most characters of a line that are shown.
const MAX_SHOWN: usize = 120;

impl Diagnostic {
    /// The whole on one line: for `ettan status` and logs.
    #[must_use]
    pub fn one_line(&self) -> String {
        let mut line = self.head();
        if let Some(hint) = &self.hint {
            line.push_str(" (");
            line.push_str(hint);
            line.push(')');
        }
        line
    }

    fn head(&self) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (file, message) = (&self.file, &self.message);
        match &self.place {
            Some(Place { line, column, .. }) => {
                format!("{file}:{line}:{column}: {severity}: {message}")
            }
            None => format!("{file}: {severity}: {message}"),
        }
    }
}

impl fmt::Display for Diagnostic {
    /// One to three lines, no newline at the end:
    /// ```text
    /// /etc/units/web.toml:7:1: error: unknown key `exec-strat` in [service]
    ///   7 | exec-strat = "/usr/bin/web"
    ///     | ^^^^^^^^^^ did you mean `exec-start`?
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.head())?;
        let hint = self.hint.as_deref().unwrap_or("");
        let Some(place) = &self.place else {
            return if hint.is_empty() { Ok(()) } else { write!(f, "\n  = {hint}") };
        };
        let number = place.line.to_string();
        let marks = "^".repeat(place.width as usize);
        let indent = " ".repeat(place.shown_at as usize);
        write!(f, "\n  {number} | {}", place.text)?;
        let margin = " ".repeat(number.len());
        let last = format!("  {margin} | {indent}{marks} {hint}");
        write!(f, "\n{}", last.trim_end())
    }
}

/// The text of one unit file and of its drop-ins, for pointing into it.
#[derive(Debug)]
pub(crate) struct Source {
    /// The unit's name.
    pub(crate) unit: String,
    /// The file, as seen from inside the root.
    pub(crate) file: String,
    /// Its content, then that of its drop-ins; lossy where it was no UTF-8.
    pub(crate) text: String,
    /// Where in the text each drop-in begins, in order, and its file.
    pub(crate) drop_ins: Vec<(usize, String)>,
}

impl Source {
    /// A diagnostic about the bytes `span`.
    pub(crate) fn diagnostic(
        &self,
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
    pub(crate) fn parts(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = std::iter::once(0).chain(self.drop_ins.iter().map(|(start, _)| *start));
        let ends = self.drop_ins.iter().map(|(start, _)| *start);
        starts.zip(ends.chain([self.text.len()])).map(|(start, end)| start..end)
    }

    /// The file that the byte `at` is of.
    fn file_at(&self, at: usize) -> &str {
        let before = self.drop_ins.iter().rev().find(|(start, _)| *start <= at);
        before.map_or(&self.file, |(_, file)| file)
    }

    /// Where `span` begins, and how much of it is on that line.
    fn place(&self, span: &Range<usize>) -> Place {
        let part = self.parts().filter(|part| part.start <= span.start).last().unwrap_or(0..0);
        let whole = self.text.get(part.clone()).unwrap_or("");
        let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
        let skipped = part.end.saturating_sub(text.len());
        let start = floor(text, span.start.saturating_sub(skipped));
        let end = floor(text, span.end.saturating_sub(skipped)).max(start);
        let (before, after) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let line = before.matches('\n').count().saturating_add(1);
        let line_end = after.find('\n').map_or(text.len(), |at| start.saturating_add(at));
        let whole = text.get(line_start..line_end).unwrap_or("").trim_end_matches('\r');
        let column = text.get(line_start..start).unwrap_or("").chars().count();
        let marked = text.get(start..end.min(line_end)).unwrap_or("").trim_end();
        let width = marked.chars().count().max(1);
        let cut = if column < MAX_SHOWN { 0 } else { column.saturating_sub(MAX_SHOWN / 2) };
        let shown = whole.chars().skip(cut).take(MAX_SHOWN).map(printable).collect::<String>();
        let shown_at = column.saturating_sub(cut);
        let room = shown.chars().count().saturating_sub(shown_at).max(1);
        Place {
            line: number(line),
            column: number(column.saturating_add(1)),
            width: number(width.min(room)),
            text: shown,
            shown_at: number(shown_at),
        }
    }
}

/// The character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at = at.saturating_sub(1);
    }
    at
}

/// A terminal must not obey what it shows.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// The most diagnostics of one file: after so many the reason is one and the same.
const MAX_PER_FILE: usize = 20;

/// What was said about one file so far.
pub(crate) struct Notes {
    pub(crate) source: Rc<Source>,
    pub(crate) list: Vec<Diagnostic>,
    unsaid: usize,
    /// How many of the list are syntax errors; they come first.
    syntax: usize,
}

impl Notes {
    pub(crate) fn new(source: Rc<Source>) -> Self {
        Self { source, list: Vec::new(), unsaid: 0, syntax: 0 }
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

    /// A complaint about a value, or the value.
    pub(crate) fn take<T>(
        &mut self,
        span: &Range<usize>,
        result: Result<T, Complaint>,
    ) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(complaint) => {
                self.add(Severity::Error, span, complaint.message, complaint.hint);
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
    pub(crate) fn syntax_error(&mut self, span: &Range<usize>, message: &str) {
        self.error(span, message);
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
        self.list.push(self.source.diagnostic(severity, span, message, hint));
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
