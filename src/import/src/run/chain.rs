//! Programs that change something and execute the next: each becomes a key.

use crate::draft::{Draft, literal};
use crate::report::Origin;
use crate::run::Words;
use crate::tree::{Tree, file_name};
use crate::value::Value;

/// What is being read.
pub(crate) struct Chain<'a> {
    tree: &'a dyn Tree,
    /// The service directory, where a run script starts.
    path: &'a str,
    file: &'a str,
}

/// What one link of the chain came to.
enum Link {
    /// So many words are done.
    Done(usize),
    /// It is the program itself.
    Program,
    /// Only its own program can do this.
    Unknown,
}

impl<'a> Chain<'a> {
    pub(crate) fn new(tree: &'a dyn Tree, path: &'a str, file: &'a str) -> Self {
        Self { tree, path, file }
    }

    /// All commands of a script; false if only a shell can run it.
    pub(crate) fn commands(&mut self, commands: Vec<Words>, draft: &mut Draft) -> bool {
        draft.put("service", "working-directory", Value::Text(literal(self.path)), None);
        let last = commands.len().saturating_sub(1);
        for (nth, (words, from)) in commands.into_iter().enumerate() {
            let from = Origin { file: self.file.to_owned(), ..from };
            let done = match (nth == last, words.split_first()) {
                (_, None) => true,
                (false, Some((first, rest))) => self.setting(first, rest, &from, draft),
                (true, Some((first, rest))) if first == "exec" => self.exec(rest, &from, draft),
                (true, Some((first, rest))) => {
                    self.setting(first, rest, &from, draft)
                        || self.exec(&words_of(first, rest), &from, draft)
                }
            };
            if !done {
                return false;
            }
        }
        draft.get("service", "exec-start").is_some()
    }

    /// A line that only sets something for what follows.
    fn setting(&self, first: &str, rest: &[String], from: &Origin, draft: &mut Draft) -> bool {
        let words: Vec<&str> = rest.iter().map(String::as_str).collect();
        match (first, words.as_slice()) {
            ("exec", ["2>&1"]) => draft.same(from, "both streams are in one log"),
            ("cd", [to]) => return self.set_path("working-directory", to, from, draft),
            ("umask", [mask]) => return draft.map(from, "service", "umask", Value::text(mask)),
            ("ulimit", [option, value]) => {
                let key = match *option {
                    "-n" => "limit-nofile",
                    "-u" => "limit-nproc",
                    "-c" => "limit-core",
                    _ => return false,
                };
                let value = if *value == "unlimited" { "infinity" } else { value };
                return draft.map(from, "service", key, Value::number_or_text(value));
            }
            ("export", [pair]) => match pair.split_once('=') {
                Some((name, value)) => variable(name, value, from, draft),
                None => return false,
            },
            ("echo" | "printf", _) => {
                draft.same(from, "the log notes each start by itself");
            }
            ("set" | ":" | "sleep", _) => draft.drop(from, "of no use without a shell"),
            _ => return false,
        }
        true
    }

    /// A chain of programs, up to the one that stays.
    fn exec(&self, words: &[String], from: &Origin, draft: &mut Draft) -> bool {
        let mut rest: Vec<String> = words.to_vec();
        if rest.last().is_some_and(|word| word == "2>&1") {
            rest.pop();
        }
        loop {
            match self.link(&rest, from, draft) {
                Link::Done(count) if count > 0 => {
                    let done: Vec<String> = rest.drain(..count.min(rest.len())).collect();
                    if rest.is_empty() {
                        return false;
                    }
                    let _ = done;
                }
                Link::Done(_) | Link::Program => break,
                Link::Unknown => return false,
            }
        }
        let Some((program, arguments)) = rest.split_first() else { return false };
        let program = match program.strip_prefix("./") {
            Some(name) => format!("{}/{name}", self.path),
            None => program.clone(),
        };
        let (program, why) = crate::found(&program, self.tree);
        let arguments = arguments.iter().map(|word| literal(word));
        let all = Value::Command(std::iter::once(literal(&program)).chain(arguments).collect());
        match why {
            None => draft.map(from, "service", "exec-start", all),
            Some(why) => draft.near(from, "service", "exec-start", all, why),
        }
    }

