//! Knows which unit a process belongs to that sent a datagram: by its cgroup, and when it is gone
//! by then, by what others of its name were. Reads /proc; believes no word of the datagram alone.

use std::collections::VecDeque;

use ettan_sys::socket::Peer;
use ettan_sys::{cgroup, process, procfs};

/// The longest path of a cgroup; a deeper one is nobody's.
const PATH_MAX: usize = 512;

/// How many senders are remembered, for those that are gone before they are looked at: as many
/// as an appliance has kinds of programs that do so.
const REMEMBERED: usize = 64;

/// Who sends, and which unit it is.
pub(crate) struct Senders {
    /// Our own cgroup, which is PID 1's: those of the units are below it.
    base: Vec<u8>,
    remembered: VecDeque<Remembered>,
}

struct Remembered {
    uid: u32,
    tag: Vec<u8>,
    unit: String,
}

impl Senders {
    /// Nobody is known yet.
    pub(crate) fn new() -> Self {
        let mut buffer = [0; PATH_MAX];
        let base = procfs::cgroup_of(process::own_pid(), &mut buffer).unwrap_or_default();
        Senders { base: base.to_vec(), remembered: VecDeque::with_capacity(REMEMBERED) }
    }

    /// The unit of a sender; None when it belongs to none, or nobody can say.
    ///
    /// A sender that has ended and been reaped since is taken for the unit of the last one that had
    /// its user and its tag. One of root's that no cgroup tells of is taken for the unit that is
    /// called like its tag: so it is without cgroups. Only a process of the same user could
    /// pretend to be that, and root could do worse.
    pub(crate) fn unit_of(
        &mut self,
        peer: Peer,
        tag: &[u8],
        is_unit: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let mut buffer = [0; PATH_MAX];
        let path = procfs::cgroup_of(peer.pid, &mut buffer);
        if let Some(name) = path.and_then(|path| cgroup::unit_in(&self.base, path)) {
            let unit = str::from_utf8(name).ok()?.to_owned();
            self.remember(peer.uid, tag, &unit);
            return Some(unit);
        }
        let same = |known: &&Remembered| known.uid == peer.uid && known.tag == tag;
        let known = self.remembered.iter().find(same).filter(|_| path.is_none());
        let by_name = || str::from_utf8(tag).ok().filter(|tag| peer.uid == 0 && is_unit(tag));
        known.map(|known| known.unit.clone()).or_else(|| by_name().map(str::to_owned))
    }

    fn remember(&mut self, uid: u32, tag: &[u8], unit: &str) {
        if tag.is_empty() {
            return;
        }
        let same = |known: &Remembered| known.uid == uid && known.tag == tag;
        if let Some(known) = self.remembered.iter_mut().find(|known| same(known)) {
            if known.unit != unit {
                unit.clone_into(&mut known.unit);
            }
            return;
        }
        if self.remembered.len() >= REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(Remembered { uid, tag: tag.to_vec(), unit: unit.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(uid: u32) -> Peer {
        Peer { pid: i32::MAX, uid, gid: 0 }
    }

    #[test]
    fn a_sender_that_is_gone_is_known_by_user_and_tag() {
        let mut senders = Senders { base: Vec::new(), remembered: VecDeque::new() };
        let nobody = |_: &str| false;
        assert_eq!(senders.unit_of(gone(7), b"backup", nobody), None);
        senders.remember(7, b"backup", "nightly");
        assert_eq!(senders.unit_of(gone(7), b"backup", nobody).as_deref(), Some("nightly"));
        assert_eq!(senders.unit_of(gone(8), b"backup", nobody), None);
        assert_eq!(senders.unit_of(gone(7), b"other", nobody), None);
        senders.remember(7, b"backup", "weekly");
        assert_eq!(senders.unit_of(gone(7), b"backup", nobody).as_deref(), Some("weekly"));
    }

    #[test]
    fn only_root_may_bear_a_units_name() {
        let mut senders = Senders { base: Vec::new(), remembered: VecDeque::new() };
        let is_unit = |name: &str| name == "web";
        assert_eq!(senders.unit_of(gone(0), b"web", is_unit).as_deref(), Some("web"));
        assert_eq!(senders.unit_of(gone(7), b"web", is_unit), None);
        assert_eq!(senders.unit_of(gone(0), b"", is_unit), None);
    }

    #[test]
    fn few_are_remembered() {
        let mut senders = Senders { base: Vec::new(), remembered: VecDeque::new() };
        for number in 0..1_000 {
            senders.remember(0, format!("tag{number}").as_bytes(), "web");
        }
        assert_eq!(senders.remembered.len(), REMEMBERED);
    }
}
