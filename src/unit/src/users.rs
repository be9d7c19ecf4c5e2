//! Who a unit runs as. Reads passwd and group itself; an unknown or odd name is refused, and
//! nothing ever falls back to root.

use std::cell::OnceCell;
use std::path::Path;

use ettan_table::MAX_GROUPS;

use crate::diagnostic::Complaint;
use crate::nearest::nearest;
use crate::reference::shown;
use crate::tree;

/// The ids to run with, and what goes into the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Sorted, the main group among them.
    pub(crate) groups: Vec<u32>,
    /// None for a number that has no name.
    pub(crate) name: Option<String>,
    pub(crate) home: String,
}

/// The users and groups of a root, read when first asked for.
pub(crate) struct Users<'a> {
    root: &'a Path,
    passwd: OnceCell<Vec<User>>,
    group: OnceCell<Vec<Group>>,
}

struct User {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

impl<'a> Users<'a> {
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root, passwd: OnceCell::new(), group: OnceCell::new() }
    }

    /// The user called or numbered `text`, with the groups it is in.
    ///
    /// # Errors
    /// Unknown or odd; a number without a passwd entry needs `has_group`.
    pub(crate) fn user(&self, text: &str, has_group: bool) -> Result<Identity, Complaint> {
        let (user, known) = match id(text) {
            Id::Number(uid) => match self.passwd().iter().find(|user| user.uid == uid) {
                Some(user) => (user.identity(), true),
                None if has_group => (stranger(uid), false),
                None => {
                    let message = format!("user {uid} is not in /etc/passwd");
                    return Err(Complaint::new(message).hint("give a `group` too"));
                }
            },
            Id::Name(name) => match self.passwd().iter().find(|user| user.name == name) {
                Some(user) => (user.identity(), true),
                // An image without a passwd file still has its root.
                None if name == "root" => (root(), true),
                None => {
                    let known = self.passwd().iter().map(|user| user.name.as_str());
                    return Err(unknown("user", text, nearest(text, known)));
                }
            },
            Id::Odd => return Err(odd("user", text)),
        };
        let mut identity = user;
        if known {
            let member =
                |group: &&Group| identity.name.as_ref().is_some_and(|n| group.members.contains(n));
            identity.groups.extend(self.group().iter().filter(member).map(|group| group.gid));
        }
        tidy(&mut identity.groups)?;
        Ok(identity)
    }

    /// The number of the group called or numbered `text`.
    pub(crate) fn group_id(&self, text: &str) -> Result<u32, Complaint> {
        match id(text) {
            Id::Number(gid) => Ok(gid),
            Id::Name(name) => match self.group().iter().find(|group| group.name == name) {
                Some(group) => Ok(group.gid),
                None if name == "root" => Ok(0),
                None => {
                    let known = self.group().iter().map(|group| group.name.as_str());
                    Err(unknown("group", text, nearest(text, known)))
                }
            },
            Id::Odd => Err(odd("group", text)),
        }
    }

    fn passwd(&self) -> &[User] {
        self.passwd.get_or_init(|| {
            lines(self.root, "/etc/passwd").iter().filter_map(|l| user(l)).collect()
        })
    }

    fn group(&self) -> &[Group] {
        self.group.get_or_init(|| {
            lines(self.root, "/etc/group").iter().filter_map(|l| group(l)).collect()
        })
    }
}

impl User {
    fn identity(&self) -> Identity {
        Identity {
            uid: self.uid,
            gid: self.gid,
            groups: vec![self.gid],
            name: Some(self.name.clone()),
            home: self.home.clone(),
        }
    }
}

impl Identity {
    /// The same user in `more` groups.
    pub(crate) fn with_groups(mut self, more: Vec<u32>) -> Result<Self, Complaint> {
        self.groups.extend(more);
        tidy(&mut self.groups)?;
        Ok(self)
    }

