//! `[program:x]`: one unit, with an instance for each of its processes.

use crate::draft::{Draft, literal};
use crate::report::{Fate, Note, Origin};
use crate::supervisor::ini::{LATER, Section, Setting, expand};
use crate::tree::{Tree, directory};
use crate::value::Value;

/// The most processes of one program.
const MAX_PROCESSES: usize = 100;

/// What supervisord itself is told and programs get from it.
pub(crate) struct Common {
    settings: Vec<Setting>,
}

impl Common {
    /// From `[supervisord]`; what has no use is told.
    pub(crate) fn new(all: &[Section], notes: &mut Vec<Note>) -> Self {
        let own = all.iter().filter(|section| section.name == "supervisord");
        let mut settings = Vec::new();
        for setting in own.flat_map(|section| &section.settings) {
            let (fate, why) = match setting.key.as_str() {
                "environment" | "user" | "umask" => {
                    settings.push(setting.clone());
                    (Fate::Mapped, "each program has it")
                }
                "minfds" | "minprocs" => {
                    settings.push(setting.clone());
                    (Fate::Approximated, "a limit of each program instead of supervisord's")
                }
                "logfile" | "logfile_maxbytes" | "logfile_backups" | "loglevel" | "silent" => {
                    (Fate::Dropped, "PID 1's own log is shown by `ettan logs`")
                }
                "nodaemon" | "pidfile" | "identifier" | "directory" | "childlogdir"
                | "nocleanup" | "strip_ansi" => (Fate::Dropped, "a part of supervisord itself"),
                _ => (Fate::Dropped, "Ettan does not know this setting"),
            };
            let (origin, why) = (setting.from.clone(), why.to_owned());
            notes.push(Note { origin, fate, key: None, why });
        }
        Self { settings }
    }
}

/// Whether a unit is a process of that program.
pub(crate) fn is_of(unit: &Draft, program: &str) -> bool {
    unit.program.as_deref() == Some(program)
}

/// One process of a program, or all of them.
struct Process<'a> {
    section: &'a Section,
    program: &'a str,
    /// None: of all.
    number: Option<usize>,
    count: usize,
}

impl Process<'_> {
    fn text(&self, text: &str, lost: &mut Vec<String>) -> String {
        let value = |name: &str| match name {
            "program_name" | "group_name" => Some(self.program.to_owned()),
            "process_num" => {
                Some(self.number.map_or_else(|| LATER.to_owned(), |number| number.to_string()))
            }
            "numprocs" => Some(self.count.to_string()),
            "here" => Some(directory(&self.section.file).to_owned()),
            "host_node_name" => Some("\u{1}".to_owned()),
            _ => None,
        };
        // The host's name is one of Ettan's specifiers; a percent sign is not.
        numbered(&literal(&expand(text, &value, lost)).replace('\u{1}', "%H"))
    }

    /// What is called alike in Supervisor and here.
    fn pattern(&self) -> &str {
        let mut settings = self.section.settings.iter();
        let named = settings.find(|setting| setting.key == "process_name");
        let usual = if self.count > 1 { USUAL_NAME } else { "%(program_name)s" };
        named.map_or(usual, |setting| setting.value.as_str())
    }
}

/// What processes of a program are called that has more than one.
const USUAL_NAME: &str = "%(program_name)s_%(process_num)02d";

/// A text with `%i` where each process has its number.
fn numbered(text: &str) -> String {
    let mut out = String::new();
    for (at, part) in text.split(LATER).enumerate() {
        match (at % 2, part) {
            (0, text) => out.push_str(text),
            (_, "" | "1") => out.push_str("%i"),
            (_, width) => out.push_str(&format!("%0{width}i")),
        }
    }
    out
}

/// The units of one program: one with instances, or, where those would be numbered or called
/// otherwise than in Supervisor, one for each process.
pub(crate) fn units(
    program: &str,
    section: &Section,
    common: &Common,
    tree: &dyn Tree,
) -> Vec<Draft> {
    let number = |key: &str, usual: usize| {
        let found = section.settings.iter().find(|setting| setting.key == key);
        found.and_then(|setting| setting.value.parse().ok()).unwrap_or(usual)
    };
    let count = number("numprocs", 1).clamp(1, MAX_PROCESSES);
    let start = number("numprocs_start", 0);
    let all = Process { section, program, number: None, count };
    if count > 1
        && start == 0
        && let Some(name) = instance_name(&all)
    {
        let mut draft = Draft::new(&crate::clean_name(program), &section.file);
        draft.put("service", "instances", Value::Number(i64::try_from(count).unwrap_or(1)), None);
        if name != format!("{}_%02i", draft.name) {
            draft.put("service", "instance-name", Value::Text(name), None);
        }
        return vec![unit(draft, &all, common, tree)];
    }
    let single = |nth: usize| {
        let process = Process { section, program, number: Some(start + nth), count };
        let name = process.text(process.pattern(), &mut Vec::new()).replace("%%", "%");
        unit(Draft::new(&crate::clean_name(&name), &section.file), &process, common, tree)
    };
    (0..count).map(single).collect()
}

