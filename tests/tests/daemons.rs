//! Real forking daemons of Debian, each under Ettan in a machine of its own: a stale PID file is
//! planted, the main process is killed twenty times, and after a stop nothing is left. The
//! packages are unpacked into the target directory by tests/daemons.sh, never installed.

use ettan_tests::debian::unpack;
use ettan_tests::units::QUICK;
use ettan_tests::{Builder, Machine, Operate};
use std::path::PathBuf;
use std::sync::OnceLock;

const PACKAGES: [&str; 10] = [
    "cron",
    "dbus",
    "dbus-daemon",
    "dnsmasq-base",
    "dropbear-bin",
    "lighttpd",
    "memcached",
    "mosquitto",
    "nginx",
    "redis-server",
];

/// The folder with the unpacked packages.
fn layer() -> PathBuf {
    static LAYER: OnceLock<PathBuf> = OnceLock::new();
    LAYER.get_or_init(|| unpack("daemons", &PACKAGES)).clone()
}

/// One daemon and how it is told what to do.
struct Daemon {
    /// The kernel's name of its processes.
    name: &'static str,
    command: &'static str,
    pid_file: &'static str,
    /// Its configuration, at /etc/d.conf.
    configuration: &'static str,
    /// What must be there before it starts.
    prepare: &'static str,
    /// The port of 127.0.0.1 that it answers on; none if it has no port.
    port: Option<u16>,
}

const KILLS: u32 = 20;

fn is_kept_alive(daemon: &Daemon) {
    let mut machine = Builder::default().seconds(180).layer(&layer()).build();
    // /run is there before, as after a crash of PID 1's machine that left its files behind.
    let planted = format!("mount -t tmpfs run /run && echo 4194000 >{}", daemon.pid_file);
    assert_eq!(machine.sh(&planted).code, 0);
    assert_eq!(machine.sh(&format!("true; {}", daemon.prepare)).code, 0);
    machine.write("/etc/d.conf", daemon.configuration.as_bytes());
    let unit = format!(
        "[service]\ntype = \"forking\"\nexec-start = \"{}\"\npid-file = \"{}\"\n{QUICK}",
        daemon.command, daemon.pid_file
    );
    machine.unit("d", &unit);
    machine.boot();
    machine.expect(&["d up"]);
    for _ in 0..KILLS {
        let pid = is_itself(&mut machine, daemon);
        machine.kill9(pid);
        machine.expect(&["d up"]);
        assert_ne!(machine.main_pid("d"), pid);
    }
    is_itself(&mut machine, daemon);
    assert_eq!(machine.status("d")["restarts"], KILLS);
    answers(&mut machine, daemon);
    assert_eq!(machine.ettan("stop d").code, 0);
    assert_eq!(machine.sh(&format!("pgrep -l '^{}'", daemon.name)).out, "");
}

/// The main process is the daemon and is the one that its file names, soon at least: cron writes
/// its launcher's number first, and may be known before it has written its own.
fn is_itself(machine: &mut dyn Machine, daemon: &Daemon) -> i32 {
    let pid = machine.main_pid("d");
    assert_eq!(machine.sh(&format!("cat /proc/{pid}/comm")).ok(), daemon.name);
    machine.until("its file names it", |machine| {
        machine.sh(&format!("cat {}", daemon.pid_file)).out.trim() == pid.to_string()
    });
    pid
}

fn answers(machine: &mut dyn Machine, daemon: &Daemon) {
    if let Some(port) = daemon.port {
        let knock = format!("bash -c ': <>/dev/tcp/127.0.0.1/{port}'");
        machine.until("it answers", |machine| machine.sh(&knock).code == 0);
    }
}

/// It speaks to nobody but /dev/log, unless told otherwise.
#[test]
fn f6_12_dnsmasq_is_heard_by_syslog_only() {
    let mut machine = Builder::default().seconds(60).layer(&layer()).build();
    let settings =
        "port=5353\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nuser=nobody\n";
    machine.write("/etc/d.conf", settings.as_bytes());
    let command = "/usr/sbin/dnsmasq --conf-file=/etc/d.conf --pid-file=/run/dnsmasq.pid";
    machine.unit(
        "d",
        &format!("[service]\ntype = \"forking\"\nexec-start = \"{command}\"\npid-file = \"/run/dnsmasq.pid\"\n"),
    );
    machine.boot();
    machine.expect(&["d up"]);
    let pid = machine.main_pid("d");
    machine.until("its words are there", |machine| {
        let log = machine.ettan("logs d").out;
        log.contains(&format!("<30>dnsmasq[{pid}]: started, version"))
    });
}

#[test]
fn nginx() {
    is_kept_alive(&Daemon {
        name: "nginx",
        command: "/usr/sbin/nginx -c /etc/d.conf",
        pid_file: "/run/nginx.pid",
        configuration: "user nobody nogroup; worker_processes 2; pid /run/nginx.pid; error_log stderr;\n\
             events {} http { access_log off; server { listen 127.0.0.1:8080; return 204; } }\n",
        prepare: "mkdir -p /var/lib/nginx /var/log/nginx",
        port: Some(8080),
    });
}

