//! What the names of conditions mean to the watcher. Looks at nothing.

use std::path::PathBuf;

/// What has to be looked at for a condition, apart from the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// `clock`: whether the wall clock is kept right.
    Clock,
    /// `path:/data`: whether something is there.
    Path(PathBuf),
    /// `device:usb:1781:0c31`, `device:usb:1781:0c31:A1B2`: whether such a device is plugged in.
    Usb(Usb),
    /// `device:tty:ttyUSB0`: whether there is a terminal of that name.
    Tty(String),
}

/// A kind of USB device, or one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usb {
    pub(crate) vendor: u16,
    pub(crate) product: u16,
    /// Any, if None.
    pub(crate) serial: Option<String>,
}

/// What this condition takes; None if it is the network's, or somebody else states it.
pub(crate) fn read(name: &str) -> Option<Wish> {
    if name == "clock" {
        return Some(Wish::Clock);
    }
    let (kind, rest) = name.split_once(':')?;
    match (kind, rest.split_once(':')) {
        ("path", _) => rest.starts_with('/').then(|| Wish::Path(rest.into())),
        ("device", Some(("usb", numbers))) => usb(numbers).map(Wish::Usb),
        ("device", Some(("tty", tty))) => {
            let is_name = !tty.is_empty() && !tty.contains('/') && tty != "." && tty != "..";
            is_name.then(|| Wish::Tty(tty.to_owned()))
        }
        _ => None,
    }
}

/// Whether it is the watcher who says if this condition holds.
pub(crate) fn is_ours(name: &str) -> bool {
    name == "network" || name.starts_with("network:") || read(name).is_some()
}

/// A number as it is printed on a USB device: four hexadecimal digits.
pub(crate) fn number(text: &str) -> Option<u16> {
    let plain = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

fn usb(numbers: &str) -> Option<Usb> {
    let mut parts = numbers.splitn(3, ':');
    let vendor = number(parts.next()?)?;
    let product = number(parts.next()?)?;
    let serial = parts.next().map(str::to_owned);
    (serial.as_deref() != Some("")).then_some(Usb { vendor, product, serial })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_to_look_at() {
        let usb = |serial: Option<&str>| {
            let serial = serial.map(str::to_owned);
            Some(Wish::Usb(Usb { vendor: 0x1781, product: 0x0c31, serial }))
        };
        let cases = [
            ("clock", Some(Wish::Clock)),
            ("path:/data", Some(Wish::Path("/data".into()))),
            ("path:/a:b", Some(Wish::Path("/a:b".into()))),
            ("device:usb:1781:0c31", usb(None)),
            ("device:usb:1781:0C31", usb(None)),
            ("device:usb:1781:0c31:A1:B2", usb(Some("A1:B2"))),
            ("device:tty:ttyUSB0", Some(Wish::Tty("ttyUSB0".to_owned()))),
            ("path:data", None),
            ("device:usb:1781", None),
            ("device:usb:1781:c31", None),
            ("device:usb:1781:+c31", None),
            ("device:usb:1781:0c31:", None),
            ("device:tty:", None),
            ("device:tty:../null", None),
            ("device:tty:..", None),
            ("device:gpio:17", None),
            ("network", None),
            ("clocks", None),
        ];
        for (name, expected) in cases {
            assert_eq!(read(name), expected, "{name}");
        }
        assert!(is_ours("network:eth0:address") && is_ours("path:/x") && !is_ours("device:gpio:1"));
    }
}
