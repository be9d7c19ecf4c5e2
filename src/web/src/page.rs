//! The pages: what PID 1 says as HTML that needs no script and fits a telephone. Pure, but for the
//! machine's name and the clock.

use crate::html::Html;
use crate::route::{LINES, LINES_MAX, path_of};
use ettan_cli::client::{self, Listed, Seen, Units};
use ettan_wire::{GoalWord, StateWord, Stats, UnitStatus};
use std::fmt::Write;
use std::fs;

/// The page of all is asked for again after so many seconds.
const AGAIN_S: u32 = 30;

/// What whoever looks may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Press buttons.
    pub(crate) may_change: bool,
    /// Show the token no more.
    pub(crate) may_leave: bool,
}

/// All units, below the machine.
pub(crate) fn units(machine: &Seen<Stats>, found: &Units, all: bool, manner: Manner) -> String {
    let name = machine_name();
    let mut body = format!(
        "<p class=\"summary\">{}</p>\n<table>\n<thead><tr><th>Unit</th><th>State</th><th>Restarts</th>",
        Html(&machine.title)
    );
    body.push_str(if manner.may_change { "<th></th></tr></thead>\n" } else { "</tr></thead>\n" });
    body.push_str("<tbody>\n");
    for Listed { status, .. } in &found.units {
        row(&mut body, status, manner);
    }
    body.push_str("</tbody>\n</table>\n");
    if found.units.is_empty() {
        body.push_str("<p>There are no units.</p>\n");
    }
    for said in &found.diagnostics {
        let _ = writeln!(body, "<pre class=\"bad\">{}</pre>", Html(said.trim_end()));
    }
    let (link, words) = match all {
        false => ("/?all=1", "Show Ettan’s own units too"),
        true => ("/", "Leave out Ettan’s own units"),
    };
    let _ = writeln!(body, "<p><a href=\"{link}\">{words}</a></p>\n<h2>Machine</h2>");
    rows(&mut body, &machine.rows);
    let again = format!("<meta http-equiv=\"refresh\" content=\"{AGAIN_S}\">\n");
    document(&format!("{name}: {}", machine.title), &name, &again, &body, manner)
}

fn row(body: &mut String, status: &UnitStatus, manner: Manner) {
    let _ = write!(
        body,
        "<tr><td><a href=\"{}\">{}</a>",
        Html(&path_of(&status.unit)),
        Html(&status.unit)
    );
    if !status.description.is_empty() {
        let _ = write!(body, "<small>{}</small>", Html(&status.description));
    }
    let _ = write!(body, "</td>\n<td>{}", state(status));
    for note in notes(status) {
        let _ = write!(body, "<small>{}</small>", Html(&note));
    }
    let restarts = client::restarts(status);
    let _ = write!(body, "</td>\n<td data-label=\"Restarts: \">{}</td>", Html(&restarts));
    if manner.may_change {
        let _ = write!(body, "\n<td class=\"do\">{}</td>", buttons(status, false));
    }
    body.push_str("</tr>\n");
}

/// The word in its colour, then since when.
fn state(status: &UnitStatus) -> String {
    let (word, text) = (client::word(status), client::standing(status));
    let rest = text.strip_prefix(word).unwrap_or_default();
    format!("<b class=\"state {}\">{}</b>{}", colour(status), Html(word), Html(rest))
}

/// Green is well, red is not, yellow is under way.
fn colour(status: &UnitStatus) -> &'static str {
    match (status.state, client::word(status)) {
        _ if status.crash_looping || status.unwell.is_some() => "bad",
        (StateWord::Failed, _) => "bad",
        (StateWord::Up, _) => "good",
        (StateWord::Down, "down") => "plain",
        (_, _) => "going",
    }
}

/// What else matters.
fn notes(status: &UnitStatus) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(awaited) = client::waits_for(status) {
        notes.push(format!("waits for {awaited}"));
    } else if status.state != StateWord::Up && !status.reason.is_empty() {
        notes.push(status.reason.to_string());
    }
    notes.extend(status.unwell.iter().map(|why| format!("does not work: {why}")));
    notes.extend(status.says.iter().map(|says| format!("says: {says}")));
    notes
}

/// Whether it is the unit that shows this page, which could not tell what became of it.
pub(crate) fn is_ours(status: &UnitStatus) -> bool {
    status.main_pid.is_some_and(|pid| u32::try_from(pid) == Ok(std::process::id()))
}

/// A form for each thing that can be asked of the unit as it is; of Ettan's own nothing is.
fn buttons(status: &UnitStatus, with_stop: bool) -> String {
    let is_wanted = status.goal == GoalWord::Up && status.state != StateWord::Failed;
    let verbs: &[&str] = match (is_wanted, with_stop) {
        _ if status.builtin || is_ours(status) => &[],
        (false, _) => &["start"],
        (true, false) => &["restart"],
        (true, true) => &["restart", "stop"],
    };
    let mut forms = String::new();
    for verb in verbs {
        let _ = write!(
            forms,
            "<form method=\"post\" action=\"{}/{verb}\"><button class=\"{verb}\">{verb}</button></form>",
            Html(&path_of(&status.unit))
        );
    }
    forms
}

