//! Loads the kernel's module for each device, by its modalias, and lets a group open it: for what is there
//! when it starts, and then for whatever the kernel says has come. What the module is, modprobe knows.
//! Leaves it to a udev or an mdev daemon where one runs.
//!
//! | file | what it does |
//! |---|---|
//! | `sysfs` | what the devices that are there ask for |
//! | `loader` | what is asked for, and the modprobes that run for it |
//! | `nodes` | groups and modes of devices' nodes |
//! | `place` | whether there is a modprobe, and nobody else to do it |
#![forbid(unsafe_code)]

mod loader;
mod nodes;
mod place;
mod sysfs;

use std::convert::Infallible;

use ettan_sys::notify::notify;
use ettan_sys::poll::{Epoll, Interest, Ready};
use ettan_sys::{Errno, clock, reap, signals, uevent};

use loader::Loader;
use nodes::Nodes;
use place::Place;

/// What is there at boot has its modules by then, or the boot goes on without: milliseconds.
const READY_MS: u64 = 30_000;

/// Says on stderr, which is the unit's log, what there is to say.
macro_rules! say {
    ($($what:tt)*) => { ettan_sys::words::say("hotplug", format_args!($($what)*)) };
}
use say;

/// Loads modules and settles nodes, says that it is ready (sd_notify) once that is done for what was there,
/// and goes on for ever; gives the exit code if it cannot.
#[must_use]
pub fn main() -> i32 {
    let Err(errno) = run(Loader::new(Place::usual()), Nodes::new(Place::usual()));
    say!("{}", std::io::Error::from(errno));
    1
}

fn run(mut loader: Loader, mut nodes: Nodes) -> Result<Infallible, Errno> {
    let mut ends = signals::block_these(&[signals::CHLD])?;
    // Before sysfs is looked at, so that nothing comes in between.
    let mut news = news()?;
    let epoll = Epoll::new()?;
    epoll.add(&ends, 0, Interest::Read)?;
    if let Some(news) = &news {
        epoll.add(news, 0, Interest::Read)?;
    }
    loader.look();
    nodes.look();
    let mut ready_at = Some(clock::now().saturating_add(READY_MS));
    loop {
        nodes.go_on();
        loader.go_on(clock::now());
        let now = clock::now();
        if ready_at.is_some_and(|at| loader.is_idle() || now >= at) {
            ready_at = None;
            // Whoever waits for the unit may go on.
            if let Err(error) = notify("READY=1") {
                say!("saying that it is ready: {error}");
            }
        }
        let waits = [loader.timeout_ms(now), ready_at.map(|at| at.saturating_sub(now))];
        epoll.wait(&mut [Ready::default(); 2], waits.into_iter().flatten().min())?;
        if let Some(news) = &mut news
            && news.hear(|notice| {
                loader.want(uevent::added(notice));
                if let Some(node) = uevent::node(notice) {
                    nodes.there_is(node);
                }
            })?
        {
            loader.look();
            nodes.look();
        }
        while ends.read()?.is_some() {}
        while let Some(child) = reap::reap()? {
            loader.ended(child.pid);
        }
    }
}

/// What a kernel may do without.
fn news() -> Result<Option<uevent::Monitor>, Errno> {
    match uevent::Monitor::new() {
        Ok(monitor) => Ok(Some(monitor)),
        Err(Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT) => {
            say!("this kernel has no hot-plugging: only what is there now gets its modules");
            Ok(None)
        }
        Err(errno) => Err(errno),
    }
}
