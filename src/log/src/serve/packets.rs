//! Does what PID 1 asks for: logs come and go, their notes are written.

use std::os::fd::{BorrowedFd, OwnedFd};

use ettan_sys::poll::Interest;
use ettan_sys::{Errno, clock, pipe, socket};

use super::disks::{Disk, KEEP_EVERY_MS, announce};
use super::{Inlet, Log, Logger, MAX_LOGS, token};
use crate::ledger::Ledger;
use crate::packet::{self, Keep, Limits, MAX_PACKET, Packet, Place, Stream};

/// Packets taken in one turn.
const PACKETS_A_TURN: usize = 64;

/// The log of PID 1 itself, which needs no pipe.
const OWN_NAME: &str = "ettan";

impl Logger<'_> {
    /// True at the end.
    pub(super) fn take_packets(&mut self, control: BorrowedFd<'_>) -> bool {
        let mut buffer = [0; MAX_PACKET];
        for _ in 0..PACKETS_A_TURN {
            match socket::recv_fd(control, &mut buffer) {
                Ok(Some(got)) if got.truncated => complain!("a packet too long; ignored"),
                Ok(Some(got)) if got.len == 0 && got.fd.is_none() => return true,
                Ok(Some(got)) => match buffer.get(..got.len).and_then(packet::read) {
                    Some(packet) => self.obey(packet, &buffer[..got.len], got.fd),
                    None => complain!("a packet that is no request; ignored"),
                },
                Ok(None) => return false,
                Err(Errno::CONNRESET) => return true,
                Err(error) => {
                    complain!("receiving from PID 1: {error}");
                    return false;
                }
            }
        }
        false
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
                        self.ask_for(slot);
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
        inlet: Inlet,
    ) {
        if let Some(slot) = self.find(name) {
            self.empty_stream(slot, stream);
        }
        let Some(slot) = self.insert(name, limits) else {
            complain!("{name}: {MAX_LOGS} logs are open already; not logged");
            return;
        };
        self.forget_pipe(slot, stream);
        let watched = inlet.pipe.as_ref().map_or(Ok(()), |pipe| {
            pipe::set_nonblocking(pipe, true)?;
            self.poll.add(pipe, token(slot, stream), Interest::Read)
        });
        if let Err(error) = watched {
            complain!("{name}: its pipe cannot be waited for: {error}; not logged");
            return;
        }
        if let Some(Some(log)) = self.logs.get_mut(slot) {
            log.ledger.set_limits(limits);
            log.limits = limits;
            log.disk = Disk::of(keep);
            if let Some(disk) = &log.disk {
                log.ledger.count_gone();
                announce(&self.root.join(name), &disk.directory, disk.budget_bytes, limits.owner);
                self.keep_at_ms.get_or_insert_with(|| clock::now() + KEEP_EVERY_MS);
            }
            log.inlets[stream as usize] = inlet;
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
