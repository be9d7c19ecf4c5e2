//! QEMU as a child process: lines out, lines in. Knows nothing of units.

use crate::Limit;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// So long a silent board is let alone.
const NUDGE: Duration = Duration::from_secs(3);

/// The serial console of a board that is switched on.
#[derive(Debug)]
pub(crate) struct Console {
    qemu: Child,
    keys: ChildStdin,
    said: Receiver<Vec<u8>>,
    /// What has no line end yet.
    pending: String,
    /// Everything so far.
    all: String,
    on: bool,
    number: u32,
}

impl Console {
    /// Switches on.
    pub(crate) fn start(mut command: Command) -> Self {
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut qemu = spawned.expect("qemu/boot.sh starts");
        let keys = qemu.stdin.take().expect("a pipe");
        let mut screen = qemu.stdout.take().expect("a pipe");
        let (teller, said) = channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut chunk) {
                let text = chunk.get(..length).unwrap_or_default().to_vec();
                if teller.send(text).is_err() {
                    return;
                }
            }
        });
        Self { qemu, keys, said, pending: String::new(), all: String::new(), on: true, number: 0 }
    }

    /// The lines that are complete by the end of the limit, or as soon as there are some.
    pub(crate) fn lines(&mut self, limit: Limit) -> Vec<String> {
        loop {
            match self.said.recv_timeout(limit.left().min(NUDGE)) {
                Ok(chunk) => {
                    self.take_in(&chunk);
                    break;
                }
                Err(RecvTimeoutError::Timeout) if limit.left().is_zero() => break,
                Err(RecvTimeoutError::Timeout) => self.nudge(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.on = false;
                    return std::mem::take(&mut self.pending).lines().map(clean).collect();
                }
            }
        }
        let Some(end) = self.pending.rfind('\n') else { return Vec::new() };
        let rest = self.pending.split_off(end + 1);
        let whole = std::mem::replace(&mut self.pending, rest);
        whole.lines().map(clean).collect()
    }

    /// An empty line, which the board's shell passes over. On a slow host the emulated timer of a
    /// Pi Zero can miss its own next alarm, and an idle board then sleeps until something comes.
    fn nudge(&mut self) {
        if self.number > 0 {
            self.type_line("");
        }
    }

    fn take_in(&mut self, chunk: &[u8]) {
        let text = String::from_utf8_lossy(chunk);
        self.pending.push_str(&text);
        self.all.push_str(&text);
    }

    /// Whether a shell waits for a command.
    pub(crate) fn has_prompt(&self) -> bool {
        let pending = self.pending.trim_end_matches("\u{1b}[6n");
        pending.ends_with("# ")
    }

    /// Answers the question that the console ends with, as one of these and what to say; whether there is one.
    pub(crate) fn answer(&mut self, questions: &[(&str, &str)]) -> bool {
        let asked = questions.iter().find(|(asked, _)| self.pending.ends_with(asked));
        if let Some((_, answer)) = asked {
            // Each is answered once.
            self.pending.push('\n');
            self.type_line(answer);
        }
        asked.is_some()
    }

    /// Types one line. What the board does not want to read any more is lost.
    pub(crate) fn type_line(&mut self, line: &str) {
        let _ =
            self.keys.write_all(format!("{line}\n").as_bytes()).and_then(|()| self.keys.flush());
    }

    /// False once QEMU has ended.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// The number of the next command.
    pub(crate) fn next_number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    /// Everything said so far.
    pub(crate) fn all(&self) -> String {
        self.all.clone()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// A line without its carriage returns and what it says to a terminal.
fn clean(line: &str) -> String {
    let mut text = String::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            let _ = letters.find(|letter| letter.is_ascii_alphabetic());
        } else if letter != '\r' {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn escapes_and_carriage_returns_go() {
        assert_eq!(clean("\u{1b}[6n# \u{1b}[31mred\r"), "# red");
    }
}
