//! What a unit file allows itself: `[x-check] allow = ["runs-as-root"]`. The loader ignores the
//! table, as it does every `x-…`.

use ettan_unit::{Compiled, Severity, nearest, shown};
use toml::de::{DeTable, DeValue};

use crate::LINTS;
use crate::saying::{Finding, Saying};

/// The lints that a unit allows; a name that is none is said.
pub(crate) fn allowed(unit: &Compiled, out: &mut Vec<Finding>) -> Vec<&'static str> {
    let mut list = Vec::new();
    for part in unit.source.parts() {
        let text = unit.source.text.get(part.clone()).unwrap_or("");
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let skipped = part.end.saturating_sub(text.len());
        let Ok(table) = DeTable::parse(text) else { continue };
        let check = table.get_ref().get("x-check").map(|table| table.get_ref());
        let Some(DeValue::Table(check)) = check else { continue };
        let Some(DeValue::Array(names)) = check.get("allow").map(|names| names.get_ref()) else {
            continue;
        };
        for name in names.iter() {
            let DeValue::String(text) = name.get_ref() else { continue };
            let known = LINTS.iter().find(|(known, _)| known == text);
            if let Some((known, _)) = known {
                list.push(*known);
                continue;
            }
            let message = format!("there is no lint `{}`", shown(text));
            let near = nearest(text, LINTS.iter().map(|(name, _)| *name));
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let span = name.span();
            let span = span.start.saturating_add(skipped)..span.end.saturating_add(skipped);
            out.push(Saying::new(Severity::Warning, message).hint(hint).at(&unit.source, &span));
        }
    }
    list
}
