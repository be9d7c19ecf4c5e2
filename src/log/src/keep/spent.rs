//! How much was written to one log's disk in the day at hand. A small file beside the copy keeps that
//! across a reboot, with or without a clock that is right.
//!
//! The file is written when a boot begins to write there, at each rotation, and every ten minutes.
//! What was written since then is judged by the length of `current`.

use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use ettan_sys::clock;

use crate::note::{DAY_MS, Note};
use crate::plain::{self, Access};
use crate::serve::KEEP_EVERY_MS;
use crate::store::Store;

/// The name of the file, beside the copy.
const NAME: &str = ".spent";

/// Its length, always, so that a new one covers the old one. Less than a block of any disk.
const BYTES: usize = 256;

/// How old the file may be while something is written.
const SAVE_EVERY_MS: u64 = 10 * 60 * 1000;

/// What a disk writes at a time.
const BLOCK_BYTES: u64 = 4096;

/// What goes with a round of copying, beside the blocks that the text is in: the journal, and in it the inode; and
/// once more where the file has a new block, of which the maps of the file system tell. Measured on ext4 with blocks
/// of 4 KiB, each write with an fdatasync(2) of its own: 78 bytes cost 16.6 KB, 4,096 cost 32.8 KB, 65,536 cost 94.3 KB.
const ALONG_BYTES: u64 = 12 * 1024;

/// The shortest line with its time and its end: no round has less.
const LINE_LEAST: u64 = 26;

/// What a boot counts for at the least: with no clock at all, a machine that never runs for ten
/// minutes must see the end of a day too.
const BOOT_MS: u64 = 60 * 1000;

/// A clock that shows less (2025) was not set.
const LEAST_WALL_MS: i64 = 1_735_689_600_000;

/// Bytes that the disk wrote, in whole blocks and with what goes along.
pub(super) struct Spent {
    /// In the day at hand.
    pub(super) today: u64,
    /// When that began, in milliseconds since boot; less than 0 for a former boot.
    pub(super) day_ms: i64,
    /// By the wall clock of the boot that began it.
    began_ms: Option<i64>,
    /// Since boot.
    pub(super) total: u64,
    /// Of that, bytes of the log's text.
    pub(super) text: u64,
    /// The length of the copy when the round at hand began, and now.
    round: (u64, u64),
    is_loaded: bool,
    saved_ms: Option<u64>,
}

impl Spent {
    /// What the logger before in this boot knew.
    pub(super) fn of(note: &Note) -> Self {
        Spent {
            today: note.today_bytes,
            day_ms: note.day_ms,
            began_ms: None,
            total: note.total_bytes,
            text: note.text_bytes,
            round: (0, 0),
            is_loaded: note.total_bytes > 0,
            saved_ms: None,
        }
    }

    /// What comes is one with nothing before it, and is added to so many bytes: up to the next sync.
    pub(super) fn begin_round(&mut self, size: u64) {
        self.round = (size, size);
    }

    /// So much text was written.
    pub(super) fn add(&mut self, bytes: u64) {
        let (from, to) = self.round;
        self.round.1 = to.saturating_add(bytes);
        self.text = self.text.saturating_add(bytes);
        self.count(cost(from, self.round.1).saturating_sub(cost(from, to)));
    }

    fn count(&mut self, bytes: u64) {
        self.today = self.today.saturating_add(bytes);
        self.total = self.total.saturating_add(bytes);
    }

    /// How much text more this round can take for so many bytes that the disk may write.
    pub(super) fn room(&self, left: u64) -> u64 {
        let (from, to) = self.round;
        let most = left.saturating_add(cost(from, to));
        let blocks = most.saturating_sub(2 * ALONG_BYTES) / BLOCK_BYTES;
        let grown = (from / BLOCK_BYTES).saturating_add(blocks).saturating_mul(BLOCK_BYTES);
        // In a block that is there already.
        let filled = if most < ALONG_BYTES + BLOCK_BYTES { 0 } else { up_to_block(from) };
        grown.max(filled).saturating_sub(to)
    }

