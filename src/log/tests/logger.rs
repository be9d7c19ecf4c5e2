//! Stories of the logger with real pipes, as a thread or as a process of its own.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::sync::atomic::{AtomicBool, Ordering};

use ettan_sys::pipe;
use harness::{Line, World, be_a_logger, files, lines, nothing_for_300_ms, output, say, story};

const ROLE: &str = "logger_process";

/// Not a test: what the processes that tests start do.
#[test]
fn logger_process() {
    be_a_logger();
}

fn log_of(world: &World, name: &str) -> Vec<Line> {
    lines(&fs::read(world.current(name)).unwrap())
}

#[test]
fn lines_are_stamped_and_kept_in_order() {
    story(|| {
        let mut world = World::new();
        let web = world.open("web", 1 << 20, 4);
        let database = world.open("database@1", 1 << 20, 4);
        say(&web, "one\ntwo\n\nfour with no end");
        say(&database, b"nul \0 and \xff\x1b[1m\r\n");
        say(&database, b"\xc3\x28\n");
        world.end();
        let expected = [
            Line::new(' ', "one"),
            Line::new(' ', "two"),
            Line::new(' ', ""),
            Line::new(' ', "four with no end"),
        ];
        assert_eq!(log_of(&world, "web"), expected);
        let expected = [Line::new(' ', b"nul \0 and \xff\x1b[1m\r"), Line::new(' ', b"\xc3\x28")];
        assert_eq!(log_of(&world, "database@1"), expected);
        let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&world.current("web")) & 0o777, 0o640);
        assert_eq!(mode(world.current("web").parent().unwrap()) & 0o777, 0o750);
    });
}

#[test]
fn files_belong_to_the_owner_that_is_named() {
    story(|| {
        let mut world = World::new();
        let web = world.open_with("web", "3000 4 owner=7:8");
        say(&web, numbered(0..70));
        world.end();
        let folder = world.folder.path().join("web");
        for path in files(&folder).iter().chain([&folder]) {
            let found = fs::metadata(path).unwrap();
            assert_eq!((found.uid(), found.gid()), (7, 8), "{}", path.display());
        }
    });
}

#[test]
fn what_comes_in_pieces_is_one_line() {
    story(|| {
        let mut world = World::new();
        let web = world.open("web", 1 << 20, 4);
        say(&web, "Hello, ");
        world.expect("web", |log| log.ends_with(b" Hello, "));
        say(&web, "world\n");
        world.end();
        assert_eq!(log_of(&world, "web"), [Line::new(' ', "Hello, world")]);
    });
}

#[test]
fn f6_6_long_lines_are_cut_and_no_byte_is_lost() {
    story(|| {
        let mut world = World::new();
        let web = world.open("web", 1 << 30, 4);
        let mut said: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        said.retain(|byte| *byte != b'\n');
        said.push(b'\n');
        said.extend_from_slice(&[b'x'; 8192]);
        said.extend_from_slice(b"\nshort\n");
        said.extend_from_slice(&[b'y'; 8193]);
        said.push(b'\n');
        say(&web, &said);
        world.end();
        let log = log_of(&world, "web");
        assert!(log.iter().all(|line| line.text.len() <= 8192));
        assert_eq!(log.last(), Some(&Line::new('+', "y")));
        assert!(output(&log) == said, "the output differs");
    });
}

#[test]
fn files_rotate_by_size_and_the_oldest_go() {
    story(|| {
        let mut world = World::new();
        let web = world.open("web", 4096, 3);
        let said: String = (0..2000).map(|n| format!("line {n}\n")).collect();
        say(&web, &said);
        world.end();
        let files = files(world.current("web").parent().unwrap());
        assert_eq!(files.len(), 3, "{files:?}");
        let texts: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
        let record = "2026-11-21T01:02:03.456Z line 1999\n".len();
        assert!(texts.iter().all(|text| text.len() < 4096 + record));
        assert!(texts.iter().take(2).all(|text| text.len() >= 4096));
        let kept = output(&lines(&texts.concat()));
        assert!(said.as_bytes().ends_with(&kept), "a line is missing");
        assert!(kept.ends_with(b"\nline 1999\n"));
    });
}

#[test]
fn one_file_is_the_least() {
    story(|| {
        let mut world = World::new();
        let web = world.open("web", 100, 1);
        say(&web, "a line\n".repeat(100));
        world.end();
        let files = files(world.current("web").parent().unwrap());
        assert_eq!(files, [world.current("web")]);
        assert!(fs::metadata(world.current("web")).unwrap().len() < 200);
    });
}

