//! A unit as its file has it: values read one by one, not yet looked at together.

use std::ops::Range;

use ettan_core::{ExitStatus, KillMode, LimitAction, MAX_STATUSES, Restart, Stage, Statuses};
use ettan_table::Extra;
use toml::de::DeValue;

use crate::diagnostic::{Complaint, Notes};
use crate::extras::whole;
use crate::here::Conditions;
use crate::log::LogDraft;
use crate::place::PlaceDraft;
use crate::ready::ReadyDraft;
use crate::reference::{self, Target, shown};
use crate::timer::TimerDraft;
use crate::{command, duration, nearest};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The bytes of the source.
    pub span: Range<usize>,
    /// The value.
    pub value: T,
}

/// One `key = value` of the file.
pub(crate) struct Item<'a> {
    pub(crate) name: &'a str,
    pub(crate) key: Range<usize>,
    pub(crate) span: Range<usize>,
    pub(crate) value: &'a DeValue<'a>,
}

/// `type` as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Simple,
    Notify,
    NotifyReload,
    Forking,
    Oneshot,
    Target,
}

impl Type {
    /// It says READY=1.
    pub(crate) const fn notifies(self) -> bool {
        match self {
            Self::Notify | Self::NotifyReload => true,
            Self::Simple | Self::Forking | Self::Oneshot | Self::Target => false,
        }
    }
}

/// What a file says; None where it says nothing.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) description: Option<String>,
    pub(crate) after: Vec<At<Target>>,
    pub(crate) before: Vec<At<String>>,
    pub(crate) wants: Vec<At<String>>,
    pub(crate) requires: Vec<At<String>>,
    pub(crate) binds_to: Vec<At<Target>>,
    pub(crate) part_of: Vec<At<String>>,
    pub(crate) conflicts: Vec<At<String>>,
    pub(crate) on_failure: Vec<At<String>>,
    pub(crate) conditions: Conditions,
    pub(crate) critical: bool,
    pub(crate) holds_data: bool,
    pub(crate) nice: i8,
    pub(crate) kind: Option<Type>,
    pub(crate) exec_start: Option<At<Vec<String>>>,
    pub(crate) pid_file: Option<At<String>>,
    pub(crate) remain_after_exit: Option<At<bool>>,
    pub(crate) restart: Option<Restart>,
    pub(crate) success: Statuses,
    pub(crate) no_restart: Statuses,
    pub(crate) restart_sec: Option<At<u32>>,
    pub(crate) restart_max_delay_sec: Option<At<u32>>,
    pub(crate) restart_reset_sec: Option<u32>,
    pub(crate) start_limit_burst: Option<u16>,
    pub(crate) start_limit_interval_sec: Option<At<u32>>,
    pub(crate) start_limit_action: Option<At<LimitAction>>,
    pub(crate) timeout_start_sec: Option<u32>,
    pub(crate) timeout_stop_sec: Option<u32>,
    pub(crate) min_uptime_sec: Option<u32>,
    pub(crate) kill_signal: Option<u8>,
    pub(crate) kill_mode: Option<KillMode>,
    pub(crate) reload_signal: Option<At<u8>>,
    pub(crate) user: Option<At<String>>,
    pub(crate) group: Option<At<String>>,
    pub(crate) working_directory: Option<At<String>>,
    pub(crate) umask: Option<u32>,
    pub(crate) environment: Vec<(String, At<String>)>,
    pub(crate) tty_path: Option<At<String>>,
    pub(crate) log: LogDraft,
    pub(crate) ready: ReadyDraft,
    pub(crate) environment_files: Vec<At<String>>,
    pub(crate) environment_dirs: Vec<At<String>>,
    pub(crate) supplementary_groups: Vec<At<String>>,
    pub(crate) no_new_privileges: Option<bool>,
    pub(crate) extras: Vec<Extra>,
    pub(crate) place: PlaceDraft,
    pub(crate) timer: TimerDraft,
    pub(crate) instances: Option<At<u16>>,
    pub(crate) instance_name: Option<At<String>>,
    /// The commands around the program, in order within each stage.
    pub(crate) hooks: Vec<(Stage, At<Vec<String>>)>,
    /// Everything that [service] has, by key: for what a target cannot have.
    pub(crate) service_keys: Vec<At<String>>,
}

