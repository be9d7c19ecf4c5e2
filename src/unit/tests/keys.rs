//! Each key: what it means, what it takes, what it refuses.

mod common;

use common::{PLAIN, Root, service, unit};
use ettan_core::{ExitStatus, KillMode, Kind, LimitAction, Probes, Restart, Stage, StartLimit};
use ettan_unit::KEYS;

/// The value of one loaded unit `a`, made of `content` alone.
fn with<T>(content: &str, look: impl Fn(&common::World) -> T) -> T {
    let root = Root::new();
    root.unit("a", content);
    let world = root.load();
    world.assert_clean();
    look(&world)
}

/// `content` is refused as unit `a`, with each of `texts` said, and a good unit beside it is not.
#[track_caller]
fn refused(content: impl AsRef<[u8]>, texts: &[&str]) {
    let root = Root::new();
    root.unit("a", content);
    root.unit("good", PLAIN);
    let world = root.load();
    assert_eq!(world.names(), ["good"], "{world}");
    texts.iter().for_each(|text| world.assert_says(text));
}

#[test]
fn defaults_are_those_of_the_manual() {
    with(PLAIN, |world| {
        let unit = world.unit("a");
        assert_eq!((unit.kind, unit.restart), (Kind::Simple, Restart::Always));
        assert_eq!((unit.restart_delay_ms, unit.restart_delay_max_ms), (250, 30_000));
        assert_eq!((unit.start_timeout_ms, unit.stop_timeout_ms), (30_000, 10_000));
        assert_eq!((unit.min_uptime_ms, unit.kill_signal), (1_000, 15));
        assert!(unit.autostart && !unit.builtin);
        let launch = world.launch("a");
        assert_eq!((launch.uid, launch.gid, launch.umask), (0, 0, 0o022));
        assert_eq!(launch.working_directory, c"/");
        assert_eq!((launch.pid_file, launch.tty_path), (None, None));
        assert_eq!((launch.log.max_size_bytes, launch.log.max_files), (262_144, 4));
        assert_eq!(launch.description, "");
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let environment = [path, "HOME=/root", "USER=root", "LOGNAME=root"];
        assert_eq!(world.environment("a"), environment);
    });
}

#[test]
fn log_keys_become_words_for_the_logger() {
    let log = |text: &str| format!("{PLAIN}[log]\n{text}\n");
    with(PLAIN, |world| assert_eq!(world.launch("a").log_words, c""));
    with(&log("max-size = \"1M\"\nmax-files = 30"), |world| {
        let launch = world.launch("a");
        assert_eq!((launch.log.max_size_bytes, launch.log.max_files), (1 << 20, 30));
    });
    let all = "timestamps = \"tai64n\"\nmax-age-sec = \"1d\"\nrate-limit = 50\nuser = \"root\"";
    with(&log(all), |world| {
        let words = world.launch("a").log_words;
        assert_eq!(words, c"stamps=tai64n age=86400 rate=50 owner=0:0");
    });
    with(&log("storage = \"disk\"\nflash-budget = \"1M\""), |world| {
        let words = world.launch("a").log_words;
        assert_eq!(words, c"storage=disk dir=/var/log/ettan/a budget=1048576");
    });
    with(&log("storage = \"flush\"\ndirectory = \"/data/%n\""), |world| {
        assert_eq!(world.launch("a").log_words, c"storage=flush dir=/data/a");
    });
    refused(log("storage = \"disk\"\ndirectory = \"/a b\""), &["cannot be a log's directory"]);
    refused(log("storage = \"tape\""), &["unknown value `tape`", "valid: ram, disk, flush"]);
    refused(log("max-size = \"1K\""), &["smaller than"]);
    refused(log("max-size = \"5G\""), &["larger than"]);
    refused(log("max-size = true"), &["a boolean is not a size"]);
    refused(log("max-files = 0"), &["from 1 to 65535"]);
    refused(log("max-age-sec = \"1ms\""), &["shorter than a second"]);
    refused(log("timestamps = \"roman\""), &["unknown value `roman`"]);
    refused(log("rate-limit = 0"), &["no line at all"]);
    refused(log("rate-limit = \"many\""), &["not a whole number"]);
    refused(log("user = \"nobody-knows\""), &["nobody-knows"]);
}

