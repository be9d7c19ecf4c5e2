//! What the kernel says of others, and daemons of themselves: PID files, /proc, cgroups, the
//! command line, rtnetlink, uevents.

use ettan_sys::cgroup::{Numbers, says_populated};
use ettan_sys::host::{MAX_HOSTNAME, has_word, parse_hostname};
use ettan_sys::netlink::{Seen, read_part};
use ettan_sys::pidfile::{Look, MAX_BYTES, claim};
use ettan_sys::procfs::{Search, parse_cgroup, parse_stat};
use ettan_sys::uevent::{added, subsystem};

pub(super) const NUMBER_WORDS: &[&[u8]] = &[
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"-",
    b"+",
    b"0",
    b"1",
    b"2",
    b"0x10",
    b"32768",
    b"32769",
    b"4194304",
    b"4194305",
    b"2147483647",
    b"2147483648",
    b"4294967297",
    b"\0",
    b"populated 0\n",
    b"populated 1\n",
];

/// A number that is believed is greater than 1, in the kernel's range, plainly decimal, and all
/// there is on the first line.
pub(super) fn pid_file(bytes: &[u8]) -> bool {
    let text = &bytes[..bytes.len().min(MAX_BYTES)];
    for pid_max in [32_768, 4_194_304] {
        let seen = claim(text, None, pid_max);
        let pid = match seen {
            Look::Number(pid) | Look::Unended(pid) => pid,
            Look::Missing | Look::NotYet => continue,
            Look::Refused(why) => {
                // A reason never tells what is in the file: at most the limits have digits.
                let said = why.to_string();
                assert!(!said.bytes().any(|c| c.is_ascii_digit()) || said.contains("4096"));
                continue;
            }
        };
        assert!(pid > 1 && pid <= pid_max, "{pid}");
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
        let digits: Vec<u8> = line.iter().copied().filter(|byte| !blank(byte)).collect();
        assert_eq!(digits, pid.to_string().as_bytes(), "{}", text.escape_ascii());
        assert_eq!(claim(text, Some(pid), pid_max), Look::Number(pid));
        let ended = text.contains(&b'\n');
        assert_eq!(matches!(seen, Look::Number(_)), ended);
        assert_ne!(claim(text, Some(pid + 1), pid_max), Look::Number(pid + 1));
    }
    matches!(claim(text, None, 4_194_304), Look::Number(_) | Look::Unended(_))
}

pub(super) const STAT_WORDS: &[&[u8]] = &[
    b") ",
    b"(",
    b" R 1 1 1 0 -1 4194304 ",
    b" S ",
    b" Z ",
    b" 0",
    b" -1",
    b" 18446744073709551615",
    b" 18446744073709551616",
    b" 2147483648",
    b"\n",
];

/// The fields are those after the last parenthesis, whatever stands before it.
pub(super) fn stat(bytes: &[u8]) -> bool {
    let found = parse_stat(bytes);
    let close = bytes.iter().rposition(|byte| *byte == b')');
    if let Some(close) = close {
        let renamed = [b"1 (x) R 1 1 1", &bytes[close..]].concat();
        assert_eq!(parse_stat(&renamed), found, "the name shifts a field");
    }
    let Some(found) = found else { return false };
    let fields = bytes[close.expect("a parenthesis") + 1..].split(u8::is_ascii_whitespace);
    let fields: Vec<&str> = fields
        .filter(|field| !field.is_empty())
        .map(|field| std::str::from_utf8(field).unwrap_or("?"))
        .collect();
    let number = |at: usize| fields[at].parse::<i64>().expect("a number");
    assert_eq!(fields[0].as_bytes(), [found.state]);
    assert_eq!(
        [number(1), number(2), number(3)],
        [found.ppid, found.pgrp, found.session].map(i64::from)
    );
    assert_eq!(fields[19].parse(), Ok(found.start_time));
    true
}

pub(super) const CGROUP_WORDS: &[&[u8]] =
    &[b"0::", b"/", b"\n", b"4:pids:/", b"ettan", b" (deleted)", b"../", b"\0"];

/// A path is one whole line of the file.
pub(super) fn cgroup(bytes: &[u8]) -> bool {
    let Some(path) = parse_cgroup(bytes) else { return false };
    let line = [b"0::", path].concat();
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').expect("a line that has ended");
    let mut lines = bytes[..whole].split(|byte| *byte == b'\n');
    assert!(lines.any(|found| found == line), "{}", path.escape_ascii());
    true
}

const COOKIE: &[u8] = b"ETTAN_COOKIE=0123456789abcdef";

pub(super) const ENVIRON_WORDS: &[&[u8]] =
    &[COOKIE, b"\0", b"ETTAN_COOKIE=", b"0123456789abcdef", b"PATH=/bin\0", b"="];

