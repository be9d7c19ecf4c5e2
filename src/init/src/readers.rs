//! The readers of what a former PID 1 left in memory, for tests that put anything at all there.
//! Each gives back what it understood as bytes again.

use crate::group::Launched;
use crate::memory::{self, Record};
use crate::state::{self, EndsRecord, NONE, Part, PipeRecord, Whole};

/// The record that these bytes are at this unit's place; none when they are not whole.
#[must_use]
pub fn place(bytes: &[u8], unit: usize) -> Option<Vec<u8>> {
    memory::whole(bytes, memory::unit(unit)).map(<[u8]>::to_vec)
}

/// What stands at this unit's place when the record was written; none when it is too long.
#[must_use]
pub fn write_place(record: &[u8], unit: usize) -> Option<Vec<u8>> {
    let (bytes, length) = memory::sealed(memory::unit(unit), record)?;
    bytes.get(..length).map(<[u8]>::to_vec)
}

/// PID 1's own part of a unit's record, and the processes that it may signal.
#[must_use]
pub fn part(record: &[u8]) -> Option<(Vec<u8>, [i32; 3])> {
    let part = Part::read(state::split(record)?.1)?;
    Some((
        bytes(|to| part.write(to)),
        [part.launched.first, part.launched.main, part.launched.beside],
    ))
}

/// The record of all, and the process that it may signal.
#[must_use]
pub fn whole(record: &[u8]) -> Option<(Vec<u8>, i32)> {
    let whole = Whole::read(state::split(record)?.1)?;
    Some((bytes(|to| whole.write(to)), whole.closer))
}

/// Records as they are written.
#[must_use]
pub fn examples() -> Vec<Vec<u8>> {
    let output = EndsRecord { read: 30, write: 31, identity: 4711, shown: true };
    let pipe = PipeRecord { output, errors: None, max_size_bytes: 262_144, max_files: 4 };
    let two = PipeRecord { errors: Some(EndsRecord { read: 32, write: 33, ..output }), ..pipe };
    let launched = Launched {
        cookie: 77,
        born: 8000,
        first: 300,
        first_lives: true,
        main: 301,
        main_born: 8001,
        beside: 302,
    };
    let whole = Whole {
        acting: true,
        own_pipe: Some(pipe),
        logger: 12,
        table: 13,
        coming: NONE,
        listener: 9,
        doors: [NONE; 2],
        probes: [NONE; 2],
        closer: 0,
        nofile: Some((1024, 4096)),
        boot_over: Some(900),
        reload_at: None,
        last_reload: 700,
        begun: 600,
    };
    let parts = [Some(pipe), Some(two), None]
        .map(|pipe| bytes(|to| Part { launched, pipe, place: 7 }.write(to)));
    let wholes = [whole, Whole { own_pipe: None, nofile: None, closer: 302, ..whole }];
    parts.into_iter().chain(wholes.map(|whole| bytes(|to| whole.write(to)))).collect()
}

fn bytes(write: impl FnOnce(&mut Record)) -> Vec<u8> {
    let mut record = Record::new();
    // Nothing of the core's, which is said in two bytes.
    let _ = record.extend_from_slice(&[0; 2]);
    write(&mut record);
    record.to_vec()
}
