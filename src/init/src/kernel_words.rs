//! What the kernel's command line says to PID 1, read once in each execution. A word with a value that makes no
//! sense is said and counts as one that is not there. What it says of units is the loader's (`ettan.unit.…`).

use crate::boot;
use ettan_core::{POWER_FAIL_MS, SHUTDOWN_MS};
use ettan_sys::host;

/// No architecture's command line is longer (`COMMAND_LINE_SIZE` of the kernel).
pub(crate) const COMMAND_LINE: usize = 4096;

/// How many seconds a shutdown may take.
const SHUTDOWN: &str = "ettan.shutdown=";
/// For how many seconds all critical units have to be up for the boot to be a success.
const BOOT_OK: &str = "ettan.boot-ok=";
/// The hardware watchdog is left alone.
pub(crate) const WATCHDOG_OFF: &str = "ettan.watchdog=off";

/// Who asks for more seconds means never.
const LONGEST_S: u32 = 3_600;

const PROOF_MS: u32 = 60_000;

/// The words, or what goes without them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KernelWords {
    /// How long a shutdown may take.
    pub(crate) shutdown_ms: u32,
    /// How long all critical units are up in a boot that is a success.
    pub(crate) proof_ms: u32,
    /// Whether PID 1 may open the hardware watchdog.
    pub(crate) watchdog: bool,
}

impl KernelWords {
    /// In a container they are somebody else's.
    pub(crate) fn read() -> Self {
        let mut line = [0; COMMAND_LINE];
        let line = boot::owns_machine().then(|| host::kernel_command_line(&mut line).ok());
        Self::of(line.flatten().unwrap_or_default())
    }

    fn of(line: &[u8]) -> Self {
        Self {
            shutdown_ms: milliseconds(line, SHUTDOWN, SHUTDOWN_MS).max(POWER_FAIL_MS),
            proof_ms: milliseconds(line, BOOT_OK, PROOF_MS),
            watchdog: !host::has_word(line, WATCHDOG_OFF.as_bytes()),
        }
    }
}

fn milliseconds(line: &[u8], word: &str, usual_ms: u32) -> u32 {
    let Some(value) = host::value_of(line, word.as_bytes()) else { return usual_ms };
    let seconds = core::str::from_utf8(value).ok().and_then(|value| value.parse::<u32>().ok());
    let Some(seconds) = seconds else {
        let (value, usual_s) = (value.escape_ascii(), usual_ms / 1_000);
        log::warn!(
            "kernel command line: {word}{value}: not a number of seconds, so it is {usual_s}; mend cmdline.txt"
        );
        return usual_ms;
    };
    seconds.min(LONGEST_S).saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_line_says_counts_within_reason() {
        let line = b"quiet ettan.shutdown=120 ettan.boot-ok=5 panic=10 -- ettan.boot-ok=7";
        let said = KernelWords { shutdown_ms: 120_000, proof_ms: 5_000, watchdog: true };
        assert_eq!(KernelWords::of(line), said);
        assert_eq!(KernelWords::of(b"ettan.shutdown=0").shutdown_ms, 5_000);
        let most = KernelWords::of(b"ettan.shutdown=4294967295 ettan.boot-ok=1000000");
        assert_eq!((most.shutdown_ms, most.proof_ms), (3_600_000, 3_600_000));
        assert!(!KernelWords::of(b"ro ettan.watchdog=off").watchdog);
    }

    #[test]
    fn what_makes_no_sense_is_not_there() {
        let usual = KernelWords { shutdown_ms: 30_000, proof_ms: 60_000, watchdog: true };
        for line in [
            "",
            "ettan.shutdown= ettan.boot-ok=",
            "ettan.shutdown=soon ettan.boot-ok=5s",
            "-- ettan.shutdown=9 ettan.watchdog=off",
            "xettan.boot-ok=5 ettan.boot-ok=-1",
        ] {
            assert_eq!(KernelWords::of(line.as_bytes()), usual, "{line}");
        }
    }
}
