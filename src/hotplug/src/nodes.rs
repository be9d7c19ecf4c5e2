//! Who may open a device: the group and the mode of its node below /dev, by what it is. The kernel has made
//! the node (devtmpfs). Leaves nodes alone that are somebody's already or the kernel's console, and to a udev or an
//! mdev daemon all.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path};

use ettan_sys::uevent::Node;

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

/// `mdev -s` gives it to every node that its rules do not know.
const MDEV_MODE: u32 = 0o660;

/// So many nodes wait, at most: those of a hub full of devices. Beyond, sysfs is looked at again.
const MAX_WAITING: usize = 1_024;

/// The nodes that wait for their groups.
#[derive(Debug)]
pub(crate) struct Nodes {
    place: Place,
    waiting: Vec<Waiting>,
    /// There was no room for all.
    look_again: bool,
}

/// A node that waits for its group.
#[derive(Debug)]
struct Waiting {
    name: String,
    /// As the kernel has made it.
    made: u32,
    group: &'static str,
    mode: u32,
}

impl Nodes {
    pub(crate) const fn new(place: Place) -> Self {
        Self { place, waiting: Vec::new(), look_again: false }
    }

    /// A device is there, with this node.
    pub(crate) fn there_is(&mut self, node: Node<'_>) {
        let Some(kind) = KINDS.iter().find(|kind| kind.fits(node)) else { return };
        let Ok(name) = std::str::from_utf8(node.name) else { return };
        if self.waiting.len() < MAX_WAITING {
            let (name, made) = (name.to_owned(), node.mode);
            self.waiting.push(Waiting { name, made, group: kind.group, mode: kind.mode });
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
            let lines = text.split(|byte| *byte == b'\n');
            if let Some(node) = Node::new(subsystem.as_encoded_bytes(), lines) {
                self.there_is(node);
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
        let consoles = self.place.sys.join("class/tty/console/active");
        let consoles = fs::read_to_string(consoles).unwrap_or_default();
        for node in waiting {
            let Some(id) = id_of(&groups, node.group) else { continue };
            // A login is there, or somebody reads what the kernel says.
            if consoles.split_whitespace().any(|console| console == node.name) {
                continue;
            }
            if let Err(error) = node.give(&self.place.dev, id) {
                say!("/dev/{} cannot be given to the group {}: {error}", node.name, node.group);
            }
        }
    }
}

impl Kind {
    fn fits(&self, node: Node<'_>) -> bool {
        self.subsystem.as_bytes() == node.subsystem
            && self.names.iter().any(|begin| node.name.starts_with(begin.as_bytes()))
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

impl Waiting {
    /// A node that is gone again, or that somebody has given to others, is passed over.
    fn give(&self, dev: &Path, group: u32) -> std::io::Result<()> {
        let path = dev.join(&self.name);
        if !Path::new(&self.name).components().all(|part| matches!(part, Component::Normal(_))) {
            return Ok(());
        }
        let Ok(node) = fs::symlink_metadata(&path) else { return Ok(()) };
        if !node.file_type().is_char_device() || !self.is_nobodys(&node) {
            return Ok(());
        }
        std::os::unix::fs::lchown(&path, None, Some(group))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(self.mode))
    }

    /// Nobody has made another owner, group or mode: a getty leaves a line that it serves to root, and 0620.
    fn is_nobodys(&self, node: &fs::Metadata) -> bool {
        let modes = [self.made, MDEV_MODE];
        (node.uid(), node.gid()) == (0, 0) && modes.contains(&(node.mode() & 0o7777))
    }
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
            self.plug_as(number, subsystem, name, "0600");
        }

        /// The same, where the driver wants a mode.
        fn plug_as(&self, number: &str, subsystem: &str, name: &str, mode: &str) {
            let device = self.top.join("sys/dev/char").join(number);
            fs::create_dir_all(&device).unwrap();
            symlink(format!("../../../class/{subsystem}"), device.join("subsystem")).unwrap();
            let uevent = format!("MAJOR=1\nMINOR=3\nDEVNAME={name}\nDEVMODE={mode}\n");
            fs::write(device.join("uevent"), uevent).unwrap();
            self.node(name, mode);
        }

        /// The kernel says that a terminal has come.
        fn comes(&mut self, name: &str) {
            self.nodes.there_is(terminal(name));
        }

        fn node(&self, name: &str, mode: &str) {
            let made = Command::new("mknod")
                .args(["-m", mode])
                .arg(self.top.join("dev").join(name))
                .args(["c", "1", "3"])
                .status();
            assert!(made.unwrap().success(), "root makes nodes");
        }

        /// Somebody has set a node's mode.
        fn node_is(&self, name: &str, mode: u32) {
            let node = self.top.join("dev").join(name);
            fs::set_permissions(node, fs::Permissions::from_mode(mode)).unwrap();
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

    fn terminal(name: &str) -> Node<'_> {
        Node { subsystem: b"tty", name: name.as_bytes(), mode: 0o600 }
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
        world.node("ttyACM0", "0600");
        world.comes("ttyACM0");
        // Gone again before anybody looked.
        world.comes("ttyACM1");
        world.nodes.go_on();
        assert_eq!(world.of("ttyACM0"), (20, 0o660));
    }

    #[test]
    fn what_is_somebodys_or_no_node_of_a_device_is_left() {
        let mut world = World::new("nodes-left", GROUPS);
        world.node("ttyS0", "0600");
        std::os::unix::fs::lchown(world.top.join("dev/ttyS0"), None, Some(5)).unwrap();
        fs::write(world.top.join("secret"), "").unwrap();
        fs::write(world.top.join("dev/ttyS1"), "").unwrap();
        symlink(world.top.join("secret"), world.top.join("dev/ttyS2")).unwrap();
        let before = fs::metadata(world.top.join("secret")).unwrap();
        for name in ["ttyS0", "ttyS1", "ttyS2", "ttyS/../../secret", "bus/usb/../../../secret"] {
            let subsystem: &[u8] = if name.starts_with("bus") { b"usb" } else { b"tty" };
            world.nodes.there_is(Node { subsystem, ..terminal(name) });
        }
        world.nodes.go_on();
        assert_eq!(world.of("ttyS0"), (5, 0o600));
        assert_eq!(world.of("ttyS1").0, 0);
        let after = fs::metadata(world.top.join("secret")).unwrap();
        assert_eq!((after.gid(), after.mode()), (before.gid(), before.mode()));
    }

    #[test]
    fn the_line_of_a_login_is_left_to_it() {
        let mut world = World::new("nodes-login", GROUPS);
        let console = world.top.join("sys/class/tty/console");
        fs::create_dir_all(&console).unwrap();
        fs::write(console.join("active"), "tty1 ttyAMA0\n").unwrap();
        // Where nobody has logged in yet, a console is the kernel's own as any other line is.
        world.plug("204:64", "tty", "ttyAMA0");
        world.plug("204:65", "tty", "ttyAMA01");
        // As BusyBox's getty leaves its line, on no console.
        world.plug("188:0", "tty", "ttyUSB0");
        world.node_is("ttyUSB0", 0o620);
        // As `mdev -s` leaves everything that it has no rule for.
        world.plug("188:1", "tty", "ttyUSB1");
        world.node_is("ttyUSB1", 0o660);
        world.plug_as("188:2", "tty", "ttyUSB2", "0666");
        world.nodes.look();
        world.nodes.go_on();
        assert_eq!(world.of("ttyAMA0"), LEFT);
        assert_eq!(world.of("ttyUSB0"), (0, 0o620));
        for name in ["ttyAMA01", "ttyUSB1", "ttyUSB2"] {
            assert_eq!(world.of(name), (20, 0o660), "{name}");
        }
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
            world.comes(&format!("ttyACM{number}"));
        }
        assert_eq!(world.nodes.waiting.len(), MAX_WAITING);
        world.nodes.go_on();
        assert_eq!(world.of("ttyUSB0"), (20, 0o660));
    }
}
