//! The keys of what a service has beside the usual: each becomes what the table carries.

mod common;

use common::{PLAIN, Root, service};
use ettan_table::{Extra, Knob};

/// What unit `a` has beside the usual, its strings as text.
fn extras(keys: &str) -> Vec<String> {
    let root = Root::new();
    root.unit("a", service(keys));
    let world = root.load();
    world.assert_clean();
    world.launch("a").extras.map(|extra| format!("{extra:?}")).collect()
}

/// `keys` refuse the unit, with each of `texts` said.
#[track_caller]
fn refused(keys: &str, texts: &[&str]) {
    let root = Root::new();
    root.unit("a", service(keys));
    root.unit("good", PLAIN);
    let world = root.load();
    assert_eq!(world.names(), ["good"], "{world}");
    texts.iter().for_each(|text| world.assert_says(text));
}

fn said(extra: Extra) -> Vec<String> {
    vec![format!("{extra:?}")]
}

#[test]
fn a_plain_service_has_nothing_beside_the_usual() {
    assert!(extras("").is_empty());
}

#[test]
fn limits_are_soft_and_hard() {
    let limit = |resource, soft, hard| said(Extra::Limit { resource, soft, hard });
    assert_eq!(extras("limit-nofile = 1024"), limit(7, 1024, 1024));
    assert_eq!(extras("limit-nofile = \"1024:524288\""), limit(7, 1024, 524_288));
    assert_eq!(extras("limit-core = \"infinity\""), limit(4, u64::MAX, u64::MAX));
    assert_eq!(extras("limit-core = \"0:infinity\""), limit(4, 0, u64::MAX));
    assert_eq!(extras("limit-as = \"50M\""), limit(9, 52_428_800, 52_428_800));
    assert_eq!(extras("limit-cpu = \"2min\""), limit(0, 120, 120));
    assert_eq!(extras("limit-rttime = \"5ms\""), limit(15, 5_000, 5_000));
    refused("limit-nofile = \"2:1\"", &["the soft limit is above the hard one"]);
    refused("limit-nofile = -1", &["`-1` is not a number"]);
    refused("limit-as = \"50X\"", &["`50X` is not a size"]);
    refused("limit-nofile = true", &["a boolean is neither a number nor a text"]);
}

#[test]
fn nice_is_for_the_kernel_and_for_the_order_of_starts() {
    let root = Root::new();
    root.unit("a", service("nice = -5"));
    root.unit("b", service(""));
    let world = root.load();
    assert_eq!((world.unit("a").nice, world.unit("b").nice), (-5, 0));
    assert_eq!(extras("nice = -5"), said(Extra::Nice(-5)));
}

#[test]
fn scheduling_and_the_score_have_ranges() {
    assert_eq!(extras("oom-score-adjust = -900"), said(Extra::OomScoreAdjust(-900)));
    assert_eq!(extras("io-scheduling-class = \"idle\""), said(Extra::IoClass(3)));
    assert_eq!(extras("cpu-affinity = \"0 2-3\""), said(Extra::CpuAffinity(0b1101)));
    assert_eq!(extras("cpu-affinity = [0, 63]"), said(Extra::CpuAffinity(1 | 1 << 63)));
    assert_eq!(extras("cpu-affinity = 1"), said(Extra::CpuAffinity(2)));
    refused("nice = 20", &["must be between -20 and 19"]);
    refused("nice = \"low\"", &["a text is not a whole number"]);
    refused("oom-score-adjust = 1001", &["must be between -1000 and 1000"]);
    refused("io-scheduling-class = \"fast\"", &["realtime, best-effort, idle"]);
    refused("cpu-affinity = 64", &["`64` is no processor"]);
    refused("cpu-affinity = []", &["is no processor"]);
}

#[test]
fn shares_of_the_machine_are_the_cgroups() {
    let share = |knob, value| said(Extra::Share { knob, value });
    assert_eq!(extras("memory-max = \"64M\""), share(Knob::MemoryMax, 64 << 20));
    assert_eq!(extras("memory-high = \"infinity\""), share(Knob::MemoryHigh, u64::MAX));
    assert_eq!(extras("tasks-max = 20"), share(Knob::TasksMax, 20));
    assert_eq!(extras("cpu-weight = 50"), share(Knob::CpuWeight, 50));
    assert_eq!(extras("cpu-quota = \"150%\""), share(Knob::CpuQuota, 150_000));
    refused("memory-max = 0", &["nothing can run with 0 of it"]);
    refused("cpu-weight = 0", &["must be between 1 and 10000"]);
    refused("cpu-quota = \"50\"", &["`50` is no share of processors", "\"50%\" is half of one"]);
}