#[test]
fn last_words_come_before_the_mark_of_the_end() {
    story(|| {
        let mut world = World::new();
        let web = world.open("web", 1 << 20, 4);
        world.send("mark web started, pid 41");
        world.expect("web", |log| log.ends_with(b"*started, pid 41\n"));
        say(&web, "help\nI am dy");
        world.send("mark web ended: killed by signal 9");
        world.expect("web", |log| log.ends_with(b"signal 9\n"));
        say(&web, "reborn\n");
        world.end();
        let expected = [
            Line::new('*', "started, pid 41"),
            Line::new(' ', "help"),
            Line::new(' ', "I am dy"),
            Line::new('*', "ended: killed by signal 9"),
            Line::new(' ', "reborn"),
        ];
        assert_eq!(log_of(&world, "web"), expected);
    });
}

#[test]
fn a_line_goes_on_after_a_note_of_its_run() {
    story(|| {
        let mut world = World::new();
        let web = world.open("web", 1 << 20, 4);
        world.send("note web starting");
        say(&web, "cannot ");
        world.expect("web", |log| log.ends_with(b" cannot "));
        world.send("amid web awaiting (pid 41)");
        world.expect("web", |log| log.ends_with(b"*awaiting (pid 41)\n"));
        say(&web, "be ");
        world.send("amid web up (pid 41)");
        world.expect("web", |log| log.ends_with(b"*up (pid 41)\n"));
        say(&web, "set\n");
        world.end();
        let expected = [
            Line::new('*', "starting"),
            Line::new(' ', "cannot "),
            Line::new('*', "awaiting (pid 41)"),
            Line::new('+', "be "),
            Line::new('*', "up (pid 41)"),
            Line::new('+', "set"),
        ];
        assert_eq!(log_of(&world, "web"), expected);
        assert_eq!(output(&log_of(&world, "web")), b"cannot be set\n");
    });
}

#[test]
fn what_a_run_left_without_a_line_end_is_a_line() {
    story(|| {
        let mut world = World::process(&[], ROLE);
        let web = world.open("web", 1 << 20, 4);
        // What begins a run ends what was before, and so does an end that no note tells of.
        say(&web, "prepared");
        world.expect("web", |log| log.ends_with(b" prepared"));
        world.send("note web starting");
        world.expect("web", |log| log.ends_with(b"*starting\n"));
        say(&web, "half");
        world.send("end web");
        world.expect("web", |log| log.ends_with(b" half\n"));
        say(&web, "of another logger's");
        world.expect("web", |log| log.ends_with(b" of another logger's"));
        world.kill();
        world.start_process(&[], ROLE);
        world.reopen("web", 1 << 20, 4, &web);
        world.send("end web");
        world.expect("web", |log| log.ends_with(b" of another logger's\n"));
        say(&web, "new\n");
        world.end();
        assert_eq!(output(&log_of(&world, "web")), b"prepared\nhalf\nof another logger's\nnew\n");
    });
}

#[test]
fn a_note_that_comes_with_a_pipe_is_before_what_is_in_it() {
    story(|| {
        let mut world = World::process(&[], ROLE);
        let web = world.open_with("web", "1048576 4 note=starting");
        say(&web, "hello\n");
        world.expect("web", |log| log.ends_with(b" hello\n"));
        // Another logger is shown the pipe too, and hears no such note again.
        world.kill();
        world.start_process(&[], ROLE);
        world.reopen_with("web", "1048576 4", &web);
        say(&web, "again\n");
        world.end();
        let expected =
            [Line::new('*', "starting"), Line::new(' ', "hello"), Line::new(' ', "again")];
        assert_eq!(log_of(&world, "web"), expected);
    });
}

#[test]
fn ettans_own_log_needs_no_pipe_and_rubbish_changes_nothing() {
    story(|| {
        let mut world = World::new();
        world.send("mark nobody knows this unit");
        world.send("open web 1 1");
        world.send("open ../web 1 1");
        world.send(&"mark web x".repeat(500));
        world.send("mark ettan web: up\nin two\0lines");
        world.end();
        assert_eq!(log_of(&world, "ettan"), [Line::new('*', "web: upin twolines")]);
        assert_eq!(files(world.folder.path()).len(), 1);
    });
}

