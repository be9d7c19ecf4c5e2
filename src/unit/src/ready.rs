//! `[ready]`, `[health]` and `watchdog-sec`: what the prober is told about a unit, as words that
//! PID 1 hands on unread, and what the service finds in its environment.

use std::ffi::CString;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

use ettan_core::Probes;
use toml::de::DeValue;

use crate::compile::Command;
use crate::diagnostic::{Complaint, Notes};
use crate::draft::{self, At, Draft, Item, Type, kind_word, text_or_number, word};
use crate::reference::shown;
use crate::specifier::Specifiers;
use crate::users::Identity;

/// What the three say; None where they say nothing.
#[derive(Debug, Default)]
pub(crate) struct ReadyDraft {
    any: Option<At<bool>>,
    notify: Option<At<Notify>>,
    log_pattern: Option<At<String>>,
    log_file: Option<At<String>>,
    log_activity: Option<At<String>>,
    path: Option<At<String>>,
    unix_socket: Option<At<String>>,
    tcp: Option<At<SocketAddr>>,
    command: Option<At<Vec<String>>>,
    settle_ms: Option<At<u32>>,
    health: HealthDraft,
    watchdog_ms: Option<At<u32>>,
}

#[derive(Debug, Default)]
struct HealthDraft {
    command: Option<At<Vec<String>>>,
    tcp: Option<At<SocketAddr>>,
    http: Option<At<String>>,
    unix_socket: Option<At<String>>,
    /// interval-sec, timeout-sec, failures, action: what they say, and where.
    rest: Vec<At<(&'static str, String)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notify {
    Systemd,
    Descriptor(u8),
}

/// The longest that all words together may be: a packet to the prober holds them and a name.
const MAX_WORDS: usize = 3072;

/// The socket for sd_notify, as services find it.
const NOTIFY_SOCKET: &str = "/run/ettan/notify";

pub(crate) fn mode(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let words = [("all", false), ("any", true)];
    draft.ready.any = keep(item, notes.take(&item.span, word(item, &words)));
}

pub(crate) fn notify(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = draft::text(item.value).and_then(|text| {
        if text == "systemd" {
            return Ok(Notify::Systemd);
        }
        let number = text.strip_prefix("fd:").and_then(|number| number.parse().ok());
        match number {
            Some(number @ 3..=7) => Ok(Notify::Descriptor(number)),
            Some(_) | None => {
                Err(Complaint::new(format!("`{}` is no way to notify", shown(&text)))
                    .hint("\"systemd\", or a descriptor from \"fd:3\" to \"fd:7\""))
            }
        }
    });
    draft.ready.notify = keep(item, notes.take(&item.span, checked));
}

pub(crate) fn log_pattern(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = draft::text(item.value).and_then(|text| match regex_lite::Regex::new(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Complaint::new(format!("`{}`: {error}", shown(&text)))
            .hint("a regular expression, as in Rust, Go and RE2")),
    });
    draft.ready.log_pattern = keep(item, notes.take(&item.span, checked));
}

pub(crate) fn log_file(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.ready.log_file = draft::path(item, notes);
}

pub(crate) fn log_activity(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.ready.log_activity = draft::path(item, notes);
}

pub(crate) fn path(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.ready.path = draft::path(item, notes);
}

/// Also of `[health]`.
pub(crate) fn unix_socket(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.ready.unix_socket = draft::path(item, notes);
}

pub(crate) fn tcp(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.ready.tcp = keep(item, notes.take(&item.span, address(item.value)));
}

pub(crate) fn command(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.ready.command = program(item, notes);
}

pub(crate) fn settle_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.ready.settle_ms = keep(item, draft::positive(item, notes));
}

pub(crate) fn health_command(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.ready.health.command = program(item, notes);
}

pub(crate) fn health_tcp(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.ready.health.tcp = keep(item, notes.take(&item.span, address(item.value)));
}

pub(crate) fn health_unix_socket(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.ready.health.unix_socket = draft::path(item, notes);
}

