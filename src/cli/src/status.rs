//! status, list, is-active and its kin, conditions: looks, changes nothing.

use crate::change::{hinted, name};
use crate::code::Code;
use crate::disks::{self, Standing};
use crate::escape::{Colour, Screen, json_string};
use crate::group;
use crate::instances;
use crate::link::{Answer, Link, Trouble};
use crate::show::{INDENT, fold, row};
use crate::summary::summary as machine;
use crate::{logs, show, timers};
use ettan_sys::clock::{self, Local};
use ettan_wire::{
    Active, Conditions, Diagnostic, Known, Reply, Request, StateWord, Stats, Text, UnitStatus,
    Which,
};

/// Log lines under the status of one unit.
const LOG_LINES: usize = 10;

/// 2026 begins: a clock that says less was never set.
const BUILT_MS: i64 = 1_767_225_600_000;

/// Errors below the summary of all.
const ERROR_LINES: usize = 5;

/// `status UNIT…`
pub(crate) fn status(units: &[String], screen: &Screen) -> Code {
    let mut code = Code::Done;
    for (nth, unit) in instances::of(units).iter().enumerate() {
        if nth > 0 && !screen.json {
            screen.say("");
        }
        let shown = one(unit, screen).map_err(|trouble| as_a_look(hinted(trouble, unit)));
        code = code.or(shown.unwrap_or_else(|trouble| trouble.tell(screen)));
    }
    code
}

/// What there is to know of one unit.
pub(crate) struct Look {
    pub(crate) status: UnitStatus,
    /// The packet, with what only this side knows.
    pub(crate) json: String,
    /// In lines.
    pub(crate) page: String,
}

/// Looks at one unit.
pub(crate) fn look(unit: &str) -> Result<Look, Trouble> {
    let request = Request::Status(Which { unit: name(unit)? });
    let Answer { reply, json } = Link::ask(&request)?.expect()?;
    let Reply::Unit(status) = reply else { return Err(unexpected()) };
    let usage = group::usage(status.main_pid);
    let standing = disks::of(unit).map(|note| Standing::of(&note));
    let json = with_usage(&json, usage);
    let flash = match &standing {
        Some(standing) => standing.to_string(),
        None => "0 B written today, its log is in memory".to_owned(),
    };
    let page = format!("{}\n{}", show::unit(&status, usage, right_wall()), row("flash", &flash));
    let json = standing.map_or(json.clone(), |standing| with_disk(&json, &standing));
    Ok(Look { status, json, page })
}

fn one(unit: &str, screen: &Screen) -> Result<Code, Trouble> {
    let Look { status, json, page } = look(unit)?;
    if screen.json {
        screen.packet(&json);
    } else {
        page_of(&page, &status, screen);
        let lines = logs::last_lines(unit, LOG_LINES);
        if !lines.is_empty() {
            screen.say("");
        }
        for line in lines {
            screen.write(&shortened(line, screen));
        }
    }
    Ok(if status.state == StateWord::Up { Code::Done } else { Code::Down })
}

/// The page, folded to the width, with the word of the state in its colour.
fn page_of(page: &str, status: &UnitStatus, screen: &Screen) {
    for line in page.lines() {
        let line = fold(line, screen.columns(), INDENT);
        match line.strip_prefix("     state: ") {
            Some(_) => screen.paint(&line, INDENT, show::word(status).len(), colour(status)),
            None => screen.say(&line),
        }
    }
}

/// Green is well, red is not, yellow is under way.
fn colour(status: &UnitStatus) -> Colour {
    match (status.state, show::word(status)) {
        _ if status.crash_looping => Colour::Red,
        (StateWord::Failed, _) => Colour::Red,
        (StateWord::Up, _) => Colour::Green,
        (StateWord::Down, "down") => Colour::Plain,
        (_, _) => Colour::Yellow,
    }
}