#[test]
fn routes_become_words_for_the_logger() {
    let routes = |text: &str| format!("{PLAIN}[[log.route]]\n{text}\n");
    let two = "match = [\"*an error*\", '100 %']\nexclude = \"\\t*\"\n\
               [[log.route]]\nname = \"all\"\ndirectory = \"/data/%n\"\n[log]\nflash-budget = 50000";
    with(&routes(two), |world| {
        let words = world.launch("a").log_words;
        assert_eq!(
            words,
            c"budget=50000 route=1 match=*an%20error* match=100%20%25 exclude=%09* route=all dir=/data/a"
        );
    });
    let root = Root::new();
    root.unit("a", routes("alert = \"b\""));
    root.unit("b", routes("alert = \"bb\""));
    let world = root.load();
    assert_eq!(world.launch("a").log_words, c"route=1 alert=b");
    assert_eq!(world.launch("b").log_words, c"route=1 alert=bb");
    world.assert_says("unit `bb` is not there: no line will start it");
    refused(
        routes("matches = \"x\""),
        &["unknown key `matches` in [[log.route]]", "did you mean `match`?"],
    );
    refused(routes("name = \"a.b\""), &["`a.b` cannot be the name of a route"]);
    refused(routes("match = 5"), &["an integer is not a list of text"]);
    refused(routes("match = \"a\\nb\""), &["would never match"]);
    refused(routes("alert = \"network:eth0\""), &["not a unit"]);
    refused(routes("directory = \"/a b\""), &["cannot be a log's directory"]);
    refused(format!("{PLAIN}[log]\nroute = 5\n"), &["is not a list of tables"]);
    refused(format!("{PLAIN}[log]\nroute = [5]\n"), &["an integer is not a table"]);
    refused(routes("name = \"x\"\n[[log.route]]\nname = \"x\""), &["two routes are called `x`"]);
    let twice = "directory = \"/x\"\n[[log.route]]\ndirectory = \"/x\"";
    refused(routes(twice), &["another log of this unit is in `/x`"]);
    refused(routes(&format!("match = \"{}\"", "x".repeat(3000))), &["the routes take"]);
    refused(routes(&"[[log.route]]\n".repeat(16)), &["17 routes, at most 16"]);
}

#[test]
fn description_is_one_short_line() {
    let described = unit("description = \"Telldus Duo – ä\"\ndocumentation = [\"man:a(8)\"]");
    with(&described, |world| assert_eq!(world.launch("a").description, "Telldus Duo – ä"));
    refused(
        unit("description = 5"),
        &["a.toml:2:15: error: `description`: an integer is not a text (it takes text)"],
    );
    refused(unit("description = \"a\\nb\""), &["one line"]);
    refused(unit(&format!("description = \"{}\"", "x".repeat(257))), &["longer than 256 bytes"]);
    refused(unit("description = \"a\\u0000b\""), &["cannot hold a NUL"]);
    refused(unit("documentation = 1"), &["an integer is not a list of text"]);
}

#[test]
fn after_before_wants_requires_become_needs() {
    let root = Root::new();
    root.unit(
        "a",
        unit("after = [\"b\", \"network-online.target\", \"path:/data\"]\nwants = \"c\""),
    );
    root.unit("b", unit("requires = [\"c\"]\nbefore = [\"c\"]"));
    root.unit("c", PLAIN);
    let world = root.load();
    assert_eq!(
        world.needs("a"),
        ["After b", "After ?network", "After ?path:/data", "Wants c"],
        "{world}"
    );
    assert_eq!(world.needs("b"), ["Requires c"]);
    assert_eq!(world.needs("c"), ["After b"]);
    world.assert_says("dependency cycle: b → c → b");
}

#[test]
fn units_that_give_way_go_along_and_stand_in_become_needs() {
    let root = Root::new();
    let text = "binds-to = [\"b\", \"device:usb:1781:0c31\"]\nconflicts = [\"d\"]\n\
                part-of = [\"b\"]\non-failure = [\"c\"]";
    root.unit("a", unit(text));
    for name in ["b", "c"] {
        root.unit(name, PLAIN);
    }
    root.write("/usr/lib/units/d.toml", PLAIN);
    let world = root.load();
    let needs =
        ["BindsTo b", "BindsTo ?device:usb:1781:0c31", "Conflicts d", "PartOf b", "OnFailure c"];
    assert_eq!(world.needs("a"), needs, "{world}");
    world.assert_clean();
}

