//! Names in `after`, `binds-to`, `requires` and the like: a unit or a condition?

use ettan_table::{MAX_NAME, is_name};

use crate::diagnostic::Complaint;
use crate::specifier::Specifiers;

/// What a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The unit of this name.
    Unit(String),
    /// The condition of this name.
    Condition(String),
}

/// A name where both units and conditions may stand (`after`, `binds-to`).
pub(crate) fn parse(name: &str) -> Result<Target, Complaint> {
    if let Some(condition) = condition(name) {
        return condition.map(Target::Condition);
    }
    unit(name).map(Target::Unit)
}

/// With the specifiers of a condition replaced; a unit's name has none.
pub(crate) fn expanded(name: Target, specifiers: &Specifiers<'_>) -> Result<Target, Complaint> {
    match name {
        Target::Condition(name) if name.contains('%') => parse(&specifiers.expand(&name)?),
        Target::Condition(_) | Target::Unit(_) => Ok(name),
    }
}

/// A name where only units may stand (`before`, `wants`, `requires`, `conflicts`, …).
pub(crate) fn unit(name: &str) -> Result<String, Complaint> {
    let plain = name.strip_suffix(".toml").unwrap_or(name);
    if plain.len() != name.len() {
        let message = format!("`{}` is a file's name", shown(name));
        return Err(Complaint::new(message).hint(format!("the unit is `{}`", shown(plain))));
    }
    if let Some(condition) = taken_by_condition(name) {
        let message =
            format!("`{}` is the condition `{}`, not a unit", shown(name), shown(condition));
        return Err(
            Complaint::new(message).hint("conditions can only stand in `after` and `binds-to`")
        );
    }
    if is_name(name) { Ok(name.to_string()) } else { Err(odd(name)) }
}

/// The condition that makes `name` unusable for a unit. `network` and `clock` are usable: the
/// unit of that name is the one that brings the condition about; nothing but PID 1 brings `boot-ok`
/// and `reset-ahead`.
pub(crate) fn taken_by_condition(name: &str) -> Option<&str> {
    match name {
        "network.target" | "network-online.target" => Some("network"),
        "boot-ok" | "reset-ahead" => Some(name),
        _ => ["network:", "device:", "path:"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            .then_some(name),
    }
}

/// The condition that `name` is, if it looks like one.
fn condition(name: &str) -> Option<Result<String, Complaint>> {
    let good = match name {
        "network" | "network.target" | "network-online.target" => {
            return Some(Ok("network".into()));
        }
        "boot-ok" | "reset-ahead" | "clock" | "network:link" => true,
        _ => match name.split_once(':')? {
            ("network", rest) => {
                let interface = rest.strip_suffix(":address");
                interface.is_some_and(is_interface)
            }
            ("device", rest) => is_device(rest),
            ("path", rest) => rest.starts_with('/'),
            _ => return None,
        },
    };
    let whole = good && name.len() <= MAX_NAME && name.bytes().all(|b| b.is_ascii_graphic());
    Some(if whole { Ok(name.into()) } else { Err(unknown_condition(name)) })
}

/// As the kernel has it: IFNAMSIZ with its NUL is 16.
fn is_interface(name: &str) -> bool {
    (1..16).contains(&name.len()) && !name.contains([':', '/'])
}

/// `usb:1781:0c31`, `usb:1781:0c31:SERIAL`, `tty:ttyUSB0`. Other kinds are stated by somebody.
fn is_device(rest: &str) -> bool {
    let hex = |text: &str| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match rest.split_once(':') {
        // An instance has the numbers; they are looked at once they are there.
        Some(("usb", numbers)) if numbers.contains('%') => true,
        Some(("usb", numbers)) => {
            let mut parts = numbers.splitn(3, ':');
            let known = parts.by_ref().take(2).filter(|part| hex(part)).count();
            known == 2 && parts.next() != Some("")
        }
        Some(("tty", tty)) => !tty.is_empty() && !tty.contains('/') && tty != "." && tty != "..",
        Some(_) => true,
        None => !rest.is_empty() && rest != "usb" && rest != "tty",
    }
}

fn unknown_condition(name: &str) -> Complaint {
    let hint = if name.starts_with("device:usb") {
        "a USB device is device:usb:VID:PID or device:usb:VID:PID:SERIAL, with the two numbers of \
         four hexadecimal digits that lsusb shows"
    } else {
        "there are network, network:link, network:IFACE:address, clock, boot-ok, reset-ahead, \
         device:usb:VID:PID, device:tty:NAME, path:/…; at most 64 characters"
    };
    let complaint = Complaint::new(format!("unknown condition `{}`", shown(name)));
    let interface = name.strip_prefix("network:").and_then(|rest| rest.split(':').next());
    match interface.filter(|interface| is_interface(interface)) {
        Some(interface) => {
            complaint.hint(format!("did you mean `network:{}:address`?", shown(interface)))
        }
        None => complaint.hint(hint),
    }
}

fn odd(name: &str) -> Complaint {
    Complaint::new(format!("`{}` cannot be a unit's name", shown(name)))
        .hint("1 to 64 letters, digits and `:_.@-`")
}

/// Not a whole file in a message, and nothing a terminal obeys.
#[must_use]
pub fn shown(text: &str) -> String {
    let short: String = text.chars().take(64).collect();
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_has_an_address() {
        let hint = |name: &str| parse(name).unwrap_err().hint.unwrap_or_default();
        assert_eq!(hint("network:eth0"), "did you mean `network:eth0:address`?");
        assert_eq!(hint("network:eth0:up"), "did you mean `network:eth0:address`?");
        assert!(hint("network:").starts_with("there are network, "));
    }

    #[test]
    fn tells_units_from_conditions() {
        let condition = |name: &str| Ok(Target::Condition(name.into()));
        let cases = [
            ("network", condition("network")),
            ("network.target", condition("network")),
            ("network-online.target", condition("network")),
            ("network:link", condition("network:link")),
            ("network:eth0:address", condition("network:eth0:address")),
            ("clock", condition("clock")),
            ("device:usb:1781:0c31", condition("device:usb:1781:0c31")),
            ("device:usb:1781:0C31:A:1", condition("device:usb:1781:0C31:A:1")),
            ("device:tty:ttyUSB0", condition("device:tty:ttyUSB0")),
            ("device:gpio:17", condition("device:gpio:17")),
            ("path:/data", condition("path:/data")),
            ("web", Ok(Target::Unit("web".into()))),
            ("a:b", Ok(Target::Unit("a:b".into()))),
            ("network-manager", Ok(Target::Unit("network-manager".into()))),
        ];
        for (name, expected) in cases {
            assert_eq!(parse(name), expected, "{name}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        let long = format!("path:/{}", "x".repeat(64));
        let names = [
            "",
            "a/b",
            "a b",
            "web.toml",
            "ä",
            "network:",
            "network:eth0",
            "network::address",
            "network:waytoolonginterface:address",
            "device:",
            "device:usb",
            "device:usb:",
            "device:usb:1781",
            "device:usb:1781:c31",
            "device:usb:1781:0x31",
            "device:usb:1781:0c31:",
            "device:tty:",
            "device:tty:serial/1",
            "path:",
            "path:data",
            ".hidden",
            &long,
        ];
        for name in names {
            assert!(parse(name).is_err(), "{name}");
        }
        for name in ["network.target", "network:link", "path:/x", "device:a"] {
            assert!(unit(name).is_err(), "{name}");
        }
        assert_eq!(unit("network").as_deref(), Ok("network"));
    }
}
