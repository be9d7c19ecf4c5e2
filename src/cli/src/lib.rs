//! The `ettan` command: asks PID 1 over the control socket, reads logs from their files, checks
//! unit files with the loader's own code. Starts no pager, no editor, no shell.
//!
//! | file | what it does |
//! |---|---|
//! | `arguments` | what people may type |
//! | `client` | what the status page shares with the command |
//! | `code` | exit codes |
//! | `link` | the connection to PID 1 |
//! | `boot` | the chart of the boot |
//! | `change` | verbs that change something, and wait until it is so |
//! | `edited` | whether what stands in a unit's files is what PID 1 has read |
//! | `new` | a unit file, from a look at what its program does |
//! | `progress` | what is awaited, while somebody looks |
//! | `check` | unit files, checked with the loader's own code |
//! | `completion` | verbs and names, for shells |
//! | `import` | other supervisors' configuration to unit files |
//! | `install` | Ettan onto a card with another system, and off again |
//! | `instances` | a file's name for all of its instances |
//! | `enable` | which units start at boot, and which never |
//! | `why` | who blocks whom, in words |
//! | `reread` | the unit files, read again, and what became of it |
//! | `reexec` | another PID 1, and whether it came about |
//! | `status` | status, list, is-active |
//! | `summary` | the machine in a few lines |
//! | `led` | a light that says how it stands |
//! | `tree` | which unit needs which |
//! | `rescue` | a shell in place of all units |
//! | `run` | a unit in the foreground |
//! | `show` | wire values → lines |
//! | `habits` | what other machines' commands are typed like |
//! | `hands` | verbs for hands that know daemontools |
//! | `group` | memory and tasks, from the unit's cgroup |
//! | `logs` | log files, also as they grow |
//! | `disks` | logs that are kept on a disk: brought there, and how it stands with them |
//! | `tai` | labels of TAI64N, in local time |
//! | `escape` | control characters never reach a terminal |
#![forbid(unsafe_code)]

mod arguments;
mod boot;
mod change;
mod check;
pub mod client;
mod code;
mod completion;
mod disks;
mod edited;
mod enable;
mod escape;
mod group;
mod habits;
mod hands;
mod import;
mod install;
mod instances;
mod led;
mod link;
mod logs;
mod new;
mod progress;
mod reexec;
mod reread;
mod rescue;
mod run;
mod show;
mod status;
mod summary;
mod tai;
mod timers;
mod tree;
mod why;

use arguments::Verb;
pub use arguments::command;
use code::Code;
use escape::Screen;
use std::process::ExitCode;

/// Does what the command line of this process asks for.
#[must_use]
pub fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let asked = match arguments::read(words) {
        Ok(asked) => asked,
        Err(code) => return code.into(),
    };
    let screen = Screen::new(asked.json);
    run(asked.verb, asked.no_block, &screen).into()
}

fn run(verb: Verb, no_block: bool, screen: &Screen) -> Code {
    let wait = !no_block;
    match verb {
        Verb::Status { units } if units.is_empty() => status::summary(screen),
        Verb::Status { units } => status::status(&units, screen),
        Verb::List { all, timers } => status::list(all, timers, screen),
        Verb::Names => status::names(screen),
        Verb::IsActive { quiet, units } => status::is_active(&units, quiet, screen),
        Verb::IsFailed { quiet, units } => status::is_failed(&units, quiet, screen),
        Verb::IsLoaded { quiet, units } => status::is_loaded(&units, quiet, screen),
        Verb::IsEnabled { quiet, units } => enable::is_enabled(&units, quiet, screen),
        Verb::Enable { standing, how, units } => enable::change(standing, how, &units, screen),
        Verb::Why { units } => why::why(&units, screen),
        Verb::Start { units } => change::goal(change::Goal::Start, &units, wait, screen),
        Verb::Stop { units } => change::goal(change::Goal::Stop, &units, wait, screen),
        Verb::Restart { units } => change::goal(change::Goal::Restart, &units, wait, screen),
        Verb::Reset { units } => change::reset(&units, screen),
        Verb::Reload { units } => change::goal(change::Goal::Reload, &units, wait, screen),
        Verb::TryRestart { units } => change::try_restart(&units, wait, screen),
        Verb::Run { unit } => run::run(&unit, screen),
        Verb::Kill { signal, units } => change::kill(&signal, &units, screen),
        Verb::Logs(query) => logs::logs(query, screen),
        Verb::Flush => disks::flush(wait, screen),
        Verb::Tree { units } => tree::tree(&units, screen),
        Verb::Boot { svg } => boot::boot(svg.as_deref(), screen),
        Verb::Rescue { leave, keep } => rescue::rescue(leave, &keep, wait, screen),
        Verb::Led(wish) => led::led(&wish, screen),
        Verb::Install(wish) => install::install(&wish, screen),
        Verb::Uninstall(wish) => install::uninstall(&wish, screen),
        Verb::New(wish) => new::new(&wish, screen),
        Verb::Hand(hand) => hands::run(hand, screen),
        Verb::Tai64nLocal => tai::local(),
        Verb::Events { recent } => change::events(recent, screen),
        Verb::ReloadUnits => reread::reload(wait, screen),
        Verb::Reexec => reexec::reexec(wait, screen),
        Verb::Check { wish, strict } => check::check(&wish, strict, screen),
        Verb::Import(wish) => import::import(&wish, screen),
        Verb::Conditions { name } => status::conditions(name.as_deref(), screen),
        Verb::Condition { name, holds } => change::condition(&name, holds, screen),
        Verb::Power { action, force, arg } => change::power(action, force, arg.as_deref(), screen),
        Verb::Version => {
            let version = env!("CARGO_PKG_VERSION");
            match screen.json {
                true => screen.packet(&format!("{{\"version\":{}}}", escape::json_string(version))),
                false => screen.say(&format!("ettan {version}")),
            }
            Code::Done
        }
        Verb::Completion(shell) => completion::completion(shell),
        Verb::NotYet { verb } => {
            screen.complain(&format!("{verb}: not implemented yet"));
            Code::NotImplemented
        }
    }
}
