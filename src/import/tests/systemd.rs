//! systemd's units as they are found in the wild, in memory.

use ettan_import::{Draft, Fate, Imported, Memory, import};

fn one(text: &str) -> Imported {
    beside(text, &[])
}

fn beside(text: &str, files: &[(&str, &str)]) -> Imported {
    let mut all = vec![("/x/web.service", text)];
    all.extend(files);
    import(&Memory::new(&all), "/x/web.service").unwrap().remove(0)
}

fn unit(text: &str) -> Draft {
    one(text).units.remove(0)
}

/// What became of everything whose text begins so.
fn fates(unit: &Draft, text: &str) -> Vec<Fate> {
    unit.notes.iter().filter(|n| n.origin.text.starts_with(text)).map(|n| n.fate).collect()
}

#[test]
fn a_usual_service_looks_as_written_by_hand() {
    let unit = unit(
        "[Unit]\nDescription=Web of things\nAfter=network-online.target local-fs.target\n\
         Wants=network-online.target db.service\n[Service]\nType=forking\n\
         PIDFile=/var/run/web.pid\nExecStart=/usr/sbin/web -c 'a b' 50%%\nRestart=on-failure\n\
         RestartSec=5\nUser=www-data\nEnvironment=A=1 \"B=2 3\"\nLimitNOFILE=1024:4096\nNice=-5\n\
         ProtectHome=yes\n[Install]\nWantedBy=multi-user.target\n",
    );
    let expected = "[unit]\ndescription = \"Web of things\"\n\
         # `mounts` mounts what /etc/fstab says, where it is enabled\n\
         after = [\"network\", \"mounts\"]\nwants = [\"db\"]\n\n\
         [service]\ntype = \"forking\"\nexec-start = [\"/usr/sbin/web\", \"-c\", \"a b\", \"50%%\"]\n\
         pid-file = \"/run/web.pid\"\nrestart = \"on-failure\"\nrestart-sec = 5\nuser = \"www-data\"\n\
         nice = -5\nlimit-nofile = \"1024:4096\"\n\n[service.environment]\nA = \"1\"\nB = \"2 3\"\n";
    assert_eq!(unit.text(), expected);
    assert_eq!(unit.refusal(), None);
    assert!(unit.at_boot);
    assert_eq!(fates(&unit, "ProtectHome"), [Fate::Dropped]);
    assert_eq!(fates(&unit, "After=local-fs"), [Fate::Approximated]);
}

#[test]
fn every_directive_is_in_the_report() {
    let text = "[Unit]\nDescription=a\nFoo=1\n[Service]\nExecStart=/bin/a\nX-Own=1\nNonsense=2\n\
                ExecStart=\nExecStart=/bin/b\nUser=a\nUser=b\n[Odd]\nA=1\nstray line\n";
    let unit = unit(text);
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('['));
    for (at, line) in lines {
        let told = unit.notes.iter().any(|note| note.origin.line == at + 1);
        assert!(told, "nothing is said of `{line}`");
    }
    assert!(unit.text().contains("exec-start = \"/bin/b\"\n") && unit.text().contains("\"b\"\n"));
}

#[test]
fn drop_ins_add_and_take_back() {
    let unit = beside(
        "[Service]\nExecStart=/bin/a\nEnvironment=A=1\n",
        &[
            ("/x/web.service.d/20.conf", "[Service]\nEnvironment=B=2\n"),
            ("/x/web.service.d/10.conf", "[Service]\nExecStart=\nExecStart=/bin/b\n"),
            ("/x/web.service.d/notes", "[Service]\nExecStart=/bin/c\n"),
        ],
    )
    .units
    .remove(0);
    assert!(unit.text().contains("exec-start = \"/bin/b\"\n"));
    assert!(unit.text().ends_with("A = \"1\"\nB = \"2\"\n"));
}

#[test]
fn types_are_told_apart() {
    let typed = |rest: &str| unit(&format!("[Service]\nExecStart=/bin/a\n{rest}\n")).text();
    assert!(!typed("").contains("type"));
    assert!(typed("Type=exec").contains("type = \"simple\""));
    assert!(typed("Type=dbus").contains("# it is up once it was executed"));
    assert!(typed("Type=notify").contains("[service]\ntype = \"notify\"\n"));
    assert!(typed("Type=notify-reload").contains("type = \"notify-reload\"\n"));
    assert!(typed("Type=oneshot").contains("type = \"oneshot\"\n"));
    assert!(typed("Type=oneshot").contains("timeout-start-sec = 0\n"));
    assert!(typed("Type=oneshot\nExecStart=/bin/b").contains("\"/bin/a && exec /bin/b\""));
}

