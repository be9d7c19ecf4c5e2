//! Specifiers: systemd's into Ettan's, or into what they stand for on every appliance.

use crate::draft::literal;

/// Text with specifiers that Ettan has, and what could not be put into one.
pub(crate) fn translate(text: &str) -> (String, Vec<String>) {
    let (mut out, mut lost) = (String::new(), Vec::new());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let Some(letter) = rest.next() else {
            out.push_str("%%");
            break;
        };
        match known(letter) {
            Some(text) => out.push_str(text),
            None => {
                out.push_str(&literal(&format!("%{letter}")));
                lost.push(format!("%{letter}"));
            }
        }
    }
    (out, lost)
}

fn known(letter: char) -> Option<&'static str> {
    Some(match letter {
        '%' => "%%",
        // With its suffix there, without one here.
        'n' => "%n.service",
        'N' => "%n",
        'p' | 'P' => "%p",
        'i' | 'I' => "%i",
        'f' => "/%i",
        'H' | 'l' => "%H",
        't' => "/run",
        'S' => "/var/lib",
        'C' => "/var/cache",
        'L' => "/var/log",
        'E' => "/etc",
        'T' => "/tmp",
        'V' => "/var/tmp",
        'h' => "/root",
        'u' | 'g' => "root",
        'U' | 'G' => "0",
        's' => "/bin/sh",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_specifier_becomes_ours_or_is_told() {
        assert_eq!(translate("a%%b %i %n %t/x"), ("a%%b %i %n.service /run/x".into(), vec![]));
        assert_eq!(translate("%m"), ("%%m".into(), vec!["%m".into()]));
        assert_eq!(translate("50%"), ("50%%".into(), vec![]));
    }
}