/// The longest description in bytes: it travels in status packets of 4 KiB.
const MAX_DESCRIPTION: usize = 256;

pub(crate) fn description(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = text(item.value).and_then(|text| {
        if text.len() > MAX_DESCRIPTION {
            let message = format!("longer than {MAX_DESCRIPTION} bytes");
            return Err(Complaint::new(message));
        }
        if text.chars().any(char::is_control) {
            return Err(Complaint::new("a description is one line without control characters"));
        }
        Ok(text)
    });
    draft.description = notes.take(&item.span, checked);
}

pub(crate) fn documentation(_: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    texts(item, notes);
}

pub(crate) fn after(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.after = names(item, notes, reference::parse);
}

pub(crate) fn holds_data(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.holds_data = notes.take(&item.span, boolean(item.value)).unwrap_or_default();
}

pub(crate) fn critical(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.critical = notes.take(&item.span, boolean(item.value)).unwrap_or_default();
}

pub(crate) fn before(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.before = names(item, notes, reference::unit);
}

pub(crate) fn wants(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.wants = names(item, notes, reference::unit);
}

pub(crate) fn requires(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.requires = names(item, notes, reference::unit);
}

pub(crate) fn binds_to(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.binds_to = names(item, notes, reference::parse);
}

pub(crate) fn part_of(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.part_of = names(item, notes, reference::unit);
}

pub(crate) fn conflicts(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.conflicts = names(item, notes, reference::unit);
}

pub(crate) fn on_failure(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.on_failure = names(item, notes, reference::unit);
}

pub(crate) fn kind(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let words = [
        ("simple", Type::Simple),
        ("notify", Type::Notify),
        ("notify-reload", Type::NotifyReload),
        ("forking", Type::Forking),
        ("oneshot", Type::Oneshot),
        ("target", Type::Target),
    ];
    draft.kind = notes.take(&item.span, word(item, &words));
}

pub(crate) fn exec_start(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    // Also when it is wrong: then it is not missing.
    draft.exec_start = Some(command(item, notes));
}

/// A text that is split, or a list of arguments; nothing when it is wrong.
pub(crate) fn command(item: &Item<'_>, notes: &mut Notes) -> At<Vec<String>> {
    let arguments = match item.value {
        DeValue::Array(_) => {
            let list = texts(item, notes);
            if let Some(program) = list.first().filter(|program| is_a_whole_command(&program.value))
            {
                let message =
                    format!("the program's name is `{}`, blanks included", shown(&program.value));
                // Commands around the program may be several.
                let hint = match item.name {
                    "exec-start" | "command" => {
                        "a list has its arguments one by one: [\"/bin/program\", \"argument\"]"
                    }
                    _ => "a list is one command's arguments; several are a list of lists",
                };
                notes.warning(&program.span, message, hint);
            }
            Some(list.into_iter().map(|argument| argument.value).collect::<Vec<_>>())
        }
        value => {
            let split = text(value).map_err(|complaint| match value {
                DeValue::String(_) => complaint,
                other => Complaint::new(format!("{} is not a command", kind_word(other)))
                    .hint("a text, or a list of arguments"),
            });
            let split = split.and_then(|text| {
                if let Some(word) = command::shell_only(&text) {
                    let message = format!("`{}` is passed to the program as it is", shown(word));
                    let hint = "no shell is run: [\"/bin/sh\", \"-c\", \"…\"] asks for one";
                    notes.warning(&item.span, message, hint);
                }
                command::split(&text)
            });
            notes.take(&item.span, split)
        }
    };
    At { span: item.span.clone(), value: arguments.unwrap_or_default() }
}

/// A path, and something behind it.
fn is_a_whole_command(program: &str) -> bool {
    program.trim_start_matches('-').starts_with('/') && program.contains(' ')
}

