//! What PID 1 says, as numbers in the text format of Prometheus.

use ettan_cli::client::{self, Listed};
use ettan_wire::{StateWord, Stats, UnitStatus};
use std::fmt::{self, Write};

/// A label's value.
struct Label<'a>(&'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// Everything.
pub(crate) fn text(stats: &Stats, units: &[Listed]) -> String {
    let mut text = String::new();
    machine(&mut text, stats);
    let statuses = || units.iter().map(|unit| &unit.status);
    of_units(&mut text, "unit_up", "gauge", "Whether the unit is up", statuses(), |status| {
        Some(u64::from(status.state == StateWord::Up))
    });
    head(&mut text, "unit_state", "gauge", "The state that the unit is in");
    for status in statuses() {
        let (unit, state) = (Label(&status.unit), client::word(status));
        let _ = writeln!(text, "ettan_unit_state{{unit=\"{unit}\",state=\"{state}\"}} 1");
    }
    let help = "Starts that nobody asked for, since the unit was loaded or reset";
    of_units(&mut text, "unit_restarts_total", "counter", help, statuses(), |status| {
        Some(u64::from(status.restarts))
    });
    let help = "Whether the unit keeps ending quickly";
    of_units(&mut text, "unit_crash_looping", "gauge", help, statuses(), |status| {
        Some(u64::from(status.crash_looping))
    });
    let help = "Whether the unit is up and does not work";
    of_units(&mut text, "unit_unwell", "gauge", help, statuses(), |status| {
        Some(u64::from(status.unwell.is_some()))
    });
    of_units(&mut text, "unit_memory_bytes", "gauge", "Memory in use", statuses(), |status| {
        client::usage(status).0
    });
    of_units(&mut text, "unit_tasks", "gauge", "Processes and threads", statuses(), |status| {
        client::usage(status).1
    });
    head(&mut text, "unit_state_seconds", "gauge", "How long the unit has been in its state");
    for status in statuses() {
        let Some(since) = status.since_ms else { continue };
        let (unit, age) = (Label(&status.unit), Seconds(status.now_ms.saturating_sub(since)));
        let _ = writeln!(text, "ettan_unit_state_seconds{{unit=\"{unit}\"}} {age}");
    }
    text
}

/// Milliseconds as seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

fn machine(text: &mut String, stats: &Stats) {
    head(text, "info", "gauge", "The release of PID 1");
    let _ = writeln!(text, "ettan_info{{version=\"{}\"}} 1", Label(&stats.version));
    head(text, "uptime_seconds", "gauge", "Since the kernel started");
    let _ = writeln!(text, "ettan_uptime_seconds {}", Seconds(stats.uptime_ms));
    if let Some(boot_ms) = stats.boot_ms {
        head(
            text,
            "boot_seconds",
            "gauge",
            "When everything that starts at boot had been dealt with",
        );
        let _ = writeln!(text, "ettan_boot_seconds {}", Seconds(boot_ms));
    }
    head(text, "units", "gauge", "Units, without Ettan's own, by how it stands with them");
    for (state, count) in [
        ("up", stats.up),
        ("changing", stats.changing),
        ("waiting", stats.waiting),
        ("failed", stats.failed),
        ("down", stats.down),
    ] {
        let _ = writeln!(text, "ettan_units{{state=\"{state}\"}} {count}");
    }
    for (name, kind, help, value) in [
        ("faults_total", "counter", "Faults of PID 1 that it survived", u64::from(stats.crashes)),
        (
            "executions_total",
            "counter",
            "How often PID 1 executed itself anew",
            u64::from(stats.executions),
        ),
        (
            "allocations_after_boot",
            "gauge",
            "Heap allocations of PID 1 after boot",
            stats.allocations_after_boot,
        ),
        (
            "degraded",
            "gauge",
            "Whether something of PID 1 does not work just now",
            u64::from(!stats.degraded.is_empty()),
        ),
        (
            "reduced",
            "gauge",
            "Whether PID 1 reads no unit files any more",
            u64::from(stats.reduced),
        ),
        ("diagnostics", "gauge", "Messages about unit files", u64::from(stats.diagnostics)),
        ("clients", "gauge", "Clients of the control socket", u64::from(stats.clients)),
    ] {
        head(text, name, kind, help);
        let _ = writeln!(text, "ettan_{name} {value}");
    }
    if stats.watchdog_timeout_ms > 0 {
        let age = stats.uptime_ms.saturating_sub(stats.watchdog_fed_ms);
        head(text, "watchdog_fed_seconds", "gauge", "Since the hardware watchdog was fed");
        let _ = writeln!(text, "ettan_watchdog_fed_seconds {}", Seconds(age));
        head(text, "watchdog_timeout_seconds", "gauge", "After which it resets the machine");
        let limit = Seconds(stats.watchdog_timeout_ms);
        let _ = writeln!(text, "ettan_watchdog_timeout_seconds {limit}");
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# HELP ettan_{name} {help}.\n# TYPE ettan_{name} {kind}");
}

fn of_units<'a>(
    text: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    units: impl Iterator<Item = &'a UnitStatus>,
    value: impl Fn(&UnitStatus) -> Option<u64>,
) {
    head(text, name, kind, help);
    for status in units {
        if let Some(value) = value(status) {
            let _ = writeln!(text, "ettan_{name}{{unit=\"{}\"}} {value}", Label(&status.unit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::tests::{listed, stats};

    #[test]
    fn every_number_has_its_type_and_no_name_breaks_out() {
        let mut units = vec![listed("web"), listed("a\"b\\c\nd")];
        units[0].status.restarts = 3;
        let told = text(&stats(), &units);
        for line in [
            "ettan_unit_up{unit=\"web\"} 1",
            "ettan_unit_restarts_total{unit=\"web\"} 3",
            "ettan_unit_state{unit=\"web\",state=\"up\"} 1",
            "ettan_unit_up{unit=\"a\\\"b\\\\c\\nd\"} 1",
            "ettan_uptime_seconds 200.000",
            "ettan_unit_state_seconds{unit=\"web\"} 125.000",
            "ettan_units{state=\"failed\"} 1",
            "ettan_watchdog_fed_seconds 2.000",
        ] {
            assert!(told.lines().any(|told| told == line), "no {line} in\n{told}");
        }
        let mut types: Vec<&str> = told.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let count = types.len();
        types.sort_unstable();
        types.dedup();
        assert_eq!(types.len(), count);
        for line in told.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(types.iter().any(|of| of.contains(&format!(" {name} "))), "{line}");
        }
    }
}
