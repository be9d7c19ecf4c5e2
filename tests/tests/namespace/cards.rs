//! A card that freezes, and one that must have everything before the last message: a real ext4 on a
//! loop device, which belongs to the test's machine.

use crate::logs::helper;
use ettan_tests::units::{QUICK, idle, shell};
use ettan_tests::{End, Machine, Namespace, Operate};
use std::path::PathBuf;
use std::process::Command;

/// An ext4 at /data of a machine.
pub(crate) struct Card {
    image: PathBuf,
    /// Where the host sees it.
    place: PathBuf,
}

impl Card {
    pub(crate) fn new(machine: &mut Namespace, name: &str) -> Self {
        let image = std::env::temp_dir().join(format!("ettan-card-{}-{name}", std::process::id()));
        let host = |words: &str| {
            let words = words.replace("IMAGE", image.to_str().expect("a plain path"));
            let ran = Command::new("sh").args(["-c", &words]).output().expect("a shell");
            assert!(ran.status.success(), "{words}: {}", String::from_utf8_lossy(&ran.stderr));
            String::from_utf8(ran.stdout).expect("text").trim().to_owned()
        };
        let _ = host("truncate -s 16M IMAGE && mkfs.ext4 -q IMAGE");
        let device = host("losetup -f --show IMAGE");
        let number = host(&format!("stat -c '%Hr %Lr' {device}"));
        let mount =
            format!("mknod /dev/card b {number} && mkdir -p /data && mount /dev/card /data");
        let mounted = machine.sh(&mount);
        // The kernel lets go of it when the last mount is gone.
        let _ = host(&format!("losetup -d {device}"));
        let _ = mounted.ok();
        Card { image, place: machine.root().join("data") }
    }

    fn freeze(&self) {
        let ran = Command::new("fsfreeze").arg("-f").arg(&self.place).status();
        assert!(ran.expect("fsfreeze").success());
    }

    fn thaw(&self) -> bool {
        let ran = Command::new("fsfreeze").arg("-u").arg(&self.place).output();
        ran.is_ok_and(|ran| ran.status.success())
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        // A frozen file system would never go.
        let _ = self.thaw();
        let _ = std::fs::remove_file(&self.image);
    }
}

/// What is in /var/lib/ettan is on a card from now on that takes no byte more.
pub(crate) fn full_card(machine: &mut Namespace, name: &str) -> Card {
    let card = Card::new(machine, name);
    let words = "cp -a /var/lib/ettan /data/ && mount --bind /data/ettan /var/lib/ettan && sync && \
                 for size in 64k 1k; do \
                 dd if=/dev/zero bs=$size oflag=append conv=notrunc of=/data/all 2>/dev/null; done; \
                 sync; ! echo more >/data/more";
    let _ = machine.sh(words).ok();
    card
}

/// True when a thread of this process is in the state D.
fn hangs(machine: &mut Namespace, pid: i32) -> bool {
    machine.sh(&format!("cut -d ')' -f 2 /proc/{pid}/task/*/stat")).out.contains(" D ")
}

