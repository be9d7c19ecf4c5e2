//! A board whose card has Debian: what boots is what is on it, and on the console one has to log in. The card
//! while it is in another machine, where Ettan is put onto it and taken off.

use super::Qemu;
use crate::Limit;
use crate::binaries::{Program, look, target, workspace};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// One boot, and what is done with it. Debian's own takes most of two minutes on a machine with other work.
const SECONDS: u64 = 900;
/// Where its boot partition is, for mtools, and where its root, in bytes, as qemu/debian.sh has it.
const FAT: &str = "sd.img@@1M";
const ROOT_AT: u64 = 9 << 20;

impl Qemu {
    /// The board `virt` with a card as qemu/debian.sh makes it. `test` names its files.
    ///
    /// # Panics
    /// When the card cannot be made.
    #[must_use]
    pub fn debian(test: &str) -> Self {
        let mut machine = Self::new("virt", test);
        machine.seconds = SECONDS;
        machine.has_login = true;
        let folder = machine.image();
        let _ = fs::remove_dir_all(&folder);
        let mut script = Command::new(workspace().join("qemu/debian.sh"));
        machine.make_by(script.arg(folder));
        machine.limit = Limit::seconds(SECONDS);
        machine
    }

    /// `ettan` of this machine on the card, which is mounted for it: `VERB --root THERE MORE…`.
    ///
    /// # Panics
    /// When the card cannot be mounted, or be read.
    pub fn ettan_on_card(&self, verb: &str, more: &[&str]) -> Output {
        let ettan = look(Program::Cli).expect("ettan is built for this machine");
        let mounted = Mounted::new(&self.image());
        let root = mounted.0.join("root");
        let out = Command::new(ettan).arg(verb).arg("--root").arg(root).args(more).output();
        out.expect("it can be run")
    }

    /// Listens, and answers what is asked for a login.
    pub(super) fn log_in(&mut self) {
        let before = self.console().all().len();
        let _ = self.listen(Limit::seconds(5));
        let console = self.console();
        let is_asked = console.answer(&[("login: ", "root"), ("Password: ", "ettan")]);
        let is_silent = console.all().len() == before;
        // A question that other words came behind is asked anew.
        if !is_asked && is_silent && !console.has_prompt() && console.all().contains("login: ") {
            console.type_line("");
        }
    }

    /// Where the programs for its CPU are.
    #[must_use]
    pub fn programs() -> PathBuf {
        target().join("musl/armv6")
    }
}

/// The card's root, and in it what is on its boot partition: by mtools, since a kernel may have no FAT.
struct Mounted(PathBuf);

impl Mounted {
    fn new(image: &Path) -> Self {
        let mounted = Self(image.to_path_buf());
        let words = format!(
            "mkdir -p root && mount -o loop,offset={ROOT_AT} sd.img root && \
             mount -t tmpfs boot root/boot/firmware && mcopy -n -s -i {FAT} '::*' root/boot/firmware/"
        );
        mounted.run(&words);
        mounted
    }

    fn run(&self, words: &str) {
        let words = format!("cd {} && {words}", self.0.display());
        let done = Command::new("sh").args(["-c", &words]).output().expect("a shell");
        assert!(done.status.success(), "{words}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.run(&format!(
            "mdel -i {FAT} '::*' && mcopy -n -s -i {FAT} root/boot/firmware/* :: && \
             umount root/boot/firmware && umount root"
        ));
    }
}
