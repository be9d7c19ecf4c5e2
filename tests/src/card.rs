//! The image of a card while no board has it: its partitions, and whether they are well. Reads, and
//! changes nothing.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A partition, by its number on the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// The root file system.
    Root = 2,
    /// What must survive, where the root is read-only.
    Data = 3,
}

/// A card.
#[derive(Debug)]
pub struct Card(pub(crate) PathBuf);

/// What e2fsck finds to do on a disk without partitions, or at an address in it.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn problem_of(disk: impl AsRef<OsStr>) -> Option<String> {
    let check = run(Command::new("e2fsck").arg("-fn").arg(disk));
    let text = String::from_utf8_lossy(&check.stdout).into_owned();
    (!check.status.success() || text.contains("recover")).then_some(text)
}

impl Card {
    /// What e2fsck finds to do; None if there is nothing, not even a journal to play back.
    ///
    /// # Panics
    /// When it cannot be run.
    #[must_use]
    pub fn problem(&self, partition: Partition) -> Option<String> {
        problem_of(self.address(partition))
    }

    /// The partition's sum.
    ///
    /// # Panics
    /// When the card cannot be read.
    #[must_use]
    pub fn sha256(&self, partition: Partition) -> String {
        let (start, length) = self.place(partition);
        let script = format!(
            "dd if={} bs=1M iflag=skip_bytes,count_bytes skip={start} count={length} status=none | sha256sum",
            self.0.display()
        );
        let sum = run(Command::new("sh").args(["-ec", &script]));
        let text = String::from_utf8_lossy(&sum.stdout).into_owned();
        assert!(text.len() > 64, "{script}: {sum:?}");
        text
    }

    /// Copies a partition to a file.
    ///
    /// # Panics
    /// When that fails.
    pub fn copy(&self, partition: Partition, to: &std::path::Path) {
        let (start, length) = self.place(partition);
        let mut dd = Command::new("dd");
        dd.arg(format!("if={}", self.0.display())).arg(format!("of={}", to.display()));
        dd.args(["bs=1M", "iflag=skip_bytes,count_bytes", "conv=sparse", "status=none"]);
        let copied = run(dd.arg(format!("skip={start}")).arg(format!("count={length}")));
        assert!(copied.status.success(), "{copied:?}");
    }

    /// As the programs of e2fsprogs want it.
    fn address(&self, partition: Partition) -> String {
        format!("{}?offset={}", self.0.display(), self.place(partition).0)
    }

    /// Where it is and how long, in bytes, by the table in the card's first sector.
    fn place(&self, partition: Partition) -> (u64, u64) {
        const SECTOR: u64 = 512;
        let mut table = [0; SECTOR as usize];
        let read = File::open(&self.0).and_then(|mut card| card.read_exact(&mut table));
        assert!(read.is_ok(), "{}: {read:?}", self.0.display());
        let number = |at: usize| {
            let bytes = table.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            u64::from(u32::from_le_bytes(bytes.unwrap_or_default())) * SECTOR
        };
        let entry = 446 + 16 * (partition as usize - 1);
        (number(entry + 8), number(entry + 12))
    }
}

fn run(command: &mut Command) -> Output {
    let ran = command.output();
    ran.unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()))
}
