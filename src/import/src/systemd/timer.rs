//! A .timer and the .service that it starts, which are one unit here.

use crate::draft::Draft;
use crate::report::Origin;
use crate::systemd::{Sections, unit};
use crate::tree::{Tree, directory};
use crate::value::Value;

/// The service beside it that it starts: `Unit=`, or the one of the same name.
pub(crate) fn service_of(sections: &Sections, path: &str, stem: &str) -> String {
    let named = sections.quietly("Timer", "Unit").pop().map(|(unit, _)| unit);
    format!("{}/{}", directory(path), named.unwrap_or_else(|| format!("{stem}.service")))
}

/// Whether a timer beside this service starts it: the boot does not, then.
pub(crate) fn is_beside(tree: &dyn Tree, path: &str, stem: &str) -> bool {
    tree.exists(&format!("{}/{stem}.timer", directory(path)))
}

/// Adds what the timer says to the unit of its service. Its [Install] says whether it is enabled.
pub(crate) fn add(sections: &Sections, draft: &mut Draft) {
    unit::install(sections, draft);
    for name in sections.names("Unit") {
        for (_, from) in sections.tell_resets("Unit", &name, draft) {
            draft.drop(&from, "the timer is a part of its service's unit, which has its own");
        }
    }
    for name in sections.names("Timer") {
        let values = sections.tell_resets("Timer", &name, draft);
        match name.as_str() {
            "OnBootSec" => span("on-boot-sec", "", sections, &values, draft),
            "OnStartupSec" | "OnActiveSec" => {
                span("on-boot-sec", "it counts from the boot", sections, &values, draft);
            }
            "OnUnitActiveSec" => span("every", "", sections, &values, draft),
            "OnUnitInactiveSec" => {
                span("every", "it counts from one start to the next", sections, &values, draft);
            }
            "OnCalendar" => moments(&values, draft),
            // Once the moments are known.
            "Persistent" => {}
            "Unit" => unit::every(&values, draft, |from, draft| draft.same(from, "this unit")),
            other => unit::every(&values, draft, |from, draft| draft.drop(from, why(other))),
        }
    }
    persistent(sections, draft);
}

fn span(
    key: &str,
    differs: &str,
    sections: &Sections,
    values: &[(String, Origin)],
    draft: &mut Draft,
) {
    sections.last(values, draft, |value, from, draft| {
        let value = Value::number_or_text(value);
        match differs {
            "" => draft.map(from, "timer", key, value),
            differs => draft.near(from, "timer", key, value, differs),
        };
    });
}

/// The first one that can be said; a unit has one.
fn moments(values: &[(String, Origin)], draft: &mut Draft) {
    for (value, from) in values {
        match (draft.get("timer", "at").is_some(), ettan_unit::check_moments(value)) {
            (true, _) => draft.drop(from, "a unit has one `at`: write another unit for it"),
            (false, Ok(())) => {
                draft.map(from, "timer", "at", Value::text(value));
            }
            (false, Err(why)) => draft.drop(from, why),
        }
    }
}

fn persistent(sections: &Sections, draft: &mut Draft) {
    let Some((value, from)) = sections.quietly("Timer", "Persistent").pop() else { return };
    match (crate::systemd::parse::boolean(&value), draft.get("timer", "at").is_some()) {
        (Some(true), true) => {
            draft.put("timer", "persistent", Value::Truth(true), None);
            draft.same(&from, "persistent");
        }
        (Some(true), false) => draft.drop(&from, "`persistent` goes with `at`"),
        (Some(false), _) => draft.same(&from, "it is so without a key"),
        (None, _) => draft.drop(&from, "neither true nor false"),
    }
}

fn why(name: &str) -> &'static str {
    match name {
        "RandomizedDelaySec" | "FixedRandomDelay" | "RandomizedOffsetSec" => {
            "a unit is started when it is time: one appliance is no crowd"
        }
        "AccuracySec" => "a unit is started at the millisecond",
        "WakeSystem" => "the machine does not sleep",
        "RemainAfterElapse" => "a timer stays as long as its unit",
        "OnClockChange" | "OnTimezoneChange" => "only time starts units",
        _ => "no such thing in [timer]",
    }
}
