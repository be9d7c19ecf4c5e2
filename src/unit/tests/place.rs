//! The keys of what a service finds around it: words for the stage, descriptors for PID 1.

mod common;

use common::{PLAIN, Root, service};
use ettan_table::{Extra, Stream};

const END: &str = "unit=a uid=0 gid=0 groups=0 umask=22 cwd=/";

/// The words of unit `a`, and what PID 1 itself is told of its descriptors.
fn place(keys: &str) -> (String, Option<[Stream; 3]>) {
    let root = Root::new();
    root.unit("a", service(keys));
    let world = root.load();
    world.assert_clean();
    let launch = world.launch("a");
    let streams = launch.extras.clone().find_map(|extra| match extra {
        Extra::Streams(streams) => Some(streams),
        _ => None,
    });
    (launch.place.to_string_lossy().into_owned(), streams)
}

#[track_caller]
fn words(keys: &str, expected: &str) {
    let expected = if expected.is_empty() { String::new() } else { format!("{expected} {END}") };
    assert_eq!(place(keys).0, expected, "{keys}");
}

#[track_caller]
fn refused(keys: &str, texts: &[&str]) {
    let root = Root::new();
    root.unit("a", service(keys));
    root.unit("good", PLAIN);
    let world = root.load();
    assert_eq!(world.names(), ["good"], "{world}");
    texts.iter().for_each(|text| world.assert_says(text));
}

#[test]
fn a_service_without_such_keys_is_executed_directly() {
    for keys in [
        "",
        "private-tmp = false\nprivate-network = false\nprotect-system = false",
        "standard-input = \"null\"\nstandard-output = \"log\"\nstandard-error = \"log\"",
        "runtime-directory = []",
        "root-directory = \"/\"",
    ] {
        assert_eq!(place(keys), (String::new(), None), "{keys}");
    }
}

#[test]
fn descriptors_are_made_by_pid_1_where_no_path_is_needed() {
    use Stream::{Error, Log, Null, Tty};
    let streams = |keys: &str, expected| assert_eq!(place(keys), (String::new(), Some(expected)));
    streams("standard-output = \"null\"", [Null, Null, Log]);
    streams("standard-output = \"null\"\nstandard-error = \"inherit\"", [Null; 3]);
    streams("standard-output = \"inherit\"", [Null, Null, Log]);
    streams("standard-error = \"log:err\"", [Null, Log, Error]);
    streams("standard-output = \"null\"\nstandard-error = \"log:err\"", [Null, Null, Error]);
    streams("standard-input = \"tty\"", [Tty; 3]);
    streams("standard-input = \"tty\"\nstandard-error = \"log\"", [Tty, Tty, Log]);
    streams("tty-path = \"/dev/tty1\"\nstandard-output = \"log\"", [Tty, Log, Tty]);
    assert_eq!(place("tty-path = \"/dev/tty1\""), (String::new(), None));
}

#[test]
fn descriptors_are_made_by_the_stage_where_a_path_is_opened() {
    words("standard-output = \"file:/a b\"", "out=file:/a%20b");
    words("standard-error = \"append:/%n.log\"", "err=append:/a.log");
    words(
        "standard-output = \"append:/o\"\nstandard-error = \"inherit\"",
        "out=append:/o err=as:1",
    );
    words("standard-input = \"file:/i\"\nstandard-output = \"inherit\"", "in=read:/i out=as:0");
    words("standard-output = \"tty\"", "out=tty:/dev/console");
    words(
        "tty-path = \"/dev/tty9\"\nstandard-input = \"null\"\nstandard-output = \"tty\"\nstandard-error = \"tty\"",
        "out=tty:/dev/tty9 err=tty:/dev/tty9",
    );
}

