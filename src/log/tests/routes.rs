//! Stories of lines that go to further logs too, and of the units that they start.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use ettan_sys::poll::{Interest, wait_one};
use ettan_sys::{pipe, process, signals, socket};
use harness::{
    Folder, Line, World, be_a_logger, expect_file, files, lines, nothing_for_300_ms, output,
    pid_1_of, say, story,
};

const ROLE: &str = "logger_process";

/// Not a test: what the processes that tests start do.
#[test]
fn logger_process() {
    be_a_logger();
}

/// SIGSTOP.
const STOP: u8 = 19;

/// What a log has of the service's words.
fn kept(world: &World, name: &str) -> String {
    kept_in(&world.folder.path().join(name))
}

fn kept_in(folder: &Path) -> String {
    let texts: Vec<_> = files(folder).iter().map(|file| fs::read(file).unwrap()).collect();
    String::from_utf8(output(&lines(&texts.concat()))).unwrap()
}

#[test]
fn every_line_goes_to_all_logs_that_take_it() {
    story(|| {
        let mut world = World::new();
        let web = world.open_with(
            "web",
            "1000000 4 route=errors match=*error* match=fatal* exclude=*ignore* route=all route=none match=",
        );
        let said = "one\nan error\nan error to ignore\n\nfatal\nnot fatal\n";
        say(&web, said);
        world.end();
        assert_eq!(kept(&world, "web"), said);
        assert_eq!(kept(&world, "web.errors"), "an error\nfatal\n");
        assert_eq!(kept(&world, "web.all"), said);
        assert_eq!(kept(&world, "web.none"), "\n");
    });
}

#[test]
fn a_line_is_judged_when_it_is_whole() {
    story(|| {
        let mut world = World::new();
        let web = world.open_with("web", "1000000 4 route=errors match=*error");
        for (piece, wish) in [("an er", "an er"), ("ror", "error"), ("\nan er", "an er")] {
            say(&web, piece);
            world.expect("web", |log| log.ends_with(wish.as_bytes()));
        }
        assert_eq!(kept(&world, "web.errors"), "an error\n");
        say(&web, "ratic\n8 KiB of an error");
        let long = "x".repeat(20_000);
        say(&web, &long);
        say(&web, "\nerror");
        world.send("mark web ended: exited with status 0");
        world.expect("web", |log| log.ends_with(b"status 0\n"));
        world.end();
        assert_eq!(kept(&world, "web.errors"), "an error\nerror\n");
    });
}

#[test]
fn a_line_that_a_note_comes_into_is_judged_whole() {
    story(|| {
        let mut world = World::new();
        let web = world.open_with("web", "1000000 4 route=errors match=error*full");
        for (piece, note, end) in [
            ("error: ", "amid web awaiting (pid 41)", "*awaiting (pid 41)\n"),
            ("disk ", "amid web up (pid 41)", "*up (pid 41)\n"),
        ] {
            say(&web, piece);
            world.expect("web", |log| log.ends_with(piece.as_bytes()));
            world.send(note);
            world.expect("web", |log| log.ends_with(end.as_bytes()));
        }
        say(&web, "full\n");
        world.end();
        assert_eq!(kept(&world, "web.errors"), "error: disk full\n");
    });
}

#[test]
fn a_line_of_errors_is_judged_apart_from_one_of_output() {
    story(|| {
        let mut world = World::new();
        let words = "1048576 4";
        let routes = "route=bad match=*bad*";
        let web = world.open_with("web", &format!("{words} {routes}"));
        let errors = world.open_with("web", &format!("{words} stream=err {routes}"));
        for (pipe, text, end) in [
            (&web, "good ", " good "),
            (&errors, "a bad", "!a bad"),
            (&web, "day\n", "+day\n"),
            (&errors, " thing\n", "- thing\n"),
            (&web, "bad again\n", " bad again\n"),
        ] {
            say(pipe, text);
            world.expect("web", |log| log.ends_with(end.as_bytes()));
        }
        world.end();
        let bad = fs::read(world.current("web.bad")).unwrap();
        let expected = [Line::new('!', "a bad thing"), Line::new(' ', "bad again")];
        assert_eq!(lines(&bad), expected);
    });
}

