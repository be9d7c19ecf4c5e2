//! daemontools' hands: Debian's own and ours, given the same, do and say the same.

use ettan_tests::debian::unpack;
use ettan_tests::units::idle;
use ettan_tests::{Builder, Machine, Namespace, Operate};

/// `d` is up.
fn machine() -> Namespace {
    let layer = unpack("daemontools", &["daemontools"]);
    let mut machine = Builder::default().layer(&layer).build();
    machine.unit("d", &idle());
    machine.boot();
    machine.expect(&["d up"]);
    machine
}

/// Runs it with each of both in the place of `TOOL`: exit codes, output, and the first words of
/// what is complained about are the same. Only how to use it we say at greater length.
fn alike(machine: &mut Namespace, tool: &str, line: &str) {
    let theirs = machine.sh(&line.replace("TOOL", &format!("/usr/bin/{tool}")));
    let ours = machine.sh(&line.replace("TOOL", &format!("ettan {tool}")));
    assert_eq!((ours.code, &ours.out), (theirs.code, &theirs.out), "{line}: {theirs:?} {ours:?}");
    let complaint = |text: &str| text.split(": ").take(3).collect::<Vec<_>>().join(": ");
    if theirs.code == 111 && !theirs.err.contains(": usage: ") {
        assert_eq!(complaint(ours.err.trim()), complaint(theirs.err.trim()), "{line}");
    }
}

#[test]
fn setuidgid_does_what_daemontools_does() {
    let mut machine = machine();
    for line in [
        "TOOL nobody id",
        "TOOL nobody sh -c 'grep -E \"^(Uid|Gid|Groups|CapEff)\" /proc/self/status'",
        "cd / && TOOL root sh -c 'id -G; echo $0' -h --json",
        "TOOL nosuchuser id",
        "TOOL nobody nosuchprogram",
        "TOOL nobody /etc",
        "TOOL nobody",
        "TOOL",
    ] {
        alike(&mut machine, "setuidgid", line);
    }
}

#[test]
fn envdir_does_what_daemontools_does() {
    let mut machine = machine();
    let fill = "mkdir -p /run/e/.not && cd /run/e && printf 'plain' >PLAIN && \
                printf 'two words \\t\\nsecond' >TWO && printf '' >GONE && printf '\\n' >EMPTY && \
                printf 'a\\0b\\n' >NUL && printf 'hidden' >.HIDDEN";
    assert_eq!(machine.sh(fill).code, 0);
    for line in [
        "GONE=here KEPT=1 TOOL /run/e env | grep -v '^_=' | sort",
        "cd /run && TOOL e sh -c 'pwd; echo \"$TWO.\"'",
        "TOOL /run/e nosuchprogram",
        "TOOL /run/nosuch env",
        "mkdir -p /run/bad/folder && TOOL /run/bad env",
        "TOOL /run/e",
    ] {
        alike(&mut machine, "envdir", line);
    }
}

#[test]
fn softlimit_does_what_daemontools_does() {
    let mut machine = machine();
    for line in [
        "TOOL -o 20 -c 0 -t 100 -f 4096 -p 500 cat /proc/self/limits",
        "TOOL -m 200000000 -r 1000000 cat /proc/self/limits",
        "TOOL -a300000000 -d 100000000 -s8000000 -l 4096 cat /proc/self/limits",
        "ulimit -Sn 30; TOOL -o = sh -c 'ulimit -n'",
        "ulimit -Hn 100; TOOL -o 5000 sh -c 'ulimit -n'",
        "TOOL nosuchprogram",
        "TOOL -o many true",
        "TOOL -z 1 true",
        "TOOL -o 20",
    ] {
        alike(&mut machine, "softlimit", line);
    }
}

