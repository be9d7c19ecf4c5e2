//! One of the many services of the soak: takes a lock that a second instance would miss, tells
//! the counter outside that it is there, and stays until it is killed. Small, because it starts a
//! million times.
//!
//! `soak-worker DIRECTORY NUMBER` is the service in the foreground; with `launcher FILE` after it
//! starts the service, writes its PID file and exits; with `parent FILE` it leaves the writing to
//! the service (`daemon FILE`); with `chatter` it writes a numbered line every few milliseconds;
//! `flood` tells nobody and writes as fast as it can.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use ettan_fakes::start_self;
use nix::poll::{PollTimeout, poll};

/// How many processes a service has besides its main one, where their numbers are wanted.
const MEMBERS: &str = "4";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> io::Result<()> {
    match words {
        [place, number] => {
            let _ = gather_a_crowd(place);
            serve(place, number, None)
        }
        [place, number, "daemon", file] => serve(place, number, Some(file)),
        [place, number, "daemon"] => serve(place, number, None),
        [place, number, "launcher", file] => launch(&[place, number, "daemon"], Some(file)),
        [place, number, "parent", file] => launch(&[place, number, "daemon", file], None),
        [place, number, "chatter"] => chatter(place, number),
        [_, _, "flood"] => flood(),
        _ => Err(io::Error::other("usage: soak-worker DIRECTORY NUMBER [launcher|parent FILE]")),
    }
}

fn launch(arguments: &[&str], file: Option<&str>) -> io::Result<()> {
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let child = start_self(&arguments, false)?;
    let _ = arguments.first().map(|place| tell_number(place));
    file.map_or(Ok(()), |file| std::fs::write(file, format!("{}\n", child.id())))
}

fn serve(place: &str, number: &str, file: Option<&str>) -> io::Result<()> {
    let _lock = announce(place, number, file)?;
    loop {
        std::thread::park();
    }
}

fn chatter(place: &str, number: &str) -> io::Result<()> {
    let _lock = announce(place, number, None)?;
    let pause = PollTimeout::from(2_u8);
    for count in 1_u64.. {
        writeln!(io::stdout(), "line {count} of many that are all to arrive, in order, once")?;
        poll(&mut [], pause)?;
    }
    Ok(())
}

fn flood() -> io::Result<()> {
    loop {
        writeln!(io::stdout(), "water, water everywhere, and not a line to read")?;
    }
}

/// Only where somebody wants to know which numbers services had.
fn tell_number(place: &str) -> io::Result<()> {
    let mut numbers = File::options().append(true).open(Path::new(place).join("numbers"))?;
    numbers.write_all(&std::process::id().to_ne_bytes())
}

/// More processes of the service, where numbers are wanted. Of a forking one, a single process
/// that is left would be taken for a main process that has moved.
fn gather_a_crowd(place: &str) -> io::Result<()> {
    let mut crowd = Command::new(Path::new(place).join("breeder"));
    crowd.args(["--members", place, MEMBERS]).stdin(Stdio::null()).spawn().map(drop)
}

fn announce(place: &str, number: &str, file: Option<&str>) -> io::Result<File> {
    let lock = File::create(Path::new(place).join(format!("{number}.lock")))?;
    // Whoever dies lets go of its lock before anybody can see it dead.
    let alone = lock.try_lock().is_ok();
    if let Some(file) = file {
        std::fs::write(file, format!("{}\n", std::process::id()))?;
    }
    let _ = tell_number(place);
    let word = if alone { "alone" } else { "double" };
    let socket = UnixDatagram::unbound()?;
    socket.send_to(format!("{number} {word}").as_bytes(), Path::new(place).join("channel"))?;
    Ok(lock)
}
