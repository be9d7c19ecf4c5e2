//! Whether devices are ours to mind here: whether nobody does it already, and for modules, whether there
//! are some and something that loads them. Looked at each time, since any of it may come later.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Who runs under such a name minds devices, their modules and their nodes.
const MANAGERS: [&str; 3] = ["systemd-udevd", "udevd", "mdevd"];

/// Where things are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) sys: PathBuf,
    pub(crate) proc: PathBuf,
    /// Where modprobe may be.
    pub(crate) modprobe: Vec<PathBuf>,
    /// The folders of modules, one for each kernel.
    pub(crate) modules: PathBuf,
    /// The devices' nodes.
    pub(crate) dev: PathBuf,
    /// The file of groups.
    pub(crate) group: PathBuf,
}

impl Place {
    /// On a machine.
    pub(crate) fn usual() -> Self {
        let folders = ["/sbin", "/usr/sbin", "/bin", "/usr/bin"];
        Place {
            sys: "/sys".into(),
            proc: "/proc".into(),
            modprobe: folders.map(|folder| Path::new(folder).join("modprobe")).to_vec(),
            modules: "/lib/modules".into(),
            dev: "/dev".into(),
            group: "/etc/group".into(),
        }
    }

    /// The modprobe to execute; or why none is.
    pub(crate) fn modprobe(&self) -> Result<CString, String> {
        if let Some(manager) = self.manager() {
            return Err(format!("{manager} runs, and does it"));
        }
        let Some(modprobe) = self.modprobe.iter().find(|path| path.is_file()) else {
            return Err("there is no modprobe".to_owned());
        };
        let release = fs::read_to_string(self.proc.join("sys/kernel/osrelease"));
        let modules = self.modules.join(release.unwrap_or_default().trim_end());
        if !modules.is_dir() {
            return Err(format!("there is no {}", modules.display()));
        }
        CString::new(modprobe.as_os_str().as_bytes()).map_err(|error| error.to_string())
    }

    /// A process that does it already.
    pub(crate) fn manager(&self) -> Option<String> {
        let processes = fs::read_dir(&self.proc).ok()?.flatten();
        processes.filter(|entry| is_number(&entry.file_name())).find_map(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            let name = name.trim_end();
            let is = MANAGERS.contains(&name) || name == "mdev" && is_daemon(&entry.path());
            is.then(|| name.to_owned())
        })
    }
}

fn is_number(name: &std::ffi::OsStr) -> bool {
    name.as_bytes().iter().all(u8::is_ascii_digit)
}

/// `mdev -d`, also among other letters; `mdev -s` and one that the kernel starts end at once.
fn is_daemon(process: &Path) -> bool {
    let command = fs::read(process.join("cmdline")).unwrap_or_default();
    let mut words = command.split(|byte| *byte == 0).skip(1);
    words.any(|word| word.strip_prefix(b"-").is_some_and(|letters| letters.contains(&b'd')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_loaded_where_there_are_some_and_nobody_else_does_it() {
        let top = std::env::temp_dir().join(format!("ettan-place-{}", std::process::id()));
        let place = Place {
            sys: top.join("sys"),
            proc: top.join("proc"),
            modprobe: vec![top.join("none"), top.join("modprobe")],
            modules: top.join("modules"),
            ..Place::usual()
        };
        let process = |pid: &str, comm: &str, command: &str| {
            fs::create_dir_all(place.proc.join(pid)).unwrap();
            fs::write(place.proc.join(pid).join("comm"), format!("{comm}\n")).unwrap();
            fs::write(place.proc.join(pid).join("cmdline"), command).unwrap();
        };
        let why = || place.modprobe().unwrap_err();
        fs::create_dir_all(place.proc.join("sys/kernel")).unwrap();
        fs::write(place.proc.join("sys/kernel/osrelease"), "6.1.0-x\n").unwrap();
        assert_eq!(why(), "there is no modprobe");
        fs::write(top.join("modprobe"), "").unwrap();
        fs::create_dir_all(top.join("modules/6.1.0-y")).unwrap();
        assert!(why().ends_with("modules/6.1.0-x"), "{}", why());
        fs::create_dir_all(top.join("modules/6.1.0-x")).unwrap();
        process("1", "init", "/sbin/init\0");
        process("7", "mdev", "/sbin/mdev\0-s\0");
        process("self", "udevd", "udevd\0");
        assert_eq!(
            place.modprobe().unwrap().to_bytes(),
            top.join("modprobe").as_os_str().as_bytes()
        );
        process("8", "mdev", "mdev\0-vdf\0");
        assert_eq!(why(), "mdev runs, and does it");
        process("8", "systemd-udevd", "/lib/systemd/systemd-udevd\0");
        assert_eq!(why(), "systemd-udevd runs, and does it");
        fs::remove_dir_all(&top).unwrap();
    }
}
