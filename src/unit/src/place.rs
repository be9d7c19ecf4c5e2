//! What a service is to find around it: directories, mounts, a network, its three descriptors. Turns
//! the keys into words for the stage that prepares it, which PID 1 hands on unread (docs/adr/0027).

use std::ops::Range;

use std::ffi::CString;

use ettan_table::{Extra, Stream, report_fd};
use toml::de::DeValue;

use crate::diagnostic::{Complaint, Notes};
use crate::draft::{At, Draft, Item, boolean, path, text, texts, unknown_value, word};
use crate::reference::shown;
use crate::specifier::Specifiers;
use crate::users::Identity;

/// What the keys say; None where they say nothing.
#[derive(Debug, Default)]
pub(crate) struct PlaceDraft {
    pub(crate) root: Option<At<String>>,
    private_tmp: bool,
    private_network: bool,
    protect: Option<&'static str>,
    writable: Vec<At<String>>,
    runtime: Vec<At<String>>,
    state: Vec<At<String>>,
    logs: Vec<At<String>>,
    streams: [Option<At<Wanted>>; 3],
    /// Each start is written down.
    pub(crate) stamped: bool,
}

/// A value of standard-input, -output or -error.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Null,
    Log,
    LogErr,
    Inherit,
    Tty,
    File(String),
    Append(String),
}

/// What PID 1 and the stage are told.
pub(crate) struct Compiled {
    /// Empty: the program is executed directly.
    pub(crate) words: CString,
    /// For PID 1.
    pub(crate) extras: Vec<Extra>,
    /// The terminal that becomes the controlling one.
    pub(crate) tty_path: Option<String>,
}

/// The terminal of whoever names none.
const CONSOLE: &str = "/dev/console";

pub(crate) fn root_directory(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.place.root = path(item, notes);
}

pub(crate) fn private_tmp(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.place.private_tmp = notes.take(&item.span, boolean(item.value)).unwrap_or(false);
}

pub(crate) fn private_network(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.place.private_network = notes.take(&item.span, boolean(item.value)).unwrap_or(false);
}

pub(crate) fn protect_system(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let words = [
        ("false", None),
        ("true", Some("true")),
        ("full", Some("full")),
        ("strict", Some("strict")),
    ];
    let value = match item.value {
        DeValue::Boolean(true) => Some(Some("true")),
        DeValue::Boolean(false) => Some(None),
        _ => notes.take(&item.span, word(item, &words)),
    };
    draft.place.protect = value.flatten();
}

pub(crate) fn read_write_paths(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let paths = texts(item, notes);
    for At { span, value } in &paths {
        if !value.trim_start_matches('-').starts_with('/') {
            let message = format!("`{}` is not an absolute path", shown(value));
            notes.error_with(
                span,
                message,
                "it begins with `/`, or with `-/` if it may be missing",
            );
        }
    }
    draft.place.writable = paths;
}

pub(crate) fn runtime_directory(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.place.runtime = texts(item, notes);
}

pub(crate) fn state_directory(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.place.state = texts(item, notes);
}

pub(crate) fn logs_directory(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.place.logs = texts(item, notes);
}

pub(crate) fn standard_input(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    stream(draft, 0, item, notes);
}

pub(crate) fn standard_output(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    stream(draft, 1, item, notes);
}

pub(crate) fn standard_error(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    stream(draft, 2, item, notes);
}

fn stream(draft: &mut Draft, number: usize, item: &Item<'_>, notes: &mut Notes) {
    let wanted =
        notes.take(&item.span, text(item.value).and_then(|text| wanted(item.name, &text, number)));
    if let (Some(slot), Some(value)) = (draft.place.streams.get_mut(number), wanted) {
        *slot = Some(At { span: item.span.clone(), value });
    }
}

