//! The daemon's life: get ready, write the PID file, serve signals, leave.

use std::io::{self, Write};
use std::time::Instant;

use ettan_fakes::syslog::{self, Level};
use ettan_fakes::{Signals, close_standard_streams, drop_privileges, start_self};
use nix::sys::signal::{SigSet, Signal, raise};

use crate::crowd::Crowd;
use crate::events::Events;
use crate::options::{self, Options, Role, Writer};
use crate::pid_file::{PidFile, Subject};
use crate::report;

/// What the daemon is about to do, and when.
enum Plan {
    Serve,
    Leave(Instant, Ending),
}

enum Ending {
    Stopped,
    Finished,
    Succeeded,
}

pub(crate) fn run(options: &Options, arguments: &[String]) -> io::Result<u8> {
    let events = Events::open(options)?;
    if options.foreground {
        report::write(options)?;
    } else if options.setsid {
        nix::unistd::setsid()?;
    }
    let mut signals = Signals::catch(&caught(options))?;
    events.started();
    print_lines(options);
    if options.close_fds {
        close_standard_streams();
    }
    speak(options);
    let (user, group) = (options.user.as_deref(), options.group.as_deref());
    if let Err(problem) = drop_privileges(user, group) {
        events.say(format_args!("exits 1: {problem}"));
        return Ok(1);
    }
    let crowd = Crowd::start(options, arguments, &events)?;
    let subject = Subject { daemon: std::process::id(), crowd };
    let mut pid_file = (options.pid_by == Writer::Daemon).then(|| PidFile::new(options, subject));
    serve(options, arguments, &events, &mut signals, &mut pid_file)
}

fn caught(options: &Options) -> Vec<Signal> {
    let mut caught = vec![Signal::SIGTERM, Signal::SIGINT];
    caught.extend(&options.ignored);
    if options.refork_on_usr2 {
        caught.push(Signal::SIGUSR2);
    }
    caught
}

fn print_lines(options: &Options) {
    for line in &options.prints {
        let _ = writeln!(io::stdout(), "{line}");
    }
    for line in &options.prints_err {
        let _ = writeln!(io::stderr(), "{line}");
    }
    for number in 1..=options.lines {
        let _ = writeln!(io::stdout(), "line {number}");
    }
}

fn speak(options: &Options) {
    for text in &options.syslog {
        syslog::send(&options.name, Level::Notice, text);
    }
    for number in 1..=options.syslog_lines {
        syslog::send(&options.name, Level::Info, &format!("message {number}"));
    }
}

fn serve(
    options: &Options,
    arguments: &[String],
    events: &Events,
    signals: &mut Signals,
    pid_file: &mut Option<PidFile>,
) -> io::Result<u8> {
    let mut plan = match options.exit_after {
        Some(after) => Plan::Leave(Instant::now() + after, Ending::Finished),
        None => Plan::Serve,
    };
    loop {
        let written = match pid_file {
            Some(file) => file.advance(events)?,
            None => None,
        };
        while let Some(signal) = signals.take()? {
            events.say(format_args!("got {signal}"));
            plan = on_signal(options, arguments, signal, plan)?;
        }
        let mut until = written;
        if let Plan::Leave(at, ending) = &plan {
            if Instant::now() >= *at {
                return leave(options, events, ending, pid_file.as_ref());
            }
            until = Some(until.map_or(*at, |written| written.min(*at)));
        }
        signals.wait(&[], until)?;
    }
}

fn on_signal(
    options: &Options,
    arguments: &[String],
    signal: Signal,
    plan: Plan,
) -> io::Result<Plan> {
    if options.ignored.contains(&signal) {
        return Ok(plan);
    }
    if signal == Signal::SIGUSR2 {
        let mut flags = options::with_role(arguments, Role::Daemon);
        // The successor announces itself, whoever wrote the file the first time.
        flags.extend(["--pid-by".to_owned(), "daemon".to_owned()]);
        start_self(&flags, options.wipe_environment)?;
        return Ok(Plan::Leave(Instant::now() + options.refork_linger, Ending::Succeeded));
    }
    Ok(Plan::Leave(Instant::now() + options.stop_after, Ending::Stopped))
}

fn leave(
    options: &Options,
    events: &Events,
    ending: &Ending,
    pid_file: Option<&PidFile>,
) -> io::Result<u8> {
    match (ending, options.die_by) {
        (Ending::Finished, Some(signal)) => {
            events.say(format_args!("dies by {signal}"));
            let mut this = SigSet::empty();
            this.add(signal);
            this.thread_unblock()?;
            raise(signal)?;
            Err(io::Error::other(format!("survived {signal}")))
        }
        (Ending::Finished, None) => {
            events.say(format_args!("exits {}", options.exit_code));
            Ok(options.exit_code)
        }
        (Ending::Stopped, _) => {
            if let Some(file) = pid_file {
                file.remove();
            }
            events.say(format_args!("exits 0"));
            Ok(0)
        }
        (Ending::Succeeded, _) => {
            events.say(format_args!("exits 0: replaced"));
            Ok(0)
        }
    }
}
