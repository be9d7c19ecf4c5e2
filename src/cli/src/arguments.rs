//! What people may type: `ettan VERB [UNIT…]`, and `reboot`, `poweroff`, `halt`, `shutdown` by name of the link.

use crate::code::Code;
use crate::completion::Shell;
use crate::enable::{How, Standing};
use crate::logs::{KERNEL, Query, Wish, moment, severity_of};
use clap::{Parser, Subcommand};
use ettan_wire::PowerWord;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// One command line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) json: bool,
    pub(crate) no_block: bool,
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Status { units: Vec<String> },
    List { all: bool },
    Names,
    IsActive { quiet: bool, units: Vec<String> },
    IsFailed { quiet: bool, units: Vec<String> },
    IsLoaded { quiet: bool, units: Vec<String> },
    Why { units: Vec<String> },
    IsEnabled { quiet: bool, units: Vec<String> },
    Enable { standing: Standing, how: How, units: Vec<String> },
    Start { units: Vec<String> },
    Stop { units: Vec<String> },
    Restart { units: Vec<String> },
    TryRestart { units: Vec<String> },
    Kill { signal: String, units: Vec<String> },
    Logs(Query),
    Flush,
    Tai64nLocal,
    Events { recent: bool },
    ReloadUnits,
    Reexec,
    Check { root: Option<PathBuf>, files: Vec<PathBuf> },
    Conditions { name: Option<String> },
    Condition { name: String, holds: bool },
    Power { action: PowerWord, force: bool },
    Version,
    Completion(Shell),
    NotYet { verb: String },
}

/// Verbs of ettan(1) that are still to come.
const NOT_YET: [&str; 14] = [
    "tree",
    "reload",
    "run",
    "new",
    "import",
    "boot",
    "reset",
    "rescue",
    "svc",
    "svstat",
    "svok",
    "setuidgid",
    "envdir",
    "softlimit",
];

#[derive(Parser)]
#[command(
    name = "ettan",
    about = "Talks to Ettan, the PID 1 of this machine",
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Line {
    /// Print one JSON object per line
    #[arg(long, global = true)]
    json: bool,
    /// Do not wait until it is done
    #[arg(long, global = true)]
    no_block: bool,
    #[command(subcommand)]
    word: Word,
}

