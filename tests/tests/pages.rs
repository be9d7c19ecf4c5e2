//! The pages of `ettan` as a person sees them on a terminal of 80 columns, and docs/pages.md, which
//! shows them. `ETTAN_SHOW=1` with `--nocapture` prints them; `ETTAN_UPDATE=1` writes that page anew.

use ettan_tests::binaries::workspace;
use ettan_tests::units::{QUICK, fake, forking, idle, shell, with};
use ettan_tests::{Machine, Namespace, Operate};

/// One of each: up, waiting for a condition, crash-looping, failed, a chain, a circle.
fn machine() -> Namespace {
    let mut machine = Namespace::usual();
    let telldusd = forking("telldusd", "");
    machine.unit("telldusd", &with("description = \"Telldus Duo daemon\"", &telldusd));
    let needs = "requires = [\"telldusd\"]\nafter = [\"network:eth7:address\"]";
    machine.unit("cherrytelldus", &with(needs, &idle()));
    machine.unit("kiosk", &with("requires = [\"cherrytelldus\"]\nwants = [\"web\"]", &idle()));
    machine.unit("web", &shell("echo no such port >&2; exit 1"));
    machine.unit("job", "[service]\nexec-start = '/bin/nosuch'\nrestart = 'no'\n");
    machine.unit("ping", &with("after = [\"pong\"]", &idle()));
    machine.unit("pong", &with("after = [\"ping\"]", &fake(&format!("\n{QUICK}"))));
    machine.boot();
    machine.expect(&["telldusd up"]);
    machine.until("it crash-loops", |machine| machine.status("web")["crash_looping"] == true);
    let pid = machine.main_pid("telldusd");
    machine.kill9(pid);
    machine.expect(&["telldusd up"]);
    machine
}

/// What a terminal of 80 columns is sent.
fn on_a_terminal(machine: &mut Namespace, environment: &str, verb: &str) -> String {
    let inner = format!("stty cols 80 rows 24; ettan {verb}");
    let line = format!("{environment} script -qec '{inner}' /dev/null </dev/null");
    let shown = machine.sh(&line).out.replace('\r', "");
    if std::env::var_os("ETTAN_SHOW").is_some() {
        println!("# ettan {verb}\n{shown}");
    }
    shown
}

const PAGES: [&str; 8] = [
    "status",
    "status telldusd",
    "status web",
    "status cherrytelldus",
    "why kiosk",
    "tree",
    "boot",
    "list",
];

#[test]
fn every_page_fits_a_serial_console() {
    let mut machine = machine();
    for verb in PAGES {
        let shown = on_a_terminal(&mut machine, "TERM=vt102 NO_COLOR=1", verb);
        assert!(!shown.trim().is_empty(), "{verb} shows nothing");
        let wide: Vec<_> = shown.lines().filter(|line| line.chars().count() > 80).collect();
        assert_eq!(wide, Vec::<&str>::new(), "{verb}");
        assert!(!shown.contains('\x1b'), "{verb}: {shown:?}");
        assert!(shown.is_ascii() || shown.contains('…'), "{verb}: {shown:?}");
    }
}

#[test]
fn colours_are_for_terminals_that_have_them() {
    let mut machine = machine();
    let green = "\x1b[32mup\x1b[0m";
    assert!(on_a_terminal(&mut machine, "TERM=xterm", "status telldusd").contains(green));
    assert!(on_a_terminal(&mut machine, "TERM=xterm", "status").contains("\x1b[31mbackoff\x1b[0m"));
    for environment in ["TERM=dumb", "TERM=xterm NO_COLOR=1"] {
        assert!(!on_a_terminal(&mut machine, environment, "status").contains('\x1b'));
    }
    assert!(!machine.sh("TERM=xterm ettan status").out.contains('\x1b'));
    let drawn = on_a_terminal(&mut machine, "TERM=xterm LC_ALL=C.UTF-8", "tree");
    assert!(drawn.contains("├─ telldusd"), "{drawn}");
}

