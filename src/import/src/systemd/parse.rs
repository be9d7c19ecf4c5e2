//! systemd's file format: sections, lines that go on, quotes, lists, and what an empty value takes
//! back. Knows no directive.

use crate::report::Origin;
use crate::tree::Tree;

/// One `Name=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) section: String,
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) from: Origin,
}

/// All directives of a text, in order, and lines that are none.
pub(crate) fn directives(file: &str, text: &str) -> (Vec<Directive>, Vec<Origin>) {
    let (mut found, mut strays) = (Vec::new(), Vec::new());
    let mut section = String::new();
    for (number, line) in logical_lines(text) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            continue;
        }
        match line.split_once('=') {
            Some((name, value)) if !section.is_empty() => {
                let (name, value) = (name.trim(), value.trim());
                found.push(Directive {
                    section: section.clone(),
                    name: name.to_owned(),
                    value: value.to_owned(),
                    from: Origin::new(file, number, format!("{name}={value}")),
                });
            }
            Some(_) | None => strays.push(Origin::new(file, number, line)),
        }
    }
    (found, strays)
}

/// Lines without comments, those that end in `\` joined with the next, each with its number.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (at, raw) in text.lines().enumerate() {
        let line = raw.trim();
        if line.starts_with(['#', ';']) || (line.is_empty() && open.is_none()) {
            continue;
        }
        let (number, mut whole) = open.take().unwrap_or((at + 1, String::new()));
        match raw.trim_end().strip_suffix('\\') {
            Some(part) => {
                whole.push_str(part.trim_start());
                whole.push(' ');
                open = Some((number, whole));
            }
            None => {
                whole.push_str(line);
                lines.push((number, whole));
            }
        }
    }
    lines.extend(open);
    lines.into_iter().map(|(number, line)| (number, line.trim().to_owned())).collect()
}

/// A unit's file and its drop-ins, read one after the other.
pub(crate) fn with_drop_ins(tree: &dyn Tree, path: &str) -> Option<Vec<Directive>> {
    let (mut all, strays) = directives(path, &tree.read(path)?);
    all.extend(strays.into_iter().map(stray));
    for file in drop_ins(tree, path) {
        let (more, strays) = directives(&file, &tree.read(&file).unwrap_or_default());
        all.extend(more);
        all.extend(strays.into_iter().map(stray));
    }
    Some(all)
}

/// A line that is no directive, so that the report has it.
fn stray(from: Origin) -> Directive {
    Directive { section: String::new(), name: String::new(), value: String::new(), from }
}

/// Where units are, the first place wins.
const PLACES: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The drop-ins of a unit, in the order of their names; one name counts once.
fn drop_ins(tree: &dyn Tree, path: &str) -> Vec<String> {
    let (directory, name) = (crate::tree::directory(path), crate::tree::file_name(path));
    let mut places = vec![directory];
    if PLACES.contains(&directory) {
        places = PLACES.to_vec();
    }
    let mut files: Vec<(String, String)> = Vec::new();
    for place in places {
        let folder = format!("{place}/{name}.d");
        for file in tree.list(&folder) {
            if file.ends_with(".conf") && !files.iter().any(|(known, _)| *known == file) {
                files.push((file.clone(), format!("{folder}/{file}")));
            }
        }
    }
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}

/// The words of a value, as systemd splits a command line or a list: quotes of both kinds, and
/// backslashes as in C.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut current: Option<String> = None;
    let mut quote = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\\', _) => current.get_or_insert_default().push_str(&escape(&mut rest)),
            ('\'' | '"', None) => {
                quote = Some(c);
                current.get_or_insert_default();
            }
            (_, Some(open)) if c == open => quote = None,
            (' ' | '\t' | '\n', None) => words.extend(current.take()),
            _ => current.get_or_insert_default().push(c),
        }
    }
    words.extend(current);
    words
}

