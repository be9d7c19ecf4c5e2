//! Reads a block of the root file system from its disk, past the kernel's cache.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Ourselves: a file that is on the root file system of every machine that runs this.
const FILE: &str = "/proc/self/exe";

/// What is read at a time, and what it is aligned to: as large as any disk's block.
const BLOCK: usize = 4096;

/// A file on the root file system.
#[derive(Debug)]
pub(crate) struct Root {
    file: File,
    length: u64,
    at: u64,
    buffer: Vec<u8>,
}

impl Root {
    pub(crate) fn find() -> io::Result<Self> {
        Self::open(Path::new(FILE))
    }

    /// Without the cache where the file system knows that (open(2)): squashfs and tmpfs do not.
    fn open(path: &Path) -> io::Result<Self> {
        let direct = ettan_sys::host::O_DIRECT;
        let open = |flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
        let file = open(direct).or_else(|_| open(0))?;
        let length = file.metadata()?.len();
        Ok(Self { file, length, at: 0, buffer: vec![0; BLOCK * 2] })
    }

    /// The next block; after the last one the first again.
    pub(crate) fn read(&mut self) -> io::Result<()> {
        let start = self.buffer.as_ptr().align_offset(BLOCK);
        let block = self.buffer.get_mut(start..start.saturating_add(BLOCK)).unwrap_or_default();
        self.file.read_at(block, self.at)?;
        self.at = self.at.saturating_add(BLOCK as u64);
        if self.at >= self.length {
            self.at = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_round_and_round() {
        let path = std::env::temp_dir().join(format!("ettan-pulse-{}", std::process::id()));
        std::fs::write(&path, vec![7; BLOCK + 1]).unwrap();
        let mut root = Root::open(&path).unwrap();
        for at in [0, BLOCK, 0, BLOCK] {
            assert_eq!(root.at, at as u64);
            root.read().unwrap();
            assert!(root.buffer.contains(&7));
            root.buffer.fill(0);
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Root::open(&path).is_err());
        assert!(Root::find().is_ok());
    }
}
