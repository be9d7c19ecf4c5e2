//! A stand-in for telldusd, the daemon of the Tellstick Duo, which Debian 12 does
//! not carry. It behaves as the real one does where a supervisor can see it:
//!
//! 1. The launcher starts one child, writes its PID to /var/run/telldusd.pid
//!    (open, truncate, a number and a newline, as root) and exits 0.
//! 2. The child calls setsid, closes 0, 1 and 2 without reopening them, sets umask
//!    0, and drops to the user and group named in /etc/tellstick.conf (nobody and
//!    plugdev when it names none). If one is missing it exits 1 — after its
//!    launcher reported success.
//! 3. It never removes its PID file.
//! 4. It logs through syslog(3) only. TERM and INT stop it cleanly; it has no
//!    handler for HUP, so HUP kills it.
//! 5. It binds /tmp/TelldusClient and /tmp/TelldusEvents last.
//! 6. `--nodaemon` stays in the foreground and logs to stdout.
//!
//! There is no radio behind it: the devices are those /etc/tellstick.conf names.
#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ettan_fakes::syslog::{self, Level};
use ettan_fakes::{Signals, close_standard_streams, drop_privileges, start_self};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};

const PID_FILE: &str = "/var/run/telldusd.pid";
const CONFIGURATION: &str = "/etc/tellstick.conf";
const CLIENT_SOCKET: &str = "/tmp/TelldusClient";
const EVENT_SOCKET: &str = "/tmp/TelldusEvents";

/// A client that stays silent or does not read is let go after this long.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a second copy of this program is told so that it is the daemon.
const CHILD: &str = "--child-of-launcher";

const HELP: &str = "\
telldusd (a stand-in for the real one, for tests: no radio is touched)
  --help       this text
  --nodaemon   stay in the foreground, log to standard output
  --version    version
Reads /etc/tellstick.conf (user, group, device names), writes
/var/run/telldusd.pid and never removes it, serves /tmp/TelldusClient and
/tmp/TelldusEvents, logs to syslog only. Missing user or group: the daemon exits
with 1 after the launcher has exited with 0.
";

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        None => launch(),
        Some(CHILD) => daemon(),
        Some("--nodaemon") => serve(&Log::Stdout),
        Some("--version") => say("telldusd 2.1.2 (stand-in)\n", ExitCode::SUCCESS),
        Some("--help") => say(HELP, ExitCode::SUCCESS),
        Some(_) => say(HELP, ExitCode::FAILURE),
    }
}

fn say(text: &str, code: ExitCode) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    code
}

fn launch() -> ExitCode {
    let child = match start_self(&[CHILD.to_owned()], false) {
        Ok(child) => child,
        Err(error) => {
            syslog::send("telldusd", Level::Err, &format!("fork: {error}"));
            return ExitCode::FAILURE;
        }
    };
    if let Err(error) = fs::write(PID_FILE, format!("{}\n", child.id())) {
        // The real one goes on as well: it has no way back.
        syslog::send("telldusd", Level::Err, &format!("{PID_FILE}: {error}"));
    }
    ExitCode::SUCCESS
}

fn daemon() -> ExitCode {
    let configuration = Configuration::read();
    let _ = nix::unistd::setsid();
    close_standard_streams();
    umask(Mode::empty());
    let (user, group) = (&configuration.user, &configuration.group);
    if let Err(problem) = drop_privileges(Some(user), Some(group)) {
        syslog::send("telldusd", Level::Err, &problem);
        return ExitCode::FAILURE;
    }
    serve(&Log::Syslog)
}

