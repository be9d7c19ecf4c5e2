//! A key that has a directive's name, and no rule of its own here: whatever the loader takes.

use crate::draft::Draft;
use crate::report::Origin;
use crate::systemd::parse::{boolean, words};
use crate::systemd::specifier;
use crate::value::Value;

/// Sets it to the values that the loader takes, or says why there is none.
pub(crate) fn set(section: &str, key: &str, values: &[(String, Origin)], draft: &mut Draft) {
    let Some((last, from)) = values.last() else { return };
    let list: Vec<String> = values
        .iter()
        .flat_map(|(v, _)| words(v))
        .map(|word| specifier::translate(&word).0)
        .collect();
    let (text, _) = specifier::translate(last);
    let truth = boolean(last).map(Value::Truth);
    let single = values.len() == 1;
    let mut forms: Vec<Value> = Vec::new();
    if single {
        forms.extend(truth);
        forms.push(Value::number_or_text(&text));
        forms.push(Value::Text(text));
    }
    forms.push(Value::List(list));
    let mut trial = draft.clone();
    let taken = forms.iter().find(|form| trial.map(from, section, key, (*form).clone()));
    let form = taken.or(forms.last()).cloned().unwrap_or(Value::List(Vec::new()));
    for (_, from) in values {
        draft.map(from, section, key, form.clone());
    }
}
