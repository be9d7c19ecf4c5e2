//! What PID 1 and the prober tell each other: of each unit how far it is, and what came of looking.
//! Holds the socket of sd_notify, so that a prober that ends loses no message. Looks at nothing.

use crate::channel::{Channel, Sent};
use crate::tables::Tables;
use core::ffi::CStr;
use core::fmt::Write as _;
use ettan_core::{MAX_UNITS, Pid, Probes, Remedy, State, Supervisor, UnitId};
use ettan_sys::{Errno, OwnedFd, pipe, socket};
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, MutexGuard};

/// Where services say that they are ready, and that they live (sd_notify(3)).
const NOTIFY: &CStr = c"/run/ettan/notify";
const NOTIFY_MODE: u32 = 0o666;

/// The longest packet to the prober and from it, as it has them.
const PACKET_MAX: usize = 4096;
const ANSWER_MAX: usize = 512;

/// Answers taken in one turn; the rest wait for the next, so that signals and clients have their turn.
const ANSWERS: usize = 32;

/// The longest path of a ready pipe: 24 bytes around a name of 64, and the NUL.
const PIPE_PATH: usize = 96;

/// What the prober said of one unit.
pub(crate) struct Told {
    unit: UnitId,
    /// What is awaited before it is ready; why it does not work.
    pub(crate) why: heapless::String<192>,
    /// What it says of itself.
    pub(crate) status: heapless::String<256>,
    /// Our end of the pipe that it writes a newline to, so that a prober that ends loses nothing.
    pipe: Option<OwnedFd>,
    /// It was found running, and is taken for ready.
    adopted: bool,
    /// Whom it said to be its main process, and who is the main process's child as yet: its end
    /// would not be told to us.
    heir: Option<Pid>,
}

/// One of each unit at the most. Static, so that what is not used is never touched.
type Tales = heapless::Vec<Told, MAX_UNITS>;
static TALES: Mutex<Tales> = Mutex::new(Tales::new());

/// The prober's socket, the services' socket, and what is not told yet.
pub(crate) struct Probing {
    pub(crate) prober: Channel,
    notify: Option<OwnedFd>,
    /// Device and inode of that one's file.
    notify_file: Option<(u64, u64)>,
    is_notify_shown: bool,
    /// Units of which the prober does not know how they are now. Its memory is taken at boot.
    stale: Vec<bool>,
    /// Units that the prober was told of.
    known: Vec<bool>,
    has_stale: bool,
    /// It was told something since `take_progress`.
    progress: bool,
    tales: MutexGuard<'static, Tales>,
}

/// What the prober says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Announced,
    Ready,
    Extend(u64),
    /// Its reload, which began at this time.
    Reloaded(u64),
    Main(Pid),
    Health(Option<Remedy>),
    /// Words, which are kept.
    Words,
}

impl Probing {
    /// Takes over the socket of sd_notify that the execution before had, and the prober's; without
    /// it, [`Probing::mend`] makes one. Allocates; to be called once.
    pub(crate) fn new(notify: Option<OwnedFd>, prober: Option<OwnedFd>) -> Self {
        let notify_file = notify.as_ref().and_then(|_| file_at(NOTIFY));
        let tales = TALES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let again = prober.is_some();
        let nobody = || {
            let mut list = Vec::with_capacity(MAX_UNITS);
            list.resize(MAX_UNITS, again);
            list
        };
        Self {
            prober: Channel::over(prober),
            notify,
            notify_file,
            is_notify_shown: again,
            stale: nobody(),
            known: nobody(),
            has_stale: again,
            progress: false,
            tales,
        }
    }

    /// Makes the socket of sd_notify where there is none, also when somebody deleted its file.
    ///
    /// # Errors
    /// The kernel's answer; what is there stays.
    pub(crate) fn mend(&mut self) -> Result<(), Errno> {
        if self.notify.is_some()
            && self.notify_file.is_some()
            && file_at(NOTIFY) == self.notify_file
        {
            return Ok(());
        }
        // Already there, mostly; else the reason shows at the socket.
        let _ = std::fs::create_dir("/run/ettan");
        self.notify = Some(socket::datagram_listen(NOTIFY, NOTIFY_MODE)?);
        self.notify_file = file_at(NOTIFY);
        (self.is_notify_shown, self.has_stale) = (false, true);
        Ok(())
    }

