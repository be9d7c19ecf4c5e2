//! `ettan-init load`: the loader as PID 1 starts it.

use std::io::{self, Write};
use std::path::Path;

use ettan_sys::{OwnedFd, limits, memory, pipe};
use ettan_table::Table;

use crate::asked::Asked;
use crate::diagnostic::Severity;
use crate::load::{Loaded, load_as_asked};

/// The memfd that PID 1 gave us to fill.
const TABLE: u8 = 3;
/// The memfd of the table that is in force; not there at boot.
const FORMER: u8 = 4;

/// The most address space: half as much again as the largest set of files needs (see
/// `tests/limits.rs`). Files that nobody would write do not take a board's memory from its services.
const MEMORY_BYTES: u64 = 512 << 20;

/// The most time of a processor: a Pi Zero needs a few seconds for 1,016 ordinary files.
const CPU_SECONDS: u64 = 120;

/// Reads the units of this machine as its kernel's command line asks (none in a container, where it is
/// somebody else's) and its boot partition, writes the table to descriptor 3 and seals it, tells the
/// log what is wrong. Returns the exit status: 0 also when units were refused, 1 when there is
/// no table.
#[must_use]
pub fn helper_main(command_line: Option<&[u8]>) -> i32 {
    let root = Path::new("/");
    let mut out = String::new();
    if let Err(errno) = limits::confine(MEMORY_BYTES, CPU_SECONDS) {
        out.push_str(&format!("the loader has no limits: {errno}\n"));
    }
    let asked = Asked::of(command_line.unwrap_or_default()).with_files(root);
    let loaded = read_units(root, pipe::inherited(FORMER).ok(), &asked, &mut out);
    for diagnostic in &loaded.diagnostics {
        out.push_str(&diagnostic.to_string());
        out.push('\n');
    }
    let of = |severity| loaded.diagnostics.iter().filter(|d| d.severity == severity).count();
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
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

/// Reads the units, beside the table in force if there is one to be believed.
fn read_units(root: &Path, former: Option<OwnedFd>, asked: &Asked, out: &mut String) -> Loaded {
    let Some(former) = former else { return load_as_asked(root, None, asked) };
    match memory::map_sealed(&former) {
        Err(error) => out.push_str(&format!("the table in force is not read: {error}\n")),
        Ok(map) => match Table::read(map.bytes()) {
            Err(fault) => out.push_str(&format!("the table in force is not read: {fault}\n")),
            Ok(table) => return load_as_asked(root, Some(table), asked),
        },
    }
    load_as_asked(root, None, asked)
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
    use crate::load::load;

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
    fn f5_8_a_former_table_that_is_none_is_not_believed() {
        let root = Path::new("/nonexistent");
        let table = load(root).table;
        let told = |former: Option<OwnedFd>| {
            let mut out = String::new();
            assert_eq!(read_units(root, former, &Asked::default(), &mut out).table, table);
            out
        };
        let memfd = |bytes: &[u8], sealed: bool| {
            let memfd = memory::memfd_create(c"test").unwrap();
            memory::write_all(&memfd, bytes).unwrap();
            if sealed {
                memory::seal(&memfd).unwrap();
            }
            Some(memfd)
        };
        assert_eq!(told(None), "");
        assert_eq!(told(memfd(&table, true)), "");
        let no_memfd = std::fs::File::open("/dev/null").unwrap().into();
        for former in [Some(no_memfd), memfd(&table, false), memfd(b"", true), memfd(b"x", true)] {
            assert!(told(former).starts_with("the table in force is not read: "));
        }
    }

    #[test]
    fn rubbish_is_never_handed_over() {
        let memfd = memory::memfd_create(c"test").unwrap();
        assert!(hand_over(&memfd, b"rubbish").is_err());
        assert!(memory::map_sealed(&memfd).is_err());
    }
}
