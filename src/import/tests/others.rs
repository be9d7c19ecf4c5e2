//! Supervisor, daemontools and its kin, init scripts, inittab: as they are found, in memory.

use ettan_import::{Draft, Fate, Imported, Memory, import};

fn all(files: &[(&str, &str)], path: &str) -> Vec<Imported> {
    import(&Memory::new(files), path).unwrap()
}

fn units(files: &[(&str, &str)], path: &str) -> Vec<Draft> {
    let units: Vec<_> = all(files, path).into_iter().flat_map(|one| one.units).collect();
    for unit in &units {
        assert_eq!(unit.refusal(), None, "{}", unit.text());
    }
    units
}

fn unit(files: &[(&str, &str)], path: &str) -> Draft {
    units(files, path).remove(0)
}

const SUPERVISOR: &str = "[supervisord]\nenvironment=A=\"1\"\nlogfile=/tmp/x\n\
    [inet_http_server]\nport=*:9001\n[include]\nfiles = conf.d/*.conf\n\
    [program:web]\ncommand=/usr/bin/web --name %(program_name)s --rate 50%% 'a b' ; a comment\n\
    autorestart=true\nstartsecs=5\nstopsignal=INT\nstopwaitsecs=3\nuser=www-data\numask=022\n\
    directory=/srv\nenvironment=B=\"2,3\",C=4\nstdout_logfile=/var/log/web.log\n\
    stdout_logfile_maxbytes=1MB\nstdout_logfile_backups=9\nredirect_stderr=true\npriority=2\n\
    [group:all]\nprograms=web,foo\n";
const INCLUDED: &str = "[program:foo]\ncommand=foo\nnumprocs=3\nprocess_name=%(program_name)s_%(process_num)02d\n\
     autostart=false\npriority=1\nautorestart=false\n";

#[test]
fn supervisor_becomes_units_and_a_target() {
    let files = [("/etc/s.conf", SUPERVISOR), ("/etc/conf.d/foo.conf", INCLUDED), ("/bin/foo", "")];
    let units = units(&files, "/etc/s.conf");
    let names: Vec<_> = units.iter().map(|unit| unit.name.as_str()).collect();
    assert_eq!(names, ["web", "foo", "all"]);
    let text = "[unit]\nafter = [\"foo\"]\n\n[service]\n\
        exec-start = [\"/usr/bin/web\", \"--name\", \"web\", \"--rate\", \"50%%\", \"a b\"]\n\
        restart = \"always\"\ntimeout-stop-sec = 3\nmin-uptime-sec = 5\nkill-signal = \"INT\"\n\
        user = \"www-data\"\nworking-directory = \"/srv\"\numask = \"022\"\n\n\
        [service.environment]\nA = \"1\"\nB = \"2,3\"\nC = \"4\"\n\n[log]\n\
        # the log is in /var/log/ettan/web, and in memory: `ettan logs web`\nstorage = \"disk\"\n\
        max-size = \"1MB\"\nmax-files = 10\n";
    assert_eq!(units[0].text(), text);
    assert!(!units[1].at_boot && units[1].text().contains("exec-start = \"/bin/foo\"\n"));
    assert!(units[1].text().contains("restart = \"no\""));
    assert!(units[1].text().contains("\ninstances = 3\n"));
    assert!(units[2].text().contains("wants = [\"web\", \"foo\"]"), "{}", units[2].text());
}