fn wanted(key: &str, text: &str, number: usize) -> Result<Wanted, Complaint> {
    let is_input = number == 0;
    let absolute = |path: &str| match path.starts_with('/') {
        true => Ok(path.to_string()),
        false => Err(Complaint::new(format!("`{}` is not an absolute path", shown(path)))),
    };
    match (text, text.split_once(':')) {
        ("null", _) => Ok(Wanted::Null),
        ("tty", _) => Ok(Wanted::Tty),
        ("log", _) if !is_input => Ok(Wanted::Log),
        ("inherit", _) if !is_input => Ok(Wanted::Inherit),
        ("log:err", _) if number == 2 => Ok(Wanted::LogErr),
        (_, Some(("file", path))) => absolute(path).map(Wanted::File),
        (_, Some(("append", path))) if !is_input => absolute(path).map(Wanted::Append),
        _ => Err(unknown_value(
            key,
            text,
            match number {
                0 => &["null", "tty", "file:PATH"],
                1 => &["log", "null", "inherit", "tty", "file:PATH", "append:PATH"],
                _ => &["log", "log:err", "null", "inherit", "tty", "file:PATH", "append:PATH"],
            },
        )),
    }
}

impl PlaceDraft {
    /// The variables that tell the service of its directories.
    pub(crate) fn variables(
        &self,
        specifiers: &Specifiers<'_>,
    ) -> impl Iterator<Item = (String, String)> {
        let all = [
            ("RUNTIME_DIRECTORY", "/run", &self.runtime),
            ("STATE_DIRECTORY", "/var/lib", &self.state),
            ("LOGS_DIRECTORY", "/var/log", &self.logs),
        ];
        all.into_iter().filter(|(.., names)| !names.is_empty()).map(|(name, base, names)| {
            // A wrong one is told of where they are compiled.
            let names = names.iter().filter_map(|at| specifiers.expand(&at.value).ok());
            let paths: Vec<String> = names.map(|directory| format!("{base}/{directory}")).collect();
            (name.to_string(), paths.join(":"))
        })
    }

    /// The directories that are made for it.
    pub(crate) fn paths(&self, specifiers: &Specifiers<'_>) -> impl Iterator<Item = String> {
        let all = self.variables(specifiers).map(|(_, paths)| paths);
        all.flat_map(|paths| paths.split(':').map(str::to_string).collect::<Vec<_>>())
    }

    /// What is written for it, by its key: directories that outlive a boot, files of its streams.
    pub(crate) fn written(&self, specifiers: &Specifiers<'_>) -> Vec<(&'static str, At<String>)> {
        let mut found = Vec::new();
        let mut add = |key, span: &Range<usize>, path: &str| {
            // A wrong one is told of where it is compiled.
            if let Ok(value) = specifiers.expand(path) {
                found.push((key, At { span: span.clone(), value }));
            }
        };
        for (key, base, names) in [
            ("state-directory", "/var/lib", &self.state),
            ("logs-directory", "/var/log", &self.logs),
        ] {
            names.iter().for_each(|at| add(key, &at.span, &format!("{base}/{}", at.value)));
        }
        let [_, output, error] = &self.streams;
        for (key, stream) in [("standard-output", output), ("standard-error", error)] {
            if let Some(At { span, value: Wanted::File(path) | Wanted::Append(path) }) = stream {
                add(key, span, path);
            }
        }
        found
    }

    /// What PID 1 and the stage are told. None if something of it cannot be.
    pub(crate) fn compile(
        &self,
        tty: Option<&At<String>>,
        base: &Base<'_>,
        notes: &mut Notes,
    ) -> Option<Compiled> {
        let specifiers = base.specifiers;
        let terminal = match tty {
            Some(path) => notes.take(&path.span, specifiers.expand(&path.value))?,
            None => CONSOLE.to_string(),
        };
        let (streams, mut words) = self.streams(tty.is_some(), &terminal, specifiers, notes)?;
        if let Some(tty) = tty.filter(|_| !self.has_tty(&streams, &words)) {
            notes.warning(&tty.span, "none of the three descriptors is it", "leave tty-path out");
        }
        words.extend(self.directories(specifiers, notes)?);
        words.extend(self.sandbox(specifiers, notes)?);
        words.extend(self.stamped.then(|| "stamp".to_string()));
        let mut extras = Vec::new();
        let usual = if tty.is_some() { [Stream::Tty; 3] } else { USUAL };
        if streams != usual {
            extras.push(Extra::Streams(streams));
        }
        if !self.runtime.is_empty() {
            extras.push(Extra::Leaves);
        }
        if !words.is_empty() {
            words.extend(base.words());
        }
        let tty_path = streams.contains(&Stream::Tty).then_some(terminal);
        CString::new(words.join(" ")).ok().map(|words| Compiled { words, extras, tty_path })
    }

