//! Lets the groups `ettan` and `ettan-operator` in. Runs in the loader, because PID 1 looks up no
//! names: there the groups' numbers are read from /etc/group. The first is given to the socket's file,
//! the second to a file beside it, and PID 1 goes by those.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown};

use ettan_sys::words;
use ettan_wire::{OPERATORS, SOCKET};

/// May look.
const VIEWERS: &str = "ettan";

/// May also say of each unit what it shall be.
const OPERATE: &str = "ettan-operator";

const GROUPS: &str = "/etc/group";

/// More of /etc/group is not read.
const GROUPS_MAX: u64 = 1 << 20;

/// Gives the control socket to the group that may look, and the file beside it to the one that may
/// operate, where there are such groups. Without them, root alone connects.
pub(crate) fn admit() {
    let mut text = String::new();
    let read =
        fs::File::open(GROUPS).and_then(|file| file.take(GROUPS_MAX).read_to_string(&mut text));
    if read.is_err() {
        return;
    }
    for (group, done) in [
        (VIEWERS, number_of(VIEWERS, &text).map_or(Ok(()), let_look)),
        (OPERATE, number_of(OPERATE, &text).map_or_else(none_operates, let_operate)),
    ] {
        if let Err(error) = done {
            words::say(&format!("group {group}"), format_args!("cannot use {SOCKET}: {error}"));
        }
    }
}

fn let_look(group: u32) -> io::Result<()> {
    chown(SOCKET, None, Some(group))?;
    fs::set_permissions(SOCKET, Permissions::from_mode(0o660))
}

fn let_operate(group: u32) -> io::Result<()> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o400).open(OPERATORS)?;
    chown(OPERATORS, None, Some(group))
}

fn none_operates() -> io::Result<()> {
    match fs::remove_file(OPERATORS) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The group's number: base 10, no sign, no leading zero, not root's.
fn number_of(group: &str, text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.split(':').next() == Some(group))?;
    let digits = line.split(':').nth(2)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::number_of;

    #[test]
    fn only_a_plain_number_counts() {
        let groups = "root:x:0:\nettan-operator:x:992:\nettan:x:991:web\n";
        assert_eq!(number_of("ettan", groups), Some(991));
        assert_eq!(number_of("ettan-operator", groups), Some(992));
        for text in
            ["", "ettan", "ettan:x:0:", "ettan:x:+1:", "ettan:x:0x1:", "ettan:x::", "my-ettan:x:5:"]
        {
            assert_eq!(number_of("ettan", text), None, "{text}");
        }
    }
}
