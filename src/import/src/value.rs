//! Values of a unit file as TOML, formatted as a person would write them.

use toml_writer::{ToTomlKey, ToTomlValue, TomlStringBuilder};

/// The widest line that a list is kept on.
const COLUMNS: usize = 90;

/// A key's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// True or false.
    Truth(bool),
    /// A list of text.
    List(Vec<String>),
    /// A program and its arguments.
    Command(Vec<String>),
    /// Several commands.
    Commands(Vec<Vec<String>>),
    /// Names and texts, a table of its own.
    Table(Vec<(String, String)>),
}

impl Value {
    /// A number where the text is one, else the text.
    #[must_use]
    pub fn number_or_text(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Text(text.to_owned()), Self::Number)
    }

    /// Text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// `KEY = VALUE`, on one line or more.
    pub(crate) fn line(&self, key: &str) -> String {
        match self {
            Self::Text(text) => format!("{key} = {}", quoted(text)),
            Self::Number(number) => format!("{key} = {number}"),
            Self::Truth(truth) => format!("{key} = {truth}"),
            Self::List(items) => list(key, &items.iter().map(|i| quoted(i)).collect::<Vec<_>>()),
            Self::Command(words) => command(key, words),
            Self::Commands(commands) => match commands.as_slice() {
                [one] => command(key, one),
                many => {
                    let quoted_all = |words: &Vec<String>| {
                        let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
                        format!("[{}]", words.join(", "))
                    };
                    list(key, &many.iter().map(quoted_all).collect::<Vec<_>>())
                }
            },
            Self::Table(pairs) => {
                let lines = pairs
                    .iter()
                    .map(|(name, value)| format!("\n{} = {}", name.to_toml_key(), quoted(value)));
                format!("[{key}]{}", lines.collect::<String>())
            }
        }
    }
}

fn command(key: &str, words: &[String]) -> String {
    if words.iter().all(|word| is_plain(word)) {
        return format!("{key} = {}", quoted(&words.join(" ")));
    }
    list(key, &words.iter().map(|word| quoted(word)).collect::<Vec<_>>())
}

/// Items on one line, or one on each.
fn list(key: &str, items: &[String]) -> String {
    let line = format!("{key} = [{}]", items.join(", "));
    if line.chars().count() <= COLUMNS {
        return line;
    }
    let lines: String = items.iter().map(|item| format!("    {item},\n")).collect();
    format!("{key} = [\n{lines}]")
}

/// Text in quotes: plain ones where they do, literal ones for what has many of the others.
fn quoted(text: &str) -> String {
    let builder = TomlStringBuilder::new(text);
    let kind = builder.as_basic_pretty().or_else(|| builder.as_literal());
    kind.unwrap_or_else(|| builder.as_basic()).to_toml_value()
}

/// Words that can stand in one text that is split like a shell would.
fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:=,@%+~^".contains(c))
}

/// Words in one text that splits into them again.
#[must_use]
pub(crate) fn joined(words: &[String]) -> String {
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a shell, and the unit reader, takes it back.
#[must_use]
pub(crate) fn shell_word(word: &str) -> String {
    if is_plain(word) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn looks_as_written_by_hand() {
        let cases = [
            (Value::text("a b"), "k = \"a b\""),
            (Value::text("say \"a\""), "k = 'say \"a\"'"),
            (Value::Number(-5), "k = -5"),
            (Value::Truth(true), "k = true"),
            (Value::List(words(&["a", "b"])), "k = [\"a\", \"b\"]"),
            (Value::List(Vec::new()), "k = []"),
            (Value::Command(words(&["/bin/a", "-b"])), "k = \"/bin/a -b\""),
            (Value::Command(words(&["/bin/a", "b c"])), "k = [\"/bin/a\", \"b c\"]"),
            (Value::Commands(vec![words(&["/bin/a", "b c"])]), "k = [\"/bin/a\", \"b c\"]"),
            (
                Value::Commands(vec![words(&["/bin/a", "b"]), words(&["/bin/c"])]),
                "k = [[\"/bin/a\", \"b\"], [\"/bin/c\"]]",
            ),
            (
                Value::Table(vec![("A".into(), "1".into()), ("b c".into(), "2".into())]),
                "[k]\nA = \"1\"\n\"b c\" = \"2\"",
            ),
        ];
        for (value, line) in cases {
            assert_eq!(value.line("k"), line);
        }
        let long = Value::List(vec!["x".repeat(50), "y".repeat(50)]);
        assert_eq!(long.line("k").lines().count(), 4);
    }
}
