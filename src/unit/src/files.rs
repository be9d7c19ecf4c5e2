//! Finds unit files: which names there are, which file each comes from, what was skipped.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use ettan_core::MAX_UNITS;
use ettan_table::is_name;

use crate::asked::{Asked, Switch};
use crate::diagnostic::{Diagnostic, Severity};
use crate::document::Content;
use crate::former::Former;
use crate::names::{Names, sort_by};
use crate::reference;
use crate::strays;
use crate::tree::{Owners, below, odd_kind, open, read_still, resolve, resolve_inside, words};

/// The largest unit file in bytes (`tests/FAULTS.md` 5.2).
pub(crate) const MAX_FILE: usize = 64 * 1024;
/// The most unit files: of 1,024 units a few are Ettan's own.
pub(crate) const MAX_FOUND: usize = MAX_UNITS - 8;
/// The most entries of a directory that are looked at: sixteen times what can be loaded.
const MAX_ENTRIES: usize = 16_384;
/// The most files of one directory of which it is said that they are not read: after so many the reason is the same.
const MAX_STRAYS: usize = 16;

/// Where units live; the first wins.
pub(crate) const DIRECTORIES: [&str; 3] = [ADMIN, "/run/units", SHIPPED];
/// Where the admin puts units, and links to those that are enabled.
pub(crate) const ADMIN: &str = "/etc/units";
/// Where packages put units; they start when needed or enabled.
pub(crate) const SHIPPED: &str = "/usr/lib/units";

/// Whether units live in `directory` itself.
#[must_use]
pub fn is_unit_directory(directory: &str) -> bool {
    DIRECTORIES.contains(&directory)
}

/// The file of the unit called `unit`, in the first directory of `root` that has one.
#[must_use]
pub fn file_of(root: &Path, unit: &str) -> Option<PathBuf> {
    let names = DIRECTORIES.iter().map(|directory| format!("{directory}/{unit}.toml"));
    let files = names.map(|name| below(root, Path::new(&name)));
    files.into_iter().find(|file| file.symlink_metadata().is_ok())
}

/// A unit file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The unit's name.
    pub(crate) name: String,
    /// The file as its directory has it, seen from inside the root.
    pub(crate) file: String,
    /// Whether it starts at boot.
    pub(crate) autostart: bool,
    /// Its content.
    pub(crate) bytes: Vec<u8>,
    /// The files that change it, in order.
    pub(crate) drop_ins: Vec<Content>,
}

/// Why a name has no usable unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    /// Its file is a link to /dev/null.
    Masked,
    /// Its file is wrong; a diagnostic says how.
    Refused,
}

/// What the directories hold.
#[derive(Default)]
pub(crate) struct Search {
    /// The files to read units from, by name.
    pub(crate) found: Names<Found>,
    /// The files of templates (`NAME@`), by name.
    pub(crate) templates: Names<Found>,
    /// Names that are taken but have no usable file.
    pub(crate) absent: Names<Absent>,
    /// What is asked of names that have no file: those of instances, or of nobody.
    pub(crate) strangers: Vec<Switch>,
    /// The files that would start at boot, were this no rescue.
    pub(crate) resting: Vec<String>,
    /// What was skipped, and why.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Names that a link to /dev/null does not mask.
    unmasked: Vec<String>,
    /// The first file that was one too many, and how many there were.
    beyond: Option<(String, usize)>,
    /// Drop-ins by unit, then by their own name; without content where masked.
    drop_ins: Names<Names<Option<Content>>>,
}