#[test]
fn lighttpd() {
    is_kept_alive(&Daemon {
        name: "lighttpd",
        command: "/usr/sbin/lighttpd -f /etc/d.conf",
        pid_file: "/run/lighttpd.pid",
        configuration: "server.document-root = \"/tmp\"\nserver.port = 8080\nserver.bind = \"127.0.0.1\"\n\
             server.pid-file = \"/run/lighttpd.pid\"\nserver.errorlog = \"/tmp/errors\"\n",
        prepare: "",
        port: Some(8080),
    });
}

#[test]
fn dnsmasq() {
    is_kept_alive(&Daemon {
        name: "dnsmasq",
        command: "/usr/sbin/dnsmasq --conf-file=/etc/d.conf --pid-file=/run/dnsmasq.pid",
        pid_file: "/run/dnsmasq.pid",
        configuration: "port=5353\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nuser=nobody\n",
        prepare: "",
        port: Some(5353),
    });
}

#[test]
fn dropbear() {
    is_kept_alive(&Daemon {
        name: "dropbear",
        command: "/usr/sbin/dropbear -R -E -p 127.0.0.1:2222 -P /run/dropbear.pid",
        pid_file: "/run/dropbear.pid",
        configuration: "",
        prepare: "mkdir -p /etc/dropbear",
        port: Some(2222),
    });
}

#[test]
fn dbus() {
    is_kept_alive(&Daemon {
        name: "dbus-daemon",
        command: "/usr/bin/dbus-daemon --config-file=/etc/d.conf",
        pid_file: "/run/dbus.pid",
        // It refuses to start as long as its PID file is there, whoever left it.
        configuration: "<busconfig><type>system</type><fork/><pidfile>/run/dbus.pid</pidfile>\
             <listen>unix:path=/run/bus</listen><policy context=\"default\"><allow send_destination=\"*\"/>\
             </policy></busconfig>\n",
        prepare: "",
        port: None,
    });
}

#[test]
fn cron() {
    is_kept_alive(&Daemon {
        name: "cron",
        command: "/usr/sbin/cron",
        pid_file: "/run/crond.pid",
        configuration: "",
        prepare: "mkdir -p /var/spool/cron/crontabs",
        port: None,
    });
}

#[test]
fn mosquitto() {
    is_kept_alive(&Daemon {
        name: "mosquitto",
        command: "/usr/sbin/mosquitto -d -c /etc/d.conf",
        pid_file: "/run/mosquitto.pid",
        configuration: "listener 1883 127.0.0.1\npid_file /run/mosquitto.pid\nuser root\n",
        prepare: "",
        port: Some(1883),
    });
}

#[test]
fn redis() {
    is_kept_alive(&Daemon {
        name: "redis-server",
        command: "/usr/bin/redis-server /etc/d.conf",
        pid_file: "/run/redis.pid",
        configuration: "daemonize yes\nbind 127.0.0.1\npidfile /run/redis.pid\nsave \"\"\ndir /tmp\nlogfile \"\"\n",
        prepare: "",
        port: Some(6379),
    });
}

#[test]
fn memcached() {
    is_kept_alive(&Daemon {
        name: "memcached",
        command: "/usr/bin/memcached -d -u nobody -l 127.0.0.1 -P /run/memcached.pid",
        pid_file: "/run/memcached.pid",
        configuration: "",
        prepare: "",
        port: Some(11211),
    });
}

/// What systemd's own tool and the usual module of Python say is understood: each says that it is
/// ready, what it does and that it lives; then each falls silent.
#[test]
fn sd_notify_by_systemd_notify_and_python3_sdnotify() {
    let layer = unpack("sdnotify", &["python3-sdnotify", "systemd"]);
    let mut machine = Builder::default().seconds(120).layer(&layer).build();
    let python = "import sdnotify, time\nn = sdnotify.SystemdNotifier()\n\
                  n.notify('STATUS=from Python')\nn.notify('READY=1')\n\
                  for _ in range(5): n.notify('WATCHDOG=1'); time.sleep(0.3)\n\
                  time.sleep(100000)\n";
    machine.write("/srv/python.py", python.as_bytes());
    let shell = "systemd-notify --ready --status='from a shell'; for n in 1 2 3 4 5; do \
                 systemd-notify WATCHDOG=1; sleep 0.3; done; exec sleep 100000\n";
    machine.write("/srv/shell.sh", shell.as_bytes());
    for (name, command) in
        [("python", "/usr/bin/python3 /srv/python.py"), ("shell", "/bin/sh /srv/shell.sh")]
    {
        let unit = format!(
            "[service]\ntype = \"notify\"\nwatchdog-sec = \"3s\"\nexec-start = \"{command}\"\n"
        );
        machine.unit(name, &unit);
    }
    machine.boot();
    machine.expect(&["python awaiting", "python up"]);
    machine.expect(&["shell up"]);
    for (name, words) in [("python", "from Python"), ("shell", "from a shell")] {
        machine.until("it says what it does", |m| m.status(name)["says"].as_str() == Some(words));
    }
    machine.expect(&["python says: python: does not work"]);
    machine.expect(&["python stopping", "python up"]);
}