    /// The same user with another main group.
    pub(crate) fn with_group(mut self, gid: u32) -> Result<Self, Complaint> {
        self.groups.retain(|group| *group != self.gid);
        self.gid = gid;
        self.groups.push(gid);
        tidy(&mut self.groups)?;
        Ok(self)
    }
}

fn root() -> Identity {
    Identity { uid: 0, gid: 0, groups: vec![0], name: Some("root".into()), home: "/root".into() }
}

/// A number without a name; `with_group` gives it its group.
fn stranger(uid: u32) -> Identity {
    Identity { uid, gid: u32::MAX, groups: vec![u32::MAX], name: None, home: "/".into() }
}

fn tidy(groups: &mut Vec<u32>) -> Result<(), Complaint> {
    crate::names::sort_by(groups, u32::cmp);
    groups.dedup();
    if groups.len() > MAX_GROUPS {
        let message = format!("the user is in {} groups, at most {MAX_GROUPS} fit", groups.len());
        return Err(Complaint::new(message));
    }
    Ok(())
}

enum Id<'a> {
    Number(u32),
    Name(&'a str),
    Odd,
}

/// A number in base 10 without sign or leading zero, or a name that is none.
fn id(text: &str) -> Id<'_> {
    if let Some(number) = decimal(text) {
        return Id::Number(number);
    }
    let first = text.bytes().next().unwrap_or(b'-');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-$".contains(&b);
    let named = (first.is_ascii_alphabetic() || first == b'_') && text.bytes().all(plain);
    if named && text.len() <= 64 { Id::Name(text) } else { Id::Odd }
}

/// The two that mean "unchanged" to setuid(2) are not ids.
fn decimal(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let number = text.parse::<u32>().ok().filter(|_| plain)?;
    (number != u32::MAX && number != 65_535).then_some(number)
}

fn unknown(what: &str, text: &str, near: Option<&str>) -> Complaint {
    let file = if what == "user" { "/etc/passwd" } else { "/etc/group" };
    Complaint::new(format!("unknown {what} `{}`", shown(text))).hint(match near {
        Some(near) => format!("did you mean `{}`?", shown(near)),
        None => format!("it is not in {file}"),
    })
}

fn odd(what: &str, text: &str) -> Complaint {
    Complaint::new(format!("`{}` is neither a {what}'s name nor a {what}'s number", shown(text)))
        .hint("numbers are decimal, without sign or leading zero")
}

fn lines(root: &Path, path: &str) -> Vec<String> {
    let bytes = tree::read_system(root, path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(ToString::to_string).collect()
}

/// A line of passwd; None for what is not one.
fn user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let (name, _password) = (fields.next()?, fields.next()?);
    let (uid, gid) = (decimal(fields.next()?)?, decimal(fields.next()?)?);
    let (_comment, home) = (fields.next()?, fields.next()?);
    let home = if home.starts_with('/') { home } else { "/" };
    Some(User { name: name.into(), uid, gid, home: home.into() })
}

/// A line of group; None for what is not one.
fn group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let (name, _password, gid) = (fields.next()?, fields.next()?, decimal(fields.next()?)?);
    let members = fields.next().unwrap_or("").split(',').map(ToString::to_string).collect();
    Some(Group { name: name.into(), gid, members })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_decimal() {
        for (text, number) in [("0", 0), ("1", 1), ("1000", 1000), ("4294967294", 4_294_967_294)] {
            assert!(matches!(id(text), Id::Number(n) if n == number), "{text}");
        }
        let odd = [
            "",
            "00",
            "01",
            "+1",
            "-1",
            "0x0",
            "0day",
            "1a",
            " 1",
            "1 ",
            "65535",
            "4294967295",
            "99999999999",
            "a b",
            "a:b",
            "a/b",
            "ä",
            "-a",
            "\u{663}",
            "a\n",
        ];
        for text in odd {
            assert!(matches!(id(text), Id::Odd), "{text}");
        }
        assert!(matches!(id("www-data"), Id::Name("www-data")));
        assert!(matches!(id("_apt"), Id::Name("_apt")));
    }
}
