//! Against real sockets.

use super::*;
use crate::poll::{Interest, wait_one};
use crate::testing::{Place, limit};

fn connected() -> (OwnedFd, OwnedFd, Place) {
    let place = Place::new();
    let path = place.c_at("control.sock");
    let listener = seqpacket_listen(&path, 0o600).unwrap();
    assert!(accept(&listener).unwrap().is_none());
    let client = seqpacket_connect(&path).unwrap();
    assert!(wait_one(&listener, Interest::Read, Some(5_000)).unwrap());
    let server = accept(&listener).unwrap().unwrap();
    (client, server, place)
}

#[test]
fn packets_stay_packets_and_nothing_blocks() {
    let _limit = limit(10.0);
    let (client, server, _place) = connected();
    let mut buffer = [0; 16];
    assert!(recv(&server, &mut buffer).unwrap().is_none());
    send(&client, b"one").unwrap();
    send(&client, b"two!").unwrap();
    for expected in [&b"one"[..], b"two!"] {
        let message = recv(&server, &mut buffer).unwrap().unwrap();
        assert_eq!(&buffer[..message.len], expected);
        assert!(!message.truncated);
    }
}

#[test]
fn f4_3_a_packet_that_is_too_long_says_so() {
    let _limit = limit(10.0);
    let (client, server, _place) = connected();
    let mut buffer = [0; 16];
    send(&client, &[7; 100]).unwrap();
    let message = recv(&server, &mut buffer).unwrap().unwrap();
    assert_eq!((message.len, message.truncated), (16, true));
    send(&client, &[7; 100]).unwrap();
    let message = recv_fd(&server, &mut buffer).unwrap().unwrap();
    assert_eq!((message.len, message.truncated), (16, true));
}

#[test]
fn f4_2_who_does_not_read_is_told_of_and_not_waited_for() {
    let _limit = limit(10.0);
    let (client, server, _place) = connected();
    let full = (0..100_000).find_map(|_| send(&server, &[0; 1024]).err());
    assert_eq!(full, Some(Errno::AGAIN));
    drop(client);
    let gone = send(&server, b"x").unwrap_err();
    assert!(matches!(gone, Errno::PIPE | Errno::CONNRESET), "{gone}");
    assert_eq!(send(&server, b"x"), Err(Errno::PIPE));
}

#[test]
fn the_end_of_the_other_side_is_an_empty_packet() {
    let _limit = limit(10.0);
    let (client, server, _place) = connected();
    drop(client);
    let message = recv(&server, &mut [0; 16]).unwrap().unwrap();
    assert_eq!(message.len, 0);
}

#[test]
fn f4_7_the_kernel_says_who_connected() {
    let _limit = limit(10.0);
    let (client, server, _place) = connected();
    let us = Peer { pid: crate::process::own_pid(), uid: 0, gid: 0 };
    assert_eq!(peer_credentials(&server), Ok(us));
    assert_eq!(peer_credentials(&client), Ok(us));
}

/// Whether the pipe's reading end sees that nobody can write any more.
fn ended(read: &OwnedFd) -> bool {
    crate::pipe::set_nonblocking(read, true).unwrap();
    crate::pipe::read(read, &mut [0; 1]) == Ok(0)
}

/// Waits for that: a process that another test starts may hold a copy until it executes.
fn ends(read: &OwnedFd) -> bool {
    crate::pipe::set_nonblocking(read, false).unwrap();
    crate::pipe::read(read, &mut [0; 1]) == Ok(0)
}

#[test]
fn a_descriptor_travels_and_is_a_copy() {
    let _limit = limit(10.0);
    let (ours, theirs) = seqpacket_pair().unwrap();
    let pipe = crate::pipe::pipe().unwrap();
    send_fd(&ours, b"open web", pipe.write.as_fd()).unwrap();
    drop(pipe.write);
    let mut buffer = [0; 64];
    let message = recv_fd(&theirs, &mut buffer).unwrap().unwrap();
    assert_eq!(&buffer[..message.len], b"open web");
    assert!(!ended(&pipe.read));
    let fd = message.fd.unwrap();
    let flags = rustix::io::fcntl_getfd(&fd).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    crate::pipe::write(&fd, b"hello").unwrap();
    drop(fd);
    assert_eq!(crate::pipe::read(&pipe.read, &mut buffer), Ok(5));
    assert!(ends(&pipe.read));
}

#[test]
fn f4_8_descriptors_nobody_asked_for_are_closed() {
    let _limit = limit(10.0);
    for many in [1, 3, 40] {
        for wanted in [false, true] {
            let (ours, theirs) = seqpacket_pair().unwrap();
            let pipe = crate::pipe::pipe().unwrap();
            send_many(&ours, &pipe.write, many);
            drop(pipe.write);
            let mut buffer = [0; 16];
            let message =
                if wanted { recv_fd(&theirs, &mut buffer) } else { recv(&theirs, &mut buffer) };
            let message = message.unwrap().unwrap();
            assert_eq!(message.fd.is_some(), wanted, "{many}");
            drop(message);
            assert!(ends(&pipe.read), "{many} {wanted}");
        }
    }
}

fn send_many(socket: &OwnedFd, fd: &OwnedFd, many: usize) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, sendmsg};
    let fds = vec![fd.as_fd(); many];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(40))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(socket, &[std::io::IoSlice::new(b"x")], &mut control, SENDING).unwrap();
}

#[test]
fn datagrams_come_with_their_sender() {
    let _limit = limit(10.0);
    let place = Place::new();
    let path = place.c_at("log");
    let log = datagram_listen(&path, 0o666).unwrap();
    let mut buffer = [0; 64];
    assert!(recv_fd(&log, &mut buffer).unwrap().is_none());
    let client = std::os::unix::net::UnixDatagram::unbound().unwrap();
    client.send_to(b"<13>hello", place.at("log")).unwrap();
    let message = recv_fd(&log, &mut buffer).unwrap().unwrap();
    assert_eq!(&buffer[..message.len], b"<13>hello");
    assert_eq!(message.peer.unwrap().pid, crate::process::own_pid());
    client.send_to(b"", place.at("log")).unwrap();
    assert_eq!(recv_fd(&log, &mut buffer).unwrap().unwrap().len, 0);
}

#[test]
fn a_socket_has_its_mode_and_replaces_what_was_there() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let path = place.file("control.sock", "stale");
    let first = seqpacket_listen(&path, 0o620).unwrap();
    let mode = std::fs::metadata(place.at("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o620);
    let second = seqpacket_listen(&path, 0o600).unwrap();
    drop(first);
    seqpacket_connect(&path).unwrap();
    assert!(accept(&second).unwrap().is_some());
    drop(second);
    assert_eq!(seqpacket_connect(&path).unwrap_err(), Errno::CONNREFUSED);
    assert_eq!(seqpacket_connect(c"/no/such/socket").unwrap_err(), Errno::NOENT);
}
