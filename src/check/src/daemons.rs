//! Daemons that are known by name: whether they put themselves into the background.

use std::path::Path;

use ettan_unit::tree;

use crate::program::file_name;

/// How one daemon behaves.
pub(crate) struct Daemon {
    name: &'static str,
    /// It stays in the foreground with one of these.
    pub(crate) foreground: &'static [&'static str],
    /// It goes into the background with one of these only; empty: without being asked.
    pub(crate) background: &'static [&'static str],
    /// The lines of a configuration file that decide it, and whether it forks then.
    lines: &'static [(&'static str, bool)],
    /// The file it reads when it is given none.
    configuration: &'static str,
    /// Its PID file, where that is the same everywhere.
    pub(crate) pid_file: Option<&'static str>,
}

/// It forks unless told not to.
const fn forks(
    name: &'static str,
    foreground: &'static [&'static str],
    pid_file: Option<&'static str>,
) -> Daemon {
    Daemon { name, foreground, background: &[], lines: &[], configuration: "", pid_file }
}

/// It stays unless told to fork.
const fn stays(name: &'static str, background: &'static [&'static str]) -> Daemon {
    let foreground = &[];
    Daemon { name, foreground, background, lines: &[], configuration: "", pid_file: None }
}

impl Daemon {
    const fn reads(
        self,
        configuration: &'static str,
        lines: &'static [(&'static str, bool)],
    ) -> Self {
        Self { lines, configuration, ..self }
    }
}

/// By their manual pages. A name with `*` at its end stands for all that begin so.
const DAEMONS: &[Daemon] = &[
    forks("acpid", &["-f", "--foreground"], Some("/run/acpid.pid")),
    forks("apache2", &["-DFOREGROUND", "FOREGROUND"], Some("/run/apache2/apache2.pid")),
    forks("atd", &["-f"], Some("/run/atd.pid")),
    stays("avahi-daemon", &["-D", "--daemonize"]),
    forks("chronyd", &["-d", "-n", "-q", "-Q"], Some("/run/chrony/chronyd.pid")),
    forks("cntlm", &["-f", "-v"], None),
    forks("collectd", &["-f"], None),
    forks("cron", &["-f"], Some("/run/crond.pid")),
    forks("crond", &["-f", "-n"], Some("/run/crond.pid")),
    Daemon {
        background: &["--system", "--fork"],
        ..forks("dbus-daemon", &["--nofork"], Some("/run/dbus/pid"))
    },
    forks("dhcpcd", &["-B", "--nobackground"], None),
    forks("dnsmasq", &["-k", "--keep-in-foreground", "-d", "--no-daemon"], None)
        .reads("/etc/dnsmasq.conf", &[("keep-in-foreground", false), ("no-daemon", false)]),
    forks("dropbear", &["-F"], Some("/run/dropbear.pid")),
    Daemon { background: &["-bd"], ..forks("exim4", &["-bdf"], Some("/run/exim4/exim.pid")) },
    forks("gpsd", &["-N", "--foreground"], None),
    Daemon { background: &["-D"], ..forks("haproxy", &["-db", "-Ws"], None) }
        .reads("", &[("daemon", true)]),
    stays("hostapd", &["-B"]),
    forks("keepalived", &["-n", "--dont-fork"], Some("/run/keepalived.pid")),
    forks("lighttpd", &["-D", "-i"], Some("/run/lighttpd.pid")),
    stays("memcached", &["-d", "--daemon"]),
    forks("monit", &["-I"], Some("/run/monit.pid")),
    stays("mosquitto", &["-d", "--daemon"]),
    forks("mpd", &["--no-daemon"], None),
    forks("named", &["-f", "-g"], Some("/run/named/named.pid")),
    forks("nginx", &["-g 'daemon off;'", "daemon off"], Some("/run/nginx.pid"))
        .reads("/etc/nginx/nginx.conf", &[("daemon off;", false)]),
    forks("nmbd", &["-F", "--foreground", "-i"], Some("/run/samba/nmbd.pid")),
    forks("ntpd", &["-n", "--nofork", "-d", "-q"], Some("/run/ntpd.pid")),
    stays("openvpn", &["--daemon"]),
    forks("php-fpm*", &["-F", "--nodaemonize"], None),
    forks("pigpiod", &["-g"], Some("/run/pigpio.pid")),
    forks("proftpd", &["-n", "--nodaemon"], Some("/run/proftpd.pid")),
    stays("redis-server", &["--daemonize yes"]).reads("", &[("daemonize yes", true)]),
    forks("rpcbind", &["-f", "-d"], None),
    forks("rsyslogd", &["-n"], Some("/run/rsyslogd.pid")),
    forks("smartd", &["-n", "--no-fork", "-d"], None),
    forks("smbd", &["-F", "--foreground", "-i"], Some("/run/samba/smbd.pid")),
    forks("snmpd", &["-f"], None),
    forks("sshd", &["-D", "-d"], Some("/run/sshd.pid")),
    forks("syslogd", &["-n"], None),
    forks("telldusd", &["--nodaemon"], Some("/run/telldusd.pid")),
    forks("transmission-daemon", &["-f", "--foreground"], None),
    forks("udhcpc", &["-f", "-q", "-n"], None),
    stays("ulogd", &["-d", "--daemon"]),
    forks("unbound", &["-d"], Some("/run/unbound.pid"))
        .reads("/etc/unbound/unbound.conf", &[("do-daemonize: no", false)]),
    forks("vsftpd", &[], None).reads("/etc/vsftpd.conf", &[("background=NO", false)]),
    stays("wpa_supplicant", &["-B"]),
    forks("xinetd", &["-dontfork"], None),
];

