//! Which of the wished devices are plugged in, by sysfs. What the kernel says of changes is only a
//! reason to look: so a lost word is no lost device, and a forged one no device at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::told::Conditions;
use crate::wishes::{Usb, Wish, number};

/// The subsystems of devices that can be wished for.
pub(crate) const SUBSYSTEMS: [&[u8]; 2] = [b"usb", b"tty"];

/// What was seen the last time.
#[derive(Debug)]
pub(crate) struct Devices {
    sys: PathBuf,
    /// Of each condition, which devices it is about; a device that was plugged in anew is another.
    seen: BTreeMap<String, BTreeSet<String>>,
    /// Conditions of which none of the devices stayed, since these were told.
    lapsed: BTreeSet<String>,
}

impl Devices {
    /// By the sysfs that is mounted there.
    pub(crate) fn new(sys: &Path) -> Self {
        Devices { sys: sys.to_owned(), seen: BTreeMap::new(), lapsed: BTreeSet::new() }
    }

    /// Looks for what is wished for.
    pub(crate) fn look(&mut self, wishes: &[(String, Wish)]) {
        let mut plugged = None;
        let mut seen = BTreeMap::new();
        for (name, wish) in wishes {
            let found = match wish {
                Wish::Usb(usb) => {
                    let plugged = plugged.get_or_insert_with(|| self.plugged());
                    plugged.iter().filter(|one| one.is(usb)).map(|one| one.id.clone()).collect()
                }
                Wish::Tty(tty) => self.tty(tty).into_iter().collect(),
                Wish::Clock | Wish::Path(_) => continue,
            };
            if let Some(before) = self.seen.get(name)
                && !before.is_empty()
                && before.is_disjoint(&found)
            {
                self.lapsed.insert(name.clone());
            }
            seen.insert(name.clone(), found);
        }
        self.lapsed.retain(|name| seen.contains_key(name));
        self.seen = seen;
    }

    /// What follows.
    pub(crate) fn conditions(&self, into: &mut Conditions) {
        for (name, found) in &self.seen {
            match (found.is_empty(), self.lapsed.contains(name)) {
                (false, true) => into.put_again(name),
                (empty, _) => into.put(name, !empty),
            }
        }
    }

    /// They have been told.
    pub(crate) fn heard(&mut self) {
        self.lapsed.clear();
    }

    /// All USB devices. What vanishes while it is read is not there.
    fn plugged(&self) -> Vec<Plugged> {
        let Ok(entries) = fs::read_dir(self.sys.join("bus/usb/devices")) else {
            return Vec::new();
        };
        entries.flatten().filter_map(|entry| plugged(&entry.path())).collect()
    }

    /// Which one there is of this name. sysfs gives each a number of its own.
    fn tty(&self, name: &str) -> Option<String> {
        let device = fs::metadata(self.sys.join("class/tty").join(name)).ok()?;
        Some(device.ino().to_string())
    }
}

/// A USB device.
#[derive(Debug)]
struct Plugged {
    /// Its port and its number on the bus, which is another one each time.
    id: String,
    vendor: u16,
    product: u16,
    serial: Option<String>,
}

impl Plugged {
    fn is(&self, wish: &Usb) -> bool {
        self.vendor == wish.vendor
            && self.product == wish.product
            && (wish.serial.is_none() || wish.serial == self.serial)
    }
}

/// The device of this folder; None for what is part of one.
fn plugged(folder: &Path) -> Option<Plugged> {
    let read = |file: &str| fs::read(folder.join(file)).ok();
    let text = |file: &str| String::from_utf8(read(file)?).ok();
    let vendor = number(text("idVendor")?.trim_end())?;
    let product = number(text("idProduct")?.trim_end())?;
    let id = format!("{}:{}", folder.file_name()?.display(), text("devnum")?.trim_end());
    let serial = read("serial").map(|serial| writable(&serial));
    Some(Plugged { id, vendor, product, serial })
}

