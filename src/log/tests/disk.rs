//! Stories of logs that are kept on a disk: copied whole, gone on with after a kill, a power cut,
//! a failure.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;

use std::fs;
use std::path::{Path, PathBuf};

use ettan_sys::clock;
use harness::{Folder, World, be_a_logger, expect_file, files, lines, output, say, story};

const ROLE: &str = "logger_process";

/// Not a test: what the processes that tests start do.
#[test]
fn logger_process() {
    be_a_logger();
}

fn numbered(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|n| format!("{n:098} \n")).collect()
}

fn all_of(folder: &Path) -> Vec<u8> {
    let texts: Vec<_> = files(folder).iter().map(|file| fs::read(file).unwrap()).collect();
    texts.concat()
}

fn notes(folder: &Path) -> Vec<String> {
    let notes = lines(&all_of(folder)).into_iter().filter(|line| line.lead == '*');
    notes.map(|line| String::from_utf8(line.text).unwrap()).collect()
}

/// A folder that stands for the disk, and what the logger is told of it.
fn disk(words: &str) -> (Folder, PathBuf, String) {
    let disk = Folder::new();
    let place = disk.path().join("log/web");
    let words = format!("{words} dir={}", place.display());
    (disk, place, words)
}

/// What the note says of this.
fn number_in(note: &Path, word: &str) -> usize {
    let text = fs::read_to_string(note).unwrap();
    let number = text.lines().find_map(|line| line.strip_prefix(word)?.strip_prefix('='));
    number.unwrap().parse().unwrap()
}

fn note_of(world: &World) -> PathBuf {
    world.folder.path().join("web/.disk")
}

#[test]
fn f6_1_the_copy_on_disk_is_whole_whenever_the_logger_is_killed() {
    story(|| {
        let (_disk, place, words) = disk("20000 1000 storage=disk");
        let mut world = World::process(&[], ROLE);
        let web = world.open_with("web", &words);
        for round in 0..40 {
            say(&web, numbered(round * 100..round * 100 + 100));
            if world.try_send("flush") {
                for _ in 0..round * 20_000 {
                    std::hint::spin_loop();
                }
            }
            world.kill();
            world.start_process(&[], ROLE);
            world.reopen_with("web", &words, &web);
        }
        world.end();
        assert_eq!(notes(&place), [""; 0]);
        let (kept, said) = (output(&lines(&all_of(&place))), numbered(0..4000));
        let same = kept.iter().zip(said.as_bytes()).take_while(|(a, b)| a == b).count();
        assert!(kept == said.as_bytes(), "{} became {}, from {same} on", said.len(), kept.len());
        assert!(files(&place).len() > 10);
    });
}

#[test]
fn f6_1_the_copy_on_disk_is_whole_while_the_log_rotates() {
    story(|| {
        let (_disk, place, words) = disk("1000 100000 storage=disk");
        let mut world = World::process(&[], ROLE);
        let web = world.open_with("web", &words);
        for round in 0..300 {
            say(&web, numbered(round * 20..round * 20 + 20));
            world.send("flush");
        }
        world.end();
        assert_eq!(notes(&place), [""; 0]);
        assert!(output(&lines(&all_of(&place))) == numbered(0..6_000).as_bytes());
    });
}

#[test]
fn f6_9_half_a_line_that_a_power_cut_left_is_cut_off_and_told() {
    story(|| {
        let (_disk, place, words) = disk("20000 4 storage=flush");
        fs::create_dir_all(&place).unwrap();
        fs::write(
            place.join("current"),
            "2026-11-21T00:00:00.000Z whole\n2026-11-21T00:00:00.0\0\0",
        )
        .unwrap();
        let mut world = World::process(&[], ROLE);
        let web = world.open_with("web", &words);
        say(&web, "after\n");
        world.end();
        assert_eq!(output(&lines(&all_of(&place))), b"whole\nafter\n");
        assert_eq!(notes(&place), ["cut off 23 bytes here: half a line, as the power left it"]);
    });
}

