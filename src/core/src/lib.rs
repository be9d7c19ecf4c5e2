//! Decides. Every state of every unit, and what to do about each event.
//!
//! Three verbs of `Supervisor`: `handle` takes an event in, `next_action` hands actions out,
//! `next_deadline` says when to wake up. Nothing in here reads a clock, touches the kernel,
//! allocates, or can fail.
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

mod action;
mod ask;
mod backoff;
mod bits;
mod calendar;
mod codec;
mod codec_timer;
mod codec_unit;
mod counts;
mod due;
mod event;
mod health;
mod hooks;
mod ids;
mod image;
mod life;
mod limit;
mod load;
mod needs;
mod notice;
pub mod order;
mod relate;
mod reload;
mod run;
mod settle;
mod shutdown;
pub mod signals;
mod slot;
mod state;
mod statuses;
mod step;
mod supervisor;
mod ties;
mod timer;
mod unit;
mod view;
mod wish;

pub use action::{Action, Program, Whom};
pub use calendar::{Calendar, Summer, Turn, Zone};
pub use event::{Ask, Event, ExitStatus, Haste, Power, Remedy, SpawnFault, Step};
pub use ids::{Millis, Pid, UnitId};
pub use image::{Damage, IMAGE_VERSION, RECORD_MAX, can_read};
pub use needs::{MAX_CONDITIONS, MAX_NEEDS, Tie};
pub use notice::Notice;
pub use shutdown::{POWER_FAIL_MS, SHUTDOWN_MS};
pub use state::{Class, Goal, HookEnd, Phase, Reason, State};
pub use statuses::{MAX_STATUSES, Statuses};
pub use supervisor::Supervisor;
pub use timer::{MAX_TIMERS, Timer, TimerView};
pub use unit::{
    Catalog, Commands, Hooks, KillMode, Kind, LimitAction, MAX_HOOKS, MAX_UNITS, Name, Need,
    NeedKind, On, Probes, Restart, Stage, StartLimit, Unit,
};
pub use view::{Blocker, Hooking, Outcome, View};
