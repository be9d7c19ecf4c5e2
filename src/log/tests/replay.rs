//! The power goes at any point while a log is copied to a disk and rotated there: what was synced is
//! there afterwards, and half a line is cut off and told.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[path = "harness/recording.rs"]
mod recording;

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Folder, World, be_a_logger, expect_file, files, lines, output, say};
use recording::{Call, Disk, Loss, lay_out, read};

const ROLE: &str = "logger_process";

/// Not a test: what the processes that tests start do.
#[test]
fn logger_process() {
    be_a_logger();
}

const ROUNDS: usize = 230;

fn numbered(numbers: std::ops::Range<usize>) -> String {
    numbers.map(|n| format!("{n:098} \n")).collect()
}

/// All that a logger did to a disk in more than 200 rotations.
fn record() -> (Vec<Call>, PathBuf) {
    let disk = Folder::new();
    let traces = Folder::new();
    let place = disk.path().join("web");
    let trace = traces.path().join("of");
    let calls = "trace=openat,write,pwrite64,ftruncate,/^rename,/^unlink,fsync,fdatasync";
    let before = ["strace", "-ff", "-qq", "-y", "-xx", "-s", "200000", "-e", calls, "-o"];
    let before = [&before[..], &[trace.to_str().unwrap()]].concat();
    let mut world = World::process(&before, ROLE);
    let web = world.open_with("web", &format!("4096 5 storage=disk dir={}", place.display()));
    let mut said = 0;
    for round in 0..ROUNDS {
        let more = 33 + round % 17;
        say(&web, numbered(said..said + more));
        said += more;
        world.expect("web", |log| log.ends_with(numbered(said - 1..said).as_bytes()));
        world.send("flush");
        expect_file(&place.join("current"), |log| {
            log.ends_with(numbered(said - 1..said).as_bytes())
        });
    }
    world.end();
    // One file a thread; one of them is the keeper's.
    let traces = fs::read_dir(traces.path()).unwrap().map(|entry| entry.unwrap().path());
    let calls = traces.map(|path| read(&fs::read_to_string(path).unwrap(), &place));
    (calls.max_by_key(Vec::len).unwrap(), place)
}

/// Lets another boot go on with what a power cut left, and looks at what is there then.
fn survives(disk: &Disk, next: &Call, torn: usize, loss: Loss, from: &Path) {
    let left = disk.cut(next, torn, loss);
    let place = Folder::new();
    let place = place.path().join("web");
    lay_out(&left, from, &place);
    let logs = || left.iter().filter(|(path, _)| !path.ends_with(".spent")).map(|(_, file)| file);
    let promised: Vec<u8> =
        logs().flat_map(|(bytes, promised)| &bytes[..*promised]).copied().collect();
    let last = logs().next_back().map(|(bytes, _)| bytes.as_slice()).unwrap_or_default();
    let is_torn = last.last().is_some_and(|byte| *byte != b'\n');
    let about = || format!("cut in {next:?} at {torn}, {loss:?} lost");

    let mut world = World::new();
    let words = format!("1000000 1000 storage=disk dir={}", place.display());
    let web = world.open_with("web", &words);
    say(&web, "after\n");
    world.end();
    let texts: Vec<_> = files(&place).iter().map(|file| fs::read(file).unwrap()).collect();
    let all = lines(&texts.concat());
    let notes: Vec<_> = all.iter().filter(|line| line.lead == '*').collect();
    let told = notes.iter().all(|note| note.text.starts_with(b"cut off "));
    assert!(told && notes.len() == usize::from(is_torn), "{}: {notes:?}", about());
    let kept = output(&all);
    assert!(kept.starts_with(&output(&lines(&promised))), "{}: synced lines are lost", about());
    let kept = String::from_utf8(kept).unwrap();
    let numbers = kept.strip_suffix("after\n").unwrap().lines();
    let numbers: Vec<usize> = numbers.map(|line| line.trim().parse().unwrap()).collect();
    let in_order = numbers.is_sorted_by(|a, b| a + 1 == *b);
    assert!(in_order, "{}: {numbers:?}", about());
}

/// Cuts the power within each call that `wanted` names, at these bytes of it.
fn replay(mut wanted: impl FnMut(usize, &Call) -> Vec<(usize, Loss)>) {
    let (calls, place) = record();
    let (mut disk, mut cuts) = (Disk::default(), 0);
    for (number, call) in calls.iter().enumerate() {
        for (torn, loss) in wanted(number, call) {
            survives(&disk, call, torn, loss, &place);
            cuts += 1;
        }
        disk.call(call);
    }
    assert!(disk.rotations >= 200, "{} rotations", disk.rotations);
    assert!(cuts >= 150, "{cuts} cuts");
    eprintln!("{} calls, {} rotations, {cuts} power cuts", calls.len(), disk.rotations);
}

fn length(call: &Call) -> usize {
    match call {
        Call::Write(_, bytes) | Call::Cover(_, bytes) => bytes.len(),
        Call::Create(_) | Call::Cut(..) | Call::Rename(..) | Call::Remove(_) | Call::Sync(_) => 0,
    }
}

const LOSSES: [Loss; 4] = [Loss::Nothing, Loss::Data, Loss::Zeros, Loss::Names];

#[test]
fn f6_7_the_power_goes_at_any_point_of_200_rotations() {
    // Each time another byte, and another kind of loss.
    let mut dice = 1_usize;
    replay(|number, call| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let torn = (dice >> 33) % (length(call) + 1);
        let is_one = number.is_multiple_of(11);
        is_one.then_some((torn, LOSSES[number / 11 % 4])).into_iter().collect()
    });
}

/// Minutes: `cargo test -p ettan-log --release --test replay -- --ignored`.
#[test]
#[ignore = "the same at every call and every byte of many; minutes"]
fn f6_7_the_power_goes_at_every_point_of_200_rotations() {
    replay(|number, call| {
        // Every byte of the calls around some rotations, and ends and middles of all.
        let length = length(call);
        let torn =
            if number % 400 < 10 { (0..=length).collect() } else { vec![0, 1, length / 2, length] };
        torn.into_iter().flat_map(|torn| LOSSES.map(|loss| (torn, loss))).collect()
    });
}
