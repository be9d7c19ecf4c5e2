//! What a board is given before it boots: files, words for its kernel, hardware.

use super::{Qemu, SPARED};
use crate::Machine;
use crate::binaries::target;
use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, SystemTime};

impl Qemu {
    /// Has the build for `cross`, as qemu/cross.sh calls it, that fails when asked to as process 1.
    ///
    /// # Panics
    /// When it is not built.
    #[must_use]
    pub fn failing(mut self, cross: &str) -> Self {
        let init = target().join(format!("musl/{cross}-fault-injection/ettan-init"));
        let init = fs::read(init).expect("FEATURES=fault-injection qemu/cross.sh ARCH ettan-init");
        self.write("/sbin/init", &init);
        self
    }

    /// With a root that is never written to. What was written up to now is on it; units that come
    /// later are given to the running board. Before it boots.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self.units.clear();
        self
    }

    /// Words for the kernel's command line. Before the board boots.
    pub fn append(&mut self, words: &str) {
        words.clone_into(&mut self.append);
    }

    /// Not one of its units can be read. Before the board boots.
    pub fn has_no_units(&mut self) {
        for unit in SPARED.into_iter().chain(["console", "follower"]) {
            self.write(&format!("/etc/units/{unit}.toml"), b"[service\n");
        }
        self.units.clear();
    }

    /// QEMU gets these options, and can be told something. Before the board boots.
    pub fn has(&mut self, options: &str) {
        self.options = format!("{options} -monitor unix:{},server,nowait", self.ear().display());
    }

    /// A keyboard is plugged in. Before the board boots.
    pub fn has_keyboard(&mut self) {
        self.has("-global virtio-mmio.force-legacy=false -device virtio-keyboard-device");
    }

    /// The boot partition of its card has this file in its folder `ettan`. Before the board boots; makes the card.
    ///
    /// # Panics
    /// Without mtools.
    pub fn on_boot_partition(&mut self, name: &str, text: &str) {
        self.make_card();
        let (folder, file) = (self.image(), self.image().join("file"));
        fs::write(&file, text).expect("a file");
        let words =
            format!("mmd -i sd.img@@1M ::/ETTAN && mcopy -i sd.img@@1M file ::/ETTAN/{name}");
        let made = Command::new("sh").args(["-c", &words]).current_dir(folder).output();
        let made = made.expect("a shell");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// The file of this path was written last at this second since 1970. Before the board boots.
    ///
    /// # Panics
    /// When no such file was brought along.
    pub fn written_at(&self, path: &str, second: u64) {
        let file =
            File::options().append(true).open(self.overlay.join(path.trim_start_matches('/')));
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        file.and_then(|file| file.set_modified(time)).expect(path);
    }
}