#[test]
fn processes_of_supervisor_become_instances_of_one_file() {
    let section = "[program:a]\ncommand=/bin/a -p 80%(process_num)02d %(process_num)d/%(numprocs)d\n\
        environment=N=\"%(process_num)s\"\nstdout_logfile=/var/log/a.log\nnumprocs=4\n";
    let of = |more: &str| {
        let text = format!("{section}{more}");
        units(&[("/etc/s.conf", text.as_str())], "/etc/s.conf")
    };
    let names =
        |units: &[Draft]| -> Vec<String> { units.iter().map(|unit| unit.name.clone()).collect() };
    let usual = of("");
    assert_eq!(names(&usual), ["a"]);
    let text = usual[0].text();
    assert!(text.contains("exec-start = \"/bin/a -p 80%02i %i/4\"\n"), "{text}");
    assert!(text.contains("N = \"%i\"\n") && text.contains("\ninstances = 4\n"), "{text}");
    assert!(text.contains("logs are below /var/log/ettan, and in memory: `ettan logs a`"));
    assert!(!text.contains("instance-name"), "{text}");
    assert_eq!(usual[0].refusal(), None);

    let named = of("process_name=%(program_name)s-%(process_num)d\n");
    let text = named[0].text();
    assert!(text.contains("\ninstance-name = \"a-%i\"\n"), "{text}");
    assert_eq!((names(&named), named[0].refusal()), (vec!["a".to_owned()], None));

    // Numbers that do not begin at 0, and names that do not fit, stay files of their own.
    let shifted = of("numprocs_start=7\n");
    assert_eq!(names(&shifted), ["a_07", "a_08", "a_09", "a_10"]);
    assert!(shifted[3].text().contains("-p 8010 10/4"), "{}", shifted[3].text());
    let odd = of("process_name=%(process_num)d of %(numprocs)d\n");
    assert_eq!(names(&odd), ["0_of_4", "1_of_4", "2_of_4", "3_of_4"]);
}

#[test]
fn tries_of_supervisor_become_starts_within_a_time() {
    let text = "[program:a]\ncommand=/bin/a\nstartretries=3\nexitcodes=0,2\n";
    let unit = unit(&[("/etc/s.conf", text)], "/etc/s.conf").text();
    for line in ["start-limit-burst = 4", "start-limit-interval-sec = 21"] {
        assert!(unit.contains(&format!("{line}\n")), "{unit}");
    }
    assert!(unit.contains("success-exit-status = [\"2\"]\n"), "{unit}");
}

#[test]
fn each_setting_of_supervisor_is_in_the_report() {
    let files = [("/etc/s.conf", SUPERVISOR)];
    let imported = all(&files, "/etc/s.conf").remove(0);
    let notes = || imported.notes.iter().chain(imported.units.iter().flat_map(|u| &u.notes));
    for (at, line) in SUPERVISOR.lines().enumerate().filter(|(_, line)| !line.starts_with('[')) {
        assert!(notes().any(|note| note.origin.line == at + 1), "nothing is said of `{line}`");
    }
    let port = notes().find(|note| note.origin.text.starts_with("port")).unwrap();
    assert_eq!(port.fate, Fate::Dropped);
}

#[test]
fn a_chain_of_daemontools_becomes_keys() {
    let run = "#!/bin/sh\nexec 2>&1\necho starting\ncd /srv\nDATA=/data\n\
        exec envdir ./env setuidgid www softlimit -m 5000000 -o100 /usr/bin/web \"$DATA\" 100%\n";
    let log = "#!/bin/sh\nexec setuidgid weblog multilog t s1000000 n30 ./main\n";
    let files = [
        ("/service/web/run", run),
        ("/service/web/log/run", log),
        ("/service/web/env/A", "1"),
        ("/service/web/down", ""),
        ("/service/web/supervise/status", ""),
    ];
    let unit = unit(&files, "/service");
    let text = "[service]\nexec-start = \"/usr/bin/web /data 100%%\"\nuser = \"www\"\n\
        working-directory = \"/srv\"\nenvironment-dir = \"/service/web/env\"\n";
    assert!(unit.text().starts_with(text), "{}", unit.text());
    assert!(unit.text().contains("limit-as = 5000000\n"));
    assert!(unit.text().contains("limit-nofile = 100\n"));
    assert!(unit.text().contains("directory = \"/service/web/log/main\"\nmax-size = 1000000\n"));
    assert!(unit.text().ends_with("timestamps = \"tai64n\"\nuser = \"weblog\"\n"));
    assert!(!unit.at_boot);
}

#[test]
fn runit_and_s6_say_the_same() {
    let runit = "#!/bin/sh\nexec 2>&1\nexec chpst -u web:web:dialout -e env -o 100 -n 5 ./web -x\n";
    let s6 = "#!/command/execlineb -P\nfdmove -c 2 1\ncd /srv\ns6-setuidgid web\n\
        s6-envdir env\nexport A 1\n/usr/bin/web -x\n";
    let files = [("/sv/a/run", runit), ("/sv/b/run", s6), ("/sv/b/notification-fd", "3\n")];
    let units = units(&files, "/sv");
    let a = "[service]\nexec-start = \"/sv/a/web -x\"\nuser = \"web\"\ngroup = \"web\"\n\
        working-directory = \"/sv/a\"\nenvironment-dir = \"/sv/a/env\"\n\
        supplementary-groups = [\"dialout\"]\nnice = 5\n";
    assert!(units[0].text().starts_with(a), "{}", units[0].text());
    let b = "[service]\nexec-start = \"/usr/bin/web -x\"\nuser = \"web\"\nworking-directory = \"/srv\"\n\
        environment-dir = \"/sv/b/env\"\n\n[service.environment]\nA = \"1\"\n";
    assert!(units[1].text().starts_with(b), "{}", units[1].text());
}

