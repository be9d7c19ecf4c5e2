//! What the devices that are there ask for: the file `modalias` of each. Loads nothing.

use std::fs;
use std::path::Path;

/// Calls `each` with what is in the file `modalias` of every device of every bus and class.
pub(crate) fn each_alias(sys: &Path, mut each: impl FnMut(&[u8])) {
    let mut look = |devices: &Path| {
        for device in fs::read_dir(devices).into_iter().flatten().flatten() {
            // Most have none, and what vanishes while it is read is not there.
            if let Ok(alias) = fs::read(device.path().join("modalias")) {
                each(alias.trim_ascii_end());
            }
        }
    };
    for bus in fs::read_dir(sys.join("bus")).into_iter().flatten().flatten() {
        look(&bus.path().join("devices"));
    }
    // Input devices have no bus, nor has the board's name (dmi).
    for class in fs::read_dir(sys.join("class")).into_iter().flatten().flatten() {
        look(&class.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_buses_and_classes_are_asked() {
        let sys = std::env::temp_dir().join(format!("ettan-modalias-{}", std::process::id()));
        let all = || {
            let mut found = Vec::new();
            each_alias(&sys, |alias| found.push(String::from_utf8(alias.to_vec()).unwrap()));
            found.sort();
            found
        };
        assert!(all().is_empty(), "no sysfs, no devices");
        for (device, alias) in [
            ("bus/usb/devices/1-1:1.0", "usb:v0403p6001\n"),
            ("class/input/input3", "input:b0003\n"),
        ] {
            fs::create_dir_all(sys.join(device)).unwrap();
            fs::write(sys.join(device).join("modalias"), alias).unwrap();
        }
        fs::create_dir_all(sys.join("bus/usb/devices/usb1")).unwrap();
        fs::write(sys.join("bus/usb/drivers_autoprobe"), "1\n").unwrap();
        assert_eq!(all(), ["input:b0003", "usb:v0403p6001"]);
        fs::remove_dir_all(&sys).unwrap();
    }
}
