//! `ettan-init load`: the loader as PID 1 starts it.

use std::io::{self, Write};
use std::path::Path;

use ettan_sys::{OwnedFd, memory, pipe};
use ettan_table::Table;

use crate::diagnostic::Severity;
use crate::load::load;

/// The memfd that PID 1 gave us to fill.
const TABLE: u8 = 3;

/// Reads the units of this machine, writes the table to descriptor 3 and seals it, tells the
/// log what is wrong. Returns the exit status: 0 also when units were refused, 1 when there is
/// no table.
#[must_use]
pub fn helper_main() -> i32 {
    let loaded = load(Path::new("/"));
    let mut out = String::new();
    for diagnostic in &loaded.diagnostics {
        out.push_str(&diagnostic.to_string());
        out.push('\n');
    }
    let errors = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    let warnings = loaded.diagnostics.len().saturating_sub(errors);
    let counts = [(loaded.units, "unit"), (errors, "error"), (warnings, "warning")];
    out.push_str(&counts.map(|(count, what)| counted(count, what)).join(", "));
    out.push('\n');
    let memfd = pipe::inherited(TABLE).map_err(io::Error::from);
    let done = memfd.and_then(|memfd| hand_over(&memfd, &loaded.table));
    if let Err(error) = &done {
        out.push_str(&format!("no table for PID 1: {error}\n"));
    }
    // Nobody to tell when there is no log.
    let _ = io::stderr().write_all(out.as_bytes());
    i32::from(done.is_err())
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn hand_over(memfd: &OwnedFd, table: &[u8]) -> io::Result<()> {
    // What PID 1 would refuse must not replace what it has.
    Table::read(table).map_err(|fault| io::Error::other(fault.to_string()))?;
    memory::write_all(memfd, table)?;
    memory::seal(memfd)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_arrives_sealed_and_whole() {
        let memfd = memory::memfd_create(c"test").unwrap();
        let table = load(Path::new("/nonexistent")).table;
        hand_over(&memfd, &table).unwrap();
        let map = memory::map_sealed(&memfd).unwrap();
        assert_eq!(map.bytes(), table);
        assert!(hand_over(&memfd, &table).is_err(), "sealed: nobody writes again");
    }

    #[test]
    fn rubbish_is_never_handed_over() {
        let memfd = memory::memfd_create(c"test").unwrap();
        assert!(hand_over(&memfd, b"rubbish").is_err());
        assert!(memory::map_sealed(&memfd).is_err());
    }
}
