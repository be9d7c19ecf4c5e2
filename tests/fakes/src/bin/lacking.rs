//! `lacking ERRNO CALLS PROGRAM [ARGUMENT…]`: executes PROGRAM on what looks like a kernel that
//! lacks some system calls, or forbids them: they fail with ERRNO (ENOSYS or EPERM) in PROGRAM and
//! in all that it starts. CALLS are names, divided by commas; `since-4.9` means every call that
//! Linux got after 4.9.
#![forbid(unsafe_code)]

use nix::libc;
use std::ops::RangeInclusive;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Calls are counted the same way on every processor from here on.
const LAST: libc::c_long = 600;

const CALLS: [(&str, libc::c_long); 13] = [
    ("chroot", libc::SYS_chroot),
    ("clone3", libc::SYS_clone3),
    ("close_range", libc::SYS_close_range),
    ("epoll_pwait2", libc::SYS_epoll_pwait2),
    ("execveat", libc::SYS_execveat),
    ("faccessat2", libc::SYS_faccessat2),
    ("memfd_create", libc::SYS_memfd_create),
    ("openat2", libc::SYS_openat2),
    ("pidfd_open", libc::SYS_pidfd_open),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal),
    ("signalfd4", libc::SYS_signalfd4),
    ("statx", libc::SYS_statx),
    ("unshare", libc::SYS_unshare),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [errno, calls, program, arguments @ ..] = words.as_slice() else {
        eprintln!("usage: lacking ENOSYS|EPERM CALL[,CALL…] PROGRAM [ARGUMENT…]");
        return ExitCode::from(2);
    };
    if let Err(reason) = forbid(errno, calls) {
        eprintln!("lacking: {reason}");
        return ExitCode::from(2);
    }
    eprintln!("lacking: {program}: {}", Command::new(program).args(arguments).exec());
    ExitCode::from(127)
}

fn forbid(errno: &str, calls: &str) -> Result<(), String> {
    let errno = match errno {
        "ENOSYS" => ettan_sys::Errno::NOSYS,
        "EPERM" => ettan_sys::Errno::PERM,
        other => return Err(format!("{other}: ENOSYS or EPERM")),
    };
    let calls = calls.split(',').map(numbers).collect::<Result<Vec<_>, _>>()?;
    ettan_sys::seccomp::refuse(&calls, errno).map_err(|errno| format!("seccomp: {errno}"))
}

fn numbers(call: &str) -> Result<RangeInclusive<u32>, String> {
    // statx came with 4.11 and opens the list of what 4.9 has not.
    let (first, last) = match call {
        "since-4.9" => (libc::SYS_statx, LAST),
        name => {
            let found = CALLS.iter().find(|(known, _)| *known == name);
            let (_, number) = found.ok_or_else(|| format!("{name}: no such call"))?;
            (*number, *number)
        }
    };
    let number = |call| u32::try_from(call).map_err(|_| format!("{call}: no number of a call"));
    Ok(number(first)?..=number(last)?)
}
