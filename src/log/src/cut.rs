//! Notes beside a log which of its unit's lines had to be ended before their end, so that the rest of
//! one is known for that whoever logs it. A line that others do not come into leaves no trace here.

use std::path::PathBuf;

use crate::packet::{STREAMS, Stream};
use crate::plain::{self, Access};

/// The empty file in the log's folder that says so.
const fn name(stream: Stream) -> &'static str {
    match stream {
        Stream::Output => ".cut",
        Stream::Error => ".cut-err",
    }
}

/// What is noted beside one log.
pub(crate) struct Marks {
    directory: PathBuf,
    /// By stream.
    pub(crate) cut: [bool; 2],
}

impl Marks {
    /// What a logger before noted.
    pub(crate) fn new(directory: PathBuf) -> Self {
        let is_there = |stream| plain::open(&directory, name(stream), Access::Read).is_ok();
        let cut = STREAMS.map(is_there);
        Marks { directory, cut }
    }

    /// Notes what is so now. Where that cannot be written, the rest of a line may get a line of its
    /// own.
    pub(crate) fn keep(&mut self, cut: [bool; 2]) {
        for stream in STREAMS {
            let (noted, is_cut) = (&mut self.cut[stream as usize], cut[stream as usize]);
            if *noted != is_cut {
                *noted = is_cut;
                if is_cut {
                    let _ = plain::make(&self.directory, name(stream), Access::Write, 0o600);
                } else {
                    let _ = plain::remove(&self.directory, name(stream));
                }
            }
        }
    }
}
