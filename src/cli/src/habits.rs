//! What hands that know other machines type: taken where it is plain what is meant, answered with our own word where not.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use ettan_wire::signal_number;
use std::ffi::OsString;

/// A verb of somebody else's, and what is typed here.
const FOREIGN: &[(&str, &str)] = &[
    ("add", "ettan reload-units"),
    ("blame", "ettan boot"),
    ("cat", "unit files are text: cat /etc/units/NAME.toml"),
    ("down", "ettan stop"),
    ("edit", "any editor on /etc/units/NAME.toml, then ettan reload-units"),
    ("info", "ettan status"),
    ("isolate", "ettan rescue"),
    ("journal", "ettan logs"),
    ("journalctl", "ettan logs"),
    ("list-dependencies", "ettan tree"),
    ("list-timers", "ettan list --timers"),
    ("list-unit-files", "ettan list"),
    ("list-units", "ettan list"),
    ("log", "ettan logs"),
    ("reload-or-restart", "ettan reload, or ettan restart"),
    ("reread", "ettan reload-units"),
    ("reset-failed", "ettan reset"),
    ("show", "ettan status NAME, ettan why NAME"),
    ("signal", "ettan kill -s SIGNAL NAME"),
    ("tail", "ettan logs -f"),
    ("up", "ettan start"),
    ("update", "ettan reload-units"),
];

/// Verbs that end the machine: nobody is to come upon one by a typing error.
const ENDS: [&str; 4] = ["halt", "poweroff", "reboot", "shutdown"];

/// `ettan -V`, `ettan help VERB` and `ettan kill -9 web` as they are written here.
pub(crate) fn written_here(mut words: Vec<OsString>) -> Vec<OsString> {
    let word = |at: usize| words.get(at).and_then(|word| word.to_str()).unwrap_or("");
    match (word(1), words.len()) {
        ("--version" | "-V", 2) => words.splice(1.., ["version".into()]).for_each(drop),
        ("help", _) => {
            words.remove(1);
            words.truncate(2);
            words.push("--help".into());
        }
        ("kill", _) => {
            let is_signal = |word: &OsString| {
                let name = word.to_str().and_then(|word| word.strip_prefix('-'));
                name.is_some_and(|name| signal_number(name).is_some())
            };
            if let Some(word) = words.get_mut(2).filter(|word| is_signal(word)) {
                *word =
                    format!("--signal={}", word.to_string_lossy().trim_start_matches('-')).into();
            }
        }
        _ => {}
    }
    words
}

/// The error with our own word for a verb that there is not, and without one that ends the machine.
pub(crate) fn in_our_words(mut error: clap::Error) -> clap::Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let typed = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(typed)) => typed.clone(),
        _ => return error,
    };
    let guessed = match error.remove(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::Strings(verbs)) => verbs,
        Some(ContextValue::String(verb)) => vec![verb],
        _ => Vec::new(),
    };
    if let Some((_, ours)) = FOREIGN.iter().find(|(foreign, _)| *foreign == typed) {
        let tip = vec![format!("here it is: {ours}").into()];
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tip));
        return error;
    }
    let mild: Vec<String> =
        guessed.into_iter().filter(|verb| !ENDS.contains(&verb.as_str())).collect();
    if !mild.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(mild));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(verb: &str) -> String {
        let matched = crate::command().try_get_matches_from(["ettan", verb]);
        in_our_words(matched.expect_err("there is no such verb")).to_string()
    }

    #[test]
    fn a_verb_of_somebody_elses_leads_to_ours() {
        for (foreign, ours) in FOREIGN {
            let text = said(foreign);
            assert!(text.contains(ours) && text.contains("tip: here it is: "), "{text}");
            let verb = ours.strip_prefix("ettan ").map(|ours| ours.split([' ', ',']).next());
            if let Some(verb) = verb.flatten() {
                assert!(crate::command().find_subcommand(verb).is_some(), "{verb}");
            }
        }
        assert!(said("strat").contains("'start'"), "{}", said("strat"));
    }

    #[test]
    fn nobody_is_led_to_the_end_of_the_machine() {
        for typed in ["hat", "haltt", "rebot", "power-off", "shutdow"] {
            let text = said(typed);
            assert!(ENDS.iter().all(|verb| !text.contains(&format!("'{verb}'"))), "{text}");
        }
    }
}
