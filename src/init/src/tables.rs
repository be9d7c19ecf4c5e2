//! Holds the compiled unit table in force. A new one is swapped in whole, or not at all.

use crate::report::Cause;
use ettan_core::Millis;
use ettan_sys::Errno;
use ettan_sys::memory::Map;
use ettan_table::{Launch, Table};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How often a table that cannot be mapped is tried again: for five seconds.
const ATTEMPTS: u8 = 20;

/// The table in force with the memfd that holds it, and the memfd that a running loader fills.
#[derive(Default)]
pub(crate) struct Tables {
    current: Option<(Map, OwnedFd)>,
    coming: Option<OwnedFd>,
    /// What the loader that ended last has left.
    finished: Option<OwnedFd>,
    attempts: u8,
    /// When the loaders began that fill, have filled last, and have filled the one in force.
    begun: [Option<Millis>; 3],
    /// The file before the one in force: the last record may still name it.
    before: Option<OwnedFd>,
}

impl Tables {
    /// Makes the memfd for a loader that is about to start, and returns the loader's descriptor.
    ///
    /// # Errors
    /// The kernel's answer: no descriptor or no memory left.
    pub(crate) fn prepare(&mut self, now: Millis) -> Result<OwnedFd, Errno> {
        let file = ettan_sys::memory::memfd_create(c"ettan-table")?;
        let for_loader = ettan_sys::pipe::duplicate(&file)?;
        self.coming = Some(file);
        let [coming, ..] = &mut self.begun;
        *coming = Some(now);
        Ok(for_loader)
    }

    /// The loader has ended; what it left is worth a look if it did so well.
    pub(crate) fn finish(&mut self, well: bool) {
        self.finished = self.coming.take().filter(|_| well);
        self.attempts = 0;
        let [coming, finished, _] = &mut self.begun;
        *finished = coming.take();
    }

    /// Takes what the loader left: true when it is a whole, sealed, valid table, now in force.
    ///
    /// # Errors
    /// It could not be looked at, and may be tried again; in the end it counts as none.
    pub(crate) fn adopt(&mut self) -> Result<bool, Errno> {
        let Some(file) = self.finished.take() else { return Ok(false) };
        let map = match ettan_sys::memory::map_sealed(file.as_fd()) {
            Ok(map) => map,
            Err(errno) if self.attempts < ATTEMPTS => {
                self.attempts = self.attempts.saturating_add(1);
                self.finished = Some(file);
                return Err(errno);
            }
            Err(errno) => {
                log::error!(
                    "the loader's table cannot be mapped ({}); the old one stays",
                    Cause(errno)
                );
                return Ok(false);
            }
        };
        if let Err(fault) = Table::read(map.bytes()) {
            log::error!("the loader's table is damaged ({fault}); the old one stays");
            return Ok(false);
        }
        self.before = self.current.replace((map, file)).map(|(_, file)| file);
        let [_, finished, current] = &mut self.begun;
        *current = finished.take();
        Ok(true)
    }

    /// The table in force; None before the first.
    pub(crate) fn table(&self) -> Option<Table<'_>> {
        self.current.as_ref().and_then(|(map, _)| Table::view(map.bytes()))
    }

    /// When the loader of the table in force began; None where it did so before this execution.
    pub(crate) fn loaded(&self) -> Option<Millis> {
        let [.., current] = self.begun;
        current
    }

    /// The sealed memfd of the table in force, for a loader that reads the unit files anew: what
    /// it has to refuse stays as it is there. None before the first.
    pub(crate) fn former(&self) -> Option<BorrowedFd<'_>> {
        self.current.as_ref().map(|(_, file)| file.as_fd())
    }

    /// The memfd that a running loader fills.
    pub(crate) fn coming(&self) -> Option<BorrowedFd<'_>> {
        self.coming.as_ref().map(AsFd::as_fd)
    }

    /// Takes over what the execution before had.
    pub(crate) fn again(&mut self, current: Option<OwnedFd>, coming: Option<OwnedFd>) {
        if current.is_some() {
            self.finished = current;
            let _ = self.adopt();
        }
        self.coming = coming;
    }

    /// What to execute for the unit of this name.
    pub(crate) fn launch(&self, name: &str) -> Option<Launch<'_>> {
        let table = self.table()?;
        table.launch(table.index_of(name)?)
    }
}