#[test]
fn more_than_a_chain_stays_a_script() {
    for line in ["[ -x /usr/bin/web ] || exit 1", "while :; do x; done", "A=$(x)", "x | y", "x $A"]
    {
        let run = format!("#!/bin/sh\n{line}\nexec /usr/bin/web\n");
        let unit = unit(&[("/sv/web/run", run.as_str())], "/sv/web");
        assert!(unit.text().contains("exec-start = \"/sv/web/run\"\n"), "{line}");
        assert!(unit.text().contains("working-directory = \"/sv/web\"\n"));
    }
}

const SCRIPT: &str = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: webd\n\
    # Required-Start: $network $syslog $time db\n# Default-Start: 2 3\n# Default-Stop: 0\n\
    # Short-Description: Web of things\n### END INIT INFO\nNAME=webd\nDAEMON=/usr/sbin/$NAME\n\
    PIDFILE=/var/run/$NAME.pid\n[ -r /etc/default/$NAME ] && . /etc/default/$NAME\n\
    case \"$1\" in\nstart)\n  start-stop-daemon --start --quiet --pidfile $PIDFILE --exec $DAEMON \\\n\
    --test >/dev/null || return 1\n\
    start-stop-daemon --start --quiet --pidfile $PIDFILE --chuid web:web --exec $DAEMON -- \\\n\
    -p $PIDFILE $DAEMON_OPTS || return 2\n;;\nesac\n";

#[test]
fn the_daemon_of_an_init_script_is_seen() {
    let script = ("/etc/init.d/webd", SCRIPT);
    let unit_of = |default: &str| unit(&[script, ("/etc/default/webd", default)], script.0).text();
    let shell = "set -f; exec /usr/sbin/webd -p /var/run/webd.pid ${DAEMON_OPTS}";
    let text = unit_of("DAEMON_OPTS=\"-x\"\n");
    assert!(text.contains(shell), "{text}");
    assert!(
        text.contains("type = \"forking\"\n") && text.contains("pid-file = \"/run/webd.pid\"\n")
    );
    assert!(text.contains("user = \"web\"\n") && text.contains("after = [\"network\", \"db\"]\n"));
    assert!(text.contains("environment-file = \"-/etc/default/webd\"\n"));
    // A file that is a script itself is left to a shell, and so is everything.
    let text = unit_of("if true; then DAEMON_OPTS=-x; fi\n");
    assert!(text.contains("exec-start = \"/etc/init.d/webd start\"\n"));
    assert!(text.contains("type = \"oneshot\"\n") && text.contains("remain-after-exit = true\n"));
}

#[test]
fn options_of_start_stop_daemon_are_keys_or_leave_the_script_whole() {
    let of = |options: &str| {
        let start = format!("start-stop-daemon --start --exec /usr/sbin/webd {options} -- -x");
        let script = format!("#!/bin/sh\n# Required-Start: $time\nEMPTY=\n{start}\n");
        unit(&[("/etc/init.d/webd", script.as_str())], "/etc/init.d/webd").text()
    };
    for options in [
        "--umask 027 --nicelevel 5 --group adm -p /run/webd.pid $EMPTY",
        "-k 027 -N5 -qg adm --pidfile=/run/webd.pid",
    ] {
        let text = of(options);
        for line in ["umask = \"027\"\n", "nice = 5\n", "group = \"adm\"\n", "type = \"forking\"\n"]
        {
            assert!(text.contains(line), "{options}: {text}");
        }
    }
    for options in [
        "--chroot /srv",
        "--chroot=/srv",
        "-r /srv",
        "-r/srv",
        "-qr /srv",
        "--iosched idle",
        "-I idle",
        "--procsched fifo:9",
        "-P fifo:9",
        "--nicelevel $NICE",
        "$OPTIONS",
        "--unheard-of",
        "word",
    ] {
        let text = of(options);
        assert!(text.contains("exec-start = \"/etc/init.d/webd start\"\n"), "{options}: {text}");
        assert!(text.contains("type = \"oneshot\"\n"), "{options}: {text}");
    }
}

