//! Fetches the files by which a boot partition asks something of units, where it is not mounted yet when
//! units are read first: into /run/ettan/boot, where the loader looks for them. A process of its own looks
//! at the partition, in a mount namespace of its own: a card that does not answer holds nothing up for long,
//! and nothing stays mounted. Runs in the loader; what the files say is the loader's business.

use ettan_sys::poll::{Interest, wait_one};
use ettan_sys::{mount, place, process, signals, words};
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::{self, PipeWriter, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Where the partition shows when it is mounted.
const MOUNTED: [&str; 2] = ["boot/firmware", "boot"];
/// The folder on it.
const FOLDER: &str = "ettan";
/// Where its files go; there once somebody has looked.
const COPIES: &str = "/run/ettan/boot";
/// Where the other process mounts it, for itself.
const PLACE: &str = "/run/ettan/card";

/// A card answers within a fraction of a second, or is broken.
const PATIENCE_MS: u64 = 3_000;

/// As much of a folder, and of a file, as the loader reads, and one more: too many stay too many.
const MAX_FILES: usize = 64;
const MAX_BYTES: u64 = 64 * 1024;

/// Once for each boot: what is changed on the card later counts from the next one on.
pub(crate) fn fetch() {
    let root = Path::new("/");
    if MOUNTED.iter().any(|place| root.join(place).join(FOLDER).is_dir()) {
        return;
    }
    if fs::create_dir(COPIES).is_err() {
        return;
    }
    let Some(device) = partition(root) else { return };
    if let Err(error) = look(&device) {
        let who = format!("the boot partition {}", device.display());
        words::say(&who, format_args!("{error}; it is not asked again"));
    }
    let _ = fs::remove_dir(PLACE);
}

/// Lets the other process look, and waits for its end, but not for long.
fn look(device: &Path) -> io::Result<()> {
    fs::create_dir_all(PLACE)?;
    let (mut words, tell) = io::pipe()?;
    let child = process::fork(|| copy_and_tell(device, &tell))?;
    drop(tell);
    if !wait_one(&words, Interest::Read, Some(PATIENCE_MS))? {
        let _ = process::kill(child, signals::KILL);
        return Err(io::Error::other("it does not answer"));
    }
    // Nothing was said, or all is: PID 1 reaps it.
    let mut text = String::new();
    words.read_to_string(&mut text)?;
    if text.is_empty() { Ok(()) } else { Err(io::Error::other(text)) }
}

/// The other process: copies the files, and says what is in the way.
fn copy_and_tell(device: &Path, mut tell: &PipeWriter) -> i32 {
    let copied = copy(device.into(), Path::new(COPIES));
    if let Err(why) = &copied {
        let _ = tell.write_all(why.as_bytes());
    }
    i32::from(copied.is_err())
}

fn copy(device: OsString, to: &Path) -> Result<(), String> {
    let text = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| "its name holds a NUL".to_owned());
    let (device, own) = (text(device.into_vec())?, text(PLACE.into())?);
    place::own_mounts().map_err(|errno| errno.to_string())?;
    mount::mount_fat(&device, &own).map_err(|errno| errno.to_string())?;
    copy_all(&Path::new(PLACE).join(FOLDER), to)
}

/// Whole files, each under its own name; what is wrong with what one says is the loader's to say. One
/// that cannot be read costs itself: says which.
fn copy_all(from: &Path, to: &Path) -> Result<(), String> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let is_file = |entry: &io::Result<fs::DirEntry>| match entry {
        Ok(entry) => {
            ettan_unit::is_override(&entry.file_name().to_string_lossy())
                && entry.file_type().is_ok_and(|kind| kind.is_file())
        }
        Err(_) => true,
    };
    let copied = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.map_err(|error| format!("what is behind it: {error}"))?;
        let name = entry.file_name();
        copy_file(&entry.path(), to, &name).map_err(|error| format!("{}: {error}", name.display()))
    };
    let files = entries.filter(is_file).take(MAX_FILES.saturating_add(1));
    let bad: Vec<String> = files.filter_map(|entry| copied(entry).err()).collect();
    if bad.is_empty() { Ok(()) } else { Err(bad.join("; ")) }
}

