//! Specifiers in commands, environment and paths: `%n`, `%p`, `%i`, `%H`, `%%`.

use std::cell::OnceCell;
use std::path::Path;

use crate::diagnostic::Complaint;

/// What specifiers stand for.
pub(crate) struct Specifiers<'a> {
    pub(crate) unit: &'a str,
    /// The name up to the first `@`, or that of the file whose instance it is.
    pub(crate) prefix: &'a str,
    /// What follows the `@`, or the number among the instances of a file.
    pub(crate) instance: Option<&'a str>,
    pub(crate) host: &'a HostName<'a>,
}

impl<'a> Specifiers<'a> {
    /// Those of a unit with a file or a template of its own.
    pub(crate) fn of(unit: &'a str, host: &'a HostName<'a>) -> Self {
        match unit.split_once('@') {
            Some((prefix, instance)) => Self { unit, prefix, instance: Some(instance), host },
            None => Self { unit, prefix: unit, instance: None, host },
        }
    }

    /// Nothing in its place could turn `/data/%i` into all of the data.
    fn instance(&self) -> Result<&str, Complaint> {
        self.instance.ok_or_else(|| {
            Complaint::new(format!("`%i` in `{}`, which is no instance", self.unit)).hint(
                "an instance is called NAME@INSTANCE, or is one of those that `instances` makes",
            )
        })
    }

    /// `text` with every specifier replaced.
    pub(crate) fn expand(&self, text: &str) -> Result<String, Complaint> {
        let mut parts = text.split('%');
        let mut out = parts.next().unwrap_or("").to_string();
        while let Some(part) = parts.next() {
            let mut letters = part.chars();
            match letters.next() {
                Some('n') => out.push_str(self.unit),
                Some('p') => out.push_str(self.prefix),
                Some('H') => out.push_str(self.host.get()),
                // `%%` splits into an empty part and the one after it.
                None => {
                    out.push('%');
                    out.push_str(parts.next().ok_or_else(lone)?);
                }
                Some('i') => out.push_str(self.instance()?),
                Some('0') => {
                    let (width, rest) = letters.as_str().split_once('i').ok_or_else(unpadded)?;
                    let width = width.parse().ok().filter(|width| *width <= 9);
                    out.push_str(&padded(self.instance()?, width.ok_or_else(unpadded)?));
                    out.push_str(rest);
                    continue;
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

/// A number with zeros in front; anything else as it is.
fn padded(instance: &str, width: usize) -> String {
    if instance.is_empty() || !instance.bytes().all(|byte| byte.is_ascii_digit()) {
        return instance.to_string();
    }
    format!("{instance:0>width$}")
}

fn unpadded() -> Complaint {
    Complaint::new("`%0` begins a padded instance").hint("for example `%02i`")
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
        let specifiers = Specifiers::of("getty@tty1", &host);
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
            ("%i", Some("tty1")),
            ("a%iz", Some("atty1z")),
            ("%02i", Some("tty1")),
            ("%0", None),
            ("%0xi", None),
            ("%0123i", None),
            ("%x", None),
            ("%ä", None),
        ];
        for (text, expected) in cases {
            assert_eq!(specifiers.expand(text).ok().as_deref(), expected, "{text}");
        }
        let numbered = Specifiers::of("web@7", &host);
        assert_eq!(numbered.expand("%i %02i %03i%p").ok().as_deref(), Some("7 07 007web"));
        let plain = Specifiers::of("web", &host);
        assert!(plain.expand("/data/%i").is_err() && plain.expand("%02i").is_err());
    }
}
