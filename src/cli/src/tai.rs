//! `tai64nlocal`, as daemontools has it: copies standard input to standard output, and turns the
//! TAI64N label at the head of a line into local time.

use crate::code::Code;
use ettan_log::record::{TAI_BYTES, label_ns};
use ettan_sys::clock;
use std::io::{self, BufRead, Write};

/// The whole of standard input. A reader that went away ends it.
pub(crate) fn local() -> Code {
    match copy(&mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(()) => Code::Done,
        Err(_) => Code::Failed,
    }
}

/// Hands each piece on at once: somebody may be following.
fn copy(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        match line.split_at_checked(TAI_BYTES).and_then(|(label, rest)| Some((time(label)?, rest)))
        {
            Some((time, rest)) => {
                to.write_all(time.as_bytes())?;
                to.write_all(rest)?;
            }
            None => to.write_all(&line)?,
        }
        line.clear();
        to.flush()?;
    }
    Ok(())
}

/// `@4000...` as `2011-02-09 13:26:24.500000000`.
fn time(label: &[u8]) -> Option<String> {
    let (second, ns) = label_ns(label.strip_prefix(b"@")?)?;
    let clock::Local { year, month, day, hour, minute, second } = clock::local(second)?;
    Some(format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ns:09}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_label_at_the_head_is_turned() {
        let mut out = Vec::new();
        let from = b"plain\n@400000004d52960a1dcd6500 x @400000004d52960a1dcd6500\n@40\n\xff\n@4";
        copy(&mut &from[..], &mut out).unwrap();
        let lines: Vec<_> = out.split(|byte| *byte == b'\n').collect();
        assert_eq!(lines[0], b"plain");
        assert!(lines[1].starts_with(b"2011-02-"), "{:?}", String::from_utf8_lossy(lines[1]));
        assert!(lines[1].ends_with(b".500000000 x @400000004d52960a1dcd6500"));
        assert_eq!(lines[2..], [&b"@40"[..], b"\xff", b"@4"]);
    }
}