#[test]
fn what_a_conflict_makes_impossible_is_said() {
    let root = Root::new();
    root.unit("a", unit("conflicts = [\"b\", \"c\", \"a\", \"ghost\"]\nwants = [\"c\"]"));
    root.unit("b", unit("binds-to = [\"a\"]"));
    root.unit("c", unit("part-of = [\"ghost\"]\non-failure = [\"ghost\", \"c\"]"));
    root.unit("d", unit("binds-to = [\"ghost\"]\nconflicts = [\"network:link\"]"));
    let world = root.load();
    for said in [
        "a.toml:2:14: error: `b` requires `a` and conflicts with it: it never starts",
        "a.toml:2:19: warning: `a` wants `c` and conflicts with it",
        "a.toml:2:14: warning: `a` and `b` conflict, and both start at boot",
        "`a` comes up, the first by name; `b` stays down",
        "a.toml:2:24: warning: `a` depends on itself: ignored",
        "unit `ghost` is not there: there is nothing to stop",
        "unit `ghost` is not there: it is part of nothing",
        "unit `ghost` is not there: nothing answers a failure",
        "`c` depends on itself: ignored",
        "d.toml:3:14: error: `conflicts`: `network:link` is the condition `network:link`, not a unit",
        "conditions can only stand in `after` and `binds-to`",
    ] {
        world.assert_says(said);
    }
    root.unit("d", unit("binds-to = [\"ghost\"]"));
    root.load().assert_says("unit `ghost` is not there: `d` will fail to start");
}

#[test]
fn names_must_be_names() {
    refused(unit("after = [\"b c\"]"), &["`b c` cannot be a unit's name", "in quotes one by one"]);
    refused(
        unit("after = [1]"),
        &["a.toml:2:10: error: `after`: an integer is not a text (it takes a list of units"],
    );
    refused(unit("after = [\"network:eth0\"]"), &["unknown condition `network:eth0`"]);
    refused(unit("requires = [\"network:link\"]"), &["is the condition", "only stand in `after`"]);
    refused(unit("wants = [\"b.toml\"]"), &["the unit is `b`"]);
    refused(unit("before = [\"\"]"), &["cannot be a unit's name"]);
}

#[test]
fn a_unit_called_network_brings_the_condition_about() {
    let root = Root::new();
    root.unit("network", PLAIN);
    root.unit("a", unit("after = [\"network\"]\nwants = [\"network\"]"));
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.needs("a"), ["After ?network", "Wants network"]);
    root.unit("network", unit("after = [\"network\"]"));
    root.load().assert_says("`network` waits for the condition of its own name");
}

#[test]
fn type_decides_the_kind_and_the_default_restart() {
    let kind =
        |keys: &str| with(&service(keys), |world| (world.unit("a").kind, world.unit("a").restart));
    assert_eq!(kind("type = \"simple\""), (Kind::Simple, Restart::Always));
    assert_eq!(kind("type = \"forking\""), (Kind::Forking, Restart::Always));
    let oneshot = Kind::Oneshot { remain_after_exit: false };
    assert_eq!(kind("type = \"oneshot\""), (oneshot, Restart::No));
    let remains = Kind::Oneshot { remain_after_exit: true };
    assert_eq!(kind("type = \"oneshot\"\nremain-after-exit = true"), (remains, Restart::No));
    assert_eq!(kind("type = \"notify\""), (Kind::Notify, Restart::Always));
    assert_eq!(kind("type = \"notify-reload\""), (Kind::Notify, Restart::Always));
    refused(service("type = \"froking\""), &["did you mean `forking`?"]);
    refused(
        service("type = \"banana\""),
        &["simple, notify, notify-reload, forking, oneshot, target"],
    );
    refused(service("type = [\"simple\"]"), &["a list is not a text"]);
    refused(service("remain-after-exit = \"yes\""), &["a text is not true or false"]);
}

#[test]
fn a_target_executes_nothing() {
    with("[service]\ntype = \"target\"\n", |world| {
        assert_eq!(world.unit("a").kind, Kind::Target);
        assert!(world.table().launch(0).is_none());
    });
    refused("[service]\ntype = \"target\"\nuser = \"root\"\n", &["`user` in a target"]);
    refused(
        "[service]\ntype = \"target\"\nexec-start = \"/x\"\n",
        &["a.toml:3:1: error: `exec-start`"],
    );
}

