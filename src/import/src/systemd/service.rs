//! [Service]: what runs, as whom, and when it runs again.

use crate::draft::Draft;
use crate::report::Origin;
use crate::systemd::command::{self, Command, Variables};
use crate::systemd::limit::{self, is_zero, span, start_limit};
use crate::systemd::parse::{NEITHER, boolean, words};
use crate::systemd::unit::{by_rule, every};
use crate::systemd::{Sections, dbus, environment, key_of, specifier};
use crate::tree::Tree;
use crate::value::Value;

/// Everything that [Service] says. What it does not say is told where the default is another.
pub(crate) fn service(sections: &Sections, tree: &dyn Tree, draft: &mut Draft) {
    let kind = kind(sections, draft);
    // Whoever the user is decides what DynamicUser= means, and the terminal about the streams.
    let mut names = sections.names("Service");
    names.sort_by_key(|name| match name.as_str() {
        "User" | "TTYPath" => 0,
        "StandardInput" => 1,
        "StandardOutput" => 2,
        _ => 3,
    });
    for name in names {
        let values = sections.tell_resets("Service", &name, draft);
        directive(sections, &name, &values, tree, draft);
    }
    environment::output_is_terminal(sections, draft);
    limit::complete(draft);
    if sections.quietly("Service", "ExecStart").is_empty() && kind == "oneshot" {
        draft.put("service", "exec-start", Value::text("/bin/true"), None);
    }
    let silent = Origin::new(&draft.source.clone(), 0, "Restart= is not there");
    if kind != "oneshot" && draft.get("service", "restart").is_none() && !says_restart(sections) {
        draft.nearly(&silent, "systemd would leave it down; Ettan starts it again, always");
    }
    if kind == "oneshot" && draft.get("service", "timeout-start-sec").is_none() {
        let from = Origin::new(&draft.source.clone(), 0, "TimeoutStartSec= is not there");
        draft.map(&from, "service", "timeout-start-sec", Value::Number(0));
    }
}

fn says_restart(sections: &Sections) -> bool {
    !sections.quietly("Service", "Restart").is_empty()
}

/// `Type=`, which also follows from what else is there.
fn kind(sections: &Sections, draft: &mut Draft) -> &'static str {
    let has = |name: &str| !sections.quietly("Service", name).is_empty();
    let values = sections.tell_resets("Service", "Type", draft);
    if values.is_empty() {
        let (kind, why) = match (has("ExecStart"), has("BusName")) {
            (false, _) => ("oneshot", ""),
            (true, true) => ("dbus", DBUS),
            (true, false) => return "simple",
        };
        let from = Origin::new(&draft.source.clone(), 0, format!("Type={kind} by itself"));
        match kind {
            "oneshot" => draft.map(&from, "service", "type", Value::text("oneshot")),
            _ => {
                draft.nearly(&from, why);
                true
            }
        };
        return if kind == "dbus" { "simple" } else { kind };
    }
    let mut kind = "simple";
    sections.last(&values, draft, |value, from, draft| {
        kind = set_kind(value, from, draft);
    });
    kind
}

const DBUS: &str = "it is up once it was executed, not when its name is on the bus";

fn set_kind(value: &str, from: &Origin, draft: &mut Draft) -> &'static str {
    let mut set = |word: &'static str, why: &str| {
        match why {
            "" => draft.map(from, "service", "type", Value::text(word)),
            why => draft.near(from, "service", "type", Value::text(word), why),
        };
        word
    };
    match value {
        "forking" => set("forking", ""),
        "oneshot" => set("oneshot", ""),
        "simple" => set("simple", ""),
        "exec" => set("simple", ""),
        "idle" => set("simple", "it does not wait until everything else has started"),
        "dbus" => set("simple", DBUS),
        "notify" => set("notify", ""),
        "notify-reload" => set("notify-reload", ""),
        _ => {
            draft.drop(from, "there is no such type: it is simple");
            "simple"
        }
    }
}

