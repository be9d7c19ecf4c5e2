//! `boot [--svg FILE]`: the chart of the boot: from the kernel's start to PID 1's first
//! instruction, and of each unit from its first start to its first time up. Which units the end of the
//! boot waited for, one after the other: `chain`. As a picture: `svg`.

mod chain;
mod svg;

use crate::code::Code;
use crate::escape::Screen;
use crate::link::{Answer, Link, Trouble};
use crate::show::{INDENT, cut, fold};
use crate::status::unexpected;
use ettan_wire::{Need, Reply, Request, Stats, UnitStatus};
use std::fmt::Write;
use std::path::Path;

/// Columns of the bars, so that a line with name and times fits 80.
const BAR: usize = 40;
const NAME: usize = 16;

/// A kernel that took longer did not boot this PID 1: a container's is its host's.
const KERNEL_MAX_MS: u64 = 600_000;

/// One bar, in milliseconds from the beginning of the chart.
#[derive(Debug, PartialEq, Eq)]
struct Bar {
    name: String,
    from_ms: u64,
    /// None: not up to this moment.
    to_ms: Option<u64>,
    /// The end of the boot waited for it.
    is_chain: bool,
}

/// The whole of it.
#[derive(Debug, PartialEq, Eq)]
struct Chart {
    bars: Vec<Bar>,
    end_ms: u64,
    headline: String,
}

/// Prints it, or writes it to a file.
pub(crate) fn boot(svg: Option<&Path>, screen: &Screen) -> Code {
    told(svg, screen).unwrap_or_else(|trouble| trouble.tell(screen))
}

fn told(svg: Option<&Path>, screen: &Screen) -> Result<Code, Trouble> {
    let Answer { reply: Reply::Stats(stats), json } = Link::ask(&Request::Stats)?.expect()? else {
        return Err(unexpected());
    };
    let units = crate::status::units()?;
    let needs: Vec<Need> = crate::tree::needs()?.into_iter().map(|(need, _)| need).collect();
    let chart = Chart::of(&stats, &units, &needs);
    if screen.json {
        screen.packet(&json);
        units.iter().filter_map(times).for_each(|line| screen.say(&line));
        let chain = chart.chain().map(|bar| crate::escape::json_string(&bar.name));
        screen.say(&format!("{{\"chain\":[{}]}}", chain.collect::<Vec<_>>().join(",")));
        return Ok(Code::Done);
    }
    let Some(path) = svg else {
        screen.say(&chart.text(screen.columns()));
        return Ok(Code::Done);
    };
    std::fs::write(path, svg::draw(&chart)).map_err(|error| {
        let text = format!("{}: {error}", path.display());
        Trouble { text, code: Code::Failed }
    })?;
    screen.say(&format!("{}: {}", path.display(), chart.headline));
    Ok(Code::Done)
}

/// An object for each unit that was started.
fn times(unit: &UnitStatus) -> Option<String> {
    let started = unit.started_ms?;
    let ready = unit.ready_ms.map(|ready| format!(",\"ready_ms\":{ready}")).unwrap_or_default();
    let name = crate::escape::json_string(&unit.unit);
    Some(format!("{{\"unit\":{name},\"started_ms\":{started}{ready}}}"))
}

impl Bar {
    /// `web 0.50 s`
    fn took(&self) -> String {
        let to_ms = self.to_ms.unwrap_or(self.from_ms);
        format!("{} {}", self.name, seconds(to_ms.saturating_sub(self.from_ms)))
    }
}

impl Chart {
    fn of(stats: &Stats, units: &[UnitStatus], needs: &[Need]) -> Self {
        let has_kernel = stats.init_ms < KERNEL_MAX_MS;
        let zero = if has_kernel { 0 } else { stats.init_ms };
        let at = |ms: u64| ms.saturating_sub(zero);
        let over = stats.boot_ms.map(at);
        // What starts after the boot is not part of it.
        let end_ms = over.unwrap_or_else(|| at(stats.uptime_ms)).max(1);
        let mut bars = Vec::new();
        if has_kernel {
            let (name, to_ms) = ("kernel".into(), Some(stats.init_ms));
            bars.push(Bar { name, from_ms: 0, to_ms, is_chain: true });
        }
        let own = units.iter().filter_map(|unit| {
            let from_ms = at(unit.started_ms?);
            let to_ms = unit.ready_ms.map(at);
            let (name, is_chain) = (unit.unit.to_string(), false);
            (from_ms <= end_ms).then_some(Bar { name, from_ms, to_ms, is_chain })
        });
        let mut own: Vec<Bar> = own.collect();
        own.sort_by(|a, b| (a.from_ms, &a.name).cmp(&(b.from_ms, &b.name)));
        chain::mark(&mut own, end_ms, needs);
        bars.extend(own);
        let kernel = match has_kernel {
            true => format!("kernel {}, then ", seconds(stats.init_ms)),
            false => String::new(),
        };
        let rest = end_ms.saturating_sub(at(stats.init_ms));
        let headline = match over {
            Some(_) => format!("boot: {kernel}{} until every unit was dealt with", seconds(rest)),
            None => format!("boot: {kernel}{} up to now, not over yet", seconds(rest)),
        };
        Self { bars, end_ms, headline }
    }