/// What the instances are called, if that can be said of all of them.
fn instance_name(all: &Process<'_>) -> Option<String> {
    let name = all.text(all.pattern(), &mut Vec::new());
    let literal = |part: &str| crate::clean_name(part) == part && !part.contains('@');
    let is_clean = name.replace("%i", "").split('%').enumerate().all(|(at, part)| match at {
        0 => literal(part),
        // `02i`
        _ => part.strip_prefix('0').and_then(|rest| rest.split_once('i')).is_some_and(
            |(width, rest)| width.bytes().all(|b| b.is_ascii_digit()) && literal(rest),
        ),
    });
    (is_clean && name.contains('%')).then_some(name)
}

fn unit(mut draft: Draft, process: &Process<'_>, common: &Common, tree: &dyn Tree) -> Draft {
    let section = process.section;
    draft.program = Some(process.program.to_owned());
    let has = |key: &str| section.settings.iter().any(|setting| setting.key == key);
    for setting in common.settings.iter().filter(|s| s.key == "environment" || !has(&s.key)) {
        let before = draft.notes.len();
        one(process, setting, tree, &mut draft);
        draft.notes.truncate(before);
    }
    for setting in &section.settings {
        one(process, setting, tree, &mut draft);
    }
    if !has("autorestart") {
        let from = Origin::new(&section.file, 0, "autorestart=unexpected by itself");
        draft.map(&from, "service", "restart", Value::text("on-failure"));
    }
    draft
}

fn one(process: &Process<'_>, setting: &Setting, tree: &dyn Tree, draft: &mut Draft) {
    let mut lost = Vec::new();
    let value = process.text(&setting.value, &mut lost);
    let from = &setting.from;
    if !lost.is_empty() {
        draft.drop(from, lost.join("; "));
        return;
    }
    match setting.key.as_str() {
        "command" => command(&value, from, tree, draft),
        "process_name" if process.number.is_some() => draft.same(from, "the unit's name"),
        "process_name" => draft.same(from, "what the instances are called"),
        "numprocs" if process.number.is_none() => {
            set(draft, from, "instances", Value::number_or_text(&value));
        }
        "numprocs_start" if process.number.is_none() => draft.same(from, "numbers begin at 0"),
        "numprocs" | "numprocs_start" => draft.same(from, "one unit for each process"),
        "directory" => set(draft, from, "working-directory", Value::Text(value)),
        "umask" => set(draft, from, "umask", Value::Text(value)),
        "user" => set(draft, from, "user", Value::Text(value)),
        "minfds" => set(draft, from, "limit-nofile", Value::number_or_text(&value)),
        "minprocs" => set(draft, from, "limit-nproc", Value::number_or_text(&value)),
        "environment" => environment(&value, from, draft),
        "autostart" => {
            draft.at_boot = !is_false(&value);
            draft.same(from, "whether it starts at boot");
        }
        "autorestart" if value == "unexpected" => {
            set(draft, from, "restart", Value::text("on-failure"));
        }
        "autorestart" => {
            let word = if is_false(&value) { "no" } else { "always" };
            set(draft, from, "restart", Value::text(word));
        }
        "startsecs" if value == "0" => {
            let why = "a run that ends at once is a failed start";
            draft.near(from, "service", "min-uptime-sec", Value::text("1ms"), why);
        }
        "startsecs" => set(draft, from, "min-uptime-sec", Value::number_or_text(&value)),
        "startretries" => retries(&value, from, draft),
        "exitcodes" if value == "0" => draft.same(from, "only 0 is a success"),
        "exitcodes" => {
            let codes: Vec<String> = value
                .split(',')
                .map(|code| code.trim().to_owned())
                .filter(|code| code != "0")
                .collect();
            set(draft, from, "success-exit-status", Value::List(codes));
        }
        "stopsignal" => set(draft, from, "kill-signal", Value::Text(value)),
        "stopwaitsecs" => set(draft, from, "timeout-stop-sec", Value::number_or_text(&value)),
        "stopasgroup" | "killasgroup" if is_false(&value) => {
            draft.nearly(from, "a stop is for every process of the unit");
        }
        "stopasgroup" | "killasgroup" => {
            draft.same(from, "a stop is for every process of the unit");
        }
        "redirect_stderr" if !is_false(&value) => draft.same(from, "both streams are in one log"),
        "redirect_stderr" => draft.nearly(from, "both streams are in one log"),
        "priority" => draft.same(from, "order among the programs of this file"),
        key if key.starts_with("stdout_") => log(key, &value, from, draft),
        key if key.starts_with("stderr_") => draft.nearly(from, "both streams are in one log"),
        "serverurl" => draft.drop(from, "programs ask PID 1 by `ettan`"),
        _ => draft.drop(from, "Ettan does not know this setting"),
    }
}

fn set(draft: &mut Draft, from: &Origin, key: &str, value: Value) {
    draft.map(from, "service", key, value);
}