/// Looks through the directories of `root`, with `files` in place of those of the same name. What is asked to be on is
/// masked by nothing. A directory that cannot be read refuses all units of the former table but those that an earlier
/// directory has decided about.
pub(crate) fn search(root: &Path, files: &[PathBuf], former: &Former<'_>, asked: &Asked) -> Search {
    let mut search = Search { unmasked: asked.on(), ..Search::default() };
    let owners = Owners::of(root);
    for directory in DIRECTORIES {
        search.directory(root, directory, &owners, former);
    }
    let given: Vec<String> = files.iter().filter_map(|file| search.overlay(file, root)).collect();
    search.attach_drop_ins();
    search.part_templates(&given);
    if let Some((first, count)) = search.beyond.take() {
        let message = format!("{count} files from here on are not used: at most {MAX_FOUND} units");
        search.say(Severity::Error, None, &first, (message, None));
    }
    search.warn_of_similar_names();
    search
}

/// The unit that a file is of, and whether it is a drop-in: by its name, and by the directory that it is in.
#[must_use]
pub fn unit_of(file: &Path) -> Option<(String, bool)> {
    let whole = std::path::absolute(file).ok()?;
    let directory = whole.parent().and_then(Path::file_name).and_then(OsStr::to_str);
    let own = whole.file_name()?.to_str()?.strip_suffix(".toml")?;
    let changed = directory.and_then(|directory| directory.strip_suffix(".toml.d"));
    Some((changed.unwrap_or(own).to_string(), changed.is_some()))
}

/// Message and hint.
pub(crate) type Words = (String, Option<String>);

impl Search {
    fn directory(&mut self, root: &Path, directory: &str, owners: &Owners, former: &Former<'_>) {
        let names = match list(root, directory, owners, strays::in_directory) {
            Ok(Listing { names, unseen, strays }) => {
                if unseen {
                    let message = format!("only the first {MAX_ENTRIES} files are looked at");
                    self.say(Severity::Error, None, directory, (message, None));
                }
                self.strays(None, directory, strays);
                names
            }
            Err(ListFault::Missing) if directory != ADMIN => return,
            Err(ListFault::Missing) => {
                let message = "no such directory: no units from it".to_string();
                return self.say(Severity::Warning, None, directory, (message, None));
            }
            Err(ListFault::Bad((mut message, hint))) => {
                if self.refuse_former(former) {
                    message.push_str("; the units that it may have had stay as they were");
                }
                return self.say(Severity::Error, None, directory, (message, hint));
            }
        };
        for (name, is_regular) in names {
            let Some(name) = name.to_str() else {
                let file = format!("{directory}/{}", name.display()).replace('\u{fffd}', "?");
                let message = "the file's name is not UTF-8: skipped".to_string();
                self.say(Severity::Error, None, &file, (message, None));
                continue;
            };
            if let Some(unit) = name.strip_suffix(".toml") {
                self.entry(root, directory, unit, is_regular, owners);
            } else if let Some(unit) = name.strip_suffix(".toml.d") {
                self.drop_ins(root, directory, unit, owners);
            }
        }
    }

