//! Turns one unit's output into stamped lines in its files, and owns up to what was lost.
//!
//! Nothing of a unit is held back: an unfinished line is in the file as far as it came, so a
//! unit costs no buffer, and a killed logger takes nothing with it that it had written.

use std::io::{self, Write as _};
use std::path::PathBuf;

use ettan_sys::clock::Moment;

use crate::clock::{CLOCK_BYTES, Clock};
use crate::cut::Marks;
use crate::packet::{Limits, Stream};
use crate::page::{Amount, Page, find_line_end};
use crate::rate::Rate;
use crate::record::{Stamps, TAI_BYTES};
use crate::stage::{Left, Stage};
use crate::stamp::Stamp;
use crate::store::Store;

/// The longest line, in bytes of the service's; a longer one goes on in another line
/// (`tests/FAULTS.md` 6.6).
pub(crate) const MAX_LINE: usize = 8192;

/// The clock record is written again after so many bytes, so that a file whose head is lost is not
/// without one.
const CLOCK_EVERY_BYTES: u64 = 64 * 1024;

/// Where lines have no times, a clock record tells the time, this often at the most.
const CLOCK_EVERY_SECONDS: u64 = 60;

/// What is the same for all units: the time, and the page that text is put together on.
pub(crate) struct Desk<'a> {
    /// When the output at hand was read.
    pub(crate) stamp: Stamp,
    /// The same in seconds.
    pub(crate) second: u64,
    /// How that stands to the time since boot.
    pub(crate) clock: Clock,
    /// Empty between two calls.
    pub(crate) page: Page<'a>,
    /// Where the output at hand is safe until it is written.
    pub(crate) stage: Stage,
}

impl<'a> Desk<'a> {
    /// At the epoch, until told otherwise.
    pub(crate) fn new(page: Page<'a>, stage: Stage) -> Self {
        Desk { stamp: Stamp::new(), second: 0, clock: Clock::new(), page, stage }
    }

    /// Sets the time. True if the wall clock was set since the last call.
    pub(crate) fn set_time(&mut self, moment: Moment) -> bool {
        let wall_ms = u64::try_from(moment.wall_ms).unwrap_or(0);
        self.stamp.set(wall_ms);
        self.second = wall_ms / 1000;
        self.clock.look(moment)
    }

    /// Sets the time to another one of this boot, in milliseconds since it; until the next
    /// [`Desk::set_time`].
    pub(crate) fn set_up_time(&mut self, up_ms: u64) {
        self.stamp.set(self.clock.go_to(up_ms));
    }
}

/// What the byte after the time stamp says of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    /// A line of the service's.
    Line = b' ' as isize,
    /// More of the line before.
    Rest = b'+' as isize,
    /// A line of its standard error, where that is kept apart.
    Error = b'!' as isize,
    /// More of the line of standard error before.
    ErrorRest = b'-' as isize,
    /// Said by Ettan, not by the service.
    Note = b'*' as isize,
    /// Said by syslog(3) or by the kernel; `N>` follows.
    Message = b'<' as isize,
}

impl Lead {
    /// Of what the service writes there: a new line, or the rest of one that was cut.
    const fn of(stream: Stream, is_rest: bool) -> Self {
        match (stream, is_rest) {
            (Stream::Output, false) => Lead::Line,
            (Stream::Output, true) => Lead::Rest,
            (Stream::Error, false) => Lead::Error,
            (Stream::Error, true) => Lead::ErrorRest,
        }
    }
}

/// Which clock record is in the file being written.
#[derive(Clone, Copy, Default)]
struct Told {
    /// `Clock::setting`, 0 for none.
    setting: u32,
    at_byte: u64,
    second: u64,
}

/// What could not be written, and why.
struct Gap {
    amount: Amount,
    /// Nobody knows how many line ends are in some of it.
    is_unread: bool,
    why: io::Error,
}

/// One unit's log.
pub(crate) struct Ledger {
    limits: Limits,
    store: Store,
    /// Bytes of the service's in the line being written; 0 between two lines.
    column: usize,
    /// Where the service wrote that line.
    stream: Stream,
    /// By stream: its line had to be ended before its end, and goes on with what comes next of it.
    cut: [bool; 2],
    /// The same for the logger after us.
    marks: Marks,
    told: Told,
    gap: Option<Gap>,
    rate: Rate,
}

