//! Lets the group `ettan` connect. Runs in the loader, because PID 1 looks up no names: there the
//! group's number is read from /etc/group and given to the socket's file, and PID 1 goes by that.

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, chown};

const GROUP: &str = "ettan";
const GROUPS: &str = "/etc/group";

/// More of /etc/group is not read.
const GROUPS_MAX: u64 = 1 << 20;

/// Gives the control socket to the group, if there is one. Without it, root alone connects.
pub(crate) fn admit() {
    let mut text = String::new();
    let read =
        fs::File::open(GROUPS).and_then(|file| file.take(GROUPS_MAX).read_to_string(&mut text));
    let Some(group) = read.ok().and_then(|_| number_of(&text)) else { return };
    let socket = ettan_wire::SOCKET;
    let done = chown(socket, None, Some(group))
        .and_then(|()| fs::set_permissions(socket, Permissions::from_mode(0o660)));
    if let Err(error) = done {
        eprintln!("group {GROUP} cannot use {socket}: {error}");
    }
}

/// The group's number: base 10, no sign, no leading zero, not root's.
fn number_of(text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.split(':').next() == Some(GROUP))?;
    let digits = line.split(':').nth(2)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::number_of;

    #[test]
    fn only_a_plain_number_counts() {
        assert_eq!(number_of("root:x:0:\nettan:x:991:web\n"), Some(991));
        for text in
            ["", "ettan", "ettan:x:0:", "ettan:x:+1:", "ettan:x:0x1:", "ettan:x::", "my-ettan:x:5:"]
        {
            assert_eq!(number_of(text), None, "{text}");
        }
    }
}
