//! Copies a unit out of a read table, so that it can be written into the next one. For the
//! loader, on the loader's heap; not for PID 1.

extern crate alloc;

use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use ettan_core::{Catalog, Need, NeedKind, On};

use crate::launch::{HookCommand, Launch, Strings};
use crate::table::Table;
use crate::write::{Entry, EntryHook, EntryLaunch, EntryNeed, EntryNeedKind};

impl Entry {
    /// Unit `index` of `table`, with what it needs by name: written again, beside whatever other
    /// units, it has the same fingerprint. None past the end.
    #[must_use]
    pub fn copy(table: &Table<'_>, index: usize) -> Option<Self> {
        let mut needs = Vec::new();
        while let Some(need) = table.need(index, needs.len()) {
            needs.push(copy_need(table, &need)?);
        }
        Some(Self {
            unit: table.unit(index)?,
            description: String::from(table.description(index)),
            needs,
            group: String::from(table.group(index)),
            timer: table.timer(index),
            launch: table.launch(index).map(|launch| EntryLaunch {
                hooks: table.hooks(index).map(copy_hook).collect(),
                ..copy_launch(launch)
            }),
        })
    }
}

fn copy_need(table: &Table<'_>, need: &Need<'_>) -> Option<EntryNeed> {
    let kind = match need.kind {
        NeedKind::After => EntryNeedKind::After,
        NeedKind::Wants => EntryNeedKind::Wants,
        NeedKind::Requires => EntryNeedKind::Requires,
        NeedKind::BindsTo => EntryNeedKind::BindsTo,
        NeedKind::Conflicts => EntryNeedKind::Conflicts,
        NeedKind::PartOf => EntryNeedKind::PartOf,
        NeedKind::OnFailure => EntryNeedKind::OnFailure,
    };
    let (name, condition) = match need.on {
        On::Unit(index) => (table.name(usize::from(index))?, false),
        On::Condition(name) => (name, true),
        On::Missing(name) => (name, false),
    };
    Some(EntryNeed { kind, name: String::from(name), condition })
}

fn copy_launch(launch: Launch<'_>) -> EntryLaunch {
    EntryLaunch {
        argv: copy_strings(launch.argv),
        envp: copy_strings(launch.envp),
        uid: launch.uid,
        gid: launch.gid,
        groups: launch.groups.collect(),
        working_directory: CString::from(launch.working_directory),
        umask: launch.umask,
        pid_file: launch.pid_file.map(CString::from),
        tty_path: launch.tty_path.map(CString::from),
        log: launch.log,
        log_words: CString::from(launch.log_words),
        probe_words: CString::from(launch.probe_words),
        extras: launch.extras.collect(),
        place: CString::from(launch.place),
        hooks: Vec::new(),
    }
}

fn copy_hook(hook: HookCommand<'_>) -> EntryHook {
    EntryHook { stage: hook.stage, may_fail: hook.may_fail, argv: copy_strings(hook.argv) }
}

fn copy_strings(strings: Strings<'_>) -> Vec<CString> {
    strings.map(<CStr as alloc::borrow::ToOwned>::to_owned).collect()
}
