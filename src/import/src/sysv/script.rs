//! The daemon in an init script: variables at the top, and the one `start-stop-daemon --start`.

use super::{header, more};
use crate::draft::literal;
use crate::shell::{self, Known, Part, Word};
use crate::tree::{Tree, file_name};
use crate::value::shell_word;
use std::collections::BTreeSet;

/// Who starts the daemon of a script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// PID 1.
    Daemon(Daemon),
    /// The script, for a reason; the daemon is found by its PID file.
    Script { line: usize, pid_file: String, why: String },
}

/// What a script starts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Daemon {
    pub(crate) line: usize,
    pub(crate) command: Vec<String>,
    pub(crate) pid_file: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) directory: Option<String>,
    pub(crate) umask: Option<String>,
    pub(crate) nice: Option<String>,
    /// It stays in the foreground: the script puts it into the background.
    pub(crate) foreground: bool,
    /// It does not write its PID file itself.
    pub(crate) makes_pid_file: bool,
    /// Files of variables that the command needs, and the lines that read them.
    pub(crate) files: Vec<(usize, String)>,
    pub(crate) why: Option<String>,
}

/// What a script says of variables.
#[derive(Default)]
struct Said {
    /// Those whose value is known.
    known: Known,
    /// Those that are set to what shows only when it runs.
    unclear: BTreeSet<String>,
    /// Files that are read for more, and the lines that do so.
    files: Vec<(usize, String)>,
}

/// The daemon of a script and who starts it, or why that cannot be seen.
pub(crate) fn start(path: &str, text: &str, tree: &dyn Tree) -> Result<Start, String> {
    let mut said = Said::default();
    said.known.insert("0".into(), path.to_owned());
    let mut starts: Vec<(usize, Vec<Word>)> = Vec::new();
    for line in shell::lines(text) {
        let command = start_command(&line.text);
        if let Some(words) = command {
            starts.push((line.number, words));
            continue;
        }
        if let Some(file) = sourced(&line.text, &said.known) {
            said.files.push((line.number, file));
        }
        if let Some(words) = line.words {
            said.assign(&words, starts.is_empty());
        }
    }
    if text.lines().next().is_some_and(|first| first.contains("init-d-script")) {
        return by_variables(&said.known).map(Start::Daemon);
    }
    starts.dedup_by(|a, b| a.1 == b.1);
    match starts.as_slice() {
        [] => Err("it has no `start-stop-daemon --start`".into()),
        [(line, words)] => {
            let mut daemon = Daemon { line: *line, ..Daemon::default() };
            let seen = understand(words, said, tree, &mut daemon);
            who(text, daemon, seen)
        }
        _ => Err("it has more than one `start-stop-daemon --start`".into()),
    }
}

impl Said {
    fn assign(&mut self, words: &[Word], before_the_start: bool) {
        let Some((name, value)) = shell::assignment(words, &self.known) else { return };
        match value {
            Some(value) if before_the_start => {
                self.unclear.remove(&name);
                self.known.insert(name, value);
            }
            value => {
                self.known.remove(&name);
                if value.is_none() && before_the_start {
                    self.unclear.insert(name);
                }
            }
        }
    }
}

/// Who starts a daemon, or why the script is to be called as a whole. Where a script has a header of
/// LSB, packages have what is made at the start in tmpfiles.d, too; where it has none, nobody makes it
/// but the script.
fn who(text: &str, daemon: Daemon, seen: Result<(), String>) -> Result<Start, String> {
    let why = match &seen {
        Ok(()) => more::more(text).map(|what| format!("it also does `{what}`")),
        Err(why) => Some(why.clone()),
    };
    match (why, daemon.known_by()) {
        _ if header::is_there(text) => seen.map(|()| Start::Daemon(daemon)),
        (None, _) => Ok(Start::Daemon(daemon)),
        (Some(why), Some(pid_file)) => Ok(Start::Script { line: daemon.line, pid_file, why }),
        (Some(why), None) => Err(why),
    }
}

impl Daemon {
    /// Its PID file, if somebody writes it.
    fn known_by(&self) -> Option<String> {
        self.pid_file.clone().filter(|_| !self.foreground || self.makes_pid_file)
    }
}

/// Debian's scripts that are variables only.
fn by_variables(known: &Known) -> Result<Daemon, String> {
    let program = known.get("DAEMON").filter(|program| program.starts_with('/'));
    let program = program.ok_or("it does not say DAEMON=")?;
    let name = file_name(program);
    let pid_file = known.get("PIDFILE").cloned().unwrap_or(format!("/run/{name}.pid"));
    let mut command = vec![literal(program)];
    let arguments = known.get("DAEMON_ARGS").map_or("", String::as_str);
    command.extend(arguments.split_whitespace().map(literal));
    let pid_file = (pid_file != "none").then_some(pid_file);
    Ok(Daemon { line: 1, command, pid_file, ..Daemon::default() })
}

