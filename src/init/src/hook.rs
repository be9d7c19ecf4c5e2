//! What the commands around a program find in their environment beside what the program does, and
//! what they are called.

use crate::control::describe::Exit;
use core::ffi::CStr;
use core::fmt::{self, Display, Formatter, Write};
use ettan_core::{ExitStatus, HookEnd, Pid, Program, Reason, Stage, View};
use ettan_wire::signal_name;
use heapless::String;

/// Room for all variables with their ends; the longest take 120 bytes.
const ROOM: usize = 160;

/// The variables of one command, each ending in a NUL.
pub(crate) struct Variables(String<ROOM>);

impl Variables {
    /// None for the program itself.
    pub(crate) fn of(what: Program, view: &View<'_>) -> Self {
        let mut own = Self(String::new());
        match what {
            Program::Main => {}
            Program::Hook(stage, _) => own.fill(stage, view),
        }
        own
    }

    fn fill(&mut self, stage: Stage, view: &View<'_>) {
        let text = &mut self.0;
        // All of it fits.
        let _ = write!(text, "RESTART_COUNT={}\0", view.restarts);
        if let Some(main) = view.state.pid() {
            let _ = write!(text, "MAINPID={}\0", Pid::raw(main));
        }
        match stage {
            Stage::Pre | Stage::Post | Stage::Reload => {}
            Stage::Stop | Stage::StopPost => {
                let _ = write!(text, "SERVICE_RESULT={}\0", result(view));
                self.fill_exit(view);
            }
        }
    }

    fn fill_exit(&mut self, view: &View<'_>) {
        let Some(exit) = view.last_exit.filter(|_| view.ended) else { return };
        let text = &mut self.0;
        let _ = match exit {
            ExitStatus::Code(code) => write!(text, "EXIT_CODE=exited\0EXIT_STATUS={code}\0"),
            ExitStatus::Signal { signal, core } => {
                let code = if core { "dumped" } else { "killed" };
                let _ = write!(text, "EXIT_CODE={code}\0EXIT_STATUS=");
                match signal_name(signal) {
                    Some(name) => write!(text, "{name}\0"),
                    None => write!(text, "{signal}\0"),
                }
            }
        };
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &CStr> {
        let pieces = self.0.as_bytes().split_inclusive(|byte| *byte == 0);
        pieces.filter_map(|piece| CStr::from_bytes_with_nul(piece).ok())
    }
}

/// In the words of systemd.exec(5).
fn result(view: &View<'_>) -> &'static str {
    match view.reason {
        Reason::Exited(status)
        | Reason::MainLost(Some(status))
        | Reason::Hook(_, _, HookEnd::Exited(status)) => match status {
            ExitStatus::Code(0) => "success",
            ExitStatus::Code(_) => "exit-code",
            ExitStatus::Signal { core: true, .. } => "core-dump",
            ExitStatus::Signal { core: false, .. } => "signal",
        },
        Reason::StartTimeout
        | Reason::Unforked
        | Reason::Unfound
        | Reason::Hook(_, _, HookEnd::TimedOut) => "timeout",
        Reason::Spawn(_) | Reason::Hook(_, _, HookEnd::Spawn(_)) => "exit-code",
        Reason::MainLost(None) => "protocol",
        Reason::Unhealthy | Reason::Watchdog => "watchdog",
        Reason::None
        | Reason::Asked
        | Reason::Needed
        | Reason::Requirement
        | Reason::Reloaded
        | Reason::Conflict
        | Reason::Bound
        | Reason::PartOf
        | Reason::OnFailure
        | Reason::Skipped
        | Reason::Timer
        | Reason::Shutdown => "success",
    }
}

/// `exec-start-pre`, and which one of several: `exec-start-pre (2)`.
pub(crate) struct Called(pub(crate) Stage, pub(crate) u8);

impl Display for Called {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(stage, nth) = *self;
        f.write_str(match stage {
            Stage::Pre => "exec-start-pre",
            Stage::Post => "exec-start-post",
            Stage::Stop => "exec-stop",
            Stage::StopPost => "exec-stop-post",
            Stage::Reload => "exec-reload",
        })?;
        if nth == 0 { Ok(()) } else { write!(f, " ({})", nth.saturating_add(1)) }
    }
}

/// `exec-start-pre: exited with status 1`.
pub(crate) struct Ended<'a> {
    pub(crate) stage: Stage,
    pub(crate) nth: u8,
    pub(crate) end: HookEnd,
    /// The path of the command; empty when it is not known.
    pub(crate) program: &'a str,
}

impl Display for Ended<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { stage, nth, end, program } = *self;
        let called = Called(stage, nth);
        match end {
            HookEnd::Exited(status) => write!(f, "{called} {}", Exit(status)),
            HookEnd::TimedOut => write!(f, "{called} took too long and was ended"),
            HookEnd::Spawn(fault) => {
                let why = crate::control::describe::Unspawned { fault, program, directory: "" };
                write!(f, "{called} could not be executed: {why}")
            }
        }
    }
}
