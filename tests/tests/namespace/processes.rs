//! F1: what processes do to themselves, to each other and to us.

use ettan_tests::units::{QUICK, fake, forking, idle, shell, with};
use ettan_tests::{Builder, Cgroups, Machine, Namespace, Operate, Process};

#[test]
fn f1_1_every_kind_of_death_is_named() {
    let mut machine = Namespace::usual();
    let deaths = [
        ("code", "exit 7", "7"),
        ("kill", "kill -KILL $$", "KILL"),
        ("segv", "kill -SEGV $$", "SEGV"),
        ("abrt", "kill -ABRT $$", "ABRT"),
        ("good", "exit 0", "0"),
    ];
    for (name, script, _) in deaths {
        machine.unit(name, &format!("{}restart = \"no\"\n", shell(script)));
    }
    machine.boot();
    machine.has_units();
    for (name, _, word) in deaths {
        machine.until("it has ended", |machine| !machine.status(name)["last_exit"].is_null());
        let status = machine.status(name);
        assert!(status["last_exit"].as_str().is_some_and(|text| text.contains(word)), "{status}");
    }
}

#[test]
fn f1_1_kill_storm() {
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    for count in 1..=50 {
        let pid = machine.main_pid("web");
        machine.kill9(pid);
        machine.expect(&["web up"]);
        assert_eq!(machine.status("web")["restarts"], count);
    }
    assert_eq!(machine.running("sleep 100000").len(), 1);
}

#[test]
fn f1_2_stopped_service_is_not_dead_and_can_be_stopped() {
    let mut machine = Namespace::usual();
    machine.unit("d", &fake("--name d --events /tmp/d.events"));
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("it hears signals", |machine| {
        machine.sh("cat /tmp/d.events").out.contains("d daemon started")
    });
    let pid = machine.main_pid("d");
    let _ = machine.sh(&format!("kill -STOP {pid}")).ok();
    machine.until("it stands still", |machine| {
        machine.processes().iter().any(|process| process.pid == pid && process.state == 'T')
    });
    assert_eq!(machine.ettan("is-active d").code, 0);
    assert_eq!(machine.ettan("stop d").code, 0);
    // It was woken up and could go in order.
    assert!(machine.sh("cat /tmp/d.events").ok().contains("d daemon exits 0"));
}

#[test]
fn f1_5_traced_service_can_be_stopped() {
    let mut machine = Namespace::usual();
    machine.unit("d", &format!("{}timeout-stop-sec = \"100ms\"\n", fake("--name d --ignore TERM")));
    machine.boot();
    machine.expect(&["d up"]);
    let pid = machine.main_pid("d");
    let _ = machine
        .sh(&format!("setsid strace -o /tmp/trace -p {pid} >/dev/null 2>&1 </dev/null &"))
        .ok();
    machine.until("it is traced", |machine| {
        machine.sh(&format!("grep -q 'TracerPid:.[1-9]' /proc/{pid}/status")).code == 0
    });
    assert_eq!(machine.ettan("stop d").code, 0);
    assert!(machine.running("--name d").is_empty());
}

#[test]
fn f1_6_orphans_are_reaped() {
    let mut machine = Namespace::usual();
    machine.unit("d", &fake("--name d --orphans 20"));
    machine.boot();
    machine.expect(&["d up"]);
    let _ = machine.sh("setsid sh -c 'sleep 0.01 & exit' >/dev/null 2>&1 </dev/null &").ok();
    machine.until("no zombie is left", |machine| {
        let processes = machine.processes();
        !processes.iter().any(Process::is_zombie)
            && !processes.iter().any(|process| process.command.contains("--role orphan"))
    });
    assert_eq!(machine.ettan("is-active d").code, 0);
}

/// The main process dies and leaves its children behind: they go before the next start.
fn leftovers_go(machine: &mut dyn Machine) {
    machine.unit("d", &format!("{}{QUICK}", fake("--name d --children 3 --escapees 2")));
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("all six are there", |machine| machine.running("--name d").len() == 6);
    let old: Vec<i32> = machine.running("--name d").iter().map(|process| process.pid).collect();
    let main = machine.main_pid("d");
    machine.kill9(main);
    machine.expect(&["d up"]);
    assert!(old.iter().all(|pid| !machine.alive(*pid)), "leftovers live on beside the new ones");
    machine.until("all six are back", |machine| machine.running("--name d").len() == 6);
}

#[test]
fn f1_7_children_left_behind_go_before_the_restart() {
    leftovers_go(&mut Namespace::usual());
}

