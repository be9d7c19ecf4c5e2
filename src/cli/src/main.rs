//! The `ettan` command.
#![forbid(unsafe_code)]

fn main() {}