    /// Takes the file at `path`, as given on a command line, in place of what the root has of its name: a unit, or one
    /// of the drop-ins of a unit. The name of the unit.
    fn overlay(&mut self, path: &Path, root: &Path) -> Option<String> {
        let file = path.display().to_string();
        let Some((unit, is_drop_in)) = unit_of(path) else {
            let hint = Some("a unit file is called NAME.toml".to_string());
            self.say(Severity::Error, None, &file, ("not a unit file".into(), hint));
            return None;
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        // What was said of the file whose place it takes.
        let inside = if is_drop_in { format!("{unit}.toml.d/{name}") } else { name.clone() };
        let places = DIRECTORIES.map(|directory| format!("{directory}/{inside}"));
        self.diagnostics.retain(|said| said.unit.is_none() || !places.contains(&said.file));
        let looked = odd_name(&unit).map_or_else(|| look_at(path, root, &places), Err);
        let content = match looked {
            Ok(Look::Unit(bytes)) => Some(Content { name: file, bytes }),
            Ok(Look::Masked) => None,
            Err(words) => {
                self.refuse(&unit, &file, words);
                return Some(unit);
            }
        };
        match (is_drop_in, content) {
            (true, content) => self.drop_in(&unit, &name, content),
            (false, Some(Content { name: file, bytes })) => {
                let found = Found {
                    name: unit.clone(),
                    file,
                    autostart: true,
                    bytes,
                    drop_ins: Vec::new(),
                };
                self.absent.remove(&unit);
                self.found.insert(&unit, found);
            }
            (false, None) => {
                self.found.remove(&unit);
                self.absent.insert(&unit, Absent::Masked);
            }
        }
        Some(unit)
    }

    fn drop_in(&mut self, unit: &str, name: &str, content: Option<Content>) {
        self.drop_ins.insert_new(unit, Names::default());
        if let Some(known) = self.drop_ins.get_mut(unit) {
            known.insert(name, content);
        }
    }

    /// Takes the names that are not taken yet, so that no later directory decides about them.
    fn refuse_former(&mut self, former: &Former<'_>) -> bool {
        let before = self.absent.len();
        for name in former.files().filter(|name| !self.found.contains(name)) {
            self.absent.insert_new(name, Absent::Refused);
        }
        self.absent.len() > before
    }

    fn entry(
        &mut self,
        root: &Path,
        directory: &str,
        unit: &str,
        is_regular: bool,
        owners: &Owners,
    ) {
        let file = format!("{directory}/{unit}.toml");
        if self.is_taken(root, unit, &file) {
            return;
        }
        if let Some(words) = odd_name(unit) {
            return self.say(Severity::Error, None, &file.escape_debug().to_string(), words);
        }
        if self.found.len() >= MAX_FOUND {
            let (_, count) = self.beyond.get_or_insert((file, 0));
            *count = count.saturating_add(1);
            return;
        }
        match look(root, &file, is_regular, owners) {
            Ok(Look::Unit(bytes)) => {
                let name = unit.to_string();
                let autostart = directory != SHIPPED;
                let drop_ins = Vec::new();
                self.found.insert(unit, Found { name, file, autostart, bytes, drop_ins });
            }
            Ok(Look::Masked) if self.unmasked.iter().any(|name| name == unit) => {}
            Ok(Look::Masked) => {
                self.absent.insert(unit, Absent::Masked);
            }
            Err(words) => {
                self.say(Severity::Error, Some(unit), &file, words);
                self.absent.insert(unit, Absent::Refused);
            }
        }
    }

    /// Whether an earlier directory has decided about this name.
    fn is_taken(&mut self, root: &Path, unit: &str, file: &str) -> bool {
        let Some(found) = self.found.get(unit) else { return self.absent.contains(unit) };
        // An enabled unit is its shipped file; nothing is hidden then.
        if !same_file(root, &found.file, file) {
            let message = format!("not used: {} comes first", found.file);
            self.say(Severity::Warning, Some(unit), file, (message, None));
        }
        true
    }

    /// Those of one directory. The same name in an earlier directory comes first.
    fn drop_ins(&mut self, root: &Path, directory: &str, unit: &str, owners: &Owners) {
        let folder = format!("{directory}/{unit}.toml.d");
        let names = match list(root, &folder, owners, strays::among_drop_ins) {
            Ok(Listing { names, unseen: false, strays }) => {
                self.strays(Some(unit), &folder, strays);
                names
            }
            Ok(Listing { unseen: true, .. }) => {
                let words = (format!("more than {MAX_ENTRIES} drop-ins"), None);
                return self.refuse(unit, &folder, words);
            }
            Err(ListFault::Missing) => return,
            Err(ListFault::Bad(words)) => return self.refuse(unit, &folder, words),
        };
        for (name, is_regular) in names {
            let name = name.to_string_lossy().into_owned();
            let known = self.drop_ins.get(unit).is_some_and(|known| known.contains(&name));
            if known || !name.ends_with(".toml") {
                continue;
            }
            let file = format!("{folder}/{name}");
            let content = match look(root, &file, is_regular, owners) {
                Ok(Look::Unit(bytes)) => Some(Content { name: file, bytes }),
                Ok(Look::Masked) => None,
                Err(words) => {
                    self.refuse(unit, &file, words);
                    continue;
                }
            };
            self.drop_in(unit, &name, content);
        }
    }

    /// What looks as if it were to be read, and is not.
    fn strays(&mut self, unit: Option<&str>, directory: &str, strays: Vec<(String, Words)>) {
        for (name, words) in strays {
            let file = format!("{directory}/{}", name.escape_debug());
            self.say(Severity::Warning, unit, &file, words);
        }
    }

    /// A unit without its drop-ins would run with other rights than its admin wrote down.
    fn refuse(&mut self, unit: &str, file: &str, words: Words) {
        self.say(Severity::Error, Some(unit), file, words);
        self.found.remove(unit);
        self.absent.insert_new(unit, Absent::Refused);
    }

    /// Gives each unit its drop-ins, those of its template before its own of the same name.
    fn attach_drop_ins(&mut self) {
        let names: Vec<String> = self.found.names().map(ToString::to_string).collect();
        for name in &names {
            let template = template_of(name).filter(|template| template != name);
            let mut list: Vec<(String, Content)> = Vec::new();
            for owner in template.iter().chain([name]) {
                let Some(drop_ins) = self.drop_ins.get(owner) else { continue };
                let pairs = drop_ins.names().zip(drop_ins.values());
                list.extend(
                    pairs.filter_map(|(name, content)| Some((name.to_string(), content.clone()?))),
                );
            }
            sort_by(&mut list, |a, b| a.0.cmp(&b.0));
            if let Some(found) = self.found.get_mut(name) {
                found.drop_ins = list.into_iter().map(|(_, content)| content).collect();
            }
        }
        let known = |name: &str| self.found.contains(name) || self.absent.contains(name);
        let owners = self.drop_ins.names().zip(self.drop_ins.values());
        let lost = owners.filter(|(name, _)| !known(name) && template_of(name).is_none());
        let first = |files: &Names<Option<Content>>| {
            files.values().flatten().next().map(|content| content.name.clone())
        };
        let lost: Vec<(String, Option<String>)> =
            lost.map(|(name, files)| (name.to_string(), first(files))).collect();
        for (name, file) in lost {
            let words = (format!("there is no unit `{name}` that this could change"), None);
            let file = file.unwrap_or_else(|| format!("{name}.toml.d"));
            self.say(Severity::Warning, Some(&name), &file, words);
        }
    }

    /// A template is no unit, but one that is `given` is read like one: somebody wants to know what is wrong with it.
    fn part_templates(&mut self, given: &[String]) {
        let all = core::mem::take(&mut self.found);
        for found in all.into_values() {
            let name = found.name.clone();
            if name.ends_with('@') && given.contains(&name) {
                self.found.insert(&name, found.clone());
            }
            let place = if name.ends_with('@') { &mut self.templates } else { &mut self.found };
            place.insert(&name, found);
        }
    }

    /// Whether a template is called so, with its `@` or without.
    pub(crate) fn is_template(&self, name: &str) -> bool {
        let template = format!("{}@", name.strip_suffix('@').unwrap_or(name));
        self.templates.contains(&template)
    }

    /// The instance called `name`, made of its template; its own drop-ins come last.
    pub(crate) fn instance(&self, name: &str) -> Option<Found> {
        let template = self.templates.get(&template_of(name)?)?;
        let mut found = Found { name: name.into(), autostart: false, ..template.clone() };
        let own = self.drop_ins.get(name);
        found.drop_ins.extend(own.into_iter().flat_map(Names::values).flatten().cloned());
        Some(found)
    }

    /// `Web` and `web` are two units; hardly ever is that meant.
    fn warn_of_similar_names(&mut self) {
        let mut seen: Names<&str> = Names::default();
        let mut pairs = Vec::new();
        for found in self.found.values() {
            let lower = found.name.to_ascii_lowercase();
            if let Some(other) = seen.get(&lower) {
                pairs.push((found.name.clone(), found.file.clone(), (*other).to_string()));
            }
            seen.insert(&lower, &found.name);
        }
        for (name, file, other) in pairs {
            let message = format!("`{name}` and `{other}` differ in upper and lower case only");
            self.say(Severity::Warning, Some(&name), &file, (message, None));
        }
    }

    fn say(&mut self, severity: Severity, unit: Option<&str>, file: &str, words: Words) {
        let (message, hint) = words;
        self.diagnostics.push(Diagnostic {
            severity,
            unit: unit.map(ToString::to_string),
            file: file.into(),
            place: None,
            message,
            hint,
        });
    }
}

/// Why a directory gave nothing.
enum ListFault {
    Missing,
    Bad(Words),
}

impl From<io::Error> for ListFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Missing,
            _ => Self::Bad((format!("cannot be read: {}", words(&error)), None)),
        }
    }
}

