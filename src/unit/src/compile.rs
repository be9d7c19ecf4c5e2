//! One draft to one unit: what its values mean together, and who it runs as.

use std::ffi::CString;
use std::ops::Range;
use std::path::{Component, Path};
use std::rc::Rc;

use ettan_core::{Kind, Name, Restart, Unit};
use ettan_table::write::EntryLaunch;
use ettan_table::{Extra, MAX_ARGUMENTS, MAX_VARIABLES};

use crate::diagnostic::{Complaint, Diagnostic, Notes, Source};
use crate::document::{self, Content};
use crate::draft::{At, Draft, Type};
use crate::files::Found;
use crate::log;
use crate::reference::{Target, shown};
use crate::specifier::{HostName, Specifiers};
use crate::tree::resolve_inside;
use crate::users::{Identity, Users};
use crate::variables;

/// Where programs are searched by what units start, and by hints.
const PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A unit that can be used as far as its own file goes.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) unit: Unit,
    pub(crate) description: String,
    pub(crate) launch: Option<EntryLaunch>,
    pub(crate) after: Vec<At<Target>>,
    pub(crate) before: Vec<At<String>>,
    pub(crate) wants: Vec<At<String>>,
    pub(crate) requires: Vec<At<String>>,
    pub(crate) exec_span: Range<usize>,
    /// The PID file with its directory's links followed, as seen from inside the root.
    pub(crate) pid_file: Option<At<String>>,
    pub(crate) working_directory: Option<At<String>>,
    pub(crate) source: Rc<Source>,
}

/// What units are compiled for.
pub(crate) struct World<'a> {
    pub(crate) root: &'a Path,
    users: Users<'a>,
    host: HostName<'a>,
}

impl<'a> World<'a> {
    pub(crate) fn new(root: &'a Path) -> Self {
        Self { root, users: Users::new(root), host: HostName::new(root) }
    }
}

/// The unit in a file; None when something in it is an error.
pub(crate) fn compile(found: Found, world: &World<'_>) -> (Option<Compiled>, Vec<Diagnostic>) {
    let file = Content { name: found.file, bytes: found.bytes };
    let (draft, mut notes) = document::read(&found.name, file, found.drop_ins);
    let compiled = finish(&found.name, found.autostart, draft, world, &mut notes);
    let compiled = compiled.filter(|_| !notes.failed());
    (compiled, notes.finish())
}

fn finish(
    name: &str,
    autostart: bool,
    mut draft: Draft,
    world: &World<'_>,
    notes: &mut Notes,
) -> Option<Compiled> {
    let specifiers = Specifiers { unit: name, host: &world.host };
    let kind = draft.kind.unwrap_or(Type::Simple);
    warn_of_pointless(kind, &mut draft, notes);
    let pid_file = draft.pid_file.take().and_then(|path| pid_file(path, &specifiers, notes));
    let unit = policy(name, autostart, kind, &draft, notes)?;
    let launch = match kind {
        Type::Target => {
            refuse_in_target(&draft, notes);
            None
        }
        Type::Simple | Type::Forking | Type::Oneshot => {
            Some(launch(&mut draft, pid_file.as_ref(), &specifiers, world, notes)?)
        }
    };
    let resolved = pid_file.map(|At { span, value }| {
        let real = real_file(world.root, &value);
        At { span, value: real }
    });
    Some(Compiled {
        unit,
        description: draft.description.unwrap_or_default(),
        launch,
        after: draft.after,
        before: draft.before,
        wants: draft.wants,
        requires: draft.requires,
        exec_span: draft.exec_start.map_or(0..0, |exec| exec.span),
        pid_file: resolved,
        working_directory: draft.working_directory,
        source: Rc::clone(&notes.source),
    })
}

fn policy(
    name: &str,
    autostart: bool,
    kind: Type,
    draft: &Draft,
    notes: &mut Notes,
) -> Option<Unit> {
    let remain_after_exit = draft.remain_after_exit.as_ref().is_some_and(|at| at.value);
    let (kind, restart) = match kind {
        Type::Simple => (Kind::Simple, Restart::Always),
        Type::Forking => (Kind::Forking, Restart::Always),
        Type::Oneshot => (Kind::Oneshot { remain_after_exit }, Restart::No),
        Type::Target => (Kind::Target, Restart::No),
    };
    let delay = draft.restart_sec.as_ref().map_or(250, |at| at.value);
    let most = draft.restart_max_delay_sec.as_ref();
    if let Some(most) = most.filter(|most| most.value < delay) {
        notes.error_with(&most.span, "shorter than restart-sec", "the delay grows up to this");
    }
    Some(Unit {
        name: Name::try_from(name).ok()?,
        kind,
        restart: draft.restart.unwrap_or(restart),
        restart_delay_ms: delay,
        restart_delay_max_ms: most.map_or(30_000.max(delay), |most| most.value),
        min_uptime_ms: draft.min_uptime_sec.unwrap_or(1_000),
        start_timeout_ms: draft.timeout_start_sec.unwrap_or(30_000),
        stop_timeout_ms: draft.timeout_stop_sec.unwrap_or(10_000),
        kill_signal: draft.kill_signal.unwrap_or(15),
        autostart,
        builtin: false,
        fingerprint: 0,
    })
}

