//! Writes down what a process was given when it was started, one fact per line.

use std::fs;
use std::io;
use std::path::Path;

use crate::options::Options;

/// Written beside and moved into place, so that a reader sees all or nothing.
pub(crate) fn write(options: &Options) -> io::Result<()> {
    let Some(path) = &options.report else {
        return Ok(());
    };
    let mut beside = path.clone().into_os_string();
    beside.push(".new");
    fs::write(&beside, text()?)?;
    fs::rename(beside, path)
}

fn text() -> io::Result<String> {
    let mut lines = Vec::new();
    for argument in std::env::args_os() {
        lines.push(format!("argv {}", argument.to_string_lossy()));
    }
    lines.push(format!("cwd {}", std::env::current_dir()?.display()));
    let this = std::process::id();
    let session = nix::unistd::getsid(None)?;
    let group = nix::unistd::getpgrp();
    lines.push(format!("pid {this} session {session} group {group}"));
    // Name, umask, ids and signal masks, in the kernel's words.
    let wanted = [
        "Umask",
        "Uid",
        "Gid",
        "Groups",
        "SigBlk",
        "SigIgn",
        "SigCgt",
        "NoNewPrivs",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "Cpus_allowed_list",
    ];
    for line in fs::read_to_string("/proc/self/status")?.lines() {
        if wanted.iter().any(|key| line.starts_with(&format!("{key}:"))) {
            let words: Vec<&str> = line.split_whitespace().collect();
            lines.push(format!("status {}", words.join(" ")));
        }
    }
    for line in fs::read_to_string("/proc/self/limits")?.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        lines.push(format!("limit {}", words.join(" ")));
    }
    lines.push(format!("oom-score-adj {}", read("/proc/self/oom_score_adj").trim()));
    lines.push(format!("nice {}", stat_field(16)));
    lines.push(format!("root {}", fs::read_link("/proc/self/root")?.display()));
    lines.push(format!("cgroup {}", read("/proc/self/cgroup").trim()));
    lines.extend(descriptors()?);
    let mut environment: Vec<_> = std::env::vars_os().collect();
    environment.sort();
    for (key, value) in environment {
        lines.push(format!("env {}={}", key.to_string_lossy(), value.to_string_lossy()));
    }
    Ok(lines.join("\n") + "\n")
}

fn descriptors() -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let path = entry?.path();
        // The directory being read has a descriptor too; it points at itself.
        let Ok(to) = fs::read_link(&path) else {
            continue;
        };
        let own = Path::new("/proc").join(std::process::id().to_string()).join("fd");
        let number = path.file_name().map(|name| name.to_string_lossy().into_owned());
        if to != own
            && let Some(number) = number
        {
            found.push(format!("fd {number} {}", to.display()));
        }
    }
    found.sort();
    Ok(found)
}

/// Field `number` (counted from 0 after the program's name) of /proc/self/stat.
fn stat_field(number: usize) -> String {
    let stat = read("/proc/self/stat");
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    after.split_whitespace().nth(number).unwrap_or("").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
