//! Findings as text, the way compilers print them; annotate-snippets draws (docs/adr/0028).
//! Whatever stands in a unit file, no control character comes through.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use ettan_unit::{Place, Severity};

use crate::saying::Finding;

/// For whom it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With the colours of a terminal.
    pub colour: bool,
    /// The longest line; source lines are cut to it, words wrapped.
    pub columns: usize,
}

/// The columns that words may lose to what stands in front of them (`  = note: `, and more digits
/// of a line's number than most files have).
const MARGIN: usize = 14;
/// What a cut line needs besides: dots on both sides, and a little of what is around.
const DOTS: usize = 12;
/// The fewest columns that words are wrapped to.
const NARROW: usize = 24;

/// The text of a finding, without a newline at its end.
#[must_use]
pub fn render(finding: &Finding, style: Style) -> String {
    let diagnostic = &finding.diagnostic;
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let room = style.columns.saturating_sub(MARGIN).max(NARROW);
    let words = |text: &str| wrap(&clean(text), room);
    let head = diagnostic.severity.word().len();
    let head = finding.lint.map_or(head, |lint| head.saturating_add(lint.len()));
    let title_room = style.columns.saturating_sub(head.saturating_add(4)).max(NARROW);
    let mut title = level.primary_title(wrap(&clean(&diagnostic.message), title_room));
    if let Some(lint) = finding.lint {
        title = title.id(lint);
    }
    let path = clean(&diagnostic.file);
    let mut group = match &diagnostic.place {
        Some(place) => {
            let (text, span) = excerpt(place, room.saturating_sub(DOTS));
            let snippet = Snippet::source(text).path(path).line_start(place.line as usize);
            title.element(snippet.annotation(AnnotationKind::Primary.span(span)))
        }
        None => title.element(annotate_snippets::Origin::path(path)),
    };
    let notes = finding.notes.iter().map(|note| Level::NOTE.message(words(note)));
    let help = diagnostic.hint.iter().map(|hint| Level::HELP.message(words(hint)));
    group = group.elements(notes.chain(help));
    let renderer = if style.colour { Renderer::styled() } else { Renderer::plain() };
    renderer.term_width(style.columns).render(&[group])
}

/// The lines of a place and the bytes that are meant, without control characters; of a long line
/// only so many are marked as there is room for, and the rest is left to be cut.
fn excerpt(place: &Place, room: usize) -> (String, Range<usize>) {
    let (text, span) = place.excerpt();
    let part = |from: usize, to: usize| clean_lines(text.get(from..to).unwrap_or(""));
    let before = part(0, span.start);
    let rest = format!("{}{}", part(span.start, span.end), part(span.end, text.len()));
    let meant = part(span.start, span.end);
    let (start, is_one_line) = (before.len(), !meant.contains('\n'));
    let marked = meant.char_indices().nth(room).map_or(meant.len(), |(at, _)| at);
    let marked = if is_one_line { marked } else { meant.len() };
    (format!("{before}{rest}"), start..start.saturating_add(marked))
}

/// Text of lines: control characters as one that shows that something is there.
fn clean_lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let visible = |c: char| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c };
    text.chars().map(visible).collect()
}

/// Words: control characters as their escapes.
fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { clean.extend(c.escape_default()) } else { clean.push(c) }
    }
    clean
}

/// Breaks at blanks, but not in `key = value`; a word that is too long stays whole.
fn wrap(text: &str, columns: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    let mut column = 0_usize;
    let text = text.replace(" = ", "\u{a0}=\u{a0}");
    for word in text.split(' ') {
        let width = word.chars().count();
        if column > 0 {
            let next = column.saturating_add(width).saturating_add(1);
            wrapped.push(if next > columns { '\n' } else { ' ' });
            column = if next > columns { 0 } else { column.saturating_add(1) };
        }
        wrapped.push_str(word);
        column = column.saturating_add(width);
    }
    wrapped.replace('\u{a0}', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_harmless() {
        assert_eq!(wrap("one two three", 7), "one two\nthree");
        assert_eq!(wrap("incomprehensible it is", 5), "incomprehensible\nit is");
        assert_eq!(wrap("or set a = 5", 8), "or set\na = 5");
        assert_eq!(wrap("", 5), "");
        assert_eq!(clean("a\u{1b}[2J\u{9b}1m\u{7f}å"), "a\\u{1b}[2J\\u{9b}1m\\u{7f}å");
        assert_eq!(clean_lines("a\u{1b}b\r\nc\td\u{9b}"), "a\u{fffd}b\nc\td\u{fffd}");
    }
}