    fn link(&self, words: &[String], from: &Origin, draft: &mut Draft) -> Link {
        let Some((program, rest)) = words.split_first() else { return Link::Unknown };
        let words: Vec<&str> = rest.iter().map(String::as_str).collect();
        let set = |draft: &mut Draft, key: &str, value: Value| {
            draft.map(&part(from, program, rest), "service", key, value)
        };
        match (file_name(program), words.as_slice()) {
            ("exec" | "pgrphack" | "s6-setsid" | "setsid", _) => Link::Done(1),
            ("setuidgid" | "s6-setuidgid", [user, ..]) => {
                set(draft, "user", Value::text(user));
                Link::Done(2)
            }
            ("envdir" | "s6-envdir", [directory, ..]) if !directory.starts_with('-') => {
                self.set_path("environment-dir", directory, &part(from, program, rest), draft);
                Link::Done(2)
            }
            ("cd", [to, ..]) => {
                self.set_path("working-directory", to, &part(from, program, rest), draft);
                Link::Done(2)
            }
            ("umask", [mask, ..]) => {
                set(draft, "umask", Value::text(mask));
                Link::Done(2)
            }
            ("nice", ["-n", number, ..]) => {
                set(draft, "nice", Value::number_or_text(number));
                Link::Done(3)
            }
            ("export", [name, value, ..]) => {
                variable(name, value, &part(from, program, rest), draft);
                Link::Done(3)
            }
            ("fdmove", ["-c", "2", "1", ..]) => {
                draft.same(&part(from, program, rest), "both streams are in one log");
                Link::Done(4)
            }
            ("env", pairs) => environment(pairs, &part(from, program, rest), draft),
            ("setlock" | "s6-setlock", [options, ..]) => {
                let count = if options.starts_with('-') { 3 } else { 2 };
                draft.same(&part(from, program, rest), "a unit has one main process at the most");
                Link::Done(count)
            }
            ("fghack", _) => {
                set(draft, "type", Value::text("forking"));
                Link::Done(1)
            }
            ("softlimit" | "s6-softlimit", options) => limits(options, from, draft),
            ("chpst", options) => self.chpst(options, from, draft),
            ("execlineb" | "foreground" | "background" | "if" | "pipeline" | "redirfd", _) => {
                Link::Unknown
            }
            _ => Link::Program,
        }
    }

    fn set_path(&self, key: &str, path: &str, from: &Origin, draft: &mut Draft) -> bool {
        let path = path.strip_prefix("./").unwrap_or(path);
        let path = match path {
            "." => self.path.to_owned(),
            path if path.starts_with('/') => path.to_owned(),
            path => format!("{}/{path}", self.path),
        };
        draft.map(from, "service", key, Value::Text(literal(&path)))
    }

    fn chpst(&self, words: &[&str], from: &Origin, draft: &mut Draft) -> Link {
        let mut at = 0;
        while let Some(option) = words.get(at).filter(|word| word.starts_with('-')) {
            let letter = option.get(1..2).unwrap_or("");
            if matches!(letter, "v" | "V" | "P" | "0" | "1" | "2") {
                let told = Origin { text: format!("chpst {option}"), ..from.clone() };
                draft.same(&told, "so it is with every unit");
                at += 1;
                continue;
            }
            let attached = option.get(2..).filter(|value| !value.is_empty());
            let Some(value) = attached.or(words.get(at + 1).copied()) else { return Link::Unknown };
            let told = Origin { text: format!("chpst -{letter} {value}"), ..from.clone() };
            match letter {
                "u" | "U" => identity(value, &told, draft),
                "e" => {
                    self.set_path("environment-dir", value, &told, draft);
                }
                "/" => {
                    self.set_path("root-directory", value, &told, draft);
                }
                "n" => {
                    draft.map(&told, "service", "nice", Value::number_or_text(value));
                }
                "l" | "L" => draft.same(&told, "a unit has one main process at the most"),
                "b" => draft.drop(&told, "a program is called by its path"),
                // Of softlimit only.
                "s" | "a" => return Link::Unknown,
                _ if limit(letter, value, &told, draft) => {}
                _ => return Link::Unknown,
            }
            at += if attached.is_some() { 1 } else { 2 };
        }
        Link::Done(at + 1)
    }
}

