//! Every key of a unit file, in one table: the reader, the manual page and the importer use it.

use crate::diagnostic::Notes;
use crate::draft::{self as d, Draft, Item};
use crate::extras as e;
use crate::here as c;
use crate::hooks as h;
use crate::instances as i;
use crate::log as l;
use crate::place as p;
use crate::ready as y;
use crate::route as r;
use crate::timer as t;

/// One key.
pub struct Key {
    /// The table it stands in.
    pub section: &'static str,
    /// Its name: the systemd directive in kebab-case, where there is one.
    pub name: &'static str,
    /// What it takes, and what holds without it: for the manual.
    pub takes: &'static str,
    parse: Parse,
}

/// Reads a value into the draft, or notes what is wrong with it.
pub(crate) type Parse = fn(&mut Draft, &Item<'_>, &mut Notes);

impl Key {
    /// Reads its value into the draft.
    pub(crate) fn read(&self, draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
        notes.of_key(self.name, self.takes, |notes| (self.parse)(draft, item, notes));
    }
}

const fn unit(name: &'static str, takes: &'static str, parse: Parse) -> Key {
    Key { section: "unit", name, takes, parse }
}

const fn service(name: &'static str, takes: &'static str, parse: Parse) -> Key {
    Key { section: "service", name, takes, parse }
}

const fn log(name: &'static str, takes: &'static str, parse: Parse) -> Key {
    Key { section: "log", name, takes, parse }
}

const fn ready(name: &'static str, takes: &'static str, parse: Parse) -> Key {
    Key { section: "ready", name, takes, parse }
}

const fn health(name: &'static str, takes: &'static str, parse: Parse) -> Key {
    Key { section: "health", name, takes, parse }
}

const fn timer(name: &'static str, takes: &'static str, parse: Parse) -> Key {
    Key { section: "timer", name, takes, parse }
}

/// All keys.
pub const KEYS: &[Key] = &[
    unit("description", "text; empty", d::description),
    unit("documentation", "text or a list of it; none", d::documentation),
    unit("after", "a list of units and conditions; none", d::after),
    unit("before", "a list of units; none", d::before),
    unit("wants", "a list of units; none", d::wants),
    unit("requires", "a list of units; none", d::requires),
    unit("binds-to", "a list of units and conditions; none", d::binds_to),
    unit("part-of", "a list of units; none", d::part_of),
    unit("conflicts", "a list of units; none", d::conflicts),
    unit("on-failure", "a list of units; none", d::on_failure),
    unit(
        "condition-path-exists",
        "an absolute path or a list of them, `!` in front: must not exist; none",
        c::path_exists,
    ),
    unit(
        "condition-kernel-command-line",
        "a word or a list of them, `!` in front: must not be there; none",
        c::kernel_command_line,
    ),
    unit(
        "condition-board",
        "a board, or a list of what must all be so, `!` in front: must not be; none",
        c::board,
    ),
    unit("critical", "true or false; false", d::critical),
    unit("holds-data", "true or false; false", d::holds_data),
    service("type", "simple, notify, notify-reload, forking, oneshot or target; simple", d::kind),
    service("exec-start", "a command; required but for a target", d::exec_start),
    service("exec-start-pre", "a command or a list of commands; none", h::start_pre),
    service("exec-start-post", "a command or a list of commands; none", h::start_post),
    service("exec-stop", "a command or a list of commands; none", h::stop),
    service("exec-stop-post", "a command or a list of commands; none", h::stop_post),
    service("exec-reload", "a command or a list of commands; none", h::reload),
    service("pid-file", "an absolute path; none", d::pid_file),
    service("remain-after-exit", "true or false; false", d::remain_after_exit),
    service(
        "restart",
        "no, always, on-success, on-failure or on-abnormal; always, for a oneshot no",
        d::restart,
    ),
    service(
        "success-exit-status",
        "an exit code, a signal's name, or a list of them; none",
        d::success_exit_status,
    ),
    service(
        "restart-prevent-exit-status",
        "an exit code, a signal's name, or a list of them; none",
        d::restart_prevent_exit_status,
    ),
    service("restart-sec", "a span of time; 250ms", d::restart_sec),
    service("restart-max-delay-sec", "a span of time; 30s", d::restart_max_delay_sec),
    service("restart-reset-sec", "a span of time; 60s", d::restart_reset_sec),
    service("start-limit-burst", "a number; none", d::start_limit_burst),
    service("start-limit-interval-sec", "a span of time; 10s", d::start_limit_interval_sec),
    service(
        "start-limit-action",
        "none, reboot, reboot-force or poweroff; none",
        d::start_limit_action,
    ),
    service("timeout-start-sec", "a span of time; 30s", d::timeout_start_sec),
    service("timeout-stop-sec", "a span of time; 10s", d::timeout_stop_sec),
    service("min-uptime-sec", "a span of time; 1s", d::min_uptime_sec),
    service("kill-signal", "a signal's name or number; TERM", d::kill_signal),
    service("kill-mode", "control-group, mixed or process; control-group", d::kill_mode),
    service("reload-signal", "a signal's name or number; none", d::reload_signal),
    service("user", "a user's name or number; root", d::user),
    service("group", "a group's name or number; the user's", d::group),
    service("working-directory", "an absolute path; /", d::working_directory),
    service("umask", "an octal number as text; 0022", d::umask),
    service("environment", "a table of text; empty", d::environment),
    service("tty-path", "an absolute path; none", d::tty_path),
    service(
        "environment-file",
        "a path or a list of them, `-` in front: may be missing; none",
        e::environment_file,
    ),
    service(
        "environment-dir",
        "a path or a list of them, `-` in front: may be missing; none",
        e::environment_dir,
    ),
    service(
        "supplementary-groups",
        "a list of groups' names or numbers; none",
        e::supplementary_groups,
    ),
    service("nice", "-20 to 19; that of PID 1, 0", e::nice),
    service(
        "io-scheduling-class",
        "realtime, best-effort or idle; by nice",
        e::io_scheduling_class,
    ),
    service("cpu-affinity", "processors: a number, \"0-2\", or a list; all", e::cpu_affinity),
    service("oom-score-adjust", "-1000 to 1000; 0", e::oom_score_adjust),
    service("memory-max", "a size or infinity; infinity", e::memory_max),
    service("memory-high", "a size or infinity; infinity", e::memory_high),
    service("tasks-max", "a number or infinity; infinity", e::tasks_max),
    service("cpu-weight", "1 to 10000; 100", e::cpu_weight),
    service("cpu-quota", "a percentage of one processor; none", e::cpu_quota),
    service(
        "capability-bounding-set",
        "a list of capabilities, `~` in front: all but these; all",
        e::capability_bounding_set,
    ),
    service("ambient-capabilities", "a list of capabilities; none", e::ambient_capabilities),
    service("no-new-privileges", "true or false; true but for root", e::no_new_privileges),
    service("limit-as", "a size, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-core", "a size, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-data", "a size, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-fsize", "a size, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-memlock", "a size, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-msgqueue", "a size, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-rss", "a size, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-stack", "a size, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-locks", "a number, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-nice", "a number, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-nofile", "a number, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-nproc", "a number, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-rtprio", "a number, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-sigpending", "a number, \"soft:hard\" or infinity; that of boot time", e::limit),
    service("limit-cpu", "a span of time, \"soft:hard\" or infinity; that of boot time", e::limit),
    service(
        "limit-rttime",
        "a span of time, \"soft:hard\" or infinity; that of boot time",
        e::limit,
    ),
    service("root-directory", "an absolute path; /", p::root_directory),
    service("private-tmp", "true or false; false", p::private_tmp),
    service("protect-system", "true, false, full or strict; false", p::protect_system),
    service(
        "read-write-paths",
        "a path or a list of them, `-` in front: may be missing; none",
        p::read_write_paths,
    ),
    service("private-network", "true or false; false", p::private_network),
    service("runtime-directory", "a name below /run or a list of them; none", p::runtime_directory),
    service("state-directory", "a name below /var/lib or a list of them; none", p::state_directory),
    service("logs-directory", "a name below /var/log or a list of them; none", p::logs_directory),
    service("standard-input", "null, tty or file:PATH; null, with tty-path tty", p::standard_input),
    service(
        "standard-output",
        "log, null, inherit, tty, file:PATH or append:PATH; log, with a terminal tty",
        p::standard_output,
    ),
    service(
        "standard-error",
        "as standard-output, or log:err: as errors in the log; the same",
        p::standard_error,
    ),
    service("instances", "1 to 128; 1", i::instances),
    service("instance-name", "a name with `%i` in it; %p_%02i", i::instance_name),
    service("watchdog-sec", "a span of time; none", y::watchdog_sec),
    ready("mode", "all or any; all", y::mode),
    ready("notify", "systemd, or fd:3 to fd:7; none", y::notify),
    ready("log-pattern", "a regular expression; none", y::log_pattern),
    ready("log-file", "an absolute path; what the unit writes to its log", y::log_file),
    ready("log-activity", "an absolute path; none", y::log_activity),
    ready("path", "an absolute path; none", y::path),
    ready("unix-socket", "an absolute path; none", y::unix_socket),
    ready("tcp", "an address with a port, or a port; none", y::tcp),
    ready("command", "a command; none", y::command),
    ready("settle-sec", "a span of time; none", y::settle_sec),
    health("command", "a command; none", y::health_command),
    health("tcp", "an address with a port, or a port; none", y::health_tcp),
    health("http", "a URL; none", y::http),
    health("unix-socket", "an absolute path; none", y::health_unix_socket),
    health("interval-sec", "a span of time; 30s", y::interval_sec),
    health("timeout-sec", "a span of time; 5s", y::timeout_sec),
    health("failures", "a number; 3", y::failures),
    health("action", "restart, none or reboot; restart", y::action),
    log("storage", "ram, disk or flush; ram", l::storage),
    log("directory", "an absolute path; /var/log/ettan/NAME", l::directory),
    log("max-size", "a size; 256K", l::max_size),
    log("max-files", "a number; 4", l::max_files),
    log("max-age-sec", "a span of time; none", l::max_age_sec),
    log("timestamps", "iso, tai64n or none; iso", l::timestamps),
    log("rate-limit", "lines a second; none", l::rate_limit),
    log("flash-budget", "a size, for each day; none", l::flash_budget),
    log("user", "a user's name or number; root", l::user),
    log("route", "tables with match, exclude, name, directory, alert; none", r::routes),
    timer("on-boot-sec", "a span of time; none", t::on_boot_sec),
    timer("every", "a span of time; none", t::every),
    timer(
        "at",
        "a time of day, days of the week in front: \"03:30\", \"Mon..Fri *:15\"; none",
        t::at,
    ),
    timer("persistent", "true or false; false", t::persistent),
];

/// Where a key stands.
pub(crate) enum Lookup {
    Key(&'static Key),
    /// Not a key; what was probably meant.
    Unknown(Option<String>),
}

/// The key `name` of table `section`.
pub(crate) fn look_up(section: &str, name: &str) -> Lookup {
    match find(section, name) {
        Some(key) => Lookup::Key(key),
        None => Lookup::Unknown(guess(section, name)),
    }
}

/// Whether any key stands in a table of that name.
pub(crate) fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.section == name)
}

