//! Reads what PID 1 asks of the logger: `open`, `close`, `flush`, `syslog`, `kernel`, ends of runs (`end`), and notes of them (`note`,
//! `amid`, `mark`). Does nothing about it.

use crate::record::Stamps;

/// The longest packet, in bytes; a longer one is refused whole.
pub(crate) const MAX_PACKET: usize = 3072;

/// The longest unit name, in bytes.
const MAX_NAME: usize = 64;

/// What one packet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// Log what comes out of the pipe that came with this packet.
    Open {
        /// The unit.
        name: &'a str,
        /// What the unit writes there.
        stream: Stream,
        /// When and how much to rotate.
        limits: Limits,
        /// Whether and where it is kept on a disk too.
        keep: Keep<'a>,
        /// Before anything that comes out of it: a note of Ettan's own.
        note: Option<&'a str>,
        /// Which of its lines go to which further logs: words for [`crate::route::read`].
        routes: &'a str,
    },
    /// Nothing new is to come: log what is left until the pipe ends.
    Close {
        /// The unit.
        name: &'a str,
    },
    /// Read messages from the socket at /dev/log, which came with this packet.
    Syslog,
    /// Read the kernel's messages from what came with this packet.
    Kernel,
    /// What the unit's pipe holds is all of a run: a line without an end has its end here.
    End {
        /// The unit.
        name: &'a str,
    },
    /// Bring the logs to the disk that are kept there.
    Flush,
    /// Put a note of Ettan's own into the unit's log.
    Mark {
        /// Where.
        place: Place,
        /// The unit.
        name: &'a str,
        /// One line.
        text: &'a str,
    },
}

/// Where a note of a run stands to what the unit writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `note`: before what its pipe holds, which is of a run that begins. A line without an end is of what was
    /// before it, and has its end here.
    Before,
    /// `amid`: after what its pipe holds, and the run goes on: perhaps in the middle of a line.
    Amid,
    /// `mark`: after what its pipe holds, which is all of the run. A line without an end has its end here.
    End,
}

/// What a unit writes to a pipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Its standard output; standard error too, where that is not kept apart.
    #[default]
    Output,
    /// Its standard error.
    Error,
}

/// Both, in the order of their numbers.
pub(crate) const STREAMS: [Stream; 2] = [Stream::Output, Stream::Error];

/// Whether and where a log is kept on a disk too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keep<'a> {
    pub(crate) when: When,
    pub(crate) directory: &'a str,
    /// The most bytes to write in a day.
    pub(crate) budget_bytes: Option<u64>,
}

/// When a log goes to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum When {
    /// It stays in memory.
    #[default]
    Never,
    /// All along.
    Always,
    /// When its unit crashed, at the end, and when somebody asks.
    Asked,
}

/// How much one unit's log may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// A file that reached this many bytes is rotated before the next line.
    pub(crate) max_size_bytes: u64,
    /// Files kept, `current` included; at least 1.
    pub(crate) max_files: u32,
    /// How times are written.
    pub(crate) stamps: Stamps,
    /// A file is rotated when its first line is this old; 0: at any age.
    pub(crate) max_age_sec: u32,
    /// More lines than this are dropped and counted; 0: none are.
    pub(crate) lines_a_second: u32,
    /// Whose directory and files they are, if not ours.
    pub(crate) owner: Option<(u32, u32)>,
}

/// A file is rotated at this size, unless PID 1 says another one.
pub const DEFAULT_MAX_SIZE_BYTES: u64 = 256 * 1024;
/// So many files are kept, the current one included, unless PID 1 says another number.
pub const DEFAULT_MAX_FILES: u32 = 4;

impl Limits {
    /// The defaults of the unit file's `[log]` table.
    pub(crate) const USUAL: Self = Limits {
        max_size_bytes: DEFAULT_MAX_SIZE_BYTES,
        max_files: DEFAULT_MAX_FILES,
        stamps: Stamps::Iso,
        max_age_sec: 0,
        lines_a_second: 0,
        owner: None,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::USUAL
    }
}

