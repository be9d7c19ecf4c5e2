//! The table as PID 1 sees it: a borrowed blob and the ways to look things up in it.

use core::ffi::CStr;

use ettan_core::{Catalog, Hooks, Kind, Name, Need, On, Stage, StartLimit, Statuses, Timer, Unit};

use crate::extra::Extras;
use crate::format::{
    Flags, HOOK_WORDS, KILL_MODES, LIMIT_ACTIONS, NEED_KIND_BITS, NEED_VALUE, NEED_VALUE_BITS,
    NONE, PolicyRecord, STAGES, SettingsRecord, UnitRecord, Word, kind_from_byte,
    need_kind_from_bits, restart_from_byte, status_from_word,
};
use crate::launch::{HookCommand, Launch, LogPolicy, Numbers, Strings, string};
use crate::timer;

/// A checked table of units, ordered by name. Made by `Table::read`.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    pub(crate) units: &'a [UnitRecord],
    pub(crate) policies: &'a [PolicyRecord],
    pub(crate) settings: &'a [SettingsRecord],
    pub(crate) words: &'a [Word],
    pub(crate) strings: &'a [u8],
    pub(crate) messages: u32,
    pub(crate) ended: u32,
    pub(crate) is_rescue: bool,
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
    pub(crate) hooks: u32,
    pub(crate) group: u32,
    timer: u32,
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
        let [
            uid,
            gid,
            groups,
            directory,
            umask,
            envp,
            log_size,
            log_files,
            log_words,
            extras,
            place,
            probe_words,
        ] = settings.map(u32::from_le_bytes);
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
            probe_words: self.string(probe_words)?,
            extras: Extras::new(self.list(extras)?),
            place: self.string(place)?,
        })
    }

    /// The commands around the program of unit `index`, in order; none past the end.
    pub fn hooks(&self, index: usize) -> impl Iterator<Item = HookCommand<'a>> + use<'a> {
        let record = self.record(index);
        let list = record.and_then(|record| self.list(record.hooks)).unwrap_or(&[]);
        let table = *self;
        list.as_chunks::<HOOK_WORDS>().0.iter().filter_map(move |pair| table.hook(pair))
    }

    /// Command number `nth` of a stage of unit `index`.
    #[must_use]
    pub fn hook_command(&self, index: usize, stage: Stage, nth: u8) -> Option<HookCommand<'a>> {
        self.hooks(index).filter(|hook| hook.stage == stage).nth(usize::from(nth))
    }

    pub(crate) fn hook(&self, [tags, argv]: &[Word; HOOK_WORDS]) -> Option<HookCommand<'a>> {
        let [stage, may_fail, _, _] = *tags;
        let stage = *STAGES.get(usize::from(stage))?;
        let argv = self.strings_of(u32::from_le_bytes(*argv))?;
        Some(HookCommand { stage, may_fail: may_fail == 1, argv })
    }

    fn count_hooks(&self, record: &Record) -> Option<Hooks> {
        let mut hooks = Hooks::default();
        for pair in self.list(record.hooks)?.as_chunks::<HOOK_WORDS>().0 {
            let command = self.hook(pair)?;
            let commands = hooks.of_mut(command.stage);
            let bit = 1_u8.checked_shl(u32::from(commands.count))?;
            if command.may_fail {
                commands.tolerant |= bit;
            }
            commands.count = commands.count.checked_add(1)?;
        }
        Some(hooks)
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

    /// The name of the file that has unit `index` as one of its instances; empty when it has a file
    /// of its own, or there is no such unit.
    #[must_use]
    pub fn group(&self, index: usize) -> &'a str {
        self.record(index).and_then(|record| self.text(record.group)).unwrap_or("")
    }

    /// The names of units that are one less of what a file asks for: they are stopped.
    pub fn ended(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let table = *self;
        let places = self.list(self.ended).unwrap_or(&[]).iter();
        places.filter_map(move |place| table.text(u32::from_le_bytes(*place)))
    }

    /// A shell on the console is asked for, whatever starts.
    #[must_use]
    pub fn is_rescue(&self) -> bool {
        self.is_rescue
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
        let [
            name,
            description,
            policy,
            settings,
            argv,
            needs,
            pid_file,
            tty_path,
            low,
            high,
            hooks,
            group,
            timer,
        ] = words;
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
            hooks,
            group,
            timer,
            fingerprint,
        })
    }

    /// The policy half of a record; None where its bytes mean nothing.
    pub(crate) fn policy(&self, record: &Record) -> Option<Unit> {
        let policy = self.policies.get(usize::try_from(record.policy).ok()?)?;
        let [
            delay,
            delay_max,
            min_uptime,
            start,
            stop,
            packed,
            more,
            success,
            no_restart,
            reset,
            burst,
            interval,
        ] = policy.map(u32::from_le_bytes);
        let [kind, restart, kill_signal, flags] = packed.to_le_bytes();
        let [reload_signal, kill_mode, action, nice] = more.to_le_bytes();
        let Flags { autostart, probes, skipped, critical, reload_answers, holds_data } =
            Flags::from_byte(flags)?;
        Some(Unit {
            name: Name::try_from(self.text(record.name)?).ok()?,
            kind: kind_from_byte(kind)?,
            restart: restart_from_byte(restart)?,
            restart_delay_ms: delay,
            restart_delay_max_ms: delay_max,
            restart_reset_ms: reset,
            start_limit: StartLimit {
                burst: u16::try_from(burst).ok()?,
                interval_ms: interval,
                action: *LIMIT_ACTIONS.get(usize::from(action))?,
            },
            min_uptime_ms: min_uptime,
            start_timeout_ms: start,
            stop_timeout_ms: stop,
            kill_signal,
            kill_mode: *KILL_MODES.get(usize::from(kill_mode))?,
            reload_signal: Some(reload_signal).filter(|signal| *signal > 0),
            reload_answers,
            success: self.statuses(success)?,
            no_restart: self.statuses(no_restart)?,
            hooks: self.count_hooks(record)?,
            probes,
            autostart,
            skipped,
            critical,
            holds_data,
            nice: nice.cast_signed(),
            builtin: false,
            fingerprint: record.fingerprint,
        })
    }

    /// When the unit is started by itself; None where the words mean nothing.
    pub(crate) fn timer_of(&self, record: &Record) -> Option<Option<Timer>> {
        timer::of_words(self.list(record.timer)?)
    }

    /// The exit statuses of the list at `place`; None where one means nothing, or they do not fit.
    fn statuses(&self, place: u32) -> Option<Statuses> {
        let mut statuses = Statuses::NONE;
        for word in self.list(place)? {
            let status = status_from_word(u32::from_le_bytes(*word))?;
            statuses.add(status).then_some(())?;
        }
        Some(statuses)
    }

    /// One need as its word says.
    pub(crate) fn decode_need(&self, word: u32) -> Option<Need<'a>> {
        let kind = need_kind_from_bits(word >> NEED_KIND_BITS)?;
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

    fn timer(&self, index: usize) -> Option<Timer> {
        self.timer_of(&self.record(index)?)?
    }

    fn ends(&self, name: &str) -> bool {
        self.ended().any(|ended| ended == name)
    }
}

/// Whether a kind has something to execute.
pub(crate) const fn executes(kind: Kind) -> bool {
    match kind {
        Kind::Simple | Kind::Notify | Kind::Forking | Kind::Oneshot { .. } => true,
        Kind::Target => false,
    }
}