    /// The socket of sd_notify.
    pub(crate) fn notify(&self) -> Option<BorrowedFd<'_>> {
        self.notify.as_ref().map(AsFd::as_fd)
    }

    /// A new prober is about to start: makes its socket and returns the prober's end. It is told
    /// everything.
    ///
    /// # Errors
    /// The kernel's answer to socketpair(2).
    pub(crate) fn new_prober(&mut self) -> Result<OwnedFd, Errno> {
        let theirs = self.prober.renew()?;
        self.is_notify_shown = false;
        self.stale.fill(true);
        self.known.fill(false);
        self.has_stale = true;
        Ok(theirs)
    }

    /// The prober is to be told how this unit is.
    pub(crate) fn note(&mut self, unit: UnitId) {
        if let Some(stale) = self.stale.get_mut(usize::from(unit.0)) {
            *stale = true;
            self.has_stale = true;
        }
    }

    /// The prober is to be told of all: other words may be in force.
    pub(crate) fn note_all(&mut self) {
        self.stale.fill(true);
        self.has_stale = true;
    }

    /// Something waits for room in the prober's socket.
    pub(crate) fn has_news(&self) -> bool {
        self.has_stale && self.prober.may_send()
    }

    /// Whether the prober was told something since this was asked the last time.
    pub(crate) const fn take_progress(&mut self) -> bool {
        core::mem::replace(&mut self.progress, false)
    }

    /// Tells what is not told yet, as far as the prober takes it.
    ///
    /// # Errors
    /// The kernel has no memory for it, for example: nothing is told until [`Channel::try_again`].
    pub(crate) fn tell(
        &mut self,
        supervisor: &Supervisor,
        tables: &Tables,
        cookie: impl Fn(UnitId) -> u64,
    ) -> Result<(), Errno> {
        if let Some(errno) = self.prober.rests() {
            return Err(errno);
        }
        if !self.has_stale || !self.prober.is_open() {
            return Ok(());
        }
        if !self.is_notify_shown
            && let Some(notify) = &self.notify
        {
            if self.prober.send(b"notify", Some(notify.as_fd()))? == Sent::NotNow {
                return Ok(());
            }
            self.is_notify_shown = true;
        }
        let places = self.stale.iter_mut().zip(self.known.iter_mut());
        for (id, (stale, known)) in (0..).map(UnitId).zip(places).filter(|(_, (stale, _))| **stale)
        {
            let mut packet = heapless::Vec::<u8, PACKET_MAX>::new();
            let is_of_interest = describe(supervisor, tables, id, cookie(id), &mut packet);
            let is_told = is_of_interest || *known;
            if is_told && !packet.is_empty() && self.prober.send(&packet, None)? == Sent::NotNow {
                return Ok(());
            }
            if !is_of_interest
                && let Some(tale) = self.tales.iter_mut().find(|tale| tale.unit == id)
            {
                // Nobody writes to it any more.
                tale.pipe = None;
            }
            (*stale, *known) = (false, is_of_interest);
            self.progress = true;
        }
        self.has_stale = false;
        Ok(())
    }

    /// Takes what the prober says, a bounded number of packets, and gives each to `heard`. What is
    /// of a former run is dropped.
    pub(crate) fn hear(
        &mut self,
        supervisor: &Supervisor,
        cookie: impl Fn(UnitId) -> u64,
        heard: &mut dyn FnMut(UnitId, Answer),
    ) {
        for _ in 0..ANSWERS {
            let mut buffer = [0; ANSWER_MAX];
            let Some(length) = self.prober.receive(&mut buffer) else { return };
            let text = buffer.get(..length).and_then(|bytes| core::str::from_utf8(bytes).ok());
            if let Some((unit, answer)) =
                text.and_then(|text| self.understand(text, supervisor, &cookie))
            {
                heard(unit, answer);
            }
        }
    }

    fn understand(
        &mut self,
        text: &str,
        supervisor: &Supervisor,
        cookie: &impl Fn(UnitId) -> u64,
    ) -> Option<(UnitId, Answer)> {
        let mut words = text.splitn(4, ' ');
        let (verb, name, run) = (words.next()?, words.next()?, words.next()?);
        let more = words.next().unwrap_or("");
        let unit = supervisor.find(name)?;
        if u64::from_str_radix(run, 16).ok()? != cookie(unit) {
            return None;
        }
        let answer = match verb {
            "announced" => Answer::Announced,
            "ready" => {
                if let Some(tale) = self.tale(unit) {
                    (tale.pipe, tale.why) = (None, heapless::String::new());
                }
                Answer::Ready
            }
            "reloaded" => Answer::Reloaded(more.parse().ok()?),
            "extend" => Answer::Extend(more.parse().ok()?),
            "main" => Answer::Main(Pid::new(more.parse().ok()?).filter(|pid| pid.raw() > 1)?),
            "well" => {
                self.tale(unit)?.why.clear();
                Answer::Health(None)
            }
            "unwell" => {
                let (remedy, why) = more.split_once(' ').unwrap_or((more, ""));
                put(&mut self.tale(unit)?.why, why);
                Answer::Health(Some(match remedy {
                    "restart" => Remedy::Restart,
                    "abort" => Remedy::Abort,
                    "reboot" => Remedy::Reboot,
                    _ => Remedy::Tell,
                }))
            }
            "wait" => {
                put(&mut self.tale(unit)?.why, more);
                Answer::Words
            }
            "status" => {
                put(&mut self.tale(unit)?.status, more);
                Answer::Words
            }
            _ => return None,
        };
        Some((unit, answer))
    }

    /// A new run of this unit begins: nothing was said of it. Adopted: it runs already.
    pub(crate) fn begin(&mut self, unit: UnitId, adopted: bool) {
        if let Some(tale) = self.tale(unit) {
            (tale.pipe, tale.adopted, tale.heir) = (None, adopted, None);
            tale.why.clear();
            tale.status.clear();
        }
    }

    /// The pipe that this unit is to write a newline to.
    ///
    /// # Errors
    /// The prober could not make it; EMFILE.
    pub(crate) fn ready_pipe(&mut self, unit: UnitId, name: &str) -> Result<BorrowedFd<'_>, Errno> {
        let mut path = heapless::Vec::<u8, PIPE_PATH>::new();
        for part in [b"/run/ettan/probe/", name.as_bytes(), b"/ready\0"] {
            path.extend_from_slice(part).map_err(|_| Errno::NAMETOOLONG)?;
        }
        let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::INVAL)?;
        let end = pipe::open_named(path)?;
        let tale = self.tale(unit).ok_or(Errno::NOSPC)?;
        let end: &OwnedFd = tale.pipe.insert(end);
        Ok(end.as_fd())
    }

    /// This process is to be the unit's main one once it is our child.
    pub(crate) fn put_heir(&mut self, unit: UnitId, pid: Option<Pid>) {
        if let Some(tale) = self.tale(unit) {
            tale.heir = pid;
        }
    }

    /// Takes the one that [`Probing::put_heir`] has kept.
    pub(crate) fn take_heir(&mut self, unit: UnitId) -> Option<Pid> {
        self.tales.iter_mut().find(|tale| tale.unit == unit)?.heir.take()
    }

    /// A unit that waits to be ready and was found running.
    pub(crate) fn next_adopted(&mut self, supervisor: &Supervisor) -> Option<UnitId> {
        let waits = |unit| {
            supervisor.view(unit).is_some_and(|view| matches!(view.state, State::Awaiting { .. }))
        };
        let tale = self.tales.iter_mut().find(|tale| tale.adopted && waits(tale.unit))?;
        tale.adopted = false;
        Some(tale.unit)
    }

    /// What the prober said of this unit.
    pub(crate) fn told(&self, unit: UnitId) -> Option<&Told> {
        self.tales.iter().find(|tale| tale.unit == unit)
    }

    /// None only when there are more units than there can be.
    fn tale(&mut self, unit: UnitId) -> Option<&mut Told> {
        let at = match self.tales.iter().position(|tale| tale.unit == unit) {
            Some(at) => at,
            None => {
                let (why, status) = (heapless::String::new(), heapless::String::new());
                let fresh = Told { unit, why, status, pipe: None, adopted: false, heir: None };
                self.tales.push(fresh).ok()?;
                self.tales.len().saturating_sub(1)
            }
        };
        self.tales.get_mut(at)
    }
}

