//! Command lines of shells, as far as they can be understood without a shell: words, quotes,
//! variables whose value is known. Everything else is left to a real one.

use std::collections::BTreeMap;

/// One line of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// From 1 on.
    pub(crate) number: usize,
    /// As it is written, lines that go on joined.
    pub(crate) text: String,
    /// Its words; None where only a shell can tell.
    pub(crate) words: Option<Vec<Word>>,
}

/// A word: text, and variables in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) parts: Vec<Part>,
}

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    /// A variable; whether it was in quotes, and so stays one word.
    Variable(String, bool),
}

/// Values of variables that are known.
pub(crate) type Known = BTreeMap<String, String>;

impl Word {
    /// The word without variables; None if it has one.
    pub(crate) fn plain(&self) -> Option<String> {
        self.filled(&Known::new())
    }

    /// The word with its variables filled in; None if one is not known.
    pub(crate) fn filled(&self, known: &Known) -> Option<String> {
        let parts = self.parts.iter().map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Variable(name, _) => known.get(name).map(String::as_str),
        });
        parts.collect::<Option<Vec<_>>>().map(|parts| parts.concat())
    }

    /// The words that this one is once its variables are filled in: a bare variable can be many.
    pub(crate) fn split(&self, known: &Known) -> Option<Vec<String>> {
        let filled = self.filled(known)?;
        match self.parts.as_slice() {
            [Part::Variable(_, false)] => {
                Some(filled.split_whitespace().map(str::to_owned).collect())
            }
            _ => Some(vec![filled]),
        }
    }
}

/// The lines of a script that say something.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, raw) in text.lines().enumerate() {
        let (number, mut whole) = open.take().unwrap_or((at + 1, String::new()));
        if let Some(part) = raw.strip_suffix('\\') {
            whole.push_str(part);
            open = Some((number, whole));
            continue;
        }
        whole.push_str(raw);
        let line = whole.trim();
        if !line.is_empty() && !line.starts_with('#') {
            lines.push(Line { number, text: line.to_owned(), words: words(line) });
        }
    }
    if let Some((number, whole)) = open {
        lines.push(Line { number, text: whole.trim().to_owned(), words: words(&whole) });
    }
    lines
}

/// The words of one simple command; None for what only a shell understands: operators (but
/// `2>&1`, which stays a word), substitutions, patterns.
pub(crate) fn words(line: &str) -> Option<Vec<Word>> {
    let letters: Vec<char> = line.chars().collect();
    let mut words = Vec::new();
    let mut current: Option<Word> = None;
    let mut at = 0;
    while let Some(&c) = letters.get(at) {
        at += 1;
        match c {
            ' ' | '\t' => words.extend(current.take()),
            '#' if current.is_none() => break,
            '\'' => {
                let end = letters.iter().skip(at).position(|c| *c == '\'')? + at;
                push(&mut current, letters.get(at..end)?.iter().collect());
                at = end + 1;
            }
            '"' => at = double(&letters, at, &mut current)?,
            '\\' => {
                push(&mut current, letters.get(at)?.to_string());
                at += 1;
            }
            '$' => at = variable(&letters, at, false, &mut current)?,
            '>' if current.as_ref().and_then(Word::plain).as_deref() == Some("2")
                && letters.get(at..at + 2) == Some(&['&', '1']) =>
            {
                push(&mut current, ">&1".into());
                at += 2;
            }
            '|' | '&' | ';' | '<' | '>' | '(' | ')' | '`' | '*' | '?' | '[' | '~' => return None,
            '{' | '}' if current.is_none() => return None,
            c => push(&mut current, c.to_string()),
        }
    }
    words.extend(current);
    let keyword = |word: &Word| KEYWORDS.contains(&word.plain().unwrap_or_default().as_str());
    if words.first().is_some_and(keyword) { None } else { Some(words) }
}

const KEYWORDS: [&str; 15] = [
    "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "!",
    "function", "eval",
];

fn push(current: &mut Option<Word>, text: String) {
    let word = current.get_or_insert_default();
    match word.parts.last_mut() {
        Some(Part::Text(last)) => last.push_str(&text),
        _ => word.parts.push(Part::Text(text)),
    }
}

/// From after `"` to after the next.
fn double(letters: &[char], mut at: usize, current: &mut Option<Word>) -> Option<usize> {
    push(current, String::new());
    loop {
        let c = *letters.get(at)?;
        at += 1;
        match c {
            '"' => return Some(at),
            '\\' => {
                let next = *letters.get(at)?;
                at += 1;
                if !['"', '\\', '$', '`'].contains(&next) {
                    push(current, "\\".into());
                }
                push(current, next.to_string());
            }
            '$' => at = variable(letters, at, true, current)?,
            '`' => return None,
            c => push(current, c.to_string()),
        }
    }
}

/// From after `$` to after the variable. What is more than a name only a shell understands.
fn variable(
    letters: &[char],
    at: usize,
    quoted: bool,
    current: &mut Option<Word>,
) -> Option<usize> {
    let braced = letters.get(at) == Some(&'{');
    let from = if braced { at + 1 } else { at };
    let good = |c: &&char| c.is_ascii_alphanumeric() || **c == '_';
    let name: String = letters.iter().skip(from).take_while(good).collect();
    let end = from + name.chars().count();
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if braced && letters.get(end) != Some(&'}') {
        return None;
    }
    current.get_or_insert_default().parts.push(Part::Variable(name, quoted));
    Some(if braced { end + 1 } else { end })
}

/// Whether these words only set a variable: its name, and its value if that is known.
pub(crate) fn assignment(words: &[Word], known: &Known) -> Option<(String, Option<String>)> {
    let [word] = words else { return None };
    let Some(Part::Text(first)) = word.parts.first() else { return None };
    let (name, value) = first.split_once('=')?;
    let good = !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let mut rest = vec![Part::Text(value.to_owned())];
    rest.extend(word.parts.iter().skip(1).cloned());
    good.then(|| (name.to_owned(), Word { parts: rest }.filled(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(line: &str) -> Option<Vec<String>> {
        words(line)?.iter().map(Word::plain).collect()
    }

    #[test]
    fn simple_commands_are_understood() {
        assert_eq!(plain("exec 2>&1").unwrap(), ["exec", "2>&1"]);
        assert_eq!(plain("a 'b c' \"d\\\"e\" f\\ g # h").unwrap(), ["a", "b c", "d\"e", "f g"]);
        for line in ["a | b", "a; b", "a && b", "$(a)", "`a`", "a > b", "a *.c", "if a", "${a:-b}"]
        {
            assert_eq!(words(line), None, "{line}");
        }
    }

    #[test]
    fn variables_are_filled_in_when_known() {
        let known = Known::from([("A".into(), "x y".into())]);
        let line = words("p $A \"$A\" z${A}z").unwrap();
        let split: Vec<_> = line.iter().flat_map(|word| word.split(&known).unwrap()).collect();
        assert_eq!(split, ["p", "x", "y", "x y", "zx yz"]);
        assert_eq!(words("p $B").unwrap()[1].filled(&known), None);
        let set = words("B=\"$A\"/c").unwrap();
        assert_eq!(assignment(&set, &known), Some(("B".into(), Some("x y/c".into()))));
    }
}
