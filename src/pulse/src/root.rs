//! Reads a block of the root file system from its disk, past the kernel's cache: what is in the cache says
//! nothing about a card.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Ourselves: a file that is on the root file system of every machine that runs this.
const FILE: &str = "/proc/self/exe";

/// Where the kernel says what a device is called, by its number (sysfs(5)).
const DEVICES: &str = "/sys/dev/block";

/// What is read at a time, and what it is aligned to: as large as any disk's block.
const BLOCK: usize = 4096;

/// A file on the root file system, or the disk beneath it.
#[derive(Debug)]
pub(crate) struct Root {
    file: File,
    length: u64,
    at: u64,
    buffer: Vec<u8>,
    /// What is read comes from the disk.
    pub(crate) is_direct: bool,
}

impl Root {
    pub(crate) fn find() -> io::Result<Self> {
        Self::open(Path::new(FILE), Path::new(DEVICES))
    }

    /// Where a file system cannot be read past the cache (O_DIRECT of open(2)), as squashfs, its disk can.
    fn open(path: &Path, devices: &Path) -> io::Result<Self> {
        let direct = |path: &Path| {
            let mut how = OpenOptions::new();
            how.read(true).custom_flags(ettan_sys::host::O_DIRECT).open(path)
        };
        if let Ok(file) = direct(path) {
            return Self::of(file, true);
        }
        match disk_of(path, devices).and_then(|disk| direct(&disk).ok()) {
            Some(disk) => Self::of(disk, true),
            None => Self::of(File::open(path)?, false),
        }
    }

    fn of(mut file: File, is_direct: bool) -> io::Result<Self> {
        // A device has no length of its own.
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self { file, length, at: 0, buffer: vec![0; BLOCK * 2], is_direct })
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

/// The disk that this file is on: none beneath an overlay or in memory. A loop device reads a file, through the
/// cache as a rule.
fn disk_of(path: &Path, devices: &Path) -> Option<PathBuf> {
    let number = fs::metadata(path).ok()?.dev();
    let (major, minor) = (ettan_sys::host::major(number), ettan_sys::host::minor(number));
    let said = fs::read_to_string(devices.join(format!("{major}:{minor}/uevent"))).ok()?;
    let name = said.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
    if ["loop", "ram", "zram"].iter().any(|none| name.starts_with(none)) {
        return None;
    }
    Some(Path::new("/dev").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_round_and_round() {
        let path = std::env::temp_dir().join(format!("ettan-pulse-{}", std::process::id()));
        std::fs::write(&path, vec![7; BLOCK + 1]).unwrap();
        let mut root = Root::open(&path, Path::new(DEVICES)).unwrap();
        for at in [0, BLOCK, 0, BLOCK] {
            assert_eq!(root.at, at as u64);
            root.read().unwrap();
            assert!(root.buffer.contains(&7));
            root.buffer.fill(0);
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Root::open(&path, Path::new(DEVICES)).is_err());
        assert!(Root::find().is_ok());
    }

    #[test]
    fn the_disk_beneath_a_file_is_found_by_its_number() {
        let folder = std::env::temp_dir().join(format!("ettan-disk-{}", std::process::id()));
        let number = fs::metadata(std::env::temp_dir()).unwrap().dev();
        let (major, minor) = (ettan_sys::host::major(number), ettan_sys::host::minor(number));
        let device = folder.join(format!("{major}:{minor}"));
        fs::create_dir_all(&device).unwrap();
        assert_eq!(disk_of(&folder, &folder), None);
        fs::write(device.join("uevent"), "MAJOR=179\nDEVNAME=mmcblk0p2\nDEVTYPE=partition\n")
            .unwrap();
        assert_eq!(disk_of(&folder, &folder), Some("/dev/mmcblk0p2".into()));
        fs::write(device.join("uevent"), "DEVNAME=loop0\n").unwrap();
        assert_eq!(disk_of(&folder, &folder), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
