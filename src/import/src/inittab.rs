//! inittab, of sysvinit and of BusyBox: what is respawned becomes units, what runs once oneshots,
//! in the order of boot.

use crate::Imported;
use crate::draft::{Draft, literal};
use crate::report::{Fate, Note, Origin};
use crate::shell::{self, Word};
use crate::tree::Tree;
use crate::value::Value;

/// Mounts that PID 1 makes itself.
const OWN_MOUNTS: [&str; 6] = ["/proc", "/sys", "/dev", "/run", "/dev/pts", "/dev/shm"];

/// One line.
struct Line<'a> {
    id: &'a str,
    levels: &'a str,
    action: &'a str,
    command: &'a str,
    from: Origin,
}

/// Reads an inittab.
pub(crate) fn import(tree: &dyn Tree, path: &str) -> Result<Imported, String> {
    let text = tree.read(path).ok_or("it cannot be read")?;
    let mut imported = Imported::new(path);
    let lines: Vec<Line> =
        text.lines().enumerate().filter_map(|(at, l)| line(path, at, l)).collect();
    let default = lines.iter().find(|line| line.action == "initdefault");
    let default = default.map_or("2345", |line| line.levels).to_owned();
    // What is waited for comes before what is not.
    let mut before: Vec<String> = Vec::new();
    for phase in [
        &["sysinit", "boot", "bootwait"][..],
        &["wait"],
        &["once", "respawn", "askfirst", "off", "ondemand"],
    ] {
        for line in lines.iter().filter(|line| phase.contains(&line.action)) {
            let waited = phase.first() != Some(&"once");
            unit(line, &default, waited, &mut before, &mut imported, tree);
        }
    }
    for line in &lines {
        if let Some(why) = without(line.action) {
            let origin = line.from.clone();
            imported.notes.push(Note { origin, fate: Fate::Dropped, key: None, why: why.into() });
        }
    }
    Ok(imported)
}

/// `id:levels:action:command`.
fn line<'a>(path: &str, at: usize, text: &'a str) -> Option<Line<'a>> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    let mut fields = text.splitn(4, ':');
    let (id, levels, action) = (fields.next()?, fields.next()?, fields.next()?);
    let command = fields.next().unwrap_or_default();
    Some(Line { id, levels, action, command, from: Origin::new(path, at + 1, text) })
}

fn without(action: &str) -> Option<&'static str> {
    Some(match action {
        "sysinit" | "boot" | "bootwait" | "wait" | "once" | "respawn" | "askfirst" | "off"
        | "ondemand" => return None,
        "initdefault" => "there are no run levels: what is in /etc/units starts at boot",
        "ctrlaltdel" => "PID 1 reboots at Ctrl-Alt-Del",
        "shutdown" => "PID 1 stops all units and closes file systems itself",
        "restart" => "`ettan reexec` executes PID 1 anew",
        "powerfail" | "powerwait" | "powerfailnow" | "powerokwait" => {
            "PID 1 flushes logs at SIGPWR, and shuts down"
        }
        "kbrequest" => "PID 1 does nothing at this key",
        _ => "Ettan does not know this action",
    })
}

fn unit(
    line: &Line<'_>,
    default: &str,
    waited: bool,
    before: &mut Vec<String>,
    imported: &mut Imported,
    tree: &dyn Tree,
) {
    let from = &line.from;
    let bare = line.command.trim_start_matches(['-', '@', '+']);
    if is_own_mount(bare) {
        let why = "PID 1 mounts it itself".to_owned();
        imported.notes.push(Note { origin: from.clone(), fate: Fate::Dropped, key: None, why });
        return;
    }
    let Some(command) = command(bare, tree) else {
        let why = "the command is empty".to_owned();
        imported.notes.push(Note { origin: from.clone(), fate: Fate::Dropped, key: None, why });
        return;
    };
    let mut draft = Draft::new(&name(bare, line.id, &imported.units), &from.file);
    draft.at_boot = line.action != "off"
        && line.action != "ondemand"
        && (line.levels.is_empty() || line.levels.contains(|c| default.contains(c)) || waited);
    for earlier in before.iter().rev().take(1) {
        draft.add("unit", "after", earlier);
    }
    let respawns = matches!(line.action, "respawn" | "askfirst" | "off" | "ondemand");
    if !respawns {
        draft.put("service", "type", Value::text("oneshot"), None);
        draft.put("service", "remain-after-exit", Value::Truth(true), None);
        draft.put("service", "timeout-start-sec", Value::Number(0), None);
    }
    let why = match line.action {
        "askfirst" => "it does not ask first",
        "ondemand" => "it starts when it is needed",
        _ => "",
    };
    match why {
        "" => draft.map(from, "service", "exec-start", Value::Command(command)),
        why => draft.near(from, "service", "exec-start", Value::Command(command), why),
    };
    // BusyBox's id is the terminal.
    if line.id.starts_with("tty") || line.id == "console" {
        let tty = Value::Text(format!("/dev/{}", line.id));
        draft.put("service", "tty-path", tty, None);
    }
    if waited {
        before.push(draft.name.clone());
    }
    imported.units.push(draft);
}

fn is_own_mount(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let program = words.next().map(crate::tree::file_name);
    let last = words.last().unwrap_or_default();
    program == Some("mount") && OWN_MOUNTS.contains(&last)
}

/// The program and its arguments; a shell's, where one is needed.
fn command(text: &str, tree: &dyn Tree) -> Option<Vec<String>> {
    let words = shell::words(text)
        .and_then(|words| words.iter().map(Word::plain).collect::<Option<Vec<_>>>());
    match words {
        Some(words) => {
            let (program, rest) = words.split_first()?;
            let (program, _) = crate::found(program, tree);
            let rest = rest.iter().map(|word| literal(word));
            Some(std::iter::once(literal(&program)).chain(rest).collect())
        }
        None => Some(vec!["/bin/sh".into(), "-c".into(), literal(text)]),
    }
}

/// The program's name, and the line's where there is one; a number where both are taken.
fn name(command: &str, id: &str, taken: &[Draft]) -> String {
    let program = command.split_whitespace().next().unwrap_or("unit");
    let program = crate::tree::file_name(program);
    let base = match id {
        "" => crate::clean_name(program),
        id => crate::clean_name(&format!("{program}-{id}")),
    };
    let mut name = base.clone();
    let mut number = 2;
    while taken.iter().any(|unit| unit.name == name) {
        name = format!("{base}-{number}");
        number += 1;
    }
    name
}
