//! Writes the table. For the loader, on the loader's heap; not for PID 1.

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ettan_core::{Kind, MAX_UNITS, NeedKind, Stage, Timer, Unit};

use crate::LogPolicy;
use crate::crc::crc32;
use crate::extra::{Extra, MAX_EXTRAS};
use crate::format::{
    HEADER_WORDS, MAGIC, MAX_ARGUMENTS, MAX_GROUPS, MAX_VARIABLES, NEED_KIND_BITS, NEED_VALUE,
    NEED_VALUE_BITS, NONE, POLICY_WORDS, SETTINGS_WORDS, UNIT_WORDS, VERSION, flags_to_byte,
    is_name, kind_to_byte, need_kind_to_bits, restart_to_byte, status_to_word,
};
use crate::hash::{HASH_OF_NOTHING, hash_on};
use crate::table::executes;
use crate::timer;

/// One unit to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The policy. `builtin` is not carried; `fingerprint` is computed here.
    pub unit: Unit,
    /// Shown by status.
    pub description: String,
    /// What it needs, by name.
    pub needs: Vec<EntryNeed>,
    /// What to execute; None for a target.
    pub launch: Option<EntryLaunch>,
    /// The name of the file that has this as one of its instances; empty: it has a file of its own.
    pub group: String,
    /// When it is started by itself.
    pub timer: Option<Timer>,
}

/// One need to write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryNeed {
    /// How strongly.
    pub kind: EntryNeedKind,
    /// The name of a unit or of a condition.
    pub name: String,
    /// Whether the name is a condition's.
    pub condition: bool,
}

/// `ettan_core::NeedKind` with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryNeedKind {
    /// Order only.
    After,
    /// Start it too.
    Wants,
    /// Start it first, fail with it.
    Requires,
    /// Start it first, stop whenever it goes.
    BindsTo,
    /// Never up together.
    Conflicts,
    /// Stop and restart with it.
    PartOf,
    /// Start it on a failure.
    OnFailure,
}

impl From<EntryNeedKind> for NeedKind {
    fn from(kind: EntryNeedKind) -> Self {
        match kind {
            EntryNeedKind::After => Self::After,
            EntryNeedKind::Wants => Self::Wants,
            EntryNeedKind::Requires => Self::Requires,
            EntryNeedKind::BindsTo => Self::BindsTo,
            EntryNeedKind::Conflicts => Self::Conflicts,
            EntryNeedKind::PartOf => Self::PartOf,
            EntryNeedKind::OnFailure => Self::OnFailure,
        }
    }
}

/// What to execute, to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryLaunch {
    /// The program and its arguments.
    pub argv: Vec<CString>,
    /// The whole environment, `KEY=value`.
    pub envp: Vec<CString>,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// An absolute path.
    pub working_directory: CString,
    /// At most 0777.
    pub umask: u32,
    /// An absolute path.
    pub pid_file: Option<CString>,
    /// An absolute path.
    pub tty_path: Option<CString>,
    /// How much log to keep.
    pub log: LogPolicy,
    /// What else the logger is told.
    pub log_words: CString,
    /// What the prober is told.
    pub probe_words: CString,
    /// What it has beside the usual.
    pub extras: Vec<Extra>,
    /// What it is to find around it, for the stage that prepares it; empty: nothing special.
    pub place: CString,
    /// The commands around the program, in order.
    pub hooks: Vec<EntryHook>,
}

/// One command around the program, to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryHook {
    /// When it is executed.
    pub stage: Stage,
    /// Its failure is no failure.
    pub may_fail: bool,
    /// The program and its arguments.
    pub argv: Vec<CString>,
}

/// What cannot be written: one of the limits that `Table::read` checks is exceeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// More than `MAX_UNITS`, or two of one name.
    Units,
    /// This unit has too much of something, a bad name, or nothing to execute.
    Unit(String),
    /// The whole is too long for its offsets.
    Length,
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Units => write!(f, "more than {MAX_UNITS} units, or two of one name"),
            Self::Unit(name) => write!(f, "{name}: does not fit a unit table"),
            Self::Length => f.write_str("units do not fit a unit table"),
        }
    }
}

/// A table of `entries`, which may come in any order, and of `messages` (unit or "", text).
///
/// # Errors
/// `Overflow` when a limit is exceeded; nothing is left out silently.
pub fn encode(entries: &[Entry], messages: &[(String, String)]) -> Result<Vec<u8>, Overflow> {
    encode_ending(entries, messages, &[], false)
}