pub(crate) fn pid_file(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.pid_file = path(item, notes);
}

pub(crate) fn remain_after_exit(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let value = notes.take(&item.span, boolean(item.value));
    draft.remain_after_exit = value.map(|value| At { span: item.key.clone(), value });
}

pub(crate) fn restart(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let words = [
        ("no", Restart::No),
        ("always", Restart::Always),
        ("on-success", Restart::OnSuccess),
        ("on-failure", Restart::OnFailure),
        ("on-abnormal", Restart::OnAbnormal),
    ];
    draft.restart = notes.take(&item.span, word(item, &words));
}

pub(crate) fn success_exit_status(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.success = statuses(item, notes);
}

pub(crate) fn restart_prevent_exit_status(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.no_restart = statuses(item, notes);
}

/// One exit status, or a list of them.
fn statuses(item: &Item<'_>, notes: &mut Notes) -> Statuses {
    let mut list = Statuses::NONE;
    let mut take = |span: &Range<usize>, value: &DeValue<'_>| {
        let taken = status(value).and_then(|status| match (list.add(status), status) {
            (true, _) => Ok(()),
            (false, ExitStatus::Code(_)) => {
                Err(Complaint::new(format!("more than {MAX_STATUSES} exit codes")))
            }
            (false, ExitStatus::Signal { .. }) => {
                Err(Complaint::new("real-time signals cannot be named here"))
            }
        });
        notes.take(span, taken);
    };
    match item.value {
        DeValue::Array(array) => array.iter().for_each(|one| take(&one.span(), one.get_ref())),
        value => take(&item.span, value),
    }
    list
}

/// A number is an exit code; signals have names.
fn status(value: &DeValue<'_>) -> Result<ExitStatus, Complaint> {
    let text = text_or_number(value)?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let code = text.parse().map_err(|_| {
            Complaint::new(format!("`{}` is no exit code", shown(&text)))
                .hint("0 to 255, or a signal's name")
        });
        return code.map(ExitStatus::Code);
    }
    let (_, signal) = signal(value)?;
    Ok(ExitStatus::Signal { signal, core: false })
}

pub(crate) fn restart_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.restart_sec = at(item, positive(item, notes));
}

pub(crate) fn restart_max_delay_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.restart_max_delay_sec = at(item, positive(item, notes));
}

pub(crate) fn restart_reset_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.restart_reset_sec = positive(item, notes);
}

pub(crate) fn start_limit_burst(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = whole(item.value, 0, i64::from(u16::MAX))
        .and_then(|count| u16::try_from(count).map_err(|_| Complaint::new("out of range")));
    draft.start_limit_burst = notes.take(&item.span, checked);
}

pub(crate) fn start_limit_interval_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let value = positive(item, notes);
    draft.start_limit_interval_sec = value.map(|value| At { span: item.key.clone(), value });
}

pub(crate) fn start_limit_action(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let words = [
        ("none", LimitAction::Nothing),
        ("reboot", LimitAction::Reboot),
        ("reboot-force", LimitAction::RebootForce),
        ("poweroff", LimitAction::PowerOff),
    ];
    let value = notes.take(&item.span, word(item, &words));
    draft.start_limit_action = value.map(|value| At { span: item.key.clone(), value });
}

pub(crate) fn timeout_start_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.timeout_start_sec = notes.take(&item.span, span(item.value));
}

pub(crate) fn timeout_stop_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.timeout_stop_sec = notes.take(&item.span, span(item.value));
}

pub(crate) fn min_uptime_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.min_uptime_sec = positive(item, notes);
}

pub(crate) fn kill_signal(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let ends = signal(item.value).and_then(|(name, number)| match number {
        17..=22 => Err(Complaint::new(format!("`{}` does not end a process", shown(&name)))),
        number => Ok(number),
    });
    draft.kill_signal = notes.take(&item.span, ends);
}

pub(crate) fn kill_mode(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let words = [
        ("control-group", KillMode::ControlGroup),
        ("mixed", KillMode::Mixed),
        ("process", KillMode::Process),
    ];
    draft.kill_mode = notes.take(&item.span, word(item, &words));
}

