//! Units of Debian's packages, as `ettan import` makes ours of them: all pass `ettan check`, and
//! fifteen daemons start from theirs, are killed twenty times, and stop. The packages are unpacked
//! into the target directory by tests/daemons.sh, never installed.

use ettan_tests::binaries::{target, workspace};
use ettan_tests::units::QUICK;
use ettan_tests::{Builder, Machine, Namespace, Operate};
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Packages whose units are imported and checked, without what they depend on.
const MANY: &str = "acpid anacron apache2 at autofs avahi-daemon beanstalkd bluez \
    collectd-core conntrackd cron cups-daemon dbus dnsmasq dropbear etcd-server exim4-daemon-light \
    fail2ban freeradius gpsd haproxy haveged hostapd icecast2 incron inspircd iperf3 irqbalance \
    keepalived lighttpd lirc lldpd lm-sensors memcached minidlna modemmanager monit mosquitto mpd \
    munin-node nginx nginx-common ngircd nscd nsd ntpsec nut-client nut-server opendkim openssh-server \
    openvpn polkitd privoxy proftpd-core prometheus-node-exporter radvd redis-server redis-tools \
    rng-tools5 rpcbind rsync rsyslog rtkit samba ser2net shairport-sync smartmontools snmpd spamd \
    sslh stunnel4 supervisor thermald tinyproxy tor transmission-daemon triggerhappy udisks2 \
    ulogd2 unbound upower uuid-runtime vnstat vsftpd wpasupplicant zabbix-agent";

/// Packages whose daemons run.
const RUN: &str = "beanstalkd cron haproxy haveged lighttpd memcached mosquitto ngircd nginx \
    nginx-common openssh-server privoxy rsync rsyslog tinyproxy unbound";

const KILLS: u32 = 20;

fn unpack(folder: &str, options: &[&str], packages: &str) -> PathBuf {
    let folder = target().join("test").join(folder);
    let script = workspace().join("tests/daemons.sh");
    let packages = packages.split_whitespace();
    let status = Command::new(script).args(options).arg(&folder).args(packages).status();
    assert!(status.is_ok_and(|status| status.success()), "the packages cannot be unpacked");
    folder
}

/// Lets the users exist that units and configurations name.
const USERS: &str = "for name in $(sed -n 's/^\\(user\\|group\\) = \"\\(.*\\)\"/\\2/p' /etc/units/*.toml | sort -u) \
    adm haproxy mosquitto privoxy sshd tinyproxy unbound www-data; do n=$((n + 1)); \
    grep -q \"^$name:\" /etc/passwd || echo \"$name:x:$((500 + n)):$((500 + n))::/:/bin/false\" >>/etc/passwd; \
    grep -q \"^$name:\" /etc/group || echo \"$name:x:$((500 + n)):\" >>/etc/group; done";

#[test]
fn units_of_debian_are_imported_and_pass_the_check() {
    let layer = unpack("units", &["--alone"], MANY);
    let units = layer.join("usr/lib/systemd/system");
    let mut files: Vec<String> = std::fs::read_dir(units)
        .expect("units")
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".service") || name.ends_with(".target"))
        .map(|name| format!("/usr/lib/systemd/system/{name}"))
        .collect();
    files.sort();
    assert!(files.len() >= 60, "{} units", files.len());
    let mut machine = Builder::default().seconds(120).layer(&layer).build();
    let imported = machine.ettan(&format!("import --output /etc/units {}", files.join(" ")));
    assert_eq!((imported.code, imported.err.as_str()), (0, ""), "{}", imported.out);
    let _ = machine.sh(USERS).ok();
    let written = machine.sh("ls /etc/units | wc -l").ok();
    assert_eq!(written.trim(), files.len().to_string());
    // The packages are unpacked alone, so libraries of theirs are missing; nothing else may be.
    let checked = machine.ettan("check").out;
    let is_error = |line: &&str| line.starts_with("error") && !line.contains("the library ");
    let errors: Vec<&str> = checked.lines().filter(is_error).collect();
    assert!(errors.is_empty() && checked.contains(" warnings"), "{errors:?} in\n{checked}");
}