#[test]
fn a_reload_keeps_its_commands_and_its_signal() {
    let of = |rest: &str| unit(&format!("[Service]\nExecStart=/bin/a\n{rest}\n"));
    let text = of("ExecReload=/bin/a --test\nExecReload=/bin/kill -HUP $MAINPID").text();
    assert!(text.contains("exec-reload = \"/bin/a --test\"\n"), "{text}");
    assert!(text.contains("reload-signal = \"HUP\"\n"), "{text}");
    let turned = of("ExecReload=/bin/kill -s USR1 $MAINPID\nExecReload=/bin/a --test");
    assert_eq!(fates(&turned, "ExecReload=/bin/kill"), [Fate::Approximated]);
    assert!(turned.text().contains("reload-signal = \"USR1\"\n"));
}

#[test]
fn a_hook_that_may_fail_still_may() {
    let of = |rest: &str| unit(&format!("[Service]\nExecStart=/bin/a\n{rest}\n"));
    let pre = of("ExecStartPre=-/bin/mkdir -p '/run/a b'\nExecStartPre=/bin/b");
    let text = pre.text();
    assert!(text.contains("[\"-/bin/mkdir\", \"-p\", \"/run/a b\"]"), "{text}");
    assert_eq!(fates(&pre, "ExecStartPre="), [Fate::Mapped, Fate::Mapped]);
    assert!(of("ExecStop=-/bin/b -x").text().contains("exec-stop = \"-/bin/b -x\"\n"));
    for (prefix, why) in [
        ("+", "it runs as the unit's user"),
        ("!!", "it runs as the unit's user"),
        ("-|", "no shell reads it"),
        ("@", "it is not called `x`"),
    ] {
        let post = of(&format!("ExecStopPost={prefix}/bin/b x"));
        assert_eq!(fates(&post, "ExecStopPost="), [Fate::Approximated], "{prefix}");
        assert!(post.text().contains(why), "{prefix}: {}", post.text());
    }
    let bare = of("ExecStopPost=:/bin/b $x");
    assert_eq!(fates(&bare, "ExecStopPost="), [Fate::Mapped]);
}

#[test]
fn exits_and_limits_are_those_of_the_file() {
    let of = |rest: &str| unit(&format!("[Service]\nExecStart=/bin/a\n{rest}\n")).text();
    let text = of("SuccessExitStatus=143 SIGKILL\nRestartPreventExitStatus=255\nKillMode=mixed");
    assert!(text.contains("success-exit-status = [\"143\", \"SIGKILL\"]\n"), "{text}");
    assert!(text.contains("restart-prevent-exit-status = [\"255\"]\n"), "{text}");
    assert!(text.contains("kill-mode = \"mixed\"\n"), "{text}");
    let text = of("StartLimitInterval=30\nStartLimitAction=reboot-immediate");
    for line in ["burst = 5", "interval-sec = 30", "action = \"reboot-force\""] {
        assert!(text.contains(&format!("start-limit-{line}\n")), "{line}: {text}");
    }
    assert!(!of("StartLimitInterval=0\nStartLimitBurst=5").contains("start-limit"));
}

#[test]
fn who_would_stay_down_is_told() {
    let silent = unit("[Service]\nExecStart=/bin/a\n");
    assert_eq!(fates(&silent, "Restart= is not there"), [Fate::Approximated]);
    let told = unit("[Service]\nExecStart=/bin/a\nRestart=no\n");
    assert!(told.text().contains("restart = \"no\""));
    assert!(fates(&told, "Restart= is not there").is_empty());
}

#[test]
fn a_user_of_its_own_never_becomes_root() {
    let text = unit("[Service]\nExecStart=/bin/a\nDynamicUser=yes\n").text();
    assert!(text.contains("user = \"nobody\""));
    let text = unit("[Service]\nExecStart=/bin/a\nDynamicUser=yes\nUser=a\n").text();
    assert!(text.contains("user = \"a\""));
}

