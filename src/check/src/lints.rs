//! What is allowed and hardly ever meant. Each lint looks at units as the loader has them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use ettan_core::Kind;
use ettan_unit::{At, Compiled, Severity, Target, tree};

use crate::daemons::{self, Daemon};
use crate::policy;
use crate::program::file_name;
use crate::saying::{Finding, Saying};

/// The lint of units that nothing starts.
pub(crate) const UNUSED: &str = "unused-unit";

/// What one unit says by itself.
pub(crate) fn of_unit(root: &Path, unit: &Compiled, out: &mut Vec<Finding>) {
    let source = &unit.source;
    out.extend(critical_device(unit).map(|(saying, span)| saying.at(source, &span)));
    let Some(command) = exec_start(unit) else { return };
    let daemon = daemons::known(&command.value);
    let said = [
        runs_as_root(root, unit, command, daemon),
        forks(root, unit, command, daemon),
        no_pid_file(unit, daemon),
        restart_policy(unit),
    ];
    for (saying, span) in said.into_iter().flatten() {
        out.push(saying.at(source, &span));
    }
}

/// What all units together say.
pub(crate) fn of_all(units: &[Compiled], is_clean: bool, out: &mut Vec<Finding>) {
    if units.is_empty() && is_clean {
        let message = "there is no unit at all: this machine would start nothing";
        let hint = "put NAME.toml there (docs/ettan-unit.5.md)";
        let saying = Saying::new(Severity::Warning, message).lint("no-units");
        out.push(saying.hint(Some(hint.into())).of(None, "/etc/units"));
    }
}

/// What nothing starts, in one line: vendor units are many, and there to be chosen from.
pub(crate) fn unused(names: &[&str]) -> Option<Finding> {
    let (first, rest) = names.split_first()?;
    let (what, it) = match rest {
        [] => (format!("`{first}`: it is not enabled, and nobody needs it"), *first),
        _ => (format!("{} units: {}", names.len(), names.join(", ")), "NAME"),
    };
    let hint = format!("`ettan enable {it}`, or name it in the `wants` of another unit");
    let saying = Saying::new(Severity::Note, format!("nothing starts {what}")).lint(UNUSED);
    Some(saying.hint(Some(hint)).of(None, "/usr/lib/units"))
}

/// What starting a unit starts too. A key that does so joins here.
fn pulls(unit: &Compiled) -> impl Iterator<Item = &str> {
    let bound = unit.binds_to.iter().filter_map(|at| match &at.value {
        Target::Unit(name) => Some(name.as_str()),
        Target::Condition(_) => None,
    });
    let named = unit.wants.iter().chain(&unit.requires).chain(&unit.on_failure).chain(&unit.alerts);
    named.map(|at| at.value.as_str()).chain(bound)
}

/// Everything that is started at boot, or by something that is.
pub(crate) fn started(units: &[Compiled]) -> BTreeSet<&str> {
    let by_name = |name: &str| units.iter().find(|unit| unit.unit.name.as_str() == name);
    let mut found = BTreeSet::new();
    let mut rest: Vec<&Compiled> = units.iter().filter(|unit| unit.unit.autostart).collect();
    while let Some(unit) = rest.pop() {
        if found.insert(unit.unit.name.as_str()) {
            rest.extend(pulls(unit).filter_map(by_name));
        }
    }
    found
}

type Said = Option<(Saying, Range<usize>)>;

fn exec_start(unit: &Compiled) -> Option<&At<Vec<String>>> {
    let mut commands = unit.named.commands.iter();
    commands.find(|command| command.key == "exec-start").map(|command| &command.argv)
}

/// Where a key stands.
fn key<'a>(unit: &'a Compiled, name: &str) -> Option<&'a Range<usize>> {
    unit.named.keys.iter().find(|key| key.value == name).map(|key| &key.span)
}

fn warning(lint: &'static str, message: String) -> Saying {
    Saying::new(Severity::Warning, message).lint(lint)
}

/// A critical unit that waits counts as not well, whatever it waits for.
fn critical_device(unit: &Compiled) -> Said {
    let comes_and_goes = |name: &str| name.starts_with("device:") || name.starts_with("path:/dev/");
    let is_device =
        |target: &Target| matches!(target, Target::Condition(name) if comes_and_goes(name));
    let bound = unit.binds_to.iter().find(|at| unit.unit.critical && is_device(&at.value))?;
    let message = "a critical unit that comes and goes with a device: without it the boot is no \
        success, and two minutes after it went the hardware watchdog resets the machine";
    let hint = "leave out `critical`, or have the unit run without the device";
    Some((warning("critical-device", message.into()).hint(Some(hint.into())), bound.span.clone()))
}

