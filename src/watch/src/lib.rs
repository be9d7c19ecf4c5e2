//! Looks out. The watcher helper: looks at the network, and at the paths, devices and the clock that
//! units wait for, whenever they change, and publishes which conditions hold. What they mean is described in `docs/conditions.md`.
#![forbid(unsafe_code)]

/// Says on stderr, which is PID 1's log, what is wrong.
macro_rules! complain {
    ($($what:tt)*) => { ettan_sys::words::say("ettan-watch", format_args!($($what)*)) };
}

mod devices;
mod door;
mod facts;
mod line;
mod pace;
mod paths;
mod publish;
mod time;
mod told;
mod watcher;
mod wishes;

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ettan_sys::poll::{Epoll, Interest, Ready};
use ettan_sys::{Errno, clock, netlink};

pub use line::Line;

use door::Door;
use pace::Pace;
use watcher::Watcher;

/// Outside of the heap, and no page of it in memory before it is used.
static BUFFER: Mutex<[u8; netlink::BUFFER_BYTES]> = Mutex::new([0; netlink::BUFFER_BYTES]);

/// What is ready: a mount or unmount, PID 1's word that units wait for others, or what is asked
/// anyway.
const MOUNTS: u64 = 1;
const WISHES: u64 = 2;
const OTHER: u64 = 0;

/// Runs the watcher for ever; gives the exit code if it cannot.
#[must_use]
pub fn main() -> i32 {
    let Ok(path) = CString::new(ettan_wire::SOCKET) else { return 1 };
    let mut buffer = BUFFER.lock().unwrap_or_else(PoisonError::into_inner);
    let Err(error) = watch(&path, &mut *buffer);
    complain!("{error}");
    1
}

/// Watches, and publishes at this control socket. The buffer has
/// [`ettan_sys::netlink::BUFFER_BYTES`].
///
/// # Errors
/// Those of setting up and of waiting.
pub fn watch(path: &CStr, buffer: &mut [u8]) -> Result<Infallible, Errno> {
    let mut network = if_there(netlink::Monitor::new(), "network: no condition of it will hold")?;
    let door = Door::new(path)?;
    let mut watcher = Watcher::new(path, Path::new("/sys"), network.is_some())?;
    let epoll = Epoll::new()?;
    if let Some(network) = &network {
        epoll.add(network, OTHER, Interest::Read)?;
    }
    epoll.add(&door, OTHER, Interest::Read)?;
    epoll.add(watcher.paths(), OTHER, Interest::Read)?;
    let mut ready = [Ready::default(); 8];
    let mut pace = Pace::new();
    loop {
        if pace.is_due(clock::now()) {
            match watcher.look_and_tell(buffer, &epoll) {
                Ok(()) => pace.done(clock::now()),
                Err(_) => {
                    pace.failed(clock::now());
                    door.look_for();
                }
            }
        }
        let waits = [pace.timeout_ms(clock::now()), watcher.timeout_ms(clock::now())];
        let count = epoll.wait(&mut ready, waits.into_iter().flatten().min())?;
        let ready = ready.get(..count).unwrap_or_default();
        let is = |token| ready.iter().any(|ready| ready.token == token);
        if let Some(network) = &mut network
            && network.changed()?
        {
            watcher.network_changed();
            pace.want();
        }
        if watcher.changed(is(MOUNTS), clock::now())? {
            pace.want();
        }
        if is(WISHES) {
            watcher.forget_wishes();
            pace.want();
        }
        if door.is_new()? {
            watcher.forget_wishes();
            pace.want_now();
        }
    }
}

/// What a kernel may do without.
fn if_there<T>(monitor: Result<T, Errno>, what: &str) -> Result<Option<T>, Errno> {
    match monitor {
        Ok(monitor) => Ok(Some(monitor)),
        Err(Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT) => {
            complain!("this kernel has no {what}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