/// A name, and whether the directory says that it is a regular file.
type Listed = (OsString, bool);

/// What a directory has, in the order of names.
struct Listing {
    /// Names that can matter.
    names: Vec<Listed>,
    /// Whether there were too many of them.
    unseen: bool,
    /// The first of the others of which there is something to say.
    strays: Vec<(String, Words)>,
}

/// The names in a directory; `odd` knows what is to be said of those that do not matter.
fn list(
    root: &Path,
    directory: &str,
    owners: &Owners,
    odd: fn(&str, bool) -> Option<Words>,
) -> Result<Listing, ListFault> {
    let path = resolve(root, Path::new(directory))?;
    let metadata = std::fs::metadata(&path)?;
    if let Some((message, hint)) = owners.distrust("the directory", &metadata) {
        return Err(ListFault::Bad((format!("{message}: no unit in it is used"), Some(hint))));
    }
    let (mut names, mut strays) = (Vec::new(), Vec::new());
    let mut unseen = false;
    for entry in std::fs::read_dir(&path)? {
        let entry = entry?;
        let name = entry.file_name();
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().ok();
        if bytes.ends_with(b".toml") || bytes.ends_with(b".toml.d") {
            names.push((name, kind.is_some_and(|kind| kind.is_file())));
            unseen |= names.len() > 2 * MAX_ENTRIES && first(&mut names, MAX_ENTRIES);
            continue;
        }
        let name = name.to_string_lossy().into_owned();
        let words = odd(&name, kind.is_some_and(|kind| kind.is_dir()));
        strays.extend(words.map(|words| (name, words)));
        if strays.len() > 2 * MAX_STRAYS {
            first(&mut strays, MAX_STRAYS);
        }
    }
    unseen |= first(&mut names, MAX_ENTRIES);
    first(&mut strays, MAX_STRAYS);
    Ok(Listing { names, unseen, strays })
}