/// The words of a `start-stop-daemon --start` that is no test. What surrounds it is left out.
fn start_command(line: &str) -> Option<Vec<Word>> {
    let (_, rest) = line.split_once("start-stop-daemon")?;
    let end = ["||", "&&", ";", "|", ">", "2>", ")", "`"]
        .iter()
        .filter_map(|stop| rest.find(stop))
        .min()
        .unwrap_or(rest.len());
    let words =
        shell::words(rest.get(..end)?.trim().trim_end_matches(" 2").trim_end_matches(" 1"))?;
    let has = |names: &[&str]| {
        words.iter().any(|word| word.plain().is_some_and(|text| names.contains(&text.as_str())))
    };
    let starts = has(&["--start", "-S", "-Sq"]) && !has(&["--test", "-t"]);
    starts.then_some(words)
}

/// The file that a line reads variables from.
fn sourced(line: &str, known: &Known) -> Option<String> {
    let (at, dot) = line.match_indices(". ").find(|(at, _)| {
        let before = line.get(..*at).unwrap_or_default();
        before.is_empty() || before.ends_with(['&', ' ', ';', '\t'])
    })?;
    let rest = line.get(at + dot.len()..)?;
    let words = shell::words(rest.split([' ', ';', '\t']).next().unwrap_or_default())?;
    let path = words.first()?.filled(known)?;
    path.starts_with("/etc/default/").then_some(path)
}

/// Reads the one start into `daemon`.
fn understand(
    words: &[Word],
    said: Said,
    tree: &dyn Tree,
    daemon: &mut Daemon,
) -> Result<(), String> {
    let cut = words.iter().position(|word| word.plain().as_deref() == Some("--"));
    let (options, arguments) = words.split_at(cut.unwrap_or(words.len()));
    let program = read_options(options, &said.known, daemon)?;
    let program = program.ok_or("its program is not known before it runs")?;
    if !program.starts_with('/') {
        return Err(format!("its program is `{program}`"));
    }
    let arguments: Vec<Word> = arguments.iter().skip(1).cloned().collect();
    command(&program, &arguments, said, tree, daemon)
}

/// Short options that take a value.
const VALUED: &str = "anprsuxcNRgdPIkO";

/// The options of one word, each with the value that is attached to it.
fn split_up(text: &str) -> Vec<(String, Option<String>)> {
    if text.starts_with("--") {
        let (option, value) = text.split_once('=').map_or((text, None), |(o, v)| (o, Some(v)));
        return vec![(option.to_owned(), value.map(str::to_owned))];
    }
    let mut all = Vec::new();
    let mut letters = text.chars().skip(1);
    while let Some(letter) = letters.next() {
        let rest = VALUED.contains(letter).then(|| letters.by_ref().collect::<String>());
        all.push((format!("-{letter}"), rest.filter(|value| !value.is_empty())));
    }
    all
}

/// What the options say, and the program. An option without a counterpart is an error: the script
/// knows better.
fn read_options(
    words: &[Word],
    known: &Known,
    daemon: &mut Daemon,
) -> Result<Option<String>, String> {
    let mut program = None;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let Some(text) = word.plain() else {
            match word.split(known) {
                Some(words) if words.is_empty() => continue,
                _ => return Err("it has options that show only when it runs".into()),
            }
        };
        if !text.starts_with('-') {
            return Err(format!("`{text}` is among the options of start-stop-daemon"));
        }
        for (option, attached) in split_up(&text) {
            let mut value = || {
                attached
                    .clone()
                    .or_else(|| rest.next().and_then(|word| word.filled(known)))
                    .ok_or_else(|| format!("the value of {option} is not known before it runs"))
            };
            match option.as_str() {
                "--exec" | "-x" => program = program.or(Some(value()?)),
                "--startas" | "-a" => program = Some(value()?),
                "--pidfile" | "-p" => daemon.pid_file = Some(value()?),
                "--chuid" | "-c" => {
                    let names = value()?;
                    let (user, group) = names.split_once(':').unwrap_or((&names, ""));
                    daemon.user = Some(user.to_owned());
                    if !group.is_empty() {
                        daemon.group = Some(group.to_owned());
                    }
                }
                "--group" | "-g" => daemon.group = Some(value()?),
                "--umask" | "-k" => daemon.umask = Some(value()?),
                "--nicelevel" | "-N" => daemon.nice = Some(value()?),
                "--chdir" | "-d" => daemon.directory = Some(value()?),
                "--user" | "-u" | "--name" | "-n" | "--retry" | "-R" | "--signal" | "-s"
                | "--output" | "-O" | "--pid" | "--ppid" | "--notify-timeout" => {
                    value()?;
                }
                "--background" | "-b" => daemon.foreground = true,
                "--make-pidfile" | "-m" => {
                    daemon.foreground = true;
                    daemon.makes_pid_file = true;
                }
                "--start" | "-S" | "--quiet" | "-q" | "--verbose" | "-v" | "--oknodo" | "-o"
                | "--no-close" | "-C" | "--remove-pidfile" | "--notify-await" => {}
                _ => return Err(format!("{option} of start-stop-daemon is done by the script")),
            }
        }
    }
    Ok(program)
}

