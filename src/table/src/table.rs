//! The table as PID 1 sees it: a borrowed blob and the ways to look things up in it.

use core::ffi::CStr;

use ettan_core::{Catalog, Kind, Name, Need, NeedKind, On, Unit};

use crate::extra::Extras;
use crate::format::{
    NEED_VALUE, NEED_VALUE_BITS, NONE, PolicyRecord, SettingsRecord, UnitRecord, Word,
    kind_from_byte, restart_from_byte,
};
use crate::launch::{Launch, LogPolicy, Numbers, Strings, string};

/// A checked table of units, ordered by name. Made by `Table::read`.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    pub(crate) units: &'a [UnitRecord],
    pub(crate) policies: &'a [PolicyRecord],
    pub(crate) settings: &'a [SettingsRecord],
    pub(crate) words: &'a [Word],
    pub(crate) strings: &'a [u8],
    pub(crate) messages: u32,
}

/// Something the loader had to say that is worth showing as long as this table is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The unit it is about, where that is known. A refused unit is not in the table.
    pub unit: Option<&'a str>,
    /// One line: `/etc/units/web.toml:7:1: error: …`.
    pub text: &'a str,
}

/// A unit record with its words as numbers.
pub(crate) struct Record {
    pub(crate) name: u32,
    pub(crate) description: u32,
    pub(crate) policy: u32,
    pub(crate) settings: u32,
    pub(crate) argv: u32,
    pub(crate) needs: u32,
    pub(crate) pid_file: u32,
    pub(crate) tty_path: u32,
    fingerprint: u64,
}

impl<'a> Table<'a> {
    /// What to execute for unit `index`; None past the end and for targets.
    #[must_use]
    pub fn launch(&self, index: usize) -> Option<Launch<'a>> {
        let record = self.record(index)?;
        if record.settings == NONE {
            return None;
        }
        let settings = self.settings.get(usize::try_from(record.settings).ok()?)?;
        let [uid, gid, groups, directory, umask, envp, log_size, log_files, log_words, extras] =
            settings.map(u32::from_le_bytes);
        let argv = self.strings_of(record.argv)?;
        Some(Launch {
            name: self.text(record.name)?,
            description: self.text(record.description)?,
            program: argv.clone().next()?,
            argv,
            envp: self.strings_of(envp)?,
            uid,
            gid,
            groups: Numbers::new(self.list(groups)?),
            working_directory: self.string(directory)?,
            umask,
            pid_file: self.optional(record.pid_file),
            tty_path: self.optional(record.tty_path),
            log: LogPolicy {
                max_size_bytes: log_size,
                max_files: u16::try_from(log_files).unwrap_or(u16::MAX),
            },
            log_words: self.string(log_words)?,
            extras: Extras::new(self.list(extras)?),
        })
    }

    /// The index of the unit called `name`.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.units
            .binary_search_by(|[place, ..]| {
                self.text(u32::from_le_bytes(*place)).unwrap_or("").cmp(name)
            })
            .ok()
    }

    /// The name of unit `index`.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<&'a str> {
        self.text(self.record(index)?.name)
    }

    /// The description of unit `index`; empty when it has none, or there is no such unit.
    #[must_use]
    pub fn description(&self, index: usize) -> &'a str {
        self.record(index).and_then(|record| self.text(record.description)).unwrap_or("")
    }

    /// What the loader had to say, one line each (see `messages` for the units).
    pub fn diagnostics(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.messages().map(|message| message.text)
    }

    /// What the loader had to say, with the unit it is about.
    pub fn messages(&self) -> impl Iterator<Item = Message<'a>> + use<'a> {
        let table = *self;
        let (pairs, _) = self.list(self.messages).unwrap_or(&[]).as_chunks::<2>();
        pairs.iter().filter_map(move |pair| {
            let [unit, text] = pair.map(u32::from_le_bytes);
            let unit = table.text(unit).filter(|name| !name.is_empty());
            Some(Message { unit, text: table.text(text)? })
        })
    }

    pub(crate) fn record(&self, index: usize) -> Option<Record> {
        let words = self.units.get(index)?.map(u32::from_le_bytes);
        let [name, description, policy, settings, argv, needs, pid_file, tty_path, low, high] =
            words;
        let fingerprint = u64::from(low) | (u64::from(high) << 32);
        Some(Record {
            name,
            description,
            policy,
            settings,
            argv,
            needs,
            pid_file,
            tty_path,
            fingerprint,
        })
    }

    /// The policy half of a record; None where its bytes mean nothing.
    pub(crate) fn policy(&self, record: &Record) -> Option<Unit> {
        let policy = self.policies.get(usize::try_from(record.policy).ok()?)?;
        let [delay, delay_max, min_uptime, start, stop, packed] = policy.map(u32::from_le_bytes);
        let [kind, restart, kill_signal, autostart] = packed.to_le_bytes();
        Some(Unit {
            name: Name::try_from(self.text(record.name)?).ok()?,
            kind: kind_from_byte(kind)?,
            restart: restart_from_byte(restart)?,
            restart_delay_ms: delay,
            restart_delay_max_ms: delay_max,
            min_uptime_ms: min_uptime,
            start_timeout_ms: start,
            stop_timeout_ms: stop,
            kill_signal,
            autostart: autostart == 1,
            builtin: false,
            fingerprint: record.fingerprint,
        })
    }

    /// One need as its word says.
    pub(crate) fn decode_need(&self, word: u32) -> Option<Need<'a>> {
        let kind = match word >> 30 {
            0 => NeedKind::After,
            1 => NeedKind::Wants,
            2 => NeedKind::Requires,
            _ => return None,
        };
        let value = word & NEED_VALUE;
        let on = match (word >> NEED_VALUE_BITS) & 3 {
            0 => On::Unit(u16::try_from(value).ok()?),
            1 => On::Condition(self.text(value)?),
            2 => On::Missing(self.text(value)?),
            _ => return None,
        };
        Some(Need { kind, on })
    }

    /// The items of the list at `place`.
    pub(crate) fn list(&self, place: u32) -> Option<&'a [Word]> {
        let (length, rest) = self.words.get(usize::try_from(place).ok()?..)?.split_first()?;
        rest.get(..usize::try_from(u32::from_le_bytes(*length)).ok()?)
    }

    pub(crate) fn string(&self, place: u32) -> Option<&'a CStr> {
        string(self.strings, place)
    }

    pub(crate) fn text(&self, place: u32) -> Option<&'a str> {
        self.string(place)?.to_str().ok()
    }

    fn strings_of(&self, place: u32) -> Option<Strings<'a>> {
        Some(Strings::new(self.list(place)?, self.strings))
    }

    fn optional(&self, place: u32) -> Option<&'a CStr> {
        self.string(place).filter(|string| !string.is_empty())
    }
}

impl Catalog for Table<'_> {
    fn len(&self) -> usize {
        self.units.len()
    }

    fn unit(&self, index: usize) -> Option<Unit> {
        self.policy(&self.record(index)?)
    }

    fn need(&self, index: usize, nth: usize) -> Option<Need<'_>> {
        let word = self.list(self.record(index)?.needs)?.get(nth)?;
        self.decode_need(u32::from_le_bytes(*word))
    }
}

/// Whether a kind has something to execute.
pub(crate) const fn executes(kind: Kind) -> bool {
    match kind {
        Kind::Simple | Kind::Forking | Kind::Oneshot { .. } => true,
        Kind::Target => false,
    }
}
