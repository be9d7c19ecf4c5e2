//! How it stands with the machine: the lines below the list of `status`. Pure, but for the clock.

use crate::show::{many, row};
use ettan_wire::{Span, Stats};
use std::fmt::Write;

/// Everything about the machine that a person asks first. `synchronised`: the clock; None where
/// the kernel does not tell.
pub(crate) fn summary(stats: &Stats, synchronised: Option<bool>, now: &str) -> String {
    let mut text = units(stats);
    let mut line = |label: &str, value: &str| {
        let _ = write!(text, "\n{}", row(label, value));
    };
    line("machine", &machine(stats));
    line(
        "clock",
        &match synchronised {
            Some(true) => format!("{now}, synchronised"),
            Some(false) => format!("{now}, not synchronised"),
            None => now.to_owned(),
        },
    );
    if let Some(identity) = &stats.watchdog {
        line("watchdog", &watchdog(identity, stats));
    }
    if !stats.last_end.is_empty() {
        line("last end", &stats.last_end);
    }
    match stats.fallbacks.as_str() {
        "" => line("kernel", "has all that Ettan uses"),
        missing => line("kernel", missing),
    }
    line("PID 1", &pid_1(stats));
    for (is_so, label, value) in [
        (
            stats.reduced,
            "note",
            "reduced mode: unit files are not read again (ettan reexec tries to leave it)",
        ),
        (
            stats.reverted,
            "note",
            "the last new PID 1 failed before it was in service; this one goes on",
        ),
        (!stats.degraded.is_empty(), "degraded", &*stats.degraded),
    ] {
        if is_so {
            line(label, value);
        }
    }
    text
}

/// `3 units: 2 up, 1 waiting; 2 messages about unit files`
fn units(stats: &Stats) -> String {
    let mut text = format!("{}: {} up", many(stats.units as usize, "unit"), stats.up);
    for (count, word) in [
        (stats.changing, "changing"),
        (stats.waiting, "waiting"),
        (stats.failed, "failed"),
        (stats.down, "down"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} {word}");
        }
    }
    if stats.diagnostics > 0 {
        let _ = write!(text, "; {} about unit files", many(stats.diagnostics as usize, "message"));
    }
    text
}

/// A container has the clock of its host, and a boot that begins with PID 1.
fn machine(stats: &Stats) -> String {
    let begun = if stats.watchdog.is_some() { 0 } else { stats.init_ms };
    let mut text = format!("up for {}", Span(stats.uptime_ms.saturating_sub(begun)));
    match stats.boot_ms {
        Some(over) => {
            let took = over.saturating_sub(begun);
            let _ = write!(text, ", booted in {}.{:02} s", took / 1000, took % 1000 / 10);
        }
        None => text.push_str(", still booting"),
    }
    text
}

fn pid_1(stats: &Stats) -> String {
    let faults = many(stats.crashes as usize, "fault");
    let heap = many(usize::try_from(stats.allocations_after_boot).unwrap_or(0), "allocation");
    format!("Ettan {}; {faults} survived, {heap} after boot", stats.version)
}

/// How it stands with the hardware watchdog, in one line.
fn watchdog(identity: &str, stats: &Stats) -> String {
    let mut text = String::from("none");
    if stats.watchdog_timeout_ms > 0 {
        let fed = Span(stats.uptime_ms.saturating_sub(stats.watchdog_fed_ms));
        text = format!("{identity}, {}, fed {fed} ago", Span(stats.watchdog_timeout_ms));
    }
    if !stats.watchdog_trouble.is_empty() {
        let _ = write!(text, "; {}", stats.watchdog_trouble);
    }
    // What has put down how it ended has asked the device, too.
    if stats.last_end.is_empty() && !stats.last_reset.is_empty() {
        let _ = write!(text, "; last reset: {}", stats.last_reset);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::stats;

    #[test]
    fn a_machine_in_a_few_lines() {
        let stats =
            Stats { init_ms: 900, boot_ms: Some(2_345), fallbacks: "no pidfd".into(), ..stats() };
        assert_eq!(
            summary(&stats, Some(false), "1970-01-01 00:03:20"),
            "4 units: 1 up, 1 changing, 1 waiting, 1 failed; 2 messages about unit files
   machine: up for 3 min 20 s, booted in 2.34 s
     clock: 1970-01-01 00:03:20, not synchronised
  watchdog: Broadcom BCM2835, 15 s, fed 2 s ago; last reset: watchdog
    kernel: no pidfd
     PID 1: Ettan 0.1.0; 0 faults survived, 0 allocations after boot"
        );
    }

    #[test]
    fn how_the_last_boot_ended_is_said_once() {
        let stats = Stats { last_end: "reset by the watchdog: web is not well".into(), ..stats() };
        let text = summary(&stats, None, "now");
        assert!(
            text.contains("fed 2 s ago\n  last end: reset by the watchdog: web is not well\n"),
            "{text}"
        );
    }

    #[test]
    fn a_container_boots_from_pid_1_on() {
        let stats = Stats { init_ms: 198_000, boot_ms: Some(199_500), watchdog: None, ..stats() };
        let text = summary(&stats, None, "now");
        assert!(text.contains("machine: up for 2 s, booted in 1.50 s\n"), "{text}");
        assert!(!text.contains("watchdog"), "{text}");
    }
}