pub(crate) fn http(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = draft::text(item.value).and_then(|text| {
        let odd = || {
            Complaint::new(format!("`{}` cannot be looked at", shown(&text)))
                .hint("for example \"http://127.0.0.1:8080/health\": an address, no name; no https")
        };
        let rest = text.strip_prefix("http://").ok_or_else(odd)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = if socket_address(host).is_some() { host.into() } else { format!("{host}:80") };
        let address = socket_address(&host).ok_or_else(odd)?;
        let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
        if plain { Ok(format!("{address}/{path}")) } else { Err(odd()) }
    });
    draft.ready.health.http = keep(item, notes.take(&item.span, checked));
}

pub(crate) fn interval_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let span = draft::span(item.value).and_then(|ms| match ms {
        0..100 => Err(Complaint::new("looks are 100ms apart at least").hint("at least \"100ms\"")),
        ms => Ok(ms.to_string()),
    });
    let span = notes.take(&item.span, span);
    rest(draft, item, "every", span);
}

pub(crate) fn timeout_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let span = draft::positive(item, notes).map(|ms| ms.to_string());
    rest(draft, item, "within", span);
}

pub(crate) fn failures(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = text_or_number(item.value).and_then(|text| match text.parse::<u32>() {
        Ok(number) if number > 0 => Ok(number.to_string()),
        Ok(_) | Err(_) => Err(Complaint::new("from 1 on, so many looks in a row have to fail")),
    });
    let number = notes.take(&item.span, checked);
    rest(draft, item, "failures", number);
}

pub(crate) fn action(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let words = ["restart", "none", "reboot"].map(|word| (word, word));
    let action = notes.take(&item.span, word(item, &words)).map(str::to_owned);
    rest(draft, item, "action", action);
}

pub(crate) fn watchdog_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.ready.watchdog_ms = keep(item, draft::positive(item, notes));
}

fn rest(draft: &mut Draft, item: &Item<'_>, key: &'static str, value: Option<String>) {
    let kept = value.map(|value| At { span: item.key.clone(), value: (key, value) });
    draft.ready.health.rest.extend(kept);
}

fn keep<T>(item: &Item<'_>, value: Option<T>) -> Option<At<T>> {
    value.map(|value| At { span: item.key.clone(), value })
}

fn program(item: &Item<'_>, notes: &mut Notes) -> Option<At<Vec<String>>> {
    let argv = draft::command(item, notes).value;
    let absolute = argv.first().is_some_and(|program| program.starts_with('/'));
    if !absolute && !notes.failed() {
        notes.error_with(&item.span, "no program", "a command begins with an absolute path");
    }
    absolute.then(|| At { span: item.key.clone(), value: argv })
}

/// `127.0.0.1:8080`, `[::1]:80`, `localhost:80`, or a port alone.
fn address(value: &DeValue<'_>) -> Result<SocketAddr, Complaint> {
    let text = text_or_number(value)
        .map_err(|_| Complaint::new(format!("{} is not an address", kind_word(value))))?;
    let port = || Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), text.parse().ok()?));
    socket_address(&text).or_else(port).filter(|address| address.port() != 0).ok_or_else(|| {
        Complaint::new(format!("`{}` is not an address with a port", shown(&text)))
            .hint("for example \"127.0.0.1:8080\" or \"[::1]:80\"; names are not looked up")
    })
}

fn socket_address(text: &str) -> Option<SocketAddr> {
    let local = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    local.as_deref().unwrap_or(text).parse().ok()
}

/// What it all comes to.
pub(crate) struct Compiled {
    pub(crate) probes: Probes,
    pub(crate) words: CString,
    /// The descriptor that a newline is written to.
    pub(crate) descriptor: Option<u8>,
    /// What the prober executes.
    pub(crate) commands: Vec<Command>,
}