fn directive(
    sections: &Sections,
    name: &str,
    values: &[(String, Origin)],
    tree: &dyn Tree,
    draft: &mut Draft,
) {
    let key = key_of(name);
    let key = key.as_str();
    match name {
        "Type" => {}
        "ExecStart" => exec_start(sections, values, tree, draft),
        "ExecStop" | "ExecReload" if kills(key, sections, values, tree, draft) => {}
        "ExecStartPre" | "ExecStartPost" | "ExecStop" | "ExecStopPost" | "ExecReload" => {
            hooks(key, sections, values, tree, draft);
        }
        "Environment" => environment::environment(values, draft),
        "EnvironmentFile" => environment::files(values, draft),
        "StartLimitInterval" | "StartLimitIntervalSec" | "StartLimitBurst" | "StartLimitAction" => {
            start_limit(name, values, sections, draft);
        }
        "SupplementaryGroups"
        | "AmbientCapabilities"
        | "CapabilityBoundingSet"
        | "CPUAffinity"
        | "SuccessExitStatus"
        | "RestartPreventExitStatus"
        | "ReadWritePaths"
        | "RuntimeDirectory"
        | "StateDirectory"
        | "LogsDirectory" => {
            list(key, values, draft);
            if values.is_empty() && sections.is_reset("Service", name) && key.starts_with("cap") {
                let from = Origin::new(&draft.source.clone(), 0, format!("{name}="));
                draft.map(&from, "service", key, Value::List(Vec::new()));
            }
        }
        _ => {
            sections
                .last(values, draft, |value, from, draft| single(name, key, value, from, draft));
        }
    }
}

/// Directives of which the last value counts.
fn single(name: &str, key: &str, value: &str, from: &Origin, draft: &mut Draft) {
    let text = || Value::Text(specifier::translate(value).0);
    match name {
        "Restart" => restart(value, from, draft),
        "RestartSec" if is_zero(value) => {
            let why =
                "the delay cannot be 0; a run of min-uptime-sec is followed by a start at once";
            draft.near(from, "service", key, Value::text("1ms"), why);
        }
        "TimeoutSec" => {
            for key in ["timeout-start-sec", "timeout-stop-sec"] {
                time_out(key, value, from, draft);
            }
        }
        "TimeoutStartSec" | "TimeoutStopSec" => time_out(key, value, from, draft),
        "RestartSec" | "WatchdogSec" => match span(value) {
            Some(span) => {
                draft.map(from, "service", key, span);
            }
            None => draft.drop(from, "there is no such span of time"),
        },
        "RestartMaxDelaySec" => match span(value) {
            Some(span) => {
                draft.map(from, "service", key, span);
            }
            None => draft.drop(from, "the delay grows up to restart-max-delay-sec"),
        },
        "PIDFile" => pid_file(value, from, draft),
        "RemainAfterExit" | "NoNewPrivileges" | "PrivateTmp" | "PrivateNetwork" => {
            truth(key, value, from, draft);
        }
        "Nice" | "OOMScoreAdjust" | "CPUWeight" => {
            draft.map(from, "service", key, Value::number_or_text(value));
        }
        "WorkingDirectory" => working_directory(value, from, draft),
        "KillMode" if value == "none" => {
            draft.near(from, "service", key, Value::text("process"), "something is always stopped");
        }
        "SendSIGKILL" => match boolean(value) {
            Some(false) => {
                draft.map(from, "service", "timeout-stop-sec", Value::Number(0));
            }
            Some(true) => draft.same(from, "KILL is sent after timeout-stop-sec"),
            None => draft.drop(from, NEITHER),
        },
        "DynamicUser" => environment::dynamic_user(from, value, draft),
        "StandardInput" | "StandardOutput" | "StandardError" => {
            environment::stream(key, from, value, draft);
        }
        "MemoryLimit" => {
            draft.map(from, "service", "memory-max", Value::number_or_text(value));
        }
        "LimitNICE" | "TTYPath" | "KillSignal" | "ReloadSignal" | "IOSchedulingClass" => {
            draft.map(from, "service", key, text());
        }
        "User" | "Group" => {
            let (name, lost) = specifier::translate(value);
            if lost.is_empty() && !name.contains('%') {
                draft.map(from, "service", key, Value::text(&name));
            } else {
                draft.near(from, "service", "user", Value::text("nobody"), "write the name down");
            }
        }
        _ if name.starts_with("Limit") => {
            draft.map(from, "service", key, Value::number_or_text(value));
        }
        "MemoryMax" | "MemoryHigh" | "TasksMax" | "CPUQuota" | "UMask" => {
            let value = match (name, value) {
                ("UMask", digits) => Value::text(digits),
                ("MemoryMax" | "MemoryHigh" | "TasksMax", _) => Value::number_or_text(value),
                _ => Value::text(value),
            };
            draft.map(from, "service", key, value);
        }
        _ => by_rule("service", "Service", name, &[(value.to_owned(), from.clone())], draft),
    }
}

