//! What a script does at its start besides starting its daemon: directories, keys, settings. Looks at
//! the function `start`, the branch `start` of `case $1`, and what is outside of both.

use crate::shell;

/// Words that only lead to a command.
const LEADING: [&str; 8] = ["if", "then", "else", "elif", "fi", "!", "{", "}"];

/// Commands that ask, speak or end, and what starts the daemon.
const PLAIN: [&str; 14] = [
    "[",
    "test",
    "echo",
    "printf",
    ":",
    "true",
    "false",
    "return",
    "exit",
    "local",
    "start-stop-daemon",
    "start",
    "$1",
    "\"$1\"",
];

/// Where a line is.
#[derive(Clone, Copy)]
enum Place {
    /// In no function.
    Top,
    /// In a function; whether it is `start`.
    Function(bool),
    /// Between the branches of `case $1`.
    Case,
    /// In such a branch; whether it is that of `start`.
    Branch(bool),
}

/// The first command at the start of a script that does more.
pub(crate) fn more(text: &str) -> Option<String> {
    let mut place = Place::Top;
    shell::lines(text).iter().find_map(|line| {
        let (next, said) = step(place, &line.text);
        place = next;
        said.and_then(|said| commands(said).into_iter().find(|command| !is_plain(command)))
    })
}

/// Where the next line is, and what of this one is done at the start.
fn step(place: Place, line: &str) -> (Place, Option<&str>) {
    match place {
        Place::Top if is_case(line) => (Place::Case, None),
        Place::Top => match function(line) {
            Some((name, body)) => {
                let (start, body) = (name == "start", body.trim_start_matches('{').trim());
                match body.strip_suffix('}') {
                    Some(body) => (Place::Top, start.then_some(body)),
                    None => (Place::Function(start), start.then_some(body)),
                }
            }
            None => (Place::Top, Some(line)),
        },
        Place::Function(_) if line == "}" => (Place::Top, None),
        Place::Function(start) => (place, start.then_some(line)),
        Place::Case | Place::Branch(_) if line == "esac" => (Place::Top, None),
        Place::Case => match line.split_once(')') {
            Some((label, body)) => {
                let mut names = label.trim_start_matches('(').split('|');
                branch(names.any(|name| name.trim() == "start"), body)
            }
            None => (Place::Case, None),
        },
        Place::Branch(start) => branch(start, line),
    }
}

/// `case "$1" in`, its branches on lines of their own.
fn is_case(line: &str) -> bool {
    line.starts_with("case ") && line.contains("$1") && line.ends_with(" in")
}

/// A line of a branch, which may be its last.
fn branch(start: bool, line: &str) -> (Place, Option<&str>) {
    match line.split_once(";;") {
        Some((line, _)) => (Place::Case, start.then_some(line)),
        None => (Place::Branch(start), start.then_some(line)),
    }
}

/// `name() {` as the name and what is after the parentheses.
fn function(line: &str) -> Option<(&str, &str)> {
    let (name, body) = line.split_once("()")?;
    let name = name.trim_start_matches("function ").trim();
    let good = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    (!name.is_empty() && name.chars().all(good)).then_some((name, body.trim()))
}

/// The simple commands of a line.
fn commands(line: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let (mut quote, mut before) = (None, ' ');
    for c in line.chars() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c && before != '\\' => quote = None,
            _ => {}
        }
        match c {
            // `2>&1` is no end.
            ';' | '|' | '&' if quote.is_none() && before != '>' => all.push(String::new()),
            _ => all.last_mut().into_iter().for_each(|last| last.push(c)),
        }
        before = c;
    }
    all.into_iter().map(|command| command.trim().to_owned()).collect()
}

/// Whether a command changes nothing that the daemon could miss.
fn is_plain(command: &str) -> bool {
    let words = command.split_whitespace();
    let mut words = words.skip_while(|word| LEADING.contains(word));
    let Some(first) = words.next() else { return true };
    let bare = |word: &str| word.replace(['"', '\''], "");
    if command.contains("$(") || command.contains('`') || writes(command) {
        return false;
    }
    match first {
        "." => words.next().is_some_and(|file| bare(file).starts_with("/etc/default/")),
        "set" => words.all(|option| ["-e", "-u", "-eu"].contains(&option)),
        _ if PLAIN.contains(&first) => true,
        _ => is_assignment(command),
    }
}

/// Whether its output goes to a file.
fn writes(command: &str) -> bool {
    command.split('>').skip(1).any(|to| {
        let to = to.trim_start();
        !to.starts_with('&') && !to.starts_with("/dev/null") && !to.is_empty()
    })
}

fn is_assignment(command: &str) -> bool {
    let known = shell::Known::new();
    let command = command.replace("$?", "0");
    shell::words(&command).is_some_and(|words| shell::assignment(&words, &known).is_some())
}
