//! Command lines: a string is split like a shell would, and no shell is run.

use crate::diagnostic::Complaint;

/// The arguments in `text`: blanks separate, `'…'` keeps all, `"…"` keeps all but `\`, and
/// outside of quotes `\` keeps the next character.
pub(crate) fn split(text: &str) -> Result<Vec<String>, Complaint> {
    let mut arguments = Vec::new();
    let mut rest = text.chars();
    // None between arguments: `''` is an argument, a blank is not.
    let mut current: Option<String> = None;
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' => arguments.extend(current.take()),
            '\'' => single(&mut rest, current.get_or_insert_default())?,
            '"' => double(&mut rest, current.get_or_insert_default())?,
            '\\' => match rest.next() {
                // A line that goes on.
                Some('\n') => {}
                Some(c) => current.get_or_insert_default().push(c),
                None => return Err(Complaint::new("the command ends with a lone `\\`")),
            },
            c => current.get_or_insert_default().push(c),
        }
    }
    arguments.extend(current);
    Ok(arguments)
}

fn single(rest: &mut std::str::Chars<'_>, to: &mut String) -> Result<(), Complaint> {
    for c in rest {
        if c == '\'' {
            return Ok(());
        }
        to.push(c);
    }
    Err(Complaint::new("a `'` is not closed"))
}

fn double(rest: &mut std::str::Chars<'_>, to: &mut String) -> Result<(), Complaint> {
    while let Some(c) = rest.next() {
        match c {
            '"' => return Ok(()),
            '\\' => match rest.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => to.push(c),
                Some('\n') => {}
                Some(c) => to.extend(['\\', c]),
                None => break,
            },
            c => to.push(c),
        }
    }
    Err(Complaint::new("a `\"` is not closed"))
}

/// What only a shell would understand: a word of `text` outside of quotes that is one of its
/// operators, or a variable.
pub(crate) fn shell_only(text: &str) -> Option<&str> {
    if text.contains(['\'', '"', '\\']) {
        return None;
    }
    const OPERATORS: [&str; 11] = ["|", "||", "&", "&&", ";", ">", ">>", "<", "2>&1", "2>", "&>"];
    text.split_ascii_whitespace().skip(1).find(|word| {
        let variable = word.strip_prefix('$').is_some_and(|name| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || "_{(".contains(c))
        });
        variable || OPERATORS.contains(word) || word.starts_with("2>") || word.starts_with('>')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_like_a_shell() {
        let cases: [(&str, &[&str]); 12] = [
            ("", &[]),
            ("  ", &[]),
            ("/bin/a b  c\td\n", &["/bin/a", "b", "c", "d"]),
            ("a 'b c' \"d e\"", &["a", "b c", "d e"]),
            ("a ''", &["a", ""]),
            ("a\"b\"'c'd", &["abcd"]),
            (r"a\ b \'c", &["a b", "'c"]),
            (r#""a\"b\\c\n$x""#, &[r#"a"b\c\n$x"#]),
            (r#"'a\b"c'"#, &[r#"a\b"c"#]),
            ("$HOME ~ * > x # y", &["$HOME", "~", "*", ">", "x", "#", "y"]),
            ("ä ö", &["ä", "ö"]),
            ("a \\\n b", &["a", "b"]),
        ];
        for (text, arguments) in cases {
            assert_eq!(
                split(text).as_deref(),
                Ok(&*arguments.iter().map(ToString::to_string).collect::<Vec<_>>()),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_not_closed() {
        for text in ["'a", "\"a", "a\\", "a 'b\"", "\"a\\"] {
            assert!(split(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sees_a_shell_script() {
        assert_eq!(shell_only("/bin/a | b"), Some("|"));
        assert_eq!(shell_only("/bin/a 2>&1"), Some("2>&1"));
        assert_eq!(shell_only("/bin/a $HOME"), Some("$HOME"));
        assert_eq!(shell_only("/bin/a '|' b"), None);
        assert_eq!(shell_only("/bin/a --cost=5$ b"), None);
        assert_eq!(shell_only("/bin/a b"), None);
    }
}
