//! Supervisor's file format: sections, values over several lines, comments, `%(name)s`.

use crate::report::Origin;

/// One `key = value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) from: Origin,
}

/// One `[section]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) settings: Vec<Setting>,
}

/// The sections of a text.
pub(crate) fn sections(file: &str, text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (at, raw) in text.lines().enumerate() {
        let line = comment_gone(raw);
        if line.trim().is_empty() {
            continue;
        }
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let name = name.trim().to_owned();
            sections.push(Section { name, file: file.to_owned(), settings: Vec::new() });
            continue;
        }
        let Some(section) = sections.last_mut() else { continue };
        // A line that begins with a blank goes on with the value before.
        if line.starts_with([' ', '\t'])
            && let Some(last) = section.settings.last_mut()
        {
            last.value.push('\n');
            last.value.push_str(trimmed);
            last.from.text = format!("{}={}", last.key, last.value);
            continue;
        }
        let cut = trimmed.find(['=', ':']).unwrap_or(trimmed.len());
        let (key, value) = trimmed.split_at(cut);
        let key = key.trim().to_ascii_lowercase();
        let value = value.get(1..).unwrap_or("").trim().to_owned();
        let from = Origin::new(file, at + 1, format!("{key}={value}"));
        section.settings.retain(|setting| setting.key != key);
        section.settings.push(Setting { key, value, from });
    }
    sections
}

/// A line without its comment: from the beginning on, or after a blank and `;`.
fn comment_gone(line: &str) -> &str {
    if line.trim_start().starts_with([';', '#']) {
        return "";
    }
    let blank = |at: usize| line.get(..at).is_some_and(|before| before.ends_with([' ', '\t']));
    let cut = line.match_indices(';').map(|(at, _)| at).find(|at| blank(*at));
    cut.and_then(|at| line.get(..at)).unwrap_or(line)
}

/// In place of a value: what will be known only of each process. The width follows, and this again.
pub(crate) const LATER: &str = "\u{2}";

/// `%(name)s` and `%(name)02d` replaced; what is not known is told and left out.
pub(crate) fn expand(
    text: &str,
    value: &dyn Fn(&str) -> Option<String>,
    lost: &mut Vec<String>,
) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(tail) = after.strip_prefix('%') {
            out.push('%');
            rest = tail;
            continue;
        }
        let parsed = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        let Some((name, tail)) = parsed else {
            out.push('%');
            rest = after;
            continue;
        };
        let width: String = tail.chars().take_while(char::is_ascii_digit).collect();
        rest = tail.get(width.len() + 1..).unwrap_or("");
        match value(name) {
            Some(found) if found == LATER => {
                out.push_str(&format!("{LATER}{}{LATER}", width.trim_start_matches('0')));
            }
            Some(found) => {
                let wide = width.parse::<usize>().unwrap_or(0).min(16);
                out.push_str(&format!("{found:0>wide$}"));
            }
            None => lost.push(format!("`%({name})` is not known here")),
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_on_and_comments_go() {
        let text =
            "; c\n[program:a]\ncommand = x -y ; c\n# c\nenvironment=A=\"1;2\",\n  B=2\nx:1\n";
        let found = sections("f", text).remove(0);
        let seen: Vec<_> =
            found.settings.iter().map(|s| (s.key.as_str(), s.value.as_str())).collect();
        let values = [("command", "x -y"), ("environment", "A=\"1;2\",\nB=2"), ("x", "1")];
        assert_eq!((found.name.as_str(), seen.as_slice()), ("program:a", values.as_slice()));
    }

    #[test]
    fn expressions_are_replaced() {
        let value = |name: &str| (name == "process_num").then(|| "3".to_owned());
        let mut lost = Vec::new();
        assert_eq!(expand("a_%(process_num)02d%%%(b)s.", &value, &mut lost), "a_03%.");
        assert_eq!(lost.len(), 1);
    }
}
