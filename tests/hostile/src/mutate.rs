//! Turns examples into what no example is. Knows bytes, numbers in them, and a target's words;
//! checksums are for the target to put right.

use crate::Dice;

/// No input grows past this. The largest that anything reads whole is a packet of 4 KiB; unit
/// files, up to 64 KiB, have a test of their own for size.
const MAX_BYTES: usize = 6 * 1024;

/// Numbers at which something usually changes.
const EDGES: [u64; 22] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    15,
    16,
    63,
    64,
    127,
    128,
    255,
    256,
    1024,
    4096,
    65_535,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    u64::MAX,
];

/// Something like one of the examples, made of `words` and noise; one time in sixteen nothing
/// but words or noise.
#[must_use]
pub fn mutate(examples: &[Vec<u8>], words: &[&[u8]], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = match dice.below(32) {
        0 => soup(words, dice),
        1 => noise(300, dice),
        _ => examples.get(dice.below(examples.len())).cloned().unwrap_or_default(),
    };
    for _ in 0..dice.below(6) {
        change(&mut bytes, examples, words, dice);
        bytes.truncate(MAX_BYTES);
    }
    bytes
}

fn soup(words: &[&[u8]], dice: &mut Dice) -> Vec<u8> {
    if words.is_empty() {
        return Vec::new();
    }
    (0..dice.below(60)).flat_map(|_| dice.pick(words).to_vec()).collect()
}

fn noise(most: usize, dice: &mut Dice) -> Vec<u8> {
    (0..dice.below(most)).map(|_| dice.byte()).collect()
}

/// One change.
fn change(bytes: &mut Vec<u8>, examples: &[Vec<u8>], words: &[&[u8]], dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    let end = (at + dice.below(16)).min(bytes.len());
    let span = if dice.below(2) == 0 { at..at } else { at..end };
    match dice.below(12) {
        0 => flip_a_bit(bytes, dice),
        1 => set_a_number(bytes, at, dice),
        2 => {
            bytes.splice(span, number_as_text(dice));
        }
        3 => bytes.truncate(at),
        4 => {
            bytes.drain(at..end);
        }
        5 => {
            let copies = dice.below(40);
            let again = bytes[at..end].repeat(copies);
            bytes.splice(at..at, again);
        }
        6 => {
            // The beginning of this one, the end of another.
            let other = examples.get(dice.below(examples.len())).map_or(&[][..], Vec::as_slice);
            let from = dice.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        7 => {
            bytes.splice(span, noise(12, dice));
        }
        8 => {
            let byte = dice.byte();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        _ if words.is_empty() => set_a_number(bytes, at, dice),
        _ => {
            bytes.splice(span, dice.pick(words).to_vec());
        }
    }
}

fn flip_a_bit(bytes: &mut [u8], dice: &mut Dice) {
    let (at, bit) = (dice.below(bytes.len()), dice.below(8));
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << bit;
    }
}

/// A number of 1, 2, 4 or 8 bytes, little-endian, perhaps where such a number would stand.
fn set_a_number(bytes: &mut [u8], at: usize, dice: &mut Dice) {
    let width = 1 << dice.below(4);
    let at = if dice.below(2) == 0 { at } else { at / width * width };
    let edge = EDGES[dice.below(EDGES.len())];
    let near = match dice.below(3) {
        0 => edge.wrapping_add(1),
        1 => edge.wrapping_neg(),
        _ => edge,
    };
    for (place, byte) in bytes.iter_mut().skip(at).take(width).zip(near.to_le_bytes()) {
        *place = byte;
    }
}

fn number_as_text(dice: &mut Dice) -> Vec<u8> {
    let edge = EDGES[dice.below(EDGES.len())];
    match dice.below(4) {
        0 => format!("-{edge}"),
        1 => format!("0{edge}"),
        2 => (dice.roll() >> dice.below(64)).to_string(),
        _ => edge.to_string(),
    }
    .into_bytes()
}
