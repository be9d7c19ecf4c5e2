//! `setuidgid ACCOUNT PROGRAM`: sheds user, group and all supplementary groups, then runs it.

use super::chain::Tool;
use crate::code::Code;
use nix::unistd::{User, setgid, setgroups, setuid};
use std::ffi::OsString;

/// Groups first: afterwards there is no right to change them any more.
pub(super) fn setuidgid(account: &str, program: &[OsString]) -> Code {
    let tool = Tool("setuidgid");
    let user = match User::from_name(account) {
        Ok(Some(user)) => user,
        Ok(None) => return tool.fatal(format_args!("unknown account {account}")),
        Err(errno) => {
            return tool.fatal(format_args!("unknown account {account}: {}", errno.desc()));
        }
    };
    let group = setgroups(&[user.gid]).and_then(|()| setgid(user.gid));
    if let Err(errno) = group {
        return tool.fatal(format_args!("unable to setgid: {}", errno.desc()));
    }
    if let Err(errno) = setuid(user.uid) {
        return tool.fatal(format_args!("unable to setuid: {}", errno.desc()));
    }
    tool.become_program(program, |_| {})
}
