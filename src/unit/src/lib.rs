//! Reads. Unit files: text in, table and diagnostics out.
//!
//! For the loader helper of PID 1 (`helper_main`) and for `ettan check` (`check`), which find
//! the same mistakes with the same code. Runs no program, changes no file.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod capability;
mod check;
mod command;
mod compile;
mod diagnostic;
mod document;
mod draft;
mod duration;
mod extras;
mod files;
mod former;
mod graph;
mod helper;
mod keys;
mod load;
mod log;
mod names;
mod nearest;
mod program;
mod reference;
mod size;
mod specifier;
mod tree;
mod users;
mod variables;

pub use check::check;
pub use diagnostic::{Diagnostic, Place, Severity};
pub use helper::helper_main;
pub use keys::{KEYS, Key};
pub use load::{Loaded, load, read_alone, reload};

/// A span of time as unit files write it (`"2min 30s"`, a bare number of seconds), in milliseconds.
///
/// # Errors
/// What is wrong with it, in words.
pub fn span_ms(text: &str) -> Result<u32, String> {
    duration::parse(text).map_err(|complaint| complaint.message)
}
