//! What is executed for one of a unit's programs: the table's words laid out as `sys` takes them.
//! For PID 1, and for `ettan-init run`, which does the same in the foreground. Decides nothing.

use crate::extras::{self, Gathered};
use crate::group::{COOKIE_LEN, Groups, cookie_cstr, cookie_of};
use crate::helper::{Helper, PROGRAM, SELF_EXE};
use crate::hook::Variables;
use core::ffi::CStr;
use ettan_core::{Pid, Program, SpawnFault, Step, UnitId};
use ettan_sys::poll::{Epoll, Interest};
use ettan_sys::spawn::{self, Identity, OwnPid, SpawnPlan, SpawnStep};
use ettan_sys::{Errno, cgroup, pipe};
use ettan_table::{Extra, Launch, Stream, Strings, Table, report_fd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// As many as the table carries, and as `sys` takes.
const GROUPS_MAX: usize = ettan_table::MAX_GROUPS;
const _: () = assert!(GROUPS_MAX == spawn::MAX_GROUPS);

/// Descriptor 0 is empty, 1 and 2 are the log.
pub(crate) const USUAL: [Stream; 3] = [Stream::Null, Stream::Log, Stream::Log];

/// In a service's environment where the watchdog is asked for; then its own number goes there too.
const WATCHDOG: &[u8] = b"WATCHDOG_USEC=";

/// One program of a unit, ready to be given descriptors and a cgroup.
pub(crate) struct Start<'a> {
    pub(crate) launch: Launch<'a>,
    what: Program,
    command: Strings<'a>,
    pub(crate) program: &'a CStr,
    groups: heapless::Vec<u32, GROUPS_MAX>,
    extras: Gathered,
    /// Descriptors 0 to 2.
    pub(crate) streams: [Stream; 3],
}

/// What a program is given by whoever starts it.
pub(crate) struct Surroundings<'a> {
    /// Of the launch.
    pub(crate) cookie: u64,
    /// Variables beside the unit's.
    pub(crate) variables: &'a Variables,
    /// Descriptors 0 to 2, and 3 or 4 where it is prepared first ([`descriptors`]).
    pub(crate) fds: heapless::Vec<(BorrowedFd<'a>, i32), 5>,
    /// The pipe that it writes a newline to once it is ready.
    pub(crate) ready: Option<BorrowedFd<'a>>,
}

impl<'a> Start<'a> {
    /// None when the table has no such program.
    pub(crate) fn of(table: &Table<'a>, name: &str, what: Program) -> Option<Self> {
        let index = table.index_of(name)?;
        let launch = table.launch(index)?;
        let command = match what {
            Program::Main => launch.argv.clone(),
            Program::Hook(stage, nth) => table.hook_command(index, stage, nth)?.argv,
        };
        let program = command.clone().next()?;
        let groups = launch.groups.clone().take(GROUPS_MAX).collect();
        let extras = extras::gather(launch.extras.clone());
        let usual = if launch.tty_path.is_some() { [Stream::Tty; 3] } else { USUAL };
        // A terminal is the program's alone.
        let may_have =
            |streams: &[Stream; 3]| what == Program::Main || !streams.contains(&Stream::Tty);
        let streams = Some(extras.streams.unwrap_or(usual)).filter(may_have).unwrap_or(USUAL);
        Some(Self { launch, what, command, program, groups, extras, streams })
    }

    /// Its place is not prepared: PID 1's child executes it.
    pub(crate) fn is_direct(&self) -> bool {
        self.launch.place.is_empty()
    }

    /// The number of the descriptor that it writes a newline to once it is ready.
    pub(crate) fn ready_fd(&self) -> Option<i32> {
        self.extras.ready_fd.filter(|_| self.what == Program::Main).map(i32::from)
    }