/// The words for the prober. None if something of it cannot be.
pub(crate) fn compile(
    kind: Type,
    draft: &mut Draft,
    identity: &Identity,
    specifiers: &Specifiers<'_>,
    notes: &mut Notes,
) -> Option<Compiled> {
    let mut ready = std::mem::take(&mut draft.ready);
    if kind.notifies() && ready.notify.is_none() {
        ready.notify = Some(At { span: 0..0, value: Notify::Systemd });
    }
    let mut words = Words { text: String::new(), commands: Vec::new(), specifiers };
    ready_words(&ready, &mut words, notes)?;
    let awaits = !words.text.is_empty();
    if let Some(any) = &ready.any {
        if awaits {
            words.flag(any.value, "any");
        } else {
            notes.warning(&any.span, "has no effect", "nothing in [ready] is to be awaited");
        }
    }
    let looks = health_words(&ready.health, &mut words, notes)?;
    if let Some(watchdog) = &ready.watchdog_ms {
        words.plain("watchdog", &watchdog.value.to_string());
    }
    let runs = ready.command.as_ref().or(ready.health.command.as_ref());
    if runs.is_some() {
        let groups: Vec<String> = identity.groups.iter().map(u32::to_string).collect();
        words.plain("as", &format!("{}:{}:{}", identity.uid, identity.gid, groups.join(",")));
    }
    let listens = ready.watchdog_ms.is_some() || ready.notify.is_some();
    let probes = match (kind, awaits, looks || listens) {
        (Type::Oneshot | Type::Target, true, _) | (Type::Oneshot | Type::Target, _, true) => {
            ready.refuse(notes);
            return None;
        }
        (_, true, _) => Probes::Ready,
        (_, false, true) => Probes::Up,
        (_, false, false) => Probes::Nothing,
    };
    if words.text.len() > MAX_WORDS {
        let message = format!("[ready] and [health] are longer than {MAX_WORDS} bytes together");
        notes.error(ready.spans().next().unwrap_or(&(0..0)), message);
    }
    let descriptor = ready.notify.and_then(|at| match at.value {
        Notify::Descriptor(number) => Some(number),
        Notify::Systemd => None,
    });
    let Words { text, commands, .. } = words;
    let text = if probes == Probes::Nothing { String::new() } else { text };
    Some(Compiled { probes, words: CString::new(text).ok()?, descriptor, commands })
}

/// What a service needs to know to say that it is ready, and that it lives.
pub(crate) fn environment(kind: Type, draft: &Draft) -> Vec<(String, String)> {
    let notify = draft.ready.notify.as_ref().map(|at| at.value);
    let watchdog = draft.ready.watchdog_ms.as_ref().map(|at| u64::from(at.value));
    let asks = kind.notifies() || notify == Some(Notify::Systemd) || watchdog.is_some();
    let socket = asks.then(|| ("NOTIFY_SOCKET".to_owned(), NOTIFY_SOCKET.to_owned()));
    let usec =
        watchdog.map(|ms| ("WATCHDOG_USEC".to_owned(), ms.saturating_mul(1_000).to_string()));
    socket.into_iter().chain(usec).collect()
}

fn ready_words(ready: &ReadyDraft, words: &mut Words<'_>, notes: &mut Notes) -> Option<()> {
    match ready.notify.as_ref().map(|at| at.value) {
        Some(Notify::Systemd) => words.plain("notify", "systemd"),
        Some(Notify::Descriptor(_)) => words.plain("notify", "fd"),
        None => {}
    }
    if let Some(pattern) = &ready.log_pattern {
        // Its specifiers would collide with what a pattern may hold.
        words.plain("log", &pattern.value);
        words.path("log-file", ready.log_file.as_ref(), notes)?;
    } else if let Some(file) = &ready.log_file {
        notes.warning(&file.span, "has no effect", "log-pattern says what is looked for in it");
    }
    words.path("activity", ready.log_activity.as_ref(), notes)?;
    words.path("path", ready.path.as_ref(), notes)?;
    words.path("unix", ready.unix_socket.as_ref(), notes)?;
    if let Some(tcp) = &ready.tcp {
        words.plain("tcp", &tcp.value.to_string());
    }
    words.command("command", ready.command.as_ref(), notes)?;
    if let Some(settle) = &ready.settle_ms {
        words.plain("settle", &settle.value.to_string());
    }
    Some(())
}