fn warn_of_pointless(kind: Type, draft: &mut Draft, notes: &mut Notes) {
    let word = match kind {
        Type::Simple => "simple",
        Type::Forking => "forking",
        Type::Oneshot => "oneshot",
        // There everything but `type` is an error.
        Type::Target => return,
    };
    let message = format!("without a meaning for type `{word}`");
    if kind != Type::Forking
        && let Some(path) = draft.pid_file.take()
    {
        notes.warning(&path.span, &*message, "type = \"forking\" reads it");
    }
    if kind != Type::Oneshot
        && let Some(remain) = &draft.remain_after_exit
    {
        notes.warning(&remain.span, &*message, "type = \"oneshot\" reads it");
    }
}

fn refuse_in_target(draft: &Draft, notes: &mut Notes) {
    for key in draft.service_keys.iter().filter(|key| key.value != "type") {
        let message = format!("`{}` in a target, which executes nothing", shown(&key.value));
        notes.error(&key.span, message);
    }
}

fn launch(
    draft: &mut Draft,
    pid_file: Option<&At<String>>,
    specifiers: &Specifiers<'_>,
    world: &World<'_>,
    notes: &mut Notes,
) -> Option<EntryLaunch> {
    let argv = command(draft.exec_start.as_ref(), specifiers, world, notes);
    let identity = identity(draft, &world.users, notes);
    let directory = draft.working_directory.as_ref();
    let directory = match directory {
        Some(path) => notes.take(&path.span, specifiers.expand(&path.value))?,
        None => "/".into(),
    };
    let tty = draft.tty_path.as_ref();
    let tty = tty.and_then(|path| notes.take(&path.span, specifiers.expand(&path.value)));
    let log = log::compile(&draft.log, specifiers, &world.users, notes);
    let identity = identity?;
    let (log, log_words) = log?;
    let envp = variables(draft, &identity, specifiers, world.root, notes);
    let mut extras = std::mem::take(&mut draft.extras);
    // Whoever is not root has no use for set-user-id programs, and crackers have.
    if draft.no_new_privileges.unwrap_or(identity.uid != 0) {
        extras.push(Extra::NoNewPrivileges);
    }
    Some(EntryLaunch {
        argv: argv?,
        envp,
        uid: identity.uid,
        gid: identity.gid,
        groups: identity.groups,
        working_directory: CString::new(directory).ok()?,
        umask: draft.umask.unwrap_or(0o022),
        pid_file: pid_file.and_then(|path| CString::new(path.value.as_str()).ok()),
        tty_path: tty.and_then(|path| CString::new(path).ok()),
        log,
        log_words,
        extras,
    })
}

fn command(
    exec: Option<&At<Vec<String>>>,
    specifiers: &Specifiers<'_>,
    world: &World<'_>,
    notes: &mut Notes,
) -> Option<Vec<CString>> {
    let Some(exec) = exec else {
        // A syntax error may have swallowed it; a wrong name for it was told.
        if !notes.has_syntax_errors() && !notes.guessed("`exec-start`") {
            let hint = "exec-start = \"/path/to/program arguments\" below [service]";
            notes.error_with(&(0..0), "`exec-start` is missing", hint);
        }
        return None;
    };
    let mut argv = Vec::new();
    for argument in &exec.value {
        let expanded = notes.take(&exec.span, specifiers.expand(argument))?;
        argv.push(CString::new(expanded).ok()?);
    }
    if notes.is_garbled(&exec.span) {
        return None;
    }
    let Some(program) = exec.value.first() else {
        // An empty list; when it had wrong items, that was said.
        if !notes.failed() {
            notes.error(&exec.span, "the command is empty");
        }
        return None;
    };
    notes.take(&exec.span, check_program(program, world.root))?;
    if argv.len() > MAX_ARGUMENTS {
        let message = format!("{} arguments, at most {MAX_ARGUMENTS}", argv.len());
        notes.error(&exec.span, message);
    }
    Some(argv)
}

fn check_program(program: &str, root: &Path) -> Result<(), Complaint> {
    if program.starts_with('/') {
        return Ok(());
    }
    let complaint =
        Complaint::new(format!("the program `{}` is not an absolute path", shown(program)));
    let bare = program.trim_start_matches(['-', '@', '+', '!', ':', '|']);
    if bare.len() != program.len() && bare.starts_with('/') {
        return Err(complaint.hint("prefixes as systemd has them are not supported"));
    }
    let mut places = PATH.iter().map(|directory| format!("{directory}/{program}"));
    let found = places.find(|path| {
        !program.is_empty()
            && crate::tree::resolve(root, Path::new(path)).is_ok_and(|path| path.is_file())
    });
    Err(match found {
        Some(path) => complaint.hint(format!("did you mean `{}`?", shown(&path))),
        None => complaint,
    })
}