#[test]
fn f6_5_what_memory_let_go_while_the_disk_failed_is_told_to_the_byte() {
    story(|| {
        let (disk, place, words) = disk("4096 2 storage=disk");
        // A file where the folder should be.
        fs::write(disk.path().join("log"), "in the way").unwrap();
        let mut world = World::process(&[], ROLE);
        let web = world.open_with("web", &words);
        say(&web, numbered(0..30));
        world.send("flush");
        expect_file(&note_of(&world), |note| note.windows(6).any(|word| word == b"error="));
        say(&web, numbered(30..100));
        fs::remove_file(disk.path().join("log")).unwrap();
        world.expect("web", |log| log.ends_with(numbered(99..100).as_bytes()));
        world.end();
        let log = lines(&all_of(&place));
        let kept = output(&log);
        assert!(numbered(0..100).into_bytes().ends_with(&kept), "the newest lines are kept");
        assert!((20 * 100..=80 * 100).contains(&kept.len()), "{}", kept.len());
        let note = fs::read_to_string(note_of(&world)).unwrap();
        assert!(!note.contains("error="), "{note}");
    });
}

#[test]
fn f6_3_a_disk_that_fails_a_few_writes_is_gone_on_with_and_misses_nothing() {
    story(|| {
        let (_disk, place, words) = disk("200000 4 storage=disk");
        let current = place.join("current");
        let fail = "inject=write:error=EIO:when=2..3";
        let before = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=write", "-e", fail];
        let before = [&before[..], &["-P", current.to_str().unwrap()]].concat();
        let mut world = World::process(&before, ROLE);
        let web = world.open_with("web", &words);
        say(&web, "first\n");
        world.send("flush");
        expect_file(&current, |log| log.ends_with(b" first\n"));
        say(&web, "second\n");
        world.send("flush");
        expect_file(&note_of(&world), |note| {
            String::from_utf8_lossy(note).contains("error=Input/output error")
        });
        // By itself, after a second, and two.
        expect_file(&current, |log| log.ends_with(b" second\n"));
        world.end();
        assert_eq!(notes(&place), [""; 0]);
        assert_eq!(output(&lines(&all_of(&place))), b"first\nsecond\n");
    });
}

#[test]
fn the_budget_of_a_day_is_kept_to() {
    story(|| {
        let (_disk, place, words) = disk("200000 4 storage=disk budget=100000");
        let mut world = World::process(&[], ROLE);
        let web = world.open_with("web", &words);
        for round in 0..10 {
            say(&web, numbered(round * 100..round * 100 + 100));
            world.expect("web", |log| {
                log.ends_with(numbered(round * 100 + 99..round * 100 + 100).as_bytes())
            });
            world.send("flush");
        }
        expect_file(&note_of(&world), |note| {
            String::from_utf8_lossy(note).contains("used-up=true")
        });
        world.end();
        let size = all_of(&place).len();
        let today = number_in(&note_of(&world), "today");
        assert!((70_000..=100_000).contains(&today) && (10_000..=76_000).contains(&size), "{size}");
        let kept = output(&lines(&all_of(&place)));
        assert!(numbered(0..1000).as_bytes().starts_with(&kept));
        // Memory goes with the power, and another boot goes on with the day.
        let mut world = World::process(&[], ROLE);
        let web = world.open_with("web", &words);
        say(&web, numbered(1000..1100));
        world.end();
        assert_eq!(all_of(&place).len(), size);
        let note = fs::read_to_string(note_of(&world)).unwrap();
        assert!(
            number_in(&note_of(&world), "today") >= today && note.contains("used-up=true"),
            "{note}"
        );
    });
}

#[test]
fn a_line_is_counted_as_what_the_disk_writes_for_it() {
    story(|| {
        let (_disk, place, words) = disk("200000 4 storage=disk");
        let mut world = World::process(&[], ROLE);
        let web = world.open_with("web", &words);
        for n in 0..20 {
            let line = numbered(n..n + 1);
            say(&web, &line);
            world.expect("web", |log| log.ends_with(line.as_bytes()));
            world.send("flush");
            expect_file(&place.join("current"), |log| log.ends_with(line.as_bytes()));
        }
        world.end();
        let (written, text) =
            (number_in(&note_of(&world), "total"), number_in(&note_of(&world), "text"));
        assert_eq!(text, all_of(&place).len());
        // In 20 rounds, of which one began a block.
        assert!((20 * 16_384..=23 * 16_384).contains(&written), "{written}");
    });
}

