//! The `ettan` program: the command of the library beside it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ettan_cli::main()
}
