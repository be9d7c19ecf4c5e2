//! Checks a blob once, whole, before anything in it is believed.

use core::fmt;

use ettan_core::{MAX_UNITS, On};

use crate::crc::crc32;
use crate::extra::{EXTRA_WORDS, Extras, MAX_EXTRAS};
use crate::format::{
    HEADER_WORDS, HOOK_WORDS, MAGIC, MAX_ARGUMENTS, MAX_GROUPS, MAX_VARIABLES, NONE,
    SettingsRecord, UNCHECKED_BYTES, VERSION, Word, is_name,
};
use crate::table::{Record, Table, executes};

/// Why a blob is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin like one, or is too short to.
    Magic,
    /// Another version of the layout.
    Version(u32),
    /// It is not as long as it says.
    Length,
    /// The checksum is wrong.
    Checksum,
    /// Its sections do not fill it exactly.
    Sections,
    /// More than `MAX_UNITS`.
    TooMany(u32),
    /// A shared settings record points outside, or is out of bounds.
    Settings(u32),
    /// A unit's record points outside, or means nothing.
    Unit(u32),
    /// Names are not in rising order, each one once.
    Order(u32),
    /// The messages point outside.
    Messages,
    /// What is to be stopped has no name.
    Ended,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("not a unit table"),
            Self::Version(found) => write!(f, "table version {found}, expected {VERSION}"),
            Self::Length => f.write_str("table is cut off"),
            Self::Checksum => f.write_str("table checksum is wrong"),
            Self::Sections => f.write_str("table sections do not add up"),
            Self::TooMany(count) => write!(f, "{count} units, at most {MAX_UNITS}"),
            Self::Settings(index) => write!(f, "settings record {index} is invalid"),
            Self::Unit(index) => write!(f, "unit record {index} is invalid"),
            Self::Order(index) => write!(f, "unit record {index} is out of order"),
            Self::Messages => f.write_str("messages are invalid"),
            Self::Ended => f.write_str("names of ended units are invalid"),
        }
    }
}

impl<'a> Table<'a> {
    /// Checks `blob` and gives access to it.
    ///
    /// # Errors
    /// The first `Fault` found. No part of a faulty blob is usable.
    pub fn read(blob: &'a [u8]) -> Result<Self, Fault> {
        let table = sections(blob, |body, crc| crc32(body) == crc)?;
        for index in 0..table.settings.len() {
            table.check_settings(index).ok_or(Fault::Settings(number(index)))?;
        }
        let mut before = "";
        for index in 0..table.units.len() {
            let fault = Fault::Unit(number(index));
            let record = table.record(index).ok_or(fault)?;
            let name = table.check_unit(&record).ok_or(fault)?;
            if name <= before {
                return Err(Fault::Order(number(index)));
            }
            before = name;
        }
        table.check_messages().ok_or(Fault::Messages)?;
        table.check_ended().ok_or(Fault::Ended)?;
        Ok(table)
    }

    /// Gives access again to a blob that `read` accepted before and that cannot have changed
    /// since (a sealed memfd): cuts it into sections, and checks no more. Should it not be one,
    /// look-ups find nothing, or something wrong, and never panic.
    #[must_use]
    pub fn view(blob: &'a [u8]) -> Option<Self> {
        sections(blob, |_, _| true).ok()
    }

