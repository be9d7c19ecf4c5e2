//! Remembers. The logger helper: reads the pipes of all services, stamps lines, keeps files.
//!
//! One thread that never waits for anything but its descriptors. What cannot be written is
//! counted and owned up to; a service never waits for a full or broken file system. The format
//! of the files is described in `docs/logs.md`.
#![forbid(unsafe_code)]

mod kernel;
mod ledger;
mod packet;
mod page;
mod serve;
mod stamp;
mod store;

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

pub use ledger::MAX_LINE;
pub use serve::{BUFFER_BYTES, Buffers, End, serve};
pub use store::CURRENT;
