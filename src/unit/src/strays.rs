//! Names beside unit files that look as if they were to be read, and are not.

use crate::files::Words;
use crate::reference::shown;

/// What editors, packages and Ettan itself leave behind, and what people put at the end of a file that is to rest.
const AT_REST: [&str; 19] = [
    "~",
    "#",
    ".bak",
    ".before-ettan",
    ".ettan-new",
    ".swp",
    ".save",
    ".tmp",
    ".new",
    ".orig",
    ".rej",
    ".old",
    ".off",
    ".disabled",
    ".apk-new",
    ".rpmnew",
    ".rpmsave",
    ".pacnew",
    ".pacsave",
];

/// What is said of `name` in a directory of units; nothing where it is plain why it is there.
pub(crate) fn in_directory(name: &str, is_folder: bool) -> Option<Words> {
    if is_at_rest(name) {
        return None;
    }
    if is_folder {
        let stem = meant(name.strip_suffix(".d").or_else(|| name.strip_suffix(".D"))?);
        let message = "not read: drop-ins are in a directory whose name ends with `.toml.d`";
        return Some((message.into(), Some(format!("call it `{stem}.toml.d`"))));
    }
    let stem = meant(name);
    let hint = match [".service", ".timer", ".socket"].iter().any(|kind| name.ends_with(kind)) {
        true => format!("`ettan import` makes `{stem}.toml` of a unit of systemd"),
        false => format!("call it `{stem}.toml`"),
    };
    Some(("not read: the name of a unit file ends with `.toml`".into(), Some(hint)))
}

/// What is said of `name` in a directory of drop-ins.
pub(crate) fn among_drop_ins(name: &str, is_folder: bool) -> Option<Words> {
    if is_folder || is_at_rest(name) {
        return None;
    }
    let message = "not read: the name of a drop-in ends with `.toml`";
    Some((message.into(), Some(format!("call it `{}.toml`", meant(name)))))
}

fn is_at_rest(name: &str) -> bool {
    name.starts_with('.')
        || name.starts_with("README")
        || name.contains(".dpkg-")
        || name.contains(".ucf-")
        || AT_REST.iter().any(|end| name.ends_with(end))
}

/// `api` for `api`, `api.service`, `api.TOML` and `api.toml.txt`, as it can be shown.
fn meant(name: &str) -> String {
    let toml = name.to_ascii_lowercase().find(".toml");
    let end = toml.or_else(|| name.rfind('.')).filter(|end| *end > 0);
    shown(end.and_then(|end| name.get(..end)).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_right_are_told() {
        let hint = |name: &str, is_folder| in_directory(name, is_folder).and_then(|words| words.1);
        let cases = [
            ("api", "call it `api.toml`"),
            ("api.service", "`ettan import` makes `api.toml` of a unit of systemd"),
            ("api2.TOML", "call it `api2.toml`"),
            ("api3.toml.txt", "call it `api3.toml`"),
            ("api.conf", "call it `api.toml`"),
        ];
        for (name, expected) in cases {
            assert_eq!(hint(name, false).as_deref(), Some(expected), "{name}");
        }
        for name in ["good.d", "good.service.d", "good.TOML.d"] {
            assert_eq!(hint(name, true).as_deref(), Some("call it `good.toml.d`"), "{name}");
        }
        assert_eq!(hint("aside", true), None);
        let at_rest = AT_REST.map(|end| format!("a.toml{end}"));
        let others = ["a.toml.dpkg-old", "a.toml.ucf-dist", ".a.toml.new", "README.md"];
        for name in at_rest.iter().map(String::as_str).chain(others) {
            assert_eq!((hint(name, false), among_drop_ins(name, false)), (None, None), "{name}");
        }
        let hint = among_drop_ins("override.conf", false).and_then(|words| words.1);
        assert_eq!(hint.as_deref(), Some("call it `override.toml`"));
    }
}