/// All table names, each once.
pub(crate) fn sections() -> impl Iterator<Item = &'static str> {
    let firsts = KEYS
        .iter()
        .enumerate()
        .filter(|(at, key)| !KEYS.iter().take(*at).any(|earlier| earlier.section == key.section));
    firsts.map(|(_, key)| key.section)
}

/// What to write instead of a key that is not one in that table ("" is the top of the file).
pub(crate) fn guess(section: &str, name: &str) -> Option<String> {
    let plain = kebab(name);
    if find(section, &plain).is_some() {
        return Some(format!("did you mean `{plain}`?"));
    }
    if let Some(hint) = crate::foreign::hint(section, &plain) {
        return Some(hint);
    }
    if let Some(key) = KEYS.iter().find(|key| key.name == plain) {
        return Some(format!("`{plain}` belongs in [{}]", key.section));
    }
    let here = KEYS.iter().filter(|key| key.section == section);
    if let Some(near) = crate::nearest::nearest(&plain, here.map(|key| key.name)) {
        return Some(format!("did you mean `{near}`?"));
    }
    let near = crate::nearest::nearest(&plain, KEYS.iter().map(|key| key.name))?;
    let key = KEYS.iter().find(|key| key.name == near)?;
    Some(format!("did you mean `{near}` in [{}]?", key.section))
}