#[test]
fn capabilities_have_names() {
    let bounding = |set| said(Extra::BoundingSet(set));
    assert_eq!(extras("capability-bounding-set = \"CAP_CHOWN CAP_KILL\""), bounding(0b10_0001));
    assert_eq!(extras("capability-bounding-set = [\"cap_chown\"]"), bounding(1));
    assert_eq!(extras("capability-bounding-set = \"~CAP_CHOWN\""), bounding(!1));
    assert_eq!(extras("capability-bounding-set = []"), bounding(0));
    let keys = "user = \"telldus\"\nambient-capabilities = \"CAP_NET_BIND_SERVICE\"";
    let both = [said(Extra::Ambient(1 << 10)), said(Extra::NoNewPrivileges)].concat();
    assert_eq!(extras(keys), both);
    refused("ambient-capabilities = \"NET_BIND\"", &["no capability `NET_BIND`"]);
}

#[test]
fn whoever_is_not_root_gains_nothing() {
    assert_eq!(extras("user = \"telldus\""), said(Extra::NoNewPrivileges));
    assert!(extras("user = \"telldus\"\nno-new-privileges = false").is_empty());
    assert_eq!(extras("no-new-privileges = true"), said(Extra::NoNewPrivileges));
    refused("no-new-privileges = 1", &["an integer is not true or false"]);
}

#[test]
fn supplementary_groups_join_the_users_own() {
    let root = Root::new();
    root.unit("a", service("user = \"telldus\"\nsupplementary-groups = [\"root\", 7]"));
    let world = root.load();
    world.assert_clean();
    assert_eq!(world.launch("a").groups.collect::<Vec<_>>(), [0, 7, 20, 46, 102]);
    refused("supplementary-groups = \"nosuch\"", &["a.toml:3:24", "unknown group `nosuch`"]);
}

/// The environment of unit `a` without the standard variables.
fn environment(root: &Root, keys: &str) -> Vec<String> {
    root.unit("a", service(keys));
    let world = root.load();
    world.assert_clean();
    let standard = ["PATH=", "HOME=", "USER=", "LOGNAME="];
    let all = world.environment("a");
    all.into_iter().filter(|text| !standard.iter().any(|key| text.starts_with(key))).collect()
}

#[test]
fn variables_come_from_files() {
    let root = Root::new();
    let text =
        "# comment\n; too\n\nA=1\n B = two words \nC=\"say \\\"x\\\"\"\nD='$A'\nE=a\\\nb\nF=\n";
    root.write("/etc/default/a", text);
    let keys = "environment = { A = \"0\", Z = \"%n\" }\nenvironment-file = \"/etc/default/%p\"";
    let expected = ["Z=a", "A=1", "B=two words", "C=say \"x\"", "D=$A", "E=ab", "F="];
    assert_eq!(environment(&root, keys), expected);
    assert!(environment(&root, "environment-file = \"-/nowhere\"").is_empty());
    refused("environment-file = \"/nowhere\"", &["`/nowhere`: no such file or directory"]);
    refused("environment-file = \"default\"", &["is not an absolute path", "begins with `/`"]);
}

#[test]
fn a_wrong_file_of_variables_refuses_the_unit() {
    let root = Root::new();
    let keys = service("environment-file = \"/etc/default/a\"");
    root.unit("a", &keys);
    let says = |content: &[u8], text: &str| {
        root.write("/etc/default/a", content);
        let world = root.load();
        assert!(world.names().is_empty());
        world.assert_says(text);
    };
    says(b"A=1\nrubbish\n", "/etc/default/a:2: not KEY=value");
    says(b"ETTAN_COOKIE=1\n", "is set by Ettan itself");
    says(b"=1\n", "cannot be a variable's name");
    says(b"A=\xff\n", "is not UTF-8");
    says(b"A=\0\n", "holds a NUL");
    says(&vec![b'#'; 70_000], "longer than 64 KiB");
    root.write("/etc/default/a", "A=1\n");
    root.mode("/etc/default/a", 0o666);
    root.load().assert_says("can be written by everybody");
}

#[test]
fn a_directory_of_variables_is_read_as_envdir_does() {
    let root = Root::new();
    for (name, content) in [
        ("COLOUR", "blue  \t\nsecond line\n"),
        ("EMPTY", "\n"),
        ("GONE", ""),
        ("LINES", "a\0b"),
        (".hidden", "x"),
    ] {
        root.write(&format!("/etc/a.env/{name}"), content);
    }
    root.mode("/etc/a.env", 0o755);
    let keys = "environment-dir = \"/etc/a.env\"\nenvironment = { GONE = \"1\", KEPT = \"1\" }";
    let expected = ["KEPT=1", "COLOUR=blue", "EMPTY=", "LINES=a\nb"];
    assert_eq!(environment(&root, keys), expected);
    root.write("/etc/a.env/A=B", "x");
    root.unit("a", service(keys));
    root.load().assert_says("cannot be a variable's name");
}