    /// What the end of the boot waited for.
    fn chain(&self) -> impl Iterator<Item = &Bar> {
        self.bars.iter().filter(|bar| bar.is_chain)
    }

    /// `#` from start to up, `?` where it did not come up.
    fn text(&self, columns: Option<usize>) -> String {
        let mut text = format!("{}\n", self.headline);
        let scale = |ms: u64| {
            let column = ms.min(self.end_ms).saturating_mul(BAR as u64 - 1) / self.end_ms;
            usize::try_from(column).unwrap_or(0)
        };
        for Bar { name, from_ms, to_ms, .. } in &self.bars {
            let (from, to) = (scale(*from_ms), to_ms.map_or(BAR - 1, scale));
            let mark = if to_ms.is_some() { "#" } else { "?" };
            let bar = format!("{}{}", " ".repeat(from), mark.repeat(to - from + 1));
            let times = match to_ms {
                Some(to) => {
                    let took = to.saturating_sub(*from_ms);
                    format!("{:>8} {:>8}", seconds(*from_ms), format!("+{}", seconds(took)))
                }
                None => format!("{:>8}  not up", seconds(*from_ms)),
            };
            let name = cut(name, Some(NAME));
            let _ = writeln!(text, "{name:<NAME$} {bar:<BAR$} {times}");
        }
        let mut lines: Vec<_> = text.trim_end().lines().map(|line| cut(line, columns)).collect();
        let chain: Vec<_> = self.chain().map(Bar::took).collect();
        if !chain.is_empty() {
            lines.push(fold(
                &format!("the end waited for {}", chain.join(", then ")),
                columns,
                INDENT,
            ));
        }
        lines.join("\n")
    }
}

/// `1.25 s`
fn seconds(ms: u64) -> String {
    format!("{}.{:02} s", ms / 1000, ms % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::{stats, up};

    fn need(unit: &str, on: &str) -> Need {
        let json = format!(
            "{{\"reply\":\"need\",\"unit\":\"{unit}\",\"what\":\"unit\",\"on\":\"{on}\",\"after\":true,\
             \"wants\":false,\"requires\":true,\"cut\":false}}"
        );
        match ettan_wire::decode_reply(json.into_bytes().as_mut_slice()) {
            Ok(Reply::Need(need)) => need,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn chart() -> Chart {
        let stats = Stats { init_ms: 1_000, boot_ms: Some(2_000), ..stats() };
        let unit = |name: &str, started_ms, ready_ms| UnitStatus {
            unit: name.into(),
            started_ms,
            ready_ms,
            ..up()
        };
        let units = [
            unit("web", Some(1_500), Some(2_000)),
            unit("db", Some(1_100), Some(1_500)),
            unit("stuck", Some(1_100), None),
            unit("later", Some(90_000), Some(90_001)),
            unit("never", None, None),
        ];
        Chart::of(&stats, &units, &[need("web", "db"), need("web", "stuck"), need("db", "never")])
    }

    #[test]
    fn bars_stand_in_the_order_of_their_starts() {
        let text = chart().text(Some(80));
        let bar =
            |from: usize, to: usize| format!("{}{}", " ".repeat(from), "#".repeat(to - from + 1));
        let line = |name: &str, bar: String, times: &str| format!("{name:<16} {bar:<40} {times}");
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "boot: kernel 1.00 s, then 1.00 s until every unit was dealt with".to_owned(),
                line("kernel", bar(0, 19), "  0.00 s  +1.00 s"),
                line("db", bar(21, 29), "  1.10 s  +0.40 s"),
                line("stuck", bar(21, 39).replace('#', "?"), "  1.10 s  not up"),
                line("web", bar(29, 39), "  1.50 s  +0.50 s"),
                "the end waited for kernel 1.00 s, then db 0.40 s, then web 0.50 s".to_owned(),
            ]
        );
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_container_has_no_kernel_of_its_own() {
        let stats = Stats { init_ms: 86_400_000, boot_ms: Some(86_401_000), ..stats() };
        let unit = UnitStatus { started_ms: Some(86_400_500), ready_ms: Some(86_401_000), ..up() };
        let chart = Chart::of(&stats, &[unit], &[]);
        assert_eq!(chart.headline, "boot: 1.00 s until every unit was dealt with");
        let (name, to_ms) = ("telldusd".into(), Some(1_000));
        assert_eq!(chart.bars, [Bar { name, from_ms: 500, to_ms, is_chain: true }]);
    }
}
