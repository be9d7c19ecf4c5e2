//! The control socket: who asks, what he may, what he gets. Reads the supervisor and changes
//! nothing; what a client wants changed becomes a [`Command`] for the loop. Never blocks, and what
//! one client does wrong concerns that client only (`tests/FAULTS.md`, F4).
//!
//! | file | what it does |
//! |---|---|
//! | `door` | lets clients in |
//! | `client` | one client: descriptor, rights, what it still has to get |
//! | `answer` | request → packets, or a command |
//! | `deliver` | packets out, as far as there is room |
//! | `ring` | the last notices |
//! | `boot` | when the boot was over |
//! | `describe` | core values → words, for the log too |
//! | `words` | core values → the wire's words |
//! | `viewers` | lets the groups ettan and ettan-operator in; runs in the loader |
//! | `facts` | what the answers need beyond the supervisor |

mod answer;
mod boot;
mod client;
mod deliver;
pub(crate) mod describe;
mod door;
mod facts;
mod ring;
#[cfg(test)]
mod tests;
pub(crate) mod viewers;
mod words;

pub(crate) use facts::{Complaints, Facts, History, Many, TableFacts};

use crate::loading::Loaded;
use crate::report::Cause;
use answer::{Answer, Own};
use boot::Boot;
use client::{Client, Job, Packet, Peer};
use core::ffi::CStr;
use describe::Sources;
use door::{Door, Visit};
use ettan_core::{Ask, Millis, Name, Notice, Power, Supervisor, UnitId};
use ettan_sys::poll::{Epoll, Interest, Ready};
use ettan_sys::{Errno, OwnedFd, socket};
use ettan_wire::{ErrorCode, Fault, Finished, MAX_PACKET, Reply, Span, Text, decode_request};
use ring::Ring;

/// Clients at a time. 32: one operator at three terminals, the watcher, the web page and a script
/// that went wrong; each slot is 150 bytes and a descriptor.
const CLIENTS: usize = 32;

/// Slots that only root gets, so that viewers cannot lock the operator out (`tests/FAULTS.md` 4.1).
const FOR_ROOT: usize = 8;

/// Connections let in per turn; the rest wait in the backlog, so that clients starve nobody else.
const VISITS: usize = 8;

/// Packets sent to one client per turn.
const BURST: usize = 32;

/// Packets sent to all clients per turn: on a Pi Zero each takes about 0.1 ms to make and send, and
/// the next killed service is not to wait longer than for these.
const TURN: usize = 128;

/// What the loop is to do for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Command {
    /// Give the core `Event::Ask`.
    Ask {
        /// Of which unit.
        unit: UnitId,
        /// For what.
        ask: Ask,
    },
    /// Give the core `Event::Condition`.
    Condition {
        /// Its name.
        name: Name,
        /// Whether it holds now.
        holds: bool,
    },
    /// Give the core `Event::Ran`.
    Ran {
        /// Which unit.
        unit: UnitId,
        /// In seconds since 1970.
        second: i64,
    },
    /// Give the core `Event::Shutdown`.
    Shutdown {
        /// What comes at the end.
        power: Power,
        /// Without waiting.
        force: bool,
    },
    /// Run the loader; then call [`Control::reloaded`].
    ReloadUnits,
    /// Execute PID 1 anew; else call [`Control::not_executed`].
    Reexec,
    /// Have the logger bring to the disk what is kept there.
    Flush,
    /// Fail as asked; in test builds only.
    #[cfg(feature = "fault-injection")]
    Fail(ettan_wire::Fail),
}

/// What the loop lends for the time of a call.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// PID 1's clock.
    pub(crate) now: Millis,
    /// Every unit.
    pub(crate) supervisor: &'a Supervisor,
    /// What the supervisor does not know.
    pub(crate) facts: &'a dyn Facts,
    /// Where descriptors are polled.
    pub(crate) epoll: &'a Epoll,
}

impl<'a> Context<'a> {
    fn sources(&self) -> Sources<'a> {
        self.sources_at(self.now)
    }

    fn sources_at(&self, now: Millis) -> Sources<'a> {
        Sources { supervisor: self.supervisor, facts: self.facts, now }
    }
}

