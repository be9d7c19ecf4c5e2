//! What services print, and who keeps it.

use ettan_tests::units::{QUICK, fake, idle, shell, with};
use ettan_tests::{End, Machine, Namespace, Operate, scenarios};
use std::os::fd::AsRawFd;

#[test]
fn lines_of_both_streams_are_kept() {
    let mut machine = Namespace::usual();
    machine.unit("d", &fake("--name d --print plain --print-err warning --lines 100"));
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("the last line is there", |machine| {
        machine.ettan("logs -n 1000 d").out.contains("line 100")
    });
    let log = machine.ettan("logs -n 1000 d").ok();
    assert!(log.contains("plain") && log.contains("warning"), "{log}");
    assert!(log.lines().filter(|line| line.contains(" line ")).count() == 100, "{log}");
    let first = log.lines().find(|line| line.contains("line 1")).unwrap_or_default();
    assert!(first.starts_with("20") && first.contains('T'), "not stamped: {first}");
    assert_eq!(machine.ettan("logs nosuch").code, 5);
}

#[test]
fn a_service_of_a_user_logs_by_the_name_of_its_stream() {
    let mut machine = Namespace::usual();
    let script = "echo out >/dev/stdout; echo err >/dev/stderr; (: </dev/stdout) || echo no reader; sleep 100000";
    machine.unit("d", &format!("{}user = \"telldus\"\n", shell(script)));
    machine.boot();
    machine.expect(&["d up"]);
    for word in ["out", "err", "no reader"] {
        let ends = |line: &str| line.ends_with(word);
        machine.until(word, |machine| machine.ettan("logs d").out.lines().any(ends));
    }
}

#[test]
fn f6_11_last_words_are_kept() {
    let mut machine = Namespace::usual();
    machine.unit("d", &format!("{}restart = \"no\"\n", shell("echo last words; kill -9 $$")));
    machine.boot();
    machine.expect(&["d failed"]);
    machine.until("they are there", |machine| machine.ettan("logs d").out.contains("last words"));
}

#[test]
fn a_line_goes_on_after_a_note_of_its_run() {
    let mut machine = Namespace::usual();
    // At its TERM the note of that is on its way, and is awaited in the log.
    let script = "trap 'until grep -qs [*]stopping /run/log/ettan/d/current; do sleep 0.02; done; \
                  echo a whole; printf end; exit 0' TERM; printf 'half and '; \
                  while :; do sleep 0.02; done";
    machine.unit("d", &format!("{}kill-mode = \"mixed\"\n", shell(script)));
    machine.boot();
    machine.until("it has begun", |machine| both_streams(machine, "d")[0] == "half and \n");
    assert_eq!(machine.ettan("stop d").code, 0);
    let said = "half and a whole\nend\n";
    machine.until("all of it is there", |machine| both_streams(machine, "d")[0] == said);
    // What one run left unfinished is no beginning of what the next one says.
    assert_eq!(machine.ettan("start d").code, 0);
    let again = format!("{said}half and \n");
    machine.until("the next has begun", |machine| both_streams(machine, "d")[0] == again);
}

/// How often the log of `d` says that a run begins.
fn begun(machine: &mut Namespace) -> usize {
    machine.ettan("logs d").out.matches("*starting").count()
}

#[test]
fn what_a_run_left_without_a_line_end_is_a_line_where_the_next_one_begins_at_once() {
    let mut machine = Namespace::usual();
    let script = "trap 'printf half; exit 0' TERM; until [ -e /run/go ]; do sleep 0.02; done; \
                  echo +ready; while :; do sleep 0.02; done";
    let route = "[[log.route]]\nname = \"joined\"\nmatch = \"*half*\"\n";
    machine.unit("d", &format!("{}{QUICK}kill-mode = \"mixed\"\n{route}", shell(script)));
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("it is logged", |machine| begun(machine) == 1);
    assert_eq!(machine.ettan("restart d").code, 0);
    machine.until("the next has begun", |machine| begun(machine) == 2);
    let _ = machine.sh("touch /run/go").ok();
    machine.until("its word is there", |machine| both_streams(machine, "d")[0].contains("ready\n"));
    assert_eq!(both_streams(&mut machine, "d")[0], "half\n+ready\n");
    assert_eq!(both_streams(&mut machine, "d.joined")[0], "half\n");
}

