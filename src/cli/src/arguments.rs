//! What people may type: `ettan VERB [UNIT…]`, and `reboot`, `poweroff`, `halt`, `shutdown` by name of the link.

use crate::code::Code;
use crate::completion::Shell;
use crate::enable::{How, Standing};
use crate::habits;
use crate::hands::{self, Hand};
use crate::import;
use crate::install;
use crate::led;
use crate::logs::{KERNEL, Query, Wish, moment, severity_of};
use crate::new::Wish as New;
use clap::{Parser, Subcommand};
use ettan_check::{Cpu, Wish as Inspect};
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
    List { all: bool, timers: bool },
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
    Reload { units: Vec<String> },
    Run { unit: String },
    Reset { units: Vec<String> },
    Kill { signal: String, units: Vec<String> },
    Logs(Query),
    Flush,
    Tree { units: Vec<String> },
    Boot { svg: Option<PathBuf> },
    Rescue { leave: bool, keep: Vec<String> },
    Led(led::Wish),
    Install(install::Wish),
    Uninstall(install::Wish),
    New(New),
    Tai64nLocal,
    Hand(Hand),
    Events { recent: bool },
    ReloadUnits,
    Reexec,
    Check { wish: Inspect, strict: bool },
    Import(import::Wish),
    Conditions { name: Option<String> },
    Condition { name: String, holds: bool },
    Power { action: PowerWord, force: bool, arg: Option<String> },
    Version,
    Completion(Shell),
    NotYet { verb: String },
}

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
        /// Those with a timer: when it starts them next, and how it went last
        #[arg(long, conflicts_with = "names")]
        timers: bool,
        /// Their names only, and those of files with instances
        #[arg(long)]
        names: bool,
    },
    /// Which unit needs which, and how it stands with each
    Tree { units: Vec<String> },
    /// The chart of the boot: when each unit was started and up
    Boot {
        /// Write it as a picture
        #[arg(long, value_name = "FILE")]
        svg: Option<PathBuf>,
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
    /// Let units take in their settings while they stay up (unit files: reload-units)
    Reload {
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Run a unit in the foreground, exactly as PID 1 would
    Run { unit: String },
    /// Forget what units did: restarts, short runs, that they failed or were given up
    Reset {
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
    #[command(flatten)]
    Hand(Hand),
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
    /// Check unit files, and whether what they name is there
    Check {
        /// The root file system the units are for, not this machine's
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        /// The CPU it is for: armv6, armv7, aarch64, x86_64; otherwise as most of its programs
        #[arg(long, value_name = "CPU")]
        cpu: Option<Cpu>,
        /// It is mounted read-only, whatever its /etc/fstab says
        #[arg(long)]
        read_only_root: bool,
        /// Exit code 1 for warnings too
        #[arg(long)]
        strict: bool,
        /// Only these, in place of the units of their names
        files: Vec<PathBuf>,
    },
    /// Write units from what systemd and other supervisors have
    Import {
        /// Where the units go; without it /etc/units, or /usr/lib/units for those that do not
        /// start at boot
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// The root file system that is read and written
        #[arg(long, value_name = "DIR")]
        root: Option<PathBuf>,
        /// Print the units instead of writing them
        #[arg(short = 'n', long)]
        dry_run: bool,
        /// Write over units that are there
        #[arg(short, long)]
        force: bool,
        /// Leave units that are there as they are
        #[arg(long, conflicts_with = "force")]
        keep: bool,
        #[arg(required = true, value_name = "FILE")]
        sources: Vec<PathBuf>,
    },
    /// Facts that units may wait for; with set or clear, state one
    #[command(alias = "conditions")]
    Condition {
        name: Option<String>,
        #[arg(value_parser = ["set", "clear"])]
        holds: Option<String>,
    },
    /// Restart the machine
    Reboot {
        #[command(flatten)]
        options: PowerOptions,
        /// A word for the firmware, like "0 tryboot" for a Raspberry Pi's
        #[arg(long, value_name = "WORD", value_parser = firmware_word)]
        arg: Option<String>,
    },
    /// Switch the machine off
    Poweroff(PowerOptions),
    /// Stop everything and stay on
    Halt(PowerOptions),
    /// Switch off (-h, -P), restart (-r) or halt (-H) the machine
    Shutdown(ShutdownOptions),
    /// Stop all units and offer a shell on the console
    Rescue {
        /// Start again what starts at boot, and end the shell
        #[arg(long, conflicts_with = "keep")]
        leave: bool,
        /// Do not stop this unit
        #[arg(long, value_name = "UNIT")]
        keep: Vec<String>,
    },
    /// Show on a light of the board how it stands with the machine, for as long as it runs
    Led(led::Wish),
    /// Put Ettan onto a card with Debian or Raspberry Pi OS
    Install(install::Wish),
    /// Take it off again, and put back what was there before
    Uninstall {
        /// Where the card's root file system is mounted
        #[arg(long, value_name = "DIR")]
        root: PathBuf,
        /// Only say what would be done
        #[arg(short = 'n', long)]
        dry_run: bool,
    },
    /// Write a unit file; with a command, after a look at what it does
    New(New),
    /// The version of this command
    Version,
    /// What a shell needs to complete verbs and names
    Completion {
        shell: Shell,
        /// Prints no packets
        #[arg(long, hide = true)]
        json: bool,
    },
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

/// The description of the command line, for shells and manual pages.
#[must_use]
pub fn command() -> clap::Command {
    <Line as clap::CommandFactory>::command()
}

/// Reads a command line; its first word is the name of the program. What is wrong with it, or
/// what it asked to know, has been printed when a code comes back.
pub(crate) fn read(mut words: Vec<OsString>) -> Result<Asked, Code> {
    if let Some(link) = words.first().and_then(|name| link_verb(name)) {
        words.splice(..1, ["ettan".into(), link.into()]);
    }
    let words = habits::written_here(words);
    let verb = words.iter().skip(1).find(|word| !word.to_string_lossy().starts_with('-'));
    let verb = verb.and_then(|verb| verb.to_str()).map(str::to_owned);
    let verb = verb.as_deref();
    let is_hand = verb.is_some_and(|verb| hands::NAMES.contains(&verb));
    let line = Line::try_parse_from(words).map_err(|error| {
        // To standard output with 0 for help, to standard error with 2 (or 100) for mistakes.
        let error = habits::in_our_words(error);
        let _ = error.print();
        match (error.use_stderr(), is_hand) {
            (false, _) => Code::Done,
            (true, false) => Code::Usage,
            (true, true) if verb == Some("envdir") => Code::Fatal,
            (true, true) => Code::Hand,
        }
    })?;
    if line.json && matches!(line.word, Word::New(_) | Word::Completion { .. }) {
        let text = "--json: this verb has no packets to print";
        let _ = command().error(clap::error::ErrorKind::UnknownArgument, text).print();
        return Err(Code::Usage);
    }
    Ok(Asked { json: line.json, no_block: line.no_block, verb: verb_of(line.word) })
}

/// The verb that a link of this name stands for.
fn link_verb(name: &OsString) -> Option<&'static str> {
    let name = Path::new(name).file_name()?.to_str()?;
    let own = ["reboot", "poweroff", "halt", "shutdown", "tai64nlocal"];
    own.into_iter().chain(hands::NAMES).find(|link| *link == name)
}

fn verb_of(word: Word) -> Verb {
    let power = |action, PowerOptions { force }| Verb::Power { action, force, arg: None };
    match word {
        Word::Status { units } => Verb::Status { units: names(units) },
        Word::List { names: true, .. } => Verb::Names,
        Word::List { all, timers, .. } => Verb::List { all, timers },
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
        Word::Reset { units } => Verb::Reset { units: names(units) },
        Word::Reload { units } => Verb::Reload { units: names(units) },
        Word::Run { unit } => Verb::Run { unit: bare(unit) },
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
        Word::Tree { units } => Verb::Tree { units: names(units) },
        Word::Boot { svg } => Verb::Boot { svg },
        Word::Rescue { leave, keep } => Verb::Rescue { leave, keep: names(keep) },
        Word::Led(wish) => Verb::Led(wish),
        Word::Install(wish) => Verb::Install(wish),
        Word::Uninstall { root, dry_run } => {
            Verb::Uninstall(install::Wish { root, dry_run, ..install::Wish::default() })
        }
        Word::New(wish) => Verb::New(wish),
        Word::Tai64nlocal => Verb::Tai64nLocal,
        Word::Hand(hand) => Verb::Hand(hand),
        Word::Events { recent } => Verb::Events { recent },
        Word::ReloadUnits => Verb::ReloadUnits,
        Word::Reexec => Verb::Reexec,
        Word::Check { root, cpu, read_only_root, strict, files } => {
            let root = root.unwrap_or_else(|| PathBuf::from("/"));
            Verb::Check { wish: Inspect { root, files, cpu, read_only_root }, strict }
        }
        Word::Import { output, root, dry_run, force, keep, sources } => {
            Verb::Import(import::Wish { output, root, dry_run, force, keep, sources })
        }
        Word::Condition { name: Some(name), holds: Some(holds) } => {
            Verb::Condition { name, holds: holds == "set" }
        }
        Word::Condition { name, .. } => Verb::Conditions { name },
        Word::Reboot { options: PowerOptions { force }, arg } => {
            Verb::Power { action: PowerWord::Reboot, force, arg }
        }
        Word::Poweroff(options) => power(PowerWord::PowerOff, options),
        Word::Halt(options) => power(PowerWord::Halt, options),
        Word::Shutdown(options) => shutdown(&options),
        Word::Version => Verb::Version,
        Word::Completion { shell, json: _ } => Verb::Completion(shell),
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
    Verb::Power { action, force: options.force, arg: None }
}

/// What reboot(2) takes.
fn firmware_word(word: &str) -> Result<String, String> {
    let fits = (1..256).contains(&word.len()) && !word.chars().any(char::is_control);
    fits.then(|| word.to_owned()).ok_or_else(|| "1 to 255 bytes in one line".into())
}

/// Unit names; `web.service` and `web.toml` are taken as `web`.
fn names(units: Vec<String>) -> Vec<String> {
    units.into_iter().map(bare).collect()
}

pub(crate) fn bare(unit: String) -> String {
    let stem = unit.strip_suffix(".service").or_else(|| unit.strip_suffix(".toml"));
    stem.map(str::to_owned).unwrap_or(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb(line: &str) -> Result<Verb, Code> {
        read(line.split(' ').map(OsString::from).collect()).map(|asked| asked.verb)
    }

    #[test]
    fn links_are_verbs() {
        let power = |action, force| Ok(Verb::Power { action, force, arg: None });
        let tryboot = Some("0 tryboot".to_owned());
        let words = ["ettan", "reboot", "--arg", "0 tryboot"].map(OsString::from).to_vec();
        let asked = read(words).map(|asked| asked.verb);
        let wanted = Verb::Power { action: PowerWord::Reboot, force: false, arg: tryboot };
        assert_eq!(asked, Ok(wanted));
        assert_eq!(verb("ettan reboot --arg="), Err(Code::Usage));
        assert_eq!(verb("/usr/sbin/reboot"), power(PowerWord::Reboot, false));
        assert_eq!(verb("poweroff -f"), power(PowerWord::PowerOff, true));
        assert_eq!(verb("halt"), power(PowerWord::Halt, false));
        assert_eq!(verb("shutdown -h now"), power(PowerWord::PowerOff, false));
        assert_eq!(verb("shutdown -r now"), power(PowerWord::Reboot, false));
        assert_eq!(verb("shutdown -H"), power(PowerWord::Halt, false));
        assert_eq!(verb("ettan reboot"), power(PowerWord::Reboot, false));
    }

    #[test]
    fn what_follows_a_program_is_its_own() {
        let hand = |line: &str| match verb(line) {
            Ok(Verb::Hand(hand)) => hand,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            hand("/usr/bin/setuidgid web ls --json -h"),
            hand("ettan setuidgid web ls --json -h")
        );
        assert_eq!(hand("softlimit -o 5 -m = ls -m 1"), hand("softlimit -o5 -m= ls -m 1"));
        assert_eq!(hand("svc -dx web"), hand("svc -x -d web"));
        assert_eq!(verb("envdir /run/e"), Err(Code::Fatal));
        for wrong in ["softlimit -o x ls", "softlimit", "svc -z web", "svok", "setuidgid web"] {
            assert_eq!(verb(wrong), Err(Code::Hand), "{wrong}");
        }
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
    fn mistakes_are_told_from_what_is_asked_for() {
        assert_eq!(verb("ettan strat web"), Err(Code::Usage));
        assert_eq!(verb("ettan start"), Err(Code::Usage));
        assert_eq!(verb("ettan"), Err(Code::Usage));
        assert_eq!(verb("ettan --help"), Err(Code::Done));
    }

    #[test]
    fn json_is_for_verbs_that_have_packets() {
        for line in ["--json new web", "new --json web", "completion bash --json"] {
            assert_eq!(verb(&format!("ettan {line}")), Err(Code::Usage), "{line}");
        }
        assert!(verb("ettan new web -- ls --json").is_ok());
        let mut command = command();
        command.build();
        let mut help = |verb: &str| {
            let sub = command.find_subcommand_mut(verb).unwrap();
            sub.render_help().to_string()
        };
        for verb in ["new", "completion"] {
            assert!(!help(verb).contains("--json"), "{verb}");
        }
    }

    #[test]
    fn what_hands_are_used_to_is_understood() {
        let kill =
            |signal: &str| Ok(Verb::Kill { signal: signal.into(), units: vec!["web".into()] });
        assert_eq!(verb("ettan kill -9 web"), kill("9"));
        assert_eq!(verb("ettan kill -HUP web"), kill("HUP"));
        assert_eq!(verb("ettan kill -SIGUSR1 web"), kill("SIGUSR1"));
        assert_eq!(verb("ettan kill -s 9 web"), kill("9"));
        assert_eq!(verb("ettan kill -sINT web"), kill("INT"));
        assert_eq!(verb("ettan kill web"), kill("TERM"));
        assert_eq!(verb("ettan --version"), Ok(Verb::Version));
        assert_eq!(verb("ettan -V"), Ok(Verb::Version));
        assert_eq!(verb("ettan help"), Err(Code::Done));
        assert_eq!(verb("ettan help start"), Err(Code::Done));
        assert_eq!(verb("ettan help strat"), Err(Code::Usage));
        assert_eq!(verb("ettan cat web"), Err(Code::Usage));
    }

    #[test]
    fn a_unit_may_be_called_as_elsewhere() {
        assert_eq!(verb("ettan stop web.service"), Ok(Verb::Stop { units: vec!["web".into()] }));
        assert_eq!(verb("ettan daemon-reload"), Ok(Verb::ReloadUnits));
        assert_eq!(verb("ettan reset web"), Ok(Verb::Reset { units: vec!["web".into()] }));
        assert_eq!(verb("ettan reload web"), Ok(Verb::Reload { units: vec!["web".into()] }));
        assert_eq!(verb("ettan reload"), Err(Code::Usage));
        assert_eq!(
            verb("ettan kill -s 9 web"),
            Ok(Verb::Kill { signal: "9".into(), units: vec!["web".into()] })
        );
    }
}
