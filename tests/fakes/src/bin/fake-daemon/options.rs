//! The flags: their text, their parsing, their meaning as values.

use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;

pub(crate) const HELP: &str = "\
fake-daemon: a daemon that behaves as its flags say. MS is milliseconds.

Shape
  --name NAME            begins every event line (default fake)
  --foreground           no launcher: this process is the daemon
  --grandchild           launcher -> middle process -> daemon
  --launcher-exit CODE   the launcher's exit code (0)
  --launcher-exit-after MS
  --launcher-hangs       the launcher never exits
  --no-setsid            stay in the launcher's session
  --close-fds            close descriptors 0, 1, 2 and leave them closed
  --wipe-environment     the daemon's first environment is empty
  --user NAME  --group NAME   become these; unknown: the daemon exits 1
  --events FILE          append events to FILE instead of stdout
  --report FILE          the first process writes what it was given: argv, cwd,
                         umask, ids, session, signal masks, limits, fds, environment

PID file (none is written without --pid-file)
  --pid-file PATH
  --pid-by WHO           launcher (default; daemon with --foreground or
                         --grandchild), middle or daemon
  --pid-after MS         written this late
  --pid-empty-for MS     created empty, filled this much later
  --pid-partial-for MS   the number without its last digit and no newline first
  --pid-of WHO           daemon (default), launcher (whoever is the writer's
                         parent), self (the writer), dead (a process that has
                         been and gone), escapee, child
  --pid-content TEXT     exactly this; {pid} is the number, \\n \\r \\0 \\t \\\\ as in C
  --pid-no-newline
  --pid-kind KIND        file (default), fifo, socket, directory, symlink:TARGET,
                         sparse:BYTES (the number, then a hole)
  --pid-mode OCTAL       permission bits (0644)
  --pid-rename           written beside and moved into place
  --pid-hold             kept open; rewrites go into the same open file
  --pid-rewrite-every MS write it again and again
  --pid-remove           removed at a clean stop

Life of the daemon
  --set-clock SECOND     sets the wall clock to this second since 1970, and that is all
  --exit-after MS        leaves by itself
  --exit-code N          with this code (0)
  --die-by SIGNAL        or by this signal instead
  --ignore SIGNAL        repeatable, TERM, INT, HUP, USR1, USR2, QUIT
  --stop-after MS        a TERM or INT takes this long to work
  --refork-on-usr2       USR2 starts a successor, which writes the PID file;
                         this one then leaves
  --refork-linger MS     this much later (0)
  --print TEXT           a line on stdout     (repeatable)
  --print-err TEXT       a line on stderr     (repeatable)
  --lines N              N numbered lines on stdout at start
  --syslog TEXT          a message by syslog(3)  (repeatable)
  --syslog-lines N       N numbered messages by syslog(3) at start

Crowd, started by the daemon before it serves
  --orphans N            N processes left to PID 1, which exit at once
  --orphans-live MS      and live this long
  --escapees N           N processes left to PID 1, each in its own session, for ever
  --escapees-ignore-term
  --children N           N ordinary children, for ever
  --zombies N            N children that exit and are never waited for
TERM and INT stop a daemon cleanly with exit code 0; HUP has no handler.
";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Launcher,
    Middle,
    Daemon,
    /// Starts orphans or escapees and exits, so that PID 1 inherits them.
    Breeder,
    Orphan,
    Escapee,
    Child,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Launcher => "launcher",
            Role::Middle => "middle",
            Role::Daemon => "daemon",
            Role::Breeder => "breeder",
            Role::Orphan => "orphan",
            Role::Escapee => "escapee",
            Role::Child => "child",
        }
    }

    fn parse(text: &str) -> Result<Role, String> {
        let all = [
            Role::Launcher,
            Role::Middle,
            Role::Daemon,
            Role::Breeder,
            Role::Orphan,
            Role::Escapee,
            Role::Child,
        ];
        let found = all.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("{text}: no such role"))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    Launcher,
    Middle,
    Daemon,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PidOf {
    Daemon,
    Launcher,
    Itself,
    Dead,
    Escapee,
    Child,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Fifo,
    Socket,
    Directory,
    Symlink(PathBuf),
    Sparse(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) foreground: bool,
    pub(crate) grandchild: bool,
    pub(crate) launcher_exit: u8,
    pub(crate) launcher_exit_after: Duration,
    pub(crate) launcher_hangs: bool,
    pub(crate) setsid: bool,
    pub(crate) close_fds: bool,
    pub(crate) wipe_environment: bool,
    pub(crate) user: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) events: Option<PathBuf>,
    pub(crate) report: Option<PathBuf>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) pid_by: Writer,
    pub(crate) pid_after: Duration,
    pub(crate) pid_empty_for: Duration,
    pub(crate) pid_partial_for: Duration,
    pub(crate) pid_of: PidOf,
    pub(crate) pid_content: String,
    pub(crate) pid_kind: Kind,
    pub(crate) pid_mode: u32,
    pub(crate) pid_rename: bool,
    pub(crate) pid_hold: bool,
    pub(crate) pid_rewrite_every: Option<Duration>,
    pub(crate) pid_remove: bool,
    pub(crate) set_clock: Option<i64>,
    pub(crate) exit_after: Option<Duration>,
    pub(crate) exit_code: u8,
    pub(crate) die_by: Option<Signal>,
    pub(crate) ignored: Vec<Signal>,
    pub(crate) stop_after: Duration,
    pub(crate) refork_on_usr2: bool,
    pub(crate) refork_linger: Duration,
    pub(crate) prints: Vec<String>,
    pub(crate) prints_err: Vec<String>,
    pub(crate) lines: u32,
    pub(crate) syslog: Vec<String>,
    pub(crate) syslog_lines: u32,
    pub(crate) orphans: u32,
    pub(crate) orphans_live: Duration,
    pub(crate) escapees: u32,
    pub(crate) escapees_ignore_term: bool,
    pub(crate) children: u32,
    pub(crate) zombies: u32,
}

