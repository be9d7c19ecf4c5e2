//! Writes down what has changed, for the execution after this one: before anything is done that
//! the kernel sees, and at the end of each turn. Allocates nothing.

use crate::memory;
use crate::pid1::Pid1;
use crate::state::{self, NONE, Part, Record, Whole};
use ettan_core::{MAX_CONDITIONS, Millis, Pid, RECORD_MAX};
use std::os::fd::AsRawFd;

impl Pid1 {
    /// `acting`: something is about to be done that these records say was done.
    pub(crate) fn save(&mut self, acting: bool) {
        let Some(memory) = &mut self.past.memory else { return };
        let mut core = [0; RECORD_MAX];
        while let Some(id) = self.supervisor.next_changed() {
            let place = memory::unit(usize::from(id.0));
            match self.supervisor.save_unit(id, &mut core) {
                Some(length) => {
                    let mut record = state::begin(&core, length);
                    let launched = self.groups.launched(id);
                    Part { launched, pipe: self.pipes.record(id) }.write(&mut record);
                    memory.write(place, &record);
                }
                None => memory.write(place, &[]),
            }
        }
        if self.supervisor.conditions_changed() {
            for nth in 0..MAX_CONDITIONS {
                if let Some(length) = self.supervisor.save_condition(nth, &mut core) {
                    memory.write(memory::condition(nth), &state::begin(&core, length));
                }
            }
        }
        self.save_whole(acting);
    }

    fn save_whole(&mut self, acting: bool) {
        let mut core = [0; RECORD_MAX];
        let length = self.supervisor.save_whole(&mut core);
        let mut record: Record = state::begin(&core, length);
        let number = |fd: Option<std::os::fd::BorrowedFd<'_>>| {
            fd.map_or(NONE, |fd| {
                ettan_sys::reexec::keep(fd);
                fd.as_raw_fd()
            })
        };
        Whole {
            acting,
            own_pipe: self.pipes.own_record(),
            logger: number(self.pipes.logger()),
            table: number(self.tables.former()),
            coming: number(self.tables.coming()),
            listener: number(self.control.listener()),
            closer: self.closer.map_or(0, Pid::raw),
            nofile: ettan_sys::limits::nofile_at_boot(),
            boot_over: self.control.boot_over(),
            reload_at: self.reload_at.map(|Millis(at)| at),
            last_reload: self.last_reload.0,
        }
        .write(&mut record);
        if record != self.past.last_whole
            && let Some(memory) = &mut self.past.memory
        {
            memory.write(memory::WHOLE, &record);
            self.past.last_whole = record;
        }
    }

    /// Executes PID 1 anew, as after a fault, but with everything done and written.
    pub(crate) fn execute_anew(&mut self) {
        if self.past.memory.is_none() {
            log::error!("PID 1 cannot be executed anew: there is no memory for its state");
            return;
        }
        log::info!("PID 1 executes itself anew");
        crate::report::flush();
        self.save(false);
        ettan_sys::reexec::execute();
    }
}
