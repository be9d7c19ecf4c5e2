//! The stories that run on every machine: a PID namespace here, emulated boards with `make
//! test-qemu`. Each takes a machine that has not booted.

use crate::units::{QUICK, fake, forking, idle, shell, with};
use crate::{End, Machine, Operate};

/// Units start in the order they ask for, and only then is the machine up.
pub fn boot_and_order(machine: &mut dyn Machine) {
    machine.unit("third", &with("after = [\"second\"]", &idle()));
    machine.unit("second", &with("requires = [\"first\"]\nafter = [\"first\"]", &idle()));
    machine.unit(
        "first",
        &format!("{}type = \"oneshot\"\nremain-after-exit = true\n", shell("exit 0")),
    );
    machine.unit(
        "group",
        &with("wants = [\"third\"]\nafter = [\"third\"]", "[service]\ntype = \"target\"\n"),
    );
    machine.boot();
    machine.expect(&["first starting", "first up", "second up", "third up", "group up"]);
    let first_up = machine.story().place("first up");
    let second_starts = machine.story().place("second starting");
    assert!(first_up < second_starts, "{:?}", machine.story().all());
    assert_eq!(machine.ettan("is-active third").code, 0);
    let pid = machine.main_pid("second");
    assert!(machine.alive(pid));
}

/// A foreground service that is killed is back at once, as another process.
pub fn restart_after_kill(machine: &mut dyn Machine) {
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.unit("other", &idle());
    machine.boot();
    machine.expect(&["web up"]);
    machine.until("other is up", |machine| machine.ettan("is-active other").code == 0);
    let (web, other) = (machine.main_pid("web"), machine.main_pid("other"));
    machine.kill9(web);
    machine.expect(&["web up"]);
    let again = machine.main_pid("web");
    assert_ne!(web, again);
    assert!(!machine.alive(web) && machine.alive(again));
    assert_eq!(machine.main_pid("other"), other, "the other unit was touched");
    let status = machine.status("web");
    assert_eq!(status["restarts"], 1, "{status}");
    assert!(status["last_exit"].to_string().contains("KILL"), "{status}");
}

/// A forking service that is killed is back at once, and its stale PID file misleads nobody.
pub fn restart_forking_after_kill(machine: &mut dyn Machine) {
    machine.unit("telldus", &format!("{}{QUICK}", forking("telldus", "--close-fds")));
    machine.boot();
    machine.expect(&["telldus up"]);
    for _ in 0..3 {
        let old = machine.main_pid("telldus");
        assert_eq!(machine.sh("cat /run/telldus.pid").ok(), old.to_string());
        machine.kill9(old);
        machine.expect(&["telldus up"]);
        let new = machine.main_pid("telldus");
        assert_ne!(old, new);
        assert_eq!(machine.running("--name telldus").len(), 1);
    }
}

/// A daemon that closes its streams and speaks by syslog(3) only is heard in its own log, with its
/// severity. A message of a process that is gone at once is somewhere, too.
pub fn words_by_syslog(machine: &mut dyn Machine) {
    let daemon = forking("telldus", "--close-fds --syslog \"a TellStick\"");
    machine.unit("speaker", &daemon);
    machine.boot();
    machine.expect(&["speaker up"]);
    let pid = machine.main_pid("speaker");
    machine.until("its words are there", |machine| {
        machine.ettan("logs speaker").out.contains(&format!("<29>telldus[{pid}]: a TellStick"))
    });
    assert_eq!(machine.sh("fake-daemon --foreground --exit-after 1 --syslog stray").code, 0);
    machine.until("the stray is there", |machine| {
        machine.sh("grep -h ': stray' /run/log/ettan/*/current").out.contains("]: stray")
    });
}

