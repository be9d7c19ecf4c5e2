//! The words that the loader wrote: what the service is to find. Trusts them no more than to be
//! words; an odd one is no place at all.

use ettan_sys::place::Way;
use ettan_sys::spawn::{Identity, Rights};
use std::ffi::CString;

/// What the service is to find around it.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The unit's name.
    pub(crate) unit: CString,
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    pub(crate) umask: u32,
    pub(crate) working_directory: CString,
    pub(crate) rights: Rights,
    /// Below /run, /var/lib and /var/log.
    pub(crate) runtime: Vec<CString>,
    pub(crate) state: Vec<CString>,
    pub(crate) logs: Vec<CString>,
    /// Descriptors 0 to 2; none: as PID 1 made them.
    pub(crate) streams: [Option<Stream>; 3],
    pub(crate) root: Option<CString>,
    pub(crate) private_tmp: bool,
    pub(crate) private_network: bool,
    pub(crate) protect: Protect,
    /// And whether each may be missing.
    pub(crate) writable: Vec<(CString, bool)>,
    /// Each start of the program is written down.
    pub(crate) stamped: bool,
    /// The descriptor that the report to PID 1 goes through, where it is not the usual one.
    pub(crate) report: Option<u8>,
}

/// What a descriptor is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    File(Way, CString),
    /// The same as another descriptor.
    As(i32),
}

/// protect-system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Protect {
    #[default]
    Nothing,
    /// /usr and /boot.
    Usr,
    /// /etc too.
    Full,
    /// Everything but /dev, /proc and /sys.
    Strict,
}

impl Place {
    /// The place that `words` describe.
    pub(crate) fn read(words: &[u8]) -> Option<Self> {
        let mut place = Self { working_directory: c"/".into(), ..Self::default() };
        let words = words.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
        for word in words {
            let at = word.iter().position(|byte| *byte == b'=').unwrap_or(word.len());
            let (name, value) = word.split_at_checked(at)?;
            place.take(name, &unescape(value.get(1..).unwrap_or_default())?)?;
        }
        Some(place)
    }

    fn take(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let path = || CString::new(value).ok();
        match name {
            b"unit" => self.unit = path()?,
            b"uid" => self.uid = number(value)?,
            b"gid" => self.gid = number(value)?,
            b"groups" => self.groups = list(value, b',').map(number).collect::<Option<_>>()?,
            b"umask" => self.umask = u32::from_str_radix(text(value)?, 8).ok()?,
            b"cwd" => self.working_directory = path()?,
            b"run" => self.runtime.push(path()?),
            b"state" => self.state.push(path()?),
            b"logs" => self.logs.push(path()?),
            b"in" => self.stream(0, value)?,
            b"out" => self.stream(1, value)?,
            b"err" => self.stream(2, value)?,
            b"root" => self.root = Some(path()?),
            b"tmp" => self.private_tmp = true,
            b"net" => self.private_network = true,
            b"protect" => {
                self.protect = match value {
                    b"true" => Protect::Usr,
                    b"full" => Protect::Full,
                    b"strict" => Protect::Strict,
                    _ => return None,
                }
            }
            b"rw" => self.writable.push((path()?, false)),
            b"rw-" => self.writable.push((path()?, true)),
            b"stamp" => self.stamped = true,
            b"report" => self.report = Some(number(value)?),
            _ => self.right(name, value)?,
        }
        Some(())
    }

    fn right(&mut self, name: &[u8], value: &[u8]) -> Option<()> {
        let rights = &mut self.rights;
        match name {
            b"limit" => {
                let mut parts = list(value, b':');
                let resource: usize = number(parts.next()?)?;
                let limit = (number(parts.next()?)?, number(parts.next()?)?);
                *rights.limits.get_mut(resource)? = Some(limit);
            }
            b"nice" => rights.nice = Some(number(value)?),
            b"io" => rights.io_class = Some(number(value)?),
            b"cpus" => rights.cpu_affinity = Some(number(value)?),
            b"no-new-privileges" => rights.no_new_privileges = true,
            b"bounding" => rights.bounding_set = Some(number(value)?),
            b"ambient" => rights.ambient = number(value)?,
            _ => return None,
        }
        Some(())
    }

