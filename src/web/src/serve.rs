//! Connections: how many, how long, how big. Whoever is slow gives way to whoever comes, so that no
//! number of silent or endless ones keeps the page from answering.

use crate::site::Site;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// Connections at a time. A browser has six; of each we keep the head of a request.
const GUESTS: usize = 32;

/// The head of a request may take so long,
const HEAD_TIME: Duration = Duration::from_secs(5);

/// be so long, which is the least that hyper can,
const HEAD_BYTES: usize = 8 * 1024;

/// and have so many lines.
const HEAD_LINES: usize = 64;

/// The whole of a visit: longer than PID 1 is waited for.
const VISIT_TIME: Duration = Duration::from_secs(120);

/// When the kernel has no descriptor left, the next look is after this.
const REST: Duration = Duration::from_millis(200);

/// Somebody who is connected.
struct Guest {
    /// It waits for us, not we for it.
    waits: Arc<AtomicBool>,
    visit: AbortHandle,
}

/// Says, as long as it lives, that a guest waits for us.
pub(crate) struct Work(Arc<AtomicBool>);

impl Work {
    /// From now on.
    pub(crate) fn begin(waits: &Arc<AtomicBool>) -> Self {
        waits.store(true, Ordering::Relaxed);
        Self(Arc::clone(waits))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Lets everybody in, for ever.
pub(crate) async fn serve(listener: TcpListener, site: Arc<Site>) {
    let mut guests: Vec<Guest> = Vec::with_capacity(GUESTS);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(REST).await;
            continue;
        };
        guests.retain(|guest| !guest.visit.is_finished());
        if guests.len() >= GUESTS {
            let slow = guests.iter().position(|guest| !guest.waits.load(Ordering::Relaxed));
            // When all wait for us, it is we who are slow: nobody more comes in.
            let Some(slow) = slow else { continue };
            guests.remove(slow).visit.abort();
        }
        let waits = Arc::new(AtomicBool::new(false));
        let visit = tokio::spawn(timeout(
            VISIT_TIME,
            receive(stream, Arc::clone(&site), Arc::clone(&waits)),
        ));
        guests.push(Guest { waits, visit: visit.abort_handle() });
    }
}

/// One request, one answer.
async fn receive(stream: TcpStream, site: Arc<Site>, waits: Arc<AtomicBool>) {
    let service = service_fn(|request| {
        let (site, waits) = (Arc::clone(&site), Arc::clone(&waits));
        async move { Ok::<_, Infallible>(site.answer(request, &waits).await) }
    });
    let visit = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong here is the guest's: it left, or was no browser.
    let _ = visit.await;
}
