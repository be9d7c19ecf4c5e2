//! One of the many services of the soak: takes a lock that a second instance would miss, tells
//! the counter outside that it is there, and stays until it is killed. Small, because it starts a
//! million times.
//!
//! `soak-worker DIRECTORY NUMBER` is the service in the foreground; with `launcher FILE` after it
//! starts the service, writes its PID file and exits; with `parent FILE` it leaves the writing to
//! the service (`daemon FILE`).
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::ExitCode;

use ettan_fakes::start_self;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [place, number] => serve(place, number, None),
        [place, number, "daemon", file] => serve(place, number, Some(file)),
        [place, number, "launcher", file] => launch(&[place, number], Some(file)),
        [place, number, "parent", file] => launch(&[place, number, "daemon", file], None),
        _ => Err(io::Error::other("usage: soak-worker DIRECTORY NUMBER [launcher|parent FILE]")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("soak-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn launch(arguments: &[&str], file: Option<&str>) -> io::Result<()> {
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    let child = start_self(&arguments, false)?;
    file.map_or(Ok(()), |file| std::fs::write(file, format!("{}\n", child.id())))
}

fn serve(place: &str, number: &str, file: Option<&str>) -> io::Result<()> {
    let lock = File::create(Path::new(place).join(format!("{number}.lock")))?;
    // Whoever dies lets go of its lock before anybody can see it dead.
    let alone = lock.try_lock().is_ok();
    if let Some(file) = file {
        std::fs::write(file, format!("{}\n", std::process::id()))?;
    }
    let word = if alone { "alone" } else { "double" };
    let socket = UnixDatagram::unbound()?;
    socket.send_to(format!("{number} {word}").as_bytes(), Path::new(place).join("channel"))?;
    drop(socket);
    loop {
        std::thread::park();
    }
}
