//! What our helpers say on standard error, which is a log's: each line in one write, so that a note or another's words
//! come before it or after it. `eprintln!` writes piece by piece.

use core::fmt::Arguments;
use std::io::{Result, Write};

/// Says `who: what`. Allocates. Nowhere to say it is no reason to end.
pub fn say(who: &str, what: Arguments<'_>) {
    let _ = line(&mut std::io::stderr(), who, what);
}

fn line(out: &mut impl Write, who: &str, what: Arguments<'_>) -> Result<()> {
    out.write_all(format!("{who}: {what}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_write() {
        struct Writes(Vec<Vec<u8>>);
        impl Write for Writes {
            fn write(&mut self, bytes: &[u8]) -> Result<usize> {
                self.0.push(bytes.to_vec());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> Result<()> {
                Ok(())
            }
        }
        let mut writes = Writes(Vec::new());
        let (why, number) = ("not permitted", 1);
        line(&mut writes, "clock", format_args!("cannot be set: {why} (os error {number})"))
            .unwrap();
        assert_eq!(writes.0, [b"clock: cannot be set: not permitted (os error 1)\n"]);
    }
}