    /// Begins a new day if this one is over.
    pub(super) fn look(&mut self) {
        if self.is_over() {
            (self.today, self.day_ms, self.began_ms) = (0, now(), None);
            self.saved_ms = None;
        }
    }

    /// What was written in the day that it is now.
    pub(super) fn today_now(&self) -> u64 {
        if self.is_over() { 0 } else { self.today }
    }

    fn is_over(&self) -> bool {
        let day = DAY_MS.cast_signed();
        let by_clock = self.began_ms.zip(wall()).is_some_and(|(began, wall)| wall - began >= day);
        now() - self.day_ms >= day || by_clock
    }

    /// When to see whether the day is over, and to note how far it is.
    pub(super) fn look_again_ms(&self) -> u64 {
        let over_ms = u64::try_from(self.day_ms.saturating_add(DAY_MS.cast_signed())).unwrap_or(0);
        over_ms.min(clock::now().saturating_add(SAVE_EVERY_MS))
    }

    /// Goes on with the day of the boot before, whose last words on it are in this directory.
    pub(super) fn load_once(&mut self, directory: &Path, store: &Store) {
        if std::mem::replace(&mut self.is_loaded, true) {
            return;
        }
        (self.today, self.day_ms) = (0, now());
        let mut text = String::new();
        let file = plain::open(directory, NAME, Access::Read);
        if file.and_then(|file| file.take(BYTES as u64).read_to_string(&mut text)).is_err() {
            return;
        }
        let number = |key: &str| -> Option<i64> {
            let mut words = text.split_ascii_whitespace();
            words.find_map(|word| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok())
        };
        let unsigned = |key| number(key).and_then(|number| u64::try_from(number).ok());
        let (Some(bytes), Some(elapsed_ms)) = (unsigned("bytes"), unsigned("elapsed-ms")) else {
            return;
        };
        let is_same = unsigned("inode") == Some(store.inode());
        let before = if is_same { unsigned("size").unwrap_or(0) } else { 0 };
        self.today = bytes.saturating_add(cost_unseen(store.size().saturating_sub(before)));
        let elapsed_ms = elapsed_ms.saturating_add(BOOT_MS).min(DAY_MS);
        self.day_ms = now().saturating_sub(elapsed_ms.cast_signed());
        self.began_ms = number("began-ms").filter(|began| *began >= LEAST_WALL_MS);
        self.look();
    }

    /// Notes it again if that is long ago.
    pub(super) fn save_if_due(&mut self, directory: &Path, store: &Store) {
        if self.saved_ms.is_none_or(|saved| clock::now().saturating_sub(saved) >= SAVE_EVERY_MS) {
            self.save(directory, store);
        }
    }

    /// Notes how it stands. Where that cannot be written, neither can the log.
    pub(super) fn save(&mut self, directory: &Path, store: &Store) {
        // This too; the next sync has the rest of it.
        self.count(BLOCK_BYTES);
        let elapsed_ms = now().saturating_sub(self.day_ms);
        // The clock as it is now: it may have been set since the day began.
        let began_ms = wall().map(|wall| wall - elapsed_ms).or(self.began_ms).unwrap_or(0);
        let Spent { today, .. } = self;
        let (inode, size) = (store.inode(), store.size());
        let text = format!(
            "bytes={today} elapsed-ms={elapsed_ms} began-ms={began_ms} inode={inode} size={size}"
        );
        let text = format!("{text:width$}\n", width = BYTES - 1);
        let file = plain::make(directory, NAME, Access::Write, 0o644);
        if file.and_then(|file| file.write_all_at(text.as_bytes(), 0)).is_ok() {
            self.saved_ms = Some(clock::now());
        }
    }
}

