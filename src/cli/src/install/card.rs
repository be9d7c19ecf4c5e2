//! The root file system of a card: whether Ettan can be put onto it, and what matters for that.

use super::record::failed;
use ettan_check::{Binary, Cpu};
use ettan_unit::tree::{read_system, resolve};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel's command line is, on newer systems and older ones.
const COMMAND_LINES: [&str; 2] = ["/boot/firmware/cmdline.txt", "/boot/cmdline.txt"];
/// Programs of the old system that say what CPU it is for.
const WITNESSES: [&str; 3] = ["/bin/sh", "/bin/ls", "/bin/busybox"];
/// Our programs, and where they go.
const PROGRAMS: [(&str, &str); 2] = [(INIT, "/sbin/ettan-init"), ("ettan", "/usr/bin/ettan")];
const INIT: &str = "ettan-init";

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
        let cpu = WITNESSES.iter().find_map(|path| Some(Binary::read(&self.path(path))?.cpu()));
        let mut programs = Vec::new();
        for (name, place) in PROGRAMS {
            let path = from.map_or_else(|| own(name), |from| from.join(name));
            let bytes = fs::read(&path)
                .map_err(|error| format!("{} (--from DIR)", failed(&path, &error)))?;
            if let Some(why) = self.unfit(name, &path, cpu) {
                return Err(format!("{}: {why} (--from DIR)", path.display()));
            }
            programs.push((place.to_owned(), bytes));
        }
        Ok(programs)
    }

    /// Why this root cannot have that program.
    fn unfit(&self, name: &str, path: &Path, cpu: Option<Cpu>) -> Option<String> {
        let Some(program) = Binary::read(path) else { return Some("no program".to_owned()) };
        if let Some((cpu, why)) = cpu.and_then(|cpu| Some((cpu, program.foreign_to(cpu)?))) {
            return Some(format!("{why}, and {} for {cpu}", self.root.display()));
        }
        // Process 1 is there when nothing else is, and whatever becomes of a library.
        let needs = program.needs().filter(|_| name == INIT)?;
        Some(format!(
            "needs {needs}, and process 1 is to need no other file: a static build is wanted"
        ))
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

#[cfg(test)]
#[path = "card_tests.rs"]
mod tests;