/// The logger is killed again and again while a service writes as fast as it can, and after four of
/// `kills` PID 1 is executed anew, after six it reads its units: each line is there once, in order.
pub fn killed_logger_loses_nothing(machine: &mut dyn Machine, kills: u32) {
    // A shell's echo fails on EPIPE, and says so.
    let counter = "n=0; while [ ! -e /run/stop ] && [ $n -lt 20000 ]; do n=$((n + 1)); echo number $n end || echo BAD; \
                   [ $((n %% 100)) -gt 0 ] || sleep 0.1; done; echo last $n; exec sleep 100000";
    machine.unit("d", &shell(counter));
    machine.boot();
    machine.expect(&["d up"]);
    kill_the_logger(machine, kills);
    let _ = machine.sh("touch /run/stop").ok();
    machine.until("the last line is there", |machine| {
        machine.sh("tail -q -n 3 /run/log/ettan/d/*").out.contains("last ")
    });
    // Counted there: a serial console is no place for all of it.
    let count = "cat /run/log/ettan/d/* | cut -c25- | grep '^ ' | awk '\
        $1 == \"last\" { print \"last\", $2, \"of\", n + 0; exit } \
        $1 != \"number\" || $2 != n + 1 || $3 != \"end\" { print \"line\", NR, \"is\", $0; exit } \
        { n = $2 }'";
    let counted = machine.sh(count).ok();
    let words: Vec<&str> = counted.split_whitespace().collect();
    assert!(
        matches!(words[..], ["last", last, "of", said] if last == said && said != "0"),
        "lost, doubled or out of order: {counted}"
    );
    assert_eq!(machine.ettan("is-active d").code, 0);
}

/// Kills the logger so often; after four times PID 1 is executed anew, after six it reads its units.
pub fn kill_the_logger(machine: &mut dyn Machine, kills: u32) {
    let mut killed = 0;
    while killed < kills {
        // Long enough to be started again at once.
        machine.until("the logger has run for a second", |machine| {
            let status = machine.status("ettan-log");
            let since = status["since_ms"].as_u64().unwrap_or(u64::MAX);
            status["state"] == "up" && status["now_ms"].as_u64() > since.checked_add(1_000)
        });
        let pid = machine.main_pid("ettan-log");
        killed += u32::from(machine.sh(&format!("kill -9 {pid}")).code == 0);
        match killed {
            // Across a new execution of PID 1 and a reload, too, where there is time for more kills:
            // a board counts notices, which begin anew then.
            4 => drop(machine.ettan("reexec")),
            6 => drop(machine.ettan("reload-units")),
            _ => {}
        }
    }
}

/// A service that takes more memory than `memory-max` is ended, and nobody else. Only for a machine
/// whose kernel gives cgroup v2 the memory controller.
pub fn memory_max_holds(machine: &mut dyn Machine) {
    // BusyBox's tail keeps as many bytes as it is asked for. The kernel tells of what it does then, on
    // the console where our answers come too: it is asked not to.
    let hog = shell("until [ -e /run/eat ]; do sleep 0.1; done; exec tail -c 64000000 /dev/zero");
    machine.unit("hog", &format!("{hog}memory-max = \"8M\"\nrestart = \"no\"\n"));
    machine.unit("other", &idle());
    machine.boot();
    machine.expect(&["hog up"]);
    assert_eq!(machine.sh("dmesg -n 1; touch /run/eat").code, 0);
    machine.expect(&["hog failed"]);
    let status = machine.status("hog");
    assert!(status["last_exit"].to_string().contains("KILL"), "{status}");
    machine.until("other is up", |machine| machine.ettan("is-active other").code == 0);
}

/// A service that always exits at once is started again and again with growing pauses, is
/// called what it is, and disturbs nobody.
pub fn crash_loop_backs_off(machine: &mut dyn Machine) {
    machine.unit("bad", &format!("{}restart-sec = \"20ms\"\n", shell("exit 3")));
    machine.unit("good", &idle());
    machine.boot();
    machine.expect(&["bad starting", "bad backoff", "bad starting", "bad backoff", "bad starting"]);
    machine.until("it is called crash-looping", |machine| {
        machine.status("bad")["crash_looping"] == true
    });
    let status = machine.status("bad");
    assert!(status["reason"].to_string().contains('3'), "{status}");
    assert_eq!(machine.ettan("is-active good").code, 0);
    assert_eq!(machine.told("good starting"), 1);
    // It never gives up, and a stop ends it in the middle of a pause.
    assert_eq!(machine.ettan("stop bad").code, 0);
    assert_eq!(machine.status("bad")["state"], "down");
}

