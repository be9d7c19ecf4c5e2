//! What a name in `After=` or `Wants=` is here: a unit, a condition, or nothing that one has to
//! wait for.

use ettan_table::MAX_NAME;

/// What a unit of systemd is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Unit(String),
    /// As a unit, but not quite; and why.
    Nearly(String, String),
    /// A condition, and what is not quite the same.
    Condition(String, &'static str),
    /// A fact about the machine that nothing tells of.
    Untold,
    /// Not there, and why that does not matter.
    Needless(&'static str),
    /// Not there, and why.
    Missing(&'static str),
}

const EARLY: &str = "is reached before the first unit starts";
const LATE: &str = "every unit that starts at boot is part of it";
const STOP: &str = "at shutdown every unit is stopped anyway";
const LOGS: &str = "the log is there before the first unit starts";

/// Targets that are always or never there.
const TARGETS: [(&str, &str); 27] = [
    ("basic", EARLY),
    ("sysinit", EARLY),
    ("local-fs", EARLY),
    ("local-fs-pre", EARLY),
    ("swap", EARLY),
    ("cryptsetup", EARLY),
    ("remote-fs", EARLY),
    ("remote-fs-pre", EARLY),
    ("paths", EARLY),
    ("sockets", "there is no socket activation: services open their own sockets"),
    ("timers", EARLY),
    ("slices", EARLY),
    ("multi-user", LATE),
    ("graphical", LATE),
    ("default", LATE),
    ("getty", LATE),
    ("nss-lookup", "names are looked up by whoever is there"),
    ("nss-user-lookup", "users are looked up in /etc/passwd"),
    ("rpcbind", "name the unit itself: `rpcbind`"),
    ("network-pre", "name the unit that has to be first in `before` of the one that follows"),
    ("shutdown", STOP),
    ("umount", STOP),
    ("final", STOP),
    ("reboot", STOP),
    ("poweroff", STOP),
    ("halt", STOP),
    ("sleep", "an appliance does not sleep"),
];

/// Why what nothing tells of cannot be waited for.
pub(crate) const UNTOLD: &str = "no condition tells of it in this release";

/// What `name` is here. `own` is the unit that is being translated.
pub(crate) fn target(name: &str, own: &str) -> Target {
    let Some((stem, suffix)) = name.rsplit_once('.') else {
        return Target::Missing("this is no unit's name");
    };
    if stem.contains('%') {
        return Target::Missing("specifiers are not replaced in names");
    }
    match suffix {
        "service" if stem == "syslog" || stem == "rsyslog" || stem == "systemd-journald" => {
            Target::Needless(LOGS)
        }
        "service" if stem.starts_with("systemd-") => systemd(stem),
        "service" => Target::Unit(crate::clean_name(stem)),
        "target" => known_target(stem),
        "socket" if stem == "syslog" || stem.starts_with("systemd-") => Target::Needless(LOGS),
        "socket" if crate::clean_name(stem) == own => {
            Target::Needless("there is no socket activation: the service opens its own socket")
        }
        "socket" => {
            Target::Nearly(crate::clean_name(stem), format!("`{name}` is its service here"))
        }
        "device" => device(stem),
        "mount" | "automount" | "swap" => Target::Needless(EARLY),
        "slice" => Target::Needless("each unit has a cgroup of its own"),
        "timer" => {
            Target::Missing("a timer is a part of its service's unit, which is enabled with it")
        }
        "path" => Target::Missing("path units do not exist here"),
        _ => Target::Missing("this is no unit's name"),
    }
}

/// A device is known by its name below /dev.
fn device(stem: &str) -> Target {
    let path = unescape(stem).replace('%', "%%");
    let Some(node) = path.strip_prefix("dev/") else { return Target::Untold };
    let (name, differs) = match node.starts_with("tty") && !node.contains('/') {
        true => (format!("device:tty:{node}"), ""),
        false => (format!("path:/{path}"), "whatever is there, a device or not"),
    };
    let fits = name.len() <= MAX_NAME && name.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Target::Condition(name, differs) } else { Target::Untold }
}

/// systemd's names of paths: `-` for `/`, and `\x2d` for a byte.
fn unescape(stem: &str) -> String {
    let mut parts = stem.split("\\x");
    let mut path = parts.next().unwrap_or_default().replace('-', "/").into_bytes();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                path.push(byte);
                path.extend(part.get(2..).unwrap_or_default().replace('-', "/").bytes());
            }
            None => path.extend(format!("\\x{part}").replace('-', "/").bytes()),
        }
    }
    String::from_utf8_lossy(&path).into_owned()
}

fn systemd(stem: &str) -> Target {
    match stem {
        "systemd-networkd-wait-online" => Target::Condition("network".to_owned(), ""),
        "systemd-time-wait-sync" => Target::Condition("clock".to_owned(), ""),
        _ => Target::Needless("it is a part of systemd"),
    }
}

fn known_target(stem: &str) -> Target {
    match stem {
        "network-online" => Target::Condition("network".to_owned(), ""),
        "network" => Target::Condition(
            "network".to_owned(),
            "`network` holds once there are an address and a default route, which is more",
        ),
        "time-sync" => {
            Target::Condition("clock".to_owned(), "without a time server it waits for ever")
        }
        "time-set" => Target::Needless("`clock` in `after` waits until something keeps it right"),
        _ => match TARGETS.iter().find(|(name, _)| *name == stem) {
            Some((_, why)) => Target::Needless(why),
            // A target of their own keeps its suffix: a service may have the name without.
            None => Target::Unit(crate::clean_name(&format!("{stem}.target"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_units_conditions_or_needless() {
        assert_eq!(target("web.service", "x"), Target::Unit("web".into()));
        assert_eq!(target("web@a.service", "x"), Target::Unit("web@a".into()));
        let condition = |name: &str| Target::Condition(name.to_owned(), "");
        assert_eq!(target("network-online.target", "x"), condition("network"));
        let clock = target("time-sync.target", "x");
        assert!(matches!(clock, Target::Condition(name, _) if name == "clock"));
        assert_eq!(target("systemd-time-wait-sync.service", "x"), condition("clock"));
        assert!(matches!(target("local-fs.target", "x"), Target::Needless(_)));
        assert!(matches!(target("x.socket", "x"), Target::Needless(_)));
        assert!(matches!(target("dbus.socket", "x"), Target::Nearly(name, _) if name == "dbus"));
        assert_eq!(target("app.target", "x"), Target::Unit("app.target".into()));
        assert_eq!(target("dev-ttyUSB0.device", "x"), condition("device:tty:ttyUSB0"));
        let link = target("dev-serial-by\\x2did-usb.device", "x");
        assert!(matches!(link, Target::Condition(name, _) if name == "path:/dev/serial/by-id/usb"));
        assert_eq!(target("sys-subsystem-net-devices-eth0.device", "x"), Target::Untold);
        // A percent sign begins a specifier.
        let odd = target("dev-disk-by\\x2dlabel-80\\x25.device", "x");
        assert!(
            matches!(odd, Target::Condition(name, _) if name == "path:/dev/disk/by-label/80%%")
        );
        let long = format!("dev-{}.device", "x".repeat(64));
        assert_eq!(target(&long, "x"), Target::Untold);
        assert_eq!(unescape("a-\\x2\\xé-b\\x2f"), "a/\\x2\\xé/b/");
        assert_eq!(crate::clean_name("a\\x2db"), "a_x2db");
    }
}
