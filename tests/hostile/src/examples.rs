//! Real examples of what the targets read: files in `tests/fuzz/corpus`, and what our own code
//! writes, made anew so that it never is of an old version.

use std::path::Path;

use ettan_core::{
    Action, Catalog, Event, ExitStatus, Kind, Millis, Need, Pid, RECORD_MAX, Supervisor, Unit,
    UnitId,
};
use ettan_table::Table;
use ettan_table::write::{Entry, EntryNeed, EntryNeedKind, encode};

use crate::Target;
use crate::targets::{CONDITION, UNIT, WHOLE, pack};

/// All examples for the target of this name, always in the same order.
///
/// # Panics
/// When the files cannot be read.
#[must_use]
pub fn of(target: &str) -> Vec<Vec<u8>> {
    let mut examples = files(target);
    match target {
        "table" => examples.extend(tables()),
        "records" => examples.extend(lives()),
        "memory" => examples.extend(ettan_init::readers::examples()),
        _ => {}
    }
    examples
}

impl Target {
    /// Whether there is something to begin with.
    #[must_use]
    pub fn examples_exist(&self) -> bool {
        !of(self.name).is_empty()
    }
}

fn files(target: &str) -> Vec<Vec<u8>> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let Ok(entries) = std::fs::read_dir(&top) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("an example")).collect()
}

/// A table of each unit file by itself, and one of all, related.
fn tables() -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    let mut tables = vec![encode(&[], &[]).expect("an empty table")];
    for (number, file) in files("unit_file").into_iter().enumerate() {
        let name = format!("unit-{number}");
        let (Some(table), _) = ettan_unit::read_alone(&name, "a.toml", file) else { continue };
        entries.extend(entry(&Table::read(&table).expect("a table")));
        tables.push(table);
    }
    let before: Vec<String> = entries.iter().map(|entry| entry.unit.name.to_string()).collect();
    for (entry, other) in entries.iter_mut().skip(1).zip(before) {
        let need = |kind, name: &str, condition| EntryNeed { kind, name: name.into(), condition };
        entry.needs = vec![
            need(EntryNeedKind::After, "network", true),
            need(EntryNeedKind::Requires, &other, false),
            need(EntryNeedKind::Wants, "missing", false),
            need(EntryNeedKind::BindsTo, "device:usb:1781:0c31", true),
            need(EntryNeedKind::Conflicts, &other, false),
            need(EntryNeedKind::PartOf, &other, false),
            need(EntryNeedKind::OnFailure, &other, false),
        ];
    }
    let messages = [("unit-0".to_owned(), "a.toml:1:1: error: no".to_owned())];
    tables.push(encode(&entries, &messages).expect("a table"));
    tables
}

/// A unit without a program: the program is in the tables of one.
fn entry(table: &Table<'_>) -> Option<Entry> {
    let unit = Unit { kind: Kind::Target, ..table.unit(0)? };
    let description = table.description(0).to_owned();
    Some(Entry {
        unit,
        description,
        needs: Vec::new(),
        launch: None,
        group: String::new(),
        timer: None,
    })
}

struct Units(Vec<Unit>);

impl Catalog for Units {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn unit(&self, index: usize) -> Option<Unit> {
        self.0.get(index).cloned()
    }

    fn need(&self, _: usize, _: usize) -> Option<Need<'_>> {
        None
    }
}

/// The records of a supervisor in the middle of its life, at several moments.
fn lives() -> Vec<Vec<u8>> {
    let units = files("unit_file").into_iter().enumerate().filter_map(|(number, file)| {
        let (table, _) = ettan_unit::read_alone(&format!("unit-{number}"), "a.toml", file);
        Table::read(&table?).ok()?.unit(0)
    });
    let units = Units(units.take(6).collect());
    let mut supervisor = Box::new(Supervisor::new());
    supervisor.load(Millis(1_000), &units);
    let mut images = vec![image(&supervisor)];
    let mut pids = 300..;
    for moment in 0..12_u64 {
        let now = Millis(2_000 + 700 * moment);
        supervisor.handle(now, Event::Condition { name: "network", holds: moment % 5 == 2 });
        for event in answers(&mut supervisor, &mut pids, moment) {
            supervisor.handle(now, event);
        }
        images.push(image(&supervisor));
    }
    images
}

/// What the world answers to what the supervisor asks for.
fn answers(
    supervisor: &mut Supervisor,
    pids: &mut impl Iterator<Item = i32>,
    moment: u64,
) -> Vec<Event<'static>> {
    let mut events = Vec::new();
    while let Some(action) = supervisor.next_action() {
        match action {
            Action::Spawn { unit, .. } => {
                let pid = pids.next().and_then(Pid::new).expect("a pid");
                events.push(Event::Spawned { unit, pid });
                if moment % 3 == 1 {
                    events.push(Event::Exited { pid, status: ExitStatus::Code(0) });
                }
            }
            Action::Sweep { unit } if moment.is_multiple_of(2) => {
                events.push(Event::Emptied { unit });
            }
            _ => {}
        }
    }
    events
}

fn image(supervisor: &Supervisor) -> Vec<u8> {
    let mut room = [0; RECORD_MAX];
    let length = supervisor.save_whole(&mut room);
    let mut image = pack(WHOLE, &room[..length]);
    for nth in 0.. {
        let Some(length) = supervisor.save_condition(nth, &mut room) else { break };
        image.extend(pack(CONDITION, &room[..length]));
    }
    for id in supervisor.units() {
        let UnitId(number) = id;
        let length = supervisor.save_unit(id, &mut room).expect("a record");
        image.extend(pack(UNIT + number as u8, &room[..length]));
    }
    image
}
