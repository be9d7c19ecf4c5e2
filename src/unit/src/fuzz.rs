//! Arbitrary files from a seed: nothing panics, nothing wrong gets through, every refusal has a
//! message that can be shown. A failure names its seed.

use std::path::Path;

use ettan_table::Table;
use ettan_table::write::{Entry, encode};

use crate::compile::{World, compile};
use crate::diagnostic::Severity;
use crate::files::Found;

const SEEDS: [&str; 4] = [
    "[unit]\ndescription = \"Telldus\"\nafter = [\"network\", \"b\"]\nrequires = [\"c\"]\n\n\
     [service]\ntype = \"forking\"\nexec-start = \"/usr/sbin/telldusd --x 'y z'\"\n\
     pid-file = \"/run/%n.pid\"\nrestart = \"always\"\nrestart-sec = \"250ms\"\n",
    "[service]\nexec-start = [\"/bin/a\", \"b\"]\nuser = 0\ngroup = \"root\"\numask = \"0077\"\n\
     kill-signal = 'INT'\ntimeout-stop-sec = 1.5\n[service.environment]\nA = \"b\"\n\"ö\" = '''c'''\n",
    "service = { exec-start = \"/bin/a\", type = \"oneshot\", remain-after-exit = true }\r\n\
     [x-tool]\nanything = [ { a.b.c = 0x1F }, 1979-05-27T07:32:00Z ]\r\n",
    "[service]\ntype = \"target\"\n[unit]\nwants = [\"a\", \"b\"]\nbefore = [\"clock\"]\n",
];

const TOKENS: [&str; 34] = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\n",
    "\r\n",
    "\r",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "#",
    "\\",
    "\\u0000",
    "%",
    "%%",
    "\u{feff}",
    "ä",
    "\0",
    "unit",
    "service",
    "exec-start",
    "after",
    "user",
    "-1",
    "0x",
    "1e999",
    "true",
    "[service]\n",
];

/// xorshift64*: good enough to vary tests.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap() % limit.max(1)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.get(self.below(from.len())).unwrap()
    }
}

fn soup(dice: &mut Dice) -> Vec<u8> {
    let count = dice.below(60);
    (0..count).flat_map(|_| dice.pick(&TOKENS).bytes().collect::<Vec<_>>()).collect()
}

fn noise(dice: &mut Dice) -> Vec<u8> {
    let count = dice.below(300);
    (0..count).map(|_| u8::try_from(dice.below(256)).unwrap()).collect()
}

fn mutant(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = dice.pick(&SEEDS).as_bytes().to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(12)).min(bytes.len());
        let insert = match dice.below(6) {
            0 => Vec::new(),
            1 => noise(dice),
            2 => bytes.get(at..end).unwrap().repeat(3),
            3 => vec![u8::try_from(dice.below(256)).unwrap()],
            _ => dice.pick(&TOKENS).as_bytes().to_vec(),
        };
        let end = if dice.below(2) == 0 { at } else { end };
        bytes.splice(at..end, insert);
    }
    bytes
}

/// One file through everything; returns whether it made a unit.
fn survive(bytes: Vec<u8>, world: &World<'_>, seed: u64) -> bool {
    let file = "/etc/units/a.toml".to_string();
    let found = Found { name: "a".into(), file, autostart: true, bytes };
    let (unit, diagnostics) = compile(found, world);
    let errors = diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    assert_eq!(unit.is_none(), errors > 0, "seed {seed}: {diagnostics:?}");
    for diagnostic in &diagnostics {
        let text = diagnostic.to_string();
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "seed {seed}: {text:?}");
        assert!(text.lines().count() <= 3 && text.len() < 2_000, "seed {seed}: {text}");
        if let Some(place) = &diagnostic.place {
            assert!(place.line > 0 && place.column > 0 && place.width > 0, "seed {seed}");
        }
    }
    let Some(unit) = unit else { return false };
    let description = unit.description.clone();
    let entry = Entry { unit: unit.unit, description, needs: vec![], launch: unit.launch };
    let table = encode(&[entry], &[]).unwrap_or_else(|overflow| panic!("seed {seed}: {overflow}"));
    assert!(Table::read(&table).is_ok(), "seed {seed}");
    true
}

#[test]
fn arbitrary_files_never_panic_and_only_whole_units_get_through() {
    let world = World::new(Path::new("/nonexistent"));
    for seed in SEEDS {
        assert!(survive(seed.into(), &world, 0), "the seeds are valid: {seed}");
    }
    let (mut units, mut refused) = (0, 0);
    for seed in 1..=9_000_u64 {
        let mut dice = Dice(seed);
        let bytes = match seed % 6 {
            0 => soup(&mut dice),
            1 => noise(&mut dice),
            _ => mutant(&mut dice),
        };
        match survive(bytes, &world, seed) {
            true => units += 1,
            false => refused += 1,
        }
    }
    assert!(units > 100 && refused > 3_000, "both happen: {units} units, {refused} refused");
}
