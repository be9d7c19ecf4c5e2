//! Service directories of daemontools, runit and s6: a run script that is a chain of programs
//! becomes keys; any other stays a script.

mod chain;
mod log;

use crate::Imported;
use crate::draft::{Draft, literal};
use crate::report::Origin;
use crate::shell::{self, Known, Line};
use crate::tree::{Tree, file_name};
use crate::value::Value;

/// Where service directories are, in a root.
const PLACES: [&str; 5] = ["service", "etc/service", "var/service", "etc/sv", "var/lib/svscan"];

/// Whether it is a service directory.
pub(crate) fn is_one(tree: &dyn Tree, path: &str) -> bool {
    tree.read(&format!("{path}/run")).is_some()
}

/// The service directories in a directory that is scanned, or in those of a root.
pub(crate) fn in_directory(tree: &dyn Tree, path: &str) -> Vec<String> {
    let inside = |path: &str| -> Vec<String> {
        let names = tree.list(path).into_iter().filter(|name| !name.starts_with('.'));
        names.map(|name| format!("{path}/{name}")).filter(|path| is_one(tree, path)).collect()
    };
    let own = inside(path.trim_end_matches('/'));
    if !own.is_empty() {
        return own;
    }
    let base = path.trim_end_matches('/');
    let mut found: Vec<String> = Vec::new();
    for place in PLACES {
        for path in inside(&format!("{base}/{place}")) {
            if !found.iter().any(|known| file_name(known) == file_name(&path)) {
                found.push(path);
            }
        }
    }
    found
}

/// Reads one service directory.
pub(crate) fn import(tree: &dyn Tree, path: &str) -> Result<Imported, String> {
    let path = path.trim_end_matches('/');
    let file = format!("{path}/run");
    let text = tree.read(&file).ok_or("it has no `run`")?;
    let mut draft = Draft::new(&crate::clean_name(file_name(path)), path);
    let understood = match text.starts_with("#!") && first_line(&text).contains("execline") {
        true => execline(&text).map(|words| vec![words]),
        false => script(&file, &text),
    };
    let mut trial = draft.clone();
    let done = understood.is_some_and(|commands| {
        let mut chain = chain::Chain::new(tree, path, &file);
        chain.commands(commands, &mut trial)
    });
    if done {
        draft = trial;
    } else {
        whole(path, &file, &mut draft);
    }
    let rest = Rest { tree, path, file: &file };
    rest.files(&mut draft);
    let mut imported = Imported::new(path);
    imported.units.push(draft);
    Ok(imported)
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The script itself is what runs.
fn whole(path: &str, file: &str, draft: &mut Draft) {
    let from = Origin::new(file, 0, "run");
    let command = Value::Command(vec![literal(file)]);
    draft.near(
        &from,
        "service",
        "exec-start",
        command,
        "it stays a script: it is more than a chain of programs",
    );
    draft.put("service", "working-directory", Value::Text(literal(path)), None);
}

/// One command: its words, and where it stands.
type Words = (Vec<String>, Origin);

/// The commands of a shell script without control structures, variables filled in.
fn script(file: &str, text: &str) -> Option<Vec<Words>> {
    if !first_line(text).contains("sh") {
        return None;
    }
    let mut known = Known::new();
    let mut commands = Vec::new();
    for Line { number, text, words } in shell::lines(text) {
        let from = Origin::new(file, number, text);
        let words = words?;
        if let Some((name, value)) = shell::assignment(&words, &known) {
            known.insert(name, value?);
            continue;
        }
        let words: Option<Vec<_>> = words.iter().map(|word| word.split(&known)).collect();
        commands.push((words?.concat(), from));
    }
    Some(commands)
}

/// The words of an execline script without blocks.
fn execline(text: &str) -> Option<Words> {
    let lines = shell::lines(text);
    let from = Origin::new("run", lines.first().map_or(0, |line| line.number), "execline");
    let mut all = Vec::new();
    for line in lines {
        all.extend(line.words?.iter().map(shell::Word::plain).collect::<Option<Vec<_>>>()?);
    }
    // Each program of a chain executes the next: all of it is one command.
    Some((all, from))
}

/// Everything in the directory but `run`.
struct Rest<'a> {
    tree: &'a dyn Tree,
    path: &'a str,
    file: &'a str,
}

impl Rest<'_> {
    fn files(&self, draft: &mut Draft) {
        for name in self.tree.list(self.path) {
            let from = Origin::new(&format!("{}/{name}", self.path), 0, name.as_str());
            let text = || self.tree.read(&format!("{}/{name}", self.path)).unwrap_or_default();
            match name.as_str() {
                "run" | "supervise" | "event" | "env" | "data" => {}
                "down" => {
                    draft.at_boot = false;
                    draft.same(&from, "it does not start at boot");
                }
                "finish" => {
                    let command = Value::Commands(vec![vec![literal(&from.file.clone())]]);
                    let why = "it gets no arguments: neither exit code nor signal";
                    draft.near(&from, "service", "exec-stop-post", command, why);
                }
                "log" => self.log(draft),
                "notification-fd" => {
                    let notify = Value::Text(format!("fd:{}", text().trim()));
                    draft.map(&from, "ready", "notify", notify);
                }
                "timeout-kill" => {
                    let ms = Value::Text(format!("{}ms", text().trim()));
                    draft.map(&from, "service", "timeout-stop-sec", ms);
                }
                "down-signal" => {
                    draft.map(&from, "service", "kill-signal", Value::text(text().trim()));
                }
                "check" => draft.drop(&from, "[ready] says when a unit is up"),
                "control" => draft.drop(&from, "signals are not replaced by scripts"),
                _ if self.tree.is_directory(&from.file) => {}
                _ => {
                    draft.drop(&from, format!("not a part of a service directory ({})", self.file));
                }
            }
        }
    }

    fn log(&self, draft: &mut Draft) {
        let file = format!("{}/log/run", self.path);
        let Some(text) = self.tree.read(&file) else { return };
        let commands = match first_line(&text).contains("execline") {
            true => execline(&text).map(|words| vec![words]),
            false => script(&file, &text),
        };
        let from = Origin::new(&file, 0, "log/run");
        let done = commands.is_some_and(|all| log::log(self.tree, self.path, all, draft));
        if !done {
            draft.nearly(&from, "the log is Ettan's: this logger's settings are not understood");
        }
    }
}