#[test]
fn f1_20_a_closed_unit_is_read_until_nobody_can_write() {
    story(|| {
        let mut world = World::new();
        let web = world.open("web", 1 << 20, 4);
        say(&web, "main\n");
        world.send("close web");
        world.expect("web", |log| log.ends_with(b" main\n"));
        say(&web, "a child that stayed");
        drop(web.write);
        world.expect("web", |log| log.ends_with(b" a child that stayed\n"));
        let again = world.open("web", 1 << 20, 4);
        say(&again, "again\n");
        world.end();
        let texts: Vec<_> = log_of(&world, "web").into_iter().map(|line| line.text).collect();
        assert_eq!(texts, [&b"main"[..], b"a child that stayed", b"again"]);
    });
}

#[test]
fn f6_1_the_logger_killed_under_load_loses_nothing_that_was_in_the_pipe() {
    story(|| {
        let mut world = World::process(&[], ROLE);
        let web = world.open("web", 1 << 30, 4);
        let mut said = Vec::new();
        for round in 0..10 {
            let text = format!("round {round} begins\nand goes ");
            say(&web, &text);
            said.extend_from_slice(text.as_bytes());
            world.expect("web", |log| log.ends_with(b"and goes "));
            world.kill();
            say(&web, "on\n");
            said.extend_from_slice(b"on\n");
            world.start_process(&[], ROLE);
            world.reopen("web", 1 << 30, 4, &web);
        }
        world.end();
        let log = log_of(&world, "web");
        assert!(log.iter().any(|line| *line == Line::new('+', "on")));
        assert_eq!(String::from_utf8_lossy(&output(&log)), String::from_utf8_lossy(&said));
    });
}

#[test]
fn standard_error_is_told_apart_in_the_order_of_arrival() {
    story(|| {
        let mut world = World::new();
        let web = world.open("web", 1 << 20, 4);
        let errors = world.open_with("web", "1048576 4 stream=err");
        for (pipe, text, end) in [
            (&web, "one\n", " one\n"),
            (&errors, "two\n", "!two\n"),
            (&web, "th", " th"),
            (&errors, "four\nfi", "!fi"),
            (&web, "ree\n", "+ree\n"),
            (&errors, "ve\n", "-ve\n"),
        ] {
            say(pipe, text);
            world.expect("web", |log| log.ends_with(end.as_bytes()));
        }
        world.end();
        let expected = [
            (' ', "one"),
            ('!', "two"),
            (' ', "th"),
            ('!', "four"),
            ('!', "fi"),
            ('+', "ree"),
            ('-', "ve"),
        ];
        assert_eq!(log_of(&world, "web"), expected.map(|(lead, text)| Line::new(lead, text)));
    });
}

#[test]
fn a_log_goes_with_the_last_of_its_two_pipes() {
    story(|| {
        let mut world = World::new();
        let web = world.open("web", 1 << 20, 4);
        let errors = world.open_with("web", "1048576 4 stream=err");
        say(&errors, "an error\n");
        world.expect("web", |log| log.ends_with(b"!an error\n"));
        drop(errors);
        say(&web, "goes on\n");
        world.expect("web", |log| log.ends_with(b" goes on\n"));
        world.send("note web still there");
        world.expect("web", |log| log.ends_with(b"*still there\n"));
        say(&web, "last\n");
        drop(web);
        world.expect("web", |log| log.ends_with(b" last\n"));
        world.send("note web is not logged any more");
        world.end();
        let texts: Vec<_> = log_of(&world, "web").into_iter().map(|line| line.text).collect();
        assert_eq!(texts, [&b"an error"[..], b"goes on", b"still there", b"last"]);
    });
}

#[test]
fn f6_1_a_line_that_an_error_came_into_goes_on_after_the_loggers_death() {
    story(|| {
        let mut world = World::process(&[], ROLE);
        let web = world.open("web", 1 << 20, 4);
        let errors = world.open_with("web", "1048576 4 stream=err");
        say(&web, "half ");
        world.expect("web", |log| log.ends_with(b" half "));
        say(&errors, "an error\n");
        world.expect("web", |log| log.ends_with(b"!an error\n"));
        world.kill();
        world.start_process(&[], ROLE);
        world.reopen_with("web", "1048576 4 stream=err", &errors);
        world.reopen("web", 1 << 20, 4, &web);
        say(&web, "a line\nand another\n");
        world.end();
        let expected = [(' ', "half "), ('!', "an error"), ('+', "a line"), (' ', "and another")];
        assert_eq!(log_of(&world, "web"), expected.map(|(lead, text)| Line::new(lead, text)));
    });
}

/// What the service wrote to its output, and what to standard error.
fn kept_apart(world: &World, name: &str) -> [Vec<u8>; 2] {
    let files = files(&world.folder.path().join(name));
    let texts: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let all = lines(&texts.concat());
    [" +", "!-"].map(|leads| {
        let mut mine: Vec<_> = all.iter().filter(|l| leads.contains(l.lead)).cloned().collect();
        mine.iter_mut().filter(|line| line.lead == '-').for_each(|line| line.lead = '+');
        output(&mine)
    })
}

