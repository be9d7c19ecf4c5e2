//! Reads a /proc. Knows processes as that /proc numbers them.

use std::path::Path;

/// One process of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id inside the machine.
    pub pid: i32,
    /// Its parent's id inside the machine; 0 when that is outside.
    pub parent: i32,
    /// Its session's id inside the machine.
    pub session: i32,
    /// When it started, in clock ticks since boot. With its id this names it for good.
    pub born: u64,
    /// The kernel's letter: R, S, D, T, Z, …
    pub state: char,
    /// The command line with spaces between arguments; `[name]` when there is none.
    pub command: String,
}

impl Process {
    /// Whether it has ended and waits for its parent to reap it.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }

    /// The process as /proc/PID of the /proc at `proc` shows it; None when it is gone.
    #[must_use]
    pub fn read(proc: &Path, pid: i32) -> Option<Self> {
        let directory = proc.join(pid.to_string());
        let stat = std::fs::read_to_string(directory.join("stat")).ok()?;
        let command = std::fs::read(directory.join("cmdline")).unwrap_or_default();
        let (head, tail) = stat.rsplit_once(") ")?;
        let name = head.split_once('(')?.1;
        let mut fields = tail.split(' ');
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        let born = fields.nth(15)?.parse().ok()?;
        Some(Self { pid, parent, session, born, state, command: words(&command, name) })
    }

    /// All processes of the /proc at `proc`.
    #[must_use]
    pub fn all(proc: &Path) -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir(proc) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| name.parse().ok()).filter_map(|pid| Self::read(proc, pid)).collect()
    }

    /// One line a process, for messages.
    #[must_use]
    pub fn table(processes: &[Self]) -> String {
        let line = |process: &Self| {
            format!(
                "  {:>6} {:>6} {} {}\n",
                process.pid, process.parent, process.state, process.command
            )
        };
        processes.iter().map(line).collect()
    }
}

fn words(command: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(command);
    let text = text.trim_end_matches('\0').replace('\0', " ");
    if text.is_empty() { format!("[{name}]") } else { text }
}
