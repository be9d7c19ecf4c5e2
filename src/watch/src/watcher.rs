//! What is to be looked at anew, and the one way from there to PID 1. Waits for nothing.

use std::ffi::CStr;
use std::path::Path;

use ettan_sys::poll::{Epoll, Interest};
use ettan_sys::{Errno, clock, netlink, uevent};

use crate::devices::{self, Devices};
use crate::facts::{Facts, MAX_LINKS};
use crate::line::Line;
use crate::paths::Paths;
use crate::publish;
use crate::time::{self, Time};
use crate::told::{Condition, Conditions, Told};
use crate::wishes::{self, Wish};

/// Everything that is known, and what is in doubt.
pub(crate) struct Watcher<'a> {
    /// Where PID 1 listens.
    socket: &'a CStr,
    told: Told,
    /// What units wait for, apart from the network.
    wishes: Vec<(String, Wish)>,
    /// PID 1's word that they wait for others; None: it is to be asked.
    line: Option<Line>,
    network: Option<Facts>,
    paths: Paths,
    /// Of each path that is wished for.
    there: Vec<(String, bool)>,
    devices: Devices,
    /// While a device is wished for.
    hotplug: Option<uevent::Monitor>,
    time: Time,
    stale: Stale,
}

/// What has changed since it was looked at.
#[derive(Clone, Copy, Debug)]
struct Stale {
    network: bool,
    paths: bool,
    devices: bool,
}

impl<'a> Watcher<'a> {
    /// Knows nothing yet. Devices are those of the sysfs at `sys`.
    ///
    /// # Errors
    /// As for [`Paths::new`].
    pub(crate) fn new(socket: &'a CStr, sys: &Path, network: bool) -> Result<Self, Errno> {
        Ok(Watcher {
            socket,
            told: Told::default(),
            wishes: Vec::new(),
            line: None,
            network: network.then(Facts::default),
            paths: Paths::new()?,
            there: Vec::new(),
            devices: Devices::new(sys),
            hotplug: None,
            time: Time::default(),
            stale: Stale { network: true, paths: true, devices: true },
        })
    }

    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// The kernel said that something about the network changed.
    pub(crate) fn network_changed(&mut self) {
        self.stale.network = true;
    }

    /// Takes note of paths, mounts, devices and the clock. True if there is something to look at.
    ///
    /// # Errors
    /// As for [`Paths::changed`] and [`uevent::Monitor::changed`].
    pub(crate) fn changed(&mut self, mounts: bool, now: u64) -> Result<bool, Errno> {
        let paths = self.paths.changed(now)? || mounts;
        let devices = match &mut self.hotplug {
            Some(hotplug) => hotplug.changed(&devices::SUBSYSTEMS)?,
            None => false,
        };
        let clock = self.time.changed(now, time::is_right);
        self.stale.paths |= paths;
        self.stale.devices |= devices;
        Ok(paths || devices || clock)
    }

    /// Units may wait for others, and PID 1 may have forgotten all.
    pub(crate) fn forget_wishes(&mut self) {
        self.told.doubt();
        self.line = None;
    }

    /// When to look although nothing is heard, from now.
    pub(crate) fn timeout_ms(&self, now: u64) -> Option<u64> {
        [self.paths.timeout_ms(now), self.time.timeout_ms(now)].into_iter().flatten().min()
    }

    /// Looks at what is in doubt, and tells PID 1 what it does not know yet. The buffer is for the
    /// network. Says a word to `epoll` when units may wait for others.
    ///
    /// # Errors
    /// Those of asking; all of it is to be done again then.
    pub(crate) fn look_and_tell(&mut self, buffer: &mut [u8], epoll: &Epoll) -> Result<(), Errno> {
        let told = self.learn(epoll).and_then(|()| self.look(buffer)).and_then(|()| self.tell());
        if told.is_err() {
            self.forget_wishes();
        }
        told
    }