/// As `survives_a_kill_before`, with standard error apart.
fn both_survive_a_kill_before(call: &str, number: usize) -> bool {
    let names = [".stage", "web", "web/current", "web/.cut", "web/.cut-err"];
    let mut world = World::killed_before(call, number, &names, ROLE);
    let pipes = [(); 2].map(|()| pipe::pipe().unwrap());
    let open = |world: &World| {
        let words = ["3000 100", "3000 100 stream=err"];
        pipes.iter().zip(words).all(|(pipe, words)| world.try_reopen_with("web", words, pipe))
    };
    let [out, err] = &pipes;
    say(out, numbered(0..20) + "a line ");
    say(err, numbered(20..40) + "an error ");
    let mut lives = open(&world) && world.has_read(out) && world.has_read(err);
    for (pipe, word) in [(out, "first"), (err, "second")] {
        say(pipe, "of three ");
        lives = lives && world.has_read(pipe) && world.is_through(word);
    }
    if lives {
        // What is left of it concerns the end, after which nobody goes on.
        let _ = world.try_end();
        return false;
    }
    world.gone();
    world.start_process(&[], ROLE);
    assert!(open(&world));
    say(out, "parts\n");
    say(err, "parts\n");
    world.end();
    let expected = [
        numbered(0..20) + "a line of three parts\n",
        numbered(20..40) + "an error of three parts\n",
    ];
    let [output, errors] = kept_apart(&world, "web").map(|kept| String::from_utf8(kept).unwrap());
    assert_eq!([output, errors], expected, "killed before {call} {number}");
    true
}

#[test]
fn f6_1_the_logger_killed_before_any_system_call_keeps_both_streams_whole() {
    story(|| {
        let calls =
            ["openat", "splice", "pwrite64", "write", "/^renameat", "ftruncate", "/^unlinkat"];
        let kills =
            calls.map(|call| (1..).take_while(|n| both_survive_a_kill_before(call, *n)).count());
        assert!(kills.iter().all(|kills| *kills > 0), "{kills:?}");
        assert!(kills.iter().sum::<usize>() > 15, "{kills:?}");
    });
}

/// What the service wrote, from all files of its log.
fn kept(world: &World, name: &str) -> Vec<u8> {
    let files = files(&world.folder.path().join(name));
    let texts: Vec<_> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    output(&lines(&texts.concat()))
}

fn numbered(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|n| format!("{n:098} \n")).collect()
}

/// Has a logger killed before its call of that number; false if it makes fewer.
fn survives_a_kill_before(call: &str, number: usize) -> bool {
    let names = [".stage", "web", "web/current"];
    let mut world = World::killed_before(call, number, &names, ROLE);
    let web = pipe::pipe().unwrap();
    // The long one is in lines of 8 KiB, each of which a file of 3000 bytes ends with.
    let long = "long ".repeat(4000);
    let said = [numbered(0..70) + &long, "and a line ".to_owned(), "of two parts\n".to_owned()];
    say(&web, &said[0]);
    let opened = world.try_reopen("web", 3000, 100, &web);
    say(&web, &said[1]);
    if if opened { world.try_end() } else { world.gone() } {
        return false;
    }
    world.start_process(&[], ROLE);
    world.reopen("web", 3000, 100, &web);
    say(&web, &said[2]);
    world.end();
    let (kept, said) = (kept(&world, "web"), said.concat());
    let (from, to) = (said.len(), kept.len());
    assert!(kept == said.as_bytes(), "killed before {call} {number}: {from} bytes became {to}");
    true
}

#[test]
fn f6_1_the_logger_killed_before_any_system_call_loses_and_doubles_nothing() {
    story(|| {
        let calls = ["openat", "mkdir", "splice", "pwrite64", "write", "/^renameat", "ftruncate"];
        let kills =
            calls.map(|call| (1..).take_while(|n| survives_a_kill_before(call, *n)).count());
        assert!(kills.iter().all(|kills| *kills > 0), "{kills:?}");
        assert!(kills.iter().sum::<usize>() > 15, "{kills:?}");
    });
}