#[test]
fn exec_start_is_a_list_or_is_split_like_a_shell_would() {
    let argv = |value: &str| with(&format!("[service]\nexec-start = {value}\n"), |w| w.argv("a"));
    assert_eq!(argv("\"/bin/a b  'c d'\""), ["/bin/a", "b", "c d"]);
    assert_eq!(argv("[\"/bin/a\", \"b c\", \"\"]"), ["/bin/a", "b c", ""]);
    assert_eq!(argv("'/bin/a \"x y\" %n %p %% %H'"), ["/bin/a", "x y", "a", "a", "%", "localhost"]);
    assert_eq!(argv("[\"/bin/a\", \"$HOME\", \"|\"]"), ["/bin/a", "$HOME", "|"]);
    let bad =
        |value: &str, text: &str| refused(format!("[service]\nexec-start = {value}\n"), &[text]);
    bad("\"\"", "the command is empty");
    bad("[]", "the command is empty");
    bad("[\"\"]", "the program `` is not an absolute path");
    bad("5", "an integer is not a command");
    bad("[\"/bin/a\", 5]", ":2:25: error: `exec-start`: an integer is not a text");
    bad("\"true\"", "the program `true` is not an absolute path");
    bad("\"-/bin/a\"", "prefixes as systemd has them");
    bad("\"/bin/a 'b\"", "is not closed");
    bad("\"/bin/a %x\"", "unknown specifier `%x`");
    bad("\"/bin/a %i\"", "`%i` in `a`, which is no instance");
    bad("\"/bin/a\\u0000\"", "cannot hold a NUL");
    bad(&format!("\"/bin/a{}\"", " x".repeat(256)), "257 arguments, at most 256");
    refused("[unit]\ndescription = \"x\"\n", &["`exec-start` is missing"]);
    refused("", &["`exec-start` is missing"]);
}

#[test]
fn a_program_without_a_path_is_found_for_the_hint() {
    let root = Root::new();
    root.write("/usr/bin/python3", "");
    root.unit("a", "[service]\nexec-start = \"python3 x.py\"\n");
    root.load().assert_says("did you mean `/usr/bin/python3`?");
}

#[test]
fn a_shell_script_in_a_command_is_warned_of() {
    let root = Root::new();
    root.unit("a", "[service]\nexec-start = \"/bin/a > /dev/null 2>&1\"\n");
    let world = root.load();
    assert_eq!(world.names(), ["a"]);
    world.assert_says("warning: `>` is passed to the program as it is");
}

#[test]
fn pid_file_is_for_forking_daemons() {
    let forking = service("type = \"forking\"\npid-file = \"/run/%n.pid\"");
    with(&forking, |world| assert_eq!(world.launch("a").pid_file, Some(c"/run/a.pid")));
    let root = Root::new();
    root.unit("a", service("pid-file = \"/run/a.pid\""));
    let world = root.load();
    assert_eq!(world.launch("a").pid_file, None);
    world.assert_says("warning: has no effect for type `simple`");
    let bad = |path: &str, text: &str| {
        refused(service(&format!("type = \"forking\"\npid-file = \"{path}\"")), &[text]);
    };
    bad("a.pid", "is not an absolute path");
    bad("/run/../etc/passwd", "does not plainly name a file");
    bad("/run/", "does not plainly name a file");
    bad("/var/lib/a/a.pid", "may be on a disk");
}

#[test]
fn restart_has_its_words() {
    let words = [
        ("no", Restart::No),
        ("always", Restart::Always),
        ("on-success", Restart::OnSuccess),
        ("on-failure", Restart::OnFailure),
        ("on-abnormal", Restart::OnAbnormal),
    ];
    for (word, restart) in words {
        let content = service(&format!("restart = \"{word}\""));
        assert_eq!(with(&content, |world| world.unit("a").restart), restart);
    }
    refused(service("restart = \"alway\""), &["did you mean `always`?"]);
    refused(service("restart = true"), &["a boolean is not a text"]);
}