#[test]
fn what_a_command_before_the_start_left_without_a_line_end_is_a_line() {
    let mut machine = Namespace::usual();
    let script = "until [ -e /run/go ]; do sleep 0.02; done; echo ready; exec sleep 100000";
    let logged = "until grep -qs ' x' /run/log/ettan/d/current; do sleep 0.02; done";
    let before = format!("exec-start-pre = [[\"/bin/sh\", \"-c\", \"printf x; {logged}\"]]\n");
    machine.unit("d", &format!("{}{before}", shell(script)));
    machine.boot();
    machine.until("its run has begun", |machine| begun(machine) == 1);
    let _ = machine.sh("touch /run/go").ok();
    machine.until("its word is there", |machine| both_streams(machine, "d")[0].contains("ready\n"));
    assert_eq!(both_streams(&mut machine, "d")[0], "x\nready\n");
}

#[test]
fn a_run_with_a_command_before_it_begins_before_its_first_word_too() {
    let mut machine = Namespace::usual();
    let keys = "exec-start-pre = \"/bin/echo prepared\"\n[ready]\nlog-pattern = \"^listening$\"\n";
    machine.unit("d", &format!("{}{keys}", shell("echo listening; exec sleep 100000")));
    let trace = machine.trace(&["trace=sendto", "inject=sendto:delay_enter=200000"]);
    machine.boot();
    machine.expect(&["d up"]);
    drop(trace);
    let log = machine.ettan("logs d").ok();
    let leads = log.lines().filter_map(|line| line.get(24..));
    let leads = leads.filter(|lead| *lead != "*starting").collect::<Vec<_>>();
    // Whether the command was over when the pipe was shown is chance.
    let [first, second] =
        ["*preparing", " prepared"].map(|lead| leads.iter().position(|l| *l == lead));
    assert!(first < second, "{log}");
    let [first, second] = ["*starting", " listening"].map(|lead| log.find(lead));
    assert!(first.is_some() && first < second, "{log}");
}

#[test]
fn a_run_begins_before_its_first_word_where_the_logger_reads_that_before_it_hears_of_the_run() {
    let mut machine = Namespace::usual();
    machine.unit("d", &shell("echo running; exec sleep 100000"));
    // Between a pipe and the notes of its unit PID 1 is slow.
    let trace = machine.trace(&["trace=sendto", "inject=sendto:delay_enter=200000"]);
    machine.boot();
    machine.expect(&["d up"]);
    drop(trace);
    machine.until("its word is there", |machine| machine.ettan("logs d").out.contains(" running"));
    let log = machine.ettan("logs d").ok();
    let leads = log.lines().filter_map(|line| line.get(24..)).collect::<Vec<_>>();
    assert_eq!(leads[..2], ["*starting", " running"], "{log}");
}

#[test]
fn f6_11_last_words_of_a_unit_that_is_gone_outlive_a_logger_that_did_not_read_them() {
    let mut machine = Namespace::usual();
    let script = "until [ -e /run/go ]; do sleep 0.02; done; echo last words; exit 1";
    machine.unit("d", &format!("{}restart = \"no\"\n", shell(script)));
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("it is logged", |machine| machine.ettan("logs d").out.contains("*up"));
    let before = pipes(&machine);
    let logger = machine.main_pid("ettan-log");
    let _ = machine.sh(&format!("kill -STOP {logger} && touch /run/go")).ok();
    machine.expect(&["d failed"]);
    let _ = machine.sh("rm /etc/units/d.toml").ok();
    machine.until("it is gone", |machine| {
        let _ = machine.ettan("reload-units");
        machine.ettan("is-active d").code == 4
    });
    // The load after that is when its pipe would be closed; and another unit has its place.
    machine.unit("a", &shell("echo other words; exec sleep 100000"));
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.expect(&["a up"]);
    machine.kill9(logger);
    machine.until("they are there", |machine| machine.ettan("logs d").out.contains("last words"));
    machine.until("and no others", |machine| machine.ettan("logs a").out.contains("other words"));
    assert!(!machine.ettan("logs a").out.contains("last words"));
    machine.until("its pipe is closed", |machine| {
        let _ = machine.ettan("reload-units");
        pipes(machine) == before
    });
    assert!(!machine.kmsg().contains("spins"), "{}", machine.kmsg());
}

