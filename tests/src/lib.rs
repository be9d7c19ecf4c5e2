//! Scenarios on real machinery: a `Machine` is a Linux whose process 1 is Ettan, and a scenario
//! is a function over one. The machine is a PID namespace of this host or an emulated board.
//!
//! Nothing in here sleeps: it waits for notices, for the end of processes and for answers, each
//! with a time limit. Nothing is left behind: a machine that is dropped is gone.
#![forbid(unsafe_code)]

pub mod binaries;
mod card;
mod cgroup;
mod client;
mod console;
pub mod debian;
mod host;
pub mod inject;
mod limit;
mod machine;
mod namespace;
mod notices;
pub mod ordeal;
mod process;
mod qemu;
mod story;
mod trace;

pub mod scenarios;
pub mod soak;
pub mod units;

pub use card::{Card, Partition, problem_of};
pub use client::{Client, Received};
pub use limit::Limit;
pub use machine::{End, Machine, Operate, Output};
pub use namespace::{Builder, Cgroups, Namespace, Start};
pub use process::Process;
pub use qemu::Qemu;
pub use story::Story;
pub use trace::Trace;