#[test]
fn f1_7_children_left_behind_go_before_the_restart_without_cgroups() {
    leftovers_go(&mut Builder::default().cgroups(Cgroups::Missing).build());
}

#[test]
fn f1_9_fork_bomb_can_be_stopped() {
    let mut machine = Namespace::usual();
    // Process ids of this namespace run out at once; the bomb goes on trying.
    let limited =
        machine.sh("mount -t proc proc /mnt && echo 400 >/mnt/sys/kernel/pid_max && umount /mnt");
    if limited.code != 0 {
        eprintln!("skipped: this kernel has no pid_max for each namespace");
        return;
    }
    // A moment's rest after each refusal: it is Ettan that is tried here, not the host.
    let bomb = "exec perl -e '$SIG{TERM} = q(IGNORE); \
                while (1) { defined fork or select undef, undef, undef, 0.05 }'";
    let keys = "timeout-stop-sec = \"100ms\"\nrestart = \"no\"\n";
    machine.unit("bomb", &format!("{}{keys}", shell(bomb)));
    machine.unit("web", &idle());
    machine.boot();
    machine_under_fire(&mut machine);
}

fn machine_under_fire(machine: &mut Namespace) {
    let socket = machine.socket();
    {
        machine.expect(&["bomb up"]);
        machine.until("ids run out", |machine| machine.processes().len() > 200);
        machine.until("the socket is there", |_| socket.exists());
    }
    let answer =
        machine.ask(r#"{"verb":"stop","unit":"bomb","wait":true}"#, &["done", "failed", "error"]);
    assert!(answer.iter().any(|packet| packet["reply"] == "done"), "{answer:?}");
    assert!(machine.running("perl").is_empty());
    // Where the bomb had the last id before `web` was started, `web` waits for its next try.
    machine.until("web is up", |machine| machine.ettan("is-active web").code == 0);
}

#[test]
fn f1_10_fork_that_fails_is_tried_again() {
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    let pid = machine.main_pid("web");
    let trace = machine.trace(&[
        "trace=clone,clone3,vfork,fork",
        "inject=clone,clone3,vfork,fork:error=EAGAIN:when=1..6",
    ]);
    machine.kill9(pid);
    machine.expect(&["web backoff", "web up"]);
    assert!(trace.log().contains("EAGAIN"), "{}", trace.log());
    drop(trace);
    assert_eq!(machine.running("sleep 100000").len(), 1);
}

/// Makes the next process of the machine that is started by `sh` have this id.
fn sleeper_with_pid(machine: &mut dyn Machine, pid: i32) {
    let script = format!(
        "mount -t proc proc /mnt; exec 9>/mnt/sys/kernel/ns_last_pid; \
         echo {} >&9; setsid sleep 88888 >/dev/null 2>&1 </dev/null 9>&- & umount -l /mnt",
        pid - 1
    );
    assert_eq!(machine.sh(&script).code, 0);
    machine.until("the newcomer runs", |machine| machine.running("sleep 88888").len() == 1);
    assert_eq!(machine.running("sleep 88888")[0].pid, pid, "another process took the id");
}

#[test]
fn f1_11_reused_pid_is_never_hit() {
    let mut machine = Namespace::usual();
    machine.unit("gone", &format!("{}restart = \"no\"\n", idle()));
    machine.boot();
    machine.expect(&["gone up"]);
    let pid = machine.main_pid("gone");
    machine.kill9(pid);
    machine.until("it is reaped", |machine| {
        !machine.processes().iter().any(|process| process.pid == pid)
    });
    sleeper_with_pid(&mut machine, pid);
    assert_eq!(machine.ettan("kill -s KILL gone").code, 7);
    assert_eq!(machine.ettan("stop gone").code, 0);
    assert_eq!(machine.ettan("restart gone").code, 0);
    assert_eq!(machine.ettan("stop gone").code, 0);
    assert!(machine.alive(pid), "the newcomer was hit");
}

/// Makes `pid` the next number that the kernel gives; no process is made after that.
fn next_pid(machine: &mut Namespace, pid: i32) {
    let script = format!(
        "mount -t proc proc /mnt && exec 9>/mnt/sys/kernel/ns_last_pid && umount -l /mnt && echo {} >&9",
        pid - 1
    );
    assert_eq!(machine.sh(&script).code, 0);
}

#[test]
fn f1_12_pid_reused_by_another_service() {
    let mut machine = Namespace::usual();
    machine.unit("old", &format!("{}restart = \"no\"\n", idle()));
    machine.unit("new", &format!("{}{QUICK}", shell("exec sleep 200000")));
    machine.boot();
    machine.expect(&["old up"]);
    assert_eq!(machine.ettan("stop new").code, 0);
    let pid = machine.main_pid("old");
    machine.kill9(pid);
    machine.expect(&["old failed"]);
    next_pid(&mut machine, pid);
    machine.ask(r#"{"verb":"start","unit":"new","wait":true}"#, &["done", "failed", "error"]);
    assert_eq!(machine.main_pid("new"), pid, "another process took the number");
    assert_eq!(machine.ettan("kill -s KILL old").code, 7);
    assert_eq!(machine.ettan("stop old").code, 0);
    assert!(machine.alive(pid), "the other service was hit");
    machine.kill9(pid);
    machine.expect(&["new up"]);
    assert_eq!(machine.status("old")["state"], "down");
}

/// The daemon died during its start, and its number went to a stranger before anybody looked.
fn reused_number_in_a_pid_file(machine: &mut dyn Machine) {
    machine.unit("stranger", &idle());
    machine.boot();
    machine.expect(&["stranger up"]);
    let stranger = machine.main_pid("stranger");
    let keys = "type = \"forking\"\npid-file = \"/run/gone.pid\"\ntimeout-start-sec = \"1h\"\n";
    let text = shell(&format!("echo {stranger} >/run/gone.pid"));
    machine.unit("gone", &format!("{text}{keys}"));
    assert_eq!(machine.ettan("--no-block reload-units").code, 0);
    machine.expect(&["gone seeking", "gone backoff", "gone seeking"]);
    assert!(machine.alive(stranger), "the stranger was hit");
}

#[test]
fn f1_11_reused_number_in_a_pid_file_is_not_waited_for() {
    reused_number_in_a_pid_file(&mut Namespace::usual());
}

#[test]
fn f1_11_reused_number_in_a_pid_file_is_not_waited_for_without_cgroups() {
    reused_number_in_a_pid_file(&mut Builder::default().cgroups(Cgroups::Missing).build());
}

/// Ten thousand orphans end at once while a service is killed.
#[test]
fn f1_13_ten_thousand_orphans() {
    let mut machine = Builder::default().seconds(180).build();
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    // Each is a grandchild whose parent goes; all wait at the FIFO and end together. It stays open
    // for the last of them, who may come to it late.
    let breed = "mkfifo /tmp/gate; perl -e '\
        for (1..10000) { \
            my $p = fork; \
            if ($p == 0) { fork and exit; open G, q(<), q(/tmp/gate); exit } \
            waitpid $p, 0; \
        } \
        open F, q(>), q(/tmp/bred); close F' && \
        (sleep 1000 3<>/tmp/gate </dev/null >/dev/null 2>&1 &)";
    assert_eq!(machine.sh(breed).code, 0);
    let web = machine.main_pid("web");
    machine.kill9(web);
    machine.expect(&["web up"]);
    machine.until("none is left", |machine| {
        let processes = machine.processes();
        !processes.iter().any(|process| process.is_zombie() || process.command.contains("perl"))
    });
    assert_eq!(machine.ettan("is-active web").code, 0);
}

#[test]
fn f1_14_storm_of_orphans_and_a_restart() {
    let mut machine = Builder::default().seconds(120).build();
    machine.unit("web", &format!("{}{QUICK}", idle()));
    let storm = "while :; do (true & true & true & true &); done";
    machine.unit("storm", &shell(storm));
    machine.boot();
    machine.expect(&["web up"]);
    machine.until("the storm blows", |machine| machine.ettan("is-active storm").code == 0);
    for _ in 0..5 {
        let web = machine.main_pid("web");
        machine.kill9(web);
        machine.expect(&["web up"]);
    }
    assert_eq!(machine.ettan("stop storm").code, 0);
    machine
        .until("no zombie is left", |machine| !machine.processes().iter().any(Process::is_zombie));
}

#[test]
fn f1_17_exit_before_anybody_looks() {
    let mut machine = Namespace::usual();
    let unit = "[service]\nexec-start = \"/bin/true\"\nrestart-sec = \"1ms\"\nrestart-max-delay-sec = \"1ms\"\n";
    for number in 0..5 {
        machine.unit(&format!("flash{number}"), unit);
    }
    machine.boot();
    machine.has_units();
    for number in 0..5 {
        let name = format!("flash{number}");
        machine.until("it has run a hundred times", |machine| {
            machine.status(&name)["restarts"].as_u64().is_some_and(|count| count > 100)
        });
        assert!(machine.status(&name)["last_exit"].as_str().is_some_and(|text| text.contains('0')));
    }
}

#[test]
fn f1_18_stop_while_a_restart_is_pending() {
    let mut machine = Namespace::usual();
    machine.unit(
        "bad",
        &format!("{}restart-sec = \"1h\"\nrestart-max-delay-sec = \"1h\"\n", shell("exit 1")),
    );
    machine.boot();
    machine.expect(&["bad backoff"]);
    assert_eq!(machine.ettan("stop bad").code, 0);
    assert_eq!(machine.status("bad")["state"], "down");
    assert_eq!(machine.ettan("--no-block start bad").code, 0);
    machine.expect(&["bad starting", "bad backoff"]);
}

#[test]
fn f1_18_stop_while_starting() {
    let mut machine = Namespace::usual();
    machine.unit("slow", &format!("{}type = \"oneshot\"\n", shell("sleep 100000")));
    machine
        .unit("never", &format!("{}timeout-start-sec = 0\n", forking("never", "--launcher-hangs")));
    machine.boot();
    machine.has_units();
    for unit in ["slow", "never"] {
        machine.until("it starts", |machine| machine.status(unit)["state"] == "starting");
        assert_eq!(machine.ettan(&format!("stop {unit}")).code, 0);
        assert_eq!(machine.status(unit)["state"], "down");
    }
    assert!(machine.running("sleep 100000").is_empty());
    assert!(machine.running("fake-daemon").is_empty());
}

#[test]
fn f1_19_service_restarts_itself() {
    let mut machine = Namespace::usual();
    let once = "if mkdir /tmp/once; then ettan restart self; fi; exec sleep 100000";
    machine.unit("self", &shell(once));
    machine.boot();
    machine.expect(&["self up", "self stopping", "self up"]);
    machine.until("one runs", |machine| {
        let all = machine.processes().into_iter();
        all.filter(|process| process.command == "sleep 100000").count() == 1
    });
    let asking = |process: &Process| process.command.starts_with("ettan ");
    assert!(!machine.processes().iter().any(asking));
}

#[test]
fn f1_20_child_holds_the_log_pipe() {
    let mut machine = Namespace::usual();
    machine.unit("d", &format!("{}{QUICK}", fake("--name d --escapees 1 --print hello")));
    machine.boot();
    machine.expect(&["d up"]);
    machine.until("the escapee runs", |machine| machine.running("--role escapee").len() == 1);
    let pid = machine.main_pid("d");
    machine.kill9(pid);
    machine.expect(&["d up"]);
    machine.until("the second run's line is there", |machine| {
        machine.ettan("logs d").out.matches("hello").count() == 2
    });
}

#[test]
fn a_requirement_that_fails_takes_its_dependant_along() {
    let mut machine = Namespace::usual();
    machine.unit("base", &format!("{}restart = \"no\"\n", idle()));
    machine.unit("top", &with("requires = [\"base\"]\nafter = [\"base\"]", &idle()));
    machine.boot();
    machine.expect(&["base up", "top up"]);
    assert_eq!(machine.ettan("stop base").code, 0);
    assert_eq!(machine.status("top")["state"], "down");
    assert!(machine.running("sleep 100000").is_empty());
}

#[test]
fn f1_4_restart_in_a_frozen_group() {
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}min-uptime-sec = \"1ms\"\n", idle()));
    machine.unit("other", &format!("{}min-uptime-sec = \"1ms\"\n", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    let web = machine.main_pid("web");
    let freeze = "echo 1 >$(find /sys/fs/cgroup -type d -path '*/ettan/web')/cgroup.freeze";
    assert_eq!(machine.sh(freeze).code, 0);
    machine.kill9(web);
    machine.expect(&["web up"]);
    let other = machine.main_pid("other");
    machine.kill9(other);
    machine.expect(&["other up"]);
}

#[test]
fn a_group_that_takes_nobody_is_made_anew_for_a_start() {
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    let which = "stat -c %i $(find /sys/fs/cgroup -type d -path '*/ettan/web')";
    let (first, group) = (machine.main_pid("web"), machine.sh(which).ok());
    // What the kernel says where the last run gave the group's controllers to groups below.
    let trace = machine.trace(&["trace=clone3", "inject=clone3:error=EBUSY:when=1"]);
    machine.kill9(first);
    machine.until("it is back", |machine| machine.is_up_anew("web", first));
    drop(trace);
    assert_ne!(machine.sh(which).ok(), group);
    assert_eq!(machine.status("web")["restarts"], 1, "the first start was none");
}