    /// Asks PID 1 what it knows, and what units wait for, when that is in doubt.
    fn learn(&mut self, epoll: &Epoll) -> Result<(), Errno> {
        if !self.told.is_in_doubt() {
            return Ok(());
        }
        let (all, line) = publish::known(self.socket)?;
        epoll.add(&line, crate::WISHES, Interest::Read)?;
        self.line = Some(line);
        let wanted = all.iter().filter(|known| known.wanted);
        let wish = |name: &str| Some((name.to_owned(), wishes::read(name)?));
        let wishes: Vec<_> = wanted.filter_map(|known| wish(&known.name)).collect();
        if self.wishes != wishes {
            // First: what is not listened to yet is no wish of ours, and is tried again.
            self.listen(&wishes, epoll)?;
            self.wishes = wishes;
        }
        let known = all.into_iter();
        let known = known.map(|one| Condition { name: one.name.to_string(), holds: one.holds });
        self.told.learn(known);
        Ok(())
    }

    /// Listens for what concerns the wishes, before they are looked at, and for nothing else.
    fn listen(&mut self, wishes: &[(String, Wish)], epoll: &Epoll) -> Result<(), Errno> {
        (self.stale.paths, self.stale.devices) = (true, true);
        let any = |test: fn(&Wish) -> bool| wishes.iter().any(|(_, wish)| test(wish));
        let paths = any(|wish| matches!(wish, Wish::Path(_)));
        let devices = any(|wish| matches!(wish, Wish::Usb(_) | Wish::Tty(_)));
        self.time.wish(any(|wish| *wish == Wish::Clock));
        if let Some(mounts) = self.paths.hear_of_mounts(paths)
            && let Err(error) = epoll.add(mounts, crate::MOUNTS, Interest::Nothing)
        {
            self.paths.hear_of_mounts(false);
            return Err(error);
        }
        if devices && self.hotplug.is_none() {
            let hotplug = crate::if_there(
                uevent::Monitor::new(),
                "hot-plugging: devices are looked for when units are read again",
            )?;
            if let Some(hotplug) = &hotplug {
                epoll.add(hotplug, crate::OTHER, Interest::Read)?;
            }
            self.hotplug = hotplug;
        } else if !devices {
            self.hotplug = None;
        }
        Ok(())
    }

    fn look(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        if self.stale.network {
            self.look_at_network(buffer)?;
            self.stale.network = false;
        }
        if self.stale.paths {
            let paths = self.wishes.iter().filter_map(|(name, wish)| match wish {
                Wish::Path(path) => Some((name, path.as_path())),
                Wish::Clock | Wish::Usb(_) | Wish::Tty(_) => None,
            });
            let (names, paths): (Vec<_>, Vec<_>) = paths.unzip();
            let there = self.paths.look(clock::now(), paths.into_iter());
            self.there = names.into_iter().cloned().zip(there).collect();
            self.stale.paths = false;
        }
        if self.stale.devices {
            self.devices.look(&self.wishes);
            self.stale.devices = false;
        }
        let _ = self.time.changed(clock::now(), time::is_right);
        Ok(())
    }

    fn look_at_network(&mut self, buffer: &mut [u8]) -> Result<(), Errno> {
        let Some(facts) = &mut self.network else { return Ok(()) };
        let left_out = facts.left_out();
        let looked = netlink::look(buffer, |seen| match seen {
            None => facts.clear(),
            Some(seen) => facts.see(seen),
        });
        if let Err(error) = looked {
            complain!("asking the kernel about the network: {error}");
            return Err(error);
        }
        if left_out == 0 && facts.left_out() > 0 {
            complain!("more than {MAX_LINKS} network interfaces; the last ones are ignored");
        }
        Ok(())
    }

    fn tell(&mut self) -> Result<(), Errno> {
        let now = self.conditions();
        publish::publish(self.socket, &self.told.lacks(&now))?;
        self.told.heard(now);
        self.devices.heard();
        Ok(())
    }

    fn conditions(&self) -> Conditions {
        let mut all = Conditions::default();
        if let Some(facts) = &self.network {
            facts.conditions(&mut all);
        }
        self.there.iter().for_each(|(name, there)| all.put(name, *there));
        self.devices.conditions(&mut all);
        if let Some(right) = self.time.holds() {
            all.put("clock", right);
        }
        all
    }
}