/// The listener, the clients and the notices they follow.
pub(crate) struct Control {
    door: Door,
    clients: [Option<Client>; CLIENTS],
    ring: Ring,
    boot: Boot,
    packet: Packet,
    /// The token of the listener; clients have the ones above (see [`Control::owns`]).
    first_token: u64,
    generation: u32,
    /// Something was taken in or sent since `take_work`.
    work: bool,
    /// Packets that may still be sent in this turn.
    budget: usize,
}

impl Control {
    /// Closed. Its tokens for epoll begin at `first_token`, which must be below 2^31; all above
    /// belong to it.
    pub(crate) fn new(first_token: u64) -> Self {
        Self {
            door: Door::new(first_token),
            clients: [const { None }; CLIENTS],
            ring: Ring::new(),
            boot: Boot::new(),
            packet: [0; MAX_PACKET + 1],
            first_token,
            generation: 0,
            work: false,
            budget: TURN,
        }
    }

    /// Listens at `path`, for root only until `viewers::admit` gives the file to a group. Again later: makes the
    /// socket anew, when its file was deleted (`tests/FAULTS.md` 4.5); clients stay.
    ///
    /// # Errors
    /// The kernel's answer; what was open stays so.
    pub(crate) fn open(&mut self, epoll: &Epoll, path: &'static CStr) -> Result<(), Errno> {
        self.door.open(epoll, path)
    }

    /// Takes over the socket that the execution before listened at.
    ///
    /// # Errors
    /// The kernel's answer.
    pub(crate) fn take_over(
        &mut self,
        epoll: &Epoll,
        path: &'static CStr,
        listener: OwnedFd,
    ) -> Result<(), Errno> {
        self.door.take_over(epoll, path, listener)
    }

    /// The listening socket.
    pub(crate) fn listener(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.door.listener().map(std::os::fd::AsFd::as_fd)
    }

    /// When somebody could not be let in the last time, and why.
    pub(crate) fn trouble(&self) -> Option<(Millis, Errno)> {
        self.door.trouble()
    }

    /// All that could be ready.
    pub(crate) fn tokens(&self) -> heapless::Vec<u64, { CLIENTS + 1 }> {
        let clients = self.clients.iter().enumerate().filter_map(|(slot, client)| {
            client.as_ref().map(|client| self.join(slot, client.generation))
        });
        core::iter::once(self.first_token).chain(clients).collect()
    }

    /// Whether something was taken in or sent since this was asked the last time.
    pub(crate) fn take_work(&mut self) -> bool {
        core::mem::take(&mut self.work)
    }

    /// When the boot was over, in milliseconds of PID 1's clock.
    pub(crate) fn boot_over(&self) -> Option<u64> {
        self.boot.over_ms()
    }

    /// As the execution before knew it.
    pub(crate) fn set_boot_over(&mut self, over_ms: Option<u64>) {
        self.boot.set_over(over_ms);
    }

    /// Makes the socket anew if its file is no longer the one we listen at (`tests/FAULTS.md` 4.5).
    ///
    /// # Errors
    /// As [`Control::open`].
    pub(crate) fn mend(&mut self, epoll: &Epoll, path: &'static CStr) -> Result<(), Errno> {
        if self.door.is_at(path) { Ok(()) } else { self.door.open(epoll, path) }
    }

    /// Serves one descriptor of ours that is ready.
    pub(crate) fn on_ready(&mut self, ready: &Ready, context: &Context<'_>) -> Option<Command> {
        if ready.token == self.first_token {
            self.let_in(context);
            return None;
        }
        let (slot, generation) = self.split(ready.token)?;
        let client = self.clients.get(slot)?.as_ref()?;
        if client.generation != generation {
            return None;
        }
        let mut command = None;
        if ready.readable {
            command = self.read(slot, context);
        } else if ready.closed {
            self.drop_client(slot, context);
        }
        // What it has just asked for has no outcome before the loop has done it.
        if ready.writable && command.is_none() {
            self.go_on(slot, context);
        }
        command
    }

    /// Tells the log and whoever follows.
    pub(crate) fn publish(&mut self, notice: &Notice, sources: Sources<'_>) {
        let line = sources.notice(notice);
        match notice {
            Notice::State {
                to: ettan_core::State::Failed | ettan_core::State::Backoff { .. },
                ..
            }
            | Notice::Hook { .. }
            | Notice::CrashLooping { .. }
            | Notice::Health { well: false, .. }
            | Notice::CycleBroken { .. }
            | Notice::LeftOut { .. } => log::warn!("{line}"),
            Notice::Reload { end: Ok(()), .. } => log::info!("{line}"),
            Notice::Reload { end: Err(_), .. } => log::warn!("{line}"),
            Notice::GaveUp { .. } | Notice::Unkillable { .. } | Notice::Unexpected { .. } => {
                log::error!("{line}");
            }
            Notice::PassedOver { .. }
            | Notice::Shutdown { .. }
            | Notice::Health { well: true, .. } => log::info!("{line}"),
            // The ordinary course of things: for `ettan logs`, not for the kernel's log.
            Notice::State { .. } => log::debug!("{line}"),
        }
        self.ring.push(sources.now, *notice, sources.supervisor);
    }

