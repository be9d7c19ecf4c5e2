//! Writes the manual pages: `cargo run -p ettan --example man -- DIR`.
#![forbid(unsafe_code)]

mod pages;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: man DIR");
        return ExitCode::from(2);
    };
    match pages::write(&directory) {
        Ok(pages) => {
            println!("{} manual pages in {}", pages.len(), directory.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("man: {error}");
            ExitCode::FAILURE
        }
    }
}