#[test]
fn spans_of_time_are_text_or_seconds() {
    let keys = "restart-sec = \"1s\"\nrestart-max-delay-sec = \"2min 30s\"\n\
        timeout-start-sec = 0\ntimeout-stop-sec = 1.5\nmin-uptime-sec = \"100ms\"";
    with(&service(keys), |world| {
        let unit = world.unit("a");
        assert_eq!((unit.restart_delay_ms, unit.restart_delay_max_ms), (1_000, 150_000));
        assert_eq!((unit.start_timeout_ms, unit.stop_timeout_ms), (0, 1_500));
        assert_eq!(unit.min_uptime_ms, 100);
    });
    with(&service("restart-sec = \"1min\""), |world| {
        assert_eq!(world.unit("a").restart_delay_max_ms, 60_000, "never below the first delay");
    });
    refused(service("restart-sec = 0"), &["must be longer than 0"]);
    refused(service("min-uptime-sec = \"0ms\""), &["must be longer than 0"]);
    refused(service("restart-max-delay-sec = \"100ms\""), &["shorter than restart-sec"]);
    for bad in ["-5", "\"5 parsecs\"", "true", "1e3", "0x10", "0x", "inf", "\"\"", "1979-05-27"] {
        refused(service(&format!("timeout-stop-sec = {bad}")), &["a.toml:3:20: error:"]);
    }
    refused(service("timeout-start-sec = \"infinity\""), &["0 waits for ever"]);
}

#[test]
fn kill_signal_is_a_name_or_a_number() {
    for (value, number) in
        [("\"INT\"", 2), ("\"SIGQUIT\"", 3), ("9", 9), ("\"usr1\"", 10), ("\"RTMIN+3\"", 37)]
    {
        let content = service(&format!("kill-signal = {value}"));
        assert_eq!(with(&content, |world| world.unit("a").kill_signal), number);
    }
    refused(service("kill-signal = \"TREM\""), &["no signal `TREM`", "did you mean `TERM`?"]);
    refused(service("kill-signal = 0"), &["no signal `0`"]);
    refused(service("kill-signal = 65"), &["no signal `65`"]);
    refused(service("kill-signal = \"STOP\""), &["does not end a process"]);
    refused(service("kill-signal = 0x0f"), &["must be decimal"]);
}

#[test]
fn exit_statuses_are_numbers_and_names() {
    let all = "success-exit-status = [143, \"3\", \"SIGKILL\"]\nrestart-prevent-exit-status = 0";
    with(&service(all), |world| {
        let unit = world.unit("a");
        let kill = ExitStatus::Signal { signal: 9, core: false };
        let success: Vec<_> = unit.success.iter().collect();
        assert_eq!(success, [ExitStatus::Code(143), ExitStatus::Code(3), kill]);
        assert_eq!(unit.no_restart.iter().collect::<Vec<_>>(), [ExitStatus::Code(0)]);
    });
    let refuse = |value: &str, text: &str| {
        refused(service(&format!("success-exit-status = {value}")), &[text]);
    };
    refuse("256", "`256` is no exit code");
    refuse("[1, \"KLIL\"]", "did you mean `KILL`?");
    refuse("\"RTMIN\"", "real-time signals cannot be named here");
    refuse("[1, 2, 3, 4, 5, 6, 7, 8]", "more than 7 exit codes");
    refuse("true", "neither a name nor a number");
}

#[test]
fn kill_mode_has_its_words() {
    with(&service(""), |world| assert_eq!(world.unit("a").kill_mode, KillMode::ControlGroup));
    let mode = service("kill-mode = \"process\"");
    with(&mode, |world| assert_eq!(world.unit("a").kill_mode, KillMode::Process));
    refused(
        service("kill-mode = \"cgroup\""),
        &["unknown value `cgroup` for `kill-mode`", "valid: control-group, mixed, process"],
    );
}

#[test]
fn a_limit_of_starts_says_how_many_at_least() {
    let all = "start-limit-burst = 3\nstart-limit-interval-sec = \"1min\"\n\
               start-limit-action = \"reboot-force\"\nrestart-reset-sec = 5";
    with(&service(all), |world| {
        let unit = world.unit("a");
        let action = LimitAction::RebootForce;
        assert_eq!(unit.start_limit, StartLimit { burst: 3, interval_ms: 60_000, action });
        assert_eq!(unit.restart_reset_ms, 5_000);
    });
    with(&service(""), |world| {
        let unit = world.unit("a");
        assert_eq!((unit.start_limit.burst, unit.restart_reset_ms), (0, 60_000));
    });
    let root = Root::new();
    root.unit("a", service("start-limit-action = \"reboot\""));
    root.load().assert_says("warning: has no effect without start-limit-burst");
    refused(service("start-limit-burst = -1"), &["must be between 0 and 65535"]);
    refused(service("start-limit-interval-sec = 0"), &["must be longer than 0"]);
    refused(
        service("start-limit-action = \"halt\""),
        &["unknown value `halt` for `start-limit-action`"],
    );
}

