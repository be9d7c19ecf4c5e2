//! SysV init scripts: one whose daemon can be seen becomes a unit of that daemon, or where the script
//! does more, of the script and the daemon's PID file; any other a oneshot that calls the script.
//! Directories of S??name files give the order.

mod header;
mod more;
mod script;

use crate::Imported;
use crate::draft::{Draft, literal};
use crate::report::Origin;
use crate::tree::{Tree, directory, file_name};
use crate::value::Value;
use script::{Daemon, Start};

/// Whether a text is such a script.
pub(crate) fn is_one(path: &str, text: &str) -> bool {
    let place = directory(path);
    text.starts_with("#!")
        && (text.contains("### BEGIN INIT INFO")
            || text.contains("start-stop-daemon")
            || place.ends_with("/init.d"))
}

/// `S20name` as 20 and `name`.
pub(crate) fn numbered(name: &str) -> Option<(u32, &str)> {
    let (digits, rest) = name.strip_prefix('S')?.split_at_checked(2)?;
    (!rest.is_empty()).then_some((digits.parse().ok()?, rest))
}

/// Reads one script.
pub(crate) fn import(tree: &dyn Tree, path: &str) -> Result<Imported, String> {
    let text = tree.read(path).ok_or("it cannot be read")?;
    let name = file_name(path);
    let name = numbered(name).map_or(name, |(_, rest)| rest);
    let name = name.strip_suffix(".sh").unwrap_or(name);
    let mut draft = Draft::new(&crate::clean_name(name), path);
    header::header(path, &text, &mut draft);
    match script::start(path, &text, tree) {
        Ok(Start::Daemon(daemon)) => daemon_unit(path, daemon, &mut draft),
        Ok(Start::Script { line, pid_file, why }) => {
            script_unit(path, &Origin::new(path, line, "--pidfile"), &pid_file, &why, &mut draft);
        }
        Err(why) => whole(path, &why, &mut draft),
    }
    let mut imported = Imported::new(path);
    imported.units.push(draft);
    Ok(imported)
}

fn daemon_unit(path: &str, daemon: Daemon, draft: &mut Draft) {
    let Daemon { line, command, pid_file, user, group, directory, foreground, files, why, .. } =
        daemon;
    let (umask, nice) = (daemon.umask.map(Value::Text), daemon.nice);
    let from = Origin::new(path, line, "start-stop-daemon");
    if !foreground {
        draft.put("service", "type", Value::text("forking"), None);
    }
    match why {
        None => draft.map(&from, "service", "exec-start", Value::Command(command)),
        Some(why) => draft.near(&from, "service", "exec-start", Value::Command(command), why),
    };
    if let Some(file) = pid_file.filter(|_| !foreground) {
        pid_file_key(&Origin::new(path, line, "--pidfile"), &file, draft);
    }
    for (key, value) in [("user", user), ("group", group), ("working-directory", directory)] {
        if let Some(value) = value {
            let from = Origin::new(path, line, key);
            draft.map(&from, "service", key, Value::Text(value));
        }
    }
    let nice = nice.map(|nice| Value::number_or_text(&nice));
    for (option, key, value) in [("--umask", "umask", umask), ("--nicelevel", "nice", nice)] {
        if let Some(value) = value {
            draft.map(&Origin::new(path, line, option), "service", key, value);
        }
    }
    for (line, file) in files {
        let from = Origin::new(path, line, format!(". {file}"));
        let why = "read as KEY=value lines, which no shell looks at";
        draft.near(&from, "service", "environment-file", Value::Text(format!("-{file}")), why);
    }
    let rest = Origin::new(path, 0, "the rest of the script");
    draft.drop(&rest, "what else the script does at its start and stop is not done");
}

fn pid_file_key(from: &Origin, file: &str, draft: &mut Draft) {
    let file = match file.strip_prefix("/var/run/") {
        Some(rest) => format!("/run/{rest}"),
        None => file.to_owned(),
    };
    draft.map(from, "service", "pid-file", Value::Text(literal(&file)));
}

/// How long a script may take: it may have keys to make.
const SCRIPT_TIME: &str = "5min";

