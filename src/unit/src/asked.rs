//! What the kernel's command line asks of units: which are off for this boot, whether any start at
//! all, and the words that conditions may name. Reads text; what follows from it is decided elsewhere.

use ettan_table::is_name;

/// The words that concern units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// `ettan.unit.NAME=off`: as if they were masked.
    pub(crate) off: Vec<String>,
    /// `single`: nothing starts at boot but a shell on the console.
    pub(crate) single: bool,
    /// All words, on the machine that the units are for; None elsewhere, where nothing is skipped.
    pub(crate) words: Option<Vec<String>>,
}

impl Asked {
    /// Reads the kernel's command line of this machine; in a container it is somebody else's, and
    /// empty here. What follows `--` is init's, and is passed over.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        let mut asked = Self::default();
        let mut all = Vec::new();
        let words = line.split(u8::is_ascii_whitespace).take_while(|word| *word != b"--");
        for word in words.filter_map(|word| core::str::from_utf8(word).ok()) {
            let unit = word.strip_prefix("ettan.unit.").and_then(|rest| rest.strip_suffix("=off"));
            asked.single |= word == "single";
            all.push(word.to_owned());
            asked.off.extend(unit.filter(|unit| is_name(unit)).map(str::to_owned));
        }
        asked.words = Some(all);
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_before_two_dashes_count() {
        let of = |line: &[u8]| {
            let asked = Asked::of(line);
            (asked.off.join(" "), asked.single)
        };
        let line = b"root=/dev/sda ettan.unit.web=off quiet ettan.unit.getty@tty1=off -- single";
        assert_eq!(of(line), ("web getty@tty1".to_owned(), false));
        assert_eq!(of(b"single\n"), (String::new(), true));
        for other in [
            &b""[..],
            b"singles xsingle single=1",
            b"ettan.unit.=off ettan.unit.web=on ettan.unit.web ettan.unit.a/b=off",
            b"ettan.unit.\xff=off xettan.unit.web=off ettan.unit.web=offs",
        ] {
            assert_eq!(of(other), (String::new(), false), "{}", other.escape_ascii());
        }
    }
}