/// After a stop no process of the service is left: neither its children nor those that moved
/// to sessions of their own and lost their parents.
pub fn stop_leaves_nothing(machine: &mut dyn Machine) {
    let crowd = "--name crowd --escapees 3 --escapees-ignore-term --children 2";
    machine.unit("crowd", &format!("{}timeout-stop-sec = \"200ms\"\n", fake(crowd)));
    machine.boot();
    machine.expect(&["crowd up"]);
    machine.until("all six are there", |machine| machine.running("--name crowd").len() == 6);
    assert_eq!(machine.ettan("stop crowd").code, 0);
    assert!(machine.running("--name crowd").is_empty());
    assert_eq!(machine.ettan("start crowd").code, 0);
    machine.expect(&["crowd down", "crowd up"]);
    machine.until("all six are back", |machine| machine.running("--name crowd").len() == 6);
    let main = machine.main_pid("crowd");
    let old: Vec<i32> = machine.running("--name crowd").iter().map(|process| process.pid).collect();
    machine.kill9(main);
    machine.expect(&["crowd up"]);
    assert!(old.iter().all(|pid| !machine.alive(*pid)), "leftovers of the first run live on");
}

/// A service that ignores TERM is killed when its time is over.
pub fn term_is_ignored(machine: &mut dyn Machine) {
    let unit = fake("--name deaf --ignore TERM");
    machine.unit("deaf", &format!("{unit}timeout-stop-sec = \"100ms\"\n"));
    machine.boot();
    machine.expect(&["deaf up"]);
    let pid = machine.main_pid("deaf");
    assert_eq!(machine.ettan("stop deaf").code, 0);
    assert!(!machine.alive(pid));
    machine.expect(&["deaf stopping", "deaf down"]);
}

/// The wall clock jumps by decades, to and fro: nothing restarts, nothing is late, nothing spins.
/// Only for a machine that has a wall clock of its own.
pub fn clock_jumps(machine: &mut dyn Machine) {
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.unit("loop", &format!("{}restart-sec = \"2s\"\n", shell("exit 1")));
    machine.boot();
    machine.expect(&["web up", "loop backoff", "loop starting", "loop backoff"]);
    let pid = machine.main_pid("web");
    for moment in ["@1000", "@2000000000", "@86400", "@1800000000"] {
        let _ = machine.sh(&format!("date -s {moment} >/dev/null")).ok();
        assert_eq!(machine.main_pid("web"), pid);
    }
    // A pause that was under way ends when it should have.
    machine.expect(&["loop starting", "loop backoff"]);
    let starts = machine.told("loop starting");
    assert!(starts < 8, "{starts} starts: a pause was cut short");
    machine.kill9(pid);
    machine.expect(&["web up"]);
}

/// A second in 2096, five before its minute is over: long past the last that 32 bits have room for.
const LATE: &str = "4000000015";

/// Past 2038, where a 32-bit board's own programs have no word for the time: units by the clock start,
/// logs are stamped and read, services restart. Only for a machine that has a wall clock of its own.
pub fn past_2038(machine: &mut dyn Machine) {
    let job = |timer: &str| {
        format!("{}type = \"oneshot\"\n[timer]\n{timer}\n", shell("echo its time has come"))
    };
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.unit("often", &job("on-boot-sec = 0\nevery = \"1s\""));
    machine.unit("late", &job("at = \"07:07 UTC\""));
    machine.boot();
    machine.expect(&["web up"]);
    let pid = machine.main_pid("web");
    let _ = machine.ettan("condition clock set").ok();
    let _ = machine.sh(&format!("fake-daemon --set-clock {LATE}")).ok();
    assert_eq!(machine.main_pid("web"), pid);
    machine.until("its minute has come", |machine| {
        machine.ettan("logs late").out.contains("2096-10-02T07:07:0")
    });
    // Once more at that minute: at first for the one that the clock jumped over.
    machine.until("it is over", |machine| machine.told("late down") == 2);
    let ran = machine.told("often down");
    machine.until("seconds go on", |machine| machine.told("often down") > ran + 2);
    let log = machine.ettan("logs -n 5 often").ok();
    assert!(log.contains("2096-10-02"), "{log}");
    // Since yesterday, by a clock that knows this day; and the next time is tomorrow.
    let log = machine.ettan("logs --since 1h late").ok();
    assert!(log.contains(" has come"), "{log}");
    let status = machine.status("late");
    let left = status["next_ms"].as_u64().zip(status["now_ms"].as_u64());
    assert!(
        left.is_some_and(|(at, now)| at - now <= 86_400_000 && at - now > 86_000_000),
        "{status}"
    );
    let told = machine.ettan("status late").out;
    assert!(told.contains("2096-10-03 07:07"), "{told}");
    assert!(machine.ettan("list --timers").ok().contains("late"));
    machine.kill9(pid);
    machine.until("it is back", |machine| machine.is_up_anew("web", pid));
    let _ = machine.ettan("reexec").ok();
    machine.until("PID 1 answers again", |machine| machine.ettan("list").code == 0);
    let ran = machine.told("often down");
    machine.until("seconds go on", |machine| machine.told("often down") > ran + 2);
}

