//! PID 1 and the logger: shows it the pipes and tells it what happens to units, as far as it listens. What it
//! reads is no business of PID 1.

use crate::degraded::Task;
use crate::pid1::Pid1;
use crate::wake::token;
use ettan_sys::poll::Interest;

impl Pid1 {
    /// Tells the logger of pipes and of what happened to units, as far as it listens.
    pub(crate) fn tell_logger(&mut self) {
        let untold = self.pipes.untold();
        let shown = self.pipes.show(&self.tables).and_then(|()| {
            let (_, pipes, lent) = self.tellers();
            pipes.send_marks(lent.sources())
        });
        self.guard.work |= self.pipes.untold() < untold;
        match shown {
            Ok(()) => self.degraded.heal(self.now, Task::Logging),
            Err(errno) => self.degraded.note(self.now, Task::Logging, errno),
        }
    }

    /// Polls the logger's socket for writing only while there is something to write.
    pub(crate) fn poll_logger(&mut self) {
        self.tell_logger();
        let wanted = self.pipes.has_news().then_some(Interest::Write);
        if let Err(errno) = self.pipes.logger.poll(self.wake.epoll.as_ref(), token::LOGGER, wanted)
        {
            self.degraded.note(self.now, Task::Logging, errno);
        }
    }

    /// The end of its socket tells the logger to write everything that is left.
    pub(crate) fn end_logger(&mut self) {
        crate::report::flush();
        self.tell_logger();
        self.pipes.logger.close();
    }
}
