//! Speaks. The messages of the control socket, and the words for signals and errors that PID 1's
//! log, the command and the web page share. Opens no socket, decides nothing.
//!
//! One packet is one JSON object of at most [`MAX_PACKET`] bytes; see docs/protocol.md.
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

mod codec;
mod reply;
mod request;
mod text;
mod words;

pub use codec::{Fault, decode_reply, decode_request, encode_reply, encode_request};
pub use reply::{
    Active, Blocked, Diagnostic, End, ErrorCode, EventLine, Finished, GoalWord, KindWord, Known,
    Lost, Need, PhaseWord, Refusal, Reply, StateWord, Stats, UnitStatus, Welcome,
};
pub use request::{
    Change, Condition, Conditions, Fail, FailWord, Follow, Hello, Kill, Power, PowerWord, Ran,
    Reload, Request, Which,
};
pub use text::Text;
pub use words::{Severity, Signal, Span, error_text, severity, signal_name, signal_number};

/// The version of the protocol; a client that says another one is refused politely.
pub const VERSION: u32 = 1;

/// The most bytes of one packet: one page, so that a packet never needs more than one buffer of
/// PID 1 and no reassembly exists.
pub const MAX_PACKET: usize = 4096;

/// Where PID 1 listens.
pub const SOCKET: &str = "/run/ettan/control.sock";

/// An empty file. Whoever runs with the group that owns it may start and stop units.
pub const OPERATORS: &str = "/run/ettan/operators";
