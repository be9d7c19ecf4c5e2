//! Takes what is in the pipes, by way of the stage, and hands it to the logs.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;

use ettan_sys::{Errno, pipe};

use super::disks::is_bad;
use super::resting::{Standing, pipe_of};
use super::{Inlet, Logger};
use crate::packet::{self, Packet, STREAMS, Stream};
use crate::stage::{Filled, Left};

/// Reads of one pipe when it is emptied: 1 MiB, the largest pipe, so that a service that
/// floods cannot keep us at it.
const READS_TO_EMPTY: usize = 16;

impl Logger<'_> {
    /// One read, one write. False if there was nothing.
    pub(super) fn read_once(&mut self, slot: usize, stream: Stream) -> bool {
        let Some(Some(log)) = self.logs.get(slot) else { return false };
        let inlet = &log.inlets[stream as usize];
        let Some(pipe) = &inlet.pipe else { return false };
        let second = self.desk.second;
        let (stage, in_line) = (&mut self.desk.stage, log.ledger.is_in_line(stream));
        let taken = match stage.fill(&inlet.packet, in_line, pipe.as_fd(), self.input, second) {
            // No room for the stage, or no file system that can: rather at risk than lost.
            Err(error) if error.raw_os_error() != Some(Errno::AGAIN.raw_os_error()) => {
                pipe::read(pipe, self.input).map(Filled::Read).map_err(Into::into)
            }
            other => other,
        };
        match taken {
            Ok(Filled::Read(0) | Filled::Unread(0, _)) => {
                self.end_stream(slot, stream);
                false
            }
            Ok(Filled::Unread(length, error)) => {
                self.works(slot, stream);
                self.with(slot, |log, desk| log.ledger.miss(desk, stream, length as u64, error));
                self.desk.stage.clear();
                true
            }
            Ok(Filled::Read(length)) => {
                self.works(slot, stream);
                self.make_room(slot);
                let input = std::mem::take(&mut self.input);
                let output = &input[..length];
                self.with(slot, |log, desk| log.ledger.take(desk, stream, output));
                self.look_for_errors(slot, || is_bad(stream, output));
                self.route(slot, (stream, output), 1, 0);
                self.desk.stage.clear();
                self.input = input;
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => {
                self.rest_from(slot, stream, &error);
                false
            }
        }
    }

    fn works(&mut self, slot: usize, stream: Stream) {
        if let Some(Some(log)) = self.logs.get_mut(slot) {
            log.inlets[stream as usize].standing.works();
        }
    }

    fn rest_from(&mut self, slot: usize, stream: Stream, error: &io::Error) {
        let Some(Some(log)) = self.logs.get_mut(slot) else { return };
        let Inlet { pipe: Some(pipe), standing, .. } = &mut log.inlets[stream as usize] else {
            return;
        };
        self.rest.fail(&self.poll, pipe.as_fd(), standing, &pipe_of(&log.name), error);
    }

    /// Logs what the logger before had taken out of a pipe when it was killed, and not yet
    /// written.
    pub(super) fn take_up(&mut self) {
        let Some(mut left) = self.desk.stage.left() else { return };
        let owner = left.owner.clone();
        let whose = match packet::read(&owner) {
            Some(Packet::Open { name, stream, limits, keep, routes, note: _ }) => {
                let slot = self.insert(name, limits);
                if let Some(slot) = slot {
                    self.set_routes(slot, name, limits, keep, routes);
                }
                slot.map(|slot| (slot, stream))
            }
            Some(
                Packet::Close { .. }
                | Packet::End { .. }
                | Packet::Mark { .. }
                | Packet::Flush
                | Packet::Syslog
                | Packet::Kernel,
            )
            | None => None,
        };
        let Some((slot, stream)) = whose else {
            complain!("the stage says not whose it is; its content is lost");
            self.desk.stage.clear();
            return;
        };
        let input = std::mem::take(&mut self.input);
        if let Err(error) = self.go_on_with(slot, stream, &mut left, input) {
            complain!("last words of a log are lost: {error}");
        }
        self.input = input;
        self.desk.stage.clear();
    }

    /// Brings what is in the stage to those of this unit's logs that do not have it yet.
    fn go_on_with(
        &mut self,
        slot: usize,
        stream: Stream,
        left: &mut Left,
        input: &mut [u8],
    ) -> io::Result<()> {
        let mut is_done = false;
        if left.target() > 0 {
            is_done = self.settle_route(slot, stream, left)?;
        } else if let Some(Some(log)) = self.logs.get_mut(slot) {
            log.ledger.settle(left, stream)?;
        }
        let length = self.desk.stage.take_up(left, input)?;
        let output = input.get(..length).unwrap_or_default();
        if is_done {
            return Ok(());
        }
        match left.target() {
            0 => {
                let rest = usize::try_from(left.from()).ok().and_then(|from| output.get(from..));
                let rest = rest.unwrap_or_default();
                self.with(slot, |log, desk| log.ledger.take(desk, stream, rest));
                self.route(slot, (stream, output), 1, 0);
            }
            target => self.route(slot, (stream, output), target, left.from()),
        }
        Ok(())
    }

    /// Out of descriptors, the files of the others are closed: each is opened again when there
    /// is something to write.
    pub(super) fn make_room(&mut self, slot: usize) {
        let second = self.desk.second;
        let Some(Some(log)) = self.logs.get_mut(slot) else { return };
        let Err(error) = log.ledger.prepare(second) else { return };
        if is_out_of_descriptors(&error) {
            for log in self.logs.iter_mut().flatten() {
                log.ledger.shed();
            }
        }
    }

    pub(super) fn empty(&mut self, slot: usize) {
        for stream in STREAMS {
            self.empty_stream(slot, stream);
        }
    }

    pub(super) fn empty_stream(&mut self, slot: usize, stream: Stream) {
        for _ in 0..READS_TO_EMPTY {
            if !self.read_once(slot, stream) {
                return;
            }
        }
    }

    /// Nobody can write to this pipe any more. Without the other one the log goes, too.
    fn end_stream(&mut self, slot: usize, stream: Stream) {
        self.forget_pipe(slot, stream);
        if self.logs.get(slot).is_some_and(|log| log.as_ref().is_some_and(|l| !l.has_pipe())) {
            self.finish(slot);
        }
    }

    pub(super) fn finish(&mut self, slot: usize) {
        self.finish_routes(slot);
        self.with(slot, |log, desk| log.ledger.finish(desk));
        self.ask_for(slot);
        self.keep(false);
        for stream in STREAMS {
            self.forget_pipe(slot, stream);
        }
        if let Some(log) = self.logs.get_mut(slot) {
            *log = None;
        }
    }

    /// PID 1 has the same pipe open, so closing ours alone would not end the waiting for it.
    pub(super) fn forget_pipe(&mut self, slot: usize, stream: Stream) {
        let log = self.logs.get_mut(slot).and_then(Option::as_mut);
        let inlet = log.map(|log| std::mem::take(&mut log.inlets[stream as usize]));
        let polled = inlet.filter(|inlet| inlet.standing != Standing::Rests);
        let pipe = polled.and_then(|inlet| inlet.pipe);
        if let Some(Err(error)) = pipe.map(|pipe| self.poll.remove(pipe)) {
            complain!("a pipe cannot be left alone: {error}");
        }
    }
}

fn is_out_of_descriptors(error: &std::io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| code == Some(errno.raw_os_error()))
}