/// A line of a log, cut to the terminal.
fn shortened(line: Vec<u8>, screen: &Screen) -> Vec<u8> {
    match (screen.columns(), std::str::from_utf8(&line)) {
        (Some(columns), Ok(text)) => show::cut(text, Some(columns)).into_bytes(),
        (Some(_) | None, _) => line,
    }
}

/// The wall clock, if it has been set.
pub(crate) fn right_wall() -> Option<i64> {
    let is_right = clock::is_synchronised() == Some(true) || clock::wall() > BUILT_MS;
    is_right.then(clock::wall)
}

/// What the clock says, to the second.
fn wall() -> String {
    let now = clock::local(clock::wall().div_euclid(1000));
    now.map_or_else(String::new, |Local { year, month, day, hour, minute, second }| {
        format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    })
}

/// The packet with what only this side knows.
fn with_usage(json: &str, usage: group::Usage) -> String {
    let mut text = json.strip_suffix('}').unwrap_or(json).to_owned();
    for (key, value) in [("memory_bytes", usage.memory_bytes), ("tasks", usage.tasks)] {
        if let Some(value) = value {
            text.push_str(&format!(",\"{key}\":{value}"));
        }
    }
    text.push('}');
    text
}

/// The packet with whether the clock is synchronised.
fn with_clock(json: &str, synchronised: Option<bool>) -> String {
    let Some(synchronised) = synchronised else { return json.to_owned() };
    let json = json.strip_suffix('}').unwrap_or(json);
    format!("{json},\"clock_synchronised\":{synchronised}}}")
}

/// The packet with how it stands with logs on disk.
fn with_disk(json: &str, standing: &Standing) -> String {
    format!("{},{}}}", json.strip_suffix('}').unwrap_or(json), standing.json())
}

/// `status` without a unit: a line for each, what the loader said, and how it stands with PID 1.
pub(crate) fn summary(screen: &Screen) -> Code {
    let shown = table(false, false, screen).and_then(|()| {
        let Whole { json, page, .. } = whole()?;
        if screen.json {
            screen.packet(&json);
            return Ok(Code::Done);
        }
        screen.say("");
        for line in page.lines() {
            screen.say(&fold(line, screen.columns(), INDENT));
        }
        last_errors(screen);
        Ok(Code::Done)
    });
    shown.unwrap_or_else(|trouble| trouble.tell(screen))
}

/// What there is to know of the machine.
pub(crate) struct Whole {
    pub(crate) stats: Stats,
    /// The packet, with what only this side knows.
    pub(crate) json: String,
    /// In lines.
    pub(crate) page: String,
}

/// Looks at the machine.
pub(crate) fn whole() -> Result<Whole, Trouble> {
    let Answer { reply, json } = Link::ask(&Request::Stats)?.expect()?;
    let Reply::Stats(stats) = reply else { return Err(unexpected()) };
    let standing = Standing::of_all();
    let json = with_clock(&with_disk(&json, &standing), clock::is_synchronised());
    let flash = match standing.logs {
        0 => "0 B written today, no log is kept on a disk".to_owned(),
        logs => format!("{} {standing}", show::many(logs, "log")),
    };
    let text = machine(&stats, clock::is_synchronised(), &wall());
    Ok(Whole { stats, json, page: format!("{text}\n{}", row("flash", &flash)) })
}

/// What went wrong last, in whatever log it is.
fn last_errors(screen: &Screen) {
    let errors = logs::last_errors(ERROR_LINES);
    if !errors.is_empty() {
        screen.say("\nlast errors:");
    }
    for line in errors {
        screen.write(&shortened(line, screen));
    }
}

/// `list`.
pub(crate) fn list(all: bool, timers: bool, screen: &Screen) -> Code {
    match table(all, timers, screen) {
        Ok(()) => Code::Done,
        Err(trouble) => trouble.tell(screen),
    }
}