#[test]
fn f6_6_a_long_line_goes_where_its_first_8_kib_belong() {
    story(|| {
        let mut world = World::new();
        let web = world.open_with("web", "1000000 4 route=begin match=b* route=end match=*e");
        let long = |last: &str| format!("b{}e{}{last}\n", "x".repeat(8190), "y".repeat(300_000));
        let said = [long("z"), "b\n".into(), long("e"), "e\n".into()].concat();
        for piece in said.as_bytes().chunks(5000) {
            say(&web, piece);
        }
        world.end();
        assert!(kept(&world, "web.begin") == [long("z"), "b\n".into(), long("e")].concat());
        assert!(kept(&world, "web.end") == [long("z"), long("e"), "e\n".into()].concat());
    });
}

#[test]
fn routes_are_bounded_and_come_and_go_with_their_words() {
    story(|| {
        let mut world = World::new();
        let web = world.open_with("web", "4096 2 rate=1000000 route=a route=b");
        say(&web, "a line of a good length to have\n".repeat(1000));
        world.expect("web", |log| log.ends_with(b"to have\n"));
        world.reopen_with("web", "4096 2 route=b match=b*", &web);
        world.send("mark web other words");
        world.expect("web", |log| log.ends_with(b"other words\n"));
        say(&web, "a\nb\n");
        world.end();
        for name in ["web.a", "web.b"] {
            let files = files(&world.folder.path().join(name));
            let sizes = files.iter().map(|file| fs::metadata(file).unwrap().len());
            assert!(files.len() == 2 && sizes.sum::<u64>() < 3 * 4096, "{files:?}");
        }
        assert!(kept(&world, "web.a").ends_with("to have\n"));
        assert!(kept(&world, "web.b").ends_with("to have\nb\n"));
    });
}

#[test]
fn a_route_may_lead_to_a_disk_and_shares_the_budget_of_its_unit() {
    story(|| {
        let disk = Folder::new();
        let place = disk.path().join("errors");
        let mut world = World::process(&[], ROLE);
        let own = disk.path().join("own");
        let words = format!(
            "200000 4 storage=disk dir={} budget=100000 route=errors match=*error dir={}",
            own.display(),
            place.display()
        );
        let web = world.open_with("web", &words);
        say(&web, "one\nan error\n");
        world.send("flush");
        expect_file(&place.join("current"), |log| log.ends_with(b"an error\n"));
        say(&web, format!("{:098} error\n", 0).repeat(500));
        world.end();
        let size = |folder| fs::metadata(folder).unwrap().len();
        let sizes = size(own.join("current")) + size(place.join("current"));
        assert!((4_000..=44_000).contains(&sizes), "{sizes}");
        let note = fs::read_to_string(world.folder.path().join("web.errors/.disk")).unwrap();
        assert!(note.contains(&format!("directory={}\n", place.display())), "{note}");
    });
}

#[test]
fn a_flush_brings_what_was_said_before_it_to_the_disk_of_a_route() {
    story(|| {
        let disk = Folder::new();
        let place = disk.path().join("errors");
        let mut world = World::process(&[], ROLE);
        let words = format!("1000000 4 route=errors match=*error dir={}", place.display());
        let web = world.open_with("web", &words);
        let flushed = world.folder.path().join(".flushed");
        world.send("flush");
        expect_file(&flushed, |text| !text.is_empty());
        fs::remove_file(&flushed).unwrap();
        // All of it is there when it wakes up: a pipe full, which takes longer than a copy.
        process::kill(world.pid(), STOP).unwrap();
        say(&web, "one\n".repeat(16_000));
        say(&web, "an error\n");
        world.send("flush");
        process::kill(world.pid(), signals::CONT).unwrap();
        expect_file(&flushed, |text| !text.is_empty());
        assert_eq!(kept_in(&place), "an error\n");
        world.end();
    });
}

