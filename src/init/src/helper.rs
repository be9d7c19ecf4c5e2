//! PID 1's own program, executed anew as one of its helpers: the one place that has their names. What each
//! of them does is its crate's or its file's.

use core::ffi::CStr;
use ettan_sys::procfs;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

/// PID 1's own file: helpers need no other on disk, and a replaced one does not matter.
pub(crate) const SELF_EXE: &CStr = c"/proc/self/exe";

/// What PID 1 and its helpers are called.
pub(crate) const PROGRAM: &CStr = c"ettan-init";

/// One of them. `ARCHITECTURE.md` says who starts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Helper {
    Load,
    Log,
    Watch,
    Probe,
    Enter,
    Leave,
    Close,
    Copy,
    Check,
    Clock,
    Pulse,
    Hotplug,
    Seed,
    Run,
}

impl Helper {
    const ALL: [Self; 14] = [
        Self::Load,
        Self::Log,
        Self::Watch,
        Self::Probe,
        Self::Enter,
        Self::Leave,
        Self::Close,
        Self::Copy,
        Self::Check,
        Self::Clock,
        Self::Pulse,
        Self::Hotplug,
        Self::Seed,
        Self::Run,
    ];

    /// The program's first argument, which says that it is this helper.
    pub(crate) const fn word(self) -> &'static CStr {
        match self {
            Self::Load => c"load",
            Self::Log => c"log",
            Self::Watch => c"watch",
            Self::Probe => c"probe",
            Self::Enter => c"enter",
            Self::Leave => c"leave",
            Self::Close => c"close",
            Self::Copy => c"copy",
            Self::Check => c"--check-state",
            Self::Clock => c"clock",
            Self::Pulse => c"pulse",
            Self::Hotplug => c"hotplug",
            Self::Seed => c"seed",
            Self::Run => c"run",
        }
    }

    /// The same as text.
    pub(crate) fn text(self) -> &'static str {
        self.word().to_str().unwrap_or_default()
    }

    /// Who is called so.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|helper| helper.text() == word)
    }

    /// How it is executed, where nothing else is to be said.
    pub(crate) const fn argv(self) -> [&'static CStr; 2] {
        [PROGRAM, self.word()]
    }

    /// The same for where memory may be asked for.
    pub(crate) fn command(self) -> Command {
        let mut command = Command::new(own_file());
        command.arg(self.text());
        command
    }

    /// Whether this process is one.
    pub(crate) fn runs_as(self, pid: i32) -> bool {
        let mut command = heapless::Vec::<u8, COMMAND_MAX>::new();
        for word in self.argv() {
            // Fits, as a test shows.
            let _ = command.extend_from_slice(word.to_bytes_with_nul());
        }
        procfs::command_begins(pid, &command)
    }
}

/// [`SELF_EXE`] as a path.
pub(crate) fn own_file() -> &'static OsStr {
    OsStr::from_bytes(SELF_EXE.to_bytes())
}

/// The program, the longest word, and their ends.
const COMMAND_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::{COMMAND_MAX, Helper};

    #[test]
    fn each_helper_is_found_by_its_word_and_the_words_fit() {
        for helper in Helper::ALL {
            assert_eq!(Helper::of(helper.text()), Some(helper));
            let bytes = helper.argv().map(|word| word.to_bytes_with_nul().len());
            assert!(bytes.iter().sum::<usize>() <= COMMAND_MAX, "{helper:?}");
        }
        assert_eq!(Helper::of(""), None);
    }
}
