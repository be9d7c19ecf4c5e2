//! A file's name for all of its instances: PID 1 knows units, people name files as well.

use crate::change::name;
use crate::code::Code;
use crate::link::{Link, Trouble};
use crate::status;
use ettan_wire::{Request, UnitStatus, Which};
use std::collections::BTreeSet;

/// The units that these names mean: for a file with instances all of them, in the order of their
/// names; any other name is left as it is. Each instance comes once.
pub(crate) fn of(names: &[String]) -> Vec<String> {
    let mut meant: Vec<String> = Vec::new();
    for name in names {
        let instances = if is_unknown(name) { all_of(name) } else { Vec::new() };
        match instances.is_empty() {
            true => meant.push(name.clone()),
            false => meant.extend(instances),
        }
    }
    once(meant)
}

/// Whether PID 1 says that no unit is called like this. Whatever else is wrong, the verb will tell.
fn is_unknown(unit: &str) -> bool {
    let asked = name(unit).and_then(|unit| Link::ask(&Request::IsActive(Which { unit }))?.expect());
    matches!(asked, Err(Trouble { code: Code::NotInstalled | Code::NotConfigured, .. }))
}

fn all_of(file: &str) -> Vec<String> {
    status::units().map(|units| members(file, &units)).unwrap_or_default()
}

/// Not by their names: those say nothing certain.
fn members(file: &str, units: &[UnitStatus]) -> Vec<String> {
    let own = units.iter().filter(|unit| unit.group.as_deref() == Some(file));
    own.map(|unit| unit.unit.to_string()).collect()
}

/// All that can be named, by name: units but Ettan's own, and files that have instances.
pub(crate) fn names(units: &[UnitStatus]) -> BTreeSet<&str> {
    let own = units.iter().filter(|unit| !unit.builtin);
    own.flat_map(|unit| [Some(unit.unit.as_str()), unit.group.as_deref()]).flatten().collect()
}

/// The first of equal names stays where it is.
fn once(names: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::{members, names, once};
    use crate::show::tests::up;
    use ettan_wire::UnitStatus;

    #[test]
    fn a_file_means_its_instances_and_no_unit_that_is_called_alike() {
        let unit = |unit: &str, group: Option<&str>| UnitStatus {
            unit: unit.into(),
            group: group.map(Into::into),
            ..up()
        };
        let units = [
            unit("worker_00", Some("worker")),
            unit("worker_01", Some("worker")),
            unit("worker_02", None),
            unit("worker_old_00", Some("worker_old")),
        ];
        assert_eq!(members("worker", &units), ["worker_00", "worker_01"]);
        assert_eq!(members("worker_old", &units), ["worker_old_00"]);
        assert_eq!(members("work", &units), [""; 0]);
        assert_eq!(members("worker_00", &units), [""; 0]);
        let all = names(&units).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(all, "worker worker_00 worker_01 worker_02 worker_old worker_old_00");
    }

    #[test]
    fn whoever_is_named_twice_is_meant_once() {
        let names = ["b", "a", "b"].map(str::to_owned).to_vec();
        assert_eq!(once(names), ["b", "a"]);
    }
}
