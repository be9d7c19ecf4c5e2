//! Hands messages of syslog(3) and of the kernel on to the logs of their units.

use std::os::fd::{AsFd as _, OwnedFd};

use ettan_sys::socket;

use super::disks::is_bad_priority;
use super::resting::Standing;
use super::{KERNEL, Logger, MAX_LOGS, SYSLOG};
use crate::kernel::{Kernel, News};
use crate::packet::Limits;
use crate::sender::Senders;
use crate::syslog::{self, Syslog};

/// The logs of what belongs to no unit. No unit may be called so.
const SYSLOG_NAME: &str = "ettan-syslog";
const KERNEL_NAME: &str = "ettan-kernel";

/// Messages of syslog or of the kernel taken in one turn.
pub(super) const A_TURN: usize = 64;

/// And at the end: more than the socket holds.
pub(super) const AT_THE_END: usize = 4096;

impl Logger<'_> {
    pub(super) fn listen_to_syslog(&mut self, socket: OwnedFd) {
        if let Some(former) = self.syslog.take() {
            // It may rest.
            let _ = self.poll.remove(former.socket);
        }
        let mut standing = Standing::default();
        let source = (socket.as_fd(), SYSLOG);
        self.rest.watch(&self.poll, source, &mut standing, &"/dev/log");
        self.syslog = Some(Syslog { socket, senders: Senders::new(), standing });
    }

    pub(super) fn listen_to_kernel(&mut self, source: OwnedFd) {
        if let Some(former) = self.kernel.take() {
            let _ = self.poll.remove(former.source);
        }
        let mut kernel = Kernel::new(source);
        let source = (kernel.source.as_fd(), KERNEL);
        self.rest.watch(&self.poll, source, &mut kernel.standing, &"/dev/kmsg");
        self.kernel = Some(kernel);
    }

    /// Each message stays in the socket until it is written: whoever kills us takes none with them,
    /// and the worst is one that is there twice.
    pub(super) fn read_syslog(&mut self, most: usize) {
        let Some(mut syslog) = self.syslog.take() else { return };
        let input = std::mem::take(&mut self.input);
        for _ in 0..most {
            let got = match socket::peek(&syslog.socket, input) {
                Ok(Some(got)) => got,
                Ok(None) => break,
                Err(error) => {
                    let (source, what) = (syslog.socket.as_fd(), "receiving from /dev/log");
                    self.rest.fail(&self.poll, source, &mut syslog.standing, &what, &error);
                    break;
                }
            };
            syslog.standing.works();
            let message = syslog::read(input.get(..got.len).unwrap_or_default());
            let is_unit = |name: &str| self.find(name).is_some();
            let sender =
                got.peer.and_then(|peer| syslog.senders.unit_of(peer, message.tag, is_unit));
            self.log_message(
                sender.as_deref().unwrap_or(SYSLOG_NAME),
                message.priority,
                message.text,
            );
            let _ = socket::skip(&syslog.socket);
        }
        self.input = input;
        self.syslog = Some(syslog);
    }

    pub(super) fn read_kernel(&mut self, most: usize) {
        let Some(mut kernel) = self.kernel.take() else { return };
        let slot = self.insert(KERNEL_NAME, Limits::default());
        for _ in 0..most {
            let message = match kernel.read() {
                News::Message(message) => message,
                News::Odd => continue,
                News::Nothing => break,
                News::Broken(error) => {
                    let (source, what) = (kernel.source.as_fd(), "reading /dev/kmsg");
                    self.rest.fail(&self.poll, source, &mut kernel.standing, &what, &error);
                    break;
                }
            };
            let Some(slot) = slot else { continue };
            self.desk.set_up_time(message.up_ms);
            self.with(slot, |log, desk| {
                if message.lost > 0 {
                    let lost = message.lost;
                    log.ledger.note(
                        desk,
                        &format!("lost {lost} messages here: the kernel's buffer was full"),
                        true,
                    );
                }
                log.ledger.message(desk, message.priority, message.text);
            });
        }
        self.look_at_the_clock();
        self.kernel = Some(kernel);
    }

    /// A unit whose pipe we do not know (it has none, or PID 1 has not shown it yet) keeps all the
    /// files it has until its limits are known.
    fn log_message(&mut self, name: &str, priority: u16, text: &[u8]) {
        let limits = if name == SYSLOG_NAME {
            Limits::default()
        } else {
            Limits { max_files: u32::MAX, ..Limits::default() }
        };
        let Some(slot) = self.insert(name, limits).or_else(|| self.find(SYSLOG_NAME)) else {
            complain!("{name}: {MAX_LOGS} logs are open already; its message is lost");
            return;
        };
        self.with(slot, |log, desk| log.ledger.message(desk, priority, text));
        self.look_for_errors(slot, || is_bad_priority(priority));
        self.route_message(slot, priority, text);
    }
}
