//! One look at something: does the path exist, does somebody listen, does the page come, does the
//! command succeed? Begins it, and asks again whether it is over; never waits.

use std::ffi::{CString, OsStr};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ettan_sys::poll::{self, Interest};
use ettan_sys::reap::Status;
use ettan_sys::spawn::{self, Identity, Rights, SpawnPlan, Strings};
use ettan_sys::{process, signals, socket};

use crate::plan::{Target, User};

/// How a look ended; words say why it failed.
pub(crate) type Found = Result<(), String>;

/// A look that takes its time.
pub(crate) struct Call {
    running: Running,
    until_ms: u64,
}

enum Running {
    Tcp(OwnedFd),
    Http { connection: OwnedFd, page: String, host: SocketAddr },
    Answer { stream: TcpStream, got: Vec<u8> },
    Command { pid: i32, ended: Option<Status> },
}

/// Enough of an answer to see its status: `HTTP/1.1 200`.
const STATUS_LINE: usize = 12;

/// The look at this target: over at once, or under way.
pub(crate) fn begin(
    target: &Target,
    user: &User,
    now_ms: u64,
    within_ms: u64,
) -> Result<Option<Call>, String> {
    let words = |error: ettan_sys::Errno| error.to_string();
    let running = match target {
        Target::Path(path) => return exists(path).map(|()| None),
        Target::Unix(path) => {
            let path = c_string(path.as_os_str())?;
            return socket::knock(&path).map(|()| None).map_err(words);
        }
        Target::Tcp(address) => Running::Tcp(socket::begin_tcp(address).map_err(words)?),
        Target::Http(address, page) => {
            let connection = socket::begin_tcp(address).map_err(words)?;
            Running::Http { connection, page: page.clone(), host: *address }
        }
        Target::Command(argv) => Running::Command { pid: execute(argv, user)?, ended: None },
    };
    Ok(Some(Call { running, until_ms: now_ms.saturating_add(within_ms) }))
}

impl Call {
    /// How it ended, once it has.
    pub(crate) fn look(&mut self, now_ms: u64) -> Option<Found> {
        let found = self.running.look();
        if found.is_none() && now_ms >= self.until_ms {
            return Some(Err("no answer in time".into()));
        }
        found
    }

