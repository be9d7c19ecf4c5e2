//! Writes down what has changed, for the execution after this one: before anything is done that
//! the kernel sees, and at the end of each turn. Allocates nothing.

use crate::memory;
use crate::pid1::Pid1;
use crate::report::Cause;
use crate::state::{self, NONE, Part, Record, Whole};
use ettan_core::{MAX_CONDITIONS, Millis, Pid, RECORD_MAX, UnitId};
use ettan_sys::Errno;
use std::os::fd::AsRawFd;

impl Pid1 {
    /// `acting`: something is about to be done that these records say was done. What cannot be
    /// written, for want of memory, is tried again at the next save.
    pub(crate) fn save(&mut self, acting: bool) {
        if self.past.memory.is_none() {
            return;
        }
        while let Some(id) = self.supervisor.next_changed() {
            if let Err(errno) = self.save_unit(id) {
                self.supervisor.not_saved(id);
                if !core::mem::replace(&mut self.past.behind, true) {
                    log::error!(
                        "the state of units cannot be recorded: {}; tried again in each turn, and \
                         until then PID 1 would go on from older records after a fault",
                        Cause(errno)
                    );
                }
                return;
            }
        }
        self.past.behind = false;
        if self.supervisor.conditions_changed() {
            self.save_conditions();
        }
        self.save_whole(acting);
    }

    fn save_unit(&self, id: UnitId) -> Result<(), Errno> {
        let Some(memory) = &self.past.memory else { return Ok(()) };
        let place = memory::unit(usize::from(id.0));
        let mut core = [0; RECORD_MAX];
        let Some(length) = self.supervisor.save_unit(id, &mut core) else {
            return memory.write(place, &[]);
        };
        let mut record = state::begin(&core, length);
        let launched = self.groups.launched(id);
        let (pipe, report) = (self.pipes.record(id), self.places.record(id));
        Part { launched, pipe, place: report }.write(&mut record);
        memory.write(place, &record)
    }

    /// One that is lost is said again by the watcher.
    fn save_conditions(&self) {
        let Some(memory) = &self.past.memory else { return };
        let mut core = [0; RECORD_MAX];
        for nth in 0..MAX_CONDITIONS {
            if let Some(length) = self.supervisor.save_condition(nth, &mut core) {
                let _ = memory.write(memory::condition(nth), &state::begin(&core, length));
            }
        }
    }

    fn save_whole(&mut self, acting: bool) {
        let mut core = [0; RECORD_MAX];
        let length = self.supervisor.save_whole(&mut core);
        let mut record: Record = state::begin(&core, length);
        if let Some(fd) = self.watchdog.descriptor() {
            ettan_sys::reexec::keep(fd);
        }
        let number = |fd: Option<std::os::fd::BorrowedFd<'_>>| {
            fd.map_or(NONE, |fd| {
                ettan_sys::reexec::keep(fd);
                fd.as_raw_fd()
            })
        };
        Whole {
            acting,
            own_pipe: self.pipes.own_record(),
            logger: number(self.pipes.logger.descriptor()),
            doors: self.pipes.doors().map(number),
            probes: [self.probes.prober.descriptor(), self.probes.notify()].map(number),
            table: number(self.tables.former()),
            coming: number(self.tables.coming()),
            listener: number(self.control.listener()),
            closer: self.closing.child().map_or(0, Pid::raw),
            nofile: ettan_sys::limits::nofile_at_boot(),
            boot_over: self.control.boot_over(),
            reload_at: self.loading.again_at.map(|Millis(at)| at),
            last_reload: self.loading.last.0,
            begun: self.past.begun_ms,
        }
        .write(&mut record);
        if record != self.past.last_whole
            && let Some(memory) = &self.past.memory
            && memory.write(memory::WHOLE, &record).is_ok()
        {
            self.past.last_whole = record;
        }
    }
}