/// Daemons that everybody knows to start as root, and to drop to another user by themselves where
/// they can, are in the table or among the programs of the administrator (`sbin`).
fn runs_as_root(
    root: &Path,
    unit: &Compiled,
    command: &At<Vec<String>>,
    daemon: Option<&Daemon>,
) -> Said {
    let launch = unit.launch.as_ref()?;
    let program = command.value.first()?;
    let is_service = match unit.unit.kind {
        Kind::Simple | Kind::Notify | Kind::Forking => true,
        Kind::Oneshot { .. } | Kind::Target => false,
    };
    let says_nothing = launch.uid == 0 && key(unit, "user").is_none() && launch.tty_path.is_none();
    let is_administration = program.contains("/sbin/") && !program.contains("/local/");
    if !is_service || !says_nothing || is_administration || daemon.is_some() {
        return None;
    }
    let name = unit.unit.name.as_str();
    let message = format!("`{name}` runs as root, and nothing says that it has to");
    let users = [unit.group.as_deref().unwrap_or(name), file_name(program)];
    let own = users.into_iter().find(|user| is_user(root, user));
    let hint = match own {
        Some(user) => format!("user = \"{user}\", who is in /etc/passwd"),
        None => "user = \"NAME\" for somebody else, or user = \"root\" if root is meant".into(),
    };
    Some((warning("runs-as-root", message).hint(Some(hint)), command.span.clone()))
}

fn is_user(root: &Path, name: &str) -> bool {
    let bytes = tree::read_system(root, "/etc/passwd").unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.lines().any(|line| line.split(':').next() == Some(name))
}

/// A known daemon whose flags do not fit `type`.
fn forks(root: &Path, unit: &Compiled, command: &At<Vec<String>>, daemon: Option<&Daemon>) -> Said {
    let (daemon, name) = (daemon?, file_name(command.value.first()?));
    let forks = daemon.forks(&command.value, root);
    let saying = match unit.unit.kind {
        Kind::Simple | Kind::Notify if forks => {
            let message =
                format!("{name} puts itself into the background: it would be taken for dead");
            let stay = daemon.foreground.first().map(|flag| format!("give it `{flag}`, or "));
            let leave = daemon.background.first().map(|flag| format!("leave out `{flag}`, or "));
            let pid_file =
                daemon.pid_file.map_or(String::new(), |at| format!(" with pid-file = \"{at}\""));
            let way = if daemon.background.is_empty() { stay } else { stay.or(leave) };
            let hint = format!("{}set type = \"forking\"{pid_file}", way.unwrap_or_default());
            warning("forks", message).hint(Some(hint))
        }
        Kind::Forking if !forks => {
            let message =
                format!("{name} stays in the foreground here: its start would never be over");
            warning("stays-in-foreground", message).hint(Some("type = \"simple\"".into()))
        }
        Kind::Simple | Kind::Notify | Kind::Forking | Kind::Oneshot { .. } | Kind::Target => {
            return None;
        }
    };
    Some((saying, command.span.clone()))
}

fn no_pid_file(unit: &Compiled, daemon: Option<&Daemon>) -> Said {
    if unit.unit.kind != Kind::Forking || key(unit, "pid-file").is_some() {
        return None;
    }
    let span = key(unit, "type")?.clone();
    let message = "a forking daemon without `pid-file`: its main process is guessed".to_string();
    let known = daemon.and_then(|daemon| daemon.pid_file).unwrap_or("/run/NAME.pid");
    let hint = format!("pid-file = \"{known}\", the file that it writes");
    let note = "the guess is the one process that is left when the launcher has exited; \
        with two of them the start fails";
    Some((warning("no-pid-file", message).hint(Some(hint)).note(note), span))
}

/// "Restart=always does not always restart" is a common complaint; ours does, and what does not
/// is said in words.
fn restart_policy(unit: &Compiled) -> Said {
    let policy = policy::of(&unit.unit)?;
    let span = key(unit, "restart")?.clone();
    let name = unit.unit.name.as_str();
    let (severity, message) = match policy.ignores_failure {
        true => (Severity::Warning, format!("`{name}` stays down after a failure")),
        false => (Severity::Note, format!("`{name}` does not always start again")),
    };
    let saying = Saying::new(severity, message)
        .lint("restart-policy")
        .note(format!("it starts again after: {}", policy.again))
        .note(format!("it stays down after: {}", policy.not))
        .hint(Some("restart = \"always\" (as without the key) never gives up".into()));
    Some((saying, span))
}
