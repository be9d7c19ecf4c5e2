//! Reads the routes of a unit's log, as the unit file asks for them, and says which lines they take.
//! Touches no file.

use std::path::PathBuf;

/// The most routes of one unit: each line is looked at for every one.
const MAX_ROUTES: usize = 16;

/// A further log, and which lines of the unit's belong there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The name of the log is `UNIT.` and this.
    pub(crate) name: String,
    takes: Vec<Pattern>,
    refuses: Vec<Pattern>,
    /// Where it is kept on a disk too.
    pub(crate) directory: Option<PathBuf>,
    /// The unit to start when there is such a line.
    pub(crate) alert: Option<String>,
}

impl Rule {
    /// Whether this line, without its end, belongs there: a pattern takes it, or there is none, and
    /// none refuses it.
    pub(crate) fn takes(&self, line: &[u8]) -> bool {
        let fits = |pattern: &Pattern| pattern.fits(line);
        (self.takes.is_empty() || self.takes.iter().any(fits)) && !self.refuses.iter().any(fits)
    }
}

/// Reads words like `route=errors match=*error* exclude=debug* alert=mail dir=/data/errors`; a word
/// is about the route before it. In values, `%` and two hexadecimal digits are a byte.
pub(crate) fn read(words: &str) -> Option<Vec<Rule>> {
    let mut rules: Vec<Rule> = Vec::new();
    for word in words.split_ascii_whitespace() {
        let (key, value) = word.split_once('=')?;
        let value = decode(value)?;
        if key == "route" {
            let name = String::from_utf8(value).ok()?;
            let is_new = rules.iter().all(|rule| rule.name != name);
            crate::packet::name(&name).filter(|_| is_new && rules.len() < MAX_ROUTES)?;
            rules.push(Rule { name, ..Rule::default() });
            continue;
        }
        let rule = rules.last_mut()?;
        match key {
            "match" => rule.takes.push(Pattern::of(&value)),
            "exclude" => rule.refuses.push(Pattern::of(&value)),
            "dir" => {
                let path = PathBuf::from(String::from_utf8(value).ok()?);
                rule.directory = Some(path).filter(|path| path.is_absolute());
            }
            "alert" => rule.alert = Some(String::from_utf8(value).ok()?),
            _ => return None,
        }
    }
    Some(rules)
}

fn decode(word: &str) -> Option<Vec<u8>> {
    let mut parts = word.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

/// What a whole line looks like: bytes that stand for themselves, and between them what is
/// anything. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern(Vec<Vec<u8>>);

impl Pattern {
    /// `*` is anything; behind a backslash everything stands for itself.
    fn of(text: &[u8]) -> Self {
        let mut pieces = vec![Vec::new()];
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            let itself = match byte {
                b'*' => {
                    pieces.push(Vec::new());
                    continue;
                }
                b'\\' => bytes.next().unwrap_or(b'\\'),
                other => other,
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push(itself);
            }
        }
        Pattern(pieces)
    }

    fn fits(&self, line: &[u8]) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else {
            return self.0.first().is_some_and(|only| only == line);
        };
        let Some(inner) = line.strip_prefix(first.as_slice()) else { return false };
        let Some(mut inner) = inner.strip_suffix(last.as_slice()) else { return false };
        // The first place is the best: it leaves the most to those that follow.
        middle.iter().all(|piece| match find(inner, piece) {
            Some(at) => {
                inner = &inner[at + piece.len()..];
                true
            }
            None => false,
        })
    }
}

fn find(text: &[u8], piece: &[u8]) -> Option<usize> {
    let Some((first, rest)) = piece.split_first() else { return Some(0) };
    let mut from = 0;
    while let Some(at) = text.get(from..)?.iter().position(|byte| byte == first) {
        if text[from + at + 1..].starts_with(rest) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, line: &str) -> bool {
        Pattern::of(pattern.as_bytes()).fits(line.as_bytes())
    }

    #[test]
    fn a_pattern_is_about_the_whole_line() {
        let cases = [
            ("", "", true),
            ("", "x", false),
            ("error", "error", true),
            ("error", "an error", false),
            ("*error*", "an error here", true),
            ("*error*", "erro", false),
            ("*error", "error error", true),
            ("error*", "errors", true),
            ("*", "", true),
            ("**", "anything", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("*ab*ab*", "xabx", false),
            (r"\*", "*", true),
            (r"\*", "x", false),
            (r"5\*5*", "5*5=25", true),
            (r"\\*", r"\n", true),
            ("a\\", "a\\", true),
        ];
        for (pattern, line, expected) in cases {
            assert_eq!(fits(pattern, line), expected, "{pattern:?} and {line:?}");
        }
    }

    #[test]
    fn a_pattern_does_what_trying_all_places_does() {
        fn slow(pattern: &[u8], line: &[u8]) -> bool {
            match pattern.split_first() {
                None => line.is_empty(),
                Some((b'*', rest)) => (0..=line.len()).any(|at| slow(rest, &line[at..])),
                Some((byte, rest)) => line.first() == Some(byte) && slow(rest, &line[1..]),
            }
        }
        let all = |letters: &[u8], most: u32| -> Vec<Vec<u8>> {
            let texts = (0..=most).flat_map(|length| {
                (0..letters.len().pow(length)).map(move |number| (length, number))
            });
            let text = |(length, number): (u32, usize)| {
                let digit = |place| letters[number / letters.len().pow(place) % letters.len()];
                (0..length).map(digit).collect()
            };
            texts.map(text).collect()
        };
        let lines = all(b"ab", 5);
        for pattern in all(b"ab*", 5) {
            for line in &lines {
                let expected = slow(&pattern, line);
                assert_eq!(Pattern::of(&pattern).fits(line), expected, "{pattern:?} {line:?}");
            }
        }
    }

    #[test]
    fn routes_are_read_and_exclusion_wins() {
        let rules = read(
            "route=errors match=*err%20or* match=fatal* exclude=*test* dir=/d alert=mail route=all",
        )
        .unwrap();
        let [errors, all] = rules.as_slice() else { panic!("{rules:?}") };
        assert_eq!((errors.name.as_str(), all.name.as_str()), ("errors", "all"));
        assert_eq!(errors.directory, Some("/d".into()));
        assert_eq!((errors.alert.as_deref(), all.alert.as_deref()), (Some("mail"), None));
        assert!(errors.takes(b"an err or") && errors.takes(b"fatal \xff"));
        assert!(!errors.takes(b"a test err or") && !errors.takes(b"nothing"));
        assert!(all.takes(b"") && all.takes(b"nothing"));
        for odd in [
            "match=x",
            "route=",
            "route=../x",
            "route=a route=a",
            "route=a colour=red",
            "route=a match",
            "route=a match=%4",
            "route=a match=%zz",
            "route=a alert=%ff",
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