/// What stands after a backslash.
fn escape(rest: &mut std::str::Chars<'_>) -> String {
    let Some(c) = rest.next() else { return "\\".into() };
    let mut number = |digits: usize, radix: u32| {
        let code: String = rest.clone().take(digits).collect();
        let value = u32::from_str_radix(&code, radix).ok().filter(|_| code.len() == digits)?;
        let found = char::from_u32(value)?;
        rest.nth(digits - 1);
        Some(found.to_string())
    };
    let kept = || format!("\\{c}");
    match c {
        'a' => "\x07".into(),
        'b' => "\x08".into(),
        'f' => "\x0c".into(),
        'n' => "\n".into(),
        'r' => "\r".into(),
        't' => "\t".into(),
        'v' => "\x0b".into(),
        's' => " ".into(),
        '\\' | '"' | '\'' | ';' => c.to_string(),
        'x' => number(2, 16).unwrap_or_else(kept),
        'u' => number(4, 16).unwrap_or_else(kept),
        '0'..='7' => {
            let more: String = rest.clone().take(2).collect();
            let value = u32::from_str_radix(&format!("{c}{more}"), 8).ok();
            match value.and_then(char::from_u32).filter(|_| more.len() == 2) {
                Some(found) => {
                    rest.nth(1);
                    found.to_string()
                }
                None => kept(),
            }
        }
        _ => kept(),
    }
}

/// A truth as systemd reads one; None where it would read none.
pub(crate) fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

/// Why a value that is no truth is not taken.
pub(crate) const NEITHER: &str = "this is neither yes nor no";

/// All values that one name of one section has in the end, and what became of the others.
#[derive(Debug, Default)]
pub(crate) struct Values {
    pub(crate) values: Vec<(String, Origin)>,
    /// Assignments that a later empty one took back, and the line of that.
    pub(crate) taken_back: Vec<(Origin, usize)>,
    /// The last empty assignment.
    pub(crate) reset: Option<Origin>,
}

/// The values of the directives of one name.
pub(crate) fn values<'a>(directives: impl Iterator<Item = &'a Directive>) -> Values {
    let mut all = Values::default();
    for directive in directives {
        if directive.value.is_empty() {
            let line = directive.from.line;
            all.taken_back.extend(all.values.drain(..).map(|(_, from)| (from, line)));
            all.reset = Some(directive.from.clone());
        } else {
            all.values.push((directive.value.clone(), directive.from.clone()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_on_and_comments_do_not_stop_them() {
        let text = "[A]\n# c\nx = 1 \\\n  # in between\n  2\n; c\ny=\\\n\nz=3\nstray\n";
        let (found, strays) = directives("f", text);
        let seen: Vec<_> =
            found.iter().map(|d| (d.from.line, d.name.as_str(), d.value.as_str())).collect();
        assert_eq!(seen, [(3, "x", "1  2"), (7, "y", ""), (9, "z", "3")]);
        assert_eq!(strays.len(), 1);
    }

    #[test]
    fn words_are_split_as_systemd_does() {
        let cases: [(&str, &[&str]); 7] = [
            ("a  b", &["a", "b"]),
            ("\"a b\" 'c d'", &["a b", "c d"]),
            ("VAR=\"a b\"", &["VAR=a b"]),
            ("a\\x20b \\\"q\\\"", &["a b", "\"q\""]),
            ("a '' b", &["a", "", "b"]),
            ("\\101\\s \\u00e4", &["A ", "ä"]),
            ("\\q \\;", &["\\q", ";"]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn truths_are_read_as_systemd_does() {
        for yes in ["1", "yes", "y", "true", "t", "on", "YES", "True", "oN", "T"] {
            assert_eq!(boolean(yes), Some(true), "{yes}");
        }
        for no in ["0", "no", "n", "false", "f", "off", "NO", "False", "N"] {
            assert_eq!(boolean(no), Some(false), "{no}");
        }
        for neither in ["", "2", "ye", "yes please", "enabled", "nope"] {
            assert_eq!(boolean(neither), None, "{neither}");
        }
    }

    #[test]
    fn an_empty_value_takes_back_what_was_before() {
        let (found, _) = directives("f", "[S]\nA=1\nA=\nA=2\n");
        let all = values(found.iter());
        assert_eq!(all.values.iter().map(|(v, _)| v.as_str()).collect::<Vec<_>>(), ["2"]);
        assert_eq!(all.taken_back.len(), 1);
        assert!(all.reset.is_some());
    }
}