/// What a disk writes in one round of copying that makes a file of so many bytes one of so many.
fn cost(from: u64, to: u64) -> u64 {
    if from == to {
        return 0;
    }
    let blocks = to.div_ceil(BLOCK_BYTES).saturating_sub(from / BLOCK_BYTES);
    let along = if up_to_block(to) > up_to_block(from) { 2 * ALONG_BYTES } else { ALONG_BYTES };
    blocks.saturating_mul(BLOCK_BYTES).saturating_add(along)
}

/// The most that so much text may have cost since the file was written last: nobody knows in how many rounds.
fn cost_unseen(text: u64) -> u64 {
    let rounds = text.div_ceil(LINE_LEAST).min(SAVE_EVERY_MS / KEEP_EVERY_MS);
    up_to_block(text).saturating_add(rounds * (ALONG_BYTES + BLOCK_BYTES))
}

fn up_to_block(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
}

fn now() -> i64 {
    i64::try_from(clock::now()).unwrap_or(i64::MAX)
}

/// The wall clock, if it was set.
fn wall() -> Option<i64> {
    Some(clock::wall()).filter(|wall| *wall >= LEAST_WALL_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const HOUR_MS: i64 = 60 * 60 * 1000;

    /// What a boot makes of these words of the one before.
    fn after_a_reboot(words: &str) -> Spent {
        let name = format!("ettan-spent-{}-{words}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(NAME), words).unwrap();
        let mut spent = Spent::of(&Note::default());
        spent.load_once(&folder, &Store::new(folder.clone()));
        fs::remove_dir_all(folder).unwrap();
        spent
    }

    #[test]
    fn a_line_costs_what_the_disk_writes_for_it() {
        // As measured, from anywhere in a block.
        for (bytes, measured) in [(78, 16_600), (1000, 20_000), (4096, 32_800), (65_536, 94_300)] {
            let sum: u64 = (0..BLOCK_BYTES).map(|from| cost(from, from + bytes)).sum();
            let mean = sum / BLOCK_BYTES;
            assert!(mean.abs_diff(measured) < measured / 40, "{bytes}: {mean}");
        }
        // In pieces as in one, and never more than there is room for.
        let mut spent = Spent::of(&Note::default());
        spent.begin_round(100);
        (0..9).for_each(|_| spent.add(1000));
        assert_eq!((spent.today, spent.text), (cost(100, 9100), 9000));
        for left in [0, 4096, 16_383, 16_384, 30_000, 1 << 20] {
            for from in [0, 1, 4095, 4096] {
                spent.begin_round(from);
                let room = spent.room(left);
                assert!(cost(from, from + room) <= left && cost(from, from + room + 1) > left);
            }
        }
        // Each line may have been a round of its own, but for as many as there can be.
        assert!(cost_unseen(26) > 16_000 && cost_unseen(26_000) < 400_000);
    }

    #[test]
    fn the_day_goes_on_after_a_reboot() {
        // A clock that never was right tells nothing.
        let spent = after_a_reboot(&format!("bytes=500 elapsed-ms={HOUR_MS} began-ms=12"));
        let ago = now() - spent.day_ms - HOUR_MS;
        assert_eq!((spent.today_now(), spent.began_ms), (500, None));
        assert!((60_000..70_000).contains(&ago), "{ago}");
        // One that is right does.
        for (hours, today) in [(1, 500), (23, 500), (25, 0)] {
            let began = clock::wall() - hours * HOUR_MS;
            let spent = after_a_reboot(&format!("bytes=500 elapsed-ms=0 began-ms={began}"));
            assert_eq!(spent.today, today, "{hours}");
        }
        // Without one, boots add up.
        let spent = after_a_reboot(&format!("bytes=500 elapsed-ms={} began-ms=0", DAY_MS - 1));
        assert_eq!(spent.today, 0);
        for nonsense in ["", "bytes=5", "bytes=x elapsed-ms=y", "bytes=-1 elapsed-ms=0"] {
            assert_eq!(after_a_reboot(nonsense).today_now(), 0, "{nonsense}");
        }
    }
}
