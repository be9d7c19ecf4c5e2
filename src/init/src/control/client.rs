//! One client: its descriptor, what it may do, and what it still has to get. Sends one packet at a
//! time and keeps no queue: what does not go out now is made again when the socket has room.

use ettan_core::{Ask, Millis, Name, UnitId};
use ettan_sys::{Errno, OwnedFd, socket};
use ettan_wire::{MAX_PACKET, Reply, encode_reply};

/// A client without a request, or one that does not read its list, is dropped after this.
pub(crate) const IDLE_MS: u64 = 5_000;

/// Room for a packet, and one byte more to tell one that is too big.
pub(crate) type Packet = [u8; MAX_PACKET + 1];

/// What the kernel says about the peer, by SO_PEERCRED; /proc is never asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// User 0: may do everything.
    Root,
    /// The group `ettan-operator`: may look, and say of each unit what it shall be.
    Operator,
    /// The group `ettan`: may look.
    Viewer,
}

/// A client in its slot.
pub(crate) struct Client {
    /// Its connection. Closed with the slot.
    pub(crate) socket: OwnedFd,
    /// What it may do.
    pub(crate) peer: Peer,
    /// Tells this client from the ones that had the slot before.
    pub(crate) generation: u32,
    /// When it last asked, or last took a packet.
    pub(crate) active: Millis,
    /// What it still has to get.
    pub(crate) job: Job,
    /// Whether we wait for room in its socket.
    pub(crate) wants_room: bool,
}

/// What a client still has to get.
pub(crate) enum Job {
    /// Nothing.
    Idle,
    /// The outcome of what it asked of a unit. The name tells the unit from a successor in its place.
    Waiting {
        /// The unit.
        unit: UnitId,
        /// Its name when asked.
        name: Name,
        /// What was asked.
        ask: Ask,
    },
    /// The outcome of reading the unit files again.
    Reloading {
        /// The loader that counts runs; one that ran before it was asked for does not.
        begun: bool,
    },
    /// The end of the connection, or why it does not come.
    Executing,
    /// The rest of a list.
    Listing {
        /// The first place not looked at yet.
        next: u16,
        /// Packets of units so far.
        units: u32,
        /// Packets of diagnostics so far.
        diagnostics: u32,
    },
    /// The rest of the needs.
    Needs {
        /// The place of the unit.
        unit: u16,
        /// The number of its need.
        nth: u16,
    },
    /// The rest of the conditions.
    Conditions {
        /// The number of the first not sent yet.
        next: usize,
        /// What units wished for when this began, of who wants to hear when that changes.
        follow: Option<u32>,
    },
    /// A word when units wish for other conditions than at this time.
    Wishes {
        /// What they wished for.
        since: u32,
    },
    /// Notices from this number on.
    Following {
        /// The next one to send.
        next: u64,
    },
}

/// What became of a packet for a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The kernel has it.
    Yes,
    /// The socket is full; nothing was sent.
    NoRoom,
    /// The client is gone, or the packet cannot be made: drop the client.
    Gone,
}

impl Client {
    /// When it is dropped unless something happens; None for those who may wait.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        match self.job {
            Job::Idle | Job::Listing { .. } | Job::Needs { .. } | Job::Conditions { .. } => {
                Some(self.active.after(IDLE_MS))
            }
            Job::Waiting { .. }
            | Job::Reloading { .. }
            | Job::Executing
            | Job::Wishes { .. }
            | Job::Following { .. } => None,
        }
    }

    /// Sends one packet, if there is room.
    pub(crate) fn send(&mut self, reply: &Reply, packet: &mut Packet, now: Millis) -> Sent {
        let sent = send(&self.socket, reply, packet);
        if sent == Sent::Yes {
            self.active = now;
        }
        sent
    }
}

fn send(socket: &OwnedFd, reply: &Reply, packet: &mut Packet) -> Sent {
    let Ok(length) = encode_reply(reply, packet) else { return Sent::Gone };
    let Some(bytes) = packet.get(..length) else { return Sent::Gone };
    match socket::send(socket, bytes) {
        Ok(()) => Sent::Yes,
        Err(Errno::AGAIN) => Sent::NoRoom,
        // ENOBUFS and ENOMEM too: the socket stays ready, and waiting for room would be a spin.
        Err(_) => Sent::Gone,
    }
}

/// Says a word to somebody who gets no slot. What he has sent already is taken first: closing a
/// connection with something unread in it would reach him as an error before the word.
pub(crate) fn turn_away(socket: &OwnedFd, reply: &Reply, packet: &mut Packet) {
    let _ = socket::recv(socket, packet);
    let _ = send(socket, reply, packet);
}