#[test]
fn truths_are_read_in_any_case_and_nothing_else_is_taken() {
    let of = |rest: &str| unit(&format!("[Service]\nExecStart=/bin/a\n{rest}\n"));
    for yes in ["Yes", "TRUE", "y", "t", "On"] {
        let text = of(&format!("DynamicUser={yes}\nPrivateTmp={yes}\nProtectSystem={yes}")).text();
        for line in ["user = \"nobody\"\n", "private-tmp = true\n", "protect-system = true\n"] {
            assert!(text.contains(line), "{yes}: {text}");
        }
    }
    let no = of("DynamicUser=NO\nSendSIGKILL=Off");
    assert!(!no.text().contains("user = ") && no.text().contains("timeout-stop-sec = 0\n"));
    // Rights never grow where a word cannot be read.
    let odd = of("DynamicUser=maybe\nNoNewPrivileges=maybe\nSendSIGKILL=maybe");
    assert!(odd.text().contains("user = \"nobody\"\n"), "{}", odd.text());
    assert!(!odd.text().contains("no-new-privileges") && !odd.text().contains("timeout-stop-sec"));
    assert_eq!(fates(&odd, "DynamicUser"), [Fate::Approximated]);
    assert_eq!(fates(&odd, "NoNewPrivileges"), [Fate::Dropped]);
    assert_eq!(fates(&odd, "SendSIGKILL"), [Fate::Dropped]);
    assert!(of("PrivateTmp=disconnected").text().contains("private-tmp = true\n"));
}

#[test]
fn the_clock_and_devices_are_waited_for_and_what_nothing_tells_of_is_not() {
    let unit = unit(
        "[Unit]\nAfter=time-sync.target dev-ttyUSB0.device dev-serial-by\\x2did-a.device\n\
         After=sys-subsystem-net-devices-eth0.device\n[Service]\nExecStart=/bin/a\n",
    );
    let after = "after = [\"clock\", \"device:tty:ttyUSB0\", \"path:/dev/serial/by-id/a\"]\n";
    assert!(unit.text().contains(after), "{}", unit.text());
    assert_eq!(unit.refusal(), None);
    let fates = fates(&unit, "After=");
    let expected = [Fate::Approximated, Fate::Mapped, Fate::Approximated, Fate::Dropped];
    assert_eq!(fates, expected);
}

#[test]
fn units_that_give_way_go_along_and_stand_in_are_the_same_here() {
    let unit = unit(
        "[Unit]\nBindsTo=dev-ttyUSB0.device b.service\nPartOf=b.service\nConflicts=c.service\n\
         OnFailure=mail.service\n[Service]\nExecStart=/bin/a\n",
    );
    for line in [
        "binds-to = [\"device:tty:ttyUSB0\", \"b\"]\n",
        "part-of = [\"b\"]\n",
        "conflicts = [\"c\"]\n",
        "on-failure = [\"mail\"]\n",
    ] {
        assert!(unit.text().contains(line), "{line} in {}", unit.text());
    }
    assert_eq!(unit.refusal(), None);
    assert_eq!(fates(&unit, "BindsTo="), [Fate::Mapped; 2]);
    for directive in ["PartOf=", "Conflicts=", "OnFailure="] {
        assert_eq!(fates(&unit, directive), [Fate::Mapped], "{directive}");
    }
}

#[test]
fn only_the_stream_that_says_so_is_the_terminal() {
    let of = |rest: &str| {
        let unit = unit(&format!("[Service]\nExecStart=/bin/a\n{rest}\n"));
        assert_eq!(unit.refusal(), None, "{}", unit.text());
        unit.text()
    };
    let output = of("StandardOutput=tty");
    assert!(output.contains("standard-output = \"tty\"\nstandard-error = \"inherit\"\n"));
    assert!(!output.contains("tty-path"), "{output}");
    let named = of("StandardOutput=tty\nTTYPath=/dev/tty2\nStandardError=journal");
    let streams =
        "standard-input = \"null\"\nstandard-output = \"tty\"\nstandard-error = \"log\"\n";
    assert!(named.contains("tty-path = \"/dev/tty2\"\n") && named.contains(streams), "{named}");
    let input = of("StandardOutput=journal\nStandardInput=tty");
    assert!(input.contains("tty-path = \"/dev/console\"\n") && !input.contains("standard-input"));
    assert!(input.contains("standard-output = \"log\"\n"), "{input}");
}

/// A timer and its service.
fn timed(timer: &str) -> Imported {
    let service = "[Unit]\nDescription=Backup\n[Service]\nType=oneshot\nExecStart=/bin/b\n";
    let tree = Memory::new(&[("/x/b.service", service), ("/x/b.timer", timer)]);
    import(&tree, "/x/b.timer").unwrap().remove(0)
}