/// The tries in a row become starts within the time that they take at most.
fn retries(value: &str, from: &Origin, draft: &mut Draft) {
    let Ok(retries) = value.trim().parse::<u16>() else {
        return draft.drop(from, "there is no such number");
    };
    let starts = u64::from(retries).saturating_add(1);
    // The pauses double from 250 ms up to 30 s; a run that ends is given 5 s.
    let pauses = (0..u32::from(retries)).map(|nth| 30_000.min(250_u64 << nth.min(10)));
    let seconds = pauses.sum::<u64>().saturating_mul(11).div_euclid(10_000) + 5 * starts;
    let why =
        format!("given up after {starts} starts within {seconds} s, with longer runs among them");
    draft.near(
        from,
        "service",
        "start-limit-burst",
        Value::number_or_text(&starts.to_string()),
        why,
    );
    let span = Value::number_or_text(&seconds.to_string());
    draft.put("service", "start-limit-interval-sec", span, None);
}

fn is_false(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "false" | "no" | "off" | "0")
}

/// Supervisor splits as a shell does, and looks into PATH.
fn command(value: &str, from: &Origin, tree: &dyn Tree, draft: &mut Draft) {
    let words = split(value);
    let Some((program, rest)) = words.split_first() else {
        return draft.drop(from, "the command is empty");
    };
    let (program, why) = crate::found(program, tree);
    let all: Vec<String> = std::iter::once(program).chain(rest.iter().cloned()).collect();
    match why {
        None => set(draft, from, "exec-start", Value::Command(all)),
        Some(why) => {
            draft.near(from, "service", "exec-start", Value::Command(all), why);
        }
    }
}

/// Words as shlex has them: everything but quotes is text.
fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut current: Option<String> = None;
    let (mut quote, mut rest) = (None, text.chars());
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => current.get_or_insert_default().extend(rest.next()),
            ('\'' | '"', None) => {
                quote = Some(c);
                current.get_or_insert_default();
            }
            (_, Some(open)) if c == open => quote = None,
            (' ' | '\t' | '\n', None) => words.extend(current.take()),
            _ => current.get_or_insert_default().push(c),
        }
    }
    words.extend(current);
    words
}

/// `A="1",B=2`, over one line or more.
fn environment(value: &str, from: &Origin, draft: &mut Draft) {
    let mut table = match draft.get("service", "environment") {
        Some(Value::Table(table)) => table.clone(),
        _ => Vec::new(),
    };
    let mut quote = None;
    let parts = value.split(|c: char| match (c, quote) {
        ('\'' | '"', None) => {
            quote = Some(c);
            false
        }
        (_, Some(open)) => {
            if c == open {
                quote = None;
            }
            false
        }
        (',', None) => true,
        _ => false,
    });
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        if let Some((name, value)) = part.split_once('=') {
            let value = split(value).join(" ");
            table.retain(|(known, _)| known != name.trim());
            table.push((name.trim().to_owned(), value));
        }
    }
    set(draft, from, "environment", Value::Table(table));
}

/// Where output goes, and how much of it stays.
fn log(key: &str, value: &str, from: &Origin, draft: &mut Draft) {
    match key {
        "stdout_logfile" if matches!(value, "NONE" | "none" | "/dev/null") => {
            draft.map(from, "service", "standard-output", Value::text("null"));
        }
        "stdout_logfile" if value == "AUTO" || value.starts_with("/dev/") => {
            draft.same(from, "output goes to the unit's log");
        }
        "stdout_logfile" => {
            let which = match draft.get("service", "instances") {
                Some(_) => "logs are below /var/log/ettan".to_owned(),
                None => format!("log is in /var/log/ettan/{}", draft.name),
            };
            let why = format!("the {which}, and in memory: `ettan logs {}`", draft.name);
            draft.near(from, "log", "storage", Value::text("disk"), why);
        }
        "stdout_logfile_maxbytes" if value == "0" => {
            draft.drop(from, "a log without an end fills the disk: it stays at its usual size");
        }
        "stdout_logfile_maxbytes" => {
            draft.map(from, "log", "max-size", Value::number_or_text(value));
        }
        "stdout_logfile_backups" => {
            let files = value.parse::<i64>().map_or(4, |backups| backups.saturating_add(1));
            draft.map(from, "log", "max-files", Value::Number(files));
        }
        "stdout_syslog" => draft.nearly(from, "output goes to the unit's log"),
        _ => draft.drop(from, "there are no such events: `ettan events`"),
    }
}

/// Programs with a number that says who comes first.
pub(crate) fn order(units: &mut [Draft], all: &[Section]) {
    let priority = |program: &str| {
        let section = all.iter().find(|section| section.name == format!("program:{program}"))?;
        let setting = section.settings.iter().find(|setting| setting.key == "priority")?;
        setting.value.parse::<i64>().ok()
    };
    let ranks: Vec<(String, Option<i64>)> = units
        .iter()
        .map(|unit| (unit.name.clone(), unit.program.as_deref().and_then(priority)))
        .collect();
    for (unit, (_, own)) in units.iter_mut().zip(&ranks) {
        let Some(own) = own else { continue };
        let earlier = ranks.iter().filter(|(_, rank)| rank.is_some_and(|rank| rank < *own));
        let before: Vec<_> = earlier.map(|(name, _)| name.clone()).collect();
        for name in before {
            unit.add("unit", "after", &name);
        }
    }
}