/// Bounded memory, and the same choice every time: the first stay, in order. Whether others went.
fn first<T: Ord, U>(list: &mut Vec<(T, U)>, most: usize) -> bool {
    sort_by(list, |a, b| a.0.cmp(&b.0));
    let unseen = list.len() > most;
    list.truncate(most);
    unseen
}

/// What is behind a name.
pub(crate) enum Look {
    Unit(Vec<u8>),
    Masked,
}

/// Opens one unit file, with every reason not to believe it.
fn look(root: &Path, file: &str, is_regular: bool, owners: &Owners) -> Result<Look, Words> {
    let skipped = |error: io::Error| (format!("cannot be read: {}", words(&error)), None);
    let outside = below(root, Path::new(file));
    if is_regular {
        return read_unit(&outside, true, Some(owners));
    }
    let is_link = std::fs::symlink_metadata(&outside).map_err(skipped)?.is_symlink();
    let mut path = outside;
    if is_link {
        let inside = resolve_inside(root, Path::new(file)).map_err(skipped)?;
        if inside == Path::new("/dev/null") {
            return Ok(Look::Masked);
        }
        path = below(root, &inside);
        let directory = path.parent().unwrap_or(root);
        let metadata = std::fs::metadata(directory).map_err(skipped)?;
        let what =
            format!("{}, where this link leads,", inside.parent().unwrap_or(&inside).display());
        if let Some((message, _)) = owners.distrust(&what, &metadata) {
            // That directory may be everybody's for a reason, as /tmp is.
            return Err((message, Some("move the file to a folder of root's".into())));
        }
    }
    read_unit(&path, false, Some(owners))
}

