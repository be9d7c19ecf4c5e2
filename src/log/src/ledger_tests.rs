//! Stories of one ledger: however output is cut into reads, and whatever is in it, all of it is
//! in the files.

use std::fs;
use std::path::Path;

use super::*;
use crate::packet::STREAMS;
use crate::record::{ClockNote, ISO_BYTES, Kind, Line};

const UNLIMITED: Limits = Limits { max_size_bytes: u64::MAX, max_files: 2, ..Limits::USUAL };

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        Folder(std::env::temp_dir().join(format!("ettan-ledger-{}-{name}", std::process::id())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn desk(memory: &mut [u8]) -> Desk<'_> {
    Desk::new(Page::new(memory), Stage::new(Path::new("/nonexistent")))
}

/// What the service wrote, from the lines of its log; and the notes.
fn read(log: &[u8]) -> (Vec<u8>, Vec<String>) {
    let ([output, errors], notes) = read_both(log);
    assert!(errors.is_empty());
    (output, notes)
}

/// The same with what it wrote to standard error.
fn read_both(log: &[u8]) -> ([Vec<u8>; 2], Vec<String>) {
    let ([mut output, mut errors], mut notes) = ([Vec::new(), Vec::new()], Vec::new());
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        assert!(line.starts_with(b"1970-01-01T00:00:00.000Z"), "{line:?}");
        let (lead, text) = (line[ISO_BYTES], &line[ISO_BYTES + 1..]);
        assert!(text.len() <= MAX_LINE + 1);
        match lead {
            b' ' => output.extend_from_slice(text),
            b'!' => errors.extend_from_slice(text),
            b'+' => {
                assert_eq!(output.pop(), Some(b'\n'));
                output.extend_from_slice(text);
            }
            b'-' => {
                assert_eq!(errors.pop(), Some(b'\n'));
                errors.extend_from_slice(text);
            }
            b'=' | b'<' => {}
            b'*' => notes.push(String::from_utf8_lossy(text).trim_end().to_owned()),
            other => panic!("a lead of {other}"),
        }
    }
    ([output, errors], notes)
}

fn whole_log(folder: &Path) -> Vec<u8> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| fs::read(file).unwrap()).collect()
}

/// The same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

#[test]
fn however_it_is_cut_nothing_is_lost_or_doubled() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let folder = Folder::new(&format!("cut{seed}"));
        let longest = [10, 100, 9_000, 30_000][dice.below(4)];
        let mut said = Vec::new();
        for _ in 0..dice.below(12) {
            let fill = dice.below(256) as u8;
            said.extend(std::iter::repeat_n(fill, dice.below(longest)));
            said.push(b'\n');
        }
        let max_size_bytes = [100, 5_000, u64::MAX][dice.below(3)];
        let limits = Limits { max_size_bytes, max_files: u32::MAX, ..UNLIMITED };
        let mut memory = vec![0; HEAD_BYTES + dice.below(300)];
        let mut desk = desk(&mut memory);
        let mut ledger = Ledger::new(folder.0.clone(), limits);
        let mut rest = &said[..];
        while !rest.is_empty() {
            let (chunk, others) = rest.split_at(1 + dice.below(rest.len().min(20_000)));
            ledger.take(&mut desk, Stream::Output, chunk);
            rest = others;
            // Its file closed, or a new logger: the line goes on.
            match dice.below(8) {
                0 => ledger.shed(),
                1 => ledger = Ledger::new(folder.0.clone(), limits),
                _ => {}
            }
        }
        ledger.finish(&mut desk);
        let log = if said.is_empty() { Vec::new() } else { whole_log(&folder.0) };
        let (output, notes) = read(&log);
        assert!(output == said, "seed {seed}: {} bytes became {}", said.len(), output.len());
        assert!(notes.is_empty());
    }
}

