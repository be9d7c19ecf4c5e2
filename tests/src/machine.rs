//! What a scenario may do to a machine, whatever the machine is made of.

use crate::{Limit, Process, Story};

/// A Linux whose process 1 is Ettan. Made switched off; `boot` starts it; dropping it ends it.
pub trait Machine {
    /// Writes a file, before or after boot. Makes the directories above it.
    fn write(&mut self, path: &str, content: &[u8]);

    /// Starts process 1. Returns as soon as it runs, long before the units are up.
    fn boot(&mut self);

    /// Runs a shell command inside and waits for its end.
    fn sh(&mut self, command: &str) -> Output;

    /// The processes inside, process 1 among them, zombies too.
    fn processes(&mut self) -> Vec<Process>;

    /// The next notice, or None when the limit is over or the machine has ended.
    fn next_notice(&mut self, limit: Limit) -> Option<String>;

    /// Everything told so far, and how far a test has read.
    fn story(&mut self) -> &mut Story;

    /// Waits for the machine's end and says what it was.
    fn end(&mut self) -> End;

    /// Lets a short moment pass or returns at once when the machine has ended; false then.
    /// For what the kernel gives no event for; always inside a loop that looks at `limit`.
    fn turn(&mut self) -> bool;

    /// The time that this machine's whole test may take.
    fn limit(&self) -> Limit;

    /// Everything known about the machine. Printed when a test fails.
    fn report(&mut self) -> String;
}

/// How a machine came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// reboot(2) with restart.
    Reboot,
    /// reboot(2) with power-off or halt: a PID namespace does not tell them apart.
    Off,
    /// Anything else: process 1 exited or was killed. On a real machine the kernel panics.
    Died(String),
}

/// What a command left.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit code; 128 plus the signal's number when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Output {
    /// Standard output of a command that must succeed, without the last newline.
    ///
    /// # Panics
    /// When the command failed.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.code == 0, "exit code {}: {}{}", self.code, self.out, self.err);
        self.out.trim_end_matches('\n').to_owned()
    }
}

/// What tests do with a machine, made of what a machine can do.
pub trait Operate: Machine {
    /// Writes `/etc/units/NAME.toml`.
    fn unit(&mut self, name: &str, text: &str) {
        self.write(&format!("/etc/units/{name}.toml"), text.as_bytes());
    }

    /// Waits for these notices in this order; others may come between them.
    ///
    /// # Panics
    /// When the machine's time is over before, or the machine has ended.
    #[track_caller]
    fn expect(&mut self, notices: &[&str]) {
        for wanted in notices {
            while !self.story().find(wanted) {
                let limit = self.limit();
                let told = self.next_notice(limit);
                assert!(told.is_some(), "waited for `{wanted}` of {notices:?} in vain");
            }
        }
    }

    /// How often a notice was told up to now.
    fn told(&mut self, notice: &str) -> usize {
        // What was sent before now is here within a moment.
        while self.next_notice(Limit::moment()).is_some() {}
        self.story().count(notice)
    }

    /// Waits until PID 1 answers questions.
    fn answers(&mut self) {
        self.until("PID 1 answers", |machine| machine.ettan("list").code == 0);
    }

    /// Waits until PID 1 has read its units after the boot: until then it knows of none.
    fn has_units(&mut self) {
        self.answers();
        self.until("the units are read", |machine| {
            !machine.status("ettan-load")["last_exit"].is_null()
        });
    }

    /// Waits until one process has exactly these words; gives its number. A shell's child has the
    /// words of the shell until it has executed a program of its own.
    fn one_is(&mut self, command: &str) -> i32 {
        let mut pid = 0;
        self.until(command, |machine| {
            let all = machine.running(command);
            pid = all.first().map_or(0, |process| process.pid);
            all.len() == 1 && all[0].command == command
        });
        pid
    }

    /// `ettan` with these arguments, run inside.
    fn ettan(&mut self, arguments: &str) -> Output {
        self.sh(&format!("ettan {arguments}"))
    }

    /// One unit's status as `ettan status --json` prints it.
    ///
    /// # Panics
    /// When that is no JSON object.
    #[track_caller]
    fn status(&mut self, unit: &str) -> serde_json::Value {
        let output = self.ettan(&format!("status --json {unit}"));
        let line = output.out.lines().next().unwrap_or_default();
        serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("status of {unit}: {error}: {output:?}"))
    }

    /// The unit's main process.
    ///
    /// # Panics
    /// When it has none.
    #[track_caller]
    fn main_pid(&mut self, unit: &str) -> i32 {
        let status = self.status(unit);
        let pid = status.get("main_pid").and_then(serde_json::Value::as_i64);
        pid.and_then(|pid| i32::try_from(pid).ok())
            .unwrap_or_else(|| panic!("{unit} has no main process: {status}"))
    }

    /// Whether the unit is up as another process than `before`. One look: between two it may end.
    #[track_caller]
    fn is_up_anew(&mut self, unit: &str, before: i32) -> bool {
        let status = self.status(unit);
        status["state"] == "up" && status["main_pid"] != before
    }

    /// Ends a process as nothing can prevent.
    ///
    /// # Panics
    /// When there is no such process.
    #[track_caller]
    fn kill9(&mut self, pid: i32) {
        let output = self.sh(&format!("kill -9 {pid}"));
        // Where its death ends the machine, the shell that killed it goes down too.
        assert!([0, 137].contains(&output.code), "no process {pid}: {output:?}");
    }

    /// Whether a process of that id is there and no zombie.
    fn alive(&mut self, pid: i32) -> bool {
        self.processes().iter().any(|process| process.pid == pid && !process.is_zombie())
    }

    /// The processes that have not ended and whose command line contains `text`.
    fn running(&mut self, text: &str) -> Vec<Process> {
        let mut all = self.processes();
        all.retain(|process| !process.is_zombie() && process.command.contains(text));
        all
    }

    /// Looks again and again until `holds` says so.
    ///
    /// # Panics
    /// When the machine's time is over before, or the machine has ended.
    #[track_caller]
    fn until(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        while !holds(self) {
            let going_on = !self.limit().over() && self.turn();
            assert!(going_on, "waited in vain until {what}");
        }
    }
}

impl<M: Machine + ?Sized> Operate for M {}
