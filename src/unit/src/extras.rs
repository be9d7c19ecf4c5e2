//! The keys of what a service has beside the usual: each one to an `Extra`, with its strings as
//! the file has them.

use std::ops::Range;

use ettan_table::{Extra, Knob};
use toml::de::DeValue;

use crate::capability;
use crate::diagnostic::{Complaint, Notes};
use crate::draft::{At, Draft, Item, boolean, kind_word, text, text_or_number, texts, word};
use crate::reference::shown;
use crate::{duration, size};

/// What `name = value` of one limit takes.
#[derive(Clone, Copy)]
enum Measure {
    Bytes,
    Count,
    Seconds,
    Microseconds,
}

/// Linux's number of each resource, and how its values are written.
const RESOURCES: [(&str, u8, Measure); 16] = [
    ("limit-cpu", 0, Measure::Seconds),
    ("limit-fsize", 1, Measure::Bytes),
    ("limit-data", 2, Measure::Bytes),
    ("limit-stack", 3, Measure::Bytes),
    ("limit-core", 4, Measure::Bytes),
    ("limit-rss", 5, Measure::Bytes),
    ("limit-nproc", 6, Measure::Count),
    ("limit-nofile", 7, Measure::Count),
    ("limit-memlock", 8, Measure::Bytes),
    ("limit-as", 9, Measure::Bytes),
    ("limit-locks", 10, Measure::Count),
    ("limit-sigpending", 11, Measure::Count),
    ("limit-msgqueue", 12, Measure::Bytes),
    ("limit-nice", 13, Measure::Count),
    ("limit-rtprio", 14, Measure::Count),
    ("limit-rttime", 15, Measure::Microseconds),
];

/// "No limit", to the kernel and to the table.
const INFINITY: u64 = u64::MAX;

/// All of the `limit-` keys.
pub(crate) fn limit(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let known = RESOURCES.iter().find(|(name, ..)| *name == item.name);
    let Some(&(_, resource, measure)) = known else { return };
    let checked =
        pair(item.value, measure).map(|(soft, hard)| Extra::Limit { resource, soft, hard });
    draft.extras.extend(notes.take(&item.span, checked));
}

/// One value for both, or `"soft:hard"`.
fn pair(value: &DeValue<'_>, measure: Measure) -> Result<(u64, u64), Complaint> {
    let written = number_or_text(value)?;
    let (soft, hard) = written.split_once(':').unwrap_or((&written, &written));
    let (soft, hard) = (amount(soft.trim(), measure)?, amount(hard.trim(), measure)?);
    if soft > hard {
        return Err(Complaint::new("the soft limit is above the hard one").hint("\"soft:hard\""));
    }
    Ok((soft, hard))
}

fn amount(text: &str, measure: Measure) -> Result<u64, Complaint> {
    if text == "infinity" {
        return Ok(INFINITY);
    }
    match measure {
        Measure::Bytes => size::parse(text),
        Measure::Count => text.parse().map_err(|_| {
            let complaint = Complaint::new(format!("`{}` is not a number", shown(text)));
            complaint.hint("a whole number, \"soft:hard\" or \"infinity\"")
        }),
        Measure::Seconds => duration::parse(text).map(|ms| u64::from(ms).div_ceil(1000)),
        Measure::Microseconds => duration::parse(text).map(|ms| u64::from(ms).saturating_mul(1000)),
    }
}

pub(crate) fn nice(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = whole(item.value, -20, 19)
        .and_then(|nice| i8::try_from(nice).map_err(|_| Complaint::new("out of range")));
    let Some(nice) = notes.take(&item.span, checked) else { return };
    draft.nice = nice;
    draft.extras.push(Extra::Nice(nice));
}

pub(crate) fn oom_score_adjust(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = whole(item.value, -1000, 1000).and_then(|score| {
        i16::try_from(score).map(Extra::OomScoreAdjust).map_err(|_| Complaint::new("out of range"))
    });
    draft.extras.extend(notes.take(&item.span, checked));
}

pub(crate) fn io_scheduling_class(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let words = [("realtime", 1), ("best-effort", 2), ("idle", 3)];
    let class = notes.take(&item.span, word(item, &words));
    draft.extras.extend(class.map(Extra::IoClass));
}

pub(crate) fn cpu_affinity(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let mask = notes.take(&item.span, processors(item.value));
    draft.extras.extend(mask.map(Extra::CpuAffinity));
}

/// A number, `"0 2-3"`, or a list of numbers.
fn processors(value: &DeValue<'_>) -> Result<u64, Complaint> {
    let list = match value {
        DeValue::Array(array) => {
            let items = array.iter().map(|item| number_or_text(item.get_ref()));
            items.collect::<Result<Vec<_>, _>>()?.join(" ")
        }
        other => number_or_text(other)?,
    };
    let odd = |part: &str| {
        Complaint::new(format!("`{}` is no processor", shown(part)))
            .hint("numbers from 0 to 63: \"0\", \"0-2\", [0, 3]")
    };
    let mut mask = 0_u64;
    for part in list.split([' ', ',']).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number < 64);
        let (first, last) = number(first).zip(number(last)).ok_or_else(|| odd(part))?;
        for bit in first..=last {
            mask |= 1_u64.wrapping_shl(bit);
        }
    }
    if mask == 0 { Err(odd("")) } else { Ok(mask) }
}