#[test]
fn a_unit_that_crashed_a_moment_ago_waits_and_loses_nothing() {
    story(|| {
        let (_disk, place, words) = disk("20000 4 storage=flush");
        let (_other_disk, other_place, other_words) = disk("20000 4 storage=flush");
        let mut world = World::process(&[], ROLE);
        let web = world.open_with("web", &words);
        let _other = world.open_with("other", &other_words);
        let crash = "ended: killed by signal 9 (KILL)";
        say(&web, "one\n");
        world.send(&format!("mark web {crash}"));
        expect_file(&place.join("current"), |log| log.ends_with(b"(KILL)\n"));
        for n in 0..20 {
            say(&web, numbered(n..n + 1));
            world.send(&format!("mark web {crash}"));
        }
        // The first of another unit comes at once, by way of the same keeper.
        world.send(&format!("mark other {crash}"));
        expect_file(&other_place.join("current"), |log| log.ends_with(b"(KILL)\n"));
        assert_eq!(output(&lines(&all_of(&place))), b"one\n");
        world.end();
        let said = format!("one\n{}", numbered(0..20));
        assert!(output(&lines(&all_of(&place))) == said.as_bytes());
    });
}

#[test]
fn an_error_is_on_the_disk_before_its_time() {
    const ROUND_MS: u64 = 30_000;
    story(|| {
        let mut world = World::process(&[], ROLE);
        // Another one, should it just be time.
        for n in 0.. {
            let (_disk, place, words) = disk("20000 4 storage=disk");
            let web = world.open_with(&format!("web{n}"), &words);
            let next_ms = (clock::now() / ROUND_MS + 1) * ROUND_MS;
            say(&web, "fine\n<3>bad\n");
            expect_file(&place.join("current"), |log| log.ends_with(b"bad\n"));
            if clock::now() < next_ms {
                break;
            }
        }
        world.end();
    });
}

#[test]
fn a_log_in_memory_goes_to_the_disk_when_its_unit_crashed() {
    story(|| {
        let (_disk, place, words) = disk("20000 4 storage=flush");
        let mut world = World::process(&[], ROLE);
        let web = world.open_with("web", &words);
        say(&web, "one\n");
        world.send("mark web ended: exited with status 0");
        world.expect("web", |log| log.ends_with(b"status 0\n"));
        say(&web, "two\n");
        world.expect("web", |log| log.ends_with(b" two\n"));
        assert!(!place.exists());
        world.send("mark web ended: killed by signal 9 (KILL)");
        expect_file(&place.join("current"), |log| log.ends_with(b"(KILL)\n"));
        world.end();
        assert_eq!(output(&lines(&all_of(&place))), b"one\ntwo\n");
    });
}

#[test]
fn f6_5_a_disk_that_hangs_holds_up_no_log() {
    story(|| {
        let (_disk, place, words) = disk("200000 4 storage=disk");
        // Longer than the story may take.
        let hang = "inject=fdatasync:delay_enter=60000000";
        let before =
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", hang];
        let mut world = World::process(&before, ROLE);
        let web = world.open_with("web", &words);
        let other = world.open_with("other", "200000 4");
        say(&web, "first\n");
        world.send("flush");
        expect_file(&place.join("current"), |log| log.ends_with(b" first\n"));
        for n in 0..50 {
            let line = numbered(n..n + 1);
            for (name, pipe) in [("web", &web), ("other", &other)] {
                say(pipe, &line);
                world.expect(name, |log| log.ends_with(line.as_bytes()));
            }
            world.send("flush");
        }
        assert!(fs::read(place.join("current")).unwrap().ends_with(b" first\n"));
        world.kill();
    });
}