fn serve(log: &Log) -> ExitCode {
    match Server::open(Configuration::read()).and_then(|mut server| server.run(log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.send(Level::Err, &format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

enum Log {
    Syslog,
    Stdout,
}

impl Log {
    fn send(&self, level: Level, message: &str) {
        match self {
            Log::Syslog => syslog::send("telldusd", level, message),
            Log::Stdout => drop(writeln!(io::stdout(), "{message}")),
        }
    }
}

struct Server {
    signals: Signals,
    clients: UnixListener,
    events: UnixListener,
    listeners: Vec<UnixStream>,
    devices: Vec<String>,
}

impl Server {
    fn open(configuration: Configuration) -> io::Result<Server> {
        Ok(Server {
            signals: Signals::catch(&[Signal::SIGTERM, Signal::SIGINT])?,
            clients: bind(CLIENT_SOCKET)?,
            events: bind(EVENT_SOCKET)?,
            listeners: Vec::new(),
            devices: configuration.devices,
        })
    }

    fn run(&mut self, log: &Log) -> io::Result<()> {
        log.send(Level::Notice, "telldusd daemon starting up");
        loop {
            if let Some(signal) = self.signals.take()? {
                log.send(Level::Notice, &format!("received {signal}, shutting down"));
                return Ok(());
            }
            if let Ok((client, _)) = self.clients.accept() {
                // A broken client is its own problem.
                let _ = self.answer(client);
            }
            if let Ok((listener, _)) = self.events.accept() {
                log.send(Level::Info, "an event listener came");
                self.listeners.push(listener);
            }
            self.signals.wait(&[&self.clients, &self.events], None)?;
        }
    }

    /// One question, one answer, as the real protocol has it: a string is
    /// `LENGTH:TEXT`, a number `iNUMBERs`, and the answer ends with a newline.
    fn answer(&self, mut client: UnixStream) -> io::Result<()> {
        client.set_nonblocking(false)?;
        client.set_write_timeout(Some(PATIENCE))?;
        let question = read_question(&mut client)?;
        let answer = match question.split_once(':') {
            Some(("20", "tdGetNumberOfDevices")) => format!("i{}s", self.devices.len()),
            Some(("9", rest)) => match device_number(rest) {
                Some(number) => self.device_name(number),
                None => "i-4s".to_owned(),
            },
            // TELLSTICK_ERROR_METHOD_NOT_SUPPORTED
            _ => "i-4s".to_owned(),
        };
        client.write_all(format!("{answer}\n").as_bytes())
    }

    fn device_name(&self, number: usize) -> String {
        let name = number.checked_sub(1).and_then(|at| self.devices.get(at));
        let name = name.map_or("", String::as_str);
        format!("{}:{name}", name.len())
    }
}

fn device_number(rest: &str) -> Option<usize> {
    let number = rest.strip_prefix("tdGetNamei")?;
    number.strip_suffix('s')?.parse().ok()
}

fn read_question(client: &mut UnixStream) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    client.set_read_timeout(Some(PATIENCE))?;
    let mut question = Vec::new();
    let mut buffer = [0; 256];
    while !complete(&question) && question.len() < 4096 && Instant::now() < deadline {
        match client.read(&mut buffer)? {
            0 => break,
            length => question.extend(buffer.iter().take(length)),
        }
    }
    Ok(String::from_utf8_lossy(&question).trim_end().to_owned())
}

fn complete(question: &[u8]) -> bool {
    let text = String::from_utf8_lossy(question);
    let text = text.trim_end();
    text.ends_with("tdGetNumberOfDevices") || (text.contains(":tdGetNamei") && text.ends_with('s'))
}

fn bind(path: &str) -> io::Result<UnixListener> {
    // What a predecessor left behind would be in the way.
    let _ = fs::remove_file(path);
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

struct Configuration {
    user: String,
    group: String,
    devices: Vec<String>,
}

impl Configuration {
    fn read() -> Configuration {
        Configuration::parse(&fs::read_to_string(CONFIGURATION).unwrap_or_default())
    }

    /// Lines of `key = "value"`, some of them inside `device { … }`.
    fn parse(text: &str) -> Configuration {
        let mut found = Configuration {
            user: "nobody".to_owned(),
            group: "plugdev".to_owned(),
            devices: Vec::new(),
        };
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let value = value.trim().trim_matches('"').to_owned();
            match key.trim() {
                "user" => found.user = value,
                "group" => found.group = value,
                "name" => found.devices.push(value),
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{Configuration, device_number};

    #[test]
    fn configuration_names_user_group_and_devices() {
        let text = "user = \"telldus\"\ndevice {\n  id = 1\n  name = \"Lamp\"\n}\n";
        let found = Configuration::parse(text);
        assert_eq!(found.user, "telldus");
        assert_eq!(found.group, "plugdev");
        assert_eq!(found.devices, ["Lamp"]);
    }

    #[test]
    fn a_device_is_asked_for_by_number() {
        assert_eq!(device_number("tdGetNamei3s"), Some(3));
        assert_eq!(device_number("tdGetName3"), None);
    }
}
