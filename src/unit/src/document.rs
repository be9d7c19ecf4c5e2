//! TOML to draft: bytes to text, text to a tree with places, the tree to one key after another.

use std::ops::Range;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Notes, Source};
use crate::draft::{At, Draft, Item, kind_word};
use crate::keys::{self, Lookup};
use crate::nearest;
use crate::reference::shown;
use crate::unclosed;

/// The most syntax errors of one file that are shown: one mistake makes many.
const MAX_SYNTAX: usize = 3;

/// Reads a unit's file, then its drop-ins, each of whose keys takes the place of the same one
/// before. What is wrong is in the notes.
pub(crate) fn read(unit: &str, file: Content, drop_ins: Vec<Content>) -> (Draft, Notes) {
    let mut notes = open(unit, file, drop_ins);
    let mut draft = Draft::default();
    each(&mut notes, &mut |table, notes| walk(table, &mut draft, notes));
    (draft, notes)
}

/// The text of a file and of what is read after it, and what is wrong with it as a text.
pub(crate) fn open(unit: &str, file: Content, drop_ins: Vec<Content>) -> Notes {
    let (mut text, mut bad) = decode(file.bytes);
    let mut source =
        Source { unit: unit.into(), file: file.name, text: String::new(), drop_ins: Vec::new() };
    for drop_in in drop_ins {
        let (content, wrong) = decode(drop_in.bytes);
        text.push('\n');
        let start = text.len();
        source.drop_ins.push((start, drop_in.name));
        text.push_str(&content);
        bad = bad.or(wrong.map(|at| start.saturating_add(at)));
    }
    source.text = text;
    let mut notes = Notes::new(Rc::new(source));
    let source = Rc::clone(&notes.source);
    if let Some(at) = bad {
        let is_utf_16 = source.text.starts_with("\u{fffd}\u{fffd}");
        let hint = if is_utf_16 { "is it UTF-16? save it as UTF-8" } else { "save it as UTF-8" };
        notes.syntax_error(&(at..at), "the file is not UTF-8 from here on", Some(hint.into()));
    } else if let Some(at) = source.text.find('\0') {
        notes.syntax_error(&(at..at), "the file holds a NUL character", None);
    }
    notes
}

/// Shows the tree of each part of a text in which nothing is wrong so far.
pub(crate) fn each(notes: &mut Notes, take: &mut dyn FnMut(&DeTable<'_>, &mut Notes)) {
    if notes.failed() {
        return;
    }
    let source = Rc::clone(&notes.source);
    for part in source.parts() {
        // Blanks in front give every place its distance from the beginning of the whole.
        let content = source.text.get(part.clone()).unwrap_or("");
        let marked = content.strip_prefix('\u{feff}').unwrap_or(content);
        let blanks = part.end.saturating_sub(marked.len());
        parse(&format!("{:blanks$}{marked}", ""), notes, take);
    }
}

/// A file's name and content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// The text, and where it is none.
fn decode(bytes: Vec<u8>) -> (String, Option<usize>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(at))
        }
    }
}

