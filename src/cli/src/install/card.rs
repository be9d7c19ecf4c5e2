//! The root file system of a card: whether Ettan can be put onto it, and what matters for that.

use super::record::failed;
use ettan_check::Cpu;
use ettan_unit::tree::{read_system, resolve};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel's command line is, on newer systems and older ones.
const COMMAND_LINES: [&str; 2] = ["/boot/firmware/cmdline.txt", "/boot/cmdline.txt"];
/// Programs of the old system that say what CPU it is for.
const WITNESSES: [&str; 3] = ["/bin/sh", "/bin/ls", "/bin/busybox"];
/// Our programs, and where they go.
const PROGRAMS: [(&str, &str); 2] =
    [("ettan-init", "/sbin/ettan-init"), ("ettan", "/usr/bin/ettan")];

/// A root that can be changed.
#[derive(Debug)]
pub(super) struct Card {
    root: PathBuf,
}

impl Card {
    /// Looks whether `root` is one, and whether it can have Ettan. `is_new`: it has not had it before.
    pub(super) fn open(root: &Path, is_new: bool) -> Result<Self, String> {
        let shown = root.display();
        let card = Self { root: root.to_path_buf() };
        if !card.path("/etc").is_dir() || !card.path("/sbin").is_dir() {
            return Err(format!("{shown}: no root file system, it has no /etc and /sbin"));
        }
        let own = resolve(root, Path::new("/sbin")).map(|sbin| fs::read_link(sbin.join("init")));
        if is_new && matches!(own, Ok(Ok(target)) if target.ends_with("ettan-init")) {
            return Err(format!("{shown}: /sbin/init is Ettan already, and not by ettan install"));
        }
        if let Some((path, line, _)) = card.command_line() {
            let mut inits = line.split_whitespace().filter_map(|word| word.strip_prefix("init="));
            let is_init = |init: &&str| *init == "/sbin/init" || init.ends_with("/systemd");
            if let Some(other) = inits.find(|init| !is_init(init)) {
                return Err(format!(
                    "{path}: init={other}: something else is to run first, as on a card that was never \
                     booted; boot it once, then try again"
                ));
            }
        }
        Ok(card)
    }

    fn path(&self, inside: &str) -> PathBuf {
        resolve(&self.root, Path::new(inside)).unwrap_or_default()
    }

    /// Where our programs go, and what they are; all for the CPU of the root.
    pub(super) fn programs(&self, from: Option<&Path>) -> Result<Vec<(String, Vec<u8>)>, String> {
        let wanted = WITNESSES.iter().find_map(|path| machine(&read_system(&self.root, path)?));
        let mut programs = Vec::new();
        for (name, place) in PROGRAMS {
            let path = from.map_or_else(|| own(name), |from| from.join(name));
            let bytes = fs::read(&path)
                .map_err(|error| format!("{} (--from DIR)", failed(&path, &error)))?;
            let is = machine(&bytes)
                .ok_or_else(|| format!("{}: no program (--from DIR)", path.display()))?;
            if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
                return Err(format!(
                    "{}: is for {}, and {} for {} (--from DIR)",
                    path.display(),
                    Cpu::Machine(is),
                    self.root.display(),
                    Cpu::Machine(wanted)
                ));
            }
            programs.push((place.to_owned(), bytes));
        }
        Ok(programs)
    }

    /// The file with the kernel's command line as the root names it: its first line, which is all that
    /// a Pi's firmware reads, and the rest.
    pub(super) fn command_line(&self) -> Option<(String, String, String)> {
        COMMAND_LINES.iter().find_map(|path| {
            let bytes = read_system(&self.root, path)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let (line, rest) = text.split_once('\n').unwrap_or((&text, ""));
            Some(((*path).to_owned(), line.to_owned(), rest.to_owned()))
        })
    }

    /// Whether interfaces are set up by ifupdown.
    pub(super) fn has_interfaces(&self) -> bool {
        let text = read_system(&self.root, "/etc/network/interfaces").unwrap_or_default();
        let own = String::from_utf8_lossy(&text).lines().any(|line| line.starts_with("iface "));
        let more = fs::read_dir(self.path("/etc/network/interfaces.d"));
        let more = more.is_ok_and(|mut entries| entries.next().is_some());
        self.path("/sbin/ifup").exists() && (own || more)
    }
}

/// A program of this machine: beside this one, or where it is installed.
fn own(name: &str) -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(name));
    let installed = PathBuf::from(format!("/sbin/{name}"));
    beside.filter(|path| path.is_file()).unwrap_or(installed)
}

/// For which machine an ELF file is.
fn machine(bytes: &[u8]) -> Option<u16> {
    let number = bytes.get(18..20)?;
    bytes.starts_with(b"\x7fELF").then(|| u16::from_le_bytes([number[0], number[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("ettan-card-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for folder in ["etc", "sbin", "bin", "boot/firmware", "from"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        root
    }

    fn elf(machine: u8) -> Vec<u8> {
        let mut bytes = b"\x7fELF".to_vec();
        bytes.resize(18, 0);
        bytes.extend([machine, 0]);
        bytes
    }

    #[test]
    fn what_cannot_have_ettan_is_told_why() {
        let root = root("why");
        let why = |is_new| Card::open(&root, is_new).unwrap_err();
        assert!(Card::open(&root, true).is_ok());
        fs::write(root.join("boot/firmware/cmdline.txt"), "quiet init=/usr/lib/x/firstboot\n")
            .unwrap();
        assert!(why(true).contains("cmdline.txt: init=/usr/lib/x/firstboot: something else"));
        fs::write(root.join("boot/firmware/cmdline.txt"), "init=/lib/systemd/systemd\n").unwrap();
        assert!(Card::open(&root, true).is_ok());
        std::os::unix::fs::symlink("ettan-init", root.join("sbin/init")).unwrap();
        assert!(why(true).ends_with("and not by ettan install"));
        assert!(Card::open(&root, false).is_ok(), "by us");
        let nowhere = Card::open(&root.join("boot"), true).unwrap_err();
        assert!(nowhere.ends_with("no root file system, it has no /etc and /sbin"), "{nowhere}");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn programs_are_for_the_roots_cpu() {
        let root = root("cpu");
        let from = root.join("from");
        let card = Card::open(&root, true).unwrap();
        let taken = || card.programs(Some(&from));
        assert!(
            taken()
                .unwrap_err()
                .ends_with("from/ettan-init: no such file or directory (--from DIR)")
        );
        fs::write(from.join("ettan-init"), "#!/bin/sh").unwrap();
        assert!(taken().unwrap_err().ends_with("from/ettan-init: no program (--from DIR)"));
        for name in ["ettan-init", "ettan"] {
            fs::write(from.join(name), elf(62)).unwrap();
        }
        assert_eq!(taken().unwrap().len(), 2, "nobody knows what the root is for");
        fs::write(root.join("bin/sh"), elf(40)).unwrap();
        let why = taken().unwrap_err();
        assert!(
            why.contains("ettan-init: is for x86-64, and ")
                && why.ends_with("for ARM (32 bit) (--from DIR)"),
            "{why}"
        );
        fs::remove_dir_all(&root).unwrap();
    }
}
