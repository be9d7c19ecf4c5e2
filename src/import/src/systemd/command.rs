//! Command lines of systemd: prefixes, variables, several commands.

use crate::systemd::parse::words;
use crate::systemd::specifier;
use crate::tree::Tree;
use crate::value::shell_word;

/// One command as systemd means it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Command {
    /// The program and its arguments, with Ettan's specifiers.
    pub(crate) words: Vec<String>,
    /// What the prefixes ask for.
    pub(crate) prefixes: String,
    /// What is not the same any more.
    pub(crate) lost: Vec<String>,
}

/// What is known of the variables that a command may use.
pub(crate) struct Variables<'a> {
    /// Those that the unit sets itself.
    pub(crate) set: &'a [(String, String)],
    /// Whether there are more, from files.
    pub(crate) more: bool,
}

/// The commands of one `Exec…=`.
pub(crate) fn read(text: &str, variables: &Variables<'_>, tree: &dyn Tree) -> Vec<Command> {
    let trimmed = text.trim_start_matches(PREFIXES);
    let prefixes = text.get(..text.len() - trimmed.len()).unwrap_or_default();
    let mut commands = Vec::new();
    let mut current = Command { prefixes: prefixes.to_owned(), ..Command::default() };
    let mut all = words(trimmed);
    if prefixes.contains('@') && all.len() > 1 {
        let name = all.remove(1);
        let program = all.first().cloned().unwrap_or_default();
        if name != program && name != crate::tree::file_name(&program) {
            current.lost.push(format!("it is not called `{name}` (prefix @)"));
        }
    }
    for word in all {
        if word == ";" && !text.contains("\\;") {
            commands.push(std::mem::take(&mut current));
            continue;
        }
        if current.words.is_empty() {
            let bare = word.trim_start_matches(PREFIXES);
            if commands.is_empty() || bare.len() == word.len() {
                current.words.push(program(&word, tree, &mut current.lost));
            } else {
                current.prefixes = word.get(..word.len() - bare.len()).unwrap_or("").to_owned();
                current.words.push(program(bare, tree, &mut current.lost));
            }
            continue;
        }
        let (word, lost) = specifier::translate(&word);
        current.lost.extend(lost.iter().map(|s| format!("`{s}` is passed as it is")));
        current.words.push(word);
    }
    commands.push(current);
    commands.retain(|command| !command.words.is_empty());
    for command in &mut commands {
        if command.prefixes.contains([':']) {
            continue;
        }
        fill_in(command, variables);
    }
    commands
}

const PREFIXES: [char; 6] = ['-', '@', ':', '+', '!', '|'];

fn program(word: &str, tree: &dyn Tree, lost: &mut Vec<String>) -> String {
    let (word, _) = specifier::translate(word);
    let (program, why) = crate::found(&word, tree);
    lost.extend(why);
    program
}

/// Puts variables into the arguments: values that are known for good; through a shell what is
/// only known when the unit starts.
fn fill_in(command: &mut Command, variables: &Variables<'_>) {
    let uses = command.words.iter().skip(1).any(|word| !pieces(word).iter().all(Piece::is_text));
    if !uses {
        for word in command.words.iter_mut().skip(1) {
            *word = word.replace("$$", "$");
        }
        return;
    }
    let known = |word: &String| !word.contains("MAINPID");
    if !variables.more && command.words.iter().all(known) {
        command.words = filled(&command.words, variables.set);
        return;
    }
    let words: Vec<String> = command.words.iter().enumerate().map(shell_form).collect();
    let script = format!("set -f; exec {}", words.join(" "));
    command.words = vec!["/bin/sh".into(), "-c".into(), script];
    command.lost.push("a shell puts the variables in when the unit starts".into());
}

fn filled(words: &[String], set: &[(String, String)]) -> Vec<String> {
    let value = |name: &str| {
        set.iter().rev().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    };
    let mut filled: Vec<String> = words.iter().take(1).cloned().collect();
    for word in words.iter().skip(1) {
        match pieces(word).as_slice() {
            [Piece::Whole(name)] => filled.extend(crate::systemd::parse::words(value(name))),
            pieces => filled.push(
                pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Text(text) => text.as_str(),
                        Piece::Part(name) | Piece::Whole(name) => value(name),
                    })
                    .collect(),
            ),
        }
    }
    filled
}