/// The daemon that a command executes.
pub(crate) fn known(argv: &[String]) -> Option<&'static Daemon> {
    let name = file_name(argv.first()?);
    DAEMONS.iter().find(|daemon| match daemon.name.strip_suffix('*') {
        Some(head) => name.starts_with(head),
        None => name == daemon.name,
    })
}

impl Daemon {
    /// Whether it puts itself into the background.
    pub(crate) fn forks(&self, argv: &[String], root: &Path) -> bool {
        let arguments = argv.get(1..).unwrap_or(&[]);
        let any = |flags: &[&str]| flags.iter().any(|flag| is_given(flag, arguments));
        if any(self.foreground) {
            return false;
        }
        if !self.background.is_empty() && any(self.background) {
            return true;
        }
        self.configured(arguments, root).unwrap_or(self.background.is_empty())
    }

    /// What its configuration says, if it says anything.
    fn configured(&self, arguments: &[String], root: &Path) -> Option<bool> {
        if self.lines.is_empty() {
            return None;
        }
        let given = arguments.iter().find(|argument| {
            argument.starts_with('/') && (argument.ends_with(".conf") || argument.ends_with(".cfg"))
        });
        let file = given.map_or(self.configuration, String::as_str);
        let bytes = tree::read_system(root, file).filter(|_| !file.is_empty())?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        let mut decided = lines.filter_map(|line| {
            self.lines.iter().find(|(known, _)| *known == line).map(|(_, forks)| *forks)
        });
        decided.next_back()
    }
}

/// Whether a flag is among the arguments. One letter may stand among others (`-nf`); one with a
/// blank is looked for in the whole line.
fn is_given(flag: &str, arguments: &[String]) -> bool {
    let letter = flag.strip_prefix('-').filter(|rest| rest.len() == 1 && *rest != "-");
    let of_words = flag.contains(' ') || !flag.starts_with('-');
    if of_words {
        return arguments.join(" ").contains(flag);
    }
    arguments.iter().any(|argument| match letter {
        Some(letter) => {
            let cluster = argument.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
            cluster.is_some_and(|cluster| cluster.contains(letter))
        }
        None => {
            argument == flag
                || argument.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forks(line: &str) -> bool {
        let argv: Vec<String> = line.split(' ').map(ToString::to_string).collect();
        known(&argv).expect("a known daemon").forks(&argv, Path::new("/nonexistent"))
    }

    #[test]
    fn each_daemon_is_there_once_and_in_order() {
        let names: Vec<&str> = DAEMONS.iter().map(|daemon| daemon.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }

    #[test]
    fn knows_who_forks() {
        let lines = [
            ("/usr/sbin/telldusd", true),
            ("/usr/sbin/telldusd --nodaemon", false),
            ("/usr/sbin/nginx -c /etc/x.conf", true),
            ("/usr/sbin/nginx -g daemon off;", false),
            ("/usr/sbin/named -u bind", true),
            ("/usr/sbin/named -fu bind", false),
            ("/usr/sbin/dnsmasq --keep-in-foreground", false),
            ("/usr/sbin/mosquitto -c /etc/mosquitto/mosquitto.conf", false),
            ("/usr/sbin/mosquitto -d", true),
            ("/usr/bin/dbus-daemon --system", true),
            ("/usr/bin/dbus-daemon --system --nofork", false),
            ("/usr/bin/dbus-daemon --session", false),
            ("/usr/sbin/exim4 -bd -q30m", true),
            ("/usr/sbin/exim4 -bdf -q30m", false),
            ("/usr/bin/redis-server --daemonize yes", true),
            ("/usr/bin/redis-server /etc/redis/redis.conf", false),
            ("/usr/sbin/php-fpm8.2 -F", false),
            ("/usr/sbin/php-fpm8.2", true),
            ("/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg", false),
            ("/usr/sbin/haproxy -f /etc/haproxy/haproxy.cfg", false),
            ("/usr/sbin/haproxy -D -f /etc/haproxy/haproxy.cfg", true),
        ];
        for (line, expected) in lines {
            assert_eq!(forks(line), expected, "{line}");
        }
        assert!(known(&["/usr/bin/web".into()]).is_none());
    }
}
