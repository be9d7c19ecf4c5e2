//! The stage between PID 1 and a service (docs/adr/0027): `ettan-init enter WORDS PROGRAM ARGUMENTS`
//! makes directories, opens files, takes on a place of its own, and becomes the program. PID 1 may
//! not do any of that: it may block. Its process is the service's main process from the beginning.
//!
//! What went wrong, or is about to happen, is told to PID 1 through descriptor 3, which execve
//! closes; through another one if the words say so, because the service is to find something there.
//! `ettan-init leave WORDS COOKIE` removes what a run leaves behind.
#![forbid(unsafe_code)]

mod mounts;
mod report;
mod run;
mod words;

pub use report::{PACKET_MAX, Packet, Without, packets};

use ettan_sys::spawn::{SpawnFault, SpawnStep};
use ettan_sys::{Errno, OwnedFd, netlink, pipe, place};
use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStringExt;
use words::{Place, Stream};

/// Where the report to PID 1 goes, unless the words say so.
const REPORT: u8 = 3;

/// What a process says that could not become the service; nobody reads it.
const NOT_EXECUTED: i32 = 127;

/// What could not be done, and to what.
#[derive(Debug)]
struct Trouble {
    step: SpawnStep,
    errno: Errno,
    path: CString,
}

type Done = Result<(), Trouble>;

/// The stage. Returns only when the program was not executed.
#[must_use]
pub fn main() -> i32 {
    let arguments = std::env::args_os().skip(2);
    let arguments: Vec<CString> = arguments.filter_map(c_string).collect();
    let place = arguments.first().and_then(|words| Place::read(words.to_bytes()));
    let number = place.as_ref().and_then(|place| place.report).unwrap_or(REPORT);
    // The one at that number goes: it must not reach the program.
    let Ok(report) = pipe::inherited(number) else { return NOT_EXECUTED };
    pipe::close_on_exec(number);
    let trouble = match (place, arguments.get(1..)) {
        (Some(place), Some(argv)) => become_service(&place, &report, argv),
        (..) => odd(),
    };
    let Trouble { step, errno, path } = trouble;
    let packet = Packet::Failed { fault: SpawnFault { step, errno }, path: path.to_bytes() };
    packet.send(&report);
    NOT_EXECUTED
}

/// Removes what a run left behind.
#[must_use]
pub fn leave_main() -> i32 {
    let mut arguments = std::env::args_os().skip(2).filter_map(c_string);
    let (Some(words), Some(cookie)) = (arguments.next(), arguments.next()) else { return 2 };
    let Some(place) = Place::read(words.to_bytes()) else { return 2 };
    match run::end(&place, &cookie) {
        Ok(()) => 0,
        Err(Trouble { errno, path, .. }) => {
            ettan_sys::words::say(
                &path.to_string_lossy(),
                format_args!("cannot be removed: {errno}"),
            );
            1
        }
    }
}

fn c_string(argument: OsString) -> Option<CString> {
    CString::new(argument.into_vec()).ok()
}

fn trouble(step: SpawnStep, path: &CStr) -> impl Fn(Errno) -> Trouble {
    move |errno| Trouble { step, errno, path: path.to_owned() }
}

fn become_service(place: &Place, report: &OwnedFd, argv: &[CString]) -> Trouble {
    let Some(program) = argv.first() else { return odd() };
    let argv = argv.iter().map(CString::as_c_str);
    let argv = match ettan_sys::spawn::Strings::of(argv) {
        Ok(argv) => argv,
        Err(errno) => return trouble(SpawnStep::Exec, program)(errno),
    };
    if let Err(trouble) = prepare(place, report) {
        return trouble;
    }
    Packet::Executes.send(report);
    let SpawnFault { step, errno } = place::execute(program, &argv);
    trouble(step, program)(errno)
}

fn odd() -> Trouble {
    trouble(SpawnStep::Descriptors, c"")(Errno::INVAL)
}

/// In this order: what needs root comes before it is given up, and files are opened outside of what
/// is then shut off.
fn prepare(place: &Place, report: &OwnedFd) -> Done {
    run::begin(place)?;
    open_streams(place)?;
    if place.private_network {
        match place::own_network() {
            Ok(()) => {
                let up = netlink::loopback_up();
                up.map_err(trouble(SpawnStep::Network, c"lo"))?;
            }
            Err(errno) => go_without(Without::Network, SpawnStep::Network, errno, report)?,
        }
    }
    if place.needs_mounts() {
        match place::own_mounts() {
            Ok(()) => mounts::arrange(place)?,
            Err(errno) => go_without(Without::Mounts, SpawnStep::Mount, errno, report)?,
        }
    }
    if let Some(root) = &place.root {
        place::enter_root(root).map_err(trouble(SpawnStep::Root, root))?;
    }
    place::take_on(&place.rights, place.identity(), place.umask)
        .map_err(|SpawnFault { step, errno }| trouble(step, c"")(errno))?;
    let directory = &place.working_directory;
    place::begin_in(directory).map_err(trouble(SpawnStep::WorkingDirectory, directory))
}

/// A kernel without it lets the service start, with a warning; anything else does not.
fn go_without(what: Without, step: SpawnStep, errno: Errno, report: &OwnedFd) -> Done {
    match errno {
        Errno::PERM | Errno::NOSYS | Errno::INVAL => {
            Packet::Without { what, errno }.send(report);
            Ok(())
        }
        errno => Err(trouble(step, c"")(errno)),
    }
}

fn open_streams(place: &Place) -> Done {
    for (number, stream) in (0..).zip(&place.streams) {
        match stream {
            None => {}
            Some(Stream::File(way, path)) => place::open(path, *way)
                .and_then(|file| place::replace(file, number))
                .map_err(trouble(SpawnStep::Stream, path))?,
            Some(Stream::As(other)) => {
                place::copy(*other, number).map_err(trouble(SpawnStep::Stream, c""))?;
            }
        }
    }
    Ok(())
}