impl Options {
    fn new() -> Options {
        Options {
            role: Role::Launcher,
            name: "fake".to_owned(),
            foreground: false,
            grandchild: false,
            launcher_exit: 0,
            launcher_exit_after: Duration::ZERO,
            launcher_hangs: false,
            setsid: true,
            close_fds: false,
            wipe_environment: false,
            user: None,
            group: None,
            events: None,
            report: None,
            pid_file: None,
            pid_by: Writer::Launcher,
            pid_after: Duration::ZERO,
            pid_empty_for: Duration::ZERO,
            pid_partial_for: Duration::ZERO,
            pid_of: PidOf::Daemon,
            pid_content: "{pid}\n".to_owned(),
            pid_kind: Kind::File,
            pid_mode: 0o644,
            pid_rename: false,
            pid_hold: false,
            pid_rewrite_every: None,
            pid_remove: false,
            set_clock: None,
            exit_after: None,
            exit_code: 0,
            die_by: None,
            ignored: Vec::new(),
            stop_after: Duration::ZERO,
            refork_on_usr2: false,
            refork_linger: Duration::ZERO,
            prints: Vec::new(),
            prints_err: Vec::new(),
            lines: 0,
            syslog: Vec::new(),
            syslog_lines: 0,
            orphans: 0,
            orphans_live: Duration::ZERO,
            escapees: 0,
            escapees_ignore_term: false,
            children: 0,
            zombies: 0,
        }
    }

    pub(crate) fn parse(arguments: &[String]) -> Result<Options, String> {
        let mut options = Options::new();
        let mut writer = None;
        let mut rest = arguments.iter().map(String::as_str);
        while let Some(flag) = rest.next() {
            if flag == "--pid-by" {
                writer = Some(parse_writer(value(flag, &mut rest)?)?);
            } else if !options.switch(flag) {
                let value = value(flag, &mut rest)?;
                let known = options.shape(flag, value)?
                    || options.pid(flag, value)?
                    || options.life(flag, value)?
                    || options.crowd(flag, value)?;
                if !known {
                    return Err(format!("{flag}: no such flag"));
                }
            }
        }
        let by_itself = options.foreground || options.grandchild;
        let default = if by_itself { Writer::Daemon } else { Writer::Launcher };
        options.pid_by = writer.unwrap_or(default);
        Ok(options)
    }

    fn switch(&mut self, flag: &str) -> bool {
        match flag {
            "--foreground" => self.foreground = true,
            "--grandchild" => self.grandchild = true,
            "--launcher-hangs" => self.launcher_hangs = true,
            "--no-setsid" => self.setsid = false,
            "--close-fds" => self.close_fds = true,
            "--wipe-environment" => self.wipe_environment = true,
            "--pid-no-newline" => "{pid}".clone_into(&mut self.pid_content),
            "--pid-rename" => self.pid_rename = true,
            "--pid-hold" => self.pid_hold = true,
            "--pid-remove" => self.pid_remove = true,
            "--refork-on-usr2" => self.refork_on_usr2 = true,
            "--escapees-ignore-term" => self.escapees_ignore_term = true,
            _ => return false,
        }
        true
    }

