//! Spans of time, and when to give up.

use crate::draft::Draft;
use crate::report::Origin;
use crate::systemd::Sections;
use crate::systemd::unit::every;
use crate::value::Value;

/// A span as unit files write it; None for what is for ever.
pub(crate) fn span(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("infinity") {
        return None;
    }
    let text = text.replace("usec", "us").replace("µs", "us");
    // A millisecond is the shortest here.
    let finest = text.strip_suffix("us").and_then(|number| number.trim().parse::<u64>().ok());
    if let Some(us) = finest {
        return Some(Value::Text(format!("{}ms", us.div_ceil(1000))));
    }
    Some(Value::number_or_text(&text))
}

/// Whether a span is 0.
pub(crate) fn is_zero(text: &str) -> bool {
    ettan_unit::span_ms(text.trim()) == Ok(0)
}

/// `StartLimit…=`, which systemd has in [Unit] and has had in [Service].
pub(crate) fn start_limit(
    name: &str,
    values: &[(String, Origin)],
    sections: &Sections,
    draft: &mut Draft,
) {
    let is_off = is_off(sections);
    every(values, draft, |from, draft| {
        let value = from.text.split_once('=').map_or("", |(_, value)| value).trim();
        match name {
            _ if is_off => draft.same(from, OFF),
            "StartLimitBurst" => {
                draft.map(from, "service", "start-limit-burst", Value::number_or_text(value));
            }
            "StartLimitAction" => action(value, from, draft),
            _ => match span(value) {
                Some(span) => {
                    draft.map(from, "service", "start-limit-interval-sec", span);
                }
                None => draft.drop(from, "a limit for all time is none here"),
            },
        }
    });
}

/// A limit of 0 starts or of no time is none.
fn is_off(sections: &Sections) -> bool {
    let last = |name: &str| {
        let values = ["Service", "Unit"].map(|section| sections.quietly(section, name));
        values.into_iter().flatten().last().map(|(value, _)| value)
    };
    let interval = last("StartLimitIntervalSec").or_else(|| last("StartLimitInterval"));
    last("StartLimitBurst").is_some_and(|burst| burst.trim() == "0")
        || interval.is_some_and(|interval| is_zero(&interval))
}

fn action(value: &str, from: &Origin, draft: &mut Draft) {
    let (word, why) = match value {
        "reboot-immediate" => ("reboot-force", ""),
        "poweroff-force" | "poweroff-immediate" => ("poweroff", "units are stopped first"),
        "halt" | "halt-force" | "halt-immediate" => ("poweroff", "the machine is switched off"),
        other => (other, ""),
    };
    let word = Value::text(word);
    match why {
        "" => draft.map(from, "service", "start-limit-action", word),
        why => draft.near(from, "service", "start-limit-action", word, why),
    };
}

/// A limit that says nothing of how many starts is for systemd's five.
pub(crate) fn complete(draft: &mut Draft) {
    let has = |key: &str| draft.get("service", key).is_some();
    if !has("start-limit-burst") && (has("start-limit-interval-sec") || has("start-limit-action")) {
        draft.put("service", "start-limit-burst", Value::Number(5), None);
    }
}

const OFF: &str = "nothing is given up unless a unit asks for it";