pub(crate) fn supplementary_groups(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.supplementary_groups.clear();
    let mut take = |span: Range<usize>, value: &DeValue<'_>| {
        let name = notes.take(&span, text_or_number(value));
        draft.supplementary_groups.extend(name.map(|value| At { span, value }));
    };
    match item.value {
        DeValue::Array(array) => array.iter().for_each(|one| take(one.span(), one.get_ref())),
        value => take(item.span.clone(), value),
    }
}

pub(crate) fn no_new_privileges(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.no_new_privileges = notes.take(&item.span, boolean(item.value));
}

pub(crate) fn capability_bounding_set(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let set = capabilities(item, notes);
    draft.extras.extend(set.map(Extra::BoundingSet));
}

pub(crate) fn ambient_capabilities(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let set = capabilities(item, notes).filter(|set| *set != 0);
    // None at all is what a drop-in says to take them away.
    draft.extras.retain(|extra| !matches!(extra, Extra::Ambient(_)));
    draft.extras.extend(set.map(Extra::Ambient));
}

/// Names like `CAP_NET_BIND_SERVICE`; with `~` in front of the first, all but these.
fn capabilities(item: &Item<'_>, notes: &mut Notes) -> Option<u64> {
    let list = texts(item, notes);
    let words: Vec<At<&str>> = list
        .iter()
        .flat_map(|At { span, value }| {
            value.split_whitespace().map(|value| At { span: span.clone(), value })
        })
        .collect();
    let inverted = words.first().is_some_and(|first| first.value.starts_with('~'));
    let mut set = 0_u64;
    for (at, At { span, value }) in words.iter().enumerate() {
        let name = if at == 0 { value.trim_start_matches('~') } else { *value };
        if name.is_empty() {
            continue;
        }
        let number = notes.take(span, capability::number(name))?;
        set |= 1_u64.wrapping_shl(number);
    }
    Some(if inverted { !set } else { set })
}

pub(crate) fn memory_max(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    share(draft, item, Knob::MemoryMax, notes, Measure::Bytes);
}

pub(crate) fn memory_high(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    share(draft, item, Knob::MemoryHigh, notes, Measure::Bytes);
}

pub(crate) fn tasks_max(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    share(draft, item, Knob::TasksMax, notes, Measure::Count);
}

fn share(draft: &mut Draft, item: &Item<'_>, knob: Knob, notes: &mut Notes, measure: Measure) {
    let checked = number_or_text(item.value).and_then(|text| amount(&text, measure));
    let checked = checked.and_then(|value| match value {
        0 => Err(Complaint::new("nothing can run with 0 of it")),
        value => Ok(Extra::Share { knob, value }),
    });
    draft.extras.extend(notes.take(&item.span, checked));
}

pub(crate) fn cpu_weight(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let checked = whole(item.value, 1, 10_000)
        .map(|weight| Extra::Share { knob: Knob::CpuWeight, value: weight.unsigned_abs() });
    draft.extras.extend(notes.take(&item.span, checked));
}

/// The kernel counts in periods of 100 ms; a percent of one processor is a millisecond of that.
const MICROSECONDS_OF_A_PERCENT: u64 = 1_000;

pub(crate) fn cpu_quota(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let hint = "\"50%\" is half of one, \"200%\" are two";
    let checked = text(item.value).map_err(|complaint| complaint.hint(hint)).and_then(|text| {
        let percent = text.strip_suffix('%').and_then(|number| number.trim().parse::<u64>().ok());
        percent.filter(|percent| (1..=6_400).contains(percent)).ok_or_else(|| {
            Complaint::new(format!("`{}` is no share of processors", shown(&text))).hint(hint)
        })
    });
    let quota = notes.take(&item.span, checked).map(|percent| Extra::Share {
        knob: Knob::CpuQuota,
        value: percent.saturating_mul(MICROSECONDS_OF_A_PERCENT),
    });
    draft.extras.extend(quota);
}

pub(crate) fn environment_file(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.environment_files = texts(item, notes);
}

pub(crate) fn environment_dir(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    draft.environment_dirs = texts(item, notes);
}

pub(crate) fn whole(value: &DeValue<'_>, least: i64, most: i64) -> Result<i64, Complaint> {
    let number = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse::<i64>().ok(),
        other => {
            let message = format!("{} is not a whole number", kind_word(other));
            return Err(Complaint::new(message).hint(format!("{least} to {most}")));
        }
    };
    number
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| Complaint::new(format!("must be between {least} and {most}")))
}

/// A value as it is written, for what is a number or a text with a unit.
fn number_or_text(value: &DeValue<'_>) -> Result<String, Complaint> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_string()),
        DeValue::Integer(_) => Err(Complaint::new("the number must be decimal")),
        other => text(other).map_err(|_| {
            Complaint::new(format!("{} is neither a number nor a text", kind_word(other)))
        }),
    }
}