/// What svstat says, without the numbers.
fn svstat(machine: &mut Namespace, command: &str) -> String {
    let line = machine.sh(command).ok();
    let digits = |letter: char| if letter.is_ascii_digit() { '0' } else { letter };
    let mut line: String = line.chars().map(digits).collect();
    while line.contains("00") {
        line = line.replace("00", "0");
    }
    line
}

/// The same deeds under svscan's supervise and under PID 1, looked at by both svstat until they
/// say the same.
#[test]
fn svc_and_svstat_do_what_daemontools_does() {
    let mut machine = machine();
    let service = "mkdir -p /run/service/web && cd /run/service/web && \
                   printf '#!/bin/sh\\nexec sleep 100000\\n' >run && chmod 755 run";
    assert_eq!(machine.sh(service).code, 0);
    machine.unit("web", &idle());
    machine.unit("sup", "[service]\nexec-start = '/usr/bin/supervise /run/service/web'\n");
    assert_eq!(machine.ettan("reload-units").code, 0);
    assert_eq!(machine.ettan("start web sup").code, 0);
    machine
        .until("supervise runs", |machine| machine.sh("/usr/bin/svok /run/service/web").code == 0);
    let up = "/run/service/web: up (pid 0) 0 seconds";
    let down = "/run/service/web: down 0 seconds, normally up";
    for (letters, said) in [
        ("-c", up.to_owned()),
        ("-p", format!("{up}, paused")),
        ("-c", up.to_owned()),
        ("-d", down.to_owned()),
        ("-u", up.to_owned()),
        ("-t", up.to_owned()),
        ("-k", up.to_owned()),
        ("-o", up.to_owned()),
        ("-i", down.to_owned()),
        ("-o", up.to_owned()),
        ("-pd", down.to_owned()),
        ("-u", up.to_owned()),
    ] {
        for own in ["/usr/bin/", "ettan "] {
            assert_eq!(machine.sh(&format!("{own}svc {letters} /run/service/web")).code, 0);
            let stat = format!("{own}svstat /run/service/web");
            machine
                .until("it says what daemontools says", |machine| svstat(machine, &stat) == said);
        }
    }
}

#[test]
fn svok_and_svstat_of_what_is_not_there() {
    let mut machine = machine();
    for (line, code) in
        [("svok d", 0), ("svok /service/d/", 0), ("svok nosuch", 100), ("svok", 100)]
    {
        assert_eq!(machine.sh(&format!("ettan {line}")).code, code, "{line}");
    }
    assert_eq!(machine.sh("mkdir /run/none && /usr/bin/svok /run/none").code, 100);
    let told = machine.sh("ettan svstat nosuch d");
    assert_eq!(told.code, 0);
    assert!(told.out.starts_with("nosuch: no unit is called nosuch\nd: up (pid "), "{told:?}");
    assert_eq!(machine.ettan("svc -u nosuch").code, 5);
    assert_eq!(machine.sh("ln -s /usr/bin/ettan /run/svstat && /run/svstat d").code, 0);
    // Forgotten once it is down, as its file is gone.
    assert_eq!(machine.sh("rm /etc/units/d.toml && ettan svc -dx d").code, 0);
    machine.until("it is forgotten", |machine| machine.sh("ettan svok d").code == 100);
}

/// For whole labels: over others Debian's falls.
#[test]
fn tai64nlocal_says_what_daemontools_says() {
    let mut machine = machine();
    let labels = "printf 'plain\\n@400000004d52960a1dcd6500 x\\n@4000000038bb1180000003e8\\n\\n x @400000004d52960a1dcd6500\\nend' |";
    let zones = ["UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0"];
    for zone in zones {
        let theirs = machine.sh(&format!("{labels} TZ='{zone}' /usr/bin/tai64nlocal"));
        let ours = machine.sh(&format!("{labels} TZ='{zone}' ettan tai64nlocal"));
        assert!(theirs.out.contains("2011-02-09"), "{theirs:?}");
        assert_eq!(ours.out, theirs.out, "in {zone}");
    }
}
