//! The words about one unit, as the loader wrote them: what is to be met before it is ready, and
//! what is looked at while it is up. Reads; looks at nothing.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use regex_lite::Regex;

/// Something that can be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Path(PathBuf),
    Unix(PathBuf),
    Tcp(SocketAddr),
    /// An address, and the path of the page.
    Http(SocketAddr, String),
    Command(Vec<String>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "path {}", path.display()),
            Self::Unix(path) => write!(f, "unix-socket {}", path.display()),
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Http(address, page) => write!(f, "http://{address}{page}"),
            Self::Command(argv) => write!(f, "command {}", argv.join(" ")),
        }
    }
}

/// What has to be met once before a unit is ready.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// READY=1.
    Systemd,
    /// A newline on its descriptor.
    Descriptor,
    /// A line of its log, or of that file.
    Log(Regex, Option<PathBuf>),
    /// The file changed since before the start.
    Activity(PathBuf),
    Look(Target),
    /// Its main process has been there for so long.
    Settle(u64),
}

/// As whom commands run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// Looks at a unit that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) targets: Vec<Target>,
    pub(crate) every_ms: u64,
    pub(crate) within_ms: u64,
    pub(crate) failures: u32,
    /// `restart`, `none`, `reboot`: PID 1's word.
    pub(crate) action: String,
}

/// Everything about one unit.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) wishes: Vec<Wish>,
    /// One of the wishes is enough.
    pub(crate) any: bool,
    pub(crate) health: Health,
    pub(crate) watchdog_ms: Option<u64>,
    pub(crate) user: User,
}

impl Plan {
    /// What means nothing is left out: a newer loader's word is no reason to know nothing.
    pub(crate) fn read(words: &str) -> Self {
        let mut plan = Self {
            wishes: Vec::new(),
            any: false,
            health: Health {
                targets: Vec::new(),
                every_ms: 30_000,
                within_ms: 5_000,
                failures: 3,
                action: "restart".into(),
            },
            watchdog_ms: None,
            user: User::default(),
        };
        let mut pattern = None;
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            let (key, raw) = word.split_once('=').unwrap_or((word, ""));
            let known = plan.take(key, raw, &mut pattern);
            if known.is_none() {
                complain!("`{word}` means nothing here; ignored");
            }
        }
        if let Some((regex, file)) = pattern {
            plan.wishes.push(Wish::Log(regex, file));
        }
        plan
    }

    fn take(
        &mut self,
        key: &str,
        raw: &str,
        pattern: &mut Option<(Regex, Option<PathBuf>)>,
    ) -> Option<()> {
        let value = plain(raw);
        let path = || PathBuf::from(&value);
        let command = || Target::Command(raw.split(',').map(plain).collect());
        let (wishes, health) = (&mut self.wishes, &mut self.health);
        match key {
            "any" => self.any = true,
            "notify" if value == "systemd" => wishes.push(Wish::Systemd),
            "notify" => wishes.push(Wish::Descriptor),
            "log" => *pattern = Some((Regex::new(&value).ok()?, None)),
            "log-file" => pattern.as_mut()?.1 = Some(path()),
            "activity" => wishes.push(Wish::Activity(path())),
            "path" => wishes.push(Wish::Look(Target::Path(path()))),
            "unix" => wishes.push(Wish::Look(Target::Unix(path()))),
            "tcp" => wishes.push(Wish::Look(Target::Tcp(value.parse().ok()?))),
            "command" => wishes.push(Wish::Look(command())),
            "settle" => wishes.push(Wish::Settle(value.parse().ok()?)),
            "health-command" => health.targets.push(command()),
            "health-unix" => health.targets.push(Target::Unix(path())),
            "health-tcp" => health.targets.push(Target::Tcp(value.parse().ok()?)),
            "health-http" => {
                let (address, page) = value.split_once('/')?;
                health.targets.push(Target::Http(address.parse().ok()?, format!("/{page}")));
            }
            "every" => health.every_ms = value.parse().ok()?,
            "within" => health.within_ms = value.parse().ok()?,
            "failures" => health.failures = value.parse().ok()?,
            "action" => health.action.clone_from(&value),
            "watchdog" => self.watchdog_ms = Some(value.parse().ok()?),
            "as" => self.user = user(&value)?,
            _ => return None,
        }
        Some(())
    }
}

fn user(value: &str) -> Option<User> {
    let mut parts = value.splitn(3, ':');
    let (uid, gid) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let groups = parts.next()?.split(',').filter_map(|group| group.parse().ok()).collect();
    Some(User { uid, gid, groups })
}

/// `%20` is a space again.
fn plain(escaped: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = escaped.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let code = || u8::from_str_radix(str::from_utf8(after.get(..2)?).ok()?, 16).ok();
        match code().filter(|_| byte == b'%') {
            Some(code) => {
                bytes.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_wishes_and_looks() {
        let plan = Plan::read(
            "notify=systemd log=up%20and%20(running|well) log-file=/tmp/a%25b unix=/run/x any \
             command=/bin/test,-e,/tmp/a%2cb settle=250 health-http=127.0.0.1:80/a/b every=1000 \
             failures=2 action=none watchdog=500 as=7:8:1,2 nonsense=1",
        );
        assert!(plan.any);
        assert_eq!(plan.wishes.len(), 5);
        let command = ["/bin/test", "-e", "/tmp/a,b"].map(String::from).to_vec();
        assert!(
            plan.wishes
                .iter()
                .any(|wish| matches!(wish, Wish::Look(Target::Command(argv)) if *argv == command))
        );
        assert!(plan.wishes.iter().any(|wish| matches!(
            wish,
            Wish::Log(regex, Some(file)) if regex.is_match("it is up and well")
                && file.as_os_str() == "/tmp/a%b"
        )));
        let address = "127.0.0.1:80".parse().expect("an address");
        assert_eq!(plan.health.targets, [Target::Http(address, "/a/b".into())]);
        assert_eq!((plan.health.every_ms, plan.health.failures), (1_000, 2));
        assert_eq!((plan.health.action.as_str(), plan.watchdog_ms), ("none", Some(500)));
        assert_eq!(plan.user, User { uid: 7, gid: 8, groups: vec![1, 2] });
    }
}