    /// A child of ours ended; perhaps this command.
    pub(crate) fn ended(&mut self, child: i32, status: Status) {
        if let Running::Command { pid, ended } = &mut self.running
            && *pid == child
        {
            *ended = Some(status);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Running::Command { pid, ended: None } = self.running {
            // Its session is its own, and it is reaped with the others.
            let _ = process::kill_group(pid, signals::KILL);
        }
    }
}

impl Running {
    fn look(&mut self) -> Option<Found> {
        match self {
            Self::Tcp(connection) => connected(connection),
            Self::Http { connection, page, host } => {
                if let Err(why) = connected(connection)? {
                    return Some(Err(why));
                }
                let request = format!(
                    "GET {page} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: ettan\r\nConnection: close\r\n\r\n"
                );
                let mut stream = match connection.try_clone() {
                    Ok(copy) => TcpStream::from(copy),
                    Err(error) => return Some(Err(error.to_string())),
                };
                if let Err(error) = stream.write_all(request.as_bytes()) {
                    return Some(Err(error.to_string()));
                }
                *self = Self::Answer { stream, got: Vec::new() };
                self.look()
            }
            Self::Answer { stream, got } => answer(stream, got),
            Self::Command { ended, .. } => match (*ended)? {
                Status::Code(0) => Some(Ok(())),
                Status::Code(code) => Some(Err(format!("exited with status {code}"))),
                Status::Signal { signal, .. } => Some(Err(format!("killed by signal {signal}"))),
            },
        }
    }
}

fn connected(connection: &OwnedFd) -> Option<Found> {
    match poll::wait_one(connection.as_fd(), Interest::Write, Some(0)) {
        Ok(false) => None,
        Ok(true) | Err(_) => Some(socket::outcome(connection).map_err(|error| error.to_string())),
    }
}

fn answer(stream: &mut TcpStream, got: &mut Vec<u8>) -> Option<Found> {
    let mut buffer = [0; 512];
    loop {
        let ended = match stream.read(&mut buffer) {
            Ok(count) => {
                got.extend_from_slice(&buffer[..count]);
                count == 0
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == ErrorKind::Interrupted => false,
            Err(error) => return Some(Err(error.to_string())),
        };
        if got.len() >= STATUS_LINE || ended {
            return Some(page(got));
        }
    }
}

/// 2xx and 3xx are well.
fn page(got: &[u8]) -> Found {
    let line = got.split(|byte| *byte == b'\r' || *byte == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let code = text.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
    match code {
        Some(200..=399) if text.starts_with("HTTP/") => Ok(()),
        Some(code) if text.starts_with("HTTP/") => Err(format!("HTTP status {code}")),
        Some(_) | None => Err("no HTTP answer".into()),
    }
}

fn exists(path: &Path) -> Found {
    std::fs::metadata(path).map(drop).map_err(|error| error.to_string())
}

fn c_string(text: &OsStr) -> Result<CString, String> {
    CString::new(text.as_bytes()).map_err(|error| error.to_string())
}

/// What a command finds in its environment.
const ENVIRONMENT: [&core::ffi::CStr; 1] =
    [c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"];

/// Starts a command as the unit's user. What it writes is in the log of Ettan's own.
fn execute(argv: &[String], user: &User) -> Result<i32, String> {
    let words = |error: ettan_sys::Errno| error.to_string();
    let argv: Result<Vec<CString>, String> =
        argv.iter().map(|word| c_string(OsStr::new(word))).collect();
    let argv = argv?;
    let program = argv.first().ok_or("no command")?;
    let null = std::fs::File::open("/dev/null").map_err(|error| error.to_string())?;
    let (out, err) = (std::io::stdout(), std::io::stderr());
    spawn::spawn(&SpawnPlan {
        program,
        argv: &Strings::of(argv.iter().map(CString::as_c_str)).map_err(words)?,
        envp: &Strings::of(ENVIRONMENT).map_err(words)?,
        identity: Some(Identity { uid: user.uid, gid: user.gid, groups: &user.groups }),
        working_directory: None,
        umask: 0o022,
        tty_path: None,
        tty_fds: [false; 3],
        fds: &[(null.as_fd(), 0), (out.as_fd(), 1), (err.as_fd(), 2)],
        cgroup: None,
        oom_score_adj: 0,
        rights: Rights { dies_with_parent: true, ..Rights::default() },
    })
    .map_err(|fault| format!("cannot be executed: {}", fault.errno))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    /// One at a time, for each takes the ends of all children.
    fn look(target: &Target) -> Found {
        static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut call = match begin(target, &User::default(), 0, 5_000)? {
            None => return Ok(()),
            Some(call) => call,
        };
        loop {
            if let Some(reaped) = ettan_sys::reap::reap().expect("no error is known") {
                call.ended(reaped.pid, reaped.status);
            }
            match call.look(0) {
                Some(found) => return found,
                None => std::thread::yield_now(),
            }
        }
    }

    #[test]
    fn sockets_answer_while_somebody_listens() {
        let path = std::env::temp_dir().join(format!("ettan-look-{}", std::process::id()));
        let target = Target::Unix(path.clone());
        assert!(look(&target).is_err());
        let listener = UnixListener::bind(&path).expect("a socket");
        assert_eq!(look(&target), Ok(()));
        drop(listener);
        assert!(look(&target).is_err(), "the file alone is not enough");
        assert_eq!(look(&Target::Path(path.clone())), Ok(()));
        std::fs::remove_file(&path).expect("ours");
        assert!(look(&Target::Path(path)).is_err());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        assert_eq!(look(&Target::Tcp(address)), Ok(()));
        drop(listener);
        assert!(look(&Target::Tcp(address)).is_err());
    }

    #[test]
    fn a_page_is_well_when_its_status_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let cases = [
            ("HTTP/1.1 200 OK\r\n\r\n", Ok(())),
            ("HTTP/1.0 302 Found\r\n\r\n", Ok(())),
            ("HTTP/1.1 503 Busy\r\n\r\n", Err("HTTP status 503".to_owned())),
            ("SSH-2.0-x\r\n", Err("no HTTP answer".to_owned())),
            ("", Err("no HTTP answer".to_owned())),
        ];
        let answers: Vec<&str> = cases.iter().map(|(answer, _)| *answer).collect();
        let server = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().expect("a client");
                let mut request = [0; 512];
                let count = stream.read(&mut request).expect("a request");
                assert!(request[..count].starts_with(b"GET /health HTTP/1.0\r\n"));
                stream.write_all(answer.as_bytes()).expect("answered");
            }
        });
        for (answer, expected) in cases {
            assert_eq!(look(&Target::Http(address, "/health".into())), expected, "{answer}");
        }
        server.join().expect("served");
    }

    #[test]
    fn a_command_is_well_when_it_succeeds() {
        let command = |argv: &[&str]| {
            look(&Target::Command(argv.iter().map(|word| (*word).to_owned()).collect()))
        };
        assert_eq!(command(&["/bin/true"]), Ok(()));
        assert_eq!(command(&["/bin/sh", "-c", "exit 3"]), Err("exited with status 3".into()));
        assert!(command(&["/no/such/program"]).is_err_and(|why| why.starts_with("cannot be")));
        let target = Target::Command(["/bin/sleep", "1000"].map(String::from).to_vec());
        let mut call = begin(&target, &User::default(), 0, 50).expect("begun").expect("a call");
        assert!(call.look(49).is_none());
        assert_eq!(call.look(50), Some(Err("no answer in time".into())));
    }
}