/// All units by name, and what the loader said, each with its packet. Ettan's own helpers are left
/// out unless asked for, or in need of attention.
pub(crate) fn listing(all: bool) -> Result<Listing, Trouble> {
    let link = Link::ask(&Request::List)?;
    let mut found = Listing::default();
    loop {
        let Answer { reply, json } = link.expect()?;
        match reply {
            Reply::Unit(status) if all || !status.builtin || needs_attention(&status) => {
                found.units.push((status, json));
            }
            Reply::Diagnostic(diagnostic) => found.diagnostics.push((diagnostic, json)),
            Reply::End(_) => break,
            _ => {}
        }
    }
    found.units.sort_by(|(a, _), (b, _)| a.unit.cmp(&b.unit));
    found.tell_of_files();
    Ok(found)
}

/// What PID 1 has.
#[derive(Default)]
pub(crate) struct Listing {
    pub(crate) units: Vec<(UnitStatus, String)>,
    pub(crate) diagnostics: Vec<(Diagnostic, String)>,
}

impl Listing {
    pub(crate) fn statuses(&self) -> Vec<&UnitStatus> {
        self.units.iter().map(|(status, _)| status).collect()
    }

    /// The packets of a list say nothing of files: what is wrong with them comes by itself.
    fn tell_of_files(&mut self) {
        for (status, _) in &mut self.units {
            let is_about = |said: &&(Diagnostic, String)| {
                let unit = said.0.unit.as_deref();
                unit.is_some() && (unit == Some(&*status.unit) || unit == status.group.as_deref())
            };
            let said = self.diagnostics.iter().find(is_about);
            status.file = said.map(|(said, _)| Text::from(said.text.as_str()));
        }
    }
}

fn table(all: bool, timers: bool, screen: &Screen) -> Result<(), Trouble> {
    let Listing { mut units, mut diagnostics } = listing(all)?;
    if timers {
        units.retain(|(unit, _)| unit.timed);
        diagnostics.clear();
    }
    if screen.json {
        let packets = units.iter().map(|(_, json)| json);
        packets
            .chain(diagnostics.iter().map(|(_, json)| json))
            .for_each(|json| screen.packet(json));
        return Ok(());
    }
    let units: Vec<_> = units.into_iter().map(|(status, _)| status).collect();
    if timers {
        let wall_ms = right_wall();
        let none = "no unit has a timer";
        let text = timers::table(units.iter().collect(), wall_ms, screen.columns());
        screen.say(if units.is_empty() { none } else { &text });
    } else if units.is_empty() {
        screen.say("no units");
    } else {
        let lines = show::list(&units, screen.columns());
        for (line, unit) in lines.lines().zip(&units) {
            screen.paint(line, 0, show::word(unit).len(), colour(unit));
        }
    }
    if !diagnostics.is_empty() {
        screen.say("");
    }
    for (diagnostic, _) in diagnostics {
        for line in diagnostic.text.trim_end().lines() {
            screen.say(&fold(line, screen.columns(), 4));
        }
    }
    Ok(())
}

fn needs_attention(status: &UnitStatus) -> bool {
    status.state == StateWord::Failed || status.crash_looping
}

/// `is-active UNIT…`: the state's word, and 0 if every one is up.
pub(crate) fn is_active(units: &[String], quiet: bool, screen: &Screen) -> Code {
    is(units, quiet, screen, |active| active.active)
}

/// `is-failed UNIT…`: the state's word, and 0 if every one has failed.
pub(crate) fn is_failed(units: &[String], quiet: bool, screen: &Screen) -> Code {
    is(units, quiet, screen, |active| active.state == StateWord::Failed)
}

/// `is-loaded UNIT…`: the state's word, and 0 if PID 1 knows every one.
pub(crate) fn is_loaded(units: &[String], quiet: bool, screen: &Screen) -> Code {
    is(units, quiet, screen, |_| true)
}

