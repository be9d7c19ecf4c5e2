//! What the stage tells PID 1, in packets that the pipe keeps whole (shorter than PIPE_BUF). Bytes
//! and back without a heap: PID 1 reads them.

use ettan_sys::spawn::{SpawnFault, SpawnStep};
use ettan_sys::{Errno, OwnedFd, pipe};

/// The longest packet; a path that does not fit is cut.
pub const PACKET_MAX: usize = 512;

/// Tag, two numbers, length of what follows.
const HEAD: usize = 8;

/// One thing that PID 1 is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Everything is prepared; execve is next.
    Executes,
    /// It cannot be.
    Failed {
        /// The step and why.
        fault: SpawnFault,
        /// What was being made, opened or entered; empty where that is no path.
        path: &'a [u8],
    },
    /// This kernel has no such thing; the service starts without it.
    Without {
        /// What.
        what: Without,
        /// What the kernel said.
        errno: Errno,
    },
}

/// What a service may have to do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// private-tmp, protect-system, read-write-paths.
    Mounts,
    /// private-network.
    Network,
}

impl Packet<'_> {
    pub(crate) fn send(&self, to: &OwnedFd) {
        let mut bytes = [0; PACKET_MAX];
        let length = self.encode(&mut bytes);
        // Nobody listens: then nobody has to know.
        let _ = pipe::write(to, bytes.get(..length).unwrap_or_default());
    }

    fn encode(&self, into: &mut [u8; PACKET_MAX]) -> usize {
        let (tag, detail, errno, path) = match *self {
            Self::Executes => (b'E', 0, 0, &[][..]),
            Self::Failed { fault: SpawnFault { step, errno }, path } => {
                (b'F', step as u8, errno.raw_os_error(), path)
            }
            Self::Without { what: Without::Mounts, errno } => {
                (b'W', 0, errno.raw_os_error(), &[][..])
            }
            Self::Without { what: Without::Network, errno } => {
                (b'W', 1, errno.raw_os_error(), &[][..])
            }
        };
        let path = path.get(..path.len().min(PACKET_MAX - HEAD)).unwrap_or_default();
        let [a, b, c, d] = errno.to_le_bytes();
        let [low, high, ..] = path.len().to_le_bytes();
        let head = [tag, detail, a, b, c, d, low, high];
        for (to, from) in into.iter_mut().zip(head.iter().chain(path)) {
            *to = *from;
        }
        HEAD.saturating_add(path.len())
    }
}

/// The packets in `bytes`, up to the first that is not whole.
pub fn packets(bytes: &[u8]) -> impl Iterator<Item = Packet<'_>> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let ([tag, detail, a, b, c, d, low, high], after) = rest.split_first_chunk::<HEAD>()?;
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (path, after) = after.split_at_checked(length)?;
        rest = after;
        let errno = errno_of(i32::from_le_bytes([*a, *b, *c, *d]));
        Some(match (tag, detail) {
            (b'E', 0) => Packet::Executes,
            (b'F', step) => {
                let step = SpawnStep::from_number(*step)?;
                Packet::Failed { fault: SpawnFault { step, errno: errno? }, path }
            }
            (b'W', 0) => Packet::Without { what: Without::Mounts, errno: errno? },
            (b'W', 1) => Packet::Without { what: Without::Network, errno: errno? },
            _ => return None,
        })
    })
}

/// rustix panics on numbers that are no errno.
fn errno_of(raw: i32) -> Option<Errno> {
    (1..4096).contains(&raw).then(|| Errno::from_raw_os_error(raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let fault = SpawnFault { step: SpawnStep::Directory, errno: Errno::NOTDIR };
        let said = [
            Packet::Without { what: Without::Mounts, errno: Errno::PERM },
            Packet::Without { what: Without::Network, errno: Errno::NOSYS },
            Packet::Executes,
            Packet::Failed { fault, path: b"/run/web" },
        ];
        let mut bytes = Vec::new();
        for packet in &said {
            let mut room = [0; PACKET_MAX];
            let length = packet.encode(&mut room);
            bytes.extend_from_slice(&room[..length]);
        }
        assert_eq!(packets(&bytes).collect::<Vec<_>>(), said);
        for end in 0..bytes.len() {
            assert!(packets(&bytes[..end]).count() < said.len());
        }
    }

    #[test]
    fn a_long_path_is_cut_and_rubbish_is_no_packet() {
        let fault = SpawnFault { step: SpawnStep::Stream, errno: Errno::ACCESS };
        let mut room = [0; PACKET_MAX];
        let length = Packet::Failed { fault, path: &[b'x'; 5000] }.encode(&mut room);
        assert_eq!(length, PACKET_MAX);
        assert!(
            matches!(packets(&room).next(), Some(Packet::Failed { path, .. }) if path.len() == 504)
        );
        for rubbish in [&b"F\xff\x01\0\0\0\0\0"[..], b"F\x01\0\0\0\0\0\0", b"X\0\0\0\0\0\0\0", b"E"]
        {
            assert_eq!(packets(rubbish).next(), None, "{rubbish:?}");
        }
    }
}