    fn has_tty(&self, streams: &[Stream; 3], words: &[String]) -> bool {
        streams.contains(&Stream::Tty) || words.iter().any(|word| word.contains("=tty:"))
    }

    /// What PID 1 makes of descriptors 0 to 2, and words for what the stage has to make of them.
    fn streams(
        &self,
        has_tty_path: bool,
        terminal: &str,
        specifiers: &Specifiers<'_>,
        notes: &mut Notes,
    ) -> Option<([Stream; 3], Vec<String>)> {
        let [input, output, error] = &self.streams;
        let value = |wanted: &Option<At<Wanted>>| wanted.as_ref().map(|at| at.value.clone());
        let input_is =
            value(input).unwrap_or(if has_tty_path { Wanted::Tty } else { Wanted::Null });
        let usual = if input_is == Wanted::Tty { Wanted::Tty } else { Wanted::Log };
        let output_is = value(output).unwrap_or_else(|| usual.clone());
        let error_is = value(error).unwrap_or(usual);
        let is_controlling = input_is == Wanted::Tty;
        let (mut streams, mut words) = (USUAL, Vec::new());
        let names = ["in", "out", "err"];
        let all = [(input, input_is), (output, output_is), (error, error_is)];
        let mut before = None;
        for (number, ((at, wanted), name)) in all.into_iter().zip(names).enumerate() {
            let file = |way: &str, path: &str, notes: &mut Notes| {
                let span = at.as_ref().map_or(0..0, |at| at.span.clone());
                let path = notes.take(&span, specifiers.expand(path))?;
                Some(format!("{name}={way}:{}", escaped(&path)))
            };
            let made = match wanted {
                Wanted::Null => Ok(Stream::Null),
                Wanted::Log => Ok(Stream::Log),
                Wanted::LogErr => Ok(Stream::Error),
                Wanted::Tty if is_controlling => Ok(Stream::Tty),
                Wanted::Tty => Err(format!("{name}=tty:{}", escaped(terminal))),
                Wanted::File(path) if number == 0 => Err(file("read", &path, notes)?),
                Wanted::File(path) => Err(file("file", &path, notes)?),
                Wanted::Append(path) => Err(file("append", &path, notes)?),
                Wanted::Inherit => match before {
                    Some(Ok(stream)) => Ok(stream),
                    Some(Err(())) | None => Err(format!("{name}=as:{}", number.saturating_sub(1))),
                },
            };
            before = Some(made.as_ref().map_or(Err(()), |stream| Ok(*stream)));
            match (made, streams.get_mut(number)) {
                (Ok(stream), Some(slot)) => *slot = stream,
                (Err(word), _) => words.push(word),
                (Ok(_), None) => {}
            }
        }
        Some((streams, words))
    }

    fn directories(&self, specifiers: &Specifiers<'_>, notes: &mut Notes) -> Option<Vec<String>> {
        let mut words = Vec::new();
        let all = [
            ("run", "/run", &self.runtime),
            ("state", "/var/lib", &self.state),
            ("logs", "/var/log", &self.logs),
        ];
        for (word, base, names) in all {
            for At { span, value } in names {
                let name = specifiers.expand(value).and_then(|name| below(name, base));
                words.push(format!("{word}={}", escaped(&notes.take(span, name)?)));
            }
        }
        Some(words)
    }

