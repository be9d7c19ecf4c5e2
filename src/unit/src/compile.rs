//! One draft to one unit: what its values mean together, and who it runs as.

use std::ffi::CString;
use std::path::{Component, Path};
use std::rc::Rc;

use ettan_core::{Probes, Timer, Unit};
use ettan_table::write::EntryLaunch;
use ettan_table::{Extra, MAX_ARGUMENTS, MAX_VARIABLES};

use crate::asked::Asked;
use crate::diagnostic::{Complaint, Diagnostic, Notes, Source};
use crate::document::{self, Content};
use crate::draft::{At, Draft, Type};
use crate::files::Found;
use crate::hooks;
use crate::instances::{self, Instance, Others};
use crate::place;
use crate::policy::policy;
use crate::ready;
use crate::reference::{self, Target, shown};
use crate::specifier::{HostName, Specifiers};
use crate::tree::resolve_inside;
use crate::users::{Identity, Users};
use crate::variables;
use crate::{log, route};

/// Where programs are searched by what units start, and by hints.
pub const PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A unit that can be used as far as its own file goes.
#[derive(Debug)]
pub struct Compiled {
    /// What the core gets.
    pub unit: Unit,
    /// For people.
    pub description: String,
    /// What the child gets; a target has none.
    pub launch: Option<EntryLaunch>,
    /// Order only.
    pub after: Vec<At<Target>>,
    /// Order only, the other way around.
    pub before: Vec<At<String>>,
    /// Starts these too.
    pub wants: Vec<At<String>>,
    /// Starts these first.
    pub requires: Vec<At<String>>,
    /// Runs only with these.
    pub binds_to: Vec<At<Target>>,
    /// Stops and restarts with these.
    pub part_of: Vec<At<String>>,
    /// Is never up together with these.
    pub conflicts: Vec<At<String>>,
    /// Starts these when it fails.
    pub on_failure: Vec<At<String>>,
    /// Units that lines of the log start.
    pub alerts: Vec<At<String>>,
    /// The names of its log's routes.
    pub routes: Vec<At<String>>,
    /// The PID file with its directory's links followed, as seen from inside the root.
    pub pid_file: Option<At<String>>,
    /// What `ettan check` looks at.
    pub named: Named,
    /// The text it was read from.
    pub source: Rc<Source>,
    /// The name of the file that has this as one of its instances.
    pub group: Option<String>,
    /// When it is started by itself.
    pub timer: Option<Timer>,
}

/// What a unit names in the file system, and where it says what.
#[derive(Debug, Default)]
pub struct Named {
    /// Every command that is executed for the unit.
    pub commands: Vec<Command>,
    /// Every path but those of commands, by its key.
    pub paths: Vec<(&'static str, At<String>)>,
    /// The keys of `[service]` that the file has.
    pub keys: Vec<At<String>>,
    /// root-directory: where commands and what is entered are looked up.
    pub root: Option<String>,
    /// Directories that are made before each start.
    pub makes: Vec<String>,
}

/// A command that is executed for a unit.
#[derive(Debug)]
pub struct Command {
    /// Its key.
    pub key: &'static str,
    /// Its words, and where they stand.
    pub argv: At<Vec<String>>,
    /// Its failure is no failure.
    pub may_fail: bool,
    /// The prober executes it: not below the unit's root-directory, and not in its environment.
    pub is_probe: bool,
}

impl Named {
    /// The commands and paths of a draft: a key that names another one joins here.
    fn new(draft: &mut Draft, launch: Option<&EntryLaunch>, logs: Vec<At<String>>) -> Self {
        let text = |text: &CString| text.to_string_lossy().into_owned();
        let mut named = Self { keys: std::mem::take(&mut draft.service_keys), ..Self::default() };
        let Some(launch) = launch else { return named };
        if let Some(At { span, .. }) = &draft.exec_start {
            let argv = At { span: span.clone(), value: launch.argv.iter().map(text).collect() };
            let key = "exec-start";
            named.commands.push(Command { key, argv, may_fail: false, is_probe: false });
        }
        // What is wrong with one refuses the unit: they are the same ones in the same order.
        for ((stage, At { span, .. }), hook) in draft.hooks.iter().zip(&launch.hooks) {
            let argv = At { span: span.clone(), value: hook.argv.iter().map(text).collect() };
            let (key, may_fail) = (hooks::key(*stage), hook.may_fail);
            named.commands.push(Command { key, argv, may_fail, is_probe: false });
        }
        if let Some(At { span, .. }) = &draft.working_directory {
            let value = text(&launch.working_directory);
            named.paths.push(("working-directory", At { span: span.clone(), value }));
        }
        named.paths.extend(logs.into_iter().map(|at| ("directory", at)));
        named
    }
}

/// What units are compiled for.
pub(crate) struct World<'a> {
    pub(crate) root: &'a Path,
    asked: &'a Asked,
    users: Users<'a>,
    host: HostName<'a>,
}

impl<'a> World<'a> {
    /// `asked` says whether `root` is that of this machine, too.
    pub(crate) fn new(root: &'a Path, asked: &'a Asked) -> Self {
        Self { root, asked, users: Users::new(root), host: HostName::new(root) }
    }