#[test]
fn directories_and_sandboxes_are_words() {
    words("runtime-directory = \"%n\"", "run=a");
    words(
        "runtime-directory = [\"a\", \"a/b\"]\nstate-directory = \"s%%\"\nlogs-directory = \"l\"",
        "run=a run=a/b state=s%25 logs=l",
    );
    words(
        "root-directory = \"/srv/\"\nprivate-tmp = true\nprivate-network = true",
        "root=/srv tmp net",
    );
    words("protect-system = true", "protect=true");
    words("protect-system = \"full\"", "protect=full");
    words(
        "protect-system = \"strict\"\nread-write-paths = [\"/data\", \"-/maybe\"]",
        "protect=strict rw=/data rw-=/maybe",
    );
}

#[test]
fn rights_travel_with_the_words_and_variables_tell_of_directories() {
    let root = Root::new();
    let keys = "user = \"telldus\"\nnice = 5\nlimit-core = \"0:infinity\"\numask = \"0077\"\n\
        working-directory = \"/var/lib/s\"\nruntime-directory = [\"r\", \"q\"]\nstate-directory = \"s\"\n";
    root.unit("a", service(keys));
    let world = root.load();
    world.assert_clean();
    let launch = world.launch("a");
    assert_eq!(
        launch.place.to_str().unwrap(),
        "run=r run=q state=s unit=a uid=101 gid=102 groups=20,46,102 umask=77 cwd=/var/lib/s \
         limit=4:0:18446744073709551615 nice=5 no-new-privileges"
    );
    assert!(launch.extras.clone().any(|extra| extra == Extra::Leaves));
    let environment = world.environment("a");
    for variable in ["RUNTIME_DIRECTORY=/run/r:/run/q", "STATE_DIRECTORY=/var/lib/s"] {
        assert!(environment.iter().any(|found| found == variable), "{environment:?}");
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_hint() {
    refused("runtime-directory = \"/run/web\"", &["is no name below /run", "did you mean `web`?"]);
    for name in ["..", "a/../b", "/etc", "a//b", ""] {
        refused(&format!("state-directory = \"{name}\""), &["is no name below /var/lib"]);
    }
    refused(
        "standard-input = \"log\"",
        &["unknown value `log` for `standard-input`", "null, tty, file:PATH"],
    );
    refused("standard-input = \"append:/x\"", &["unknown value `append:/x`"]);
    refused("standard-output = \"journal\"", &["log, null, inherit, tty"]);
    refused("standard-output = \"file:relative\"", &["`relative` is not an absolute path"]);
    refused("standard-output = \"log:err\"", &["unknown value `log:err`"]);
    refused("standard-error = \"log:warn\"", &["unknown value `log:warn`", "valid: log, log:err"]);
    refused("standard-output = \"null:\"", &["unknown value `null:`", "did you mean `null`?"]);
    refused("protect-system = \"ful\"", &["did you mean `full`?"]);
    refused("read-write-paths = \"data\"", &["`data` is not an absolute path"]);
    refused("root-directory = \"srv\"", &["`srv` is not an absolute path"]);
    refused("private-tmp = \"yes\"", &["a text is not true or false"]);
}

#[test]
fn what_means_nothing_is_warned_of() {
    let root = Root::new();
    root.unit("a", service("read-write-paths = \"/data\""));
    root.unit("b", service("tty-path = \"/dev/tty1\"\nstandard-input = \"null\""));
    let world = root.load();
    assert_eq!(world.names(), ["a", "b"]);
    world.assert_says("has no effect, since nothing is read-only");
}

#[test]
fn a_changed_place_is_another_definition() {
    let root = Root::new();
    let fingerprint = |keys: &str| {
        root.unit("a", service(keys));
        root.load().unit("a").fingerprint
    };
    let plain = fingerprint("");
    let made = fingerprint("runtime-directory = \"a\"");
    assert!(plain != made && made != fingerprint("runtime-directory = \"b\""));
    assert_eq!(plain, fingerprint("standard-output = \"log\""));
    assert_ne!(plain, fingerprint("standard-output = \"null\""));
}