fn identity(draft: &Draft, users: &Users<'_>, notes: &mut Notes) -> Option<Identity> {
    let group = draft.group.as_ref();
    let group = group.map(|group| (notes.take(&group.span, users.group_id(&group.value)), group));
    let identity = match &draft.user {
        Some(user) => notes.take(&user.span, users.user(&user.value, group.is_some())),
        None => notes.take(&(0..0), users.user("root", true)),
    };
    let identity = match group {
        None => identity,
        Some((gid, group)) => notes.take(&group.span, identity?.with_group(gid?)),
    };
    let more = draft.supplementary_groups.iter();
    let more: Vec<Option<u32>> =
        more.map(|group| notes.take(&group.span, users.group_id(&group.value))).collect();
    let place = draft.supplementary_groups.first().map_or(0..0, |group| group.span.clone());
    notes.take(&place, identity?.with_groups(more.into_iter().collect::<Option<_>>()?))
}

/// The standard ones, then the unit's own, which win: `environment`, then directories, then files.
fn variables(
    draft: &Draft,
    identity: &Identity,
    specifiers: &Specifiers<'_>,
    root: &Path,
    notes: &mut Notes,
) -> Vec<CString> {
    let mut list =
        vec![("PATH".to_string(), PATH.join(":")), ("HOME".to_string(), identity.home.clone())];
    if let Some(name) = &identity.name {
        list.extend([("USER".into(), name.clone()), ("LOGNAME".into(), name.clone())]);
    }
    let mut set = |name: &str, value: Option<String>| {
        list.retain(|(known, _)| known != name);
        list.extend(value.map(|value| (name.to_string(), value)));
    };
    for (name, value) in &draft.environment {
        set(name, notes.take(&value.span, specifiers.expand(&value.value)));
    }
    let files = draft.environment_files.iter().map(|path| (path, false));
    let directories = draft.environment_dirs.iter().map(|path| (path, true));
    for (At { span, value }, is_directory) in directories.chain(files) {
        let read = specifiers.expand(value).and_then(|path| match is_directory {
            true => variables::directory(root, &path),
            false => variables::file(root, &path),
        });
        for (name, value) in notes.take(span, read).unwrap_or_default() {
            set(&name, value);
        }
    }
    if list.len() > MAX_VARIABLES {
        let inline = draft.environment.first().map(|(_, value)| value);
        let files = draft.environment_files.first().or(draft.environment_dirs.first());
        let place = inline.or(files).map_or(0..0, |at| at.span.clone());
        let message = format!("{} variables, at most {MAX_VARIABLES}", list.len());
        notes.error(&place, message);
    }
    list.into_iter()
        .filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok())
        .collect()
}

/// Where a PID file may be (docs/adr/0003): PID 1 itself looks at it, and must not hang with a disk.
const IN_MEMORY: [&str; 4] = ["/run/", "/var/run/", "/tmp/", "/dev/shm/"];

fn pid_file(
    path: At<String>,
    specifiers: &Specifiers<'_>,
    notes: &mut Notes,
) -> Option<At<String>> {
    let At { span, value } = path;
    let expanded = specifiers.expand(&value).and_then(|path| {
        let dotted = Path::new(&path).components().any(|part| part == Component::ParentDir);
        if dotted || path.ends_with('/') || path.ends_with("/.") {
            let message = format!("`{}` does not plainly name a file", shown(&path));
            return Err(Complaint::new(message).hint("no `..`, and no `/` at the end"));
        }
        if !IN_MEMORY.iter().any(|place| path.starts_with(place)) {
            let message = format!("`{}` may be on a disk", shown(&path));
            return Err(Complaint::new(message)
                .hint("PID 1 looks at PID files only in /run, /tmp and /dev/shm"));
        }
        Ok(path)
    });
    notes.take(&span, expanded).map(|value| At { span, value })
}

/// The same file under the name that all who mean it share: `/var/run/x` is `/run/x`.
pub(crate) fn real_file(root: &Path, path: &str) -> String {
    let path = Path::new(path);
    let directory = path.parent().unwrap_or(Path::new("/"));
    let real = resolve_inside(root, directory).unwrap_or_else(|_| directory.into());
    // A root without its /var/run still has it once booted.
    let real =
        real.strip_prefix("/var/run").map_or(real.clone(), |rest| Path::new("/run").join(rest));
    real.join(path.file_name().unwrap_or_default()).to_string_lossy().into_owned()
}