    pub(crate) const fn host(&self) -> &HostName<'a> {
        &self.host
    }
}

/// What a file makes.
pub(crate) struct Made {
    /// The unit, or the instances of the file, by name; None where something is an error.
    pub(crate) units: Vec<(String, Option<Compiled>)>,
    /// Whether those are instances.
    pub(crate) is_group: bool,
    pub(crate) said: Vec<Diagnostic>,
}

/// The unit in a file, or its instances: each is read anew, as if the file stood there under its
/// name.
pub(crate) fn compile(found: Found, world: &World<'_>, others: &mut Others) -> Made {
    let read = |name: &str| {
        let file = Content { name: found.file.clone(), bytes: found.bytes.clone() };
        document::read(name, file, found.drop_ins.clone())
    };
    let (draft, mut notes) = read(&found.name);
    let list = instances::of(&found.name, &draft, world, others, &mut notes);
    let list = match list {
        // What is wrong with the file is told of the file.
        Some(list) if !notes.failed() => list,
        Some(_) | None => {
            let number = draft.instances.as_ref().map(|_| "0");
            let who = Who { file: &found.name, name: &found.name, number };
            let compiled = finish(&who, found.autostart, draft, world, &mut notes);
            let compiled = compiled.filter(|_| !notes.failed());
            let (units, said) = (vec![(found.name.clone(), compiled)], notes.finish());
            return Made { units, is_group: false, said };
        }
    };
    let mut made = Made { units: Vec::new(), is_group: true, said: Vec::new() };
    for Instance { name, number } in list {
        let (draft, mut notes) = read(&name);
        let who = Who { file: &found.name, name: &name, number: Some(&number) };
        let compiled = finish(&who, found.autostart, draft, world, &mut notes);
        let compiled = compiled.filter(|_| !notes.failed());
        made.said.extend(notes.finish());
        made.units.push((name, compiled));
    }
    made
}

/// Which unit of a file.
struct Who<'a> {
    /// The file's name without `.toml`.
    file: &'a str,
    /// The unit's: the same, but for instances.
    name: &'a str,
    /// Among the instances.
    number: Option<&'a str>,
}

fn finish(
    who: &Who<'_>,
    autostart: bool,
    mut draft: Draft,
    world: &World<'_>,
    notes: &mut Notes,
) -> Option<Compiled> {
    let name = who.name;
    let mut specifiers = Specifiers::of(name, &world.host);
    if who.number.is_some() {
        (specifiers.prefix, specifiers.instance) = (who.file, who.number);
    }
    let kind = draft.kind.unwrap_or(Type::Simple);
    warn_of_pointless(kind, &mut draft, notes);
    let pid_file = draft.pid_file.take().and_then(|path| pid_file(path, &specifiers, notes));
    let unit = policy(name, autostart, kind, &draft, notes)?;
    let timer = draft.timer.compile(kind, draft.remain_after_exit.as_ref(), world.root, notes);
    draft.place.stamped = timer.is_some_and(|timer| timer.persistent);
    draft.conditions.expand(&specifiers, notes);
    for At { span, value } in draft.after.iter_mut().chain(&mut draft.binds_to) {
        if let Some(expanded) = notes.take(span, reference::expanded(value.clone(), &specifiers)) {
            *value = expanded;
        }
    }
    let skipped = draft.conditions.skip(world.root, world.asked, notes);
    let mut probes = Probes::Nothing;
    let mut looks = Vec::new();
    let launch = match kind {
        Type::Target => {
            refuse_in_target(&draft, notes);
            draft.ready.refuse(notes);
            None
        }
        Type::Simple | Type::Notify | Type::NotifyReload | Type::Forking | Type::Oneshot => {
            let pid_file = pid_file.as_ref();
            let (launch, ready) =
                launch(kind, name, &mut draft, pid_file, &specifiers, world, notes)?;
            (probes, looks) = (ready.probes, ready.commands);
            Some(launch)
        }
    };
    let logs = log::disk_directories(&draft.log, &specifiers);
    let mut named = Named::new(&mut draft, launch.as_ref(), logs);
    named.commands.append(&mut looks);
    named.makes = draft.place.paths(&specifiers).collect();
    named.paths.append(&mut draft.place.written(&specifiers));
    named.root = draft.place.root.and_then(|at| specifiers.expand(&at.value).ok());
    let resolved = pid_file.map(|At { span, value }| {
        let real = real_file(world.root, &value);
        At { span, value: real }
    });
    Some(Compiled {
        unit: Unit { probes, skipped, ..unit },
        description: draft.description.unwrap_or_default(),
        launch,
        after: draft.after,
        before: draft.before,
        wants: draft.wants,
        requires: draft.requires,
        binds_to: draft.binds_to,
        part_of: draft.part_of,
        conflicts: draft.conflicts,
        on_failure: draft.on_failure,
        alerts: route::alerts(&draft.log.routes),
        routes: route::names(&draft.log.routes),
        pid_file: resolved,
        named,
        source: Rc::clone(&notes.source),
        group: (who.file != name).then(|| who.file.to_string()),
        timer,
    })
}

