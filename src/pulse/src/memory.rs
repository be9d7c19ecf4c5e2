//! Whether there is too little memory for the machine to go on. Reads text.

use std::fmt::{self, Display, Formatter};

/// Below this nothing new is started any more, and what runs is read from the card page by page. In
/// KiB: 2 % of a Pi Zero, of which the kernel itself keeps a part back.
const FLOOR_KIB: u64 = 8 * 1024;

/// What is left for programs, as the kernel estimates it (proc_meminfo(5), since Linux 3.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    available_kib: u64,
}

impl Memory {
    /// Of a text of /proc/meminfo; None where it does not say.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        let available_kib = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(Self { available_kib })
    }

    pub(crate) const fn is_short(&self) -> bool {
        self.available_kib < FLOOR_KIB
    }
}

impl Display for Memory {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { available_kib } = self;
        write!(f, "{available_kib} KiB of memory are left, less than {FLOOR_KIB}, for a minute")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_read_and_judged() {
        let text = "MemTotal:         445196 kB\nMemFree:     1 kB\nMemAvailable:    8191 kB\n";
        assert_eq!(Memory::of(text), Some(Memory { available_kib: 8191 }));
        assert!(Memory::of(text).unwrap().is_short());
        assert!(!Memory { available_kib: 8192 }.is_short());
        for other in ["", "MemAvailable: kB", "MemAvailable: 5", "MemAvailable: -5 kB"] {
            assert_eq!(Memory::of(other), None, "{other}");
        }
    }
}
