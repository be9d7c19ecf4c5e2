//! A machine that is not there: a virtual clock, fake processes, and the supervisor under test.
//!
//! `World` performs every action on processes that behave as their `Script` says, feeds the
//! outcomes back as events, and checks the promises after every event. Everything that happens is
//! one line of the trace; the same seed gives the same trace.

pub mod checks;
pub mod fleet;
pub mod machine;
mod processes;
pub mod script;
mod story;

pub use fleet::{Fleet, Spec, forking, oneshot, simple, target};
pub use machine::World;
pub use script::{Main, Script};