#[test]
fn pages_tell_what_a_person_asks() {
    let mut machine = machine();
    for (verb, words) in [
        ("status", &["  machine: up for ", "    clock: ", "    PID 1: ", "    flash: 0 B"][..]),
        ("status telldusd", &[" restarts: 1, the last because it "]),
        ("status web", &["crash-looping: ", "next start in ", "no such port"]),
        ("status cherrytelldus", &["waits for: condition network:eth7:address"]),
        ("tree", &["|- telldusd", "cut", "network:eth7:address  waiting"]),
        ("boot", &["boot: ", "telldusd", "#"]),
    ] {
        // A unit that crashes again and again waits most of the time, and not all of it.
        machine.until(&format!("`ettan {verb}` has {words:?}"), |machine| {
            let told = machine.ettan(verb).out;
            words.iter().all(|word| told.contains(word))
        });
    }
    let json = machine.ettan("boot --json").ok();
    assert!(json.contains("{\"unit\":\"telldusd\",\"started_ms\":"), "{json}");
    assert_eq!(machine.ettan("boot --svg /run/boot.svg").code, 0);
    assert!(machine.sh("head -c 5 /run/boot.svg").out.contains("<svg "));
    assert_eq!(machine.ettan("tree nosuch").code, 4);
    assert!(machine.ettan("tree --json").out.contains("\"unit\":\"kiosk\""));
}

#[test]
fn what_is_awaited_shows_while_a_verb_waits() {
    let mut machine = machine();
    let ending = "trap '' TERM; : >/run/deaf; while :; do sleep 1; done";
    machine.unit("slow", &format!("{}timeout-stop-sec = \"2s\"\n", shell(ending)));
    assert_eq!(machine.ettan("reload-units").code, 0);
    assert_eq!(machine.ettan("start slow").code, 0);
    machine.until("it is deaf", |machine| machine.sh("test -e /run/deaf").code == 0);
    let shown = on_a_terminal(&mut machine, "TERM=vt102", "stop slow");
    assert!(shown.contains("slow: stopping, KILL in 1"), "{shown:?}");
    assert!(shown.contains("slow: down"), "{shown:?}");
}

#[test]
fn a_new_user_comes_from_a_command_to_a_supervised_service() {
    let mut machine = machine();
    let told = machine.ettan("new port -- /bin/sleep 100000");
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.out.contains("type = \"simple\""), "{told:?}");
    assert_eq!(machine.ettan("check /etc/units/port.toml").code, 0);
    assert_eq!(machine.ettan("reload-units").code, 0);
    assert_eq!(machine.ettan("start port").code, 0);
    assert_eq!(machine.ettan("new port -- /bin/true").code, 1);
    let daemon = "/usr/bin/fake-daemon --name tried --pid-file /run/tried.pid";
    let told = machine.ettan(&format!("new tried -- {daemon}"));
    assert!(told.out.contains("it wrote its number to /run/tried.pid"), "{told:?}");
    assert_eq!(machine.ettan("reload-units").code, 0);
    assert_eq!(machine.ettan("start tried").code, 0);
    // A name that is typed wrongly, and a unit that PID 1 has not read yet, are told what to do.
    let told = machine.ettan("start pirt");
    assert!(told.err.contains("ettan list shows all, ettan new pirt writes one"), "{told:?}");
    assert_eq!(machine.ettan("new late -- /bin/sleep 100000").code, 0);
    for verb in ["start late", "status late", "why late"] {
        let told = machine.ettan(verb);
        assert!(
            told.err.contains("late.toml is there and not read yet: ettan reload-units"),
            "{told:?}"
        );
    }
    let told = machine.ettan("new once --now -- /bin/sleep 100000");
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.out.contains("once: up (pid ") && told.out.contains("ettan status once"),
        "{told:?}"
    );
    assert_eq!(machine.ettan("is-active late").code, 0);
    assert_eq!(machine.ettan("new wrong -- /bin/false").code, 1);
    assert_ne!(machine.sh("test -e /etc/units/wrong.toml").code, 0);
    assert_eq!(machine.ettan("new sample --example").code, 0);
}

/// The machine of docs/pages.md: a daemon that was killed once, one that waits for the network, one
/// whose program is missing.
fn example() -> Namespace {
    let mut machine = Namespace::usual();
    // A short run, however slow the machine is: it waits before it starts again.
    let telldusd = format!("{}min-uptime-sec = \"30s\"\n", forking("telldusd", ""));
    machine.unit("telldusd", &with("description = \"Telldus Duo daemon\"", &telldusd));
    let needs = "description = \"Web application\"\nrequires = [\"telldusd\"]\n\
                 after = [\"network\"]";
    machine.unit("cherrytelldus", &with(needs, &idle()));
    machine.unit("kiosk", &with("requires = [\"cherrytelldus\"]\nwants = [\"web\"]", &idle()));
    machine.unit("web", "[service]\nexec-start = \"/usr/bin/web -p 80\"\nrestart = \"no\"\n");
    machine.boot();
    machine.expect(&["telldusd up"]);
    machine.until("web is missed", |machine| machine.ettan("is-failed web").code == 0);
    let pid = machine.main_pid("telldusd");
    machine.kill9(pid);
    machine.expect(&["telldusd up"]);
    let broken = "[unit]\nafter = [\"netwrok\"]\n\n[service]\nexec-strat = \"/usr/bin/web -p 80\"\n\
                  restart = \"allways\"\n";
    machine.write("/etc/units/broken.toml", broken.as_bytes());
    machine
}