/// The helper that runs as `init WORD`.
pub(crate) fn helper(machine: &mut dyn Machine, word: &str) -> Option<i32> {
    let all = machine.processes().into_iter();
    let helpers = all.filter(|process| process.parent == 1 && !process.is_zombie());
    helpers
        .filter(|process| process.command.ends_with(&format!(" {word}")))
        .map(|process| process.pid)
        .next()
}

/// 100 of them, and random ones, are a test of the logger alone.
const KILLS: u32 = 10;

#[test]
fn f6_1_logger_killed_often_under_load_loses_nothing() {
    scenarios::killed_logger_loses_nothing(&mut Namespace::usual(), KILLS);
}

/// What a unit wrote to its output and to standard error, from all files of its log.
fn both_streams(machine: &mut Namespace, unit: &str) -> [String; 2] {
    let log =
        machine.sh(&format!("cat /run/log/ettan/{unit}/@* /run/log/ettan/{unit}/current")).out;
    let mut streams = [String::new(), String::new()];
    for line in log.lines() {
        let [output, errors] = &mut streams;
        let (stream, goes_on) = match line.get(24..25) {
            Some(" ") => (output, false),
            Some("+") => (output, true),
            Some("!") => (errors, false),
            Some("-") => (errors, true),
            _ => continue,
        };
        if goes_on {
            assert_eq!(stream.pop(), Some('\n'));
        }
        stream.push_str(&line[25..]);
        stream.push('\n');
    }
    streams
}

#[test]
fn f6_1_logger_killed_often_loses_nothing_of_either_stream() {
    let mut machine = Namespace::usual();
    let counter = "n=0; while [ ! -e /run/stop ] && [ $n -lt 20000 ]; do n=$((n + 1)); \
                   echo number $n || echo BAD; echo number $n >&2 || echo BAD; \
                   [ $((n %% 100)) -gt 0 ] || sleep 0.1; done; echo last; echo last >&2; exec sleep 100000";
    let keys = "standard-error = \"log:err\"\n[log]\nmax-files = 1000\n";
    machine.unit("d", &format!("{}{keys}", shell(counter)));
    machine.boot();
    machine.expect(&["d up"]);
    let pid = machine.main_pid("d");
    scenarios::kill_the_logger(&mut machine, KILLS);
    let _ = machine.sh("touch /run/stop").ok();
    machine.until("the last lines are there", |machine| {
        both_streams(machine, "d").iter().all(|said| said.ends_with("last\n"))
    });
    for said in both_streams(&mut machine, "d") {
        let count = said.lines().count() - 1;
        assert!(count > 0);
        let numbers = (1..=count).map(|n| format!("number {n}\n")).collect::<String>();
        let same = said.bytes().zip(numbers.bytes()).take_while(|(a, b)| a == b).count();
        assert!(said == numbers + "last\n", "wrong from byte {same} on: {:.80}", &said[same..]);
    }
    assert_eq!(machine.main_pid("d"), pid);
}

/// How many ends of pipes PID 1 holds.
fn pipes(machine: &Namespace) -> usize {
    let fds = std::fs::read_dir(format!("/proc/{}/fd", machine.init())).expect("descriptors");
    let is_pipe = |fd: std::path::PathBuf| {
        std::fs::read_link(fd).is_ok_and(|what| what.to_string_lossy().starts_with("pipe:"))
    };
    fds.flatten().filter(|fd| is_pipe(fd.path())).count()
}

