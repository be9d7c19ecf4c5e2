//! The file with the seed: taken away before it is used, and put there whole. Knows nothing of what
//! the kernel does with it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ettan_sys::random::SEED;

/// More than any seed has; what is larger is something else.
const MOST: usize = 4_096;

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

/// Reads the file and removes it, so that after a power cut it does not come again.
pub(crate) fn take(path: &Path) -> Found {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Found::Nothing,
        Err(error) => return Found::Again(Vec::new(), error.to_string()),
    };
    if let Err(error) = remove(path) {
        let why = format!("cannot be removed: {error}; the next boot has the same");
        return Found::Again(bytes, why);
    }
    match <[u8; SEED]>::try_from(bytes.as_slice()) {
        Ok(seed) => Found::Once(seed),
        Err(_) => {
            let why = format!("{} bytes, so it is not ours", bytes.len());
            Found::Again(bytes.into_iter().take(MOST).collect(), why)
        }
    }
}

/// Puts it there, whole and on the disk, or leaves what was there.
pub(crate) fn save(path: &Path, seed: &[u8; SEED]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("new");
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(seed)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path)
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

    /// A path in a folder that is not there yet.
    fn place(test: &str) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("ettan-seed-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder.join("seed")
    }

    #[test]
    fn a_seed_is_found_once() {
        let path = place("once");
        assert!(matches!(take(&path), Found::Nothing));
        for seed in [[7; SEED], [8; SEED]] {
            save(&path, &[1; SEED]).unwrap();
            save(&path, &seed).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            assert!(matches!(take(&path), Found::Once(found) if found == seed));
            assert!(matches!(take(&path), Found::Nothing));
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_came_with_an_image_is_another_boots_too() {
        let path = place("image");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for length in [0, SEED - 1, 512, 100_000] {
            fs::write(&path, vec![3; length]).unwrap();
            let Found::Again(bytes, why) = take(&path) else { panic!("{length}") };
            assert_eq!(bytes.len(), length.min(MOST));
            assert!(why.contains("not ours"), "{why}");
            assert!(!path.exists());
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_stays_on_the_disk_does_not_count() {
        // A folder of /proc lets nothing be removed, not even by root.
        let path = Path::new("/proc/self/status");
        let Found::Again(bytes, why) = take(path) else { panic!("removed") };
        assert!(!bytes.is_empty() && why.contains("the next boot has the same"), "{why}");
        // Neither does what cannot be read.
        assert!(
            matches!(take(Path::new("/proc/self")), Found::Again(bytes, _) if bytes.is_empty())
        );
        assert!(save(Path::new("/proc/ettan/seed"), &[0; SEED]).is_err());
    }
}
