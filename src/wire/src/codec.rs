//! Packet in, message out, and back. Hostile bytes give a `Fault`, never a panic and never
//! recursion: requests are flat, and anything deeper is refused before it is parsed.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{MAX_PACKET, Reply, Request, Text, reply, request};

/// Why a packet is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More than [`MAX_PACKET`] bytes.
    TooBig,
    /// No JSON object, a field missing, of the wrong type or too long.
    Malformed,
    /// Objects inside objects, or arrays, where none belong.
    Nested,
    /// A verb or a kind of reply we do not know.
    Unknown,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooBig => "more than 4096 bytes",
            Self::Malformed => "not one JSON object with the verb's fields",
            Self::Nested => "arrays and objects inside the object are not part of the protocol",
            Self::Unknown => "unknown verb",
        })
    }
}

/// Reads one packet of a client. `packet` is changed while reading (escapes are resolved in it).
pub fn decode_request(packet: &mut [u8]) -> Result<Request, Fault> {
    let (json, mut scratch) = prepare(packet)?;
    let Verb { verb } = parse(json, &mut scratch)?;
    let scratch = &mut scratch;
    Ok(match verb.as_str() {
        "hello" => Request::Hello(parse(json, scratch)?),
        "list" => Request::List,
        "status" => Request::Status(parse(json, scratch)?),
        "is-active" => Request::IsActive(parse(json, scratch)?),
        "start" => Request::Start(parse(json, scratch)?),
        "once" => Request::Once(parse(json, scratch)?),
        "stop" => Request::Stop(parse(json, scratch)?),
        "restart" => Request::Restart(parse(json, scratch)?),
        "reload" => Request::Reload(parse(json, scratch)?),
        "reset" => Request::Reset(parse(json, scratch)?),
        "kill" => Request::Kill(parse(json, scratch)?),
        "events" => Request::Events(parse(json, scratch)?),
        "reload-units" => Request::ReloadUnits(parse(json, scratch)?),
        "needs" => Request::Needs,
        "conditions" => Request::Conditions(parse(json, scratch)?),
        "condition" => Request::Condition(parse::<request::Condition>(json, scratch)?),
        "ran" => Request::Ran(parse(json, scratch)?),
        "power" => Request::Power(parse::<request::Power>(json, scratch)?),
        "reexec" => Request::Reexec,
        "flush" => Request::Flush,
        "fail" => Request::Fail(parse::<request::Fail>(json, scratch)?),
        "stats" => Request::Stats,
        _ => return Err(Fault::Unknown),
    })
}

/// Reads one packet of PID 1. `packet` is changed while reading.
pub fn decode_reply(packet: &mut [u8]) -> Result<Reply, Fault> {
    let (json, mut scratch) = prepare(packet)?;
    let Answer { reply } = parse(json, &mut scratch)?;
    let scratch = &mut scratch;
    Ok(match reply.as_str() {
        "welcome" => Reply::Welcome(parse(json, scratch)?),
        "unit" => Reply::Unit(parse::<reply::UnitStatus>(json, scratch)?),
        "diagnostic" => Reply::Diagnostic(parse(json, scratch)?),
        "need" => Reply::Need(parse::<reply::Need>(json, scratch)?),
        "condition" => Reply::Condition(parse(json, scratch)?),
        "end" => Reply::End(parse(json, scratch)?),
        "active" => Reply::Active(parse(json, scratch)?),
        "accepted" => Reply::Accepted,
        "done" => Reply::Done(parse(json, scratch)?),
        "failed" => Reply::Failed(parse(json, scratch)?),
        "event" => Reply::Event(parse(json, scratch)?),
        "lost" => Reply::Lost(parse(json, scratch)?),
        "stats" => Reply::Stats(parse::<reply::Stats>(json, scratch)?),
        "error" => Reply::Error(parse(json, scratch)?),
        _ => return Err(Fault::Unknown),
    })
}

/// Writes a request into `packet`; gives its length.
pub fn encode_request(request: &Request, packet: &mut [u8]) -> Result<usize, Fault> {
    encode(request, packet)
}