fn shell_form((nth, word): (usize, &String)) -> String {
    if nth == 0 {
        return shell_word(word);
    }
    let pieces = pieces(word);
    if pieces.is_empty() {
        return "''".into();
    }
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => shell_word(text),
            Piece::Part(name) => format!("\"${{{name}}}\""),
            Piece::Whole(name) => format!("${name}"),
        })
        .collect()
}

/// A part of a word.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `${NAME}`: stays within its word.
    Part(String),
    /// `$NAME` as the whole word: as many words as its value has.
    Whole(String),
}

impl Piece {
    fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn pieces(word: &str) -> Vec<Piece> {
    if let Some(name) = word.strip_prefix('$').filter(|name| is_variable(name)) {
        return vec![Piece::Whole(name.to_owned())];
    }
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let after = from.get(1..).unwrap_or("");
        let part = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        if let Some(tail) = after.strip_prefix('$') {
            text.push('$');
            rest = tail;
        } else if let Some((name, tail)) = part.filter(|(name, _)| is_variable(name)) {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
            }
            pieces.push(Piece::Part(name.to_owned()));
            rest = tail;
        } else {
            text.push('$');
            rest = after;
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// Several commands, one after the other, as one that a shell runs. A failing one ends them,
/// unless it may fail.
pub(crate) fn in_a_row(commands: &[Command]) -> Vec<String> {
    let mut script = String::new();
    for (nth, command) in commands.iter().enumerate() {
        let last = nth + 1 == commands.len();
        let may_fail = command.prefixes.contains('-');
        let words = crate::value::joined(&command.words);
        script.push_str(&match (last, may_fail) {
            (true, false) => format!("exec {words}"),
            (true, true) => format!("{words} || true"),
            (false, false) => format!("{words} && "),
            (false, true) => format!("{{ {words} || true; }} && "),
        });
    }
    vec!["/bin/sh".into(), "-c".into(), script]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Memory;

    fn read_one(text: &str, set: &[(&str, &str)], more: bool) -> Command {
        let set: Vec<_> = set.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let tree = Memory::new(&[("/usr/sbin/thing", "")]);
        read(text, &Variables { set: &set, more }, &tree).remove(0)
    }

    #[test]
    fn variables_that_are_known_are_put_in() {
        let set = [("OPTS", "-a  -b"), ("N", "x y")];
        let cases: [(&str, &[&str]); 6] = [
            ("/bin/d $OPTS end", &["/bin/d", "-a", "-b", "end"]),
            ("/bin/d a${N}b", &["/bin/d", "ax yb"]),
            ("/bin/d $NONE", &["/bin/d"]),
            ("/bin/d ${NONE}", &["/bin/d", ""]),
            ("/bin/d $$x a$b", &["/bin/d", "$x", "a$b"]),
            (":/bin/d $OPTS", &["/bin/d", "$OPTS"]),
        ];
        for (text, expected) in cases {
            assert_eq!(read_one(text, &set, false).words, expected, "{text}");
        }
    }

    #[test]
    fn a_shell_puts_in_what_files_say() {
        let command = read_one("/bin/d -f $OPTS 'a b' x=${Y}z", &[], true);
        let script = "set -f; exec /bin/d -f $OPTS 'a b' x=\"${Y}\"z";
        assert_eq!(command.words, ["/bin/sh", "-c", script]);
    }

    #[test]
    fn prefixes_are_understood() {
        let command = read_one("-@/bin/d called -x %i %t/d", &[], false);
        assert_eq!(command.words, ["/bin/d", "-x", "%i", "/run/d"]);
        assert_eq!(command.prefixes, "-@");
        assert_eq!(command.lost, ["it is not called `called` (prefix @)"]);
        assert_eq!(read_one("thing -x", &[], false).words, ["/usr/sbin/thing", "-x"]);
    }

    #[test]
    fn several_commands_become_a_script() {
        let tree = Memory::default();
        let none = Variables { set: &[], more: false };
        let mut commands = read("-/bin/a 'b c' ; /bin/d", &none, &tree);
        commands.extend(read("/bin/e", &none, &tree));
        let script = "{ /bin/a 'b c' || true; } && /bin/d && exec /bin/e";
        assert_eq!(in_a_row(&commands), ["/bin/sh", "-c", script]);
    }
}