fn restart(value: &str, from: &Origin, draft: &mut Draft) {
    let (word, why) = match value {
        "on-abort" => ("on-abnormal", "after a time-out too"),
        "on-watchdog" => ("on-abnormal", "after a signal too"),
        other => (other, ""),
    };
    match why {
        "" => draft.map(from, "service", "restart", Value::text(word)),
        why => draft.near(from, "service", "restart", Value::text(word), why),
    };
}

fn time_out(key: &str, value: &str, from: &Origin, draft: &mut Draft) {
    // For ever, in both languages: there `infinity` or 0, here 0.
    let span = span(value).unwrap_or(Value::Number(0));
    draft.map(from, "service", key, span);
}

fn pid_file(value: &str, from: &Origin, draft: &mut Draft) {
    let (path, _) = specifier::translate(value);
    let path = if path.starts_with('/') { path } else { format!("/run/{path}") };
    let path = match path.strip_prefix("/var/run/") {
        Some(rest) => format!("/run/{rest}"),
        None => path,
    };
    if draft.get("service", "type") != Some(&Value::text("forking")) {
        return draft.same(from, "only a forking daemon's file is read");
    }
    draft.map(from, "service", "pid-file", Value::Text(path));
}

fn truth(key: &str, value: &str, from: &Origin, draft: &mut Draft) {
    // A /tmp of its own as well, only made otherwise.
    let is_disconnected = key == "private-tmp" && value == "disconnected";
    let Some(truth) = boolean(value).or(is_disconnected.then_some(true)) else {
        return draft.drop(from, NEITHER);
    };
    if key == "remain-after-exit" && draft.get("service", "type") != Some(&Value::text("oneshot")) {
        return match truth {
            true => draft.drop(from, "only a oneshot remains up after its exit"),
            false => draft.same(from, "it does not"),
        };
    }
    draft.map(from, "service", key, Value::Truth(truth));
}

fn working_directory(value: &str, from: &Origin, draft: &mut Draft) {
    let bare = value.strip_prefix('-').unwrap_or(value);
    let (path, _) = specifier::translate(bare);
    if bare == "~" {
        return draft.drop(from, "write the home directory down: working-directory = \"/…\"");
    }
    match bare.len() == value.len() {
        true => draft.map(from, "service", "working-directory", Value::Text(path)),
        false => {
            let why = "the unit does not start where the directory is missing";
            draft.near(from, "service", "working-directory", Value::Text(path), why)
        }
    };
}

/// Lists, whose assignments add up.
fn list(key: &str, values: &[(String, Origin)], draft: &mut Draft) {
    let mut items: Vec<String> = Vec::new();
    for (value, from) in values {
        let (value, _) = specifier::translate(value);
        items.extend(words(&value));
        // `~` turns the whole list around, and can only stand in front.
        let turned = items.iter().skip(1).any(|item| item.starts_with('~'));
        if turned && items.len() > words(&value).len() {
            items.truncate(items.len().saturating_sub(words(&value).len()));
            draft.drop(from, "a second list with `~` cannot be put together with the first");
            continue;
        }
        draft.map(from, "service", key, Value::List(items.clone()));
    }
}

fn exec_start(
    sections: &Sections,
    values: &[(String, Origin)],
    tree: &dyn Tree,
    draft: &mut Draft,
) {
    let mut all = Vec::new();
    let mut why: Vec<String> = Vec::new();
    for (value, _) in values {
        for command in read(sections, value, tree) {
            why.extend(command.lost.iter().cloned());
            all.push(command);
        }
    }
    let words = match all.as_slice() {
        [] => return every(values, draft, |from, draft| draft.drop(from, "the command is empty")),
        [one] => {
            why.extend(prefixes(one));
            let mut words = one.words.clone();
            why.extend(dbus::opens_its_socket(&mut words, draft));
            words
        }
        many => {
            why.push("a shell runs the commands one after the other".into());
            command::in_a_row(many)
        }
    };
    for (nth, (_, from)) in values.iter().enumerate() {
        let value = Value::Command(words.clone());
        match (nth, why.is_empty()) {
            (_, true) => draft.map(from, "service", "exec-start", value),
            (0, false) => draft.near(from, "service", "exec-start", value, why.join("; ")),
            (_, false) => {
                draft.nearly(from, "in `exec-start`, after the one before");
                true
            }
        };
    }
}

