//! Exit codes, as scripts know them from LSB.

use ettan_wire::ErrorCode;
use std::process::ExitCode;

/// What the command ends with. Of several units, the first that did not go well decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// 0: done, or running.
    Done,
    /// 1: failed.
    Failed,
    /// 2: typed wrongly.
    Usage,
    /// 3: a verb or option that is not there yet, or that the unit has nothing for.
    NotImplemented,
    /// 3 of `status` and `is-active`: not running.
    Down,
    /// 4: not permitted.
    NotPermitted,
    /// 4 of `status` and `is-active`: no such unit.
    Unknown,
    /// 5: no such unit.
    NotInstalled,
    /// 6: its file is refused.
    NotConfigured,
    /// 7: not running.
    NotRunning,
    /// 100 of daemontools' verbs: typed wrongly, or (svok) no such unit.
    Hand,
    /// 111 of daemontools' verbs: did not come to run the program.
    Fatal,
}

impl Code {
    const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotImplemented | Self::Down => 3,
            Self::NotPermitted | Self::Unknown => 4,
            Self::NotInstalled => 5,
            Self::NotConfigured => 6,
            Self::NotRunning => 7,
            Self::Hand => 100,
            Self::Fatal => 111,
        }
    }

    /// This one, or `other` when this one is 0.
    pub(crate) fn or(self, other: Self) -> Self {
        if self == Self::Done { other } else { self }
    }

    /// How an action ends that PID 1 refused.
    pub(crate) fn of_refusal(code: ErrorCode) -> Self {
        match code {
            ErrorCode::NotPermitted => Self::NotPermitted,
            ErrorCode::UnknownUnit => Self::NotInstalled,
            ErrorCode::Refused => Self::NotConfigured,
            ErrorCode::NotRunning => Self::NotRunning,
            ErrorCode::NoSuchSignal => Self::Usage,
            ErrorCode::UnknownVerb | ErrorCode::NotReloadable => Self::NotImplemented,
            ErrorCode::BadRequest
            | ErrorCode::Version
            | ErrorCode::Busy
            | ErrorCode::ShuttingDown
            | ErrorCode::Idle => Self::Failed,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}