fn warn_of_pointless(kind: Type, draft: &mut Draft, notes: &mut Notes) {
    let word = match kind {
        Type::Simple => "simple",
        Type::Notify => "notify",
        Type::NotifyReload => "notify-reload",
        Type::Forking => "forking",
        Type::Oneshot => "oneshot",
        // There everything but `type` is an error.
        Type::Target => return,
    };
    let message = format!("has no effect for type `{word}`");
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
    if kind == Type::Oneshot
        && let Some(signal) = draft.reload_signal.take()
    {
        let hint = "when it is up, its process has ended: `exec-reload` is a command";
        notes.warning(&signal.span, message, hint);
    }
}

fn refuse_in_target(draft: &Draft, notes: &mut Notes) {
    for key in draft.service_keys.iter().filter(|key| key.value != "type") {
        let message = format!("`{}` in a target, which executes nothing", shown(&key.value));
        notes.error(&key.span, message);
    }
}

fn launch(
    kind: Type,
    name: &str,
    draft: &mut Draft,
    pid_file: Option<&At<String>>,
    specifiers: &Specifiers<'_>,
    world: &World<'_>,
    notes: &mut Notes,
) -> Option<(EntryLaunch, ready::Compiled)> {
    let argv = command(draft.exec_start.as_ref(), specifiers, world, notes);
    let hooks = hooks::compile(&draft.hooks, specifiers, world, notes);
    let identity = identity(draft, &world.users, notes);
    let directory = draft.working_directory.as_ref();
    let directory = match directory {
        Some(path) => notes.take(&path.span, specifiers.expand(&path.value)),
        None => Some("/".into()),
    };
    let log = log::compile(&draft.log, specifiers, &world.users, notes);
    let envp = variables(kind, draft, identity.as_ref(), specifiers, world, notes);
    // Only now: whatever is missing or wrong was told at once.
    let (identity, directory) = (identity?, directory?);
    let (log, log_words) = log?;
    let ready = ready::compile(kind, draft, &identity, specifiers, notes)?;
    let mut extras = std::mem::take(&mut draft.extras);
    // Whoever is not root has no use for set-user-id programs, and crackers have.
    if draft.no_new_privileges.unwrap_or(identity.uid != 0) {
        extras.push(Extra::NoNewPrivileges);
    }
    let umask = draft.umask.unwrap_or(0o022);
    extras.extend(ready.descriptor.map(Extra::ReadyFd));
    let base = place::Base {
        unit: name,
        identity: &identity,
        umask,
        working_directory: &directory,
        extras: &extras,
        specifiers,
    };
    let place = draft.place.compile(draft.tty_path.as_ref(), &base, notes)?;
    extras.extend(place.extras);
    let launch = EntryLaunch {
        argv: argv?,
        envp,
        uid: identity.uid,
        gid: identity.gid,
        groups: identity.groups,
        working_directory: CString::new(directory).ok()?,
        umask,
        pid_file: pid_file.and_then(|path| CString::new(path.value.as_str()).ok()),
        tty_path: place.tty_path.and_then(|path| CString::new(path).ok()),
        log,
        log_words,
        probe_words: ready.words.clone(),
        extras,
        place: place.words,
        hooks,
    };
    Some((launch, ready))
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

pub(crate) fn check_program(program: &str, root: &Path) -> Result<(), Complaint> {
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
    let more = draft.supplementary_groups.iter();
    let more: Vec<Option<u32>> =
        more.map(|group| notes.take(&group.span, users.group_id(&group.value))).collect();
    let identity = match group {
        None => identity,
        Some((gid, group)) => notes.take(&group.span, identity?.with_group(gid?)),
    };
    let place = draft.supplementary_groups.first().map_or(0..0, |group| group.span.clone());
    notes.take(&place, identity?.with_groups(more.into_iter().collect::<Option<_>>()?))
}

/// The standard ones, then the unit's own, which win: `environment`, then directories, then files. Last
/// what is asked for this boot.
fn variables(
    kind: Type,
    draft: &Draft,
    identity: Option<&Identity>,
    specifiers: &Specifiers<'_>,
    world: &World<'_>,
    notes: &mut Notes,
) -> Vec<CString> {
    let mut list = vec![("PATH".to_string(), PATH.join(":"))];
    list.extend(identity.map(|identity| ("HOME".to_string(), identity.home.clone())));
    if let Some(name) = identity.and_then(|identity| identity.name.as_ref()) {
        list.extend([("USER".into(), name.clone()), ("LOGNAME".into(), name.clone())]);
    }
    list.extend(draft.place.variables(specifiers));
    list.extend(ready::environment(kind, draft));
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
            true => variables::directory(world.root, &path),
            false => variables::file(world.root, &path),
        });
        for (name, value) in notes.take(span, read).unwrap_or_default() {
            set(&name, value);
        }
    }
    for variable in world.asked.variables_of(specifiers) {
        set(&variable.name, Some(variable.value.clone()));
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