fn is(units: &[String], quiet: bool, screen: &Screen, so: fn(&Active) -> bool) -> Code {
    let mut code = Code::Done;
    for unit in &instances::of(units) {
        let asked = name(unit)
            .and_then(|unit| Link::ask(&Request::IsActive(Which { unit }))?.expect())
            .map_err(as_a_look);
        let this = match asked {
            Ok(Answer { reply: Reply::Active(active), json }) => {
                match (quiet, screen.json) {
                    (true, _) => {}
                    (false, true) => screen.packet(&json),
                    (false, false) => screen.say(active.state.word()),
                }
                if so(&active) { Code::Done } else { Code::Down }
            }
            Ok(_) => unexpected().tell(screen),
            Err(trouble) if quiet => trouble.code,
            Err(trouble) => trouble.tell(screen),
        };
        code = code.or(this);
    }
    code
}

/// `list --names`.
pub(crate) fn names(screen: &Screen) -> Code {
    match units() {
        Ok(units) => {
            for name in instances::names(&units) {
                match screen.json {
                    true => screen.packet(&format!("{{\"unit\":{}}}", json_string(name))),
                    false => screen.say(name),
                }
            }
            Code::Done
        }
        Err(trouble) => trouble.tell(screen),
    }
}

/// All units, by name.
pub(crate) fn units() -> Result<Vec<UnitStatus>, Trouble> {
    let link = Link::ask(&Request::List)?;
    let mut units = Vec::new();
    loop {
        match link.expect()?.reply {
            Reply::Unit(status) => units.push(status),
            Reply::End(_) => break,
            _ => {}
        }
    }
    units.sort_by(|a, b| a.unit.cmp(&b.unit));
    Ok(units)
}

/// `condition [NAME]`: all that PID 1 knows of; of one, 0 if it holds, 3 if not, 4 if unknown.
pub(crate) fn conditions(wanted: Option<&str>, screen: &Screen) -> Code {
    let known = match known_conditions() {
        Ok(known) => known,
        Err(trouble) => return as_a_look(trouble).tell(screen),
    };
    let mut code = if wanted.is_some() { Code::Unknown } else { Code::Done };
    for (condition, json) in known {
        if wanted.is_some_and(|wanted| wanted != condition.name.as_str()) {
            continue;
        }
        if wanted.is_some() {
            code = if condition.holds { Code::Done } else { Code::Down };
        }
        let word = if condition.holds { "holds" } else { "does not hold" };
        match screen.json {
            true => screen.packet(&json),
            false => screen.say(&format!("{}: {word}", condition.name)),
        }
    }
    if let (Code::Unknown, Some(wanted)) = (code, wanted) {
        screen.complain(&format!("nobody stated or waits for condition {wanted}"));
    }
    code
}

pub(crate) fn known_conditions() -> Result<Vec<(Known, String)>, Trouble> {
    let link = Link::ask(&Request::Conditions(Conditions { follow: false }))?;
    let mut known = Vec::new();
    loop {
        let Answer { reply, json } = link.expect()?;
        match reply {
            Reply::Condition(condition) => known.push((condition, json)),
            Reply::End(_) => break,
            _ => {}
        }
    }
    known.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
    Ok(known)
}

/// The codes of looking: no such unit is 4 there.
pub(crate) fn as_a_look(trouble: Trouble) -> Trouble {
    match trouble.code {
        Code::NotInstalled | Code::NotConfigured => Trouble { code: Code::Unknown, ..trouble },
        _ => trouble,
    }
}

pub(crate) fn unexpected() -> Trouble {
    Trouble { text: "PID 1 answered something else than was asked".into(), code: Code::Failed }
}

#[cfg(test)]
mod tests {
    use super::{group::Usage, with_usage};

    #[test]
    fn memory_and_tasks_join_the_packet() {
        let usage = Usage { memory_bytes: Some(1), tasks: None };
        assert_eq!(
            with_usage(r#"{"reply":"unit"}"#, usage),
            r#"{"reply":"unit","memory_bytes":1}"#
        );
        assert_eq!(with_usage(r#"{"reply":"unit"}"#, Usage::default()), r#"{"reply":"unit"}"#);
    }
}
