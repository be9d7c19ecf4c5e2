//! The signals that something is decided by, or that are sent: the same numbers on every
//! architecture Linux has. Which ones the kernel knows otherwise is none of ours.

/// Hang-up. A service that is given no other reloads by it.
pub const HUP: u8 = 1;
/// Interrupt.
pub const INT: u8 = 2;
/// What a unit gets that did not say in time that it lives: a core dump shows where it stands.
pub const ABRT: u8 = 6;
/// Ends a process for certain, unless it is stuck in the kernel.
pub const KILL: u8 = 9;
/// Nobody reads what a process writes.
pub const PIPE: u8 = 13;
/// Asks a process to end.
pub const TERM: u8 = 15;