impl Ledger {
    /// A log in this directory. Nothing is created before there is something to write.
    pub(crate) fn new(directory: PathBuf, limits: Limits) -> Self {
        let marks = Marks::new(directory.clone());
        Ledger {
            limits,
            store: Store::new(directory),
            column: 0,
            stream: Stream::Output,
            cut: marks.cut,
            marks,
            told: Told::default(),
            gap: None,
            rate: Rate::default(),
        }
    }

    /// Other limits from now on.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Whether something is lost and not yet owned up to in the file.
    pub(crate) fn has_gap(&self) -> bool {
        self.gap.is_some() || self.rate.has_dropped()
    }

    /// From now on what its oldest files take with them is counted.
    pub(crate) fn count_gone(&mut self) {
        self.store.count_gone();
    }

    /// How many bytes were written to its files since the logger started.
    pub(crate) fn written(&self) -> u64 {
        self.store.written()
    }

    /// What its oldest files took with them.
    pub(crate) fn gone(&self) -> Amount {
        self.store.gone()
    }

    /// Gives its descriptor back until it is written to again.
    pub(crate) fn shed(&mut self) {
        self.store.shed();
    }

    /// Opens the file. The error is for the caller that can free descriptors; without it the
    /// next write finds out for itself.
    pub(crate) fn prepare(&mut self, second: u64) -> io::Result<()> {
        let opened = self.store.prepare(self.limits, second)?;
        if opened {
            self.cut_line();
            // Whoever wrote before was interrupted in a line, and its rest is still to come.
            if self.store.mid_line() {
                self.cut[self.store.last_stream() as usize] = true;
                self.marks.keep(self.cut);
            }
            if self.store.size() == 0 {
                self.told = Told::default();
            }
        }
        Ok(())
    }

    /// Settles what became of the write that a logger was killed in.
    pub(crate) fn settle(&mut self, left: &mut Left, stream: Stream) -> io::Result<()> {
        self.store.settle(left)?;
        self.cut[stream as usize] = left.is_in_line();
        self.marks.keep(self.cut);
        Ok(())
    }

    /// What comes next of this stream goes on in a line that had to be ended before its end.
    pub(crate) fn is_in_line(&self, stream: Stream) -> bool {
        self.cut[stream as usize]
    }

    /// Ends the line being written; more of it is to come, perhaps to the logger after us.
    fn cut_line(&mut self) {
        if self.column > 0 {
            self.column = 0;
            self.cut[self.stream as usize] = true;
            self.marks.keep(self.cut);
        }
    }

    /// Ends all lines: no more of them will come.
    fn end_lines(&mut self) {
        self.column = 0;
        self.cut = [false; 2];
    }

    /// What follows was written to this stream.
    fn turn_to(&mut self, stream: Stream) {
        if self.stream != stream {
            self.cut_line();
            self.stream = stream;
        }
    }

    /// Logs what a service wrote. Never fails and never waits: what cannot be written is
    /// counted, and the file says so as soon as it can be written again.
    pub(crate) fn take(&mut self, desk: &mut Desk<'_>, stream: Stream, output: &[u8]) {
        let mut rest = match self.limits.lines_a_second {
            0 => output,
            limit => {
                if self.rate.to_tell(desk.second).is_some() {
                    self.turn_to(stream);
                    // In its place; what cannot be written is told later.
                    let _ = self.heal(desk);
                }
                let within = self.rate.pass(limit, desk.second, stream, output);
                desk.stage.skip(within.start as u64);
                output.get(within).unwrap_or_default()
            }
        };
        if rest.is_empty() {
            return;
        }
        let output = rest;
        self.turn_to(stream);
        let written = self
            .start(desk)
            .and_then(|()| self.add_lines(desk, &mut rest))
            .and_then(|()| self.write(desk));
        if let Err(why) = written {
            let amount = desk.page.of_service().plus(Amount::of(rest));
            self.lose(desk, amount, why);
            self.cut[stream as usize] = output.last().is_some_and(|byte| *byte != b'\n');
        }
        self.marks.keep(self.cut);
    }

    /// So many bytes that a service wrote are gone, and nobody has seen them: what comes next begins a line.
    pub(crate) fn miss(&mut self, desk: &mut Desk<'_>, stream: Stream, bytes: u64, why: io::Error) {
        self.turn_to(stream);
        self.lose(desk, Amount { bytes, lines: 0 }, why);
        if let Some(gap) = &mut self.gap {
            gap.is_unread = true;
        }
        self.cut[stream as usize] = false;
        self.marks.keep(self.cut);
    }