pub(crate) fn reload_signal(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let caught = signal(item.value).and_then(|(name, number)| match number {
        9 | 19 => Err(Complaint::new(format!("no process can catch `{}`", shown(&name)))
            .hint("most daemons reload on `HUP`")),
        number => Ok(number),
    });
    let value = notes.take(&item.span, caught);
    draft.reload_signal = value.map(|value| At { span: item.key.clone(), value });
}

pub(crate) fn user(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.user = at(item, notes.take(&item.span, text_or_number(item.value)));
}

pub(crate) fn group(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.group = at(item, notes.take(&item.span, text_or_number(item.value)));
}

pub(crate) fn working_directory(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.working_directory = path(item, notes);
}

pub(crate) fn umask(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let hint = "an octal number as text, \"0000\" to \"0777\"";
    let octal = |digits: &str| {
        let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let mask = u32::from_str_radix(digits, 8).ok().filter(|mask| plain && *mask <= 0o777);
        mask.ok_or_else(|| Complaint::new(format!("`{}` is no umask", shown(digits))).hint(hint))
    };
    let mask = match item.value {
        DeValue::String(text) => octal(text),
        DeValue::Integer(number) if number.radix() == 8 => octal(number.as_str()),
        other => Err(Complaint::new(format!("{} is no umask", kind_word(other))).hint(hint)),
    };
    draft.umask = notes.take(&item.span, mask);
}

pub(crate) fn environment(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let DeValue::Table(table) = item.value else {
        let message = format!("{} is not a table", kind_word(item.value));
        let hint = "[service.environment] with NAME = \"value\" below it";
        return notes.error_with(&item.span, message, hint);
    };
    for (key, value) in table.iter() {
        let name = key.get_ref();
        if name.starts_with("x-") && matches!(value.get_ref(), DeValue::Table(_)) {
            continue;
        }
        if let Some(message) = odd_variable(name) {
            notes.error(&key.span(), message);
        }
        let checked = text(value.get_ref())
            .map_err(|complaint| complaint.hint("every variable is text: put it in quotes"));
        if let Some(value_text) = notes.take(&value.span(), checked) {
            let value = At { span: value.span(), value: value_text };
            draft.environment.push((name.to_string(), value));
        }
    }
}

pub(crate) fn tty_path(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.tty_path = path(item, notes);
}

pub(crate) fn odd_variable(name: &str) -> Option<String> {
    if name == "ETTAN_COOKIE" {
        return Some("`ETTAN_COOKIE` is set by Ettan itself".into());
    }
    let odd = name.is_empty() || name.contains('=') || name.chars().any(char::is_control);
    odd.then(|| format!("`{}` cannot be a variable's name", shown(name)))
}

pub(crate) fn at<T>(item: &Item<'_>, value: Option<T>) -> Option<At<T>> {
    value.map(|value| At { span: item.span.clone(), value })
}