/// Has a logger killed before its call of that number; false if it makes fewer.
fn survives_a_kill_before(call: &str, number: usize) -> bool {
    let names = [".stage", "web", "web/current", "web/.line", "web.even", "web.even/current"];
    let words = "3000 100 route=even match=*even* route=rest exclude=*even*";
    let said = |numbers: std::ops::Range<usize>| -> String {
        let line =
            |n: usize| format!("{n:098} {}\n", if n.is_multiple_of(2) { "even" } else { "odd" });
        numbers.map(line).collect()
    };
    let said = [said(0..70), "an even".into(), "t, and a line ".into(), "of two\nlast\n".into()];
    let mut world = World::killed_before(call, number, &names, ROLE);
    let web = pipe::pipe().unwrap();
    say(&web, &said[0]);
    let opened = world.try_reopen_with("web", words, &web);
    say(&web, &said[1]);
    let mut lives = opened && world.has_read(&web) && world.is_through("first");
    say(&web, &said[2]);
    lives = lives && world.has_read(&web) && world.is_through("second");
    if lives {
        // What is left of it concerns the end, after which nobody goes on.
        let _ = world.try_end();
        return false;
    }
    world.gone();
    world.start_process(&[], ROLE);
    world.reopen_with("web", words, &web);
    say(&web, &said[3]);
    world.end();
    let said = said.concat();
    let (even, rest): (Vec<&str>, Vec<&str>) =
        said.split_inclusive('\n').partition(|line| line.contains("even"));
    for (name, expected) in
        [("web", said.clone()), ("web.even", even.concat()), ("web.rest", rest.concat())]
    {
        let kept = kept(&world, name);
        let (from, to) = (expected.len(), kept.len());
        let end = &kept[kept.len().saturating_sub(150)..];
        assert!(
            kept == expected,
            "{name}, killed before {call} {number}: {from} bytes became {to}: … {end:?}"
        );
    }
    true
}

#[test]
fn f6_1_the_logger_killed_before_any_system_call_routes_every_line_once() {
    story(|| {
        let calls = ["openat", "mkdir", "splice", "pwrite64", "write", "/^renameat", "ftruncate"];
        let kills =
            calls.map(|call| (1..).take_while(|n| survives_a_kill_before(call, *n)).count());
        assert!(kills.iter().all(|kills| *kills > 0), "{kills:?}");
        assert!(kills.iter().sum::<usize>() > 30, "{kills:?}");
    });
}

/// PID 1's side of one request for a start: the unit's name.
fn asked_for(listener: &OwnedFd, answer: &str) -> String {
    assert!(wait_one(listener, Interest::Read, None).unwrap());
    let connection = socket::accept(listener).unwrap().unwrap();
    let mut packet = [0; 4096];
    assert!(wait_one(&connection, Interest::Read, None).unwrap());
    let length = socket::recv(&connection, &mut packet).unwrap().unwrap().len;
    let request = String::from_utf8(packet[..length].to_vec()).unwrap();
    socket::send(&connection, answer.as_bytes()).unwrap();
    request
}

const ACCEPTED: &str = "{\"reply\":\"accepted\"}";

#[test]
fn a_line_starts_a_unit_and_a_flood_of_them_does_not_start_it_again_at_once() {
    story(|| {
        let mut world = World::process(&[], ROLE);
        let listener = socket::seqpacket_listen(&pid_1_of(world.folder.path()), 0o600).unwrap();
        let words =
            "1000000 4 route=errors match=*error* alert=mail route=odd match=odd alert=page";
        let web = world.open_with("web", words);
        say(&web, "one\nan error\n");
        assert!(asked_for(&listener, ACCEPTED).contains("\"mail\""));
        for _ in 0..100 {
            say(&web, "an error\nodd\n");
        }
        let request = asked_for(&listener, ACCEPTED);
        assert!(request.contains("start") && request.contains("\"page\""), "{request}");
        nothing_for_300_ms();
        assert!(!wait_one(&listener, Interest::Read, Some(0)).unwrap());
        world.end();
        assert_eq!(kept(&world, "web.errors").lines().count(), 101);
    });
}

#[test]
fn a_pid_1_that_cannot_be_asked_holds_up_no_line() {
    story(|| {
        let mut world = World::process(&[], ROLE);
        let web = world.open_with("web", "1000000 4 route=errors match=*error* alert=mail");
        say(&web, "an error\n");
        world.expect("web", |log| log.ends_with(b"an error\n"));
        let listener = socket::seqpacket_listen(&pid_1_of(world.folder.path()), 0o600).unwrap();
        // Asked again by itself, after ten seconds.
        assert!(asked_for(&listener, ACCEPTED).contains("\"mail\""));
        world.end();
    });
}