#[test]
fn standard_error_is_told_apart_where_a_unit_asks_for_it() {
    let mut machine = Namespace::usual();
    let step = |n: u32| format!("until [ -e /run/{n} ]; do sleep 0.02; done; ");
    let script = format!("echo one; {}echo two >&2; {}echo three; ", step(1), step(2));
    let script = format!("{script}exec sleep 100000");
    let unit = |keys: &str| format!("{}{QUICK}{keys}", shell(&script));
    machine.unit("d", &unit(""));
    machine.boot();
    machine.expect(&["d up"]);
    let tell = |machine: &mut Namespace| {
        let logged = |machine: &mut Namespace, times: usize, word: &str| {
            machine.until(word, |m| m.ettan("logs d").out.matches(word).count() == times);
        };
        let times = machine.ettan("logs d").out.matches(" one").count();
        let _ = machine.sh("touch /run/1").ok();
        logged(machine, times, "two");
        let _ = machine.sh("touch /run/2").ok();
        logged(machine, times, "three");
        let _ = machine.sh("rm /run/1 /run/2").ok();
        let log = machine.ettan("logs d").ok();
        let lines = log.lines().filter_map(|line| line.get(24..));
        lines.filter(|line| !line.starts_with('*')).map(str::to_owned).collect::<Vec<_>>()
    };
    machine.until("it has begun", |m| m.ettan("logs d").out.contains(" one"));
    assert!(tell(&mut machine).ends_with(&[" one", " two", " three"].map(str::to_owned)));
    // Not earlier: logger and watcher, which start after the first units, have pipes too.
    machine.until("the watcher runs", |m| m.ettan("is-active ettan-watch").code == 0);
    let before = pipes(&machine);
    // A reload that adds the key.
    machine.unit("d", &unit("standard-error = \"log:err\"\n"));
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.until("it has begun", |m| m.ettan("logs d").out.matches(" one").count() == 2);
    assert_eq!(tell(&mut machine), [" one", " two", " three", " one", "!two", " three"]);
    let bad = machine.ettan("logs -p err d").ok();
    assert!(bad.lines().count() == 1 && bad.ends_with("!two"), "{bad}");
    let json = machine.ettan("logs --json d").ok();
    assert_eq!(json.matches("\"kind\":\"error\"").count(), 1, "{json}");
    assert!(machine.ettan("status").ok().contains(" d!two"));
    assert_eq!(pipes(&machine), before + 2);
    // And one that takes it away.
    machine.unit("d", &unit(""));
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.until("it has begun", |m| m.ettan("logs d").out.matches(" one").count() == 3);
    assert!(tell(&mut machine).ends_with(&[" one", " two", " three"].map(str::to_owned)));
    // A pipe that was made stays until its unit is gone.
    assert_eq!(machine.sh("ettan stop d && rm /etc/units/d.toml").code, 0);
    machine.until("all of its pipes are closed", |m| {
        let _ = m.ettan("reload-units");
        pipes(m) == before - 2
    });
}

#[test]
fn logs_are_rotated_by_size() {
    let mut machine = Namespace::usual();
    let flood = "n=0; while [ $n -lt 20000 ]; do n=$((n + 1)); \
                 echo number $n xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done; exec sleep 100000";
    machine.unit("d", &shell(flood));
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("the last line is there", |machine| {
        machine.ettan("logs d").out.contains("number 20000")
    });
    let size: u64 = machine.sh("du -sb /run/log/ettan/d | cut -f1").ok().parse().expect("a size");
    assert!(size < 2_000_000, "{size} bytes are kept");
    assert!(machine.sh("ls /run/log/ettan/d").ok().lines().count() > 1);
}

#[test]
fn a_unit_says_how_its_log_is_kept_and_a_reload_holds_at_once() {
    let mut machine = Namespace::usual();
    let clock = shell("while sleep 0.1; do echo tick; done");
    let unit = |log: &str| format!("{clock}[log]\n{log}\n");
    machine.unit("d", &unit("timestamps = \"none\"\nuser = 7"));
    machine.boot();
    machine.expect(&["d up"]);
    let _ =
        machine.sh("exec 3<> /run/words; echo first >&3; sleep 1000 & echo $! > /run/holder").ok();
    machine.until("it is there as it is", |machine| {
        machine.sh("grep -x tick /run/log/ettan/d/current").code == 0
    });
    assert_eq!(machine.sh("stat -c %u /run/log/ettan/d/current").ok(), "7");
    let pid = machine.main_pid("d");
    machine.unit("d", &unit("timestamps = \"tai64n\""));
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.until("it is stamped", |machine| {
        machine.sh("grep '^@4000.* tick' /run/log/ettan/d/current").code == 0
    });
    assert_eq!(machine.main_pid("d"), pid);
}

#[test]
fn a_log_on_disk_is_there_when_its_unit_crashed() {
    let mut machine = Namespace::usual();
    let crash = shell("echo last words; kill -9 $$");
    machine.unit("d", &format!("{crash}restart = \"no\"\n[log]\nstorage = \"flush\"\n"));
    machine.boot();
    machine.expect(&["d failed"]);
    machine.until("it is on the disk", |machine| {
        let log = machine.sh("cat /var/log/ettan/d/current").out;
        log.contains(" last words") && log.contains("*ended: killed by signal 9")
    });
}