fn copy_file(from: &Path, to: &Path, name: &OsStr) -> io::Result<()> {
    let mut bytes = Vec::new();
    let most = MAX_BYTES.saturating_add(1);
    fs::File::open(from)?.take(most).read_to_end(&mut bytes)?;
    let mut draft = OsString::from(".");
    draft.push(name);
    fs::write(to.join(&draft), &bytes)?;
    fs::rename(to.join(draft), to.join(name))
}

/// The device of the boot partition: as /etc/fstab plainly names it, else that of the root's disk from which
/// the firmware says that it booted, else the first one there.
fn partition(root: &Path) -> Option<PathBuf> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let named = device_of_fstab(&read("etc/fstab"));
    let device = named.or_else(|| {
        let booted = fs::read(root.join("proc/device-tree/chosen/bootloader/partition"));
        let number =
            booted.ok().and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
        let own = root_device(&read("proc/self/mountinfo"), &read("proc/cmdline"))?;
        beside(&root.join(own), number.max(1))
    })?;
    root.join(device.trim_start_matches('/')).exists().then(|| PathBuf::from(device))
}

fn device_of_fstab(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (what, place) = (words.next()?, words.next()?.trim_matches('/'));
        // What is below /dev/disk is udev's, and not there yet.
        let plain = what.starts_with("/dev/") && !what.starts_with("/dev/disk/");
        (plain && MOUNTED.contains(&place)).then(|| what.to_owned())
    })
}

/// What the kernel's tree calls the partition that the root is on.
fn root_device(mounts: &str, command_line: &str) -> Option<String> {
    let mut numbers = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(2);
        let (numbers, _, place) = (words.next()?, words.next()?, words.next()?);
        // An overlay, or a network's: no disk.
        (place == "/" && !numbers.starts_with("0:")).then_some(numbers)
    });
    if let Some(numbers) = numbers.next_back() {
        return Some(format!("sys/dev/block/{numbers}"));
    }
    let words = command_line.split_whitespace();
    let name = words.filter_map(|word| word.strip_prefix("root=/dev/")).next_back()?;
    Some(format!("sys/class/block/{name}"))
}

