//! Stories of the logger on file systems that are full or read-only. Each is a process in a
//! mount namespace of its own, so it needs root; mounts go with the process.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;

use std::fs;
use std::io::Write as _;
use std::process::Command;

use ettan_sys::pipe::Pipe;
use harness::{Folder, Line, be_a_logger, expect_file, lines, output, say, story};

/// Set in the processes that have a mount namespace of their own.
const INSIDE: &str = "ETTAN_LOG_TEST_INSIDE";

/// Not a test: what the processes that tests start do.
#[test]
fn logger_process() {
    be_a_logger();
}

/// Runs the test again in its own mount namespace, and there the story with a world whose
/// folder is a file system of these options.
fn on_a_file_system(options: &str, test: &str, tell: fn(&mut harness::World)) {
    if std::env::var_os(INSIDE).is_none() {
        story({
            let test = test.to_owned();
            move || {
                let program = std::env::current_exe().unwrap();
                let status = Command::new("unshare")
                    .args(["--mount", "--propagation", "private"])
                    .arg(program)
                    .args(["--exact", &test, "--nocapture"])
                    .env(INSIDE, "1")
                    .status()
                    .unwrap();
                assert!(status.success());
            }
        });
        return;
    }
    let folder = Folder::new();
    mount(&["-t", "tmpfs", "-o", options, "tmpfs", folder.path().to_str().unwrap()]);
    let mut world = harness::World::over(folder);
    tell(&mut world);
    let folder = world.folder.path().to_owned();
    drop(world);
    assert!(Command::new("umount").arg(&folder).status().unwrap().success());
    fs::remove_dir(folder).unwrap();
}

fn mount(words: &[&str]) {
    assert!(Command::new("mount").args(words).status().unwrap().success());
}

/// So many lines, numbered, of 100 bytes.
fn numbered(count: usize) -> String {
    (0..count).map(|n| format!("{n:099}\n")).collect()
}

/// How many bytes the notes of this log say are lost.
fn lost(lines: &[Line]) -> usize {
    let notes = lines.iter().filter(|line| line.lead == '*');
    let amount = |line: &Line| -> usize {
        let text = String::from_utf8(line.text.clone()).unwrap();
        let amount = text.strip_prefix("lost ").unwrap().split(' ').next().unwrap();
        amount.parse().unwrap()
    };
    notes.map(amount).sum()
}

fn log_of(world: &harness::World, name: &str) -> Vec<Line> {
    lines(&fs::read(world.current(name)).unwrap())
}

#[test]
fn f6_3_full_and_then_not() {
    on_a_file_system("size=384k", "f6_3_full_and_then_not", |world| {
        let filler = world.folder.path().join("filler");
        fs::write(&filler, vec![0; 128 * 1024]).unwrap();
        let web: Pipe = world.open("web", 1 << 30, 2);
        let said = numbered(10_000);
        // Done although there is no room for the most of it.
        say(&web, &said);
        fs::remove_file(&filler).unwrap();
        say(&web, "after\n");
        expect_file(&world.current("web"), |log| log.ends_with(b" after\n"));
        world.end();
        let log = log_of(world, "web");
        let kept = output(&log);
        assert!(lost(&log) > 500_000);
        assert_eq!(kept.len() + lost(&log), said.len() + "after\n".len());
        let prefix = kept.iter().zip(said.as_bytes()).take_while(|(a, b)| a == b).count();
        assert!(prefix > 50_000, "{prefix}");
    });
}

#[test]
fn f6_3_the_own_oldest_archives_go_first() {
    on_a_file_system("size=256k", "f6_3_the_own_oldest_archives_go_first", |world| {
        let web = world.open("web", 64 * 1024, 100);
        let said = numbered(10_000);
        say(&web, &said);
        world.end();
        let files = harness::files(world.current("web").parent().unwrap());
        assert!(files.len() > 1, "{files:?}");
        let texts: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        let log = lines(&texts.concat());
        assert_eq!(lost(&log), 0);
        assert!(said.as_bytes().ends_with(&output(&log)), "the newest lines are not kept");
    });
}

#[test]
fn f6_3_a_disk_that_somebody_else_fills_keeps_the_newest_archive() {
    let test = "f6_3_a_disk_that_somebody_else_fills_keeps_the_newest_archive";
    on_a_file_system("size=1m", test, |world| {
        let disk = Folder::new();
        mount(&["-t", "tmpfs", "-o", "size=256k", "tmpfs", disk.path().to_str().unwrap()]);
        let place = disk.path().join("web");
        fs::create_dir(&place).unwrap();
        let names = ["@0000000001", "@0000000002", "@0000000003", "current"];
        for name in names {
            fs::write(place.join(name), "2026-11-21T00:00:00.000Z former words\n").unwrap();
        }
        let filler = disk.path().join("filler");
        let mut fill = fs::File::create(&filler).unwrap();
        while fill.write_all(&[0; 4096]).is_ok() {}
        let words = format!("200000 4 storage=disk dir={}", place.display());
        let web = world.open_with("web", &words);
        let said = numbered(600);
        say(&web, &said);
        let flushed = world.folder.path().join(".flushed");
        for _ in 0..5 {
            world.send("flush");
            expect_file(&flushed, |text| !text.is_empty());
            fs::remove_file(&flushed).unwrap();
        }
        assert_eq!(harness::files(&place), [place.join("@0000000003"), place.join("current")]);
        let note = fs::read_to_string(world.folder.path().join("web/.disk")).unwrap();
        assert!(note.contains("error=No space left on device"), "{note}");
        // There is room, and nothing is missing.
        drop(fill);
        fs::remove_file(&filler).unwrap();
        world.end();
        let log = lines(&fs::read(place.join("current")).unwrap());
        assert!(output(&log) == format!("former words\n{said}").as_bytes());
        assert!(Command::new("umount").arg(disk.path()).status().unwrap().success());
    });
}

#[test]
fn f6_3_no_inode_left() {
    on_a_file_system("size=1m,nr_inodes=5", "f6_3_no_inode_left", |world| {
        // The root, the stage, a folder and two files; none is left for `current`.
        let fillers = ["one", "two"].map(|name| world.folder.path().join(name));
        fillers.iter().for_each(|filler| fs::write(filler, "").unwrap());
        let web = world.open("web", 1 << 20, 2);
        say(&web, "before\n");
        let gone = fillers.first().unwrap();
        let directory = world.folder.path().join("web");
        expect_file(&directory, |_| directory.is_dir());
        fs::remove_file(gone).unwrap();
        say(&web, "after\n");
        expect_file(&world.current("web"), |log| log.ends_with(b" after\n"));
        world.end();
        let log = log_of(world, "web");
        assert_eq!(output(&log).len() + lost(&log), "before\nafter\n".len());
    });
}

#[test]
fn f6_4_read_only_and_then_not() {
    on_a_file_system("size=1m", "f6_4_read_only_and_then_not", |world| {
        let folder = world.folder.path().to_owned();
        let folder = folder.to_str().unwrap();
        mount(&["-o", "remount,ro", folder]);
        let web = world.open("web", 1 << 20, 2);
        let said = numbered(10_000);
        say(&web, &said);
        world.send("mark web ended");
        mount(&["-o", "remount,rw", folder]);
        // A second attempt comes by itself, without any output.
        expect_file(&world.current("web"), |log| !log.is_empty());
        say(&web, "after\n");
        world.end();
        let log = log_of(world, "web");
        assert_eq!(log.last(), Some(&Line::new(' ', "after")));
        assert!(lost(&log[..1]) > 100_000);
    });
}