/// An entry is found exactly if it is there whole, however the reading was cut up.
pub(super) fn environ(bytes: &[u8]) -> bool {
    let there = bytes.split(|byte| *byte == 0).any(|entry| entry == COOKIE);
    for chunk in [1, 7, 1024] {
        let mut search = Search::new(COOKIE).expect("an entry to look for");
        let found = bytes.chunks(chunk).any(|chunk| search.feed(chunk)) || search.end();
        assert_eq!(found, there, "in chunks of {chunk}");
    }
    // Any entry, taken out of the input itself.
    let other = bytes.split(|byte| *byte == 0).next_back().unwrap_or_default();
    if let Some(mut search) = Search::new(other) {
        assert!(search.feed(bytes) || search.end());
    }
    there
}

/// `cgroup.procs` and `cgroup.events`: only plain numbers that processes can have; only a plain
/// `populated 0` is empty.
pub(super) fn cgroup_files(bytes: &[u8]) -> bool {
    let mut numbers = Numbers::default();
    let found: Vec<i32> = bytes.iter().filter_map(|byte| numbers.feed(*byte)).collect();
    let end = bytes.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
    let plain: Vec<i32> = bytes[..end]
        .split(|byte| !byte.is_ascii_digit())
        .filter_map(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .filter(|pid| *pid > 0)
        .collect();
    assert_eq!(found, plain);
    let line = b"populated 0";
    let empty = bytes.split(|byte| *byte == b'\n').any(|found| found == line);
    assert_eq!(says_populated(bytes), !empty);
    !found.is_empty()
}

pub(super) const LINE_WORDS: &[&[u8]] = &[
    b" ",
    b"--",
    b"---",
    b"single",
    b"init=/sbin/init",
    b"ettan.rescue",
    b"ettan.debug",
    b"root=/dev/mmcblk0p2",
    b"\n",
    b"\xff",
    b"#",
    b"raspberrypi",
];

/// A word counts as a word, and before `--` only. A host's name is one that a kernel takes.
pub(super) fn command_line(bytes: &[u8]) -> bool {
    let until = |stop: &'static [u8]| {
        bytes.split(u8::is_ascii_whitespace).take_while(move |word| *word != stop)
    };
    for word in [&b"single"[..], b"ettan.rescue", b"\xff"] {
        assert_eq!(has_word(bytes, word), until(b"--").any(|found| found == word));
    }
    if let Some(name) = parse_hostname(bytes) {
        assert!(!name.is_empty() && name.len() <= MAX_HOSTNAME);
        assert!(name.iter().all(|b| b.is_ascii_alphanumeric() || b".-".contains(b)));
    }
    has_word(bytes, b"single")
}

pub(super) const NETLINK_WORDS: &[&[u8]] =
    &[b"\x10\0\0\0", b"\x04\0\x03\0", b"\x08\0\x01\0", b"lo\0\0", b"eth0\0", b"\x14\0\x09\0"];

/// The end comes, and what is told fits into what was read.
pub(super) fn rtnetlink(bytes: &[u8]) -> bool {
    // An answer is to the request whose number it has; take the first message's.
    let number =
        bytes.get(8..12).and_then(|word| word.try_into().ok()).map_or(0, u32::from_ne_bytes);
    let mut told = 0_usize;
    let mut tell = |seen: Option<Seen<'_>>| {
        told += 1;
        match seen.expect("something") {
            Seen::Link(link) => assert!(!link.name.contains(&0) && link.name.len() < bytes.len()),
            Seen::Address(_) | Seen::DefaultRoute(_) => {}
        }
    };
    let part = read_part(bytes, number, &mut tell);
    assert!(told <= bytes.len() / 4, "{told} things in {} bytes", bytes.len());
    if let Err(errno) = part {
        assert!((1..4096).contains(&errno.raw_os_error()), "{errno:?}");
    }
    part.is_ok() && told > 0
}

pub(super) const UEVENT_WORDS: &[&[u8]] = &[
    b"add@/devices/",
    b"remove@",
    b"@",
    b"\0",
    b"SUBSYSTEM=",
    b"SUBSYSTEM=usb\0",
    b"DEVTYPE=usb_device\0",
    b"PRODUCT=1781/c31/100\0",
    b"MODALIAS=usb:v1781p0C31d0100\0",
    b"libudev\0",
];

/// What is said is one whole word of the notice, and never the first.
pub(super) fn uevent(bytes: &[u8]) -> bool {
    let found = [(&b"\0SUBSYSTEM="[..], subsystem(bytes)), (b"\0MODALIAS=", added(bytes))];
    for (key, found) in found {
        let Some(found) = found else { continue };
        let word = [key, found, b"\0"].concat();
        assert!(bytes.windows(word.len()).any(|part| part == word), "{}", found.escape_ascii());
        assert!(!found.contains(&0));
    }
    found.iter().any(|(_, found)| found.is_some())
}