/// One unit, with its log; below what became of a change, if one was asked for.
pub(crate) fn unit(
    seen: &Seen<UnitStatus>,
    log: &Result<Vec<String>, String>,
    changed: Option<(bool, &str)>,
    manner: Manner,
) -> String {
    let status = &seen.facts;
    let mut body = String::from("<p><a href=\"/\">All units</a></p>\n");
    if let Some((is_well, text)) = changed {
        let class = if is_well { "good" } else { "bad" };
        let _ = writeln!(body, "<p class=\"said {class}\" role=\"status\">{}</p>", Html(text));
    }
    let _ = writeln!(body, "<h2>{}</h2>\n<p>{}</p>", Html(&seen.title), state(status));
    if manner.may_change {
        let _ = writeln!(body, "<div class=\"buttons\">{}</div>", buttons(status, true));
    }
    let told: Vec<_> = seen.rows.iter().filter(|(label, _)| label != "state").cloned().collect();
    rows(&mut body, &told);
    body.push_str("<h2>Log</h2>\n");
    match log {
        Ok(lines) if lines.is_empty() => body.push_str("<p>It has written nothing.</p>\n"),
        Ok(lines) => {
            // The column is reversed, so that a browser begins at its end.
            body.push_str("<div class=\"log\"><pre>");
            for line in lines {
                let _ = writeln!(body, "{}", Html(line));
            }
            body.push_str("</pre></div>\n");
            if lines.len() == LINES {
                let path = path_of(&status.unit);
                let path = Html(&path);
                let _ = writeln!(
                    body,
                    "<p><a href=\"{path}?lines={LINES_MAX}\">The last {LINES_MAX} lines</a></p>"
                );
            }
        }
        Err(why) => {
            let _ = writeln!(body, "<p class=\"bad\">{}</p>", Html(why));
        }
    }
    let name = machine_name();
    document(&format!("{} on {name}", status.unit), &name, "", &body, manner)
}

/// Names and values.
fn rows(body: &mut String, rows: &[(String, String)]) {
    body.push_str("<dl>\n");
    for (label, value) in rows {
        let _ = writeln!(body, "<dt>{}</dt><dd>{}</dd>", Html(label), Html(value));
    }
    body.push_str("</dl>\n");
}

/// The form for the token.
pub(crate) fn login(was_wrong: bool) -> String {
    let name = machine_name();
    let said = match was_wrong {
        true => "<p class=\"said bad\" role=\"alert\">That is not the token.</p>\n",
        false => "",
    };
    let body = format!(
        "{said}<form class=\"login\" method=\"post\" action=\"/login\">\n\
         <label>Token <input type=\"password\" name=\"token\" required autofocus \
         autocomplete=\"current-password\"></label>\n<button>Show units</button>\n</form>\n"
    );
    document(&name, &name, "", &body, Manner { may_change: false, may_leave: false })
}

/// Why there is no page.
pub(crate) fn trouble(text: &str) -> String {
    let name = machine_name();
    let body = format!(
        "<p class=\"said bad\" role=\"alert\">{}</p>\n<p><a href=\"/\">All units</a></p>\n",
        Html(text)
    );
    document(&name, &name, "", &body, Manner { may_change: false, may_leave: false })
}

fn document(title: &str, name: &str, head: &str, body: &str, manner: Manner) -> String {
    let leave = match manner.may_leave {
        true => "<form method=\"post\" action=\"/logout\"><button>Log out</button></form>",
        false => "",
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n{head}\
         <title>{}</title>\n<link rel=\"stylesheet\" href=\"/style.css\">\n</head>\n<body>\n\
         <header><h1><a href=\"/\">{}</a></h1>{leave}</header>\n<main>\n{body}</main>\n</body>\n</html>\n",
        Html(title),
        Html(name)
    )
}