/// A serial number as it can stand in a unit file: `_` for what cannot.
fn writable(serial: &[u8]) -> String {
    let serial = serial.strip_suffix(b"\n").unwrap_or(serial);
    serial
        .iter()
        .map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wishes::read;

    /// A folder that looks like sysfs.
    struct World {
        sys: PathBuf,
        devices: Devices,
        wishes: Vec<(String, Wish)>,
    }

    impl World {
        fn new(test: &str, wishes: &[&str]) -> Self {
            let sys = std::env::temp_dir().join(format!("ettan-{test}-{}", std::process::id()));
            let devices = Devices::new(&sys);
            let wish = |name: &&str| (name.to_string(), read(name).unwrap());
            World { sys, devices, wishes: wishes.iter().map(wish).collect() }
        }

        fn plug(&self, port: &str, device: &[(&str, &str)]) {
            let folder = self.sys.join("bus/usb/devices").join(port);
            fs::create_dir_all(&folder).unwrap();
            for (file, content) in device {
                fs::write(folder.join(file), content).unwrap();
            }
        }

        fn pull(&self, port: &str) {
            fs::remove_dir_all(self.sys.join("bus/usb/devices").join(port)).unwrap();
        }

        /// What is seen now: `+` holds, `-` does not, `~` holds again.
        fn sees(&mut self) -> Vec<String> {
            self.devices.look(&self.wishes);
            let mut now = Conditions::default();
            self.devices.conditions(&mut now);
            let sign = |name: &str| match (now.find(name), self.devices.lapsed.contains(name)) {
                (Some(true), true) => '~',
                (Some(true), false) => '+',
                (Some(false), _) => '-',
                (None, _) => '?',
            };
            self.wishes.iter().map(|(name, _)| format!("{}{name}", sign(name))).collect()
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.sys);
        }
    }

    const DUO: [(&str, &str); 4] =
        [("idVendor", "1781\n"), ("idProduct", "0c31\n"), ("serial", "A 1\n"), ("devnum", "4\n")];

    #[test]
    fn a_stick_is_known_by_its_numbers_and_its_serial() {
        let names = ["device:usb:1781:0c31", "device:usb:1781:0C31:A_1", "device:usb:1781:0c31:A2"];
        let mut world = World::new("stick", &names);
        assert!(world.sees().iter().all(|seen| seen.starts_with('-')), "no sysfs, no devices");
        world.plug("1-1:1.0", &[("bInterfaceClass", "ff\n")]);
        world.plug("1-2", &[("idVendor", "1781\n"), ("idProduct", "0c32\n"), ("devnum", "3\n")]);
        assert!(world.sees().iter().all(|seen| seen.starts_with('-')));
        world.plug("1-1", &DUO);
        let seen = world.sees();
        assert_eq!(
            seen,
            ["+device:usb:1781:0c31", "+device:usb:1781:0C31:A_1", "-device:usb:1781:0c31:A2"]
        );
        world.pull("1-1");
        assert!(world.sees().iter().all(|seen| seen.starts_with('-')));
    }

    #[test]
    fn a_stick_that_was_out_between_two_looks_is_another_one() {
        let mut world = World::new("again", &["device:usb:1781:0c31"]);
        world.plug("1-1", &DUO);
        assert_eq!(world.sees(), ["+device:usb:1781:0c31"]);
        world.devices.heard();
        world.plug("1-1", &[("devnum", "5\n")]);
        assert_eq!(world.sees(), ["~device:usb:1781:0c31"]);
        assert_eq!(world.sees(), ["~device:usb:1781:0c31"], "until it was told");
        world.devices.heard();
        assert_eq!(world.sees(), ["+device:usb:1781:0c31"]);
        // Of two, one stays: that will do.
        world.plug("1-3", &DUO);
        world.sees();
        world.pull("1-1");
        assert_eq!(world.sees(), ["+device:usb:1781:0c31"]);
        world.pull("1-3");
        assert_eq!(world.sees(), ["-device:usb:1781:0c31"]);
        world.plug("1-3", &DUO);
        assert_eq!(world.sees(), ["~device:usb:1781:0c31"], "nobody was told that it was gone");
    }

    #[test]
    fn hostile_files_are_no_device() {
        let mut world = World::new("hostile", &["device:usb:1781:0c31"]);
        for (port, vendor) in
            [("1-1", "\u{0}\u{0}"), ("1-2", "11781"), ("1-3", ""), ("1-4", "+781")]
        {
            world.plug(port, &DUO);
            world.plug(port, &[("idVendor", vendor)]);
        }
        assert_eq!(world.sees(), ["-device:usb:1781:0c31"]);
    }

    #[test]
    fn a_terminal_is_known_by_its_name() {
        let mut world = World::new("tty", &["device:tty:ttyUSB0"]);
        assert_eq!(world.sees(), ["-device:tty:ttyUSB0"]);
        fs::create_dir_all(world.sys.join("devices/a/tty/ttyUSB0")).unwrap();
        fs::create_dir_all(world.sys.join("class/tty")).unwrap();
        let link = world.sys.join("class/tty/ttyUSB0");
        std::os::unix::fs::symlink("../../devices/a/tty/ttyUSB0", link).unwrap();
        assert_eq!(world.sees(), ["+device:tty:ttyUSB0"]);
        world.devices.heard();
        // Another one in its place, made before the first is gone: it has another number.
        fs::rename(world.sys.join("devices/a"), world.sys.join("devices/old")).unwrap();
        fs::create_dir_all(world.sys.join("devices/a/tty/ttyUSB0")).unwrap();
        assert_eq!(world.sees(), ["~device:tty:ttyUSB0"]);
        fs::remove_dir_all(world.sys.join("devices/a")).unwrap();
        assert_eq!(world.sees(), ["-device:tty:ttyUSB0"]);
    }
}
