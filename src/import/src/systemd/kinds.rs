//! Units that have no counterpart: sockets, paths, mounts, timers without a service. Each directive is reported.

use crate::report::{Fate, Note};
use crate::systemd::parse::Directive;
use crate::tree::Tree;

/// Every directive as dropped, with the reason.
pub(crate) fn without_counterpart(suffix: &str, stem: &str, all: &[Directive]) -> Vec<Note> {
    all.iter()
        .map(|directive| Note {
            origin: directive.from.clone(),
            fate: Fate::Dropped,
            key: None,
            why: why(suffix, stem, &directive.section, &directive.name),
        })
        .collect()
}

fn why(suffix: &str, stem: &str, section: &str, name: &str) -> String {
    match (suffix, section) {
        ("socket", "Socket") if name.starts_with("Listen") => {
            format!("no socket activation: {stem} opens it itself, and is started directly")
        }
        ("timer", "Timer") => {
            format!("[timer] is a part of the unit of {stem}, whose .service is to be beside it")
        }
        _ => format!("a part of the .{suffix} unit, which does not exist here"),
    }
}

/// What to do instead.
pub(crate) fn remark(suffix: &str, service: &str, tree: &dyn Tree) -> String {
    let beside = if tree.exists(service) { format!("import {service}") } else { String::new() };
    let text = match suffix {
        "socket" => "no unit: there is no socket activation, its service is started directly",
        "path" => "no unit: `after = [\"path:/…\"]` waits for a path",
        "mount" | "automount" | "swap" => "no unit: file systems are mounted by /etc/fstab",
        _ => "no unit: each unit has a cgroup of its own",
    };
    if beside.is_empty() { text.into() } else { format!("{text}; {beside}") }
}