/// In the manner of Buildroot: a function `start`, and no header.
fn buildroot(start: &str) -> String {
    format!(
        "#!/bin/sh\nDAEMON=\"webd\"\nPIDFILE=\"/var/run/$DAEMON.pid\"\nWEBD_ARGS=\"-q\"\n\
        # shellcheck source=/dev/null\n[ -r \"/etc/default/$DAEMON\" ] && . \"/etc/default/$DAEMON\"\n\
        [ -f /etc/webd.conf ] || exit 0\n\
        start() {{\n\tprintf 'Starting %s: ' \"$DAEMON\"\n{start}\n\tstatus=$?\n\
        \tif [ \"$status\" -eq 0 ]; then\n\t\techo \"OK\"\n\telse\n\t\techo \"FAIL\" >&2\n\tfi\n\
        \treturn \"$status\"\n}}\n\
        stop() {{\n\tstart-stop-daemon --stop --pidfile \"$PIDFILE\"\n\trm -f \"$PIDFILE\"\n}}\n\
        case \"$1\" in\n\tstart|stop|restart)\n\t\t\"$1\";;\n\treload)\n\t\tkill -HUP 1;;\n\
        \t*)\n\t\techo \"Usage: $0\"\n\t\texit 1\nesac\n"
    )
}

const FOREGROUND: &str = "\tstart-stop-daemon --start --background --make-pidfile \\\n\
    \t\t--pidfile \"$PIDFILE\" --exec \"/usr/sbin/$DAEMON\" \\\n\t\t-- -n $WEBD_ARGS";

#[test]
fn a_script_that_only_starts_its_daemon_is_not_needed() {
    let path = "/etc/init.d/S50webd";
    let text = unit(&[(path, &buildroot(FOREGROUND))], path).text();
    assert!(text.contains("exec-start = \"/usr/sbin/webd -n -q\"\n"), "{text}");
    assert!(!text.contains("type =") && !text.contains("pid-file"), "{text}");
    let files = [(path, &*buildroot(FOREGROUND)), ("/etc/default/webd", "WEBD_ARGS=-v\n")];
    let text = unit(&files, path).text();
    assert!(text.contains("exec /usr/sbin/webd -n ${WEBD_ARGS--q}"), "{text}");
}

#[test]
fn a_script_that_does_more_starts_its_daemon_itself() {
    let path = "/etc/init.d/S50webd";
    let daemon = "\tstart-stop-daemon -S -q -p \"$PIDFILE\" -x \"/usr/sbin/$DAEMON\" -- $WEBD_ARGS";
    let more = [
        "mkdir -p /var/log/webd",
        "umask 077",
        "export HOME=/root",
        "echo 1 > /proc/sys/x",
        "if [ ! -f /etc/key ]; then make-key; fi",
        "x=$(make-key)",
        "prepare",
        "set -a",
    ];
    for what in more {
        for daemon in [daemon, FOREGROUND] {
            let text = unit(&[(path, &buildroot(&format!("{what}\n{daemon}")))], path).text();
            let start = format!("exec-start = \"{path} start\"\n");
            assert!(
                text.contains("type = \"forking\"\n") && text.contains(&start),
                "{what}: {text}"
            );
            assert!(text.contains("pid-file = \"/run/webd.pid\"\n"), "{what}: {text}");
        }
    }
    let of = |start: &str| unit(&[(path, &buildroot(start))], path).text();
    let text = of(&format!("WEBD_ARGS=\"$WEBD_ARGS -R\"\n{daemon}"));
    assert!(text.contains("exec-start = \"/usr/sbin/webd -q -R\"\n"), "{text}");
    // What a variable is that nobody has set before, a file may say.
    let text = of(&format!("MORE_ARGS=\"$MORE_ARGS -R\"\n{daemon} $MORE_ARGS"));
    assert!(text.contains(&format!("exec-start = \"{path} start\"\n")), "{text}");
    // All in one line.
    let line =
        "#!/bin/sh\ncase $1 in start) start-stop-daemon -S -m -p /run/x.pid -x /usr/bin/x;; esac\n";
    let text = unit(&[(path, line)], path).text();
    assert!(text.contains("pid-file = \"/run/x.pid\"\n"), "{text}");
    // Nobody writes a PID file: what the script does counts for more than that the daemon is restarted.
    for daemon in
        ["-b -p /run/x.pid -x /usr/sbin/webd", "-b -x /usr/sbin/webd", "-x /usr/sbin/webd"]
    {
        let text = of(&format!("mkdir -p /run/webd\nstart-stop-daemon -S {daemon}"));
        assert!(text.contains(&format!("exec-start = \"{path} start\"\n")), "{text}");
        assert!(text.contains("type = \"oneshot\"\n") && !text.contains("pid-file"), "{text}");
        let text = of(&format!("set -e\nstart-stop-daemon -S {daemon}"));
        assert!(text.contains("exec-start = \"/usr/sbin/webd\"\n"), "{text}");
    }
}

