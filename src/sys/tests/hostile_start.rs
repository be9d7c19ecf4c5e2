//! f7_14: descriptors 0 to 2 closed and /dev empty. Without the test harness: the program under
//! test is this one, started again in namespaces of its own, and its `main` only runs if std's
//! start-up code found something to stand on.

use std::fs::{File, read_link, read_to_string};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

fn main() {
    ettan_sys::entry::keep();
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, report] = arguments.as_slice()
        && word == "probe"
    {
        return probe(Path::new(report));
    }
    as_process_1_devtmpfs_is_mounted();
    as_process_1_without_the_right_to_mount_it_starts_all_the_same();
    as_another_process_it_starts_all_the_same();
    what_is_open_stays_as_it_is();
    println!("hostile_start: ok");
}

/// Writes down what its descriptors are, and what is in /dev.
fn probe(report: &Path) {
    let mut out = File::create(report).expect("a report");
    let pid = std::process::id();
    for number in 0..=2 {
        let target = read_link(format!("/proc/self/fd/{number}")).unwrap_or_default();
        let info = read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("");
        let flags = u32::from_str_radix(flags.trim(), 8).unwrap_or(0);
        let waits = flags & libc::O_NONBLOCK as u32 == 0;
        writeln!(out, "{number} {} waits={waits}", target.display()).expect("a line");
    }
    let null = Path::new("/dev/null").exists();
    writeln!(out, "pid={pid} null={null}").expect("a line");
    // Output to what is not there must not kill either.
    println!("nobody reads this");
    eprintln!("nor this");
    out.write_all(b"done\n").expect("a line");
}

fn as_process_1_devtmpfs_is_mounted() {
    let said = run("--mount --pid --fork", "mount -t tmpfs none /dev; ls -A /dev", CLOSED);
    assert!(said.contains("pid=1 null=true\ndone\n"), "{said}");
    for line in said.lines().take(3) {
        let console = line.ends_with("/dev/console waits=false");
        assert!(console || line.ends_with("/dev/null waits=true"), "{said}");
    }
}

fn as_process_1_without_the_right_to_mount_it_starts_all_the_same() {
    // In a user namespace tmpfs may be mounted, devtmpfs may not.
    let options = "--user --map-root-user --mount --pid --fork";
    if !Command::new("unshare")
        .args(options.split(' '))
        .arg("true")
        .status()
        .is_ok_and(|s| s.success())
    {
        return println!("no user namespaces here: that part is not tested");
    }
    let said = run(options, "mount -t tmpfs none /dev", CLOSED);
    assert_eq!(said, format!("{NOTHING}pid=1 null=false\ndone\n"));
}

fn as_another_process_it_starts_all_the_same() {
    let said = run("--mount", "mount -t tmpfs none /dev", CLOSED);
    assert!(said.starts_with(NOTHING) && said.ends_with("null=false\ndone\n"), "{said}");
}

fn what_is_open_stays_as_it_is() {
    let said = run("--mount --pid --fork", "true", "</dev/zero >/dev/null 2>/dev/zero");
    let expected = "0 /dev/zero waits=true\n1 /dev/null waits=true\n2 /dev/zero waits=true\n";
    assert!(said.starts_with(expected) && said.ends_with("done\n"), "{said}");
}

const CLOSED: &str = "<&- >&- 2>&-";
const NOTHING: &str = "0 / waits=true\n1 / waits=true\n2 / waits=true\n";

/// Starts the probe after `prepare` in new namespaces, with these redirections; gives its report.
fn run(namespaces: &str, prepare: &str, descriptors: &str) -> String {
    let report = Report::new();
    let program = std::env::current_exe().expect("this program");
    let path = report.0.display();
    let script = format!("{prepare}; exec {} probe {path} {descriptors}", program.display());
    let status = unshare(namespaces, &script);
    let said = read_to_string(&report.0).unwrap_or_default();
    assert!(status.success(), "{status} after: {said}");
    said
}

fn unshare(namespaces: &str, script: &str) -> ExitStatus {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", "20", "unshare"]).args(namespaces.split(' '));
    command.args(["sh", "-c", script]).status().expect("util-linux's unshare")
}

/// A file that goes when the test is over.
struct Report(PathBuf);

impl Report {
    fn new() -> Self {
        let name = format!("ettan-sys-probe-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
