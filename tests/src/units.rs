//! Texts of unit files. Each ends inside `[service]`, so that a test adds its own keys below.

use crate::binaries::workspace;

/// Keys for a unit that is killed again and again: it comes back as soon as it ever does.
pub const QUICK: &str =
    "min-uptime-sec = \"1ms\"\nrestart-sec = \"50ms\"\nrestart-max-delay-sec = \"50ms\"\n";

/// A unit that runs a shell script in the foreground.
#[must_use]
pub fn shell(script: &str) -> String {
    format!("[service]\nexec-start = [\"/bin/sh\", \"-c\", '''{script}''']\n")
}

/// Shell words that make a cgroup below the one of their service, and go there.
pub const INNER: &str = "inner=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/inner; \
                         mkdir -p $inner; echo 0 > $inner/cgroup.procs";

/// A unit that stands there until it is told to go, and does so at TERM.
#[must_use]
pub fn idle() -> String {
    "[service]\nexec-start = \"/bin/sleep 100000\"\n".to_owned()
}

/// A unit that runs the fake daemon in the foreground.
#[must_use]
pub fn fake(flags: &str) -> String {
    format!("[service]\nexec-start = '''/usr/bin/fake-daemon --foreground {flags}'''\n")
}

/// A forking unit whose fake daemon writes `/run/NAME.pid` (unless `flags` say otherwise),
/// and its events to `/tmp/NAME.events`.
#[must_use]
pub fn forking(name: &str, flags: &str) -> String {
    forking_at(name, &format!("/run/{name}.pid"), flags)
}

/// As `forking`, with the PID file somewhere else.
#[must_use]
pub fn forking_at(name: &str, pid_file: &str, flags: &str) -> String {
    silent(name, pid_file, &format!("--pid-file {pid_file} {flags}"))
}

/// A forking unit that expects `pid_file`, with a fake daemon that does not write it.
#[must_use]
pub fn silent(name: &str, pid_file: &str, flags: &str) -> String {
    let daemon = format!("/usr/bin/fake-daemon --name {name} --events /tmp/{name}.events {flags}");
    format!(
        "[service]\ntype = \"forking\"\npid-file = \"{pid_file}\"\nexec-start = '''{daemon}'''\n"
    )
}

/// `text` with an `[unit]` table in front.
#[must_use]
pub fn with(unit: &str, text: &str) -> String {
    format!("[unit]\n{unit}\n{text}")
}

/// A vendor unit as it is shipped.
///
/// # Panics
/// When there is none of that name.
#[must_use]
pub fn shipped(unit: &str) -> String {
    let file = workspace().join(format!("units/system/{unit}.toml"));
    std::fs::read_to_string(file).expect("a vendor unit")
}