/// A file that was given: what PID 1 would find at one of the `places` is looked at as it does; anything else is
/// somebody's draft, and believed.
fn look_at(path: &Path, root: &Path, places: &[String]) -> Result<Look, Words> {
    let real = |path: &Path| std::fs::canonicalize(path.parent()?).ok();
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let its = real(&whole);
    let place =
        places.iter().find(|place| its.is_some() && real(&below(root, Path::new(place))) == its);
    match place {
        Some(place) => look(root, place, false, &Owners::of(root)),
        None => read_unit(path, false, None),
    }
}

/// Without owners, anybody's file is believed.
pub(crate) fn read_unit(
    path: &Path,
    is_regular: bool,
    owners: Option<&Owners>,
) -> Result<Look, Words> {
    let skipped = |error: io::Error| (format!("cannot be read: {}", words(&error)), None);
    let odd = |metadata: &std::fs::Metadata| {
        odd_kind(metadata.file_type())
            .map(|kind| (format!("{kind}, not a regular file: skipped"), None))
    };
    // Once before opening (a device may act on it), once on what was opened.
    if !is_regular {
        odd(&std::fs::metadata(path).map_err(skipped)?).map_or(Ok(()), Err)?;
    }
    let mut file = open(path).map_err(skipped)?;
    let metadata = file.metadata().map_err(skipped)?;
    odd(&metadata).map_or(Ok(()), Err)?;
    if let Some((message, hint)) = owners.and_then(|o| o.distrust("the file", &metadata)) {
        return Err((format!("{message}: refused"), Some(hint)));
    }
    let bytes = read_still(path, &mut file, MAX_FILE).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => ("changes while it is read: refused".into(), None),
        _ => skipped(error),
    })?;
    let message = || (format!("longer than {} KiB: refused", MAX_FILE / 1024), None);
    bytes.map(Look::Unit).ok_or_else(message)
}

/// After `ettan-`: the units and logs of Ettan's own.
const OWN_NAMES: [&str; 7] = ["log", "watch", "load", "probe", "rescue", "syslog", "kernel"];

/// Why a file cannot give its name to a unit.
pub fn odd_name(unit: &str) -> Option<Words> {
    if !is_name(unit) {
        let message = "the file's name cannot be a unit's: skipped".to_string();
        let hint = "1 to 64 letters, digits and `:_.@-`, and `.toml`";
        return Some((message, Some(hint.into())));
    }
    let of_our_own = unit.strip_prefix("ettan-").is_some_and(|rest| OWN_NAMES.contains(&rest));
    if unit == "ettan" || of_our_own {
        return Some(("the name of a unit or a log of Ettan's own: skipped".into(), None));
    }
    if unit.starts_with('@') {
        return Some(("a template has a name in front of the `@`: skipped".into(), None));
    }
    reference::taken_by_condition(unit).map(|condition| {
        (format!("`{unit}` is a name of the condition `{condition}`: skipped"), None)
    })
}

fn same_file(root: &Path, one: &str, other: &str) -> bool {
    let real = |file: &str| resolve_inside(root, Path::new(file)).ok();
    real(one).is_some() && real(one) == real(other)
}

/// `getty@` for `getty@tty1`; None for what is no instance.
#[must_use]
pub fn template_of(name: &str) -> Option<String> {
    let (prefix, _) = name.split_once('@')?;
    (!prefix.is_empty()).then(|| format!("{prefix}@"))
}