    /// Logs a message with facility and severity. It may come within an unfinished line, which
    /// goes on after it.
    pub(crate) fn message(&mut self, desk: &mut Desk<'_>, priority: u16, text: &[u8]) {
        let limit = self.limits.lines_a_second;
        if limit > 0 {
            if self.rate.to_tell(desk.second).is_some() {
                // In its place; what cannot be written is told later.
                let _ = self.heal(desk);
            }
            if !self.rate.passes(limit, desk.second, text) {
                return;
            }
        }
        let written = self.start(desk).and_then(|()| {
            for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                for piece in line.chunks(MAX_LINE) {
                    self.add_message(desk, priority, piece)?;
                }
            }
            self.write(desk)
        });
        if let Err(why) = written {
            self.lose(desk, Amount { bytes: text.len() as u64, lines: 1 }, why);
        }
    }

    fn add_message(&mut self, desk: &mut Desk<'_>, priority: u16, line: &[u8]) -> io::Result<()> {
        self.start_line(desk, Lead::Message)?;
        let _ = write!(desk.page, "{priority}>");
        let mut rest = line;
        while !rest.is_empty() {
            if desk.page.room() < 2 {
                self.write(desk)?;
            }
            let (piece, others) = rest.split_at(rest.len().min(desk.page.room() - 1));
            desk.page.add(piece);
            rest = others;
        }
        desk.page.add(b"\n");
        self.cut_line();
        Ok(())
    }

    /// Logs a note of Ettan's own. An unfinished line goes on after it, or has its end here.
    pub(crate) fn note(&mut self, desk: &mut Desk<'_>, text: &str, is_end: bool) {
        let written = self.start(desk).and_then(|()| {
            self.start_line(desk, Lead::Note)?;
            add_note(&mut desk.page, text);
            if is_end {
                self.end_lines();
            } else {
                // Noted before it is so.
                self.cut_line();
            }
            self.write(desk)
        });
        if let Err(why) = written {
            self.lose(desk, Amount { bytes: text.len() as u64, lines: 1 }, why);
            if is_end {
                self.end_lines();
            }
        }
        self.marks.keep(self.cut);
    }

    /// What comes next is of another run: an unfinished line ends, also one that another logger wrote.
    pub(crate) fn end_run(&mut self, desk: &mut Desk<'_>) {
        // What cannot be opened has nothing to be ended.
        let _ = self.prepare(desk.second);
        self.finish(desk);
    }

    /// Ends an unfinished line: no more of it will come.
    pub(crate) fn finish(&mut self, desk: &mut Desk<'_>) {
        let ended = self.heal(desk).and_then(|()| {
            if self.column > 0 {
                self.prepare(desk.second)?;
            }
            if self.store.mid_line() {
                desk.page.add(b"\n");
            }
            self.write(desk)
        });
        if let Err(why) = ended {
            self.lose(desk, Amount::default(), why);
        }
        self.end_lines();
        self.marks.keep(self.cut);
    }

    /// Tries again to say what was lost. Ok if there is nothing left to say.
    pub(crate) fn heal(&mut self, desk: &mut Desk<'_>) -> io::Result<()> {
        let text = match (&self.gap, self.rate.to_tell(desk.second)) {
            (Some(Gap { amount: Amount { bytes, lines }, is_unread, why }), _) => {
                let or_more = if *is_unread { " or more" } else { "" };
                format!("lost {bytes} bytes ({lines} line ends{or_more}) here: {why}")
            }
            (None, Some(Amount { bytes, lines })) => {
                let limit = self.limits.lines_a_second;
                format!(
                    "dropped {bytes} bytes ({lines} line ends) here: over {limit} lines a second"
                )
            }
            (None, None) => return Ok(()),
        };
        let healed = self.prepare(desk.second).and_then(|()| {
            self.start_line(desk, Lead::Note)?;
            add_note(&mut desk.page, &text);
            // Noted before it is so.
            self.cut_line();
            self.write(desk)
        });
        desk.page.clear();
        self.cut_line();
        if healed.is_err() {
            self.told = Told::default();
        }
        healed?;
        if self.gap.take().is_none() {
            self.rate.told();
        }
        Ok(())
    }

    /// Whatever must be before new text: an open file, and the gap.
    fn start(&mut self, desk: &mut Desk<'_>) -> io::Result<()> {
        self.heal(desk)?;
        self.prepare(desk.second)
    }

    fn add_lines(&mut self, desk: &mut Desk<'_>, rest: &mut &[u8]) -> io::Result<()> {
        while let Some(first) = rest.first() {
            let stream = self.stream;
            if self.column == MAX_LINE && *first != b'\n' {
                // The stage knows of it.
                (self.column, self.cut[stream as usize]) = (0, true);
            }
            if self.column == 0 {
                self.start_line(desk, Lead::of(stream, self.is_in_line(stream)))?;
            }
            if desk.page.room() == 0 {
                self.write(desk)?;
            }
            let fits = rest.len().min(desk.page.room()).min((MAX_LINE - self.column).max(1));
            let end = find_line_end(&rest[..fits]);
            let (piece, others) = rest.split_at(end.map_or(fits, |at| at + 1));
            desk.page.add_output(piece);
            *rest = others;
            self.column = if end.is_some() { 0 } else { self.column + piece.len() };
            self.cut[stream as usize] = false;
        }
        Ok(())
    }

    /// Puts the time and the lead at the start of a line, in a new file if this one is full.
    fn start_line(&mut self, desk: &mut Desk<'_>, lead: Lead) -> io::Result<()> {
        let mid_line = match desk.page.text().last() {
            Some(byte) => *byte != b'\n',
            None => self.store.mid_line(),
        };
        if desk.page.room() < HEAD_BYTES {
            self.write(desk)?;
        }
        if mid_line {
            desk.page.add(b"\n");
        }
        if self.size_with(desk) >= self.limits.max_size_bytes || self.is_too_old(desk) {
            self.write(desk)?;
            desk.stage.settle();
            self.store.rotate(self.limits, desk.second)?;
            self.told = Told::default();
        }
        let stamps = self.limits.stamps;
        if self.must_tell_clock(desk) {
            desk.clock.add_to(&mut desk.page, &desk.stamp, stamps);
            let (setting, at_byte) = (desk.clock.setting, self.size_with(desk));
            self.told = Told { setting, at_byte, second: desk.second };
        }
        if stamps != Stamps::None || lead != Lead::Line {
            desk.page.add(desk.stamp.text(stamps));
            desk.page.add(&[lead as u8]);
        }
        Ok(())
    }

    fn is_too_old(&self, desk: &Desk<'_>) -> bool {
        let most = u64::from(self.limits.max_age_sec);
        most > 0 && self.store.age_sec(desk.second) >= most
    }

    fn must_tell_clock(&self, desk: &Desk<'_>) -> bool {
        self.told.setting != desk.clock.setting
            || self.size_with(desk).saturating_sub(self.told.at_byte) >= CLOCK_EVERY_BYTES
            || self.limits.stamps == Stamps::None
                && desk.second.abs_diff(self.told.second) >= CLOCK_EVERY_SECONDS
    }

    /// The size of the file with what is on the page.
    fn size_with(&self, desk: &Desk<'_>) -> u64 {
        self.store.size() + desk.page.text().len() as u64
    }

    /// Writes the page out. A full file system is given the oldest archives first, all of them: what happens
    /// now is worth more, and is nowhere else.
    fn write(&mut self, desk: &mut Desk<'_>) -> io::Result<()> {
        if desk.page.text().is_empty() {
            return Ok(());
        }
        let (length, of_service) = (desk.page.text().len() as u64, desk.page.of_service());
        let (inode, size) = (self.store.inode(), self.store.size());
        desk.stage.intend(inode, size, length, of_service.bytes, self.is_in_line(self.stream));
        loop {
            match self.store.append(desk.page.text()) {
                Err(error) if crate::store::is_full(&error) && self.store.remove_oldest(0) => {}
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        desk.page.clear();
        Ok(())
    }

    fn lose(&mut self, desk: &mut Desk<'_>, amount: Amount, why: io::Error) {
        desk.page.clear();
        // The clock record may have been on it.
        self.told = Told::default();
        let (before, is_unread) =
            self.gap.take().map_or((Amount::default(), false), |gap| (gap.amount, gap.is_unread));
        self.gap = Some(Gap { amount: before.plus(amount), is_unread, why });
        self.cut_line();
    }
}

/// What is before a line's text at the most: the end of the line before, a clock record, a time
/// and the lead, a priority; and a byte of text.
const HEAD_BYTES: usize = 1 + CLOCK_BYTES + TAI_BYTES + 1 + 6 + 1;

/// One line, whatever is in the text.
fn add_note(page: &mut Page<'_>, text: &str) {
    for piece in text.split(['\n', '\r', '\0']) {
        page.add(piece.as_bytes());
    }
    let _ = page.write_all(b"\n");
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
