//! `softlimit [-a N] … PROGRAM`: lowers soft limits, then runs it. `=` raises one to the hard limit.

use super::chain::Tool;
use crate::code::Code;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::ffi::OsString;

/// A limit for each letter; `-m` stands for `-d -s -l -a`.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Limits {
    /// Bytes of memory of all kinds
    #[arg(short, value_name = "BYTES", value_parser = value)]
    all: Option<Value>,
    /// Bytes of a core file
    #[arg(short, value_name = "BYTES", value_parser = value)]
    core: Option<Value>,
    /// Bytes of data segment
    #[arg(short, value_name = "BYTES", value_parser = value)]
    data: Option<Value>,
    /// Bytes of each file written
    #[arg(short, value_name = "BYTES", value_parser = value)]
    file: Option<Value>,
    /// Bytes of locked memory
    #[arg(short, value_name = "BYTES", value_parser = value)]
    locked: Option<Value>,
    /// As -d -s -l -a
    #[arg(short, value_name = "BYTES", value_parser = value)]
    memory: Option<Value>,
    /// Open files
    #[arg(short, value_name = "N", value_parser = value)]
    open: Option<Value>,
    /// Processes of the user
    #[arg(short, value_name = "N", value_parser = value)]
    processes: Option<Value>,
    /// Bytes of memory in RAM
    #[arg(short, value_name = "BYTES", value_parser = value)]
    resident: Option<Value>,
    /// Bytes of stack
    #[arg(short, value_name = "BYTES", value_parser = value)]
    stack: Option<Value>,
    /// Seconds of processor time
    #[arg(short, value_name = "SECONDS", value_parser = value)]
    time: Option<Value>,
}

/// A number, or the hard limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    Hard,
}

fn value(text: &str) -> Result<Value, String> {
    match text {
        // Of `-m=` the parser gives nothing.
        "=" | "" => Ok(Value::Hard),
        number => number.parse().map(Value::Number).map_err(|_| "neither a number nor =".into()),
    }
}

/// All of them, then the program.
pub(super) fn softlimit(limits: &Limits, program: &[OsString]) -> Code {
    let tool = Tool("softlimit");
    for (resource, value) in limits.each() {
        let lowered = getrlimit(resource).and_then(|(_, hard)| {
            let soft = match value {
                Value::Hard => hard,
                Value::Number(number) => number.min(hard),
            };
            setrlimit(resource, soft, hard)
        });
        if let Err(errno) = lowered {
            return tool.fatal(format_args!("setrlimit failed: {}", errno.desc()));
        }
    }
    tool.become_program(program, |_| {})
}

impl Limits {
    /// What was asked for; of two wishes for one thing the letter of its own counts.
    fn each(&self) -> impl Iterator<Item = (Resource, Value)> {
        [
            (Resource::RLIMIT_DATA, self.data.or(self.memory)),
            (Resource::RLIMIT_STACK, self.stack.or(self.memory)),
            (Resource::RLIMIT_MEMLOCK, self.locked.or(self.memory)),
            (Resource::RLIMIT_AS, self.all.or(self.memory)),
            (Resource::RLIMIT_CORE, self.core),
            (Resource::RLIMIT_FSIZE, self.file),
            (Resource::RLIMIT_NOFILE, self.open),
            (Resource::RLIMIT_NPROC, self.processes),
            (Resource::RLIMIT_RSS, self.resident),
            (Resource::RLIMIT_CPU, self.time),
        ]
        .into_iter()
        .filter_map(|(resource, value)| Some((resource, value?)))
    }
}
