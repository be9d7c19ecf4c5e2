//! Who may open a device: the group and the mode of its node below /dev, by what it is. The kernel has made
//! the node (devtmpfs). Leaves nodes alone that are somebody's already, and to a udev or an mdev daemon all.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path};

use crate::place::Place;
use crate::say;

/// Devices of a kind, and who opens them.
struct Kind {
    subsystem: &'static str,
    /// How their names below /dev begin.
    names: &'static [&'static str],
    /// The groups that Debian and Raspberry Pi OS give them to; where there is none, they stay root's.
    group: &'static str,
    mode: u32,
}

/// The first that fits counts.
const KINDS: [Kind; 12] = [
    // A terminal of a virtual console is no line to something.
    kind("tty", &["ttyUSB", "ttyACM", "ttyAMA", "ttyS"], "dialout", 0o660),
    kind("usb", &["bus/usb/"], "plugdev", 0o664),
    kind("gpio", &["gpiochip"], "gpio", 0o660),
    kind("bcm2835-gpiomem", &["gpiomem"], "gpio", 0o660),
    kind("i2c-dev", &["i2c-"], "i2c", 0o660),
    kind("spidev", &["spidev"], "spi", 0o660),
    kind("video4linux", &["video", "vbi", "radio", "v4l-subdev"], "video", 0o660),
    kind("media", &["media"], "video", 0o660),
    kind("vchiq-dev", &["vchiq"], "video", 0o660),
    kind("bcm2708_vcio", &["vcio"], "video", 0o660),
    kind("input", &["input/"], "input", 0o660),
    kind("sound", &["snd/"], "audio", 0o660),
];

const fn kind(
    subsystem: &'static str,
    names: &'static [&'static str],
    group: &'static str,
    mode: u32,
) -> Kind {
    Kind { subsystem, names, group, mode }
}

/// So many nodes wait, at most: those of a hub full of devices. Beyond, sysfs is looked at again.
const MAX_WAITING: usize = 1_024;

/// The nodes that wait for their groups.
#[derive(Debug)]
pub(crate) struct Nodes {
    place: Place,
    waiting: Vec<(&'static str, u32, String)>,
    /// There was no room for all.
    look_again: bool,
}

impl Nodes {
    pub(crate) const fn new(place: Place) -> Self {
        Self { place, waiting: Vec::new(), look_again: false }
    }

    /// A device of this subsystem is there, with a node of this name.
    pub(crate) fn there_is(&mut self, subsystem: &[u8], name: &[u8]) {
        let Some(kind) = KINDS.iter().find(|kind| kind.fits(subsystem, name)) else { return };
        let Ok(name) = std::str::from_utf8(name) else { return };
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push((kind.group, kind.mode, name.to_owned()));
        } else {
            self.look_again = true;
        }
    }

    /// Asks all devices that are there.
    pub(crate) fn look(&mut self) {
        let devices = fs::read_dir(self.place.sys.join("dev/char"));
        for device in devices.into_iter().flatten().flatten() {
            let device = device.path();
            let subsystem = fs::read_link(device.join("subsystem")).unwrap_or_default();
            let Some(subsystem) = subsystem.file_name() else { continue };
            // What vanishes while it is read is not there.
            let text = fs::read(device.join("uevent")).unwrap_or_default();
            let mut lines = text.split(|byte| *byte == b'\n');
            if let Some(name) = lines.find_map(|line| line.strip_prefix(b"DEVNAME=")) {
                self.there_is(subsystem.as_encoded_bytes(), name);
            }
        }
    }

    /// Gives the nodes that wait to their groups.
    pub(crate) fn go_on(&mut self) {
        self.settle();
        if std::mem::take(&mut self.look_again) {
            self.look();
            self.settle();
        }
    }

    fn settle(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        // Looked at each time, since it may come later.
        if waiting.is_empty() || self.place.manager().is_some() {
            return;
        }
        let groups = fs::read_to_string(&self.place.group).unwrap_or_default();
        for (group, mode, name) in waiting {
            let Some(id) = id_of(&groups, group) else { continue };
            if let Err(error) = give(&self.place.dev, &name, id, mode) {
                say!("/dev/{name} cannot be given to the group {group}: {error}");
            }
        }
    }
}

impl Kind {
    fn fits(&self, subsystem: &[u8], name: &[u8]) -> bool {
        self.subsystem.as_bytes() == subsystem
            && self.names.iter().any(|begin| name.starts_with(begin.as_bytes()))
    }
}

/// The number of a group in the text of /etc/group.
fn id_of(groups: &str, group: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(group);
        fields.nth(1).filter(|_| is_it)?.parse().ok()
    })
}

