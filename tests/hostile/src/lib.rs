//! Everything that reads bytes from outside, one target each, and what must hold whatever they
//! are. Serves two runs: the seeded one (`cargo test`, `tests/run fuzz`), which changes real
//! examples at random, and libFuzzer (`tests/fuzz`), which changes what leads to new code.
//!
//! A target asserts more than that nothing panics: what is accepted comes back the same, what is
//! refused says where, a number of a process is one that may be signalled.
#![forbid(unsafe_code)]

mod dice;
mod examples;
mod mutate;
mod run;
mod targets;

pub use dice::Dice;
pub use examples::of as examples_of;
pub use mutate::mutate;
pub use run::{Figures, Plan, run};
pub use targets::{TARGETS, Target, check, target};