/// Reads one packet. None: it is none of ours, and nothing of it is used.
pub(crate) fn read(packet: &[u8]) -> Option<Packet<'_>> {
    let text = std::str::from_utf8(packet).ok()?.trim_end_matches(['\n', '\0']);
    let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
    match verb {
        "open" => {
            let (rest, routes) = rest.split_at(rest.find(" route=").unwrap_or(rest.len()));
            crate::route::read(routes)?;
            let mut words = rest.split_ascii_whitespace();
            let name = name(words.next()?)?;
            let max_size_bytes = words.next()?.parse::<u64>().ok()?.max(1);
            let max_files = words.next()?.parse::<u32>().ok()?.max(1);
            let mut limits = Limits { max_size_bytes, max_files, ..Limits::default() };
            let (mut stream, mut keep, mut note) = (Stream::Output, Keep::default(), None);
            for word in words {
                match word.split_once('=')? {
                    ("stream", "err") => stream = Stream::Error,
                    ("note", word) => note = Some(word),
                    ("stamps", word) => limits.stamps = Stamps::of_word(word)?,
                    ("storage", "disk") => keep.when = When::Always,
                    ("storage", "flush") => keep.when = When::Asked,
                    ("dir", path) => keep.directory = path,
                    ("budget", word) => keep.budget_bytes = Some(word.parse().ok()?),
                    ("age", word) => limits.max_age_sec = word.parse().ok()?,
                    ("rate", word) => limits.lines_a_second = word.parse().ok()?,
                    ("owner", word) => {
                        let (user, group) = word.split_once(':')?;
                        limits.owner = Some((user.parse().ok()?, group.parse().ok()?));
                    }
                    _ => return None,
                }
            }
            Some(Packet::Open { name, stream, limits, keep, note, routes })
        }
        "syslog" if rest.is_empty() => Some(Packet::Syslog),
        "kernel" if rest.is_empty() => Some(Packet::Kernel),
        "close" => Some(Packet::Close { name: name(rest)? }),
        "end" => Some(Packet::End { name: name(rest)? }),
        "flush" => Some(Packet::Flush),
        "note" => mark(Place::Before, rest),
        "amid" => mark(Place::Amid, rest),
        "mark" => mark(Place::End, rest),
        _ => None,
    }
}

fn mark(place: Place, words: &str) -> Option<Packet<'_>> {
    let (unit, text) = words.split_once(' ')?;
    Some(Packet::Mark { place, name: name(unit)?, text })
}

/// A name becomes a directory, so only what cannot lead out of its parent is one.
pub(crate) fn name(word: &str) -> Option<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:@\\+".contains(&byte);
    let fits = !word.is_empty() && word.len() <= MAX_NAME && !word.starts_with('.');
    (fits && word.bytes().all(plain)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verbs_are_read() {
        let limits = Limits { max_size_bytes: 4096, max_files: 3, ..Limits::default() };
        let open = |stream, limits| {
            let keep = Keep::default();
            Some(Packet::Open { name: "web", stream, limits, keep, note: None, routes: "" })
        };
        assert_eq!(read(b"open web 4096 3"), open(Stream::Output, limits));
        let limits = Limits { stamps: Stamps::Tai64n, ..limits };
        assert_eq!(read(b"open web 4096 3 stamps=tai64n"), open(Stream::Output, limits));
        assert_eq!(read(b"open web 4096 3 stream=err stamps=tai64n"), open(Stream::Error, limits));
        assert_eq!(read(b"close web@1"), Some(Packet::Close { name: "web@1" }));
        assert_eq!(read(b"end web@1"), Some(Packet::End { name: "web@1" }));
        for (packet, place) in [
            (&b"note web so it is\n"[..], Place::Before),
            (b"amid web so it is", Place::Amid),
            (b"mark web so it is\n", Place::End),
        ] {
            assert_eq!(read(packet), Some(Packet::Mark { place, name: "web", text: "so it is" }));
        }
        assert_eq!(read(b"syslog"), Some(Packet::Syslog));
        assert_eq!(read(b"kernel"), Some(Packet::Kernel));
    }

    #[test]
    fn limits_of_zero_become_the_smallest_that_work() {
        let limits = Limits { max_size_bytes: 1, max_files: 1, ..Limits::default() };
        let (stream, keep) = (Stream::Output, Keep::default());
        let open = |note| Packet::Open { name: "web", stream, limits, keep, note, routes: "" };
        assert_eq!(read(b"open web 0 0"), Some(open(None)));
        assert_eq!(read(b"open web 0 0 note=starting"), Some(open(Some("starting"))));
    }

    #[test]
    fn rubbish_is_refused() {
        let long = format!("close {}", "x".repeat(65));
        let packets: [&[u8]; 16] = [
            b"",
            b"open",
            b"open web",
            b"open web 1",
            b"open web 1 2 3",
            b"open web 1 2 stamps=roman",
            b"open web 1 2 colour=red",
            b"open web 1 2 stream=out",
            b"open web -1 2",
            b"close ../etc",
            b"close .",
            b"close a/b",
            b"syslog now",
            b"mark web",
            b"\xff\xfe close web",
            long.as_bytes(),
        ];
        for packet in packets {
            assert_eq!(read(packet), None, "{:?}", String::from_utf8_lossy(packet));
        }
    }
}
