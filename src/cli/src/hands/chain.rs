//! Becomes another program, found as a shell finds it, or says why not in daemontools' words.

use crate::code::Code;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::Error;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// One of these tools, by the name that its messages begin with.
pub(super) struct Tool(pub(super) &'static str);

impl Tool {
    /// Says why it does not come to the program.
    pub(super) fn fatal(&self, what: impl Display) -> Code {
        eprintln!("{}: fatal: {what}", self.0);
        Code::Fatal
    }

    /// Replaces this process by `program`, with what `prepare` does to its environment.
    pub(super) fn become_program(
        &self,
        program: &[OsString],
        prepare: impl FnOnce(&mut Command),
    ) -> Code {
        let Some((file, arguments)) = program.split_first() else { return Code::Hand };
        let mut command = Command::new(file);
        command.args(arguments);
        prepare(&mut command);
        let error = command.exec();
        self.fatal(format_args!("unable to run {}: {}", file.to_string_lossy(), words(&error)))
    }
}

/// The kernel's answer, in the words of the wire.
pub(super) fn words(error: &Error) -> String {
    let number = error.raw_os_error().unwrap_or(0);
    ettan_wire::error_text(number).map_or_else(|| error.to_string(), str::to_owned)
}