    /// The unit's name, if all of its record holds.
    fn check_unit(&self, record: &Record) -> Option<&'a str> {
        let unit = self.policy(record)?;
        let name = self.text(record.name).filter(|name| is_name(name))?;
        self.text(record.description)?;
        let group = self.text(record.group)?;
        if !group.is_empty() && !is_name(group) {
            return None;
        }
        self.timer_of(record)?;
        self.inside(record.pid_file)?;
        self.inside(record.tty_path)?;
        for word in self.list(record.needs)? {
            if let On::Unit(index) = self.decode_need(u32::from_le_bytes(*word))?.on {
                self.units.get(usize::from(index))?;
            }
        }
        let hooks = self.list(record.hooks)?;
        if !hooks.as_chunks::<HOOK_WORDS>().1.is_empty() {
            return None;
        }
        for [_, argv] in hooks.as_chunks::<HOOK_WORDS>().0 {
            self.check_command(u32::from_le_bytes(*argv))?;
        }
        if !executes(unit.kind) {
            return (hooks.is_empty() && record.settings == NONE).then_some(name);
        }
        self.settings.get(usize::try_from(record.settings).ok()?)?;
        self.check_command(record.argv)?;
        Some(name)
    }

    /// A list of arguments whose first is an absolute path.
    fn check_command(&self, place: u32) -> Option<()> {
        let argv = self.list(place)?;
        self.check_strings(argv, MAX_ARGUMENTS)?;
        let program = self.string(u32::from_le_bytes(*argv.first()?))?;
        program.to_bytes().starts_with(b"/").then_some(())
    }

    fn check_settings(&self, index: usize) -> Option<()> {
        let record: &SettingsRecord = self.settings.get(index)?;
        let [_, _, groups, directory, umask, envp, _, _, log_words, extras, place, probe_words] =
            record.map(u32::from_le_bytes);
        let whole = self.list(groups)?.len() <= MAX_GROUPS
            && umask <= 0o777
            && self.string(directory)?.to_bytes().starts_with(b"/");
        self.check_strings(self.list(envp)?, MAX_VARIABLES)?;
        self.inside(log_words)?;
        self.inside(place)?;
        self.inside(probe_words)?;
        self.check_extras(self.list(extras)?)?;
        whole.then_some(())
    }

    /// Each item has to mean something.
    fn check_extras(&self, words: &[Word]) -> Option<()> {
        let extras = Extras::new(words);
        let count = extras.count_left();
        let whole = count <= MAX_EXTRAS && words.len() == count.checked_mul(EXTRA_WORDS)?;
        (whole && extras.count() == count).then_some(())
    }

    fn check_messages(&self) -> Option<()> {
        let list = self.list(self.messages)?;
        for place in list {
            self.text(u32::from_le_bytes(*place))?;
        }
        list.as_chunks::<2>().1.is_empty().then_some(())
    }

    fn check_ended(&self) -> Option<()> {
        let mut places = self.list(self.ended)?.iter();
        places.all(|place| self.text(u32::from_le_bytes(*place)).is_some_and(is_name)).then_some(())
    }

    fn check_strings(&self, places: &[Word], most: usize) -> Option<()> {
        if places.len() > most {
            return None;
        }
        places.iter().try_for_each(|place| self.inside(u32::from_le_bytes(*place)))
    }

    /// The last string byte is a NUL, so a place inside is a string.
    fn inside(&self, place: u32) -> Option<()> {
        (usize::try_from(place).ok()? < self.strings.len()).then_some(())
    }
}

/// Cuts a blob into its sections, after its header was found to be right and `is_whole` accepts
/// the checksum.
fn sections(blob: &[u8], is_whole: impl Fn(&[u8], u32) -> bool) -> Result<Table<'_>, Fault> {
    let rest = blob.strip_prefix(&MAGIC).ok_or(Fault::Magic)?;
    let (words, tail) = rest.as_chunks::<4>();
    let (header, _) = words.as_chunks::<{ HEADER_WORDS - 2 }>();
    let [version, length, crc, units, policies, settings, count, strings, messages, ended, rescue] =
        header.first().ok_or(Fault::Magic)?.map(u32::from_le_bytes);
    if version != VERSION {
        return Err(Fault::Version(version));
    }
    if usize::try_from(length) != Ok(blob.len()) || !tail.is_empty() {
        return Err(Fault::Length);
    }
    if !blob.get(UNCHECKED_BYTES..).is_some_and(|body| is_whole(body, crc)) {
        return Err(Fault::Checksum);
    }
    if usize::try_from(units).is_ok_and(|units| units > MAX_UNITS) {
        return Err(Fault::TooMany(units));
    }
    if rescue > 1 {
        return Err(Fault::Sections);
    }
    let body = words.get(HEADER_WORDS - 2..).ok_or(Fault::Sections)?;
    let (units, body) = cut(body, units)?;
    let (policies, body) = cut(body, policies)?;
    let (settings, body) = cut(body, settings)?;
    let (words, body) = cut::<1>(body, count)?;
    let strings = string_bytes(body, strings)?;
    let words = words.as_flattened();
    Ok(Table { units, policies, settings, words, strings, messages, ended, is_rescue: rescue == 1 })
}

/// The first `count` records of `N` words, and what follows them.
fn cut<const N: usize>(words: &[Word], count: u32) -> Result<(&[[Word; N]], &[Word]), Fault> {
    let records = usize::try_from(count).map_err(|_| Fault::Sections)?;
    let length = records.checked_mul(N).ok_or(Fault::Sections)?;
    let (section, rest) = words.split_at_checked(length).ok_or(Fault::Sections)?;
    Ok((section.as_chunks().0, rest))
}

/// All that is left must be strings, begin with the empty one, and end with a NUL.
fn string_bytes(words: &[Word], length: u32) -> Result<&[u8], Fault> {
    let bytes = words.as_flattened();
    let whole = usize::try_from(length) == Ok(bytes.len())
        && bytes.first() == Some(&0)
        && bytes.last() == Some(&0);
    if whole { Ok(bytes) } else { Err(Fault::Sections) }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
