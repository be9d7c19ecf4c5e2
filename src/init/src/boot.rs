//! Makes the machine fit to run units: signals, file systems, limits, loopback, host name. Each
//! step may fail; the machine goes on with what it has and says so.

use ettan_sys::{Errno, cgroup, host, kernel, limits, mount, netlink, reboot, signals};
use std::sync::atomic::{AtomicBool, Ordering};

/// What boot found out, for the rest of PID 1.
pub(crate) struct Ground {
    /// Signals arrive here.
    pub(crate) signals: Option<signals::Signals>,
    /// Why they do not.
    pub(crate) no_signals: Option<Errno>,
    /// The cgroup v2 tree, if the kernel has one.
    pub(crate) cgroups: Option<cgroup::Tree>,
    /// File systems that could not be mounted.
    refused: heapless::Vec<(&'static core::ffi::CStr, Errno), 8>,
}

/// Two for each of 1,024 units' pipes, and two more where errors are kept apart, as for 64 that are
/// gone; one while each is prepared, one for what it says of being ready; and some for ourselves.
const DESCRIPTORS: u64 = 6 * 1_024 + 4 * 64 + 128;

static OWNS_MACHINE: AtomicBool = AtomicBool::new(false);

/// False in a container: what PID 1 does to the whole machine is then somebody else's business.
pub(crate) fn owns_machine() -> bool {
    OWNS_MACHINE.load(Ordering::Relaxed)
}

/// The inode of the first PID namespace is fixed (`PROC_PID_INIT_INO` of the kernel).
pub(crate) fn is_first_pid_namespace() -> bool {
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == "pid:[4026531836]")
}

/// The kernel's command line, as far as it concerns us: not in a container. Allocates: for helpers.
pub(crate) fn command_line() -> Option<Vec<u8>> {
    let mut line = [0; crate::kernel_words::COMMAND_LINE];
    let read = || host::kernel_command_line(&mut line).ok().map(<[u8]>::to_vec);
    is_first_pid_namespace().then(read).flatten()
}

/// Before anything can be logged. Descriptors 0 to 2 are open since `sys::entry`. `is_first`: no
/// execution of PID 1 was before this one.
pub(crate) fn before_logging(is_first: bool) -> Ground {
    ettan_sys::entry::keep();
    // First of all: from here on no signal is lost, and none takes its default way.
    signals::reset_dispositions();
    let signals = signals::block_all();
    let mut refused = heapless::Vec::new();
    if is_first {
        mount::mount_api_fs(&mut |place, result| {
            if let Err(errno) = result {
                let _ = refused.push((place, errno));
            }
        });
        mount::furnish();
    }
    let _ = limits::raise_nofile(DESCRIPTORS);
    // In a container that may not, PID 1 takes its turn like everybody.
    let _ = limits::hurry(NICE);
    OWNS_MACHINE.store(is_first_pid_namespace(), Ordering::Relaxed);
    ettan_sys::reexec::learn_container();
    let no_signals = signals.as_ref().err().copied();
    Ground { signals: signals.ok(), no_signals, cgroups: None, refused }
}

/// Before whatever its services do: a busy machine would else leave exits unreaped for a second. What
/// PID 1 takes itself is next to nothing.
const NICE: i8 = -10;

/// Seconds between a kernel panic and the restart.
const PANIC_RESTART_S: u8 = 10;

/// From /etc/hostname; without one the kernel's name stays.
fn set_host_name() {
    let mut text = [0; host::MAX_HOSTNAME + 2];
    let Ok(text) = host::read_file(c"/etc/hostname", &mut text) else { return };
    let Some(name) = host::parse_hostname(text) else {
        log::warn!("/etc/hostname: not a host name of at most {} bytes", host::MAX_HOSTNAME);
        return;
    };
    if let Err(errno) = host::set_hostname(name) {
        log::warn!("host name cannot be set: {errno}");
    }
}

/// With logging: everything worth a word when it fails.
pub(crate) fn after_logging(ground: &mut Ground, is_first: bool) {
    if is_first {
        log::info!("Ettan {} is PID 1", crate::VERSION);
    }
    for (place, errno) in &ground.refused {
        log::warn!("{}: cannot be mounted: {errno}", place.to_string_lossy());
    }
    ground.cgroups = cgroup::Tree::find(cgroup::BASE);
    if !is_first {
        return;
    }
    for about in kernel::FEATURES.iter().filter(|about| !kernel::has(about.feature)) {
        let kernel::About { name, since, instead, .. } = about;
        log::warn!("kernel: no {name} (Linux {since}): {instead}");
    }
    if let Err(errno) = netlink::loopback_up() {
        log::warn!("loopback interface stays down: {errno}");
    }
    set_host_name();
    // Ctrl-Alt-Del becomes SIGINT to us. In a PID namespace the kernel answers EINVAL.
    if let Err(errno) = reboot::catch_ctrl_alt_del()
        && owns_machine()
    {
        log::warn!("Ctrl-Alt-Del cannot be caught: {errno}");
    }
    if owns_machine() {
        let _ = mount::make_shared();
        // A kernel panic would otherwise wait for somebody to pull the plug (`tests/FAULTS.md` 3.14).
        let _ = host::restart_after_panic(PANIC_RESTART_S);
        // With them `nice` says nothing between two services.
        let _ = host::switch_autogroup_off();
    }
}
