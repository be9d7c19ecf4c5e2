//! Memory and tasks of a unit, read from the cgroup its main process is in. Nothing where there is none.

use std::fs;
use std::path::{Path, PathBuf};

/// What a unit uses at this moment, as far as the kernel tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) tasks: Option<u64>,
}

/// Of the unit with this main process.
pub(crate) fn usage(main_pid: Option<i32>) -> Usage {
    let Some(group) = main_pid.and_then(group_of) else { return Usage::default() };
    let number = |file| fs::read_to_string(group.join(file)).ok()?.trim().parse().ok();
    Usage { memory_bytes: number("memory.current"), tasks: number("pids.current") }
}

/// The directory of a process's own group; None for the root group, which is everybody's.
fn group_of(pid: i32) -> Option<PathBuf> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = path_in(&text)?;
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .map(|root| Path::new(root).join(path))
        .into_iter()
        .find(|directory| directory.join("cgroup.procs").exists())
}

/// The path in the line of cgroup v2 (`0::/ettan/web`), without its first slash.
fn path_in(text: &str) -> Option<&str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    (!path.is_empty() && !path.split('/').any(|part| part == "..")).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::path_in;

    #[test]
    fn only_the_line_of_cgroup_v2_counts() {
        assert_eq!(path_in("12:pids:/x\n0::/ettan/web\n"), Some("ettan/web"));
        assert_eq!(path_in("0::/\n"), None);
        assert_eq!(path_in("0::/../web\n"), None);
        assert_eq!(path_in(""), None);
    }
}
