//! Which units start in a rescue along with those that are on: what these wait for, and what it takes to reach a
//! machine at all. Those that are not enabled, or off, stay so.

use crate::asked::Asked;
use crate::compile::Compiled;
use crate::diagnostic::{Diagnostic, Severity};
use crate::draft::At;
use crate::graph::Units;
use crate::names::Names;
use crate::reference::Target;

/// What a machine is reached by, as far as it is enabled: by whatever name its distribution has it. Of a template, all
/// instances.
const REACHED_BY: [&str; 28] = [
    "root",
    "mounts",
    "tmpfiles",
    "machine-id",
    "seed",
    "modules",
    "sysctl",
    "devices",
    "hotplug",
    "udev",
    "eudev",
    "systemd-udevd",
    "led",
    "last-end",
    "last-end-watchdog",
    "network",
    "networking",
    "ifup",
    "dhcp@",
    "dhcpcd",
    "dbus",
    "NetworkManager",
    "ModemManager",
    "systemd-networkd",
    "connman",
    "iwd",
    "wpa_supplicant",
    "wpa_supplicant@",
];

/// Lets units start again of those that rest; says which.
pub(crate) fn bring_along(
    units: &mut Units,
    resting: &[String],
    asked: &Asked,
) -> Option<Diagnostic> {
    let said = asked.rescue.as_ref()?;
    let rests = |unit: &Compiled| {
        let file = unit.group.as_deref().unwrap_or(&unit.unit.name);
        resting.iter().any(|name| name == file)
    };
    let mut due: Vec<String> = Vec::new();
    for unit in units.values().filter(|unit| unit.unit.autostart) {
        due.push(unit.unit.name.to_string());
    }
    if due.is_empty() {
        return None;
    }
    let reaching = units.values().filter(|unit| reaches(&unit.unit.name) && rests(unit));
    due.extend(reaching.map(|unit| unit.unit.name.to_string()));
    let mut seen: Names<()> = Names::default();
    while let Some(name) = due.pop() {
        let Some(unit) = units.get(&name).filter(|_| !seen.contains(&name)) else { continue };
        seen.insert(&name, ());
        // Those start with it, enabled or not.
        due.extend(unit.wants.iter().chain(&unit.requires).map(|at| at.value.clone()));
        due.extend(targets(&unit.binds_to));
        let rest = |name: &String| units.get(name).is_some_and(rests);
        due.extend(targets(&unit.after).filter(rest));
        let first = |other: &&Compiled| other.before.iter().any(|at| at.value == name);
        let first = units.values().filter(first).filter(|other| rests(other));
        due.extend(first.map(|other| other.unit.name.to_string()));
    }
    let mut along = Vec::new();
    for unit in units.values_mut().filter(|unit| !unit.unit.autostart && rests(unit)) {
        if seen.contains(&unit.unit.name) {
            unit.unit.autostart = true;
            along.push(unit.unit.name.to_string());
        }
    }
    let outcome = format!("these start along: {}", along.join(", "));
    (!along.is_empty()).then(|| said.told(Severity::Note, None, &outcome))
}

fn reaches(name: &str) -> bool {
    let template = name.split_inclusive('@').next();
    REACHED_BY
        .iter()
        .any(|known| *known == name || (template == Some(known) && known.ends_with('@')))
}

/// The units among them; conditions are whoever's.
fn targets(list: &[At<Target>]) -> impl Iterator<Item = String> {
    list.iter().filter_map(|at| match &at.value {
        Target::Unit(name) => Some(name.clone()),
        Target::Condition(_) => None,
    })
}