    /// Descriptors 3 and 4, of which the stage that prepares its place finds its report in one.
    pub(crate) fn reporting<'f>(
        &self,
        report: Option<BorrowedFd<'f>>,
    ) -> [Option<BorrowedFd<'f>>; 2] {
        match report_fd(self.extras.ready_fd) {
            3 => [report, None],
            _ => [None, report],
        }
    }

    /// Executes it in the cgroup of `unit`, which has its limits then.
    pub(crate) fn spawn(
        &mut self,
        groups: &Groups,
        (unit, name): (UnitId, &str),
        given: &Surroundings<'_>,
    ) -> Result<Pid, SpawnFault> {
        groups.start_in(unit, name, |group| {
            self.extras.share(self.launch.name, groups, group);
            self.spawn_in(group, given)
        })
    }

    fn spawn_in(
        &self,
        group: Option<&cgroup::Group>,
        given: &Surroundings<'_>,
    ) -> Result<Pid, SpawnFault> {
        let Launch { envp, place, uid, gid, .. } = &self.launch;
        let direct = self.is_direct();
        let is_main = self.what == Program::Main;
        let too_long = |errno| fault(Step::Exec, errno);
        // The cookie first, so that it is found in the first bytes of /proc/PID/environ.
        let mut room = [0; COOKIE_LEN + 1];
        let cookie = cookie_cstr(cookie_of(given.cookie, self.what), &mut room);
        let variables = core::iter::once(cookie).chain(given.variables.iter()).chain(envp.clone());
        let mut envp = spawn::Strings::of(variables).map_err(too_long)?;
        let watched = |variable: &CStr| variable.to_bytes().starts_with(WATCHDOG);
        let own_pid = OwnPid::new("WATCHDOG_PID");
        if is_main && self.launch.envp.clone().any(watched) {
            envp.push_own_pid(&own_pid).map_err(too_long)?;
        }
        let stage = [PROGRAM, Helper::Enter.word(), *place].into_iter().filter(|_| !direct);
        let argv = stage.chain(self.command.clone());
        let argv = spawn::Strings::of(argv).map_err(too_long)?;
        let ready = given.ready.zip(self.ready_fd());
        let fds = given.fds.iter().copied().chain(ready);
        run(&SpawnPlan {
            program: if direct { self.program } else { SELF_EXE },
            argv: &argv,
            envp: &envp,
            fds: &fds.collect::<heapless::Vec<_, 6>>(),
            tty_path: self.launch.tty_path.filter(|_| is_main),
            tty_fds: self.streams.map(|stream| stream == Stream::Tty),
            identity: direct.then_some(Identity { uid: *uid, gid: *gid, groups: &self.groups }),
            working_directory: direct.then_some(self.launch.working_directory),
            umask: if direct { self.launch.umask } else { 0o022 },
            cgroup: group.map(AsFd::as_fd),
            oom_score_adj: self.extras.oom_score_adj,
            // The stage takes on the unit's own when its work is done.
            rights: if direct { self.extras.rights } else { spawn::Rights::default() },
        })
    }
}

/// Whether this unit's standard error is apart from its output in the log.
pub(crate) fn errors_are_apart(launch: &Launch<'_>) -> bool {
    let is_apart = |extra| matches!(extra, Extra::Streams([_, _, Stream::Error]));
    launch.extras.clone().any(is_apart)
}

/// Descriptors 0 to 2 as asked for; 3 and 4 are for our own helpers. `output` is the log for 1, and
/// for 2.
pub(crate) fn descriptors<'a>(
    null: Option<&'a OwnedFd>,
    output: [Option<BorrowedFd<'a>>; 2],
    streams: [Stream; 3],
    [third, fourth]: [Option<BorrowedFd<'a>>; 2],
) -> heapless::Vec<(BorrowedFd<'a>, i32), 5> {
    let null = null.map(AsFd::as_fd);
    let [output, errors] = output;
    let with = |stream, log: Option<BorrowedFd<'a>>| match stream {
        // Without a log pipe there is still /dev/null.
        Stream::Log | Stream::Error => log.or(null),
        // The terminal takes its place.
        Stream::Null | Stream::Tty => null,
    };
    let [first, second, last] = streams;
    [with(first, output), with(second, output), with(last, errors), third, fourth]
        .into_iter()
        .zip(0..)
        .filter_map(|(source, target)| Some((source?, target)))
        .collect()
}

/// The pipe through which the process reports that prepares this program's place, if it has one;
/// `epoll` tells of its end with `token`.
pub(crate) fn report_pipe(
    epoll: Option<(&Epoll, u64)>,
    launch: &Launch<'_>,
) -> Result<Option<pipe::Pipe>, SpawnFault> {
    if launch.place.is_empty() {
        return Ok(None);
    }
    let at = |errno| fault(Step::Pipe, errno);
    let report = pipe::pipe().map_err(at)?;
    if let Some((epoll, token)) = epoll {
        pipe::set_nonblocking(&report.read, true).map_err(at)?;
        epoll.add(&report.read, token, Interest::Nothing).map_err(at)?;
    }
    Ok(Some(report))
}

/// Starts what the plan says.
pub(crate) fn run(plan: &SpawnPlan<'_>) -> Result<Pid, SpawnFault> {
    let pid = spawn::spawn(plan).map_err(fault_of)?;
    Pid::new(pid).ok_or(fault(Step::Fork, Errno::SRCH))
}

pub(crate) const fn fault(step: Step, errno: Errno) -> SpawnFault {
    SpawnFault { step, errno: errno.raw_os_error() }
}

/// What `sys` says of a failed start, in the core's words.
pub(crate) const fn fault_of(failed: spawn::SpawnFault) -> SpawnFault {
    fault(step_of(failed.step), failed.errno)
}

const fn step_of(step: SpawnStep) -> Step {
    match step {
        SpawnStep::Fork => Step::Fork,
        SpawnStep::Cgroup => Step::Cgroup,
        SpawnStep::Tty => Step::Tty,
        SpawnStep::Descriptors => Step::Descriptors,
        SpawnStep::Limits => Step::Limits,
        SpawnStep::Group => Step::Group,
        SpawnStep::User => Step::User,
        SpawnStep::WorkingDirectory => Step::WorkingDirectory,
        SpawnStep::Exec => Step::Exec,
        SpawnStep::Interpreter => Step::Interpreter,
        SpawnStep::Scheduling => Step::Scheduling,
        SpawnStep::Capabilities => Step::Capabilities,
        SpawnStep::Directory => Step::Directory,
        SpawnStep::Stream => Step::Stream,
        SpawnStep::Mount => Step::Mount,
        SpawnStep::Network => Step::Network,
        SpawnStep::Root => Step::Root,
    }
}