/// Whether there is something to look at.
fn health_words(health: &HealthDraft, words: &mut Words<'_>, notes: &mut Notes) -> Option<bool> {
    let before = words.text.len();
    words.command("health-command", health.command.as_ref(), notes)?;
    words.path("health-unix", health.unix_socket.as_ref(), notes)?;
    if let Some(tcp) = &health.tcp {
        words.plain("health-tcp", &tcp.value.to_string());
    }
    if let Some(http) = &health.http {
        words.plain("health-http", &http.value);
    }
    if words.text.len() == before {
        for At { span, .. } in &health.rest {
            let hint = "command, tcp, http or unix-socket say what is looked at";
            notes.warning(span, "has no effect", hint);
        }
        return Some(false);
    }
    for At { value: (key, value), .. } in &health.rest {
        words.plain(key, value);
    }
    Some(true)
}

/// `key=value` with a space between them; odd bytes of a value as `%20`.
struct Words<'a> {
    text: String,
    commands: Vec<Command>,
    specifiers: &'a Specifiers<'a>,
}

impl Words<'_> {
    fn plain(&mut self, key: &str, value: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(key);
        self.text.push('=');
        self.text.push_str(&escape(value));
    }

    fn flag(&mut self, holds: bool, word: &str) {
        if holds {
            self.text.push(' ');
            self.text.push_str(word);
        }
    }

    fn path(&mut self, key: &str, path: Option<&At<String>>, notes: &mut Notes) -> Option<()> {
        if let Some(path) = path {
            let expanded = notes.take(&path.span, self.specifiers.expand(&path.value))?;
            self.plain(key, &expanded);
        }
        Some(())
    }

    /// The arguments are divided by commas, which none of them holds then.
    fn command(
        &mut self,
        key: &str,
        argv: Option<&At<Vec<String>>>,
        notes: &mut Notes,
    ) -> Option<()> {
        let Some(At { span, value }) = argv else { return Some(()) };
        let mut argv = At { span: span.clone(), value: Vec::new() };
        for argument in value {
            argv.value.push(notes.take(span, self.specifiers.expand(argument))?);
        }
        self.plain(key, "");
        let escaped: Vec<String> = argv.value.iter().map(|argument| escape(argument)).collect();
        self.text.push_str(&escaped.join(","));
        let key = if key == "command" { "[ready] command" } else { "[health] command" };
        self.commands.push(Command { key, argv, may_fail: false, is_probe: true });
        Some(())
    }
}

fn escape(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' && byte != b',' {
            text.push(char::from(byte));
        } else {
            // Into memory.
            let _ = write!(text, "%{byte:02x}");
        }
    }
    text
}

impl ReadyDraft {
    /// Nothing of it means anything for a unit that does not stay running.
    pub(crate) fn refuse(&self, notes: &mut Notes) {
        if let Some(span) = self.spans().next() {
            notes.error(span, "[ready], [health] and watchdog-sec are for what stays running");
        }
    }

    fn spans(&self) -> impl Iterator<Item = &Range<usize>> {
        let health = &self.health;
        let spans = [
            self.notify.as_ref().map(|at| &at.span),
            self.log_pattern.as_ref().map(|at| &at.span),
            self.log_activity.as_ref().map(|at| &at.span),
            self.path.as_ref().map(|at| &at.span),
            self.unix_socket.as_ref().map(|at| &at.span),
            self.tcp.as_ref().map(|at| &at.span),
            self.command.as_ref().map(|at| &at.span),
            self.settle_ms.as_ref().map(|at| &at.span),
            health.command.as_ref().map(|at| &at.span),
            health.tcp.as_ref().map(|at| &at.span),
            health.http.as_ref().map(|at| &at.span),
            health.unix_socket.as_ref().map(|at| &at.span),
            self.watchdog_ms.as_ref().map(|at| &at.span),
        ];
        spans.into_iter().flatten()
    }
}