    fn sandbox(&self, specifiers: &Specifiers<'_>, notes: &mut Notes) -> Option<Vec<String>> {
        let mut words = Vec::new();
        if let Some(root) = &self.root {
            let path = notes.take(&root.span, specifiers.expand(&root.value))?;
            let path = path.trim_end_matches('/');
            words.extend((!path.is_empty()).then(|| format!("root={}", escaped(path))));
        }
        words.extend(self.private_tmp.then(|| "tmp".to_string()));
        words.extend(self.private_network.then(|| "net".to_string()));
        words.extend(self.protect.map(|protect| format!("protect={protect}")));
        for At { span, value } in &self.writable {
            if self.protect.is_none() {
                let message = "has no effect, since nothing is read-only";
                notes.warning(span, message, "protect-system makes it so");
                break;
            }
            let (name, path) = value.strip_prefix('-').map_or(("rw", &**value), |p| ("rw-", p));
            let path = notes.take(span, specifiers.expand(path))?;
            words.push(format!("{name}={}", escaped(&path)));
        }
        Some(words)
    }
}

/// Descriptor 0 is empty, 1 and 2 are the log.
const USUAL: [Stream; 3] = [Stream::Null, Stream::Log, Stream::Log];

/// What the stage does at the end, instead of the child of PID 1.
pub(crate) struct Base<'a> {
    pub(crate) unit: &'a str,
    pub(crate) identity: &'a Identity,
    pub(crate) umask: u32,
    pub(crate) working_directory: &'a str,
    pub(crate) extras: &'a [Extra],
    pub(crate) specifiers: &'a Specifiers<'a>,
}

impl Base<'_> {
    fn words(&self) -> Vec<String> {
        let Identity { uid, gid, groups, .. } = self.identity;
        let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
        let mut words = vec![
            format!("unit={}", escaped(self.unit)),
            format!("uid={uid} gid={gid} groups={} umask={:o}", groups.join(","), self.umask),
            format!("cwd={}", escaped(self.working_directory)),
        ];
        words.extend(self.extras.iter().filter_map(right));
        words
    }
}

/// Where the stage reports unless it is told.
const USUAL_REPORT: u8 = report_fd(None);

/// PID 1 does the others.
fn right(extra: &Extra) -> Option<String> {
    Some(match extra {
        Extra::Limit { resource, soft, hard } => format!("limit={resource}:{soft}:{hard}"),
        Extra::Nice(nice) => format!("nice={nice}"),
        Extra::IoClass(class) => format!("io={class}"),
        Extra::CpuAffinity(mask) => format!("cpus={mask}"),
        Extra::NoNewPrivileges => "no-new-privileges".to_string(),
        Extra::BoundingSet(set) => format!("bounding={set}"),
        Extra::Ambient(set) => format!("ambient={set}"),
        Extra::ReadyFd(number) => match report_fd(Some(*number)) {
            USUAL_REPORT => return None,
            elsewhere => format!("report={elsewhere}"),
        },
        Extra::OomScoreAdjust(_) | Extra::Share { .. } | Extra::Streams(_) | Extra::Leaves => {
            return None;
        }
    })
}

/// A name below `base`, which it cannot leave.
fn below(name: String, base: &str) -> Result<String, Complaint> {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    if name.split('/').all(plain) && name.len() <= 255 {
        return Ok(name);
    }
    let complaint = Complaint::new(format!("`{}` is no name below {base}", shown(&name)));
    Err(match name.strip_prefix(base).map(|rest| rest.trim_matches('/')) {
        Some(rest) if !rest.is_empty() => complaint.hint(format!("did you mean `{rest}`?")),
        Some(_) | None => complaint.hint("a name like `web` or `web/cache`, without `..`"),
    })
}

/// A value in a word: no space, no control character, no `%` of its own.
fn escaped(value: &str) -> String {
    let mut out = String::new();
    for c in value.chars() {
        match c {
            '%' | ' ' | '\u{7f}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("%{:02x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}