    fn shape(&mut self, flag: &str, value: &str) -> Result<bool, String> {
        match flag {
            "--role" => self.role = Role::parse(value)?,
            "--name" => value.clone_into(&mut self.name),
            "--launcher-exit" => self.launcher_exit = number(flag, value)?,
            "--launcher-exit-after" => self.launcher_exit_after = duration(flag, value)?,
            "--user" => self.user = Some(value.to_owned()),
            "--group" => self.group = Some(value.to_owned()),
            "--events" => self.events = Some(value.into()),
            "--report" => self.report = Some(value.into()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn pid(&mut self, flag: &str, value: &str) -> Result<bool, String> {
        match flag {
            "--pid-file" => self.pid_file = Some(value.into()),
            "--pid-after" => self.pid_after = duration(flag, value)?,
            "--pid-empty-for" => self.pid_empty_for = duration(flag, value)?,
            "--pid-partial-for" => self.pid_partial_for = duration(flag, value)?,
            "--pid-of" => self.pid_of = parse_pid_of(value)?,
            "--pid-content" => self.pid_content = unescape(value),
            "--pid-kind" => self.pid_kind = parse_kind(value)?,
            "--pid-mode" => {
                self.pid_mode =
                    u32::from_str_radix(value, 8).map_err(|e| format!("{flag} {value}: {e}"))?;
            }
            "--pid-rewrite-every" => self.pid_rewrite_every = Some(duration(flag, value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn life(&mut self, flag: &str, value: &str) -> Result<bool, String> {
        match flag {
            "--set-clock" => self.set_clock = Some(number(flag, value)?),
            "--exit-after" => self.exit_after = Some(duration(flag, value)?),
            "--exit-code" => self.exit_code = number(flag, value)?,
            "--die-by" => self.die_by = Some(signal(value)?),
            "--ignore" => self.ignored.push(signal(value)?),
            "--stop-after" => self.stop_after = duration(flag, value)?,
            "--refork-linger" => self.refork_linger = duration(flag, value)?,
            "--print" => self.prints.push(value.to_owned()),
            "--print-err" => self.prints_err.push(value.to_owned()),
            "--lines" => self.lines = number(flag, value)?,
            "--syslog" => self.syslog.push(value.to_owned()),
            "--syslog-lines" => self.syslog_lines = number(flag, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn crowd(&mut self, flag: &str, value: &str) -> Result<bool, String> {
        match flag {
            "--orphans" => self.orphans = number(flag, value)?,
            "--orphans-live" => self.orphans_live = duration(flag, value)?,
            "--escapees" => self.escapees = number(flag, value)?,
            "--children" => self.children = number(flag, value)?,
            "--zombies" => self.zombies = number(flag, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The same flags for another role.
pub(crate) fn with_role(arguments: &[String], role: Role) -> Vec<String> {
    let mut all = arguments.to_vec();
    all.extend(["--role".to_owned(), role.name().to_owned()]);
    all
}

fn value<'a>(flag: &str, rest: &mut impl Iterator<Item = &'a str>) -> Result<&'a str, String> {
    if !flag.starts_with("--") {
        return Err(format!("{flag}: not a flag"));
    }
    rest.next().ok_or_else(|| format!("{flag}: wants a value, or is no flag"))
}

fn number<T: std::str::FromStr>(flag: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{flag} {value}: not a number it takes"))
}

fn duration(flag: &str, value: &str) -> Result<Duration, String> {
    Ok(Duration::from_millis(number(flag, value)?))
}

fn signal(value: &str) -> Result<Signal, String> {
    format!("SIG{value}").parse().map_err(|_| format!("{value}: no such signal"))
}

fn parse_writer(value: &str) -> Result<Writer, String> {
    match value {
        "launcher" => Ok(Writer::Launcher),
        "middle" => Ok(Writer::Middle),
        "daemon" => Ok(Writer::Daemon),
        _ => Err(format!("--pid-by {value}: launcher, middle or daemon")),
    }
}

fn parse_pid_of(value: &str) -> Result<PidOf, String> {
    match value {
        "daemon" => Ok(PidOf::Daemon),
        "launcher" => Ok(PidOf::Launcher),
        "self" => Ok(PidOf::Itself),
        "dead" => Ok(PidOf::Dead),
        "escapee" => Ok(PidOf::Escapee),
        "child" => Ok(PidOf::Child),
        _ => Err(format!("--pid-of {value}: daemon, launcher, self, dead, escapee or child")),
    }
}

fn parse_kind(value: &str) -> Result<Kind, String> {
    match value.split_once(':') {
        None if value == "file" => Ok(Kind::File),
        None if value == "fifo" => Ok(Kind::Fifo),
        None if value == "socket" => Ok(Kind::Socket),
        None if value == "directory" => Ok(Kind::Directory),
        Some(("symlink", to)) => Ok(Kind::Symlink(to.into())),
        Some(("sparse", size)) => Ok(Kind::Sparse(number("--pid-kind sparse", size)?)),
        _ => Err(format!("--pid-kind {value}: no such kind")),
    }
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match (letter, letter == '\\') {
            (_, false) => plain.push(letter),
            (_, true) => match rest.next() {
                Some('n') => plain.push('\n'),
                Some('r') => plain.push('\r'),
                Some('t') => plain.push('\t'),
                Some('0') => plain.push('\0'),
                Some(other) => plain.push(other),
                None => plain.push('\\'),
            },
        }
    }
    plain
}
