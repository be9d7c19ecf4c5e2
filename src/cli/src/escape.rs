//! Where output goes. On a terminal, control characters of services, names and texts are shown as
//! escapes, never obeyed (`tests/FAULTS.md` 4.9). Into a file or pipe, bytes go as they are.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

/// The widest line on a terminal that says no width.
const COLUMNS: usize = 80;

/// Standard output and standard error of this run.
pub(crate) struct Screen {
    /// Print the packets themselves, one JSON object a line.
    pub(crate) json: bool,
    terminal: bool,
    error_terminal: bool,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            terminal: io::stdout().is_terminal(),
            error_terminal: io::stderr().is_terminal(),
        }
    }

    /// How many columns a line may have; None when nobody looks at it.
    pub(crate) fn columns(&self) -> Option<usize> {
        let asked = || std::env::var("COLUMNS").ok()?.parse().ok();
        self.terminal.then(|| asked().filter(|columns| *columns >= 20).unwrap_or(COLUMNS))
    }

    /// Whether whoever looks wants colours.
    pub(crate) fn has_colours(&self) -> bool {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        self.terminal && set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
    }

    /// Prints text that was made for a terminal, colours and all: nothing in it is from outside
    /// without having been escaped.
    pub(crate) fn drawn(&self, text: &str) {
        out(text.as_bytes());
    }

    /// Whether the terminal has the strokes of a tree: its locale says UTF-8, and it is no serial
    /// line's.
    pub(crate) fn draws_lines(&self) -> bool {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
        let is_utf8 = locale.is_some_and(|locale| locale.to_uppercase().contains("UTF"));
        let plain = ["dumb", "linux", "vt"];
        let term = set("TERM").filter(|term| !plain.iter().any(|plain| term.starts_with(plain)));
        self.terminal && is_utf8 && term.is_some()
    }

    /// Prints text whose first line has a word of ours, `length` bytes from `at` on, in colour.
    pub(crate) fn paint(&self, text: &str, at: usize, length: usize, colour: Colour) {
        let parts = text.split_at_checked(at).and_then(|(head, rest)| {
            let (word, tail) = rest.split_at_checked(length)?;
            Some((head, word, tail))
        });
        match (parts, colour.code()) {
            (Some((head, word, tail)), Some(code)) if self.has_colours() => {
                let safe =
                    |part: &str| String::from_utf8_lossy(&terminal(part.as_bytes())).into_owned();
                let text = format!("{}\x1b[{code}m{word}\x1b[0m{}", safe(head), safe(tail));
                self.drawn(&text);
            }
            (_, _) => self.say(text),
        }
    }

    /// Prints text of one or more lines. A reader that went away ends the program quietly.
    pub(crate) fn say(&self, text: &str) {
        self.write(text.as_bytes());
    }

    /// Prints one line of unknown bytes.
    pub(crate) fn write(&self, line: &[u8]) {
        let shown = if self.terminal { terminal(line) } else { Cow::Borrowed(line) };
        out(&shown);
    }

    /// Prints a packet as it came.
    pub(crate) fn packet(&self, json: &str) {
        self.say(&packet(json));
    }

    /// The width of a line that may be rewritten in place; None where nobody looks at it.
    pub(crate) fn progress_columns(&self) -> Option<usize> {
        let columns = self.columns().unwrap_or(COLUMNS);
        (self.error_terminal && !self.json).then(|| columns.saturating_sub(1))
    }

    /// Puts `line` in the place of the one before; an empty one leaves no trace. No more than a
    /// carriage return is asked of the terminal.
    pub(crate) fn rewrite(&self, line: &str, columns: usize) {
        let line = String::from_utf8_lossy(&terminal(line.as_bytes())).into_owned();
        let end = if line.is_empty() { "\r" } else { "" };
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r{line:<columns$}{end}").and_then(|()| err.flush());
    }

    /// Prints to standard error.
    pub(crate) fn complain(&self, text: &str) {
        let bytes = text.as_bytes();
        let shown = if self.error_terminal { terminal(bytes) } else { Cow::Borrowed(bytes) };
        let mut err = io::stderr().lock();
        // There is nowhere left to complain about this.
        let _ = err.write_all(b"ettan: ").and_then(|()| err.write_all(&shown));
        let _ = err.write_all(b"\n");
    }
}

/// One line, or more, to standard output.
fn out(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    let written = out.write_all(bytes).and_then(|()| out.write_all(b"\n"));
    if written.is_err() {
        // The reader (head, a closed terminal) has seen enough.
        std::process::exit(1);
    }
}

/// What a word of ours may be shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    Plain,
    Green,
    Yellow,
    Red,
}

impl Colour {
    const fn code(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Green => Some(32),
            Self::Yellow => Some(33),
            Self::Red => Some(31),
        }
    }
}

/// A JSON string.
pub(crate) fn json_string(text: &str) -> String {
    let mut json = String::with_capacity(text.len().saturating_add(2));
    json.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            '\0'..='\x1f' => json.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

/// A packet as it came; DEL and C1, which are legal in JSON, as escapes, which are as legal.
pub(crate) fn packet(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '\u{7f}'..='\u{9f}' => text.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => text.push(other),
        }
    }
    text
}

/// Text for a terminal: C0 (but tab and newline), DEL, C1 and what is no UTF-8 as `\x1b`.
pub(crate) fn terminal(bytes: &[u8]) -> Cow<'_, [u8]> {
    let harmless = |character: char| matches!(character, '\t' | '\n') || !character.is_control();
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(harmless) => return Cow::Borrowed(bytes),
        Ok(_) | Err(_) => {}
    }
    let mut shown = String::with_capacity(bytes.len().saturating_add(16));
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match (harmless(character), u32::from(character)) {
                (true, _) => shown.push(character),
                (false, code @ 0..=0x7f) => shown.push_str(&format!("\\x{code:02x}")),
                (false, code) => shown.push_str(&format!("\\u{{{code:x}}}")),
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(shown.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::terminal;

    #[test]
    fn f4_9_a_terminal_gets_no_control_characters() {
        for (bytes, shown) in [
            (&b"plain \xc3\xa5 text\twith tab"[..], "plain å text\twith tab"),
            (b"\x1b[2J\x1b]0;pwned\x07", r"\x1b[2J\x1b]0;pwned\x07"),
            (b"a\rb\x08c\x7f\0", r"a\x0db\x08c\x7f\x00"),
            (b"\xc2\x9b31m", r"\u{9b}31m"),
            (b"\x9b31m \xff", r"\x9b31m \xff"),
        ] {
            assert_eq!(String::from_utf8_lossy(&terminal(bytes)), shown);
        }
    }
}
