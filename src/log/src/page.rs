//! The one buffer that stamped text waits in until it is written. Knows no file.

/// Text on its way to a file, and how much of it a service wrote itself.
pub(crate) struct Page<'a> {
    bytes: &'a mut [u8],
    used: usize,
    of_service: Amount,
}

/// An amount of a service's own output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    /// Bytes, line ends included.
    pub(crate) bytes: u64,
    /// Line ends.
    pub(crate) lines: u64,
}

impl Amount {
    /// How much is in this piece of output.
    pub(crate) fn of(output: &[u8]) -> Self {
        let ends = output.iter().filter(|byte| **byte == b'\n').count();
        Amount { bytes: output.len() as u64, lines: ends as u64 }
    }

    /// Both together.
    pub(crate) fn plus(self, other: Amount) -> Self {
        Amount {
            bytes: self.bytes.saturating_add(other.bytes),
            lines: self.lines.saturating_add(other.lines),
        }
    }
}

impl<'a> Page<'a> {
    /// An empty page over this memory.
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Page { bytes, used: 0, of_service: Amount::default() }
    }

    /// What is on it.
    pub(crate) fn text(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    /// How much more fits, in bytes.
    pub(crate) fn room(&self) -> usize {
        self.bytes.len() - self.used
    }

    /// How much of the text came from a service.
    pub(crate) fn of_service(&self) -> Amount {
        self.of_service
    }

    /// Adds text of Ettan's own; what does not fit is cut off.
    pub(crate) fn add(&mut self, text: &[u8]) {
        let length = text.len().min(self.room());
        self.bytes[self.used..self.used + length].copy_from_slice(&text[..length]);
        self.used += length;
    }

    /// Adds a piece of a service's line, which has at most one line end, its last byte.
    pub(crate) fn add_output(&mut self, piece: &[u8]) {
        self.add(piece);
        let lines = u64::from(piece.last() == Some(&b'\n'));
        self.of_service = self.of_service.plus(Amount { bytes: piece.len() as u64, lines });
    }

    /// Makes it empty.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.of_service = Amount::default();
    }
}

impl std::io::Write for Page<'_> {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.add(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The position of the first line end. Looks at a word at a time, so that a flood of long lines
/// costs little on a processor without vector instructions.
pub(crate) fn find_line_end(bytes: &[u8]) -> Option<usize> {
    const WORD: usize = size_of::<usize>();
    const ONES: usize = usize::from_ne_bytes([0x01; WORD]);
    const HIGHS: usize = usize::from_ne_bytes([0x80; WORD]);
    const ENDS: usize = usize::from_ne_bytes([b'\n'; WORD]);
    let (words, rest) = bytes.as_chunks::<WORD>();
    let free = words.iter().take_while(|word| {
        let differs = usize::from_ne_bytes(**word) ^ ENDS;
        differs.wrapping_sub(ONES) & !differs & HIGHS == 0
    });
    let skipped = free.count() * WORD;
    debug_assert!(skipped <= bytes.len() - rest.len());
    let found = bytes[skipped..].iter().position(|byte| *byte == b'\n')?;
    Some(skipped + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_end_is_found_at_every_position() {
        for length in 0..40 {
            assert_eq!(find_line_end(&vec![b'x'; length]), None);
            for at in 0..length {
                let mut bytes = vec![0x8a; length];
                bytes[at] = b'\n';
                bytes[length - 1] = b'\n';
                assert_eq!(find_line_end(&bytes), Some(at));
            }
        }
    }

    #[test]
    fn text_that_does_not_fit_is_cut() {
        let mut memory = [0; 4];
        let mut page = Page::new(&mut memory);
        page.add(b"abc");
        page.add(b"def");
        assert_eq!((page.text(), page.room()), (b"abcd".as_slice(), 0));
    }
}