#[test]
fn f6_1_the_logger_killed_100_times_under_load_loses_and_doubles_nothing() {
    story(|| {
        let mut world = World::process(&[], ROLE);
        let web = std::sync::Arc::new(world.open("web", 100_000, 100_000));
        let (stop, service) = (std::sync::Arc::new(AtomicBool::new(false)), web.clone());
        let writer = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let mut said = 0;
                while !stop.load(Ordering::Relaxed) {
                    say(&service, numbered(said..said + 97));
                    said += 97;
                }
                said
            }
        });
        for round in 0..100 {
            let written = |world: &World| {
                let last = files(&world.folder.path().join("web")).pop();
                last.map_or(0, |file| {
                    fs::metadata(file).map_or(0, |found| found.ino() + found.len())
                })
            };
            let before = written(&world);
            while written(&world) == before {
                std::thread::yield_now();
            }
            for _ in 0..round * 50 {
                std::hint::spin_loop();
            }
            world.kill();
            world.start_process(&[], ROLE);
            world.reopen("web", 100_000, 100_000, &web);
        }
        stop.store(true, Ordering::Relaxed);
        let said = numbered(0..writer.join().unwrap());
        world.end();
        let kept = kept(&world, "web");
        let same = kept.iter().zip(said.as_bytes()).take_while(|(a, b)| a == b).count();
        assert!(kept == said.as_bytes(), "{} became {} at {same}", said.len(), kept.len());
    });
}

#[test]
fn term_empties_the_pipes_and_the_next_logger_goes_on_in_the_line() {
    story(|| {
        // So early that no thread of the test harness dies of TERM.
        let blocking = ["env", "--block-signal=TERM"];
        let mut world = World::process(&blocking, ROLE);
        let web = world.open("web", 1 << 30, 4);
        say(&web, "first\n");
        world.expect("web", |log| log.ends_with(b" first\n"));
        let text = "x".repeat(60_000);
        say(&web, &text);
        ettan_sys::process::kill(world.pid(), 15).unwrap();
        world.wait();
        world.start_process(&[], ROLE);
        world.reopen("web", 1 << 30, 4, &web);
        say(&web, "end\n");
        world.end();
        let log = log_of(&world, "web");
        assert!(output(&log) == format!("first\n{text}end\n").as_bytes(), "the output differs");
    });
}

#[test]
fn f6_2_a_flood_does_not_keep_the_others_waiting() {
    story(|| {
        let mut world = World::new();
        let flood = world.open("flood", 1 << 20, 2);
        let quiet = world.open("quiet", 1 << 20, 2);
        let writer = std::thread::spawn(move || {
            let line = "the same line again and again\n".repeat(1000);
            while pipe::write(&flood.write, line.as_bytes()).is_ok() {}
        });
        world.expect("flood", |log| log.len() > 100_000);
        for n in 0..100 {
            let line = format!("quiet {n}\n");
            say(&quiet, &line);
            world.expect("quiet", |log| log.ends_with(line.as_bytes()));
        }
        assert!(!writer.is_finished());
        // Our read end closed, the logger's is the last, and it goes although the flood goes on.
        drop(flood.read);
        world.end();
        writer.join().unwrap();
    });
}

#[test]
fn more_units_than_descriptors_for_their_files_are_all_logged() {
    story(|| {
        let limited = ["sh", "-c", "ulimit -n 40; exec \"$0\" \"$@\""];
        let mut world = World::process(&limited, ROLE);
        let pipes: Vec<_> = (0..24).map(|n| world.open(&format!("unit{n}"), 1 << 20, 2)).collect();
        for round in 0..3 {
            for (n, pipe) in pipes.iter().enumerate() {
                say(pipe, format!("round {round}\n"));
                world.expect(&format!("unit{n}"), |log| {
                    log.ends_with(format!("round {round}\n").as_bytes())
                });
            }
        }
        world.end();
        for n in 0..24 {
            assert_eq!(log_of(&world, &format!("unit{n}")).len(), 3);
        }
    });
}

#[test]
fn an_idle_logger_does_not_wake_up() {
    story(|| {
        let mut world = World::process(&[], ROLE);
        let web = world.open("web", 1 << 20, 2);
        let gone = world.open("gone", 1 << 20, 2);
        say(&web, "a line\n");
        say(&gone, "another");
        world.expect("web", |log| log.ends_with(b"a line\n"));
        // Our copy of the read end keeps the pipe alive that the logger has closed.
        drop(gone.write);
        world.expect("gone", |log| log.ends_with(b"another\n"));
        say(&web, "the last\n");
        world.expect("web", |log| log.ends_with(b"the last\n"));
        let before = world.wake_ups();
        nothing_for_300_ms();
        assert!(world.wake_ups() <= before + 1, "it woke up without a reason");
        world.end();
    });
}
