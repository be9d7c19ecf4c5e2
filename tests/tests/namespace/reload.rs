//! Reading the unit files again, while everything runs.

use ettan_tests::units::{forking, idle, shell};
use ettan_tests::{Machine, Namespace, Operate};

fn booted(units: &[(&str, String)]) -> Namespace {
    let mut machine = Namespace::usual();
    for (name, text) in units {
        machine.unit(name, text);
    }
    machine.boot();
    for (name, _) in units {
        machine.until("it is up", |machine| machine.ettan(&format!("is-active {name}")).code == 0);
    }
    machine
}

#[test]
fn a_reload_changes_what_has_changed() {
    let mut machine = booted(&[("same", idle()), ("changed", idle()), ("policy", idle())]);
    let (same, changed, policy) =
        (machine.main_pid("same"), machine.main_pid("changed"), machine.main_pid("policy"));
    machine.unit("changed", &shell("exec sleep 200000"));
    machine.unit("policy", &format!("{}restart-sec = \"7s\"\n", idle()));
    machine.unit("new", &idle());
    let told = machine.ettan("start same changed").err;
    let edited = "changed: /etc/units/changed.toml has changed since it was read";
    assert!(told.contains(edited) && !told.contains("same.toml"), "{told}");
    let told = machine.ettan("reload-units");
    assert_eq!(told.code, 0);
    for line in ["changed: changed, and is restarted\n", "new: new\n", "policy: changed\n"] {
        assert!(told.out.contains(line), "{told:?}");
    }
    machine.until("the new one is up", |machine| machine.ettan("is-active new").code == 0);
    machine
        .until("the changed one runs anew", |machine| machine.running("sleep 200000").len() == 1);
    assert!(!machine.alive(changed));
    assert_eq!(machine.main_pid("same"), same);
    assert_eq!(machine.main_pid("policy"), policy);
    assert!(machine.status("policy")["restart"].as_str().is_some_and(|text| text.contains('7')));
}

#[test]
fn f5_8_broken_file_on_reload_keeps_the_old_unit() {
    let mut machine = booted(&[("web", idle()), ("other", idle())]);
    let (web, other) = (machine.main_pid("web"), machine.main_pid("other"));
    machine.unit("web", "[service\nexec-start = ");
    machine.unit("new", &idle());
    let _ = machine.ettan("reload-units");
    machine.until("the new one is up", |machine| machine.ettan("is-active new").code == 0);
    assert!(machine.alive(web) && machine.main_pid("other") == other);
    assert!(machine.ettan("status").out.contains("web.toml"));
    // Mended: it is the same unit as before.
    machine.unit("web", &idle());
    assert_eq!(machine.ettan("reload-units").code, 0);
    assert_eq!(machine.main_pid("web"), web);
    assert_eq!(machine.ettan("is-active web").code, 0);
}

/// A typo must not lose a service, not even when it crashes before somebody looks.
#[test]
fn f5_8_a_service_with_a_broken_file_comes_back_as_it_was() {
    let mut machine = booted(&[("web", idle()), ("daemon", forking("daemon", ""))]);
    for broken in ["[service\nexec-start = ", "[service]\nexec-start = \"/bin/x\"\nusr = \"a\"\n"] {
        machine.unit("web", broken);
        machine.unit("daemon", broken);
        let told = machine.ettan("reload-units");
        assert_eq!(told.code, 6, "{told:?}");
        assert!(told.err.contains("web.toml") && told.err.contains("daemon.toml"), "{told:?}");
        for unit in ["web", "daemon"] {
            let file = machine.status(unit)["file"].clone();
            assert!(file.as_str().is_some_and(|said| said.contains(&format!("{unit}.toml"))));
            let before = machine.main_pid(unit);
            assert_eq!(machine.status(unit)["orphaned"], false);
            machine.kill9(before);
            machine.until("it is back", |machine| machine.is_up_anew(unit, before));
            let told = machine.ettan("status").out;
            assert!(told.contains(&format!("{unit}.toml")), "{told}");
            assert!(told.contains("the former definition stays in force"), "{told}");
        }
        assert_eq!(machine.running("sleep 100000").len(), 1);
        assert!(machine.ettan("check").out.contains("web.toml"));
    }
    // Asked for, it starts as well.
    let told = machine.ettan("restart web");
    assert_eq!(told.code, 0);
    assert!(told.err.contains("web.toml"), "{told:?}");
    // Mended: in force again, and nothing more is said of it.
    machine.unit("web", &shell("exec sleep 200000"));
    machine.unit("daemon", &forking("daemon", ""));
    let daemon = machine.main_pid("daemon");
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.until("the mended one runs", |machine| machine.running("sleep 200000").len() == 1);
    assert_eq!(machine.main_pid("daemon"), daemon);
    assert!(!machine.ettan("status").out.contains(".toml"));
}

#[test]
fn f5_8_an_unreadable_directory_loses_no_service() {
    let mut machine = booted(&[("web", idle())]);
    let web = machine.main_pid("web");
    assert_eq!(machine.sh("chmod 0777 /etc/units").code, 0);
    assert_eq!(machine.ettan("reload-units").code, 6);
    assert!(machine.ettan("status").out.contains("stay as they were"));
    machine.kill9(web);
    machine.until("it is back", |machine| machine.is_up_anew("web", web));
    assert_eq!(machine.sh("chmod 0755 /etc/units; rm /etc/units/web.toml").code, 0);
    assert_eq!(machine.ettan("reload-units").code, 0);
    assert_eq!(machine.status("web")["orphaned"], true);
}

