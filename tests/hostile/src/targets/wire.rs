//! Packets of the control socket, both ways.

use ettan_wire::{MAX_PACKET, Request};
use ettan_wire::{decode_reply, decode_request, encode_reply, encode_request};

pub(super) const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"\"",
    b"\\",
    b":",
    b",",
    b"[",
    b"]",
    b"\"verb\":",
    b"\"reply\":",
    b"\"unit\":",
    b"\"start\"",
    b"\"status\"",
    b"\"kill\"",
    b"\"signal\":",
    b"9",
    b"-",
    b"1e9",
    b"null",
    b"true",
    b"\\u",
    b"\\ud83d",
    b"\\ude00",
    b"\\u0000",
    b" ",
    b"\n",
    b"\0",
    "\u{e5}".as_bytes(),
    b"99999999999999999999",
    b"\"wait\":",
    b"\"holds\":",
    b"{\"verb\":\"list\"}",
];

/// What is understood is written again as a packet that means the same.
pub(super) fn request(bytes: &[u8]) -> bool {
    let Ok(request) = decode_request(&mut bytes.to_vec()) else { return false };
    let mut packet = [0; MAX_PACKET];
    let length = encode_request(&request, &mut packet).expect("a request fits a packet");
    assert_eq!(decode_request(&mut packet[..length]).as_ref(), Ok(&request));
    let changes = matches!(
        request,
        Request::Start(_)
            | Request::Stop(_)
            | Request::Restart(_)
            | Request::Reload(_)
            | Request::Kill(_)
    );
    assert!(!(changes && request.only_looks()));
    true
}

/// As `request`.
pub(super) fn reply(bytes: &[u8]) -> bool {
    let Ok(reply) = decode_reply(&mut bytes.to_vec()) else { return false };
    let mut packet = [0; MAX_PACKET];
    let length = encode_reply(&reply, &mut packet).expect("a reply fits a packet");
    let text = &packet[..length];
    assert!(text.iter().all(|byte| *byte >= b' '), "a raw control character goes out");
    let again = decode_reply(&mut text.to_vec()).expect("our own reply is understood");
    // One of nothing but escapes goes without part of its text.
    let whole = encode_reply(&again, &mut packet).is_ok_and(|again| again == length);
    assert!(again == reply || whole, "{reply:?} came back as {again:?}");
    true
}
