//! Units that own a terminal.

use ettan_tests::units::{QUICK, shell};
use ettan_tests::{Machine, Namespace, Operate};

/// Holds the other end of a terminal, as a line and a person do, and names it /dev/ttyX.
const HOLDER: &str = "exec perl -e 'use Fcntl; sysopen M, q(/dev/ptmx), O_RDWR | O_NOCTTY or die; \
    my $off = pack q(i), 0; ioctl M, 0x40045431, $off; my $n = pack q(i), 0; ioctl M, 0x80045430, $n; \
    unlink q(/dev/ttyX); symlink q(/dev/pts/) . unpack(q(i), $n), q(/dev/ttyX); sleep 100000 while 1'";

#[test]
fn f1_21_terminal_hangs_up() {
    let mut machine = Namespace::usual();
    machine.unit("line", &format!("{}{QUICK}", shell(HOLDER)));
    let keys =
        "tty-path = \"/dev/ttyX\"\nrestart-sec = \"20ms\"\nrestart-max-delay-sec = \"100ms\"\n";
    machine.unit("getty", &format!("{}{keys}", shell("tty >/tmp/tty; exec sleep 100000")));
    machine.boot();
    machine.expect(&["getty up"]);
    machine
        .until("it has a terminal", |machine| machine.sh("cat /tmp/tty").out.starts_with("/dev/"));
    for _ in 0..3 {
        let (line, getty) = (machine.main_pid("line"), machine.main_pid("getty"));
        machine.kill9(line);
        machine.until("it ended and is back", |machine| {
            let now = machine.status("getty")["main_pid"].as_i64();
            now.is_some_and(|pid| pid != i64::from(getty))
                && machine.status("getty")["state"] == "up"
        });
    }
    let session = machine.main_pid("getty");
    assert!(
        machine
            .processes()
            .iter()
            .any(|process| process.pid == session && process.session == session)
    );
}