#[test]
fn a_timer_becomes_a_part_of_its_services_unit() {
    let unit = timed(
        "[Unit]\nDescription=Nightly\n[Timer]\nOnCalendar=Mon..Fri *-*-* 03:30\nOnBootSec=15min\n\
         OnUnitActiveSec=1d\nPersistent=true\nRandomizedDelaySec=1h\nUnit=b.service\n\
         [Install]\nWantedBy=timers.target\n",
    )
    .units
    .remove(0);
    let expected = "[timer]\non-boot-sec = \"15min\"\nevery = \"1d\"\n\
         at = \"Mon..Fri *-*-* 03:30\"\npersistent = true\n";
    assert!(unit.text().ends_with(expected), "{}", unit.text());
    assert_eq!((unit.name.as_str(), unit.at_boot, unit.refusal()), ("b", true, None));
    for directive in ["OnCalendar", "OnBootSec", "OnUnitActiveSec", "Persistent", "Unit"] {
        assert_eq!(fates(&unit, directive), [Fate::Mapped], "{directive}");
    }
    assert_eq!(fates(&unit, "RandomizedDelaySec"), [Fate::Dropped]);
    // What comes by the month cannot be said, and nothing catches up then.
    let monthly = timed("[Timer]\nOnCalendar=*-*-01 03:30\nOnUnitInactiveSec=1h\nPersistent=yes\n");
    let unit = &monthly.units[0];
    assert!(unit.text().ends_with("every = \"1h\"\n"), "{}", unit.text());
    assert_eq!((unit.at_boot, unit.refusal()), (false, None));
    assert_eq!(fates(unit, "OnCalendar"), [Fate::Dropped]);
    assert_eq!(fates(unit, "OnUnitInactiveSec"), [Fate::Approximated]);
    assert_eq!(fates(unit, "Persistent"), [Fate::Dropped]);
    // The first moment is taken where there are several.
    let twice = timed("[Timer]\nOnCalendar=06:00\nOnCalendar=18:00\n");
    assert_eq!(fates(&twice.units[0], "OnCalendar"), [Fate::Mapped, Fate::Dropped]);
}

#[test]
fn a_timer_without_its_service_makes_no_unit_and_a_service_tells_of_its_timer() {
    let alone = Memory::new(&[("/x/b.timer", "[Timer]\nOnCalendar=daily\n")]);
    let alone = import(&alone, "/x/b.timer").unwrap().remove(0);
    assert!(alone.units.is_empty() && alone.remark.contains("b.service"), "{}", alone.remark);
    assert_eq!(alone.notes.len(), 1);
    let service = beside("[Service]\nExecStart=/bin/b\n", &[("/x/web.timer", "[Timer]\n")]);
    assert!(service.remark.contains("web.timer starts it"), "{}", service.remark);
}

#[test]
fn a_target_groups_and_a_socket_is_reported() {
    let files = [
        ("/x/app.target", "[Unit]\nRequires=web.service\nAfter=web.service\n"),
        ("/x/web.socket", "[Socket]\nListenStream=/run/web\n[Install]\nWantedBy=sockets.target\n"),
    ];
    let tree = Memory::new(&files);
    let target = import(&tree, "/x/app.target").unwrap().remove(0).units.remove(0);
    let text = "[unit]\nafter = [\"web\"]\nrequires = [\"web\"]\n\n[service]\ntype = \"target\"\n";
    assert_eq!((target.name.as_str(), target.text().as_str()), ("app.target", text));
    assert_eq!(target.refusal(), None);
    let socket = import(&tree, "/x/web.socket").unwrap().remove(0);
    assert!(socket.units.is_empty());
    assert_eq!(socket.notes.len(), 2);
}

#[test]
fn a_directive_of_every_key_leaves_a_unit_that_the_loader_takes() {
    for key in ettan_unit::KEYS.iter().filter(|key| key.section == "service") {
        let directive: String = key
            .name
            .split('-')
            .map(|word| word.chars().next().unwrap().to_uppercase().to_string() + &word[1..])
            .collect();
        let unit = unit(&format!("[Service]\nExecStart=/bin/a\n{directive}=7\n"));
        assert_eq!(unit.refusal(), None, "{directive}");
    }
}

#[test]
fn the_bus_opens_its_socket_itself() {
    let unit = unit(
        "[Unit]\nDescription=D-Bus\nRequires=dbus.socket\n[Service]\nType=notify\n\
         ExecStart=@/usr/bin/dbus-daemon @dbus-daemon --system --address=systemd: --nofork --nopidfile \
         --systemd-activation --syslog-only\n",
    );
    let text = unit.text();
    let command =
        "exec-start = \"/usr/bin/dbus-daemon --system --nofork --nopidfile --syslog-only\"\n";
    assert!(text.contains(command), "{text}");
    assert!(text.contains("runtime-directory = [\"dbus\"]\n"), "{text}");
    assert_eq!(fates(&unit, "ExecStart"), [Fate::Approximated]);
}