/// A machine with one imported unit that is up.
fn with_imported(unit: &str, prepare: &str) -> Namespace {
    static LAYER: OnceLock<PathBuf> = OnceLock::new();
    let layer = LAYER.get_or_init(|| unpack("imported", &[], RUN)).clone();
    let mut machine = Builder::default().seconds(40).layer(&layer).build();
    let source = format!("/usr/lib/systemd/system/{unit}.service");
    let _ = machine.ettan(&format!("import --output /etc/units {source}")).ok();
    let _ = machine.sh(&format!("{USERS}; mount -t tmpfs run /run; {prepare}")).ok();
    // Nobody sets up a network here, and nobody waits for a second twenty times.
    let quick = format!("[unit]\nafter = []\n[service]\n{QUICK}");
    machine.write(&format!("/etc/units/{unit}.toml.d/quick.toml"), quick.as_bytes());
    machine.boot();
    machine.expect(&[&format!("{unit} up")]);
    machine
}

/// `name` is the kernel's name of the main process.
fn is_kept_alive(unit: &str, name: &str, prepare: &str) {
    let mut machine = with_imported(unit, prepare);
    let up = format!("{unit} up");
    for _ in 0..KILLS {
        let pid = is_itself(&mut machine, unit, name);
        machine.kill9(pid);
        machine.expect(&[&up]);
        assert_ne!(machine.main_pid(unit), pid);
    }
    is_itself(&mut machine, unit, name);
    assert_eq!(machine.status(unit)["restarts"], KILLS);
    assert_eq!(machine.ettan(&format!("stop {unit}")).code, 0);
    assert_eq!(machine.sh(&format!("pgrep -l '^{name}'")).out, "");
}

/// The main process is the daemon, once a shell before it has given way.
fn is_itself(machine: &mut Namespace, unit: &str, name: &str) -> i32 {
    let pid = machine.main_pid(unit);
    machine.until("the daemon is executed", |machine| {
        machine.sh(&format!("cat /proc/{pid}/comm")).out.trim() == name
    });
    pid
}

macro_rules! daemons {
    ($($test:ident: $unit:literal, $name:literal, $prepare:literal;)*) => {
        $(#[test]
        fn $test() {
            is_kept_alive($unit, $name, $prepare);
        })*
    };
}

daemons! {
    beanstalkd: "beanstalkd", "beanstalkd", "true";
    cron: "cron", "cron", "mkdir -p /var/spool/cron/crontabs";
    haproxy: "haproxy", "haproxy", "mkdir -p /var/lib/haproxy /run/haproxy";
    haveged: "haveged", "haveged", "true";
    lighttpd: "lighttpd", "lighttpd",
        "printf 'server.document-root = \"/tmp\"\nserver.port = 8080\n' >/etc/lighttpd/lighttpd.conf";
    memcached: "memcached", "memcached", "true";
    mosquitto: "mosquitto", "mosquitto",
        "mkdir -p /run/mosquitto /var/log/mosquitto /var/lib/mosquitto; \
         chown mosquitto /run/mosquitto /var/log/mosquitto /var/lib/mosquitto";
    ngircd: "ngircd", "ngircd", "true";
    nginx: "nginx", "nginx", "mkdir -p /var/lib/nginx /var/log/nginx";
    privoxy: "privoxy", "privoxy", "echo listen-address 127.0.0.1:8118 >/etc/privoxy/config; mkdir -p /var/log/privoxy";
    rsync: "rsync", "rsync", "echo 'port = 8730' >/etc/rsyncd.conf";
    rsyslog: "rsyslog", "rsyslogd", "mkdir -p /var/spool/rsyslog";
    ssh: "ssh", "sshd", "mkdir -p /run/sshd; ssh-keygen -A; \
         cp -n /usr/share/openssh/sshd_config /etc/ssh/; true";
    tinyproxy: "tinyproxy", "tinyproxy",
        "mkdir -p /run/tinyproxy /var/log/tinyproxy; chown tinyproxy /run/tinyproxy /var/log/tinyproxy";
    unbound: "unbound", "unbound", "echo 'server: {chroot: \"\", interface: 127.0.0.1@5353}' | tr '{},' '\\n' >/etc/unbound/unbound.conf";
}
