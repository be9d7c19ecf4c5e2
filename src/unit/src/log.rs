//! `[log]`: what the logger is told about a unit, as words that PID 1 hands on unread.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use ettan_table::LogPolicy;
use toml::de::DeValue;

use crate::diagnostic::{Complaint, Notes};
use crate::draft::{At, Draft, Item, kind_word};
use crate::reference::shown;
use crate::route::{self, Route};
use crate::specifier::Specifiers;
use crate::users::Users;
use crate::{draft, size};

/// What `[log]` says; None where it says nothing.
#[derive(Debug, Default)]
pub(crate) struct LogDraft {
    storage: Option<At<Storage>>,
    directory: Option<At<String>>,
    max_size: Option<u32>,
    max_files: Option<u16>,
    max_age_sec: Option<u32>,
    timestamps: Option<&'static str>,
    rate_limit: Option<u32>,
    flash_budget: Option<At<u64>>,
    user: Option<At<String>>,
    pub(crate) routes: Vec<Route>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Storage {
    Ram,
    Disk,
    Flush,
}

/// The smallest file: a line and what is before it, some times over.
const LEAST_SIZE: u64 = 4096;

/// A day's budget with less lets next to no line pass: the logger counts what the disk writes (docs/adr/0044).
const LEAST_BUDGET_BYTES: u64 = 32 * 1024;

pub(crate) fn storage(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let words = [("ram", Storage::Ram), ("disk", Storage::Disk), ("flush", Storage::Flush)];
    let value = notes.take(&item.span, draft::word(item, &words));
    draft.log.storage = value.map(|value| At { span: item.span.clone(), value });
}

pub(crate) fn directory(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.log.directory = draft::path(item, notes);
}

pub(crate) fn max_size(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = bytes(item.value).and_then(|bytes| match u32::try_from(bytes) {
        Ok(bytes) if u64::from(bytes) >= LEAST_SIZE => Ok(bytes),
        Ok(_) => Err(Complaint::new("smaller than \"4K\", which a long line needs")),
        Err(_) => Err(Complaint::new("larger than \"4G\"")),
    });
    draft.log.max_size = notes.take(&item.span, checked);
}

pub(crate) fn max_files(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = number(item.value).and_then(|number| match u16::try_from(number) {
        Ok(files) if files > 0 => Ok(files),
        Ok(_) | Err(_) => Err(Complaint::new("from 1 to 65535 files can be kept")),
    });
    draft.log.max_files = notes.take(&item.span, checked);
}

pub(crate) fn max_age_sec(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = draft::span(item.value).and_then(|ms| match ms / 1_000 {
        0 => Err(Complaint::new("shorter than a second")),
        seconds => Ok(seconds),
    });
    draft.log.max_age_sec = notes.take(&item.span, checked);
}

pub(crate) fn timestamps(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let words = ["iso", "tai64n", "none"].map(|word| (word, word));
    draft.log.timestamps = notes.take(&item.span, draft::word(item, &words));
}

pub(crate) fn rate_limit(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = number(item.value).and_then(|lines| match lines {
        0 => Err(Complaint::new("no line at all would be logged")),
        lines => Ok(lines),
    });
    draft.log.rate_limit = notes.take(&item.span, checked);
}

pub(crate) fn flash_budget(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let value = notes.take(&item.span, bytes(item.value));
    if value.is_some_and(|bytes| bytes < LEAST_BUDGET_BYTES) {
        let hint = "a line alone costs a disk 16K, and more where the file grows";
        notes.warning(&item.span, "lets nothing be written", hint);
    }
    draft.log.flash_budget = value.map(|value| At { span: item.key.clone(), value });
}

pub(crate) fn user(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let value = notes.take(&item.span, draft::text_or_number(item.value));
    draft.log.user = value.map(|value| At { span: item.span.clone(), value });
}

/// The policy, and the words for the logger. None if something of it cannot be.
pub(crate) fn compile(
    log: &LogDraft,
    specifiers: &Specifiers<'_>,
    users: &Users<'_>,
    notes: &mut Notes,
) -> Option<(LogPolicy, CString)> {
    let usual = LogPolicy::default();
    let policy = LogPolicy {
        max_size_bytes: log.max_size.unwrap_or(usual.max_size_bytes),
        max_files: log.max_files.unwrap_or(usual.max_files),
    };
    let mut words = Vec::new();
    words.extend(log.timestamps.filter(|word| *word != "iso").map(|word| format!("stamps={word}")));
    words.extend(log.max_age_sec.map(|seconds| format!("age={seconds}")));
    words.extend(log.rate_limit.map(|lines| format!("rate={lines}")));
    if let Some(user) = &log.user {
        let identity = notes.take(&user.span, users.user(&user.value, true))?;
        words.push(format!("owner={}:{}", identity.uid, identity.gid));
    }
    words.extend(disk_words(log, specifiers, notes)?);
    let own = words.iter().find_map(|word| word.strip_prefix("dir=")).map(str::to_string);
    words.extend(route::words(&log.routes, own.as_deref(), specifiers, notes)?);
    let words = words.join(" ");
    route::fits(&log.routes, &words, notes)?;
    CString::new(words).ok().map(|words| (policy, words))
}

fn disk_words(
    log: &LogDraft,
    specifiers: &Specifiers<'_>,
    notes: &mut Notes,
) -> Option<Vec<String>> {
    let storage = log.storage.as_ref().map_or(Storage::Ram, |storage| storage.value);
    let word = match storage {
        Storage::Ram => {
            let routed = log.routes.iter().any(Route::is_on_disk);
            let spans = [
                log.directory.as_ref().map(|at| &at.span),
                log.flash_budget.as_ref().filter(|_| !routed).map(|at| &at.span),
            ];
            for span in spans.into_iter().flatten() {
                let hint = "storage = \"disk\" or \"flush\" reads it";
                notes.warning(span, "has no effect for storage `ram`", hint);
            }
            let budget = log.flash_budget.as_ref().filter(|_| routed);
            return Some(
                budget.map(|budget| format!("budget={}", budget.value)).into_iter().collect(),
            );
        }
        Storage::Disk => "disk",
        Storage::Flush => "flush",
    };
    let directory = match &log.directory {
        Some(path) => directory_of(path, specifiers, notes)?,
        None => format!("/var/log/ettan/{}", specifiers.unit),
    };
    let mut words = vec![format!("storage={word}"), format!("dir={directory}")];
    words.extend(log.flash_budget.as_ref().map(|budget| format!("budget={}", budget.value)));
    Some(words)
}

/// A directory for a log, if it can be one.
pub(crate) fn directory_of(
    path: &At<String>,
    specifiers: &Specifiers<'_>,
    notes: &mut Notes,
) -> Option<String> {
    let expanded = notes.take(&path.span, specifiers.expand(&path.value))?;
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    if !expanded.chars().all(plain) || expanded.len() > 255 || expanded.contains("/..") {
        let message = format!("`{}` cannot be a log's directory", shown(&expanded));
        notes.error_with(&path.span, message, "no spaces, no `..`, at most 255 bytes");
        return None;
    }
    Some(expanded)
}

/// The same for all ways to write a directory, as far as no link is on the way.
pub(crate) fn place_of(directory: &str) -> String {
    Path::new(directory).components().collect::<PathBuf>().to_string_lossy().into_owned()
}

/// Where the unit's logs are kept on a disk, its own and those of routes, and which words say so.
pub(crate) fn disk_directories(log: &LogDraft, specifiers: &Specifiers<'_>) -> Vec<At<String>> {
    let routes = log.routes.iter().filter_map(|route| route.directory(specifiers));
    own_directory(log, specifiers).into_iter().chain(routes).collect()
}

fn own_directory(log: &LogDraft, specifiers: &Specifiers<'_>) -> Option<At<String>> {
    let storage = log.storage.as_ref().filter(|storage| storage.value != Storage::Ram)?;
    let value = match &log.directory {
        Some(path) => specifiers.expand(&path.value).ok()?,
        None => format!("/var/log/ettan/{}", specifiers.unit),
    };
    let span = log.directory.as_ref().map_or(&storage.span, |path| &path.span);
    Some(At { span: span.clone(), value })
}

fn bytes(value: &DeValue<'_>) -> Result<u64, Complaint> {
    match value {
        DeValue::String(text) => size::parse(text),
        DeValue::Integer(number) if number.radix() == 10 => size::parse(number.as_str()),
        other => Err(Complaint::new(format!("{} is not a size", kind_word(other)))
            .hint("bytes, or for example \"512K\", \"50M\", \"1G\"")),
    }
}

fn number(value: &DeValue<'_>) -> Result<u32, Complaint> {
    let odd = || Complaint::new(format!("{} is not a whole number", kind_word(value)));
    match value {
        DeValue::Integer(number) if number.radix() == 10 => {
            number.as_str().parse().map_err(|_| Complaint::new("must be between 0 and 4294967295"))
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => Err(odd()),
    }
}