fn machine_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" | "(none)" => "Ettan".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ettan_wire::{Blocked, KindWord, PhaseWord};

    const ALL: Manner = Manner { may_change: true, may_leave: true };
    const NONE: Manner = Manner { may_change: false, may_leave: false };

    pub(crate) fn stats() -> Stats {
        Stats {
            version: "0.1.0".into(),
            protocol: 1,
            uptime_ms: 200_000,
            boot_ms: Some(2_345),
            init_ms: 0,
            loaded_ms: None,
            phase: PhaseWord::Running,
            units: 4,
            up: 1,
            changing: 1,
            waiting: 1,
            failed: 1,
            down: 0,
            diagnostics: 2,
            allocations_after_boot: 0,
            fallbacks: "".into(),
            degraded: "".into(),
            clients: 1,
            crashes: 0,
            reduced: false,
            executions: 0,
            trial: false,
            reverted: false,
            watchdog: Some("Broadcom BCM2835".into()),
            watchdog_timeout_ms: 15_000,
            watchdog_fed_ms: 198_000,
            watchdog_trouble: "".into(),
            last_reset: "".into(),
            last_end: "".into(),
            ending: None,
        }
    }

    pub(crate) fn listed(unit: &str) -> Listed {
        let status = UnitStatus {
            unit: unit.into(),
            group: None,
            description: "a <b>page</b>".into(),
            kind: KindWord::Simple,
            goal: GoalWord::Up,
            state: StateWord::Up,
            now_ms: 200_000,
            since_ms: Some(75_000),
            deadline_ms: None,
            main_pid: None,
            restarts: 0,
            in_a_row: 0,
            crash_looping: false,
            gave_up: false,
            unkillable: false,
            orphaned: false,
            file: None,
            builtin: false,
            critical: false,
            reason: "needed".into(),
            last_exit: None,
            hook: None,
            last_hook: None,
            blocked_by: None,
            waiting_for: None,
            says: None,
            unwell: None,
            restart: "always".into(),
            autostart: true,
            timed: false,
            next_ms: None,
            awaits_clock: false,
            run_ms: None,
            ran_s: None,
            persistent: false,
            once: false,
            started_ms: None,
            ready_ms: None,
        };
        Listed { status, json: String::new() }
    }

    fn machine() -> Seen<Stats> {
        let rows = vec![("clock".to_owned(), "12:00".to_owned())];
        Seen { facts: stats(), json: String::new(), title: "4 units: 1 up".into(), rows }
    }

    fn seen(status: UnitStatus) -> Seen<UnitStatus> {
        let rows = [("state", "up"), ("main pid", "<212>")];
        let rows = rows.map(|(label, value)| (label.to_owned(), value.to_owned())).to_vec();
        Seen { title: format!("{} - it", status.unit), facts: status, json: String::new(), rows }
    }

    #[test]
    fn the_page_of_all_has_a_row_for_each_and_says_why() {
        let mut failed = listed("a/\"<x>");
        failed.status.state = StateWord::Failed;
        failed.status.reason = "exec /x: no such file".into();
        let mut waiting = listed("late");
        waiting.status.state = StateWord::Down;
        waiting.status.blocked_by = Some(Blocked::Condition);
        waiting.status.waiting_for = Some("network".into());
        let mut flapping = listed("flapping");
        flapping.status.restarts = 7;
        flapping.status.reason = "exited with status 1".into();
        flapping.status.crash_looping = true;
        let found = Units {
            units: vec![listed("web"), failed, waiting, flapping],
            diagnostics: vec!["error: <bad>.toml".into()],
        };
        let shown = units(&machine(), &found, false, NONE);
        for part in [
            "<a href=\"/units/web\">web</a>",
            "<b class=\"state good\">up</b> for 2 min 5 s, since ",
            "a &lt;b&gt;page&lt;/b&gt;",
            "<a href=\"/units/a%2F%22%3Cx%3E\">a/&quot;&lt;x&gt;</a>",
            "<b class=\"state bad\">failed</b>",
            "<small>exec /x: no such file</small>",
            "<b class=\"state going\">waiting</b>",
            "waits for condition network",
            "7, the last because it exited with status 1; crash-looping",
            "error: &lt;bad&gt;.toml",
            "<dt>clock</dt><dd>12:00</dd>",
            "4 units: 1 up",
        ] {
            assert!(shown.contains(part), "no {part} in\n{shown}");
        }
        assert!(!shown.contains("<form") && !shown.contains("<script"), "{shown}");
        let shown = units(&machine(), &found, false, ALL);
        assert!(shown.contains("<form method=\"post\" action=\"/units/web/restart\">"), "{shown}");
        assert!(shown.contains("action=\"/logout\""), "{shown}");
    }

    #[test]
    fn the_page_of_one_has_its_log_and_what_can_be_asked_of_it() {
        let log = Ok(vec!["2026 <script>alert(1)</script>".to_owned()]);
        let shown = unit(&seen(listed("web").status), &log, Some((true, "web: up")), ALL);
        for part in [
            "2026 &lt;script&gt;alert(1)&lt;/script&gt;",
            "<dt>main pid</dt><dd>&lt;212&gt;</dd>",
            "/units/web/stop",
            "/units/web/restart",
            "<p class=\"said good\" role=\"status\">web: up</p>",
        ] {
            assert!(shown.contains(part), "no {part} in\n{shown}");
        }
        let mut down = listed("web").status;
        (down.state, down.goal) = (StateWord::Down, GoalWord::Down);
        let shown = unit(&seen(down), &Err("the log of web: <no>".into()), None, ALL);
        assert!(shown.contains("/units/web/start") && !shown.contains("/units/web/stop"));
        assert!(shown.contains("the log of web: &lt;no&gt;"));
        let mut page_itself = listed("ettan-web").status;
        page_itself.main_pid = i32::try_from(std::process::id()).ok();
        let shown = unit(&seen(page_itself), &Ok(Vec::new()), None, ALL);
        assert!(!shown.contains("action=\"/units/"), "{shown}");
        let mut own = listed("ettan-log").status;
        own.builtin = true;
        let shown = unit(&seen(own), &Ok(Vec::new()), None, ALL);
        assert!(!shown.contains("action=\"/units/"), "{shown}");
        let shown = unit(&seen(listed("web").status), &Ok(Vec::new()), None, NONE);
        assert!(!shown.contains("<form"), "{shown}");
    }
}