fn read(sections: &Sections, value: &str, tree: &dyn Tree) -> Vec<Command> {
    let set = environment::variables(&sections.quietly("Service", "Environment"));
    let more = !sections.quietly("Service", "EnvironmentFile").is_empty();
    command::read(value, &Variables { set: &set, more }, tree)
}

/// What the prefixes of a single command ask for, and do not get.
fn prefixes(command: &Command) -> Vec<String> {
    let mut why = Vec::new();
    if command.prefixes.contains('-') {
        why.push("its failure counts (prefix -)".to_owned());
    }
    why.extend(unmet(command));
    why
}

/// What the prefixes of any command ask for, and do not get.
fn unmet(command: &Command) -> Vec<String> {
    let mut why = Vec::new();
    if command.prefixes.contains(['+', '!']) {
        why.push("it runs as the unit's user (prefix + or !)".to_owned());
    }
    if command.prefixes.contains('|') {
        why.push("no shell reads it (prefix |)".to_owned());
    }
    why
}

/// `/bin/kill -HUP $MAINPID` is a signal and no hook. True if that is what there is.
fn kills(
    key: &str,
    sections: &Sections,
    values: &[(String, Origin)],
    tree: &dyn Tree,
    draft: &mut Draft,
) -> bool {
    let own = if key == "exec-stop" { "kill-signal" } else { "reload-signal" };
    let is_kill = |value: &str| signal(value.trim_start_matches(['-', '+', '!', ':']));
    let Some(name) = values.iter().rev().find_map(|(value, _)| is_kill(value)) else {
        return false;
    };
    let is_last = values.last().is_some_and(|(value, _)| is_kill(value).is_some());
    let others: Vec<_> =
        values.iter().filter(|(value, _)| is_kill(value).is_none()).cloned().collect();
    for (_, from) in values.iter().filter(|(value, _)| is_kill(value).is_some()) {
        match is_last {
            true => draft.map(from, "service", own, Value::text(&name)),
            false => {
                let why = "the signal comes after all commands";
                draft.near(from, "service", own, Value::text(&name), why)
            }
        };
    }
    if !others.is_empty() {
        hooks(key, sections, &others, tree, draft);
    }
    true
}

/// The signal that a command sends to the main process.
fn signal(command: &str) -> Option<String> {
    let words = words(command);
    let (program, rest) = words.split_first()?;
    let name = match rest {
        [option, name, pid] if option == "-s" && is_main_pid(pid) => name.as_str(),
        [option, pid] if is_main_pid(pid) => option.strip_prefix('-')?,
        [pid] if is_main_pid(pid) => "TERM",
        _ => return None,
    };
    let name = name.strip_prefix("SIG").unwrap_or(name);
    (crate::tree::file_name(program) == "kill").then(|| name.to_owned())
}

fn is_main_pid(word: &str) -> bool {
    matches!(word, "$MAINPID" | "${MAINPID}")
}

/// `ExecStartPre=` and its kin: as many commands as there are.
fn hooks(
    key: &str,
    sections: &Sections,
    values: &[(String, Origin)],
    tree: &dyn Tree,
    draft: &mut Draft,
) {
    let mut commands: Vec<Vec<String>> = Vec::new();
    for (value, from) in values {
        let mut why: Vec<String> = Vec::new();
        for command in read(sections, value, tree) {
            why.extend(command.lost.iter().cloned());
            commands.push(hook(&command, &mut why));
        }
        let all = Value::Commands(commands.clone());
        match why.is_empty() {
            true => draft.map(from, "service", key, all),
            false => draft.near(from, "service", key, all, why.join("; ")),
        };
    }
}

/// One hook: one that may fail has the same `-` in front.
fn hook(command: &Command, why: &mut Vec<String>) -> Vec<String> {
    why.extend(unmet(command));
    let mut words = command.words.clone();
    if let Some(program) = words.first_mut().filter(|_| command.prefixes.contains('-')) {
        program.insert(0, '-');
    }
    words
}