#[test]
fn f6_2_flood_does_not_slow_the_others() {
    let mut machine = Namespace::usual();
    machine.unit("flood", &shell("exec yes a line that is repeated for ever and ever"));
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    machine.until("the flood runs", |machine| machine.ettan("is-active flood").code == 0);
    for _ in 0..5 {
        let pid = machine.main_pid("web");
        machine.kill9(pid);
        machine.expect(&["web up"]);
    }
    assert_eq!(machine.ettan("stop flood").code, 0);
}

#[test]
fn control_characters_are_escaped_on_a_terminal() {
    let mut machine = Namespace::usual();
    machine.unit("d", &shell("printf 'evil \\033[31m red\\n'; exec sleep 100000"));
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("the line is there", |machine| machine.ettan("logs d").out.contains("evil"));
    let shown = machine.sh("script -qec 'ettan logs d' /dev/null </dev/null").out;
    assert!(shown.contains("evil") && !shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn logs_are_merged_and_asked_for_by_time_and_severity() {
    let mut machine = Namespace::usual();
    let words = shell("echo first; sleep 0.1; echo '<3>bad'; sleep 0.1; exec sleep 100000");
    machine.unit("one", &words);
    machine.unit("two", &with("after = [\"one\"]", &fake("--name two --syslog third")));
    machine.boot();
    machine.until("all is there", |machine| {
        let log = machine.ettan("logs one two").out;
        log.contains("bad") && log.contains("third")
    });
    let log = machine.ettan("logs one two").ok();
    let times: Vec<_> = log.lines().filter_map(|line| line.get(..24)).collect();
    assert!(
        times.is_sorted() && log.contains(" one first") && log.contains(" two<29>two["),
        "{log}"
    );
    let bad = machine.ettan("logs -p err one two").ok();
    assert!(bad.lines().count() == 1 && bad.ends_with(" one <3>bad"), "{bad}");
    assert_eq!(machine.ettan("logs --until 2001-01-01 one two").ok(), "");
    assert_eq!(machine.ettan("logs --since 1h --boot one two").ok().lines().count(), times.len());
    assert_eq!(machine.ettan("logs --since whenever one").code, 2);
    let json = machine.ettan("logs --json two").ok();
    let third = json.lines().find(|line| line.contains("third")).unwrap_or_default();
    let third: serde_json::Value = serde_json::from_str(third).expect("an object");
    assert_eq!((&third["facility"], &third["severity"]), (&3.into(), &5.into()));
    assert!(third["up_ms"].is_u64() && third["boot"].is_string(), "{third}");
    let status = machine.ettan("status").ok();
    assert!(status.contains("last errors:") && status.contains(" one <3>bad"), "{status}");
    let one = machine.ettan("status one").out;
    assert!(one.contains(" first"), "{one}");
    let local = "ln -s /usr/bin/ettan /run/tai64nlocal; \
                 echo '@400000004d52960a1dcd6500 x' | TZ=UTC0 /run/tai64nlocal";
    let local = machine.sh(local);
    assert_eq!(local.out.trim(), "2011-02-09 13:26:24.500000000 x");
}

#[test]
fn ettans_own_log_begins_with_the_first_line() {
    let mut machine = Namespace::usual();
    machine.unit("d", &idle());
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("it is there", |machine| machine.ettan("logs").out.contains("d: up"));
    let log = machine.ettan("logs").ok();
    let first = log.lines().next().unwrap_or_default();
    assert!(first.contains(" Ettan ") && first.ends_with(" is PID 1"), "{log}");
}

#[test]
fn following_survives_rotation_and_the_loggers_death() {
    let mut machine = Namespace::usual();
    machine.unit("d", &fake("--name d --lines 20000"));
    machine.unit("watcher", &shell("exec ettan logs -f -n 0 e >/tmp/followed"));
    machine.unit(
        "e",
        &with(
            "wants = [\"watcher\"]",
            &shell(
                "while [ ! -e /tmp/go ]; do sleep 0.05; done; n=0; \
         while [ $n -lt 20000 ]; do n=$((n + 1)); echo number $n; done; exec sleep 100000",
            ),
        ),
    );
    machine.boot();
    machine.expect(&["e up"]);
    machine.until("it follows", |machine| {
        machine.sh("ls -l /proc/$(pgrep -f '[l]ogs -f')/fd").out.contains("inotify")
    });
    machine.sh("touch /tmp/go");
    if let Some(pid) = helper(&mut machine, "log") {
        let _ = machine.sh(&format!("kill -9 {pid}"));
    }
    machine.until("the last is there", |m| {
        m.sh("tail -n 3 /tmp/followed").out.contains("number 20000")
    });
    let log = machine.sh("cat /tmp/followed").ok();
    let numbers: Vec<_> = log.lines().filter_map(|line| line.split_once(" number ")).collect();
    assert_eq!(numbers.len(), 20_000);
}

/// Counts, and says so until the end.
fn counter(storage: &str) -> String {
    let count = "trap 'echo last $n; exit 0' TERM; n=0; \
                 while :; do n=$((n + 1)); echo number $n; sleep 0.05; done";
    format!("{}[log]\nstorage = \"{storage}\"\n", shell(count))
}

fn is_counted(log: &str) -> bool {
    let lines = log.lines().filter_map(|line| line.get(24..)?.strip_prefix(' '));
    // What the shell says of the sleep that was ended with it.
    let lines = lines.filter(|line| *line != "Terminated");
    let (numbers, last): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("number "));
    let in_order = numbers
        .iter()
        .enumerate()
        .all(|(n, line)| *line == format!("number {}", n.saturating_add(1)));
    in_order && !numbers.is_empty() && last == [format!("last {}", numbers.len())]
}

#[test]
fn logs_are_brought_to_the_disk_when_asked() {
    let mut machine = Namespace::usual();
    machine.unit("d", &counter("flush"));
    machine.unit("e", &idle());
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("it counts", |machine| machine.ettan("logs d").out.contains("number 5"));
    assert_ne!(machine.sh("ls /var/log/ettan/d/current").code, 0);
    let before = machine.ettan("logs d").ok();
    assert_eq!(machine.ettan("logs --flush").ok(), "1 log on disk");
    let last = before.lines().last().and_then(|line| line.get(24..)).expect("a line");
    assert!(machine.sh("cat /var/log/ettan/d/current").ok().contains(last), "{last}");
    assert_ne!(machine.sh("ls /var/log/ettan/e").code, 0);
    // A disk that does not take it is told of.
    let _ = machine.sh("mv /var/log/ettan /var/log/old && touch /var/log/ettan").ok();
    machine.until("a flush fails", |machine| {
        let refused = machine.ettan("logs --flush");
        refused.code == 1 && refused.err.contains("d: not all of its log is on the disk: ")
    });
}

#[test]
fn what_is_kept_on_a_disk_is_whole_after_the_end_of_the_machine() {
    for (end, expected) in [("ettan reboot", End::Reboot), ("ettan poweroff", End::Off)] {
        let mut machine = Namespace::usual();
        machine.unit("disk", &counter("disk"));
        machine.unit("flush", &counter("flush"));
        machine.boot();
        machine.expect(&["disk up", "flush up"]);
        let _ = machine.sh("mkdir -p /var/log/ettan").ok();
        let kept = std::fs::File::open(machine.root().join("var/log/ettan")).expect("a folder");
        machine.until("both count", |machine| {
            ["disk", "flush"]
                .iter()
                .all(|name| machine.ettan(&format!("logs {name}")).out.contains("number 5"))
        });
        let _ = machine.sh(end);
        assert_eq!(machine.end(), expected);
        for name in ["disk", "flush"] {
            // The folder is open: its file system is there when the machine is not.
            let path = format!("/proc/self/fd/{}/{name}/current", kept.as_raw_fd());
            let log = std::fs::read_to_string(&path).expect(name);
            assert!(is_counted(&log) && log.contains("*ended: "), "{log}");
        }
    }
}

#[test]
fn failing_power_brings_logs_to_the_disk_before_anything_is_stopped() {
    let mut machine = Namespace::usual();
    // Nothing else brings it there: it does not end before it is told to.
    let stubborn = "trap 'while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 0' TERM; \
                    echo said before; while :; do sleep 0.05; done";
    let keys = "timeout-stop-sec = \"100s\"\n[log]\nstorage = \"flush\"\n";
    machine.unit("d", &format!("{}{keys}", shell(stubborn)));
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("it has spoken", |m| m.ettan("logs d").out.contains("said before"));
    let _ = machine.sh("kill -PWR 1").ok();
    let disk = machine.root().join("var/log/ettan/d/current");
    let memory = machine.root().join("run/log/ettan/d/current");
    machine.until("it is on the disk", |_| {
        std::fs::read_to_string(&disk).is_ok_and(|log| log.contains("said before"))
    });
    let log = std::fs::read_to_string(&memory).expect("a log");
    assert!(!log.contains("*ended"), "{log}");
    let _ = machine.sh("touch /tmp/go");
    assert_eq!(machine.end(), End::Off);
}

#[test]
fn a_reset_that_is_near_brings_logs_to_the_disk() {
    let mut machine = Namespace::usual();
    machine.unit("d", &counter("flush"));
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("it counts", |machine| machine.ettan("logs d").out.contains("number 5"));
    let disk = machine.root().join("var/log/ettan/d/current");
    assert!(!disk.exists());
    let _ = machine.ettan("condition reset-ahead set").ok();
    machine.until("it is on the disk", |_| {
        std::fs::read_to_string(&disk).is_ok_and(|log| log.contains("number 5"))
    });
}

#[test]
fn lines_go_to_further_logs_and_start_units() {
    let mut machine = Namespace::usual();
    let log = "[log]\n[[log.route]]\nname = \"bad\"\nmatch = [\"*failed*\", \"*third*\"]\n\
               exclude = \"*not so bad*\"\ndirectory = \"/var/log/bad\"\nalert = \"mail\"\n";
    let words = "echo first; echo it failed; echo failed but not so bad; exec sleep 100000";
    machine.unit("d", &format!("{}{log}", shell(words)));
    let log = log.replace("directory = \"/var/log/bad\"\n", "");
    machine.unit("telldusd", &format!("{}{log}", fake("--name telldusd --syslog third")));
    // What has a timer is not started by the boot.
    let mail = "[service]\ntype = \"oneshot\"\nexec-start = \"/usr/bin/ettan logs d.bad\"\n\
                [timer]\nevery = \"1h\"\n";
    machine.unit("mail", mail);
    machine.boot();
    machine.until("all of it is there", |machine| {
        machine.ettan("logs telldusd.bad").out.contains("third")
            && machine.sh("cat /var/log/bad/current").out.contains(" it failed")
    });
    let log = machine.ettan("logs d.bad").ok();
    let lines: Vec<_> = log.lines().filter_map(|line| line.get(24..)).collect();
    assert_eq!(lines, [" it failed"]);
    machine.until("a unit was started for it", |machine| {
        machine.ettan("logs mail").out.contains("it failed")
    });
}

#[test]
fn former_boots_are_read_from_the_disk_and_status_tells_of_it() {
    let mut machine = Namespace::usual();
    machine.unit("d", &counter("flush"));
    let former =
        "1999-01-01T00:00:00.000Z=up 1.000 boot abc\n1999-01-01T00:00:00.000Z former words\n";
    machine.write("/var/log/ettan/d/current", former.as_bytes());
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("it counts", |machine| machine.ettan("logs d").out.contains("number 5"));
    let is_whole = |log: &str| {
        ["former words", " number 1\n", " number 5\n"]
            .iter()
            .all(|one| log.matches(one).count() == 1)
    };
    let log = machine.ettan("logs d").ok() + "\n";
    assert!(is_whole(&log) && log.starts_with("1999"), "{log}");
    let _ = machine.ettan("logs --flush").ok();
    let log = machine.ettan("logs d").ok() + "\n";
    assert!(is_whole(&log), "{log}");
    assert!(!machine.ettan("logs -b d").ok().contains("former"));
    let status = machine.ettan("status d").out;
    assert!(status.contains("flash: on disk, ") && status.contains(" written today"), "{status}");
    let status = machine.ettan("status").out;
    assert!(status.contains("flash: 1 log on disk, "), "{status}");
    assert!(machine.status("d")["disk_today_bytes"].as_u64() > Some(100));
}
