//! The commands around a unit's program: one command, or a list of them.

use std::ffi::CString;

use ettan_core::{MAX_HOOKS, Stage};
use ettan_table::MAX_ARGUMENTS;
use ettan_table::write::EntryHook;
use toml::de::DeValue;

use crate::compile::{World, check_program};
use crate::diagnostic::Notes;
use crate::draft::{At, Draft, Item, command};
use crate::specifier::Specifiers;

pub(crate) fn start_pre(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    read(Stage::Pre, draft, item, notes);
}

pub(crate) fn start_post(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    read(Stage::Post, draft, item, notes);
}

pub(crate) fn stop(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    read(Stage::Stop, draft, item, notes);
}

pub(crate) fn stop_post(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    read(Stage::StopPost, draft, item, notes);
}

pub(crate) fn reload(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    read(Stage::Reload, draft, item, notes);
}

/// The key of a stage.
pub(crate) const fn key(stage: Stage) -> &'static str {
    match stage {
        Stage::Pre => "exec-start-pre",
        Stage::Post => "exec-start-post",
        Stage::Stop => "exec-stop",
        Stage::StopPost => "exec-stop-post",
        Stage::Reload => "exec-reload",
    }
}

/// A list with a list in it is a list of commands; any other is the arguments of one.
fn read(stage: Stage, draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let is_list = |value: &DeValue<'_>| matches!(value, DeValue::Array(_));
    let mut commands = Vec::new();
    match item.value {
        DeValue::Array(list) if list.iter().any(|value| is_list(value.get_ref())) => {
            for value in list.iter() {
                let (span, key) = (value.span(), item.key.clone());
                let one = Item { name: item.name, key, span, value: value.get_ref() };
                commands.push(command(&one, notes));
            }
        }
        // None at all: what a drop-in says to take them away.
        DeValue::Array(list) if list.is_empty() => {}
        _ => commands.push(command(item, notes)),
    }
    if commands.len() > MAX_HOOKS {
        let message = format!("{} commands, at most {MAX_HOOKS}", commands.len());
        notes.error(&item.span, message);
    }
    draft.hooks.retain(|(known, _)| *known != stage);
    draft.hooks.extend(commands.into_iter().map(|command| (stage, command)));
}

/// The commands as the table has them. What is wrong with one is told.
pub(crate) fn compile(
    drafts: &[(Stage, At<Vec<String>>)],
    specifiers: &Specifiers<'_>,
    world: &World<'_>,
    notes: &mut Notes,
) -> Vec<EntryHook> {
    let mut hooks = Vec::new();
    for (stage, At { span, value }) in drafts {
        let mut argv = Vec::new();
        for argument in value {
            let expanded = notes.take(span, specifiers.expand(argument));
            argv.extend(expanded.and_then(|argument| CString::new(argument).ok()));
        }
        let Some((first, rest)) = value.split_first() else {
            if !notes.failed() {
                notes.error(span, "the command is empty");
            }
            continue;
        };
        let program = first.strip_prefix('-');
        let may_fail = program.is_some();
        notes.take(span, check_program(program.unwrap_or(first), world.root));
        if rest.len() >= MAX_ARGUMENTS {
            notes.error(span, format!("{} arguments, at most {MAX_ARGUMENTS}", value.len()));
        }
        if let Some(first) = argv.first_mut().filter(|_| may_fail) {
            let bare = first.to_bytes().get(1..).unwrap_or_default().to_vec();
            *first = CString::new(bare).unwrap_or_default();
        }
        hooks.push(EntryHook { stage: *stage, may_fail, argv });
    }
    hooks
}