/// The script starts its daemon, each time anew; the daemon is held by its PID file.
fn script_unit(path: &str, pid: &Origin, pid_file: &str, why: &str, draft: &mut Draft) {
    let from = Origin::new(path, 0, "start");
    draft.put("service", "type", Value::text("forking"), None);
    draft.put("service", "timeout-start-sec", Value::text(SCRIPT_TIME), None);
    let command = Value::Command(vec![literal(path), "start".to_owned()]);
    let why = format!("the script starts the daemon: {why}");
    draft.near(&from, "service", "exec-start", command, why);
    pid_file_key(pid, pid_file, draft);
    let rest = Origin::new(path, 0, "stop");
    draft.drop(&rest, "the daemon is stopped by a signal, and the script does nothing at its end");
}

/// The script is called, as an init of old does.
fn whole(path: &str, why: &str, draft: &mut Draft) {
    let from = Origin::new(path, 0, "start");
    draft.put("service", "type", Value::text("oneshot"), None);
    draft.put("service", "remain-after-exit", Value::Truth(true), None);
    draft.put("service", "timeout-start-sec", Value::text(SCRIPT_TIME), None);
    let command = |verb: &str| vec![literal(path), verb.to_owned()];
    let why = format!("the script is called, and what it starts is not restarted: {why}");
    draft.near(&from, "service", "exec-start", Value::Command(command("start")), why);
    let from = Origin::new(path, 0, "stop");
    draft.map(&from, "service", "exec-stop", Value::Commands(vec![command("stop")]));
    draft.put("service", "exec-reload", Value::Commands(vec![command("reload")]), None);
}

/// What vendor units do that scripts of these numbers do where a directory has the scripts
/// themselves, as Buildroot's /etc/init.d has.
const DUTIES: [(u32, &str); 7] = [
    (0, "mounts"),
    (1, "seed"),
    (2, "sysctl"),
    (10, "devices"),
    (10, "hotplug"),
    (11, "modules"),
    (40, "ifup"),
];

/// The duties that a number is after, and its predecessor is not.
fn duties(path: &str, last: Option<u32>, number: u32) -> impl Iterator<Item = &'static str> {
    let own = path.ends_with("/init.d");
    let between = move |at: u32| own && at < number && last.is_none_or(|last| last <= at);
    DUTIES.iter().filter(move |(at, _)| between(*at)).map(|(_, unit)| *unit)
}

/// Reads a directory of numbered links or files: each number is after those before it.
pub(crate) fn in_order(tree: &dyn Tree, path: &str) -> Vec<Imported> {
    let mut all = Vec::new();
    let mut names: Vec<(u32, String)> = tree
        .list(path)
        .into_iter()
        .filter_map(|name| numbered(&name).map(|(number, _)| (number, name.clone())))
        .collect();
    names.sort();
    let (mut earlier, mut same): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut before, mut last) = (None, None);
    for (number, name) in names {
        let file = format!("{path}/{name}");
        let Ok(mut imported) = import(tree, &file) else { continue };
        if last != Some(number) {
            if !same.is_empty() {
                earlier = std::mem::take(&mut same);
            }
            before = last.replace(number);
        }
        for unit in &mut imported.units {
            unit.at_boot = true;
            let from = Origin::new(&file, 0, format!("S{number:02}"));
            let mut first: Vec<&str> = duties(path, before, number).collect();
            first.extend(earlier.iter().map(String::as_str));
            for first in first {
                unit.add("unit", "after", first);
            }
            match earlier.is_empty() {
                true => unit.same(&from, "it is among the first"),
                false => unit.same(&from, "it is after those with the number before"),
            }
            same.push(unit.name.clone());
        }
        all.push(imported);
    }
    let stops = tree.list(path).into_iter().filter(|name| name.starts_with('K'));
    let notes: Vec<_> = stops
        .map(|name| crate::report::Note {
            origin: Origin::new(path, 0, name),
            fate: crate::report::Fate::Mapped,
            key: None,
            why: "units are stopped in the reverse order of their start".into(),
        })
        .collect();
    if !notes.is_empty() {
        let mut imported = Imported::new(path);
        imported.notes = notes;
        all.push(imported);
    }
    all
}