/// The partition of that number on the same disk. `partition` is a link to where the kernel has it.
fn beside(partition: &Path, number: u32) -> Option<String> {
    let target = fs::read_link(partition).ok()?;
    let disk = target.parent()?.file_name()?;
    if !partition.join("partition").exists() {
        return None;
    }
    for entry in fs::read_dir(partition.join("..")).ok()?.flatten() {
        let name = entry.file_name();
        // What else a disk has there is called otherwise.
        if !name.as_bytes().starts_with(disk.as_bytes()) {
            continue;
        }
        let is = fs::read_to_string(entry.path().join("partition")).ok();
        if is.and_then(|text| text.trim().parse().ok()) == Some(number) {
            return Some(format!("/dev/{}", name.to_str()?));
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A root whose disk has two partitions, the second of which is the root.
    struct Card(PathBuf);

    impl Card {
        fn new(name: &str) -> Self {
            let card = Self(
                std::env::temp_dir().join(format!("ettan-card-{name}-{}", std::process::id())),
            );
            let _ = fs::remove_dir_all(&card.0);
            for number in ["1", "2"] {
                let device = format!("mmcblk0p{number}");
                card.write(&format!("sys/devices/mmcblk0/{device}/partition"), number);
                card.write(&format!("dev/{device}"), "");
                for way in [format!("dev/block/179:{number}"), format!("class/block/{device}")] {
                    let link = card.0.join("sys").join(way);
                    fs::create_dir_all(link.parent().unwrap()).unwrap();
                    symlink(format!("../../devices/mmcblk0/{device}"), link).unwrap();
                }
            }
            card.write(
                "proc/self/mountinfo",
                "21 1 179:2 / / rw - ext4 /dev/root rw\n22 21 0:5 / /dev rw\n",
            );
            card
        }

        fn write(&self, path: &str, text: impl AsRef<[u8]>) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn partition(&self) -> Option<String> {
            partition(&self.0).map(|path| path.to_str().unwrap().to_owned())
        }
    }

    impl Drop for Card {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_boot_partition_is_the_first_beside_the_root_or_what_is_said() {
        let card = Card::new("beside");
        let first = Some("/dev/mmcblk0p1".to_owned());
        assert_eq!(card.partition(), first);
        card.write("etc/fstab", "PARTUUID=1-01 /boot/firmware vfat defaults 0 2\n");
        assert_eq!(card.partition(), first);
        card.write("etc/fstab", "/dev/disk/by-label/bootfs /boot/firmware vfat defaults 0 2\n");
        assert_eq!(card.partition(), first);
        // The firmware tried another one.
        card.write("proc/device-tree/chosen/bootloader/partition", [0, 0, 0, 2]);
        assert_eq!(card.partition(), Some("/dev/mmcblk0p2".to_owned()));
        card.write("etc/fstab", "# /dev/x /boot\n/dev/mmcblk0p1 /boot/ vfat ro\n");
        assert_eq!(card.partition(), first);
        card.write("etc/fstab", "/dev/sdz1 /boot vfat ro\n");
        assert_eq!(card.partition(), None, "it is not there");
    }

    #[test]
    fn a_root_on_no_partition_has_none_beside_it() {
        let card = Card::new("none");
        card.write("proc/self/mountinfo", "21 1 0:17 / / rw - overlay overlay rw\n");
        assert_eq!(card.partition(), None);
        card.write("proc/cmdline", "quiet root=/dev/mmcblk0p2 rootwait\n");
        assert_eq!(card.partition(), Some("/dev/mmcblk0p1".to_owned()));
        card.write("proc/cmdline", "root=/dev/mmcblk0\n");
        assert_eq!(card.partition(), None);
    }

    #[test]
    fn files_are_copied_whole_and_not_without_end() {
        let card = Card::new("copies");
        for (name, text) in [("A.TOM", "x".repeat(10)), ("huge.toml", "x".repeat(100_000))] {
            card.write(&format!("ettan/{name}"), text);
        }
        card.write("ettan/below/no.toml", "");
        for name in ["._huge.toml", "README", "picture.jpg"] {
            card.write(&format!("ettan/{name}"), "");
        }
        let to = card.0.join("to");
        fs::create_dir(&to).unwrap();
        copy_all(&card.0.join("ettan"), &to).unwrap();
        let length = |name: &str| fs::metadata(to.join(name)).unwrap().len();
        assert_eq!((length("A.TOM"), length("huge.toml")), (10, MAX_BYTES + 1));
        assert_eq!(fs::read_dir(&to).unwrap().count(), 2);
        // One that cannot be copied, here since something is in its place, costs no other.
        for name in ["a", "b", "c"] {
            card.write(&format!("ettan/{name}.toml"), name);
        }
        card.write("to/b.toml/here", "");
        let said = copy_all(&card.0.join("ettan"), &to).unwrap_err();
        assert!(said.starts_with("b.toml: ") && !said.contains(';'), "{said}");
        assert_eq!((length("a.toml"), length("c.toml")), (1, 1));
        assert_eq!(copy_all(&card.0.join("nothing"), &to), Ok(()));
        fs::create_dir(card.0.join("all")).unwrap();
        (0..MAX_FILES + 9).for_each(|number| card.write(&format!("many/{number}.toml"), ""));
        copy_all(&card.0.join("many"), &card.0.join("all")).unwrap();
        assert_eq!(fs::read_dir(card.0.join("all")).unwrap().count(), MAX_FILES + 1);
    }
}
