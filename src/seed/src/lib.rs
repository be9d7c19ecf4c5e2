//! Carries randomness from one boot to the next. Gives the kernel the seed that was saved, and saves
//! one for the boot to come. Makes no randomness itself, and counts none that could come again.
#![forbid(unsafe_code)]

mod file;

use std::io;
use std::path::Path;

use ettan_sys::{Errno, random};

use file::Found;

/// The seed for the next boot.
const SEED: &str = "/var/lib/ettan/seed";

/// Says on stderr, which is the unit's log, what there is to say.
macro_rules! say {
    ($($what:tt)*) => { ettan_sys::words::say("seed", format_args!($($what)*)) };
}

/// Gives the kernel the seed, unless `only_save`, then saves a new one; gives the exit code. It
/// returns no sooner than the kernel's generator is ready: what is started after this need not ask.
#[must_use]
pub fn main(only_save: bool) -> i32 {
    let (path, card) = (Path::new(SEED), file::card());
    if !only_save {
        give(path, &card);
    }
    let mut seed = [0; random::SEED];
    if let Err(errno) = random::wait_and_fill(&mut seed) {
        say!("the kernel gives no randomness: {}", words(errno));
        return 1;
    }
    if let Err(error) = file::save(path, &seed, &card) {
        say!("{SEED}: {error}; the next boot begins without one");
    }
    0
}

/// The rule is that of random(4), which tells `RNDADDENTROPY`, which counts, from writing to
/// /dev/urandom, which does not. What is counted must be known to nobody, so a seed is counted
///
/// - if it was saved by us: the kernel's generator, once ready, gave all of it, and only root can read it;
/// - once: it is gone from the disk for certain before it is counted. Where the file is still there
///   after that, because its file system is read-only or broken, the next boot will read the same bytes,
///   and the one before may have: then it is only mixed in. So it is in an overlay, which brings back
///   what is below it, and with a file of another size or card: an image that came with a seed gave it
///   to each of its cards, and so did a card that was copied.
fn give(path: &Path, card: &[u8]) {
    let was_ready = random::is_ready();
    match file::take(path, card) {
        Found::Nothing => say!("none was saved; the kernel gathers its own"),
        Found::Once(seed) => match random::count(&seed) {
            Ok(()) if was_ready => say!("mixed in, and counted; the kernel was ready before"),
            Ok(()) if random::is_ready() => say!("counted; the kernel is ready by it"),
            Ok(()) => say!("counted; the kernel gathers more"),
            Err(errno) => {
                say!("the kernel does not count it: {}", words(errno));
                mix(&seed);
            }
        },
        Found::Again(bytes, why) => {
            say!("{SEED}: {why}; mixed in, and not counted");
            mix(&bytes);
        }
    }
}

fn mix(bytes: &[u8]) {
    if let Err(error) = std::fs::write("/dev/urandom", bytes) {
        say!("/dev/urandom: {error}");
    }
}

/// A reason in words.
fn words(errno: Errno) -> io::Error {
    io::Error::from(errno)
}
