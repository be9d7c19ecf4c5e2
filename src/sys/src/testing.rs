//! What the tests of this crate share: a time limit each, and a place that is gone afterwards.

use std::ffi::{CString, OsStr};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Ends the whole test program when it is not dropped in time: a call that hangs cannot be
/// ended any other way.
pub(crate) struct Limit(#[allow(dead_code)] Sender<()>);

/// A limit in seconds, multiplied by `ETTAN_TEST_SLOW` where that is set.
pub(crate) fn limit(seconds: f64) -> Limit {
    let factor = std::env::var("ETTAN_TEST_SLOW").ok().and_then(|text| text.parse().ok());
    let span = Duration::from_secs_f64(seconds * factor.unwrap_or(1.0));
    let (guard, over) = channel();
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    std::thread::spawn(move || {
        if over.recv_timeout(span) == Err(RecvTimeoutError::Timeout) {
            // Not eprintln, which the test harness would keep to itself.
            let _ = writeln!(std::io::stderr(), "{name}: still not over after {span:?}");
            std::process::abort();
        }
    });
    Limit(guard)
}

/// What `work` gives in a copy of this process that can open nothing. There it must not allocate, nor
/// wait for a lock.
pub(crate) fn without_descriptors(work: impl FnOnce() -> i32) -> i32 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let none = Rlimit { current: Some(0), ..getrlimit(Resource::Nofile) };
    let child = crate::process::fork(|| setrlimit(Resource::Nofile, none).map_or(-1, |()| work()));
    match crate::reap::wait_for(child.unwrap()).unwrap() {
        crate::reap::Status::Code(code) => i32::from(code),
        ended @ crate::reap::Status::Signal { .. } => panic!("{ended:?}"),
    }
}

/// A directory of this test's own.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ettan-sys-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn at(&self, name: impl AsRef<OsStr>) -> PathBuf {
        self.0.join(Path::new(name.as_ref()))
    }

    pub(crate) fn c_at(&self, name: impl AsRef<OsStr>) -> CString {
        c_path(&self.at(name))
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> CString {
        std::fs::write(self.at(name), content).unwrap();
        self.c_at(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}