#[test]
fn what_is_done_on_reload() {
    let both = service("exec-reload = \"-/bin/true a\"\nreload-signal = \"HUP\"");
    with(&both, |world| {
        let unit = world.unit("a");
        assert!(unit.is_reloadable());
        assert_eq!((unit.reload_signal, unit.hooks.of(Stage::Reload).count), (Some(1), 1));
        assert!(unit.hooks.of(Stage::Reload).tolerates(0));
    });
    with(&service("type = \"notify-reload\""), |world| {
        let unit = world.unit("a");
        assert_eq!((unit.reload_signal, unit.reload_answers), (Some(1), true));
        assert_eq!(world.launch("a").probe_words, c"notify=systemd");
    });
    let other = service("type = \"notify-reload\"\nreload-signal = \"USR1\"");
    with(&other, |world| assert_eq!(world.unit("a").reload_signal, Some(10)));
    with(&service(""), |world| assert!(!world.unit("a").is_reloadable()));
    with(&service("reload-signal = \"CONT\""), |world| assert!(world.unit("a").is_reloadable()));
    refused(service("reload-signal = \"KILL\""), &["no process can catch `KILL`"]);
    refused(service("reload-signal = \"HUB\""), &["did you mean `HUP`?"]);
    let root = Root::new();
    root.unit("a", service("type = \"oneshot\"\nreload-signal = \"HUP\""));
    let world = root.load();
    assert!(!world.unit("a").is_reloadable());
    world.assert_says("warning: has no effect for type `oneshot`");
}

#[test]
fn user_and_group_become_numbers() {
    with(&service("user = \"telldus\""), |world| {
        let launch = world.launch("a");
        assert_eq!((launch.uid, launch.gid), (101, 102));
        assert_eq!(launch.groups.collect::<Vec<_>>(), [20, 46, 102]);
        assert!(world.environment("a").contains(&"HOME=/var/lib/telldus".to_string()));
        assert!(world.environment("a").contains(&"LOGNAME=telldus".to_string()));
    });
    with(&service("user = 101\ngroup = \"plugdev\""), |world| {
        let launch = world.launch("a");
        assert_eq!((launch.uid, launch.gid), (101, 46));
        assert_eq!(launch.groups.collect::<Vec<_>>(), [20, 46]);
    });
    with(&service("user = 4000\ngroup = 4001"), |world| {
        let launch = world.launch("a");
        assert_eq!((launch.uid, launch.gid), (4000, 4001));
        assert_eq!(launch.groups.collect::<Vec<_>>(), [4001]);
        assert_eq!(world.environment("a").len(), 2, "PATH and HOME, no name");
    });
}

#[test]
fn an_unknown_or_odd_user_is_refused_and_never_root() {
    let users = [
        ("\"nobody\"", "unknown user `nobody`"),
        ("\"hex\"", "unknown user `hex`"),
        ("\"nohome\"", "unknown user `nohome`"),
        ("\"0day\"", "neither a user's name nor a user's number"),
        ("\"0x0\"", "neither"),
        ("\"\"", "neither"),
        ("\"-1\"", "neither"),
        ("-1", "neither"),
        ("\"+0\"", "neither"),
        ("\"00\"", "neither"),
        ("\" root\"", "neither"),
        ("\"root:x\"", "neither"),
        ("4294967295", "neither"),
        ("65535", "neither"),
        ("4294967296", "neither"),
        ("0x0", "must be decimal"),
        ("0o0", "must be decimal"),
        ("4000", "give a `group` too"),
        ("true", "a boolean is neither a name nor a number"),
        ("[]", "a list is neither"),
    ];
    for (user, text) in users {
        refused(service(&format!("user = {user}")), &[text, "a.toml:3:8: error:"]);
    }
    refused(service("group = \"ghosts\""), &["unknown group `ghosts`"]);
    refused(service("user = 4000\ngroup = \"ghosts\""), &["unknown group `ghosts`"]);
    refused(service("group = \"neg\""), &["unknown group `neg`"]);
}

#[test]
fn root_is_known_without_a_passwd_file() {
    let root = Root::new();
    std::fs::remove_file(root.at("/etc/passwd")).unwrap();
    std::fs::remove_file(root.at("/etc/group")).unwrap();
    root.unit("a", service("user = \"root\"\ngroup = \"root\""));
    root.unit("b", service("user = \"telldus\""));
    let world = root.load();
    assert_eq!(world.names(), ["a"]);
    assert_eq!((world.launch("a").uid, world.launch("a").gid), (0, 0));
    world.assert_says("unknown user `telldus`");
}

