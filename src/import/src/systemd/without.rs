//! Directives that have no counterpart, and why.

const SANDBOX: &str = "this part of systemd's sandbox does not exist here";
const CREDENTIALS: &str = "there are no credentials: use a file that only the user can read";
const RESOURCES: &str = "cgroups give memory, tasks and processor time only";
const SCHEDULING: &str = "of scheduling there are nice, io-scheduling-class and cpu-affinity";
const JOURNAL: &str = "the log belongs to the unit, and [log] says how it is kept";
const PROPAGATION: &str = "nothing is passed on between units but start, stop and restart";
const CONDITION: &str = "the unit is started also where this does not hold";
const ASSERTION: &str = "the unit is started also where this does not hold, and does not fail";
const SOCKET: &str = "there is no socket activation: the service opens its own socket";
const DIRECTORY: &str = "make the directory in the image, or in a oneshot before";
const MANAGER: &str = "this is about systemd itself";
const TERMINAL: &str = "of terminals there is tty-path";
const MOUNTS: &str = "the service sees the file systems of the machine";
const STOPPING: &str = "a stop sends kill-signal, and KILL after timeout-stop-sec";

/// Directives by the beginning of their name, or by the whole of it (`=` at the end).
const WHY: &[(&str, &str)] = &[
    ("Condition", CONDITION),
    ("Assert", ASSERTION),
    ("Protect", SANDBOX),
    ("Private", SANDBOX),
    ("Restrict", SANDBOX),
    ("SystemCall", SANDBOX),
    ("Lock", SANDBOX),
    ("MemoryDenyWriteExecute=", SANDBOX),
    ("SecureBits=", SANDBOX),
    ("KeyringMode=", SANDBOX),
    ("RemoveIPC=", SANDBOX),
    ("ReadOnly", SANDBOX),
    ("ReadWrite", SANDBOX),
    ("Inaccessible", SANDBOX),
    ("ExecPaths=", SANDBOX),
    ("NoExecPaths=", SANDBOX),
    ("ProcSubset=", SANDBOX),
    ("IPAddress", SANDBOX),
    ("IPAccounting=", RESOURCES),
    ("Device", SANDBOX),
    ("AppArmorProfile=", SANDBOX),
    ("SELinuxContext=", SANDBOX),
    ("SmackProcessLabel=", SANDBOX),
    ("NetworkNamespacePath=", SANDBOX),
    ("Personality=", SANDBOX),
    ("BindPaths=", MOUNTS),
    ("BindReadOnlyPaths=", MOUNTS),
    ("TemporaryFileSystem=", MOUNTS),
    ("MountFlags=", MOUNTS),
    ("MountAPIVFS=", MOUNTS),
    ("RootImage", MOUNTS),
    ("RootHash", MOUNTS),
    ("ExtensionImages=", MOUNTS),
    ("LoadCredential", CREDENTIALS),
    ("SetCredential", CREDENTIALS),
    ("ImportCredential", CREDENTIALS),
    ("IO", RESOURCES),
    ("BlockIO", RESOURCES),
    ("StartupCPU", RESOURCES),
    ("AllowedCPUs=", SCHEDULING),
    ("AllowedMemoryNodes=", RESOURCES),
    ("Memory", RESOURCES),
    ("ManagedOOM", RESOURCES),
    ("Tasks", RESOURCES),
    ("Slice=", "each unit has a cgroup of its own"),
    ("Delegate=", "the cgroup below a unit is its own to use"),
    ("DisableControllers=", RESOURCES),
    ("CPUScheduling", SCHEDULING),
    ("CPU", RESOURCES),
    ("NUMA", SCHEDULING),
    ("TimerSlackNSec=", SCHEDULING),
    ("CoredumpFilter=", "write it to /proc/self/coredump_filter in a wrapper"),
    ("OOMPolicy=", "when one process is killed, the rest of the unit goes on"),
    ("Log", JOURNAL),
    ("Syslog", JOURNAL),
    ("TTY", TERMINAL),
    ("Utmp", "there is no utmp"),
    ("PropagatesReloadTo=", PROPAGATION),
    ("ReloadPropagatedFrom=", PROPAGATION),
    ("PropagatesStopTo=", PROPAGATION),
    ("StopPropagatedFrom=", PROPAGATION),
    ("JoinsNamespaceOf=", SANDBOX),
    ("Upholds=", "`wants` starts it once; its own `restart` keeps it up"),
    ("OnSuccess", "only `on-failure` starts another unit"),
    ("OnFailureJobMode=", MANAGER),
    ("IgnoreOnIsolate=", MANAGER),
    ("StopWhenUnneeded=", "a unit is stopped by people, or with what it requires"),
    ("RefuseManual", "root may start and stop every unit"),
    ("AllowIsolate=", MANAGER),
    ("CollectMode=", MANAGER),
    ("Job", "`timeout-start-sec` bounds a start"),
    ("FailureAction", "`start-limit-action` is what there is"),
    ("SuccessAction", "a unit that has ended well leads to nothing"),
    ("RebootArgument=", MANAGER),
    ("SourcePath=", MANAGER),
    ("SurviveFinalKillSignal=", STOPPING),
    ("Sockets=", SOCKET),
    ("Listen", SOCKET),
    ("Accept=", SOCKET),
    ("FileDescriptorStoreMax=", "PID 1 keeps no descriptors of services"),
    ("USBFunction", SOCKET),
    ("BusName=", "the unit is up before its name is on the bus"),
    ("NotifyAccess=", "messages are taken from every process of the unit"),
    ("NonBlocking=", SOCKET),
    ("GuessMainPID=", "without a PID file the only process that is left is the main one"),
    ("RestartForceExitStatus=", "`restart` decides"),
    ("RestartMode=", "units that require this one are stopped and come back"),
    ("RestartSteps=", "the delay between restarts doubles by itself"),
    ("RootDirectoryStartOnly=", MOUNTS),
    (
        "PermissionsStartOnly=",
        "hooks run as the unit's user: make it a oneshot of root's before this unit",
    ),
    ("ExecCondition=", "the unit is started also where this fails"),
    ("TimeoutAbortSec=", STOPPING),
    ("TimeoutStartFailureMode=", STOPPING),
    ("TimeoutStopFailureMode=", STOPPING),
    ("RuntimeMaxSec=", "a service may run for ever"),
    ("RuntimeRandomizedExtraSec=", "a service may run for ever"),
    ("FinalKillSignal=", STOPPING),
    ("RestartKillSignal=", STOPPING),
    ("WatchdogSignal=", STOPPING),
    ("SendSIGHUP=", STOPPING),
    ("RuntimeDirectory", DIRECTORY),
    ("StateDirectory", DIRECTORY),
    ("CacheDirectory", DIRECTORY),
    ("LogsDirectory", DIRECTORY),
    ("ConfigurationDirectory", DIRECTORY),
    ("PAMName=", "PAM is not asked: there is no session"),
    ("PassEnvironment=", "PID 1 has no environment to pass on"),
    ("UnsetEnvironment=", "nothing is passed on that was not set"),
    ("IgnoreSIGPIPE=", "PIPE is as it was: it ends a process that has not said otherwise"),
    ("X-", "systemd does not know it either"),
    ("NetClass=", RESOURCES),
    ("SysVStartPriority=", MANAGER),
];

/// Why this directive has no key.
pub(crate) fn why(section: &str, name: &str) -> &'static str {
    let found = WHY.iter().find(|(pattern, _)| match pattern.strip_suffix('=') {
        Some(whole) => whole == name,
        None => name.starts_with(pattern),
    });
    match (section, found) {
        _ if name.is_empty() => "this line is no directive",
        (_, Some((_, why))) => why,
        ("", None) => "it stands outside of a section",
        _ => "Ettan does not know this directive",
    }
}