#[derive(Subcommand)]
enum Word {
    /// How it stands with units; without one, a line for each
    Status { units: Vec<String> },
    /// All units, one line each
    List {
        /// Ettan's own helpers too
        #[arg(short, long)]
        all: bool,
        /// Their names only
        #[arg(long)]
        names: bool,
    },
    /// Exit code 0 if up, 3 if not, 4 if there is no such unit
    IsActive {
        /// Print nothing
        #[arg(short, long)]
        quiet: bool,
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Exit code 0 if failed, 3 if not, 4 if there is no such unit
    IsFailed {
        /// Print nothing
        #[arg(short, long)]
        quiet: bool,
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Exit code 0 if PID 1 knows the unit, 4 if not
    IsLoaded {
        /// Print nothing
        #[arg(short, long)]
        quiet: bool,
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Exit code 0 if it starts at boot, 3 if not, 4 if there is no such unit
    IsEnabled {
        /// Print nothing
        #[arg(short, long)]
        quiet: bool,
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Let units of packages start at boot
    Enable(LinkOptions),
    /// Take that back
    Disable(LinkOptions),
    /// Keep units from being started at all
    Mask(LinkOptions),
    /// Take that back
    Unmask(LinkOptions),
    /// Why a unit is where it is, and who blocks it
    Why {
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Make units be up, and wait until they are
    Start {
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Make units be down, and wait until every process of them is gone
    Stop {
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Stop units, then start them
    Restart {
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Restart units that run, and leave the others alone
    TryRestart {
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Send a signal to a unit's main process
    Kill {
        /// Name or number
        #[arg(short, long, default_value = "TERM")]
        signal: String,
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// What units wrote; without one, Ettan's own log
    Logs {
        /// Go on as the log grows
        #[arg(short, long)]
        follow: bool,
        /// Only the last N lines
        #[arg(short = 'n', long = "lines", value_name = "N")]
        lines: Option<usize>,
        /// Nothing before this time ("2026-11-21 01:02" UTC, today) or this long ago (10min)
        #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
        since: Option<i64>,
        /// Nothing after it
        #[arg(long, value_name = "TIME", value_parser = moment, allow_hyphen_values = true)]
        until: Option<i64>,
        /// Nothing less severe than this: emerg, alert, crit, err, warning, notice, info, debug
        #[arg(short, long, value_name = "SEVERITY", value_parser = severity_of)]
        priority: Option<u8>,
        /// Only since the machine was started
        #[arg(short, long)]
        boot: bool,
        /// The kernel's messages
        #[arg(short, long)]
        kernel: bool,
        /// Bring what is kept on a disk there now, and wait until it is
        #[arg(long, conflicts_with_all = ["follow", "lines", "since", "until", "priority", "boot",
            "kernel", "units"])]
        flush: bool,
        units: Vec<String>,
    },
    /// Standard input with TAI64N labels turned into local time
    Tai64nlocal,
    /// State changes as they happen
    Events {
        /// First the last ones that PID 1 still knows
        #[arg(short, long)]
        recent: bool,
    },
    /// Read the unit files again; restarts nothing that did not change
    #[command(alias = "daemon-reload")]
    ReloadUnits,
    /// Execute PID 1 anew; services and their logs go on
    #[command(alias = "daemon-reexec")]
    Reexec,
    /// Check unit files as the loader does
    Check {
        /// The root file system the units are for
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        files: Vec<PathBuf>,
    },
    /// Facts that units may wait for; with set or clear, state one
    #[command(alias = "conditions")]
    Condition {
        name: Option<String>,
        #[arg(value_parser = ["set", "clear"])]
        holds: Option<String>,
    },
    /// Restart the machine
    Reboot(PowerOptions),
    /// Switch the machine off
    Poweroff(PowerOptions),
    /// Stop everything and stay on
    Halt(PowerOptions),
    /// Switch off (-h, -P), restart (-r) or halt (-H) the machine
    Shutdown(ShutdownOptions),
    /// The version of this command
    Version,
    /// What a shell needs to complete verbs and names
    Completion { shell: Shell },
}

#[derive(clap::Args)]
struct LinkOptions {
    /// Start or stop the units as well
    #[arg(long)]
    now: bool,
    /// Until the next boot only
    #[arg(long)]
    runtime: bool,
    #[arg(required = true)]
    units: Vec<String>,
}

#[derive(clap::Args)]
struct PowerOptions {
    /// Do not stop units first: sync and go
    #[arg(short, long)]
    force: bool,
}

#[derive(clap::Args)]
#[command(disable_help_flag = true)]
struct ShutdownOptions {
    /// Switch off
    #[arg(short = 'P', short_alias = 'h', long)]
    poweroff: bool,
    /// Restart
    #[arg(short, long, conflicts_with = "poweroff")]
    reboot: bool,
    /// Stop and stay on
    #[arg(short = 'H', long, conflicts_with_all = ["poweroff", "reboot"])]
    halt: bool,
    /// Do not stop units first: sync and go
    #[arg(short, long)]
    force: bool,
    /// Only "now" is possible
    #[arg(default_value = "now")]
    when: String,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// The description of the command line, for shells.
pub(crate) fn command() -> clap::Command {
    <Line as clap::CommandFactory>::command()
}

/// Reads a command line; its first word is the name of the program. What is wrong with it, or
/// what it asked to know, has been printed when a code comes back.
pub(crate) fn read(mut words: Vec<OsString>) -> Result<Asked, Code> {
    if let Some(link) = words.first().and_then(|name| link_verb(name)) {
        words.splice(..1, ["ettan".into(), link.into()]);
    }
    let verb = words.iter().skip(1).find(|word| !word.to_string_lossy().starts_with('-'));
    if let Some(verb) = verb.and_then(|verb| verb.to_str()).filter(|verb| NOT_YET.contains(verb)) {
        return Ok(Asked {
            json: false,
            no_block: false,
            verb: Verb::NotYet { verb: verb.to_owned() },
        });
    }
    let line = Line::try_parse_from(words).map_err(|error| {
        // To standard output with 0 for help, to standard error with 2 for mistakes.
        let _ = error.print();
        if error.use_stderr() { Code::Usage } else { Code::Done }
    })?;
    Ok(Asked { json: line.json, no_block: line.no_block, verb: verb_of(line.word) })
}

/// The verb that a link of this name stands for.
fn link_verb(name: &OsString) -> Option<&'static str> {
    let name = Path::new(name).file_name()?.to_str()?;
    ["reboot", "poweroff", "halt", "shutdown", "tai64nlocal"].into_iter().find(|link| *link == name)
}

fn verb_of(word: Word) -> Verb {
    let power = |action, PowerOptions { force }| Verb::Power { action, force };
    match word {
        Word::Status { units } => Verb::Status { units: names(units) },
        Word::List { names: true, .. } => Verb::Names,
        Word::List { all, .. } => Verb::List { all },
        Word::IsActive { quiet, units } => Verb::IsActive { quiet, units: names(units) },
        Word::IsFailed { quiet, units } => Verb::IsFailed { quiet, units: names(units) },
        Word::IsLoaded { quiet, units } => Verb::IsLoaded { quiet, units: names(units) },
        Word::IsEnabled { quiet, units } => Verb::IsEnabled { quiet, units: names(units) },
        Word::Enable(options) => link(Standing::Enable, options),
        Word::Disable(options) => link(Standing::Disable, options),
        Word::Mask(options) => link(Standing::Mask, options),
        Word::Unmask(options) => link(Standing::Unmask, options),
        Word::Why { units } => Verb::Why { units: names(units) },
        Word::Start { units } => Verb::Start { units: names(units) },
        Word::Stop { units } => Verb::Stop { units: names(units) },
        Word::Restart { units } => Verb::Restart { units: names(units) },
        Word::TryRestart { units } => Verb::TryRestart { units: names(units) },
        Word::Kill { signal, units } => Verb::Kill { signal, units: names(units) },
        Word::Logs { flush: true, .. } => Verb::Flush,
        Word::Logs { follow, lines, since, until, priority, boot, kernel, units, .. } => {
            let mut units = names(units);
            if kernel {
                units.push(KERNEL.to_owned());
            }
            let wish =
                Wish { since_ms: since, until_ms: until, severity: priority, this_boot: boot };
            Verb::Logs(Query { units, lines, follow, wish })
        }
        Word::Tai64nlocal => Verb::Tai64nLocal,
        Word::Events { recent } => Verb::Events { recent },
        Word::ReloadUnits => Verb::ReloadUnits,
        Word::Reexec => Verb::Reexec,
        Word::Check { root, files } => Verb::Check { root, files },
        Word::Condition { name: Some(name), holds: Some(holds) } => {
            Verb::Condition { name, holds: holds == "set" }
        }
        Word::Condition { name, .. } => Verb::Conditions { name },
        Word::Reboot(options) => power(PowerWord::Reboot, options),
        Word::Poweroff(options) => power(PowerWord::PowerOff, options),
        Word::Halt(options) => power(PowerWord::Halt, options),
        Word::Shutdown(options) => shutdown(&options),
        Word::Version => Verb::Version,
        Word::Completion { shell } => Verb::Completion(shell),
    }
}

fn link(standing: Standing, LinkOptions { now, runtime, units }: LinkOptions) -> Verb {
    Verb::Enable { standing, how: How { now, runtime }, units: names(units) }
}

fn shutdown(options: &ShutdownOptions) -> Verb {
    if !matches!(options.when.as_str(), "now" | "+0" | "0") {
        return Verb::NotYet { verb: format!("shutdown at a time ({})", options.when) };
    }
    let action = match (options.reboot, options.halt) {
        (true, _) => PowerWord::Reboot,
        (false, true) => PowerWord::Halt,
        (false, false) => PowerWord::PowerOff,
    };
    Verb::Power { action, force: options.force }
}

/// Unit names; `web.service` and `web.toml` are taken as `web`.
fn names(units: Vec<String>) -> Vec<String> {
    let bare = |unit: String| {
        let stem = unit.strip_suffix(".service").or_else(|| unit.strip_suffix(".toml"));
        stem.map(str::to_owned).unwrap_or(unit)
    };
    units.into_iter().map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(line: &str) -> Result<Verb, Code> {
        read(line.split(' ').map(OsString::from).collect()).map(|asked| asked.verb)
    }

    #[test]
    fn links_are_verbs() {
        let power = |action, force| Ok(Verb::Power { action, force });
        assert_eq!(verb("/usr/sbin/reboot"), power(PowerWord::Reboot, false));
        assert_eq!(verb("poweroff -f"), power(PowerWord::PowerOff, true));
        assert_eq!(verb("halt"), power(PowerWord::Halt, false));
        assert_eq!(verb("shutdown -h now"), power(PowerWord::PowerOff, false));
        assert_eq!(verb("shutdown -r now"), power(PowerWord::Reboot, false));
        assert_eq!(verb("shutdown -H"), power(PowerWord::Halt, false));
        assert_eq!(verb("ettan reboot"), power(PowerWord::Reboot, false));
    }

    #[test]
    fn shutdown_at_a_time_is_not_there_yet() {
        assert!(matches!(verb("shutdown -h 23:00"), Ok(Verb::NotYet { .. })));
    }

    #[test]
    fn what_is_wanted_of_logs() {
        let wish = Wish { severity: Some(3), this_boot: true, ..Wish::default() };
        let units = vec!["web".to_owned(), KERNEL.to_owned()];
        let query = Query { units, lines: Some(5), follow: true, wish };
        assert_eq!(verb("ettan logs -fkb -n 5 -p err web"), Ok(Verb::Logs(query)));
        assert_eq!(verb("ettan logs --since whenever"), Err(Code::Usage));
        assert_eq!(verb("ettan logs --flush"), Ok(Verb::Flush));
        assert_eq!(verb("ettan logs --flush web"), Err(Code::Usage));
        assert_eq!(verb("/usr/bin/tai64nlocal"), Ok(Verb::Tai64nLocal));
    }

    #[test]
    fn options_may_stand_anywhere() {
        let asked =
            read(["ettan", "start", "web", "--no-block", "--json"].map(Into::into).to_vec());
        let verb = Verb::Start { units: vec!["web".into()] };
        assert_eq!(asked, Ok(Asked { json: true, no_block: true, verb }));
    }

    #[test]
    fn verbs_to_come_are_told_from_mistakes() {
        assert!(matches!(verb("ettan boot"), Ok(Verb::NotYet { .. })));
        assert_eq!(verb("ettan strat web"), Err(Code::Usage));
        assert_eq!(verb("ettan start"), Err(Code::Usage));
        assert_eq!(verb("ettan"), Err(Code::Usage));
        assert_eq!(verb("ettan --help"), Err(Code::Done));
    }

    #[test]
    fn a_unit_may_be_called_as_elsewhere() {
        assert_eq!(verb("ettan stop web.service"), Ok(Verb::Stop { units: vec!["web".into()] }));
        assert_eq!(verb("ettan daemon-reload"), Ok(Verb::ReloadUnits));
        assert_eq!(
            verb("ettan kill -s 9 web"),
            Ok(Verb::Kill { signal: "9".into(), units: vec!["web".into()] })
        );
    }
}
