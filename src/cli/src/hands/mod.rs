//! Verbs for hands that know daemontools, also as links to `ettan` of these names: `svc`, `svstat`
//! and `svok` on units, `setuidgid`, `envdir` and `softlimit` in front of a program. They read
//! their command line and print as daemontools' own do.
//!
//! | file | what it does |
//! |---|---|
//! | `svc` | goals and signals |
//! | `svstat` | svstat, svok |
//! | `chain` | becomes another program |
//! | `setuidgid` | as somebody else |
//! | `envdir` | with variables from files |
//! | `softlimit` | with less than it could have |

mod chain;
mod envdir;
mod setuidgid;
mod softlimit;
mod svc;
mod svstat;

use crate::code::Code;
use crate::escape::Screen;
use clap::Subcommand;
use std::ffi::OsString;
use std::path::PathBuf;

/// The names of all, as verbs and as links.
pub(crate) const NAMES: [&str; 6] = ["svc", "svstat", "svok", "setuidgid", "envdir", "softlimit"];

/// What may be typed.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Hand {
    /// Goals and signals, as daemontools' svc: does not wait
    #[command(disable_help_flag = true)]
    Svc(svc::Options),
    /// `UNIT: up (pid N) N seconds`, as daemontools' svstat
    Svstat {
        #[arg(required = true)]
        units: Vec<String>,
    },
    /// Exit code 0 if PID 1 knows the unit, 100 if not
    Svok { unit: String },
    /// Runs a program as the user ACCOUNT, with its group and no other
    Setuidgid {
        account: String,
        #[command(flatten)]
        program: Program,
    },
    /// Runs a program with variables from the files of a directory
    Envdir {
        dir: PathBuf,
        #[command(flatten)]
        program: Program,
    },
    /// Runs a program with lower soft limits; `=` is the hard limit
    #[command(disable_help_flag = true)]
    Softlimit {
        #[command(flatten)]
        limits: softlimit::Limits,
        #[command(flatten)]
        program: Program,
    },
}

/// A program and its arguments, none of which is ours.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Program {
    #[arg(required = true, trailing_var_arg = true)]
    program: Vec<OsString>,
}

/// Does it.
pub(crate) fn run(hand: Hand, screen: &Screen) -> Code {
    match hand {
        Hand::Svc(options) => svc::svc(&options, screen),
        Hand::Svstat { units } => svstat::svstat(&units, screen),
        Hand::Svok { unit } => svstat::svok(&unit, screen),
        Hand::Setuidgid { account, program } => setuidgid::setuidgid(&account, &program.program),
        Hand::Envdir { dir, program } => envdir::envdir(&dir, &program.program),
        Hand::Softlimit { limits, program } => softlimit::softlimit(&limits, &program.program),
    }
}

/// The unit that a service directory stands for: `/service/web/` is `web`, `.` is where we are.
fn unit_of(directory: &str) -> String {
    let here = || std::env::current_dir().ok()?.file_name()?.to_str().map(str::to_owned);
    let last = directory.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    if last == "." { here().unwrap_or_default() } else { last.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{NAMES, unit_of};

    /// The links that an image gets are the names that `ettan` answers to.
    #[test]
    fn an_image_has_a_link_for_each_hand() {
        let makefile = include_str!("../../../../buildroot/package/ettan/ettan.mk");
        let links = makefile.lines().find_map(|line| line.trim().strip_prefix("for hand in "));
        let links = links.and_then(|line| line.split_once(';')).expect("the links").0;
        let links: Vec<&str> = links.split(' ').collect();
        let mut names = NAMES.to_vec();
        names.push("tai64nlocal");
        assert_eq!(links, names);
    }

    #[test]
    fn a_service_directory_stands_for_a_unit() {
        for (typed, unit) in [("web", "web"), ("/service/web/", "web"), ("./web", "web"), ("/", "")]
        {
            assert_eq!(unit_of(typed), unit);
        }
        assert!(!unit_of(".").is_empty());
    }
}
