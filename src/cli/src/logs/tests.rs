//! Stories of several logs that are read together.

use super::*;
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ettan-jrnl-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn journal(&self, logs: &[(&str, &[u8])], wish: Wish) -> Journal {
        let sources = logs.iter().map(|(unit, text)| {
            fs::create_dir_all(self.0.join(unit)).unwrap();
            fs::write(self.0.join(unit).join("current"), text).unwrap();
            let reader = Reader::new(self.0.join(unit));
            Source {
                unit: (*unit).to_owned(),
                disk: None,
                reader,
                spell: Spell::default(),
                foreign: 0,
            }
        });
        Journal { sources: sources.collect(), clocks: Clocks::new(), wish }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn texts(journal: &mut Journal, lines: Option<usize>, named: bool) -> Vec<String> {
    let entries = journal.read(lines, false).unwrap();
    let text = |entry| String::from_utf8_lossy(&journal.text(entry, named)).into_owned();
    entries.iter().map(text).collect()
}

const WEB: &[u8] = b"1970-01-01T00:00:05.000Z=up 5.000 boot abc
1970-01-01T00:00:05.000Z one
1970-01-01T00:00:07.000Z three
2026-11-21T00:00:08.000Z=up 8.000 boot abc
2026-11-21T00:00:09.000Z<27>web[1]: five
";
const DATABASE: &[u8] = b"@400000000000001000000000=up 6.000 boot abc
@400000000000001000000000 two
@400000000000001200000000 four
";

#[test]
fn logs_are_merged_by_the_right_time() {
    let folder = Folder::new();
    let logs = [("web", WEB), ("database", DATABASE)];
    let mut journal = folder.journal(&logs, Wish::default());
    let expected = [
        "2026-11-21T00:00:05.000Z web one",
        "2026-11-21T00:00:06.000Z database two",
        "2026-11-21T00:00:07.000Z web three",
        "2026-11-21T00:00:08.000Z database four",
        "2026-11-21T00:00:09.000Z web<27>web[1]: five",
    ];
    assert_eq!(texts(&mut journal, None, true), expected);
    let mut journal = folder.journal(&logs, Wish::default());
    assert_eq!(texts(&mut journal, Some(2), true), expected[3..]);
}

#[test]
fn only_what_is_wanted() {
    let folder = Folder::new();
    let web = [("web", WEB)];
    let since_ms = Some(moment("2026-11-21T00:00:06").unwrap());
    let until_ms = Some(moment("2026-11-21T00:00:08").unwrap());
    let wish = Wish { since_ms, until_ms, ..Wish::default() };
    assert_eq!(
        texts(&mut folder.journal(&web, wish), None, false),
        ["2026-11-21T00:00:07.000Z three"]
    );
    let wish = Wish { severity: Some(3), ..Wish::default() };
    assert_eq!(
        texts(&mut folder.journal(&web, wish), None, false),
        ["2026-11-21T00:00:09.000Z<27>web[1]: five"]
    );
    let wish = Wish { this_boot: true, ..Wish::default() };
    assert_eq!(texts(&mut folder.journal(&web, wish), None, false), [""; 0]);
}

#[test]
fn f6_9_a_torn_tail_is_shown_and_foreign_bytes_are_counted() {
    let folder = Folder::new();
    let torn = [WEB, b"\0\0\0\0\n2026-11-21T00:00:10.000Z after\n2026-11-21T00:0"].concat();
    let mut journal = folder.journal(&[("web", &torn)], Wish::default());
    let shown = texts(&mut journal, Some(2), false);
    assert_eq!(shown, ["2026-11-21T00:00:10.000Z after", "2026-11-21T00:0"]);
    assert_eq!(journal.foreign().collect::<Vec<_>>(), [("web", 4)]);
}

#[test]
fn a_record_as_json() {
    let folder = Folder::new();
    let text = [WEB, b"2026-11-21T00:00:10.000Z*ended: \"x\"\x1b\xff\n"].concat();
    let mut journal = folder.journal(&[("web", &text)], Wish::default());
    let entries = journal.read(Some(2), false).unwrap();
    let json: Vec<_> = entries.iter().map(|entry| journal.json(entry)).collect();
    assert_eq!(
        json,
        [
            "{\"unit\":\"web\",\"time\":\"2026-11-21T00:00:09.000Z\",\"kind\":\"message\",\
             \"facility\":3,\"severity\":3,\"boot\":\"abc\",\"up_ms\":9000,\"text\":\"web[1]: five\"}",
            "{\"unit\":\"web\",\"time\":\"2026-11-21T00:00:10.000Z\",\"kind\":\"note\",\
             \"boot\":\"abc\",\"up_ms\":10000,\"text\":\"ended: \\\"x\\\"\\u001b\u{fffd}\"}"
        ]
    );
}

#[test]
fn errors_are_told_from_the_ordinary() {
    let is = |rest: &str| is_error(&Line::of(format!("2026-11-21T00:00:10.000Z{rest}").as_bytes()));
    assert!(is("<27>x") && is(" <3>x") && is("*lost 3 bytes") && is("*failed: x"));
    assert!(is("*ended: killed by signal 9 (KILL)"));
    assert!(is("*backoff, next start in 2 s: exec /bin/x: no such file or directory"));
    assert!(!is("*backoff, next start in 2 s"));
    assert!(!is("<30>x") && !is(" x") && !is("*ended: exited with status 0") && !is("*starting"));
}

#[test]
fn a_name_never_leaves_the_folder() {
    for name in ["", ".", "..", "../x", "/etc", "a/b", ".stage"] {
        assert_eq!(directory(name), None, "{name}");
    }
}