fn find(section: &str, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

/// `ExecStart`, `exec_start` and `PIDFile` as we write them.
#[must_use]
pub fn kebab(name: &str) -> String {
    let letters: Vec<char> = name.chars().take(64).collect();
    let mut out = String::new();
    for (at, c) in letters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| letters.get(at));
        let after = letters.get(at.saturating_add(1));
        let word = c.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase()
                    || (before.is_ascii_uppercase() && after.is_some_and(char::is_ascii_lowercase))
            });
        if word {
            out.push('-');
        }
        out.push(if *c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_there_once() {
        for (at, key) in KEYS.iter().enumerate() {
            let again =
                KEYS.iter().skip(at + 1).find(|k| (k.section, k.name) == (key.section, key.name));
            assert!(again.is_none(), "{}", key.name);
            assert!(!key.takes.is_empty(), "{}", key.name);
        }
        assert_eq!(
            sections().collect::<Vec<_>>(),
            ["unit", "service", "ready", "health", "log", "timer"]
        );
    }

    #[test]
    fn guesses_what_was_meant() {
        let cases = [
            ("service", "exec-strat", "did you mean `exec-start`?"),
            ("service", "ExecStart", "did you mean `exec-start`?"),
            ("service", "PIDFile", "did you mean `pid-file`?"),
            ("service", "pid_file", "did you mean `pid-file`?"),
            ("service", "LimitNOFILE", "did you mean `limit-nofile`?"),
            ("service", "TTYPath", "did you mean `tty-path`?"),
            ("service", "After", "`after` belongs in [unit]"),
            ("unit", "restart", "`restart` belongs in [service]"),
            ("", "exec-start", "`exec-start` belongs in [service]"),
            ("unit", "Restrat", "did you mean `restart` in [service]?"),
            ("service", "command", "did you mean `exec-start`?"),
            ("service", "autorestart", "did you mean `restart`?"),
            ("service", "startsecs", "did you mean `min-uptime-sec`?"),
            ("timer", "OnCalendar", "did you mean `at`?"),
            ("unit", "WantedBy", crate::foreign::hint("", "wanted-by").unwrap().leak()),
        ];
        for (section, name, hint) in cases {
            assert_eq!(guess(section, name).as_deref(), Some(hint), "{name}");
        }
        assert_eq!(guess("service", "colour-of-the-sky"), None);
    }
}
