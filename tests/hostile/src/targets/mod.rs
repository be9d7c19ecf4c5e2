//! The targets, and the words of what they read.

mod files;
mod kernel;
mod log;
mod probe;
mod records;
mod wire;

pub(crate) use records::{CONDITION, UNIT, WHOLE, pack};

/// One reader of bytes from outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called: by tests, in `tests/fuzz`, and where its examples are.
    pub name: &'static str,
    /// Reads the bytes; true when they were taken for good. Panics when a promise is broken.
    pub check: fn(&[u8]) -> bool,
    /// What such bytes are made of.
    pub words: &'static [&'static [u8]],
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "unit_file", check: files::unit_file, words: files::TOML_WORDS },
    Target { name: "override_file", check: files::override_file, words: files::OVERRIDE_WORDS },
    Target { name: "table", check: files::table, words: &[b"ettantbl", b"/bin/a", b"a\0"] },
    Target { name: "records", check: records::records, words: &[] },
    Target { name: "memory", check: records::memory, words: &[] },
    Target { name: "request", check: wire::request, words: wire::WORDS },
    Target { name: "reply", check: wire::reply, words: wire::WORDS },
    Target { name: "pid_file", check: kernel::pid_file, words: kernel::NUMBER_WORDS },
    Target { name: "proc_stat", check: kernel::stat, words: kernel::STAT_WORDS },
    Target { name: "proc_cgroup", check: kernel::cgroup, words: kernel::CGROUP_WORDS },
    Target { name: "proc_environ", check: kernel::environ, words: kernel::ENVIRON_WORDS },
    Target { name: "cgroup_files", check: kernel::cgroup_files, words: kernel::NUMBER_WORDS },
    Target { name: "command_line", check: kernel::command_line, words: kernel::LINE_WORDS },
    Target { name: "log_packet", check: log::packet, words: log::PACKET_WORDS },
    Target { name: "log_record", check: log::record, words: log::RECORD_WORDS },
    Target { name: "syslog", check: log::syslog, words: log::SYSLOG_WORDS },
    Target { name: "notify", check: probe::notify, words: probe::NOTIFY_WORDS },
    Target { name: "kernel_message", check: log::kernel, words: log::KERNEL_WORDS },
    Target { name: "uevent", check: kernel::uevent, words: kernel::UEVENT_WORDS },
    Target { name: "rtnetlink", check: kernel::rtnetlink, words: kernel::NETLINK_WORDS },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Gives the bytes to the target of this name.
///
/// # Panics
/// When a promise is broken, or there is no such target.
pub fn check(name: &str, bytes: &[u8]) {
    let _accepted = (target(name).expect("a target of this name").check)(bytes);
}