/// The command with what is known; with a shell for what a file says.
fn command(
    program: &str,
    arguments: &[Word],
    said: Said,
    tree: &dyn Tree,
    daemon: &mut Daemon,
) -> Result<(), String> {
    let Said { known, unclear, files } = said;
    let split: Option<Vec<_>> = arguments.iter().map(|word| word.split(&known)).collect();
    // A file may change every variable that the script has set.
    if let (Some(words), true) = (&split, files.is_empty()) {
        daemon.command = std::iter::once(program.to_owned())
            .chain(words.concat())
            .map(|w| literal(&w))
            .collect();
        return Ok(());
    }
    let texts: Vec<Option<String>> = files.iter().map(|(_, file)| tree.read(file)).collect();
    if !texts.iter().flatten().all(|text| is_plain(text)) {
        return Err("its arguments are not known before it runs".into());
    }
    // What the files do not speak of stays what the script says.
    let named = |name: &str| {
        let mut texts = texts.iter().flatten();
        texts.any(|text| text.contains(&format!("{name}=")))
    };
    let fixed: Known = known
        .iter()
        .filter(|(name, _)| !named(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let split: Option<Vec<_>> = arguments.iter().map(|word| word.split(&fixed)).collect();
    if let Some(words) = split {
        let words = std::iter::once(program.to_owned()).chain(words.concat());
        daemon.command = words.map(|word| literal(&word)).collect();
        return Ok(());
    }
    let open = |name: &str| {
        let ends = ["OPTS", "ARGS", "OPTIONS", "FLAGS"];
        let of_a_file = named(name) || ends.iter().any(|end| name.ends_with(end));
        known.contains_key(name) || of_a_file && !unclear.contains(name)
    };
    let mut names = arguments.iter().flat_map(|word| &word.parts).filter_map(|part| match part {
        Part::Variable(name, _) => Some(name),
        Part::Text(_) => None,
    });
    if let Some(name) = names.find(|name| files.is_empty() || !open(name)) {
        return Err(format!("what ${name} is shows only when it runs"));
    }
    let form = |word: &Word| shell_form(word, &fixed, &known);
    let words: Vec<String> =
        std::iter::once(shell_word(program)).chain(arguments.iter().map(form)).collect();
    let script = format!("set -f; exec {}", words.join(" "));
    daemon.command = vec!["/bin/sh".into(), "-c".into(), literal(&script)];
    daemon.why = Some("a shell puts the variables in when the unit starts".into());
    daemon.files = files;
    // One file is one key; of more, the last is what scripts mean to be the admin's.
    daemon.files.reverse();
    daemon.files.truncate(1);
    Ok(())
}

/// A word as a shell gets it: what is fixed is in it, the rest has the script's own value for
/// where nothing else is said.
fn shell_form(word: &Word, fixed: &Known, known: &Known) -> String {
    let said = word.parts.iter().filter(|part| **part != Part::Text(String::new()));
    let parts = said.map(|part| match part {
        Part::Text(text) => shell_word(text),
        Part::Variable(name, quoted) => match (fixed.get(name), known.get(name), quoted) {
            (Some(value), _, _) => shell_word(value),
            (None, Some(value), true) => format!("\"${{{name}-{value}}}\""),
            (None, Some(value), false) => format!("${{{name}-{value}}}"),
            (None, None, true) => format!("\"${{{name}}}\""),
            (None, None, false) => format!("${{{name}}}"),
        },
    });
    parts.collect()
}

/// Whether a file has nothing but KEY=value lines, as the loader reads them.
fn is_plain(text: &str) -> bool {
    shell::lines(text).iter().all(|line| {
        line.words.as_ref().is_some_and(|words| {
            shell::assignment(words, &Known::new()).is_some_and(|(_, value)| value.is_some())
        })
    })
}