fn parse(text: &str, notes: &mut Notes, take: &mut dyn FnMut(&DeTable<'_>, &mut Notes)) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let unclosed = if errors.is_empty() { None } else { unclosed::list(text) };
    let place = |error: &toml::de::Error| error.span().unwrap_or(text.len()..text.len());
    // What comes after the beginning of a list that does not end is said of nothing that is there.
    let is_true = |error: &&toml::de::Error| unclosed.is_none_or(|at| place(error).start < at);
    for error in errors.iter().filter(is_true).take(MAX_SYNTAX) {
        let span = place(error);
        let (message, hint) = in_our_words(error.message(), text, &span);
        notes.syntax_error(&span, message, hint);
    }
    if let Some(at) = unclosed {
        let span = at..at.saturating_add(1);
        let line = notes.source.place(&span).line;
        let message = format!("the list that begins in line {line} is not closed");
        notes.syntax_error(&span, message, Some("a `]` is missing".into()));
        let whole = text.get(..at).and_then(|before| before.rfind('\n'));
        let before = text.get(..whole.unwrap_or(0)).unwrap_or("");
        return take(DeTable::parse_recoverable(before).0.get_ref(), notes);
    }
    if errors.is_empty() {
        for span in wrong_integers(table.get_ref()).iter().take(MAX_SYNTAX) {
            notes.syntax_error(span, "this is no integer of at most 64 bits", None);
        }
    }
    take(table.get_ref(), notes);
}

/// What the parser says, as far as it is not meant for those who wrote it; and what to do.
fn in_our_words(said: &str, text: &str, span: &Range<usize>) -> (String, Option<String>) {
    if said == "duplicate key" {
        let key = text.get(span.clone()).unwrap_or("");
        return (format!("{said} `{}`", shown(key)), Some("it is there once already".into()));
    }
    if said.starts_with("unexpected leading zero") {
        let is_digit = |c: char| c.is_ascii_digit();
        let before = text.get(..span.start).unwrap_or("");
        let from = before.trim_end_matches(is_digit).len();
        let number = text.get(from..).unwrap_or("");
        let number = number.split(|c| !is_digit(c)).next().unwrap_or("");
        let hint = format!("octal numbers are text: \"{}\"", shown(number));
        return ("a number does not begin with 0".into(), Some(hint));
    }
    (said.to_string(), None)
}

fn walk(table: &DeTable<'_>, draft: &mut Draft, notes: &mut Notes) {
    for (key, value) in table.iter() {
        let name = key.get_ref().as_ref();
        match value.get_ref() {
            DeValue::Table(_) if name.starts_with("x-") => {}
            DeValue::Table(table) => section(name, &key.span(), table, draft, notes),
            other => stray(name, &key.span(), other, notes),
        }
    }
}

/// Integers without digits (`0x`) and those past 64 bits: the parser leaves them to whoever wants
/// their value, which for other tools' tables is nobody. Goes as deep as the parser did, without
/// recursion.
fn wrong_integers(table: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut wrong = Vec::new();
    let mut rest: Vec<_> = table.iter().map(|(_, value)| value).collect();
    while let Some(value) = rest.pop() {
        match value.get_ref() {
            DeValue::Integer(number) => {
                if i64::from_str_radix(number.as_str(), number.radix()).is_err() {
                    wrong.push(value.span());
                }
            }
            DeValue::Array(items) => rest.extend(items.iter()),
            DeValue::Table(table) => rest.extend(table.iter().map(|(_, value)| value)),
            DeValue::String(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            }
        }
    }
    wrong.sort_unstable_by_key(|span| span.start);
    wrong
}

fn section(
    name: &str,
    place: &Range<usize>,
    table: &DeTable<'_>,
    draft: &mut Draft,
    notes: &mut Notes,
) {
    if !keys::is_section(name) {
        let message = format!("unknown table [{}]", shown(name));
        let lower = name.to_ascii_lowercase();
        return match nearest::nearest(&lower, keys::sections()) {
            _ if notes.is_garbled(place) || is_left_over(place, notes) => {}
            None if lower == "install" => {
                let hint = "a unit in /etc/units starts at boot; `ettan enable` links it there";
                notes.error_with(place, message, hint);
            }
            Some(near) => notes.error_with(place, message, format!("did you mean [{near}]?")),
            None => {
                let hint = "a unit has [unit] and [service]; tables named `x-…` are ignored";
                notes.error_with(place, message, hint);
            }
        };
    }
    if name == "timer" {
        draft.timer.begin(place);
    }
    for (key, value) in table.iter() {
        let place = key.span();
        let key = key.get_ref().as_ref();
        let item = Item { name: key, key: place, span: value.span(), value: value.get_ref() };
        if key.starts_with("x-") && matches!(item.value, DeValue::Table(_)) {
            continue;
        }
        if name == "service" {
            let end = if item.span.start < item.key.end { item.key.end } else { item.span.end };
            draft.service_keys.push(At { span: item.key.start..end, value: key.to_string() });
        }
        entry(name, key, &item, draft, notes);
    }
}

/// A table without `[` in front of it, beside a syntax error: what that left behind.
fn is_left_over(place: &Range<usize>, notes: &Notes) -> bool {
    let before = notes.source.text.get(..place.start).unwrap_or("");
    notes.has_syntax_errors() && !before.trim_end_matches([' ', '\t', '"', '\'']).ends_with('[')
}

fn entry(section: &str, key: &str, item: &Item<'_>, draft: &mut Draft, notes: &mut Notes) {
    // Guessing what was meant costs time, and a file can hold thousands of keys.
    let lookup = if notes.is_full() { Lookup::Unknown(None) } else { keys::look_up(section, key) };
    match lookup {
        // What a syntax error left behind is no second mistake.
        _ if notes.is_garbled(&item.key) => {}
        Lookup::Key(key) => key.read(draft, item, notes),
        Lookup::Unknown(hint) => {
            let message = format!("unknown key `{}` in [{section}]", shown(key));
            match hint {
                Some(hint) => notes.error_with(&item.key, message, hint),
                None => notes.error(&item.key, message),
            }
        }
    }
}

/// A key above the first table, or a table's name with a plain value.
fn stray(name: &str, place: &Range<usize>, value: &DeValue<'_>, notes: &mut Notes) {
    if notes.is_garbled(place) || notes.is_full() {
        return;
    }
    if keys::is_section(name) {
        return notes.error(place, format!("`{name}` is a table, not {}", kind_word(value)));
    }
    let message = format!("unknown key `{}` outside of a table", shown(name));
    match keys::guess("", name) {
        Some(hint) => notes.error_with(place, message, hint),
        None => notes.error_with(place, message, "keys belong in [unit] or [service]"),
    }
}
