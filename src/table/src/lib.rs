//! Carries. The compiled unit table: written by the loader, read by PID 1.
//!
//! Reading needs no allocator and trusts nothing: `Table::read` checks every offset once, and
//! every access checks again, so that hostile bytes are a `Fault` or an absent value and never
//! a panic. Writing (feature `write`) needs an allocator and belongs to the loader.
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm
)]

mod check;
#[cfg(feature = "write")]
mod copy;
mod crc;
mod extra;
mod format;
mod hash;
mod launch;
mod table;
mod timer;
#[cfg(feature = "write")]
pub mod write;

pub use check::Fault;
pub use crc::crc32;
pub use extra::{Extra, Extras, Knob, MAX_EXTRAS, Stream};
pub use format::{MAX_ARGUMENTS, MAX_GROUPS, MAX_NAME, MAX_VARIABLES, is_name};
pub use hash::{HASH_OF_NOTHING, hash_on};
pub use launch::{HookCommand, Launch, LogPolicy, Numbers, Strings, report_fd};
pub use table::{Message, Table};
