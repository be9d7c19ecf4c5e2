//! Specifiers in commands, environment and paths: `%n`, `%p`, `%H`, `%%`.

use std::cell::OnceCell;
use std::path::Path;

use crate::diagnostic::Complaint;

/// What specifiers stand for.
pub(crate) struct Specifiers<'a> {
    pub(crate) unit: &'a str,
    pub(crate) host: &'a HostName<'a>,
}

impl Specifiers<'_> {
    /// `text` with every specifier replaced.
    pub(crate) fn expand(&self, text: &str) -> Result<String, Complaint> {
        let mut parts = text.split('%');
        let mut out = parts.next().unwrap_or("").to_string();
        while let Some(part) = parts.next() {
            let mut letters = part.chars();
            match letters.next() {
                Some('n') => out.push_str(self.unit),
                Some('p') => out.push_str(self.unit.split('@').next().unwrap_or("")),
                Some('H') => out.push_str(self.host.get()),
                // `%%` splits into an empty part and the one after it.
                None => {
                    out.push('%');
                    out.push_str(parts.next().ok_or_else(lone)?);
                }
                Some('i' | '0') => {
                    let message = "`%i` is not supported yet: there are no instances";
                    return Err(Complaint::new(message));
                }
                Some(c) => {
                    let message = format!("unknown specifier `%{}`", c.escape_default());
                    return Err(Complaint::new(message).hint("write `%%` for a percent sign"));
                }
            }
            out.push_str(letters.as_str());
        }
        Ok(out)
    }
}

fn lone() -> Complaint {
    Complaint::new("a lone `%` at the end").hint("write `%%` for a percent sign")
}

/// The host's name, read when first asked for.
pub(crate) struct HostName<'a> {
    root: &'a Path,
    name: OnceCell<String>,
}

impl<'a> HostName<'a> {
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root, name: OnceCell::new() }
    }

    /// The first word of /etc/hostname; `localhost` without one. Not the kernel's: what DHCP
    /// says today must not change what a unit executes.
    fn get(&self) -> &str {
        self.name.get_or_init(|| {
            let file = crate::tree::read_system(self.root, "/etc/hostname").unwrap_or_default();
            let text = String::from_utf8(file).unwrap_or_default();
            let word = text.split_whitespace().next().unwrap_or("");
            let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
            if !word.is_empty() && word.len() <= 64 && word.bytes().all(good) {
                word.to_string()
            } else {
                "localhost".to_string()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_or_complains() {
        let host = HostName::new(Path::new("/nonexistent"));
        let specifiers = Specifiers { unit: "getty@tty1", host: &host };
        let cases = [
            ("", Some("")),
            ("plain", Some("plain")),
            ("%n %p", Some("getty@tty1 getty")),
            ("100%%", Some("100%")),
            ("%%n", Some("%n")),
            ("%%%n", Some("%getty@tty1")),
            ("%%%%", Some("%%")),
            ("a%Hb", Some("alocalhostb")),
            ("%", None),
            ("a%", None),
            ("%%%", None),
            ("%i", None),
            ("%02i", None),
            ("%x", None),
            ("%ä", None),
        ];
        for (text, expected) in cases {
            assert_eq!(specifiers.expand(text).ok().as_deref(), expected, "{text}");
        }
    }
}
