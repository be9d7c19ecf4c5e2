//! Acts. One file per kernel facility; the only unsafe code of the project.
//!
//! Every wrapper returns [`Result`] with the kernel's [`Errno`], retries what a signal
//! interrupted, takes and gives [`OwnedFd`] and [`BorrowedFd`], and decides nothing. What PID 1
//! calls after boot allocates nothing: buffers are fixed and their sizes have names.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod cgroup;
pub mod clock;
pub mod entry;
pub mod heap;
pub mod host;
pub mod inotify;
pub mod kernel;
pub mod kmsg;
pub mod limits;
pub mod memory;
pub mod mount;
pub mod netlink;
pub mod notify;
pub mod pidfile;
pub mod pipe;
pub mod place;
pub mod plain;
pub mod poll;
pub mod process;
pub mod procfs;
pub mod random;
pub mod reap;
pub mod reboot;
pub mod reexec;
pub mod seccomp;
pub mod signals;
pub mod socket;
pub mod spawn;
pub mod stamp;
pub mod uevent;
pub mod watchdog;
pub mod words;

mod raw;
#[cfg(test)]
mod testing;

pub use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
pub use rustix::io::Errno;

/// What every wrapper returns: the kernel's answer.
pub type Result<T> = core::result::Result<T, Errno>;
