//! Finds the list that somebody forgot to close. The parser takes all that follows for a part of it, and says of each
//! line what is wrong with that.

/// Where the first list begins that is not closed before the next key or table.
pub(crate) fn list(text: &str) -> Option<usize> {
    let mut rest = Rest { text, at: 0 };
    let mut open: Vec<usize> = Vec::new();
    // Behind the `=` of a line: only there is a `[` the beginning of a list.
    let mut is_value = false;
    while let Some(c) = rest.next() {
        match c {
            '\n' if open.is_empty() => is_value = false,
            '\n' if is_key_or_table(rest.line()) && !rest.goes_on() => {
                return open.first().copied();
            }
            '#' => rest.skip_line(),
            '=' => is_value = true,
            '[' if is_value => open.push(rest.at.saturating_sub(1)),
            ']' => {
                open.pop();
            }
            // What is wrong with a text is said of it.
            '"' | '\'' => rest.skip_text(c)?,
            _ => {}
        }
    }
    open.first().copied()
}

/// `key = …` or `[table]`, and no element of a list.
fn is_key_or_table(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or("").trim();
    let is_name = |text: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain)
    };
    let table = line.trim_start_matches('[').trim_end_matches(']');
    let is_table = line.starts_with('[') && line.ends_with(']') && is_name(table.trim());
    let is_word = ["true", "false", "inf", "nan"].contains(&table.trim());
    is_table && !is_word || line.split_once('=').is_some_and(|(key, _)| is_name(key.trim()))
}

struct Rest<'a> {
    text: &'a str,
    at: usize,
}

impl Rest<'_> {
    fn left(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn next(&mut self) -> Option<char> {
        let c = self.left().chars().next()?;
        self.at = self.at.saturating_add(c.len_utf8());
        Some(c)
    }

    fn line(&self) -> &str {
        self.left().split('\n').next().unwrap_or("")
    }

    /// As lines of a list do, those too whose quotes were forgotten.
    fn goes_on(&self) -> bool {
        let mut lines = self.left().lines().map(|line| line.split('#').next().unwrap_or("").trim());
        let is_followed = lines.next().is_some_and(|line| line.ends_with(','));
        is_followed || lines.find(|line| !line.is_empty()).is_some_and(|next| next.starts_with(']'))
    }

    fn skip_line(&mut self) {
        self.at = self.at.saturating_add(self.line().len());
    }

    /// To behind the quote that ends it. None where there is none.
    fn skip_text(&mut self, quote: char) -> Option<()> {
        let three: String = [quote; 3].iter().collect();
        let is_long = self.left().starts_with(three.get(1..)?);
        let end = if is_long { three.as_str() } else { three.get(..1)? };
        if is_long {
            self.at = self.at.saturating_add(2);
        }
        loop {
            if self.left().starts_with(end) {
                self.at = self.at.saturating_add(end.len());
                return Some(());
            }
            match self.next()? {
                '\\' if quote == '"' => self.next().map(|_| ())?,
                '\n' if !is_long => return None,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_that_is_not_closed_is_found() {
        let cases = [
            ("a = [\n  \"b\",\n[service]\n", Some(4)),
            ("a = [1, 2\nb = 3\n", Some(4)),
            ("a = [1]\nb = [\"]\", [2]", Some(12)),
            ("a = [\n  # ]\n", Some(4)),
            ("a = [\n[true],\n[\"x\"],\n]\n[b]\n", None),
            ("[a]\nb = \"\"\"\n[c\n\"\"\"\n", None),
            ("[a\nb = 1\n", None),
            ("a = [\"b]\nc = 1\n", None),
            ("a = '[' # [\n", None),
            ("a = [\n  B=1, # one\n  C=2\n\n]\n", None),
        ];
        for (text, place) in cases {
            assert_eq!(list(text), place, "{text}");
        }
    }
}