fn file_at(path: &CStr) -> Option<(u64, u64)> {
    let file = std::fs::symlink_metadata(OsStr::from_bytes(path.to_bytes())).ok()?;
    Some((file.dev(), file.ino()))
}

/// As much of `text` as there is room for.
fn put<const N: usize>(room: &mut heapless::String<N>, text: &str) {
    room.clear();
    for c in text.chars().filter(|c| !c.is_control()) {
        if room.push(c).is_err() {
            return;
        }
    }
}

/// `unit NAME RUN COURSE MAIN WORDS`. False: the prober has nothing to do with it.
fn describe(
    supervisor: &Supervisor,
    tables: &Tables,
    id: UnitId,
    cookie: u64,
    packet: &mut heapless::Vec<u8, PACKET_MAX>,
) -> bool {
    let (Some(unit), Some(view)) = (supervisor.unit(id), supervisor.view(id)) else { return false };
    let course = match view.state {
        State::Starting { .. } | State::Seeking { .. } => "begin",
        // The hooks after the start: it is ready, and not looked at before it is up.
        State::Awaiting { .. } | State::Finishing { .. } => "await",
        State::Up { .. } => "up",
        State::Stopping { .. } => "stop",
        State::Down
        | State::Preparing { .. }
        | State::Sweeping { .. }
        | State::Cleaning { .. }
        | State::Backoff { .. }
        | State::Failed => "off",
    };
    let main = view.state.pid().map_or(0, Pid::raw);
    let probed = unit.probes != Probes::Nothing && course != "off";
    let course = if probed { course } else { "off" };
    let mut head = heapless::String::<128>::new();
    // Fits: a name has 64 bytes at the most.
    let _ = write!(head, "unit {} {cookie:016x} {course} {main} ", unit.name);
    let _ = packet.extend_from_slice(head.as_bytes());
    if probed && let Some(launch) = tables.launch(&unit.name) {
        // The loader lets no words through that are longer.
        let _ = packet.extend_from_slice(launch.probe_words.to_bytes());
    }
    probed
}