#[test]
fn f6_5_a_frozen_card_stops_nobody_and_what_it_missed_is_told() {
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    let card = Card::new(&mut machine, "log");
    let count = shell("n=0; while :; do n=$((n + 1)); echo number $n; sleep 0.01; done");
    let log =
        "[log]\nstorage = \"disk\"\ndirectory = \"/data/d\"\nmax-size = \"4K\"\nmax-files = 2\n";
    machine.unit("d", &format!("{count}{log}"));
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.expect(&["d up"]);
    machine.until("it counts", |machine| machine.ettan("logs d").out.contains("number 5"));
    assert_eq!(machine.ettan("logs --flush").code, 0);
    card.freeze();
    let logger = helper(&mut machine, "log").expect("a logger");
    machine.until("the logger's writer hangs", |machine| hangs(machine, logger));
    // More than memory holds is said meanwhile, and everybody goes on.
    let last = |machine: &mut Namespace| {
        let log = machine.ettan("logs -n 1 d").out;
        log.rsplit(' ').next().and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let begun = last(&mut machine);
    machine.until("memory has let go of some", |machine| last(machine) > begun + 600);
    for _ in 0..3 {
        let pid = machine.main_pid("web");
        machine.kill9(pid);
        machine.expect(&["web up"]);
    }
    assert!(hangs(&mut machine, logger), "it was to hang all along");
    assert!(card.thaw());
    let frozen = last(&mut machine);
    machine.until("the card has the newest again, and the gap", |machine| {
        let log = machine.sh("cat /data/d/*").out;
        let newest = log.lines().filter_map(|line| line.split_once(" number ")?.1.parse().ok());
        let gaps = log.lines().filter(|line| line.contains("*lost ")).count();
        gaps == 1 && newest.max().unwrap_or(0) >= frozen
    });
    assert_eq!(helper(&mut machine, "log"), Some(logger), "it is the same logger");
    let status = machine.ettan("status d").out;
    assert!(status.contains("; lost "), "{status}");
}

#[test]
fn f1_4_a_service_on_a_frozen_card_is_alone_with_it() {
    let mut machine = Namespace::usual();
    machine.unit("web", &format!("{}{QUICK}", idle()));
    machine.boot();
    machine.expect(&["web up"]);
    let card = Card::new(&mut machine, "service");
    let writer = shell("while :; do echo word >>/data/words; done");
    machine.unit("d", &format!("{writer}{QUICK}timeout-stop-sec = \"1s\"\n"));
    assert_eq!(machine.ettan("reload-units").code, 0);
    machine.expect(&["d up"]);
    let pid = machine.main_pid("d");
    card.freeze();
    machine.until("the service hangs", |machine| hangs(machine, pid));
    let _ = machine.ettan("--no-block restart d");
    machine
        .until("nobody waits for it any more", |machine| machine.status("d")["unkillable"] == true);
    let other = machine.main_pid("web");
    machine.kill9(other);
    machine.expect(&["web up"]);
    assert!(hangs(&mut machine, pid), "it is there");
    assert_eq!(machine.sh("pgrep -fc '[e]cho word >>'").ok(), "1", "and no second one");
    assert!(card.thaw());
    machine.expect(&["d up"]);
    assert_ne!(machine.main_pid("d"), pid);
}

#[test]
fn f8_11_everything_is_on_the_card_before_the_last_message() {
    let mut machine = Namespace::usual();
    machine.unit("web", &idle());
    machine.boot();
    machine.expect(&["web up"]);
    let card = Card::new(&mut machine, "last");
    let words = "w=$(seq 1 20000); for n in 1 2 3; do echo \"$w\" >/data/words$n; done";
    assert_eq!(machine.sh(words).code, 0);
    // The power stays on for a while after the message.
    let trace = machine.trace(&["trace=reboot", "inject=reboot:delay_enter=2000000"]);
    let _ = machine.sh("ettan --no-block poweroff");
    let said = "switching the machine off";
    while !machine.kmsg().contains(said) {
        assert!(machine.turn(), "the message did not come");
    }
    // As the device has it at this moment.
    let copy = card.image.with_extension("copy");
    let _ = std::fs::copy(&card.image, &copy).expect("a copy");
    assert_eq!(machine.end(), End::Off);
    drop(trace);
    let check = Command::new("e2fsck").args(["-fn"]).arg(&copy).output().expect("e2fsck");
    let said = String::from_utf8_lossy(&check.stdout).into_owned();
    let recovered = said.contains("recovering journal") || said.contains("Clearing orphaned");
    assert!(check.status.success() && !recovered, "{said}");
    let expected: String = (1..=20_000).map(|n| format!("{n}\n")).collect();
    for n in 1..=3 {
        let cat =
            Command::new("debugfs").args(["-R", &format!("cat words{n}")]).arg(&copy).output();
        assert!(cat.expect("debugfs").stdout == expected.as_bytes(), "words{n} is not whole");
    }
    let _ = std::fs::remove_file(copy);
}
