//! What a new execution of PID 1 finds in memory.

use ettan_core::{
    Ask, Damage, Event, ExitStatus, Haste, Millis, Pid, Power, RECORD_MAX, Remedy, SpawnFault,
    Step, Supervisor, UnitId,
};
use ettan_init::readers;
use ettan_table::crc32;

use crate::Dice;

/// Puts records into one input: a byte for what it is, its length, itself. For the examples.
pub(crate) fn pack(kind: u8, record: &[u8]) -> Vec<u8> {
    let length = u8::try_from(record.len()).expect("a short record");
    [&[kind, length], record].concat()
}

pub(crate) const WHOLE: u8 = 0;
pub(crate) const CONDITION: u8 = 1;
/// And the unit's number added to it; 255 is a number that no unit has.
pub(crate) const UNIT: u8 = 2;

/// A record is refused, or taken and given back the same. Whatever was taken, the supervisor goes
/// on: an end to its actions after each event, and no process that must not be signalled.
pub(super) fn records(bytes: &[u8]) -> bool {
    let mut supervisor = Box::new(Supervisor::new());
    let (mut rest, mut units) = (bytes, Vec::new());
    let mut accepted = 0;
    while let [kind, length, after @ ..] = rest {
        let record;
        (record, rest) = after.split_at_checked(usize::from(*length)).unwrap_or((after, &[]));
        let id = UnitId(match kind {
            255 => u16::MAX,
            kind => u16::from(kind.saturating_sub(UNIT)),
        });
        let taken = match *kind {
            WHOLE => same(&supervisor.restore_whole(record), record, |into| {
                Some(supervisor.save_whole(into))
            }),
            CONDITION => supervisor.restore_condition(record).is_ok(),
            _ => {
                let restored = supervisor.restore_unit(id, record);
                units.extend(restored.is_ok().then_some(id));
                same(&restored, record, |into| supervisor.save_unit(id, into))
            }
        };
        accepted += u32::from(taken);
    }
    let mut dice = Dice::new(u64::from(crc32(bytes)));
    let mut now = dice.roll() >> 40;
    supervisor.restored(Millis(now), None, dice.below(2) == 0);
    goes_on(&mut supervisor, &units);
    for _ in 0..12 {
        now += (dice.roll() >> 50) * 4;
        supervisor.handle(Millis(now), event(&units, &supervisor, &mut dice));
        goes_on(&mut supervisor, &units);
    }
    accepted > 0 && !units.is_empty()
}

/// The unit whose place is looked at.
const PLACE: usize = 7;

/// A record comes back as it was written, and not at all with a bit changed, or at another
/// place. What is understood of it means the same when written again, and names no process
/// that must not be signalled.
pub(super) fn memory(bytes: &[u8]) -> bool {
    let _ = readers::place(bytes, PLACE);
    if let Some(mut written) = readers::write_place(bytes, PLACE) {
        assert_eq!(readers::place(&written, PLACE).as_deref(), Some(bytes));
        assert_eq!(readers::place(&written, PLACE + 1), None);
        let mut dice = Dice::new(u64::from(crc32(bytes)));
        let at = dice.below(written.len());
        written[at] ^= 1 << dice.below(8);
        assert_eq!(readers::place(&written, PLACE), None, "a changed bit is not noticed");
    }
    let may_be_signalled = |pid: i32| pid == 0 || pid > 1;
    let part = readers::part(bytes);
    if let Some((again, pids)) = &part {
        assert!(pids.iter().all(|pid| may_be_signalled(*pid)), "{pids:?}");
        assert_eq!(readers::part(again), part);
    }
    let whole = readers::whole(bytes);
    if let Some((again, closer)) = &whole {
        assert!(may_be_signalled(*closer), "{closer}");
        assert_eq!(readers::whole(again), whole);
    }
    part.is_some() || whole.is_some()
}

fn same(
    restored: &Result<(), Damage>,
    record: &[u8],
    save: impl FnOnce(&mut [u8; RECORD_MAX]) -> Option<usize>,
) -> bool {
    if restored.is_err() {
        return false;
    }
    let mut room = [0; RECORD_MAX];
    let length = save(&mut room).expect("what was restored can be saved");
    assert_eq!(&room[..length], record, "restored as something else");
    true
}

fn goes_on(supervisor: &mut Supervisor, units: &[UnitId]) {
    let mut actions = 0;
    while supervisor.next_action().is_some() {
        actions += 1;
        assert!(actions < 10_000, "no end to the actions");
    }
    for id in units {
        if let Some(pid) = process_of(supervisor, *id) {
            assert!(pid.raw() > 1, "{pid:?}");
        }
    }
    let _ = supervisor.next_deadline();
}

fn process_of(supervisor: &Supervisor, unit: UnitId) -> Option<Pid> {
    let view = supervisor.view(unit)?;
    view.state.pid().or(view.hook.and_then(|hook| hook.pid))
}

fn event(units: &[UnitId], supervisor: &Supervisor, dice: &mut Dice) -> Event<'static> {
    let unit = match dice.below(8) {
        0 => UnitId(u16::from(dice.byte())),
        _ => units.get(dice.below(units.len())).copied().unwrap_or(UnitId(0)),
    };
    let known = process_of(supervisor, unit);
    let pid = known.filter(|_| dice.below(4) > 0).or(Pid::new(2 + i32::from(dice.byte())));
    let Some(pid) = pid else { return Event::Tick };
    let status = match dice.below(3) {
        0 => ExitStatus::Signal { signal: 9, core: false },
        code => ExitStatus::Code(code as u8 - 1),
    };
    match dice.below(19) {
        0 => Event::Ask { unit, ask: Ask::Start },
        1 => Event::Ask { unit, ask: Ask::Stop },
        2 => Event::Ask { unit, ask: Ask::Restart },
        3 => Event::Spawned { unit, pid },
        4 => Event::SpawnFailed { unit, fault: SpawnFault { step: Step::Fork, errno: 11 } },
        5 | 6 => Event::Exited { pid, status },
        7 => Event::Emptied { unit },
        8 => Event::MainFound { unit, pid },
        9 => Event::MainLost { unit, status: None },
        10 => Event::Condition { name: "network", holds: dice.below(2) == 0 },
        11 if dice.below(8) == 0 => Event::Shutdown { power: Power::Reboot, haste: Haste::Orderly },
        12 => Event::StraysGone,
        13 => Event::Entering { unit, pid },
        14 => Event::Ask { unit, ask: Ask::Once },
        15 => Event::Announced { unit },
        16 => Event::Ready { unit },
        17 => Event::Health { unit, unwell: Some(Remedy::Restart) },
        _ => Event::Tick,
    }
}