#[test]
fn f5_9_unit_removed_while_it_runs() {
    let mut machine = booted(&[("web", idle()), ("other", idle())]);
    let web = machine.main_pid("web");
    assert_eq!(machine.sh("rm /etc/units/web.toml").code, 0);
    assert_eq!(machine.ettan("reload-units").code, 0);
    assert!(machine.alive(web), "it was stopped");
    assert_eq!(machine.status("web")["orphaned"], true);
    assert_eq!(machine.ettan("stop web").code, 0);
    assert!(!machine.alive(web));
    assert_eq!(machine.ettan("start web").code, 5);
}

#[test]
fn f5_9_unit_removed_and_killed() {
    let mut machine = booted(&[("web", idle())]);
    let web = machine.main_pid("web");
    assert_eq!(machine.sh("rm /etc/units/web.toml").code, 0);
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.kill9(web);
    machine.until("it is gone for good", |machine| machine.ettan("is-active web").code == 4);
    assert!(machine.running("sleep 100000").is_empty());
}

#[test]
fn f5_9_unit_renamed_while_it_runs() {
    let mut machine = booted(&[("old", idle())]);
    let old = machine.main_pid("old");
    assert_eq!(machine.sh("mv /etc/units/old.toml /etc/units/new.toml").code, 0);
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.until("the new name is up", |machine| machine.ettan("is-active new").code == 0);
    assert!(machine.alive(old));
    // And back: the running process is its unit's again.
    assert_eq!(machine.sh("mv /etc/units/new.toml /etc/units/old.toml").code, 0);
    assert_eq!(machine.ettan("reload-units").code, 0);
    assert_eq!(machine.main_pid("old"), old);
    assert_eq!(machine.status("old")["orphaned"], false);
}

#[test]
fn f5_10_reload_storm() {
    let mut machine = booted(&[("web", idle())]);
    let web = machine.main_pid("web");
    let begun = std::time::Instant::now();
    let _ = machine.sh("for n in $(seq 500); do kill -HUP 1; done");
    let _ = machine.sh("for n in $(seq 20); do ettan --no-block reload-units & done; wait");
    machine.unit("last", &idle());
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.until("the last is up", |machine| machine.ettan("is-active last").code == 0);
    assert_eq!(machine.main_pid("web"), web);
    // At most one a second, however many ask; one at boot, one begun before, one to come.
    let loads = machine.told("ettan-load starting");
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap_or(usize::MAX);
    assert!(loads <= seconds + 3, "{loads} loads in {seconds} s");
}

#[test]
fn f5_11_reload_of_the_same_restarts_nothing() {
    let unit = format!("{}[service.environment]\nB = \"2\"\nA = \"1\"\n", idle());
    let mut machine = booted(&[("web", unit.clone()), ("db", forking("db", ""))]);
    let before = (machine.main_pid("web"), machine.main_pid("db"));
    for _ in 0..10 {
        // Rewritten, touched, a comment more: the same unit.
        machine.unit("web", &format!("# a comment\n{unit}"));
        assert_eq!(machine.ettan("reload-units").code, 0);
        let _ = machine.sh("kill -HUP 1").ok();
    }
    assert_eq!((machine.main_pid("web"), machine.main_pid("db")), before);
    assert_eq!(machine.told("web starting"), 1);
    assert_eq!(machine.told("db starting"), 1);
}

#[test]
fn f5_12_reload_while_a_pid_file_is_awaited() {
    let mut machine = Namespace::usual();
    machine.unit("d", &forking("d", "--pid-after 1000 --children 1"));
    machine.boot();
    machine.expect(&["d seeking"]);
    for _ in 0..3 {
        assert_eq!(machine.ettan("reload-units").code, 0);
    }
    machine.expect(&["d up"]);
    assert_eq!(machine.told("d starting"), 1);
    assert_eq!(machine.sh("cat /run/d.pid").ok(), machine.main_pid("d").to_string());
}

#[test]
fn a_killed_loader_is_a_failed_reload() {
    let mut machine = booted(&[("web", idle())]);
    let web = machine.main_pid("web");
    // A unit file that takes the loader for ever to read would do; so does a loader that is hunted.
    let hunter = "setsid perl -e 'while (1) { for (glob q(/proc/[0-9]*)) { m(/(\\d+)$) or next; \
                  my $p = $1; next if $p == 1 || $p == $$; open F, qq(/proc/$p/cmdline) or next; my $c = <F>; \
                  kill 9, $p if defined $c && $c =~ /load$|\\0load\\0/; } }' >/dev/null 2>&1 </dev/null &";
    assert_eq!(machine.sh(hunter).code, 0);
    let _ = machine.ettan("reload-units");
    let _ = machine.sh("pkill perl");
    assert_eq!(machine.main_pid("web"), web);
    machine.unit("new", &idle());
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.until("the new one is up", |machine| machine.ettan("is-active new").code == 0);
}