/// A line without what is another each time: numbers, spans and times, and what this machine has.
fn lasting(line: &str) -> String {
    let mut plain = String::new();
    let mut letters = line.trim_end().chars().peekable();
    while let Some(letter) = letters.next() {
        if !letter.is_ascii_digit() {
            plain.push(letter);
            continue;
        }
        plain.push('0');
        while letters.next_if(|next| next.is_ascii_digit() || ".:-TZ".contains(*next)).is_some() {}
    }
    let mut words: Vec<&str> = Vec::new();
    for word in plain.split_whitespace() {
        // `2 min 5 s` is a span like `81 ms`.
        let is_unit = ["ms", "s", "min", "h", "ms,", "s,", "B", "KiB", "MiB"].contains(&word);
        match (is_unit, word) {
            (true, _) if words.last() == Some(&"0") => {}
            (_, "0") if words.last() == Some(&"0") => {}
            _ => words.push(word),
        }
    }
    let of_the_machine = ["clock:", "kernel:", "watchdog:", "machine:"];
    if words.first().is_some_and(|word| of_the_machine.contains(word)) {
        words.truncate(1);
    }
    words.join(" ")
}

#[test]
fn the_manual_shows_the_pages_as_they_are() {
    let mut machine = example();
    let path = workspace().join("docs/pages.md");
    let manual = std::fs::read_to_string(&path).expect("the page of pages");
    let mut renewed = String::new();
    let mut wrong = Vec::new();
    for (nth, part) in manual.split("```").enumerate() {
        let Some(block) = part.strip_prefix("console\n# ettan ").filter(|_| nth % 2 == 1) else {
            renewed.push_str(&format!("{}{part}", if nth == 0 { "" } else { "```" }));
            continue;
        };
        let (verb, shown) = block.split_once('\n').expect("a verb, then what it shows");
        let now = on_a_terminal(&mut machine, "TERM=vt102 NO_COLOR=1", verb);
        // Only a machine with cgroup v2 has the lines of what a unit uses.
        let lasts = |line: &&str| {
            !["memory:", "tasks:"].contains(&line.trim_start().split(' ').next().unwrap_or(""))
        };
        let same =
            |text: &str| text.trim_end().lines().filter(lasts).map(lasting).collect::<Vec<_>>();
        if same(shown) != same(&now) {
            wrong.push(format!("ettan {verb} shows now:\n{now}"));
        }
        assert!(now.lines().all(|line| line.chars().count() <= 80), "{now}");
        renewed.push_str(&format!("```console\n# ettan {verb}\n{}\n", now.trim_end()));
    }
    assert!(manual.matches("```console").count() >= 5, "where are the pages?");
    if std::env::var_os("ETTAN_UPDATE").is_some() {
        return std::fs::write(&path, renewed).expect("the page can be written");
    }
    assert_eq!(wrong, [""; 0], "ETTAN_UPDATE=1 cargo test -p ettan-tests --test pages manual");
}

#[test]
fn rescue_and_back() {
    let mut machine = machine();
    assert_eq!(machine.ettan("rescue").code, 0);
    assert_eq!(machine.ettan("is-active telldusd").code, 3);
    // A machine of this kind has no terminal for it: what counts is what it is to be.
    assert_eq!(machine.status("ettan-rescue")["goal"], "up");
    // What is mended in it is read, and the shell stays.
    assert_eq!(machine.ettan("reload-units").code, 0);
    assert_eq!(machine.status("ettan-rescue")["goal"], "up");
    assert_eq!(machine.ettan("rescue --leave").code, 0);
    machine.until("they are back", |machine| machine.ettan("is-active telldusd").code == 0);
    assert_eq!(machine.status("ettan-rescue")["goal"], "down");
}