#[test]
fn however_two_streams_come_nothing_of_either_is_lost_or_doubled() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let folder = Folder::new(&format!("two{seed}"));
        let longest = [10, 100, 9_000][dice.below(3)];
        let said = STREAMS.map(|_| {
            let mut said = Vec::new();
            for _ in 0..1 + dice.below(12) {
                let fill = b'a' + dice.below(26) as u8;
                said.extend(std::iter::repeat_n(fill, dice.below(longest)));
                said.push(b'\n');
            }
            said
        });
        let max_size_bytes = [100, 5_000, u64::MAX][dice.below(3)];
        let limits = Limits { max_size_bytes, max_files: u32::MAX, ..UNLIMITED };
        let mut memory = vec![0; HEAD_BYTES + dice.below(300)];
        let mut desk = desk(&mut memory);
        let mut ledger = Ledger::new(folder.0.clone(), limits);
        let mut rest = [0, 1].map(|stream: usize| &said[stream][..]);
        while rest.iter().any(|rest| !rest.is_empty()) {
            let stream = STREAMS[dice.below(2)];
            let left = &mut rest[stream as usize];
            if !left.is_empty() {
                let (chunk, others) = left.split_at(1 + dice.below(left.len().min(5_000)));
                ledger.take(&mut desk, stream, chunk);
                *left = others;
            }
            // A message, a note, its file closed, or a new logger: all lines go on.
            match dice.below(12) {
                0 => ledger.message(&mut desk, 14, b"meanwhile"),
                1 => ledger.note(&mut desk, "up", false),
                2 => ledger.shed(),
                3 => ledger = Ledger::new(folder.0.clone(), limits),
                _ => {}
            }
        }
        ledger.finish(&mut desk);
        let (written, notes) = read_both(&whole_log(&folder.0));
        assert!(written == said, "seed {seed}");
        assert!(notes.iter().all(|note| note == "up"), "seed {seed}: {notes:?}");
        let left = STREAMS.map(|stream| Marks::new(folder.0.clone()).cut[stream as usize]);
        assert_eq!(left, [false; 2], "seed {seed}");
    }
}

#[test]
fn what_cannot_be_written_is_counted_to_the_byte() {
    let folder = Folder::new("count");
    // A file where the folder should be.
    fs::write(&folder.0, "in the way").unwrap();
    let mut memory = [0; 1024];
    let mut desk = desk(&mut memory);
    let mut ledger = Ledger::new(folder.0.join("web"), UNLIMITED);
    ledger.take(&mut desk, Stream::Output, b"one\ntwo\nthr");
    ledger.take(&mut desk, Stream::Output, b"ee and");
    assert!(ledger.has_gap());
    assert!(ledger.heal(&mut desk).is_err());
    fs::remove_file(&folder.0).unwrap();
    ledger.take(&mut desk, Stream::Output, b" a half\nfour\n");
    assert!(!ledger.has_gap());
    let log = fs::read(folder.0.join("web/current")).unwrap();
    let lines: Vec<_> = log.split(|b| *b == b'\n').map(|l| l.get(24..).unwrap_or(l)).collect();
    let note = String::from_utf8_lossy(lines[0]);
    assert!(note.starts_with("*lost 17 bytes (2 line ends) here: "), "{note}");
    assert_eq!(lines[1..], [&b"+ a half"[..], b" four", b""]);
}

#[test]
fn a_note_of_a_run_s_end_ends_an_unfinished_line() {
    let folder = Folder::new("note");
    let mut memory = [0; 1024];
    let mut desk = desk(&mut memory);
    let mut ledger = Ledger::new(folder.0.clone(), UNLIMITED);
    ledger.take(&mut desk, Stream::Output, b"half");
    ledger.note(&mut desk, "ended", true);
    ledger.take(&mut desk, Stream::Output, b"new\n");
    let (output, notes) = read(&whole_log(&folder.0));
    assert_eq!((&output[..], &notes[..]), (&b"half\nnew\n"[..], &["ended".to_owned()][..]));
}

fn moment(wall_ms: i64, up_ms: u64) -> Moment {
    Moment { wall_ms, up_ms, exact: true }
}

#[test]
fn every_file_says_how_its_clocks_stand_and_each_setting_of_them_too() {
    let folder = Folder::new("clocks");
    let mut memory = [0; 1024];
    let mut desk = desk(&mut memory);
    let limits = Limits { max_size_bytes: 400, max_files: u32::MAX, ..UNLIMITED };
    let mut ledger = Ledger::new(folder.0.clone(), limits);
    let _ = desk.set_time(moment(5_000, 4_000));
    ledger.take(&mut desk, Stream::Output, b"in 1970\n");
    assert!(desk.set_time(moment(1_700_000_000_000, 6_000)));
    ledger.take(&mut desk, Stream::Output, b"today\ntoday\n");
    assert!(!desk.set_time(moment(1_700_000_001_000, 7_000)));
    for _ in 0..20 {
        ledger.take(&mut desk, Stream::Output, b"later\n");
    }
    let log = whole_log(&folder.0);
    let lines: Vec<_> = log.split(|byte| *byte == b'\n').map(Line::of).collect();
    let offsets: Vec<_> =
        lines[..5].iter().map(|line| ClockNote::of(line).map(|note| note.offset_ms)).collect();
    assert_eq!(offsets, [Some(1_000), None, Some(1_699_999_994_000), None, None]);
    let mut files = 0;
    for entry in fs::read_dir(&folder.0).unwrap() {
        let text = fs::read(entry.unwrap().path()).unwrap();
        assert_eq!(Line::of(text.split(|byte| *byte == b'\n').next().unwrap()).kind, Kind::Clock);
        files += 1;
    }
    assert!(files > 1);
}

