//! QEMU's monitor: it is told to plug hardware in and out, and to press keys.

use super::Qemu;
use crate::Limit;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

impl Qemu {
    /// Presses keys on that keyboard (`ctrl-alt-delete`).
    ///
    /// # Panics
    /// As [`Self::tell`].
    pub fn press(&mut self, keys: &str) {
        self.tell(&format!("sendkey {keys}"));
    }

    /// Tells QEMU to do something (`device_add …`), and waits until it has.
    ///
    /// # Panics
    /// When QEMU does not listen, or has something to say against it.
    #[track_caller]
    pub fn tell(&mut self, command: &str) {
        if self.monitor.is_none() {
            let monitor = UnixStream::connect(self.ear()).expect("QEMU's monitor");
            monitor.set_read_timeout(Some(Limit::seconds(30).left())).expect("a time limit");
            self.monitor = Some(monitor);
            let _ = self.answer();
        }
        writeln!(self.monitor.as_ref().expect("a monitor"), "{command}").expect("QEMU takes it");
        let answer = self.answer();
        assert!(!answer.contains("Error"), "{command}: {answer}");
    }

    /// What QEMU says up to its next prompt.
    fn answer(&mut self) -> String {
        let (mut text, mut chunk) = (Vec::new(), [0; 512]);
        while !text.ends_with(b"(qemu) ") {
            let count = self.monitor.as_ref().expect("a monitor").read(&mut chunk);
            let count = count.expect("QEMU answers");
            assert!(count > 0, "QEMU is gone: {}", text.escape_ascii());
            text.extend_from_slice(&chunk[..count]);
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Where QEMU listens.
    pub(super) fn ear(&self) -> PathBuf {
        PathBuf::from(format!("{}.monitor", self.overlay.display()))
    }
}
