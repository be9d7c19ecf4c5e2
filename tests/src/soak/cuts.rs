//! Power cuts: two boards, one that writes to its root and one that does not, lose their power at any
//! moment while they boot, run or shut down, and must come up again from the card as it was left.

use super::Row;
use super::dice::Dice;
use super::segments;
use crate::binaries::workspace;
use crate::units::{idle, shell, shipped, with};
use crate::{Machine, Operate, Partition, Qemu};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a maker's board does at boot (docs/makers-guide.md), besides its services.
const DUTIES: [&str; 5] = ["root", "mounts", "machine-id", "seed", "clock"];

/// Its services: one that is heard on the disk, one that is not, and one whose file is changed all
/// the time.
const SERVICES: [&str; 3] = ["scribe", "web", "edited"];

/// The last line of the file that is changed.
const WHOLE: &str = "# whole\n";

/// While the power goes.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Boot,
    Running,
    Shutdown,
}

const MOMENTS: [Moment; 3] = [Moment::Boot, Moment::Running, Moment::Shutdown];

impl Moment {
    /// A little more than `virt` takes for it, in milliseconds; while running, than two copies of
    /// the logs to the disk take.
    const fn span_ms(self) -> u64 {
        match self {
            Self::Boot => 8_000,
            Self::Running => 12_000,
            Self::Shutdown => 3_000,
        }
    }
}

/// What came of all cuts.
#[derive(Debug, Default)]
struct Count {
    moments: [u64; 3],
    journals: u64,
    second_tries: u64,
    not_up: u64,
    damaged: u64,
    unreadable: u64,
    roots_changed: u64,
}

pub(super) fn run(rounds: u64) -> Vec<Row> {
    let mut dice = Dice::new();
    let mut boards = [Board::writing(), Board::read_only()];
    let mut count = Count::default();
    for round in 0..rounds {
        let [first, second] = &mut boards;
        let board = if round % 2 == 0 { first } else { second };
        let at = usize::try_from(dice.below(3)).unwrap_or_default();
        let ms = dice.below(MOMENTS[at].span_ms());
        eprintln!("cut {} of {rounds}: {}, {:?}, {ms} ms", round + 1, board.name, MOMENTS[at]);
        count.moments[at] += 1;
        board.cut(MOMENTS[at], ms, &mut count);
        board.look(&mut count);
    }
    for board in &mut boards {
        board.last(&mut count);
    }
    rows(rounds, &count)
}

fn rows(rounds: u64, count: &Count) -> Vec<Row> {
    let none = |what: &str, found| Row::at_most(what, rounds, found, 0);
    vec![
        none("boots after a cut that did not bring all units up", count.not_up),
        none("file systems that their journal did not mend", count.damaged),
        none("log segments and unit files that cannot be read", count.unreadable),
        none("read-only roots that were not as before", count.roots_changed),
        Row::note("cuts at boot", count.moments[0]),
        Row::note("cuts while running", count.moments[1]),
        Row::note("cuts at shutdown", count.moments[2]),
        Row::note("journals that were played back", count.journals),
        Row::note("boots that QEMU was given a second try for", count.second_tries),
    ]
}

/// A board and its card.
struct Board {
    name: &'static str,
    machine: Qemu,
    /// Of a root that is not written to.
    root: Option<String>,
}

impl Board {
    /// What is written to is on the root, and so are the logs.
    fn writing() -> Self {
        let mut machine = furnished("cuts-rw");
        // As on a Raspberry Pi: the kernel mounts it read-only, and fstab says that it is not.
        machine.append("ro");
        machine.write(
            "/etc/fstab",
            b"LABEL=rootfs / ext4 rw,noatime 0 1\nLABEL=data /data ext4 rw,noatime 0 2\n",
        );
        machine.write("/data/README", b"");
        for entry in fs::read_dir(workspace().join("units/lib")).expect("scripts").flatten() {
            let place = format!("/usr/lib/ettan/{}", entry.file_name().display());
            machine.write(&place, &fs::read(entry.path()).expect("a script"));
        }
        for unit in DUTIES {
            // What is written there is no program.
            let text = shipped(unit).replace("[\"/usr/lib/", "[\"/bin/sh\", \"/usr/lib/");
            machine.unit(unit, &text);
        }
        let edit = "while sleep 0.3; do cp /etc/units/edited.toml /etc/units/.edited && sync && \
                    mv /etc/units/.edited /etc/units/edited.toml && ettan reload-units; done";
        machine.unit("editor", &with("after = [\"mounts\"]", &shell(edit)));
        machine.make_card();
        Self { name: "rw", machine, root: None }
    }

