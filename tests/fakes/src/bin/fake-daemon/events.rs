//! Says what this process does, one line per event, in one write each.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use crate::options::{Options, Role};

#[derive(Debug)]
pub(crate) struct Events {
    name: String,
    role: Role,
    file: Option<File>,
}

impl Events {
    pub(crate) fn open(options: &Options) -> io::Result<Events> {
        let append = |path| OpenOptions::new().append(true).create(true).open(path);
        Ok(Events {
            name: options.name.clone(),
            role: if options.foreground { Role::Daemon } else { options.role },
            file: options.events.as_ref().map(append).transpose()?,
        })
    }

    pub(crate) fn started(&self) {
        let (pid, ppid) = (std::process::id(), nix::unistd::getppid());
        self.say(format_args!("started pid {pid} ppid {ppid}"));
    }

    /// Nobody may be listening any more; that is no reason to fail.
    pub(crate) fn say(&self, what: fmt::Arguments<'_>) {
        let line = format!("{} {} {what}\n", self.name, self.role.name());
        let _ = match &self.file {
            Some(file) => (&*file).write_all(line.as_bytes()),
            None => io::stdout().write_all(line.as_bytes()),
        };
    }
}