    /// After the core has settled: sends outcomes and notices, and drops who was idle too long.
    pub(crate) fn after_turn(&mut self, context: &Context<'_>) {
        self.budget = TURN;
        self.door.wake(context.epoll, context.now);
        if self.boot.look(context.now, context.supervisor) {
            log::info!("boot is over {} after the kernel started", Span(context.now.0));
        }
        for slot in 0..CLIENTS {
            let Some(client) = self.clients.get(slot).and_then(Option::as_ref) else { continue };
            if client.deadline().is_some_and(|at| at <= context.now) {
                self.dismiss(slot, context);
            } else if !client.wants_room {
                self.go_on(slot, context);
            }
        }
    }

    /// A loader begins: it reads what is there from now on. Who asked before waits for this one,
    /// who asks later for the next.
    pub(crate) fn reload_begins(&mut self) {
        for client in self.clients.iter_mut().flatten() {
            if let Job::Reloading { begun } = &mut client.job {
                *begun = true;
            }
        }
    }

    /// The loader that began last has ended. `text` is one line.
    pub(crate) fn reloaded(&mut self, loaded: Loaded, text: &str, context: &Context<'_>) {
        let finished = Finished { text: Text::from(text) };
        let reply = match loaded {
            Loaded::InForce => Reply::Done(finished),
            Loaded::OldStays => Reply::Failed(finished),
        };
        for slot in 0..CLIENTS {
            let client = self.clients.get(slot).and_then(Option::as_ref);
            if client.is_some_and(|client| matches!(client.job, Job::Reloading { begun: true })) {
                self.finish(slot, &reply, context);
            }
        }
    }

    /// PID 1 was not executed anew. `text` is one line.
    pub(crate) fn not_executed(&mut self, text: &str, context: &Context<'_>) {
        for slot in 0..CLIENTS {
            let client = self.clients.get(slot).and_then(Option::as_ref);
            if client.is_some_and(|client| matches!(client.job, Job::Executing)) {
                let reply = Reply::Failed(Finished { text: Text::from(text) });
                self.finish(slot, &reply, context);
            }
        }
    }