/// As `encode`; units of the names in `ended` are stopped rather than left to run on, and in a
/// rescue there is a shell on the console beside all units.
///
/// # Errors
/// As `encode`.
pub fn encode_ending(
    entries: &[Entry],
    messages: &[(String, String)],
    ended: &[String],
    is_rescue: bool,
) -> Result<Vec<u8>, Overflow> {
    let mut sorted: Vec<&Entry> = Vec::new();
    for entry in entries {
        let place = index_of(&sorted, &entry.unit.name).err().ok_or(Overflow::Units)?;
        sorted.insert(place, entry);
    }
    if sorted.len() > MAX_UNITS {
        return Err(Overflow::Units);
    }
    let mut writer = Writer::new();
    for entry in &sorted {
        let name = || Overflow::Unit(String::from(entry.unit.name.as_str()));
        check(entry).ok_or_else(name)?;
        let record = writer.unit(entry, &sorted).ok_or_else(name)?;
        writer.units.extend(record);
    }
    let mut pairs = Vec::new();
    for (unit, text) in messages {
        pairs.push(writer.text(unit).ok_or(Overflow::Length)?);
        pairs.push(writer.text(text).ok_or(Overflow::Length)?);
    }
    let messages = writer.list(pairs).ok_or(Overflow::Length)?;
    let ended = ended.iter().map(|name| writer.text(name)).collect::<Option<Vec<u32>>>();
    let ended = ended.and_then(|names| writer.list(names)).ok_or(Overflow::Length)?;
    writer.finish([messages, ended, u32::from(is_rescue)]).ok_or(Overflow::Length)
}

/// Where the unit called `name` is in a sorted list, or where it would be.
fn index_of(sorted: &[&Entry], name: &str) -> Result<usize, usize> {
    sorted.binary_search_by(|entry| entry.unit.name.as_str().cmp(name))
}

fn check(entry: &Entry) -> Option<()> {
    let is_command = |argv: &[CString]| {
        argv.first().is_some_and(|program| program.to_bytes().starts_with(b"/"))
            && argv.len() <= MAX_ARGUMENTS
    };
    let fits = |launch: &EntryLaunch| {
        is_command(&launch.argv)
            && launch.hooks.iter().all(|hook| is_command(&hook.argv))
            && launch.working_directory.to_bytes().starts_with(b"/")
            && launch.umask <= 0o777
            && launch.envp.len() <= MAX_VARIABLES
            && launch.groups.len() <= MAX_GROUPS
            && launch.extras.len() <= MAX_EXTRAS
    };
    let whole = is_name(&entry.unit.name)
        && (entry.group.is_empty() || is_name(&entry.group))
        && executes(entry.unit.kind) == entry.launch.is_some()
        && entry.launch.as_ref().is_none_or(fits);
    whole.then_some(())
}

/// The sections as they grow; each shared thing is written once.
#[derive(Default)]
struct Writer {
    units: Vec<u32>,
    policies: Vec<u32>,
    settings: Vec<u32>,
    words: Vec<u32>,
    strings: Vec<u8>,
    policy_places: Places,
    settings_places: Places,
    list_places: Places,
    string_places: Places,
}

/// Where something with these bytes was written before. One type for all four: each would
/// cost kilobytes of code.
type Places = BTreeMap<Vec<u8>, u32>;

impl Writer {
    fn new() -> Self {
        let mut writer = Self::default();
        // Place 0 is the empty string.
        writer.strings.push(0);
        writer.string_places.insert(Vec::new(), 0);
        writer
    }