#[test]
fn directory_umask_and_terminal_are_carried() {
    let keys = "working-directory = \"/srv/%n\"\numask = \"0077\"\ntty-path = \"/dev/ttyAMA0\"";
    with(&service(keys), |world| {
        let launch = world.launch("a");
        assert_eq!(launch.working_directory, c"/srv/a");
        assert_eq!(launch.umask, 0o077);
        assert_eq!(launch.tty_path, Some(c"/dev/ttyAMA0"));
    });
    assert_eq!(with(&service("umask = 0o027"), |world| world.launch("a").umask), 0o027);
    refused(service("umask = 22"), &["an integer is no umask", "octal number as text"]);
    refused(service("umask = \"0888\""), &["`0888` is no umask"]);
    refused(service("umask = \"01000\""), &["is no umask"]);
    refused(service("umask = \"+022\""), &["is no umask"]);
    refused(service("umask = 022"), &["a.toml:3:9: error:"]);
    refused(service("working-directory = \"srv\""), &["is not an absolute path"]);
    refused(service("tty-path = \"%n\""), &["is not an absolute path"]);
}

#[test]
fn environment_is_a_table_of_text() {
    let keys =
        "[service.environment]\nPYTHONPATH = \"/usr/local/%n\"\nHOME = \"/x\"\nA = \"b\\nc\"";
    with(&service(keys), |world| {
        let environment = world.environment("a");
        assert!(environment.contains(&"PYTHONPATH=/usr/local/a".into()));
        assert!(environment.contains(&"HOME=/x".into()));
        assert!(environment.contains(&"A=b\nc".into()), "{environment:?}");
        assert_eq!(environment.iter().filter(|v| v.starts_with("HOME=")).count(), 1);
    });
    refused(service("environment = [\"A=b\"]"), &["a list is not a table"]);
    refused(service("environment = { A = 5 }"), &["an integer is not a text", "put it in quotes"]);
    refused(service("environment = { \"A=B\" = \"c\" }"), &["cannot be a variable's name"]);
    refused(service("environment = { \"\" = \"c\" }"), &["cannot be a variable's name"]);
    refused(service("environment = { ETTAN_COOKIE = \"c\" }"), &["set by Ettan itself"]);
    refused(service("environment = { A = \"%z\" }"), &["unknown specifier"]);
    let many: String = (0..260).map(|n| format!("V{n} = \"\"\n")).collect();
    refused(service(&format!("[service.environment]\n{many}")), &["264 variables, at most 256"]);
}

#[test]
fn ready_and_health_become_words_for_the_prober() {
    let ready = |text: &str| format!("{PLAIN}[ready]\n{text}\n");
    let words = |text: &str| {
        with(&ready(text), |world| {
            assert_eq!(world.unit("a").probes, Probes::Ready, "{text}");
            world.launch("a").probe_words.to_string_lossy().into_owned()
        })
    };
    with(PLAIN, |world| {
        assert_eq!((world.unit("a").probes, world.launch("a").probe_words), (Probes::Nothing, c""));
    });
    assert_eq!(words("unix-socket = \"/tmp/Telldus Client\""), "unix=/tmp/Telldus%20Client");
    assert_eq!(
        words("path = \"/run/%n\"\ntcp = 80\nmode = \"any\""),
        "path=/run/a tcp=127.0.0.1:80 any"
    );
    assert_eq!(words("tcp = \"[::1]:80\"\nsettle-sec = 2"), "tcp=[::1]:80 settle=2000");
    assert_eq!(
        words("log-pattern = \"^up, and 100%\"\nlog-file = \"/tmp/l\"\nlog-activity = \"/tmp/m\""),
        "log=^up%2c%20and%20100%25 log-file=/tmp/l activity=/tmp/m"
    );
    assert_eq!(
        words("command = [\"/bin/test\", \"-e\", \"/a b\"]"),
        "command=/bin/test,-e,/a%20b as=0:0:0"
    );
    assert_eq!(words("notify = \"fd:4\""), "notify=fd");
    let place_of = |number: u8| {
        let keys = service(&format!("private-tmp = true\n[ready]\nnotify = \"fd:{number}\""));
        with(&keys, |world| world.launch("a").place.to_string_lossy().into_owned())
    };
    assert!(place_of(3).ends_with(" report=4"), "where the stage reports has to give way");
    assert!(!place_of(4).contains("report"));
    with(&service("type = \"notify\"\nwatchdog-sec = \"2s\""), |world| {
        assert_eq!(world.unit("a").probes, Probes::Ready);
        assert_eq!(world.launch("a").probe_words, c"notify=systemd watchdog=2000");
        let environment = world.environment("a");
        assert!(environment.contains(&"NOTIFY_SOCKET=/run/ettan/notify".to_owned()));
        assert!(environment.contains(&"WATCHDOG_USEC=2000000".to_owned()));
    });
    let health = "[health]\nhttp = \"http://127.0.0.1/well\"\ninterval-sec = 5\nfailures = 2\naction = \"reboot\"\n";
    with(&format!("{PLAIN}{health}"), |world| {
        assert_eq!(world.unit("a").probes, Probes::Up);
        let words = world.launch("a").probe_words;
        assert_eq!(words, c"health-http=127.0.0.1:80/well action=reboot failures=2 every=5000");
    });
}