/// `USER:GROUP:GROUP…`, with a colon in front where they are numbers.
fn identity(value: &str, from: &Origin, draft: &mut Draft) {
    let mut names = value.trim_start_matches(':').split(':');
    let user = names.next().unwrap_or_default();
    draft.map(from, "service", "user", Value::text(user));
    let groups: Vec<String> = names.map(str::to_owned).collect();
    let Some((first, more)) = groups.split_first() else { return };
    draft.map(from, "service", "group", Value::text(first));
    if !more.is_empty() {
        draft.map(from, "service", "supplementary-groups", Value::List(more.to_vec()));
    }
}

fn words_of(first: &str, rest: &[String]) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(rest.iter().cloned()).collect()
}

/// The beginning of what a link says, for the report.
fn part(from: &Origin, program: &str, rest: &[String]) -> Origin {
    let first = rest.first().map_or("", String::as_str);
    Origin { text: format!("{} {first}", file_name(program)), ..from.clone() }
}

fn variable(name: &str, value: &str, from: &Origin, draft: &mut Draft) {
    let mut table = match draft.get("service", "environment") {
        Some(Value::Table(table)) => table.clone(),
        _ => Vec::new(),
    };
    table.retain(|(known, _)| known != name);
    table.push((name.to_owned(), literal(value)));
    draft.map(from, "service", "environment", Value::Table(table));
}

/// `env NAME=VALUE… PROGRAM`.
fn environment(words: &[&str], from: &Origin, draft: &mut Draft) -> Link {
    let mut count = 0;
    for word in words {
        match (word.split_once('='), *word) {
            (Some((name, value)), _) => variable(name, value, from, draft),
            (None, "-" | "-i") => draft.same(from, "a unit begins with an empty environment"),
            (None, word) if word.starts_with('-') => return Link::Unknown,
            (None, _) => break,
        }
        count += 1;
    }
    Link::Done(count + 1)
}

/// Letters of softlimit, and the keys they are. chpst has most of them.
const LIMITS: &[(&str, &[&str])] = &[
    ("m", &["limit-data", "limit-stack", "limit-memlock", "limit-as"]),
    ("d", &["limit-data"]),
    ("s", &["limit-stack"]),
    ("l", &["limit-memlock"]),
    ("a", &["limit-as"]),
    ("o", &["limit-nofile"]),
    ("p", &["limit-nproc"]),
    ("f", &["limit-fsize"]),
    ("c", &["limit-core"]),
    ("r", &["limit-rss"]),
    ("t", &["limit-cpu"]),
];

fn limit(letter: &str, value: &str, from: &Origin, draft: &mut Draft) -> bool {
    let Some((_, keys)) = LIMITS.iter().find(|(known, _)| *known == letter) else { return false };
    let value = if value == "=" { "infinity" } else { value };
    for key in *keys {
        draft.near(from, "service", key, Value::number_or_text(value), "the hard limit too");
    }
    true
}

fn limits(words: &[&str], from: &Origin, draft: &mut Draft) -> Link {
    let mut at = 0;
    while let Some(option) = words.get(at).filter(|word| word.starts_with('-')) {
        let letter = option.get(1..2).unwrap_or("");
        let attached = option.get(2..).filter(|value| !value.is_empty());
        let Some(value) = attached.or(words.get(at + 1).copied()) else { return Link::Unknown };
        let told = Origin { text: format!("softlimit -{letter} {value}"), ..from.clone() };
        if !limit(letter, value, &told, draft) {
            return Link::Unknown;
        }
        at += if attached.is_some() { 1 } else { 2 };
    }
    Link::Done(at + 1)
}