    fn unit(&mut self, entry: &Entry, sorted: &[&Entry]) -> Option<[u32; UNIT_WORDS]> {
        let unit = &entry.unit;
        let packed = [
            kind_to_byte(unit.kind),
            restart_to_byte(unit.restart),
            unit.kill_signal,
            flags_to_byte(unit),
        ];
        let policy = [
            unit.restart_delay_ms,
            unit.restart_delay_max_ms,
            unit.min_uptime_ms,
            unit.start_timeout_ms,
            unit.stop_timeout_ms,
            u32::from_le_bytes(packed),
            u32::from_le_bytes([
                unit.reload_signal.unwrap_or(0),
                unit.kill_mode as u8,
                unit.start_limit.action as u8,
                unit.nice.cast_unsigned(),
            ]),
            self.list(unit.success.iter().map(status_to_word).collect())?,
            self.list(unit.no_restart.iter().map(status_to_word).collect())?,
            unit.restart_reset_ms,
            u32::from(unit.start_limit.burst),
            unit.start_limit.interval_ms,
        ];
        let policy = shared(&mut self.policies, &mut self.policy_places, &policy)?;
        let needs = entry.needs.iter().map(|need| self.need(need, sorted));
        let needs = needs.collect::<Option<Vec<u32>>>()?;
        let needs = self.list(needs)?;
        let name = self.text(&unit.name)?;
        let description = self.text(&entry.description)?;
        let group = self.text(&entry.group)?;
        let timer = self.list(timer::to_words(entry.timer.as_ref()))?;
        let print = fingerprint(unit.kind, entry.launch.as_ref()).to_le_bytes();
        let [a, b, c, d, e, f, g, h] = print;
        let (low, high) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let Some(launch) = &entry.launch else {
            let none = self.list(Vec::new())?;
            return Some([
                name,
                description,
                policy,
                NONE,
                none,
                needs,
                0,
                0,
                low,
                high,
                none,
                group,
                timer,
            ]);
        };
        let settings = self.settings_of(launch)?;
        let argv = self.list_of_strings(&launch.argv)?;
        let pid_file = self.optional(launch.pid_file.as_ref())?;
        let tty = self.optional(launch.tty_path.as_ref())?;
        let hooks = self.hooks(&launch.hooks)?;
        Some([
            name,
            description,
            policy,
            settings,
            argv,
            needs,
            pid_file,
            tty,
            low,
            high,
            hooks,
            group,
            timer,
        ])
    }

    fn hooks(&mut self, hooks: &[EntryHook]) -> Option<u32> {
        let mut words = Vec::new();
        for hook in hooks {
            let argv = self.list_of_strings(&hook.argv)?;
            let tags = [hook.stage as u8, u8::from(hook.may_fail), 0, 0];
            words.extend([u32::from_le_bytes(tags), argv]);
        }
        self.list(words)
    }

    fn settings_of(&mut self, launch: &EntryLaunch) -> Option<u32> {
        let groups = self.list(launch.groups.clone())?;
        let directory = self.string(launch.working_directory.to_bytes())?;
        let envp = self.list_of_strings(&launch.envp)?;
        let (log, log_words) = (launch.log, self.string(launch.log_words.to_bytes())?);
        let extras = self.extras(&launch.extras)?;
        let place = self.string(launch.place.to_bytes())?;
        let probe_words = self.string(launch.probe_words.to_bytes())?;
        let settings = [
            launch.uid,
            launch.gid,
            groups,
            directory,
            launch.umask,
            envp,
            log.max_size_bytes,
            u32::from(log.max_files),
            log_words,
            extras,
            place,
            probe_words,
        ];
        shared(&mut self.settings, &mut self.settings_places, &settings)
    }

    fn need(&mut self, need: &EntryNeed, sorted: &[&Entry]) -> Option<u32> {
        let kind = need_kind_to_bits(need.kind.into());
        let (sort, value): (u32, u32) = if need.condition {
            (1, self.text(&need.name)?)
        } else if let Ok(index) = index_of(sorted, &need.name) {
            (0, u32::try_from(index).ok()?)
        } else {
            (2, self.text(&need.name)?)
        };
        let word = (kind << NEED_KIND_BITS) | (sort << NEED_VALUE_BITS) | value;
        (value <= NEED_VALUE).then_some(word)
    }

    fn extras(&mut self, extras: &[Extra]) -> Option<u32> {
        let mut words = Vec::new();
        for extra in extras {
            let raw = extra.raw();
            let tags = u32::from_le_bytes([raw.tag, raw.sub, 0, 0]);
            words.push(tags);
            for number in [raw.first, raw.second] {
                let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
                words.extend([u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]);
            }
        }
        self.list(words)
    }

    fn list_of_strings(&mut self, strings: &[CString]) -> Option<u32> {
        let places = strings.iter().map(|string| self.string(string.to_bytes()));
        let places = places.collect::<Option<Vec<u32>>>()?;
        self.list(places)
    }

    fn list(&mut self, items: Vec<u32>) -> Option<u32> {
        let key = bytes_of(&items);
        if let Some(place) = self.list_places.get(&key) {
            return Some(*place);
        }
        let place = u32::try_from(self.words.len()).ok()?;
        self.words.push(u32::try_from(items.len()).ok()?);
        self.words.extend(items);
        self.list_places.insert(key, place);
        Some(place)
    }

    fn optional(&mut self, string: Option<&CString>) -> Option<u32> {
        string.map_or(Some(0), |string| self.string(string.to_bytes()))
    }

    /// Text of our own may hold a NUL that came from a file; it ends there.
    fn text(&mut self, text: &str) -> Option<u32> {
        self.string(text.split('\0').next().unwrap_or("").as_bytes())
    }

