//! Does what PID 1 asks for: logs come and go, their notes are written.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use ettan_sys::socket::Message;
use ettan_sys::{Errno, limits, socket};

use super::disks::Disk;
use super::resting::pipe_of;
use super::{Inlet, Log, Logger, MAX_LOGS, token};
use crate::ledger::Ledger;
use crate::packet::{self, Keep, Limits, MAX_PACKET, Packet, Place, Stream};

/// Packets taken in one turn.
const PACKETS_A_TURN: usize = 64;

/// Descriptors that pipes leave free: for the stage, files that are written, copied and renamed, an alert.
const SPARE: u64 = 8;

/// The log of PID 1 itself, which needs no pipe.
const OWN_NAME: &str = "ettan";

impl Logger<'_> {
    /// True at the end. `closed`: PID 1 sends no more, so nothing gets better by waiting.
    pub(super) fn take_packets(&mut self, control: BorrowedFd<'_>, closed: bool) -> bool {
        let mut buffer = [0; MAX_PACKET];
        for _ in 0..PACKETS_A_TURN {
            let next = if closed {
                socket::recv_fd(control, &mut buffer)
            } else {
                self.next_packet(control, &mut buffer)
            };
            if next.is_ok() {
                self.packets.works();
            }
            match next {
                Ok(Some(got)) if got.truncated => complain!("a packet too long; ignored"),
                Ok(Some(got)) if got.len == 0 && got.fd.is_none() => return true,
                Ok(Some(got)) => match buffer.get(..got.len).and_then(packet::read) {
                    Some(packet) => self.obey(packet, &buffer[..got.len], got.fd),
                    None => complain!("a packet that is no request; ignored"),
                },
                Ok(None) => return false,
                Err(Errno::CONNRESET) => return true,
                Err(error) => {
                    let what = "receiving from PID 1";
                    self.rest.fail(&self.poll, control, &mut self.packets, &what, &error);
                    return false;
                }
            }
        }
        false
    }

    /// The next packet, once we have what comes with it: until then it stays where it is, for PID 1 sends
    /// it to one logger once.
    fn next_packet(
        &mut self,
        control: BorrowedFd<'_>,
        buffer: &mut [u8],
    ) -> Result<Option<Message>, Errno> {
        let mut next = socket::peek(control, buffer)?;
        if next.as_ref().is_some_and(is_without_room) {
            // Each file is opened again when there is something to write.
            self.logs.iter_mut().flatten().for_each(|log| log.ledger.shed());
            drop(next);
            next = socket::peek(control, buffer)?;
        }
        match next {
            Some(got) if is_without_room(&got) => Err(Errno::MFILE),
            Some(got) if got.fd.is_some() => socket::skip(control).map(|()| Some(got)),
            // Where there was no memory to look at its descriptor, there is none to be had by looking.
            Some(_) => socket::recv_fd(control, buffer),
            None => Ok(None),
        }
    }

    pub(super) fn obey(&mut self, packet: Packet<'_>, bytes: &[u8], pipe: Option<OwnedFd>) {
        match packet {
            Packet::Open { name, stream, limits, keep, note, routes } => match pipe {
                Some(pipe) => {
                    self.open(name, stream, limits, keep, Inlet::of(bytes, pipe));
                    if let Some(slot) = self.find(name) {
                        self.set_routes(slot, name, limits, keep, routes);
                        if let Some(note) = note {
                            self.end_line(slot);
                            self.with(slot, |log, desk| log.ledger.note(desk, note, true));
                        }
                    }
                }
                None => complain!("{name}: no pipe came along; not logged"),
            },
            Packet::Close { name } => {
                if let Some(slot) = self.find(name) {
                    self.close(slot);
                }
            }
            Packet::End { name } => {
                if let Some(slot) = self.find(name) {
                    self.empty(slot);
                    self.end_line(slot);
                    self.with(slot, |log, desk| log.ledger.end_run(desk));
                }
            }
            Packet::Flush => self.flush(),
            Packet::Syslog => match pipe {
                Some(socket) => self.listen_to_syslog(socket),
                None => complain!("no socket came along; syslog is not read"),
            },
            Packet::Kernel => match pipe {
                Some(source) => self.listen_to_kernel(source),
                None => complain!("no descriptor came along; the kernel's messages are not read"),
            },
            Packet::Mark { place, name, text } => {
                let found = self.find(name);
                let slot = if found.is_none() && name == OWN_NAME {
                    self.insert(OWN_NAME, Limits::default())
                } else {
                    found
                };
                if let Some(slot) = slot {
                    let is_end = match place {
                        Place::Before => {
                            self.end_line(slot);
                            true
                        }
                        Place::Amid => {
                            self.empty(slot);
                            false
                        }
                        // What a process said last belongs before the note that it is gone.
                        Place::End => {
                            self.empty(slot);
                            self.end_line(slot);
                            true
                        }
                    };
                    self.with(slot, |log, desk| log.ledger.note(desk, text, is_end));
                    if text.starts_with("ended: ") && !text.ends_with("status 0") {
                        self.ask_for_crashed(slot);
                    }
                }
            }
        }
    }

    pub(super) fn open(
        &mut self,
        name: &str,
        stream: Stream,
        limits: Limits,
        keep: Keep<'_>,
        mut inlet: Inlet,
    ) {
        if let Some(slot) = self.find(name) {
            self.empty_stream(slot, stream);
        }
        let Some(slot) = self.insert(name, limits) else {
            complain!("{name}: {MAX_LOGS} logs are open already; not logged");
            return;
        };
        self.forget_pipe(slot, stream);
        if let Some(pipe) = &inlet.pipe {
            let source = (pipe.as_fd(), token(slot, stream));
            self.rest.watch(&self.poll, source, &mut inlet.standing, &pipe_of(name));
        }
        if let Some(Some(log)) = self.logs.get_mut(slot) {
            log.ledger.set_limits(limits);
            log.limits = limits;
            let due_ms = log.keep_at(self.root, |former| Disk::of(keep, former));
            log.inlets[stream as usize] = inlet;
            self.keep_by(due_ms);
        }
    }

    /// Reads what is left; the log goes once nobody can write to the pipe any more.
    pub(super) fn close(&mut self, slot: usize) {
        self.empty(slot);
        let without_pipe =
            self.logs.get(slot).is_some_and(|log| log.as_ref().is_some_and(|l| !l.has_pipe()));
        if without_pipe {
            self.finish(slot);
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.logs.iter().position(|log| log.as_ref().is_some_and(|log| log.name == name))
    }

    /// The slot of this name, a new one if need be.
    pub(super) fn insert(&mut self, name: &str, limits: Limits) -> Option<usize> {
        if let Some(slot) = self.find(name) {
            return Some(slot);
        }
        let ledger = Ledger::new(self.root.join(name), limits);
        let log = Some(Log {
            name: name.to_owned(),
            unit: name.to_owned(),
            inlets: Default::default(),
            ledger,
            disk: None,
            limits,
            routes: None,
        });
        if let Some(slot) = self.logs.iter().position(Option::is_none) {
            self.logs[slot] = log;
            return Some(slot);
        }
        if self.logs.len() >= MAX_LOGS {
            return None;
        }
        self.logs.push(log);
        Some(self.logs.len() - 1)
    }
}

/// What came with it did not find room, or would take what is needed to write.
fn is_without_room(got: &Message) -> bool {
    let spared = |number: u64| number.saturating_add(SPARE) >= limits::nofile();
    let number = got.fd.as_ref().and_then(|fd| u64::try_from(fd.as_raw_fd()).ok());
    got.fd_lost || number.is_some_and(spared)
}