#[test]
fn lines_without_times_stand_alone() {
    let folder = Folder::new("none");
    let mut memory = [0; 1024];
    let mut desk = desk(&mut memory);
    let limits = Limits { stamps: Stamps::None, ..UNLIMITED };
    let mut ledger = Ledger::new(folder.0.clone(), limits);
    let _ = desk.set_time(moment(5_000, 4_000));
    ledger.take(&mut desk, Stream::Output, b"plain\nhalf");
    ledger.note(&mut desk, "ended", true);
    let _ = desk.set_time(moment(66_000, 65_000));
    ledger.take(&mut desk, Stream::Output, b"plain\n");
    let log = String::from_utf8(whole_log(&folder.0)).unwrap();
    let shape: Vec<_> = log.lines().map(|line| line.split(" boot").next().unwrap()).collect();
    let expected = [
        "1970-01-01T00:00:05.000Z=up 4.000",
        "plain",
        "half",
        "1970-01-01T00:00:05.000Z*ended",
        "1970-01-01T00:01:06.000Z=up 65.000",
        "plain",
    ];
    assert_eq!(shape, expected);
}

#[test]
fn a_file_whose_head_is_lost_has_another_clock_record() {
    let folder = Folder::new("head");
    let mut memory = vec![0; 64 * 1024];
    let mut desk = desk(&mut memory);
    let mut ledger = Ledger::new(folder.0.clone(), UNLIMITED);
    let _ = desk.set_time(moment(5_000, 4_000));
    for _ in 0..30 {
        ledger.take(&mut desk, Stream::Output, &[b'x'; 8_000]);
        ledger.take(&mut desk, Stream::Output, b"\n");
    }
    let log = whole_log(&folder.0);
    let count = |log: &[u8]| {
        log.split(|byte| *byte == b'\n').filter(|line| Line::of(line).kind == Kind::Clock).count()
    };
    assert_eq!(count(&log), 4);
    assert_eq!(count(&log[100_000..]), 2);
}

#[test]
fn lines_over_the_limit_are_dropped_and_told() {
    let folder = Folder::new("rate");
    let mut memory = [0; 1024];
    let mut desk = desk(&mut memory);
    let limits = Limits { lines_a_second: 2, ..UNLIMITED };
    let mut ledger = Ledger::new(folder.0.clone(), limits);
    let _ = desk.set_time(moment(5_000, 4_000));
    ledger.take(&mut desk, Stream::Output, b"one\ntwo\nthree\nfo");
    assert!(ledger.has_gap());
    ledger.heal(&mut desk).unwrap();
    assert!(ledger.has_gap());
    let _ = desk.set_time(moment(6_000, 5_000));
    ledger.take(&mut desk, Stream::Output, b"ur\nfive\n");
    let log = String::from_utf8(whole_log(&folder.0)).unwrap();
    let texts: Vec<_> =
        log.lines().filter(|l| !l.contains("=up")).map(|line| &line[24..]).collect();
    let note = "*dropped 8 bytes (1 line ends) here: over 2 lines a second";
    assert_eq!(texts, [" one", " two", note, " five"]);
    let _ = desk.set_time(moment(7_000, 6_000));
    ledger.heal(&mut desk).unwrap();
    assert!(!ledger.has_gap());
    let log = String::from_utf8(whole_log(&folder.0)).unwrap();
    assert!(log.ends_with("*dropped 3 bytes (1 line ends) here: over 2 lines a second\n"), "{log}");
}

#[test]
fn an_old_file_is_put_aside() {
    let folder = Folder::new("age");
    let mut memory = [0; 1024];
    let mut desk = desk(&mut memory);
    let limits = Limits { max_age_sec: 60, max_files: 9, ..UNLIMITED };
    let mut ledger = Ledger::new(folder.0.clone(), limits);
    for second in [1_000_i64, 1_059, 1_060, 1_119, 1_120] {
        let _ = desk.set_time(moment(second * 1000, 4_000));
        ledger.take(&mut desk, Stream::Output, b"line\n");
    }
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 3);
}

#[test]
fn a_line_that_a_message_came_into_goes_on_in_the_file_opened_again() {
    let folder = Folder::new("into");
    let mut memory = [0; 1024];
    let mut desk = desk(&mut memory);
    let mut ledger = Ledger::new(folder.0.clone(), UNLIMITED);
    ledger.take(&mut desk, Stream::Output, b"half ");
    ledger.message(&mut desk, 14, b"meanwhile");
    ledger.shed();
    ledger.take(&mut desk, Stream::Output, b"a line\n");
    let log = whole_log(&folder.0);
    let kinds: Vec<_> = log.split(|byte| *byte == b'\n').map(|line| Line::of(line).kind).collect();
    let end = [Kind::Line, Kind::Message(14), Kind::Rest, Kind::Line];
    assert_eq!(kinds, end);
}
