//! The file with the seed: taken away before it is used, and put there whole. Knows nothing of what
//! the kernel does with it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ettan_sys::random::SEED;

/// More than any seed has; what is larger is something else.
const MOST: u64 = 4_096;

/// A serial number has 16 digits, the number of a card 32.
const CARD_MOST: usize = 64;

/// What was in the file.
#[derive(Debug)]
pub(crate) enum Found {
    /// No seed.
    Nothing,
    /// A seed that no other boot gets.
    Once([u8; SEED]),
    /// Something that another boot may get too, and why.
    Again(Vec<u8>, String),
}

/// Reads the file and removes it, so that after a power cut it does not come again. `card`: what it has
/// to say of the card it is on.
pub(crate) fn take(path: &Path, card: &[u8]) -> Found {
    let (bytes, overlaid) = match read(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Found::Nothing,
        Err(error) => return Found::Again(Vec::new(), error.to_string()),
    };
    if let Err(error) = remove(path) {
        let why = format!("cannot be removed: {error}; the next boot has the same");
        return Found::Again(bytes, why);
    }
    let why = match bytes.split_first_chunk::<SEED>() {
        _ if overlaid => "is in an overlay; the next boot may have the same".to_owned(),
        Some((seed, of)) if of == card => return Found::Once(*seed),
        Some((_, of)) if of.len() <= CARD_MOST => "was saved on another card".to_owned(),
        _ => format!("{} bytes, so it is not ours", bytes.len()),
    };
    Found::Again(bytes, why)
}

/// What is in the file, as far as it can be a seed, and whether it is in an overlay.
fn read(path: &Path) -> io::Result<(Vec<u8>, bool)> {
    let file = File::open(path)?;
    let overlaid = ettan_sys::mount::is_overlaid(&file)?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok((bytes, overlaid))
}

/// Puts it there, whole and on the disk, or leaves what was there.
pub(crate) fn save(path: &Path, seed: &[u8; SEED], card: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(seed)?;
    file.write_all(card)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path)
}

/// What tells this card in this board from a copy of it: the serial number of the board and the number
/// of the card. Empty where there are none.
pub(crate) fn card() -> Vec<u8> {
    const NUMBERS: [&str; 2] = ["/proc/device-tree/serial-number", "/sys/block/mmcblk0/device/cid"];
    let mut all = NUMBERS.map(|path| fs::read(path).unwrap_or_default()).concat();
    all.truncate(CARD_MOST);
    all
}

fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const CARD: &[u8] = b"10000000abcdef01\x003cab";

    /// A path in a folder that is not there yet.
    fn place(test: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("ettan-seed-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder.join("seed")
    }

    #[test]
    fn a_seed_is_found_once() {
        let path = place("once");
        assert!(matches!(take(&path, CARD), Found::Nothing));
        for seed in [[7; SEED], [8; SEED]] {
            save(&path, &[1; SEED], CARD).unwrap();
            save(&path, &seed, CARD).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(matches!(take(&path, CARD), Found::Once(found) if found == seed));
            assert!(matches!(take(&path, CARD), Found::Nothing));
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_copy_of_a_card_does_not_count_its_seed() {
        let path = place("copy");
        for (at_save, at_boot) in [(CARD, b"".as_slice()), (b"", CARD), (b"another", CARD)] {
            save(&path, &[7; SEED], at_save).unwrap();
            let Found::Again(bytes, why) = take(&path, at_boot) else { panic!("{at_save:?}") };
            assert!(bytes.starts_with(&[7; SEED]) && why.contains("another card"), "{why}");
        }
        save(&path, &[7; SEED], b"").unwrap();
        assert!(matches!(take(&path, b""), Found::Once(_)), "nothing to tell cards apart by");
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_came_with_an_image_is_another_boots_too() {
        let path = place("image");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for length in [0, SEED - 1, 512, 100_000] {
            fs::write(&path, vec![3; length]).unwrap();
            let Found::Again(bytes, why) = take(&path, CARD) else { panic!("{length}") };
            assert_eq!(bytes.len(), length.min(MOST as usize));
            assert!(why.contains("not ours"), "{why}");
            assert!(!path.exists());
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_stays_on_the_disk_does_not_count() {
        // A folder of /proc lets nothing be removed, not even by root.
        let path = Path::new("/proc/self/status");
        let Found::Again(bytes, why) = take(path, CARD) else { panic!("removed") };
        assert!(!bytes.is_empty() && why.contains("the next boot has the same"), "{why}");
        // Neither does what cannot be read.
        assert!(
            matches!(take(Path::new("/proc/self"), CARD), Found::Again(bytes, _) if bytes.is_empty())
        );
        assert!(save(Path::new("/proc/ettan/seed"), &[0; SEED], CARD).is_err());
    }
}