/// A node that is gone again, or that somebody has given to others, is passed over.
fn give(dev: &Path, name: &str, group: u32, mode: u32) -> std::io::Result<()> {
    let path = dev.join(name);
    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(());
    }
    let Ok(node) = fs::symlink_metadata(&path) else { return Ok(()) };
    if !node.file_type().is_char_device() || (node.uid(), node.gid()) != (0, 0) {
        return Ok(());
    }
    std::os::unix::fs::lchown(&path, None, Some(group))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;
    use std::process::Command;

    /// A machine with a `/sys`, a `/dev` and groups, gone when dropped.
    struct World {
        top: PathBuf,
        nodes: Nodes,
    }

    impl World {
        fn new(test: &str, groups: &str) -> Self {
            let top = std::env::temp_dir().join(format!("ettan-{test}-{}", std::process::id()));
            for folder in ["dev/bus/usb/001", "dev/input", "proc", "sys/dev/char"] {
                fs::create_dir_all(top.join(folder)).unwrap();
            }
            fs::write(top.join("group"), groups).unwrap();
            let place = Place {
                sys: top.join("sys"),
                proc: top.join("proc"),
                dev: top.join("dev"),
                group: top.join("group"),
                ..Place::usual()
            };
            Self { top, nodes: Nodes::new(place) }
        }

        /// A device is plugged in, of whatever driver: as /dev/null, which harms nobody.
        fn plug(&self, number: &str, subsystem: &str, name: &str) {
            let device = self.top.join("sys/dev/char").join(number);
            fs::create_dir_all(&device).unwrap();
            symlink(format!("../../../class/{subsystem}"), device.join("subsystem")).unwrap();
            let uevent = format!("MAJOR=1\nMINOR=3\nDEVNAME={name}\nDEVMODE=0600\n");
            fs::write(device.join("uevent"), uevent).unwrap();
            self.node(name);
        }

        fn node(&self, name: &str) {
            let made = Command::new("mknod")
                .args(["-m", "600"])
                .arg(self.top.join("dev").join(name))
                .args(["c", "1", "3"])
                .status();
            assert!(made.unwrap().success(), "root makes nodes");
        }

        /// The group and mode of a node.
        fn of(&self, name: &str) -> (u32, u32) {
            let node = fs::symlink_metadata(self.top.join("dev").join(name)).unwrap();
            (node.gid(), node.mode() & 0o7777)
        }
    }

    impl Drop for World {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.top);
        }
    }

    const GROUPS: &str = "root:x:0:\ndialout:x:20:gateway\nplugdev:x:46:\nodd\ninput:x:many:\n";
    const LEFT: (u32, u32) = (0, 0o600);

    #[test]
    fn what_is_there_and_what_comes_is_given_to_its_group() {
        let mut world = World::new("nodes", GROUPS);
        world.plug("188:0", "tty", "ttyUSB0");
        world.plug("189:1", "usb", "bus/usb/001/002");
        world.plug("4:1", "tty", "tty1");
        world.plug("89:1", "i2c-dev", "i2c-1");
        world.plug("13:64", "input", "input/event0");
        world.nodes.look();
        world.nodes.go_on();
        assert_eq!(world.of("ttyUSB0"), (20, 0o660));
        assert_eq!(world.of("bus/usb/001/002"), (46, 0o664));
        // No line to anything; no such group; a group that is none.
        for name in ["tty1", "i2c-1", "input/event0"] {
            assert_eq!(world.of(name), LEFT, "{name}");
        }
        world.node("ttyACM0");
        world.nodes.there_is(b"tty", b"ttyACM0");
        // Gone again before anybody looked.
        world.nodes.there_is(b"tty", b"ttyACM1");
        world.nodes.go_on();
        assert_eq!(world.of("ttyACM0"), (20, 0o660));
    }

    #[test]
    fn what_is_somebodys_or_no_node_of_a_device_is_left() {
        let mut world = World::new("nodes-left", GROUPS);
        world.node("ttyS0");
        std::os::unix::fs::lchown(world.top.join("dev/ttyS0"), None, Some(5)).unwrap();
        fs::write(world.top.join("secret"), "").unwrap();
        fs::write(world.top.join("dev/ttyS1"), "").unwrap();
        symlink(world.top.join("secret"), world.top.join("dev/ttyS2")).unwrap();
        let before = fs::metadata(world.top.join("secret")).unwrap();
        for name in ["ttyS0", "ttyS1", "ttyS2", "ttyS/../../secret", "bus/usb/../../../secret"] {
            world
                .nodes
                .there_is(if name.starts_with("bus") { b"usb" } else { b"tty" }, name.as_bytes());
        }
        world.nodes.go_on();
        assert_eq!(world.of("ttyS0"), (5, 0o600));
        assert_eq!(world.of("ttyS1").0, 0);
        let after = fs::metadata(world.top.join("secret")).unwrap();
        assert_eq!((after.gid(), after.mode()), (before.gid(), before.mode()));
    }

    #[test]
    fn where_a_udev_runs_nodes_are_left_to_it() {
        let mut world = World::new("nodes-udev", GROUPS);
        world.plug("188:0", "tty", "ttyUSB0");
        fs::create_dir_all(world.top.join("proc/7")).unwrap();
        fs::write(world.top.join("proc/7/comm"), "udevd\n").unwrap();
        world.nodes.look();
        world.nodes.go_on();
        assert_eq!(world.of("ttyUSB0"), LEFT);
        // It is gone, and this one starts anew.
        fs::remove_dir_all(world.top.join("proc/7")).unwrap();
        world.nodes.look();
        world.nodes.go_on();
        assert_eq!(world.of("ttyUSB0"), (20, 0o660));
    }

    #[test]
    fn what_there_is_no_room_for_is_looked_for_again() {
        let mut world = World::new("nodes-full", GROUPS);
        world.plug("188:0", "tty", "ttyUSB0");
        for number in 0..=MAX_WAITING {
            world.nodes.there_is(b"tty", format!("ttyACM{number}").as_bytes());
        }
        assert_eq!(world.nodes.waiting.len(), MAX_WAITING);
        world.nodes.go_on();
        assert_eq!(world.of("ttyUSB0"), (20, 0o660));
    }
}