/// Writes a reply into `packet`; gives its length. A unit whose texts are all escapes may not fit:
/// then it goes without its description and what is said of its file.
pub fn encode_reply(reply: &Reply, packet: &mut [u8]) -> Result<usize, Fault> {
    match (encode(reply, packet), reply) {
        (Err(Fault::TooBig), Reply::Unit(unit)) => {
            let unit = reply::UnitStatus { description: Text::new(), file: None, ..unit.clone() };
            encode(&Reply::Unit(unit), packet)
        }
        (Err(Fault::TooBig), Reply::Diagnostic(diagnostic)) => {
            let text = Text::<512>::from(diagnostic.text.as_str());
            let text = Text::from(text.as_str());
            let unit = diagnostic.unit.clone();
            encode(&Reply::Diagnostic(reply::Diagnostic { unit, text }), packet)
        }
        (outcome, _) => outcome,
    }
}

fn encode<T: Serialize>(message: &T, packet: &mut [u8]) -> Result<usize, Fault> {
    let room = packet.len().min(MAX_PACKET);
    let packet = packet.get_mut(..room).ok_or(Fault::TooBig)?;
    serde_json_core::to_slice(message, packet).map_err(|_| Fault::TooBig)
}

/// The longest string value of any message is 1,024 bytes, so longer ones need no room to unescape.
const SCRATCH: usize = 1024;

#[derive(Deserialize)]
struct Verb {
    verb: Text<24>,
}

#[derive(Deserialize)]
struct Answer {
    reply: Text<24>,
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8], scratch: &mut [u8]) -> Result<T, Fault> {
    match serde_json_core::from_slice_escaped(json, scratch) {
        Ok((value, _)) => Ok(value),
        Err(_) => Err(Fault::Malformed),
    }
}

fn prepare(packet: &mut [u8]) -> Result<(&[u8], [u8; SCRATCH]), Fault> {
    if packet.len() > MAX_PACKET {
        return Err(Fault::TooBig);
    }
    let length = join_surrogates(packet);
    let json = packet.get(..length).ok_or(Fault::Malformed)?;
    is_flat(json)?;
    Ok((json, [0; SCRATCH]))
}

/// Refuses arrays and objects inside the object: the parser would recurse once for each.
fn is_flat(json: &[u8]) -> Result<(), Fault> {
    let (mut in_string, mut escaped, mut depth) = (false, false, 0_u32);
    for byte in json {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'[') => return Err(Fault::Nested),
            (false, b'{') => depth = depth.saturating_add(1),
            _ => {}
        }
        if depth > 1 {
            return Err(Fault::Nested);
        }
    }
    Ok(())
}

/// JSON writes characters above U+FFFF as two escapes (`\ud83d\ude00`), which many encoders do
/// and our parser cannot read. Replaces each pair by the character itself, in place; gives the new length.
fn join_surrogates(packet: &mut [u8]) -> usize {
    let (mut from, mut to) = (0_usize, 0_usize);
    while let Some(&byte) = packet.get(from) {
        let mut utf8 = [0; 4];
        let (taken, bytes): (usize, &[u8]) = match (byte, packet.get(from.saturating_add(1))) {
            (b'\\', Some(b'u')) => match pair_at(packet, from) {
                Some(character) => (12, character.encode_utf8(&mut utf8).as_bytes()),
                None => (2, b"\\u"),
            },
            (b'\\', Some(&other)) => {
                utf8 = [b'\\', other, 0, 0];
                (2, utf8.get(..2).unwrap_or_default())
            }
            (_, _) => {
                utf8 = [byte, 0, 0, 0];
                (1, utf8.get(..1).unwrap_or_default())
            }
        };
        from = from.saturating_add(taken);
        for byte in bytes {
            if let Some(place) = packet.get_mut(to) {
                *place = *byte;
            }
            to = to.saturating_add(1);
        }
    }
    to
}

fn pair_at(packet: &[u8], at: usize) -> Option<char> {
    let escape = |at: usize| -> Option<u16> {
        let text = packet.get(at..at.checked_add(6)?)?;
        let digits = text.strip_prefix(b"\\u")?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u16::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
    };
    let units = [escape(at)?, escape(at.checked_add(6)?)?];
    let character = char::decode_utf16(units).next()?.ok()?;
    (character > '\u{ffff}').then_some(character)
}