    /// When [`Control::after_turn`] has something to do although nothing happens.
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        let clients = self.clients.iter().flatten().filter_map(Client::deadline);
        clients.chain(self.door.deadline()).min()
    }

    /// How many clients there are.
    fn count(&self) -> usize {
        self.clients.iter().flatten().count()
    }

    fn let_in(&mut self, context: &Context<'_>) {
        for _ in 0..VISITS {
            match self.door.visit(context.epoll, context.now) {
                Visit::Guest(socket, peer) => {
                    self.work = true;
                    self.admit(socket, peer, context);
                }
                Visit::Stranger(socket) => {
                    self.work = true;
                    let text = format_args!("only root and the group ettan may talk to PID 1");
                    let reply = answer::refusal(ErrorCode::NotPermitted, text);
                    client::turn_away(&socket, &reply, &mut self.packet);
                }
                Visit::Crowded(socket) => {
                    let text = format_args!("PID 1 has no descriptor left; try again");
                    let reply = answer::refusal(ErrorCode::Busy, text);
                    client::turn_away(&socket, &reply, &mut self.packet);
                    drop(socket);
                    self.door.restock(context.epoll, context.now);
                    // So that the next one finds room.
                    if let Some(slot) = self.idle_longest(Peer::Root) {
                        self.dismiss(slot, context);
                    }
                }
                Visit::Nobody => return,
            }
        }
    }

    /// Gives a guest a slot. When there is none, the client idle longest makes room.
    fn admit(&mut self, socket: OwnedFd, peer: Peer, context: &Context<'_>) {
        let most = match peer {
            Peer::Root => CLIENTS,
            Peer::Operator | Peer::Viewer => CLIENTS.saturating_sub(FOR_ROOT),
        };
        if self.count() >= most
            && let Some(slot) = self.idle_longest(peer)
        {
            self.dismiss(slot, context);
        }
        let free = self.clients.iter().position(Option::is_none);
        let Some(slot) = free.filter(|_| self.count() < most) else {
            let text = format_args!("all {most} places are taken; try again");
            let reply = answer::refusal(ErrorCode::Busy, text);
            client::turn_away(&socket, &reply, &mut self.packet);
            return;
        };
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let token = self.join(slot, generation);
        if let Err(errno) = context.epoll.add(&socket, token, Interest::Read) {
            log::warn!("control socket: a client cannot be polled: {}", Cause(errno));
            return;
        }
        let client = Client {
            socket,
            peer,
            generation,
            active: context.now,
            job: Job::Idle,
            wants_room: false,
        };
        if let Some(place) = self.clients.get_mut(slot) {
            *place = Some(client);
        }
    }

    /// Nobody else makes root leave.
    fn idle_longest(&self, newcomer: Peer) -> Option<usize> {
        let idle = self.clients.iter().enumerate().filter_map(|(slot, client)| {
            let client = client.as_ref()?;
            let may_go = client.peer != Peer::Root || newcomer == Peer::Root;
            (matches!(client.job, Job::Idle) && may_go).then_some((client.active, slot))
        });
        idle.min().map(|(_, slot)| slot)
    }

    /// Takes one packet of a client.
    fn read(&mut self, slot: usize, context: &Context<'_>) -> Option<Command> {
        let Self { clients, packet, .. } = self;
        let client = clients.get_mut(slot)?.as_mut()?;
        let length = match socket::recv(&client.socket, packet) {
            Ok(Some(message)) if message.truncated => packet.len(),
            Ok(Some(message)) => message.len,
            Ok(None) => return None,
            Err(_) => 0,
        };
        self.work = true;
        if length == 0 {
            self.drop_client(slot, context);
            return None;
        }
        client.active = context.now;
        let peer = client.peer;
        if !matches!(client.job, Job::Idle) {
            let text = "one request at a time: the answer to the last one is not complete";
            self.end(slot, &answer::refusal(ErrorCode::Busy, format_args!("{text}")), context);
            return None;
        }
        let request = match packet.get_mut(..length) {
            Some(bytes) => decode_request(bytes),
            None => Err(Fault::TooBig),
        };
        let answer = match request {
            Ok(request) => {
                let clients = u32::try_from(self.count()).unwrap_or(u32::MAX);
                let boot_ms = self.boot.over_ms();
                answer::answer(request, peer, Own { ring: &self.ring, boot_ms, clients }, context)
            }
            Err(Fault::Unknown) => {
                let text = format_args!("{}", Fault::Unknown);
                Answer::Packet(answer::refusal(ErrorCode::UnknownVerb, text))
            }
            Err(fault) => {
                Answer::Last(answer::refusal(ErrorCode::BadRequest, format_args!("{fault}")))
            }
        };
        self.give(slot, answer, context)
    }

    fn give(&mut self, slot: usize, answer: Answer, context: &Context<'_>) -> Option<Command> {
        match answer {
            Answer::Packet(reply) => self.finish(slot, &reply, context),
            Answer::Last(reply) => self.end(slot, &reply, context),
            Answer::Begin(job) => {
                self.begin(slot, job);
                self.go_on(slot, context);
            }
            Answer::Command(command, job) => {
                self.begin(slot, job);
                // Whether the client is still there or not: what it asked for stands.
                self.finish_accepted(slot, context);
                return Some(command);
            }
        }
        None
    }

    fn begin(&mut self, slot: usize, job: Job) {
        if let Some(client) = self.clients.get_mut(slot).and_then(Option::as_mut) {
            client.job = job;
        }
    }

    /// Slot and generation as a token. The generation keeps news of a closed client from its successor.
    fn join(&self, slot: usize, generation: u32) -> u64 {
        let slot = u64::try_from(slot).unwrap_or(0);
        (u64::from(generation) << 32) | self.first_token.saturating_add(1).saturating_add(slot)
    }

    fn split(&self, token: u64) -> Option<(usize, u32)> {
        let low = token & u64::from(u32::MAX);
        let slot = low.checked_sub(self.first_token.checked_add(1)?)?;
        Some((usize::try_from(slot).ok()?, u32::try_from(token >> 32).ok()?))
    }
}
