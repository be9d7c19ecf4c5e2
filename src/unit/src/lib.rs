//! Reads. Unit files: text in, table and diagnostics out.
//!
//! For the loader helper of PID 1 (`helper_main`) and for `ettan check` (`survey`), which find
//! the same mistakes with the same code. Runs no program, changes no file.
#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod asked;
mod capability;
mod command;
mod compile;
mod diagnostic;
mod document;
mod draft;
mod duration;
mod extras;
mod files;
mod foreign;
mod former;
mod graph;
mod helper;
mod here;
mod hooks;
mod instances;
mod keys;
mod load;
mod log;
mod moments;
mod names;
mod nearest;
mod overrides;
mod place;
mod policy;
mod ready;
mod reference;
mod rescue;
mod route;
mod size;
mod specifier;
mod strays;
mod survey;
mod timer;
pub mod tree;
mod unclosed;
mod users;
mod variables;
mod zone;

pub use asked::Asked;
pub use compile::{Command, Compiled, Named, PATH};
pub use diagnostic::{Diagnostic, Place, Severity, Source};
pub use draft::At;
pub use files::{file_of, is_unit_directory, odd_name, template_of, unit_of};
pub use helper::helper_main;
pub use instances::{Groups, fold};
pub use keys::{KEYS, Key, kebab};
pub use load::{Loaded, load, load_as_asked, read_alone, reload, sort};
pub use nearest::nearest;
pub use overrides::{is_override, read_override};
pub use reference::{Target, shown};
pub use survey::{Survey, survey};

/// Whether `at` takes these moments.
///
/// # Errors
/// What is wrong with them, in words.
pub fn check_moments(text: &str) -> Result<(), String> {
    moments::parse(text).map(|_| ()).map_err(|complaint| complaint.message)
}

/// A span of time as unit files write it (`"2min 30s"`, a bare number of seconds), in milliseconds.
///
/// # Errors
/// What is wrong with it, in words.
pub fn span_ms(text: &str) -> Result<u32, String> {
    duration::parse(text).map_err(|complaint| complaint.message)
}
