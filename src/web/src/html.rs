//! Text that cannot become HTML, whatever is in it.

use std::fmt;

/// Shown as text, in an element or an attribute in double quotes. Control characters, and those that
/// turn the direction of the line, are shown as escapes and never obeyed.
pub(crate) struct Html<'a>(pub(crate) &'a str);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\t' | '\n' => f.write_char(character)?,
                other if other.is_control() || turns(other) => {
                    write!(f, "\\u{{{:x}}}", u32::from(other))?;
                }
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Unicode's marks, embeddings, overrides and isolates.
fn turns(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::Html;

    #[test]
    fn nothing_becomes_a_tag_or_leaves_its_attribute() {
        for (text, shown) in [
            ("<script>\"a\" & 'b'", "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;"),
            ("å\tb\nc", "å\tb\nc"),
            ("\u{1b}[2J\0\u{9b}", "\\u{1b}[2J\\u{0}\\u{9b}"),
            ("a\u{202e}b\u{2066}", "a\\u{202e}b\\u{2066}"),
        ] {
            assert_eq!(Html(text).to_string(), shown);
        }
    }
}