    fn stream(&mut self, number: usize, value: &[u8]) -> Option<()> {
        let at = value.iter().position(|byte| *byte == b':')?;
        let (kind, path) = value.split_at_checked(at)?;
        let path = || CString::new(path.get(1..)?).ok();
        *self.streams.get_mut(number)? = Some(match kind {
            b"read" => Stream::File(Way::Read, path()?),
            b"file" => Stream::File(Way::Write, path()?),
            b"append" => Stream::File(Way::Append, path()?),
            b"tty" => Stream::File(Way::Terminal, path()?),
            b"as" => Stream::As(path()?.to_str().ok()?.parse().ok()?),
            _ => return None,
        });
        Some(())
    }

    /// Whom it runs as.
    pub(crate) fn identity(&self) -> Identity<'_> {
        Identity { uid: self.uid, gid: self.gid, groups: &self.groups }
    }

    /// Who owns its directories.
    pub(crate) fn owner(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    pub(crate) fn needs_mounts(&self) -> bool {
        self.private_tmp || self.protect != Protect::Nothing
    }
}

fn list(value: &[u8], divider: u8) -> impl Iterator<Item = &[u8]> {
    value.split(move |byte| *byte == divider).filter(|item| !item.is_empty())
}

fn text(value: &[u8]) -> Option<&str> {
    core::str::from_utf8(value).ok()
}

fn number<T: core::str::FromStr>(value: &[u8]) -> Option<T> {
    text(value)?.parse().ok()
}

/// `%20` is a space.
fn unescape(value: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    let mut rest = value;
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            plain.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        plain.push(u8::from_str_radix(text(digits)?, 16).ok()?);
        rest = after;
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read() {
        let words = b"unit=web uid=990 gid=46 groups=46,7 umask=027 cwd=/a%20b%25 limit=7:33:44 \
            limit=4:0:18446744073709551615 nice=-5 io=3 cpus=5 no-new-privileges bounding=33 \
            ambient=1024 run=web run=web/sub state=s logs=l in=read:/in out=append:/o%20o err=as:1 \
            root=/srv tmp net stamp protect=strict rw=/data rw-=/maybe report=4";
        let place = Place::read(words).unwrap();
        let identity = place.identity();
        assert_eq!((identity.uid, identity.gid, identity.groups), (990, 46, &[46, 7][..]));
        assert_eq!((place.umask, place.working_directory.as_c_str()), (0o27, c"/a b%"));
        assert_eq!(place.rights.limits[7], Some((33, 44)));
        assert_eq!(place.rights.limits[4], Some((0, u64::MAX)));
        assert_eq!((place.rights.nice, place.rights.io_class), (Some(-5), Some(3)));
        assert_eq!((place.rights.cpu_affinity, place.rights.no_new_privileges), (Some(5), true));
        assert_eq!((place.rights.bounding_set, place.rights.ambient), (Some(33), 1024));
        assert_eq!(place.runtime, [c"web".into(), CString::from(c"web/sub")]);
        assert_eq!(place.streams[0], Some(Stream::File(Way::Read, c"/in".into())));
        assert_eq!(place.streams[1], Some(Stream::File(Way::Append, c"/o o".into())));
        assert_eq!(place.streams[2], Some(Stream::As(1)));
        assert_eq!(place.protect, Protect::Strict);
        assert_eq!(place.writable, [(c"/data".into(), false), (c"/maybe".into(), true)]);
        assert_eq!(place.report, Some(4));
        assert!(
            place.stamped && place.private_tmp && place.private_network && place.needs_mounts()
        );
    }

    #[test]
    fn odd_words_are_no_place() {
        for words in [
            "odd",
            "uid=x",
            "uid=-1",
            "limit=16:1:1",
            "limit=1:1",
            "in=read",
            "out=to:/x",
            "run=%2",
            "run=%zz",
            "run=a%00b",
            "protect=yes",
            "groups=1,x",
            "umask=9",
            "report=x",
        ] {
            assert!(Place::read(words.as_bytes()).is_none(), "{words}");
        }
    }
}