#[test]
fn ready_and_health_refuse_what_cannot_be() {
    let ready = |text: &str| format!("{PLAIN}[ready]\n{text}\n");
    refused(ready("mode = \"some\""), &["unknown value `some` for `mode`"]);
    refused(ready("notify = \"fd:2\""), &["no way to notify", "fd:3"]);
    refused(ready("log-pattern = \"(\""), &["a regular expression"]);
    refused(ready("path = \"run\""), &["is not an absolute path"]);
    refused(ready("tcp = \"localhost\""), &["not an address with a port"]);
    refused(ready("tcp = \"example.org:80\""), &["names are not looked up"]);
    refused(ready("command = \"test -e /x\""), &["begins with an absolute path"]);
    refused(ready("settle-sec = 0"), &["must be longer than 0"]);
    let health = |text: &str| format!("{PLAIN}[health]\n{text}\n");
    refused(health("http = \"https://127.0.0.1/\""), &["no https"]);
    refused(health("tcp = 80\nfailures = 0"), &["from 1 on"]);
    refused(health("tcp = 80\naction = \"pray\""), &["unknown value `pray`"]);
    let oneshot = service("type = \"oneshot\"\n[ready]\npath = \"/run/x\"");
    refused(oneshot, &["for what stays running"]);
    refused("[service]\ntype = \"target\"\n[health]\ntcp = 80\n", &["for what stays running"]);
}

#[test]
fn the_manual_names_every_key() {
    let manual = include_str!("../../../docs/ettan-unit.5.md");
    for key in KEYS {
        assert!(manual.contains(&format!("`{}`", key.name)), "[{}] {}", key.section, key.name);
        if let Some((_, default)) = key.takes.split_once("; ") {
            assert!(!default.is_empty());
        }
    }
}

#[test]
fn one_line_says_which_key_and_what_it_takes() {
    let words = "no, always, on-success, on-failure or on-abnormal";
    let cases = [
        ("restart = true", format!("`restart`: a boolean is not a text (it takes {words})")),
        ("umask = 022", "a number does not begin with 0 (octal numbers are text: \"022\")".into()),
        ("cpu-quota = 50", "`cpu-quota`: an integer is not a text (\"50%\" is half".into()),
        ("nice = 99", "error: `nice`: must be between -20 and 19".into()),
        ("nice = 1\nnice = 2", "duplicate key `nice` (it is there once already)".into()),
        (
            "limit-core = true",
            "`limit-core`: a boolean is neither a number nor a text (it ta".into(),
        ),
        ("[log]\nrate-limit = \"10/s\"", "`rate-limit`: a text is not a whole number (".into()),
    ];
    for (keys, text) in cases {
        refused(service(keys), &[text.as_str()]);
    }
}

#[test]
fn a_list_of_command_lines_is_asked_about() {
    let root = Root::new();
    root.unit("a", service("exec-start-pre = [\"/bin/mkdir -p /tmp/x\", \"/bin/true\"]"));
    root.unit("b", "[service]\nexec-start = [\"/bin/true -x\"]\n");
    let world = root.load();
    world.assert_says("a.toml:3:19: warning: the program's name is `/bin/mkdir -p /tmp/x`, blanks");
    world.assert_says("(a list is one command's arguments; several are a list of lists)");
    world.assert_says("a list has its arguments one by one");
}
