//! Looks out. The watcher helper: looks at the network whenever it changes, and publishes which
//! conditions hold. What they mean is described in `docs/conditions.md`.
#![forbid(unsafe_code)]

/// Says on stderr, which is PID 1's log, what is wrong; nowhere to say it is no reason to end.
macro_rules! complain {
    ($($what:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "ettan-watch: {}", format_args!($($what)*));
    }};
}

mod door;
mod facts;
mod pace;
mod publish;

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::sync::{Mutex, PoisonError};

use ettan_sys::netlink::{self, Monitor};
use ettan_sys::poll::{Epoll, Interest, Ready};
use ettan_sys::{Errno, clock};

use door::Door;
use facts::{Facts, MAX_LINKS, Told};
use pace::Pace;

/// Outside of the heap, and no page of it in memory before it is used.
static BUFFER: Mutex<[u8; netlink::BUFFER_BYTES]> = Mutex::new([0; netlink::BUFFER_BYTES]);

/// Runs the watcher for ever; gives the exit code if it cannot.
#[must_use]
pub fn main() -> i32 {
    let Ok(path) = CString::new(ettan_wire::SOCKET) else { return 1 };
    let mut buffer = BUFFER.lock().unwrap_or_else(PoisonError::into_inner);
    match watch(&path, &mut *buffer) {
        Ok(never) => match never {},
        Err(Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT) => {
            complain!("this kernel has no network: no condition of it will hold");
            loop {
                std::thread::park();
            }
        }
        Err(error) => {
            complain!("{error}");
            1
        }
    }
}

/// Watches, and publishes at this control socket. The buffer has
/// [`netlink::BUFFER_BYTES`](ettan_sys::netlink::BUFFER_BYTES).
///
/// # Errors
/// Those of setting up and of waiting.
pub fn watch(path: &CStr, buffer: &mut [u8]) -> Result<Infallible, Errno> {
    let mut monitor = Monitor::new()?;
    let door = Door::new(path)?;
    let epoll = Epoll::new()?;
    epoll.add(&monitor, 0, Interest::Read)?;
    epoll.add(&door, 0, Interest::Read)?;
    let mut ready = [Ready::default(); 2];
    let mut watcher = Watcher { path, told: Told::default(), facts: Facts::default() };
    let mut pace = Pace::new();
    loop {
        if pace.is_due(clock::now()) {
            match watcher.look_and_tell(buffer) {
                Ok(()) => pace.done(clock::now()),
                Err(_) => {
                    pace.failed(clock::now());
                    door.look_for();
                }
            }
        }
        epoll.wait(&mut ready, pace.timeout_ms(clock::now()))?;
        if monitor.changed()? {
            pace.want();
        }
        if door.is_new()? {
            watcher.told.doubt();
            pace.want_now();
        }
    }
}

struct Watcher<'a> {
    path: &'a CStr,
    facts: Facts,
    told: Told,
}

impl Watcher<'_> {
    fn look_and_tell(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        let left_out = self.facts.left_out();
        let looked = netlink::look(buffer, |seen| match seen {
            None => self.facts.clear(),
            Some(seen) => self.facts.see(seen),
        });
        if let Err(error) = looked {
            complain!("asking the kernel about the network: {error}");
            return Err(error);
        }
        if left_out == 0 && self.facts.left_out() > 0 {
            complain!("more than {MAX_LINKS} network interfaces; the last ones are ignored");
        }
        let told = self.tell();
        if told.is_err() {
            self.told.doubt();
        }
        told
    }

    fn tell(&mut self) -> Result<(), Errno> {
        if self.told.is_in_doubt() {
            self.told.learn(publish::known(self.path)?);
        }
        let now = self.facts.conditions();
        publish::publish(self.path, &self.told.lacks(&now))?;
        self.told.heard(now);
        Ok(())
    }
}