    fn read_only() -> Self {
        let mut machine = furnished("cuts-ro").read_only();
        machine.make_card();
        let root = machine.card().sha256(Partition::Root);
        Self { name: "ro", machine, root: Some(root) }
    }

    /// Boots, and cuts the power at this moment. All but a cut at boot see the boot before come up.
    fn cut(&mut self, moment: Moment, ms: u64, count: &mut Count) {
        match moment {
            Moment::Boot => self.machine.switch_on(),
            Moment::Running => self.come_up(count),
            Moment::Shutdown => {
                self.come_up(count);
                self.machine.type_in("ettan poweroff");
            }
        }
        self.machine.last_for(ms);
        self.machine.pull_plug();
    }

    /// Boots, and waits until everything is up. A board that QEMU has stopped dead gets another try.
    fn come_up(&mut self, count: &mut Count) {
        for attempt in 0..2 {
            let up = catch_unwind(AssertUnwindSafe(|| {
                self.machine.boot();
                let units: Vec<&str> = DUTIES.into_iter().chain(SERVICES).collect();
                let command = format!("ettan is-active {}", units.join(" "));
                self.machine.until("all units are up", |machine| machine.sh(&command).code == 0);
            }));
            match (up, attempt) {
                (Ok(()), _) => return,
                (Err(_), 0) => count.second_tries += 1,
                (Err(_), _) => count.not_up += 1,
            }
            eprintln!("{}", self.machine.report());
            self.machine.pull_plug();
        }
    }

    /// Looks at a copy of the card: what its journals leave to mend, and what there is to read.
    fn look(&self, count: &mut Count) {
        let card = self.machine.card();
        let changed = self.root.as_ref().is_some_and(|root| card.sha256(Partition::Root) != *root);
        count.roots_changed += u64::from(changed);
        let (partitions, logs): (&[_], _) = match self.root {
            Some(_) => (&[Partition::Data], "/log/ettan/scribe"),
            None => (&[Partition::Data, Partition::Root], "/var/log/ettan/scribe"),
        };
        let work = crate::binaries::target().join(format!("test/cut-{}", self.name));
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work).expect("a folder");
        let copy = work.join("copy");
        for partition in partitions {
            card.copy(*partition, &copy);
            let played = tool("e2fsck", &["-p"], &copy);
            count.journals += u64::from(said(&played).contains("recovering journal"));
            let checked = tool("e2fsck", &["-fn"], &copy);
            // 1: it has mended something, and that is its journal, if the check finds nothing.
            let mended = matches!(played.status.code(), Some(0 | 1));
            if !(mended && checked.status.success()) {
                count.damaged += 1;
                eprintln!("{partition:?}: {}{}", said(&played), said(&checked));
            }
        }
        // The last one copied is where the logs are.
        let found = segments::faults(&folder_of(&copy, logs, &work));
        found.iter().for_each(|fault| eprintln!("{logs}: {fault}"));
        count.unreadable += found.len() as u64;
        if self.root.is_none() {
            let unit = tool("debugfs", &["-R", "cat /etc/units/edited.toml"], &copy);
            let whole = said(&unit).ends_with(WHOLE);
            count.unreadable += u64::from(!whole);
        }
    }

    /// Comes up once more, and ends in order.
    fn last(&mut self, count: &mut Count) {
        self.come_up(count);
        self.machine.type_in("ettan poweroff");
        let _ = self.machine.end();
        self.machine.card_is_clean();
        self.look(count);
    }
}

/// A board with the services.
fn furnished(test: &str) -> Qemu {
    let mut machine = Qemu::new("virt", test);
    let scribe = "n=0; while sleep 0.02; do n=$((n + 1)); echo number $n; done";
    let scribe = with("after = [\"mounts\"]", &shell(scribe));
    machine.unit("scribe", &format!("{scribe}[log]\nstorage = \"disk\"\nmax-size = \"16K\"\n"));
    machine.unit("web", &idle());
    machine.unit("edited", &format!("[service]\ntype = \"target\"\n{WHOLE}"));
    machine
}

/// A folder of a file system, copied out of its image.
fn folder_of(image: &Path, folder: &str, work: &Path) -> PathBuf {
    let _ = tool("debugfs", &["-R", &format!("rdump {folder} {}", work.display())], image);
    work.join(folder.rsplit('/').next().unwrap_or_default())
}

fn tool(program: &str, words: &[&str], image: &Path) -> Output {
    let ran = Command::new(program).args(words).arg(image).output();
    ran.unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