#[test]
fn scripts_of_buildroot_are_after_what_others_do_for_them() {
    let script = "#!/bin/sh\ncase $1 in start) x ;; esac\n";
    let names = ["S01a", "S05b.sh", "S10mdev", "S12c", "S40d", "S50e", "S60f"];
    let paths: Vec<String> = names.iter().map(|name| format!("/etc/init.d/{name}")).collect();
    let mut files: Vec<_> = paths.iter().map(|path| (path.as_str(), script)).collect();
    files.push(("/etc/init.d/rcS", script));
    let units = units(&files, "/etc/init.d");
    let after: Vec<String> = units
        .iter()
        .map(|unit| {
            let text = unit.text();
            let line = text.lines().find(|line| line.starts_with("after"));
            format!("{}: {}", unit.name, line.unwrap_or_default().replace(['"', ','], ""))
        })
        .collect();
    let expected = [
        "a: after = [mounts]",
        "b: after = [seed sysctl a]",
        "mdev: after = [b]",
        "c: after = [devices hotplug modules mdev]",
        "d: after = [c]",
        "e: after = [ifup d]",
        "f: after = [e]",
    ];
    assert_eq!(after, expected);
}

#[test]
fn numbers_are_the_order_of_boot() {
    let script = "#!/bin/sh\ncase $1 in start) x ;; esac\n";
    let files = [
        ("/etc/rc2.d/S10a", script),
        ("/etc/rc2.d/S20b", script),
        ("/etc/rc2.d/S20c", script),
        ("/etc/rc2.d/S30d", script),
        ("/etc/rc2.d/K10e", script),
    ];
    let units = units(&files, "/etc/rc2.d");
    let after = |name: &str| {
        let text = units.iter().find(|unit| unit.name == name).unwrap().text();
        text.lines().find(|line| line.starts_with("after")).unwrap_or_default().to_owned()
    };
    assert_eq!(units.len(), 4);
    assert_eq!(after("a"), "");
    assert_eq!((after("b"), after("c")), ("after = [\"a\"]".into(), "after = [\"a\"]".into()));
    assert_eq!(after("d"), "after = [\"b\", \"c\"]");
}

#[test]
fn inittab_becomes_units() {
    let table = "# c\nid:2:initdefault:\nsi::sysinit:/etc/init.d/rcS\n::sysinit:/bin/mount -t proc proc /proc\n\
        1:2345:respawn:/sbin/getty 38400 tty1\nx:45:respawn:/bin/x\nca::ctrlaltdel:/sbin/reboot\n\
        ttyS0::askfirst:-/bin/sh\n::once:/bin/a && /bin/b\n";
    let files = [("/etc/inittab", table)];
    let imported = all(&files, "/etc/inittab").remove(0);
    assert_eq!(imported.notes.len(), 3);
    let units = units(&files, "/etc/inittab");
    let names: Vec<_> = units.iter().map(|unit| (unit.name.as_str(), unit.at_boot)).collect();
    let expected =
        [("rcS-si", true), ("getty-1", true), ("x-x", false), ("sh-ttyS0", true), ("a", true)];
    assert_eq!(names, expected);
    assert!(units[0].text().contains("type = \"oneshot\"\n"));
    assert!(units[1].text().contains("after = [\"rcS-si\"]\n"));
    assert!(units[3].text().contains("tty-path = \"/dev/ttyS0\"\n"));
    assert!(units[4].text().contains("[\"/bin/sh\", \"-c\", \"/bin/a && /bin/b\"]"));
}