    fn string(&mut self, bytes: &[u8]) -> Option<u32> {
        if let Some(place) = self.string_places.get(bytes) {
            return Some(*place);
        }
        let place = u32::try_from(self.strings.len()).ok()?;
        self.strings.extend(bytes);
        self.strings.push(0);
        self.string_places.insert(bytes.into(), place);
        Some(place)
    }

    fn finish(mut self, lists: [u32; 3]) -> Option<Vec<u8>> {
        // Copies of every string and list, and room for more; the largest set of files has none for
        // them beside the table.
        self.string_places.clear();
        self.list_places.clear();
        while !self.strings.len().is_multiple_of(4) {
            self.strings.push(0);
        }
        self.strings.shrink_to_fit();
        let units =
            u32::try_from(self.units.len()).ok()?.checked_div(u32::try_from(UNIT_WORDS).ok()?)?;
        let mut body: Vec<u32> = alloc::vec![
            units,
            u32::try_from(self.policies.len().checked_div(POLICY_WORDS)?).ok()?,
            u32::try_from(self.settings.len().checked_div(SETTINGS_WORDS)?).ok()?,
            u32::try_from(self.words.len()).ok()?,
            u32::try_from(self.strings.len()).ok()?,
        ];
        body.extend(lists);
        body.extend(self.units);
        body.extend(self.policies);
        body.extend(self.settings);
        body.extend(self.words);
        let front = HEADER_WORDS.checked_sub(8)?.checked_mul(4)?;
        let words = body.len().checked_mul(4)?.checked_add(front)?;
        let length = words.checked_add(self.strings.len())?;
        let mut blob = Vec::with_capacity(length);
        blob.extend(MAGIC);
        // The sum comes when what is summed is there.
        for word in [VERSION, u32::try_from(length).ok()?, 0].into_iter().chain(body) {
            blob.extend(word.to_le_bytes());
        }
        blob.extend(self.strings);
        let sum = crc32(blob.get(front..)?);
        blob.get_mut(front.checked_sub(4)?..front)?.copy_from_slice(&sum.to_le_bytes());
        Some(blob)
    }
}

/// The number of a record that many units share, written once.
fn shared(records: &mut Vec<u32>, places: &mut Places, record: &[u32]) -> Option<u32> {
    let key = bytes_of(record);
    if let Some(place) = places.get(&key) {
        return Some(*place);
    }
    let place = u32::try_from(records.len().checked_div(record.len())?).ok()?;
    records.extend(record);
    places.insert(key, place);
    Some(place)
}

fn bytes_of(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A number that changes when what is executed changes, and only then: the kind, the program
/// with its arguments and environment, ids, directory, umask, PID file, terminal, place. FNV-1a over
/// the parts, each with its length in front so that no two sequences look the same.
#[must_use]
pub fn fingerprint(kind: Kind, launch: Option<&EntryLaunch>) -> u64 {
    let mut hash = Hash(HASH_OF_NOTHING);
    hash.part(&[kind_to_byte(kind)]);
    if let Some(launch) = launch {
        for list in [&launch.argv, &launch.envp] {
            hash.number(list.len());
            list.iter().for_each(|string| hash.part(string.to_bytes()));
        }
        let ids = [launch.uid, launch.gid, launch.umask];
        hash.number(launch.groups.len());
        ids.iter().chain(&launch.groups).for_each(|id| hash.part(&id.to_le_bytes()));
        hash.part(launch.working_directory.to_bytes());
        hash.part(launch.place.to_bytes());
        for path in [&launch.pid_file, &launch.tty_path] {
            hash.part(path.as_ref().map_or(&[][..], |path| path.to_bytes()));
        }
        // What runs before the end, or after it, is no reason to end anything.
        let starts = |hook: &&EntryHook| matches!(hook.stage, Stage::Pre | Stage::Post);
        for hook in launch.hooks.iter().filter(starts) {
            hash.part(&[hook.stage as u8, u8::from(hook.may_fail)]);
            hash.number(hook.argv.len());
            hook.argv.iter().for_each(|string| hash.part(string.to_bytes()));
        }
        for extra in &launch.extras {
            let raw = extra.raw();
            hash.part(&[raw.tag, raw.sub]);
            hash.part(&raw.first.to_le_bytes());
            hash.part(&raw.second.to_le_bytes());
        }
    }
    hash.0
}

struct Hash(u64);

impl Hash {
    fn part(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.bytes(bytes);
    }

    /// 64 bits wide everywhere: the hash must not depend on the machine's word.
    fn number(&mut self, number: usize) {
        self.bytes(&u64::try_from(number).unwrap_or(u64::MAX).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0 = hash_on(self.0, bytes);
    }
}