/// A service whose lines are numbered, so that a lost one shows.
const COUNTS: &str = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.2; done";

/// `strikes` has process 1 fail so many times, and comes back when it is there again: everybody
/// else goes on, and is looked after as before. A new execution that was asked for is the same.
pub fn every_fault_costs_nothing(machine: &mut dyn Machine, strikes: &str, count: u64) {
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.unit("telldus", &format!("{}{QUICK}", forking("telldus", "")));
    machine.unit("counts", &shell(COUNTS));
    machine.boot();
    machine.expect(&["telldus up"]);
    let units = ["web", "telldus", "counts", "ettan-log", "ettan-watch"];
    let before = units.map(|unit| machine.main_pid(unit));
    let struck = machine.sh(strikes);
    eprintln!("{}", struck.out);
    let answered = struck.ok();
    assert!(answered.contains("overflow"), "{answered}");
    let said = machine.ettan("status --json").ok();
    assert!(said.contains(&format!("\"crashes\":{count},")), "{said}");
    assert_eq!(machine.ettan("reexec").code, 0);
    machine.until("it answers", |machine| machine.ettan("is-active counts").code == 0);
    assert_eq!(units.map(|unit| machine.main_pid(unit)), before, "a process was replaced");
    no_line_is_lost(machine);
    for unit in ["web", "telldus"] {
        let old = machine.main_pid(unit);
        machine.kill9(old);
        machine.until("it is back", |machine| machine.is_up_anew(unit, old));
        assert_eq!(machine.status(unit)["restarts"], 1, "{unit}");
    }
    let _ = machine.sh("ettan poweroff");
    assert_eq!(machine.end(), End::Off);
}

/// The numbered lines in the log of `counts` follow each other, and more come.
fn no_line_is_lost(machine: &mut dyn Machine) {
    let log = "cat /run/log/ettan/counts/current";
    let count = machine.sh(log).out.lines().count();
    machine.until("the log goes on", |machine| machine.sh(log).out.lines().count() > count);
    let log = machine.sh(log).ok();
    let numbers =
        log.lines().filter_map(|line| line.rsplit_once("line ")?.1.trim().parse::<usize>().ok());
    for (place, number) in numbers.enumerate() {
        assert_eq!(place + 1, number, "a line is missing or came twice");
    }
}

/// What shutdown must do before the machine ends: stop in reverse order, everything.
fn before_the_end(machine: &mut dyn Machine) {
    machine.unit("first", &idle());
    machine.unit("second", &with("after = [\"first\"]", &idle()));
    machine.unit("third", &with("after = [\"second\"]", &idle()));
    machine.boot();
    machine.expect(&["first up", "second up", "third up"]);
}

/// The notices of a shutdown in their order.
fn after_the_end(machine: &mut dyn Machine) {
    machine.expect(&["third down", "second down", "first down"]);
}

/// A command or signal from inside that ends the machine; what the kernel was told at last.
pub fn shutdown(machine: &mut dyn Machine, command: &str, end: &End) {
    before_the_end(machine);
    // The machine may go down before the command has said so.
    let _ = machine.sh(command);
    assert_eq!(machine.end(), *end, "{command}");
    after_the_end(machine);
}

/// As `shutdown`, by something that is done to the machine from outside.
pub fn shutdown_by<M: Machine>(machine: &mut M, act: impl FnOnce(&mut M), end: &End) {
    before_the_end(machine);
    act(machine);
    assert_eq!(machine.end(), *end);
    after_the_end(machine);
}