/// What a value is, in the words of TOML.
pub(crate) fn kind_word(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

pub(crate) fn boolean(value: &DeValue<'_>) -> Result<bool, Complaint> {
    match value {
        DeValue::Boolean(value) => Ok(*value),
        other => Err(Complaint::new(format!("{} is not true or false", kind_word(other)))),
    }
}

/// Text that can become a C string.
pub(crate) fn text(value: &DeValue<'_>) -> Result<String, Complaint> {
    match value {
        DeValue::String(text) if text.contains('\0') => {
            Err(Complaint::new("text cannot hold a NUL"))
        }
        DeValue::String(text) => Ok(text.to_string()),
        other => Err(Complaint::new(format!("{} is not a text", kind_word(other)))),
    }
}

/// A list of text, or one text.
pub(crate) fn texts(item: &Item<'_>, notes: &mut Notes) -> Vec<At<String>> {
    let DeValue::Array(array) = item.value else {
        let one = notes.take(
            &item.span,
            text(item.value).map_err(|complaint| Complaint {
                message: complaint.message.replace("a text", "a list of text"),
                ..complaint
            }),
        );
        return at(item, one).into_iter().collect();
    };
    let mut list = Vec::new();
    for value in array.iter() {
        let text = notes.take(&value.span(), text(value.get_ref()));
        list.extend(text.map(|text| At { span: value.span(), value: text }));
    }
    list
}

fn names<T>(
    item: &Item<'_>,
    notes: &mut Notes,
    parse: impl Fn(&str) -> Result<T, Complaint>,
) -> Vec<At<T>> {
    let mut list = Vec::new();
    for At { span, value } in texts(item, notes) {
        let parsed = parse(&value).map_err(|complaint| match value.contains([' ', ',']) {
            true => complaint.hint("a list has its names in quotes one by one: [\"a\", \"b\"]"),
            false => complaint,
        });
        list.extend(notes.take(&span, parsed).map(|value| At { span, value }));
    }
    list
}

pub(crate) fn word<T: Copy>(item: &Item<'_>, words: &[(&'static str, T)]) -> Result<T, Complaint> {
    let text = text(item.value)?;
    if let Some((_, found)) = words.iter().find(|(word, _)| *word == text) {
        return Ok(*found);
    }
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    Err(unknown_value(item.name, &text, &known))
}

/// `text` is none of the values that the key takes.
pub(crate) fn unknown_value(key: &str, text: &str, known: &[&str]) -> Complaint {
    let complaint = Complaint::new(format!("unknown value `{}` for `{key}`", shown(text)));
    let list = known.join(", ");
    complaint.hint(match nearest::nearest(text, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? valid: {list}"),
        None => format!("valid: {list}"),
    })
}

pub(crate) fn span(value: &DeValue<'_>) -> Result<u32, Complaint> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => duration::parse(number.as_str()),
        DeValue::Float(number) => duration::parse(number.as_str()),
        DeValue::String(text) => duration::parse(text),
        other => {
            let message = format!("{} is not a span of time", kind_word(other));
            Err(Complaint::new(message).hint("for example \"5s\", or a number of seconds"))
        }
    }
}

/// A span for which 0 would mean a unit that restarts without a pause.
pub(crate) fn positive(item: &Item<'_>, notes: &mut Notes) -> Option<u32> {
    let checked = span(item.value).and_then(|ms| match ms {
        0 => Err(Complaint::new("must be longer than 0").hint("at least \"1ms\"")),
        ms => Ok(ms),
    });
    notes.take(&item.span, checked)
}

/// A signal as it is written, and its number.
fn signal(value: &DeValue<'_>) -> Result<(String, u8), Complaint> {
    let name = text_or_number(value)?;
    let number = ettan_wire::signal_number(&name).ok_or_else(|| {
        let complaint = Complaint::new(format!("no signal `{}`", shown(&name)));
        let names = (1..32).filter_map(ettan_wire::signal_name);
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        match nearest::nearest(bare, names) {
            Some(near) => complaint.hint(format!("did you mean `{near}`?")),
            None => complaint.hint("a name like `TERM` or `SIGTERM`, or a number from 1 to 64"),
        }
    })?;
    Ok((name, number))
}

/// Text, or an integer as it is written in base 10 without a sign.
pub(crate) fn text_or_number(value: &DeValue<'_>) -> Result<String, Complaint> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_string()),
        DeValue::Integer(_) => Err(Complaint::new("the number must be decimal")),
        other => text(other).map_err(|_| {
            Complaint::new(format!("{} is neither a name nor a number", kind_word(other)))
        }),
    }
}

/// An absolute path; specifiers are not replaced yet.
pub(crate) fn path(item: &Item<'_>, notes: &mut Notes) -> Option<At<String>> {
    let checked = text(item.value).and_then(|text| {
        if text.starts_with('/') {
            return Ok(text);
        }
        Err(Complaint::new(format!("`{}` is not an absolute path", shown(&text)))
            .hint("it begins with `/`"))
    });
    at(item, notes.take(&item.span, checked))
}
