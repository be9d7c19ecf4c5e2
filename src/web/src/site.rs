//! What is asked for → an answer: who may, then what PID 1 and the logs say. Waits for both in
//! threads, a few at a time.

use crate::guard;
use crate::page::{self, Manner};
use crate::reply::{self, Reply, of_trouble};
use crate::route::{Look, Lost, Route, route};
use crate::serve::Work;
use crate::sessions::{COOKIE, LIFE, Sessions};
use crate::token::Token;
use crate::{WAITING, metrics, options};
use ettan_cli::client::{self, Goal, Kind, Outcome, Trouble};
use ettan_wire::UnitStatus;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, HeaderMap, SET_COOKIE, WWW_AUTHENTICATE};
use hyper::http::uri::Authority;
use hyper::{Request, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// What is sent along with a request: a token at the most.
const BODY_BYTES: usize = 2 * 1024;

/// It may take so long.
const BODY_TIME: Duration = Duration::from_secs(5);

/// Whoever shows a wrong token waits so long before he may try another.
const WRONG_TIME: Duration = Duration::from_secs(1);

/// Changes under way at a time: half of the threads, so that the others can look meanwhile.
const CHANGES: usize = 4;

/// How long a change is waited for; then it goes on without us.
const CHANGE_MS: u64 = 60_000;

/// Everything that lasts longer than a request.
pub(crate) struct Site {
    /// Only this machine gets here.
    is_local: bool,
    token: Option<Token>,
    sessions: Sessions,
    changes: Arc<AtomicUsize>,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Anybody of this machine, since no token says otherwise: may look.
    Anybody,
    /// Somebody who showed nothing.
    Stranger,
    /// A browser whose user showed the token.
    Browser,
    /// A program that shows the token.
    Program,
}

impl Site {
    pub(crate) fn new(listens_at: IpAddr, token: Option<Token>) -> Self {
        let is_local = options::is_loopback(listens_at);
        Self { is_local, token, sessions: Sessions::default(), changes: Arc::default() }
    }

    /// Who may what, for the log.
    pub(crate) fn manner(&self) -> &'static str {
        match self.token {
            Some(_) => "for whoever shows the token",
            None => {
                "without --token-file: everybody on this machine may look, nobody may change anything"
            }
        }
    }

    /// Answers one request. `waits` is set while we are the slow ones.
    pub(crate) async fn answer<B>(&self, request: Request<B>, waits: &Arc<AtomicBool>) -> Reply
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        // A whole address in the place of the path is for proxies.
        let host = guard::host(&head.headers).filter(|_| head.uri.authority().is_none());
        let Some(host) = host else {
            return reply::text(StatusCode::BAD_REQUEST, "one Host, and a path, are wanted");
        };
        if self.is_local && !guard::is_loopback_name(&host) {
            let text = "this page is asked for by the name localhost or 127.0.0.1";
            return reply::text(StatusCode::MISDIRECTED_REQUEST, text);
        }
        let route = match route(&head.method, head.uri.path(), head.uri.query()) {
            Ok(route) => route,
            Err(Lost::Nowhere) => return reply::text(StatusCode::NOT_FOUND, "no such page"),
            Err(Lost::Method(allowed)) => {
                let text = reply::text(StatusCode::METHOD_NOT_ALLOWED, allowed);
                return reply::with(text, ALLOW, allowed);
            }
        };
        // Read to its end, whatever it is for: a connection that is closed before loses the answer.
        let body = Limited::new(body, BODY_BYTES);
        let body = match timeout(BODY_TIME, Box::pin(body).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => {
                let text = format!("what is sent along has {BODY_BYTES} bytes at the most");
                return reply::text(StatusCode::PAYLOAD_TOO_LARGE, &text);
            }
            Err(_) => return reply::text(StatusCode::REQUEST_TIMEOUT, "that took too long"),
        };
        self.perform(route, &head.headers, &host, &body, waits).await
    }

    async fn perform(
        &self,
        route: Route,
        headers: &HeaderMap,
        host: &Authority,
        body: &[u8],
        waits: &Arc<AtomicBool>,
    ) -> Reply {
        let who = self.who(headers);
        let api = route.is_for_programs();
        match route {
            Route::Style => reply::style(),
            Route::LoginForm => match self.token {
                Some(_) => reply::html(StatusCode::OK, page::login(false)),
                None => reply::see_other("/"),
            },
            Route::Login | Route::Logout if !guard::is_from_our_page(headers, host) => foreign(api),
            Route::Login => self.login(body).await,
            Route::Logout => self.logout(headers),
            _ if who == Who::Stranger && api => stranger(),
            _ if who == Who::Stranger => reply::see_other("/login"),
            Route::Look(look) => {
                let manner = self.manner_of(who);
                let _work = Work::begin(waits);
                blocking(move || answer_look(&look, manner)).await
            }
            Route::Change { .. } if !is_meant(who, headers, host) => foreign(api),
            Route::Change { .. } if who == Who::Anybody => {
                let text = "this page only looks: nothing can be changed without --token-file";
                refuse(StatusCode::FORBIDDEN, "not-permitted", text, api)
            }
            Route::Change { goal, unit, .. } => self.change(goal, unit, api, who, waits).await,
        }
    }

    fn who(&self, headers: &HeaderMap) -> Who {
        let Some(token) = &self.token else { return Who::Anybody };
        let is_known = |number: &str| self.sessions.knows(number, Instant::now());
        if guard::bearer(headers).is_some_and(|shown| token.is(shown)) {
            Who::Program
        } else if guard::cookie(headers, COOKIE).is_some_and(is_known) {
            Who::Browser
        } else {
            Who::Stranger
        }
    }

    fn manner_of(&self, who: Who) -> Manner {
        Manner {
            may_change: matches!(who, Who::Browser | Who::Program),
            may_leave: who == Who::Browser,
        }
    }

    async fn login(&self, body: &[u8]) -> Reply {
        let shown = form_urlencoded::parse(body).find(|(name, _)| name == "token");
        let is_it = shown.is_some_and(|(_, shown)| {
            self.token.as_ref().is_some_and(|token| token.is(shown.trim()))
        });
        if !is_it {
            sleep(WRONG_TIME).await;
            return reply::html(StatusCode::UNAUTHORIZED, page::login(true));
        }
        match self.sessions.open(Instant::now()) {
            Ok(number) => {
                let seconds = LIFE.as_secs();
                reply::with(reply::see_other("/"), SET_COOKIE, &cookie(&number, seconds))
            }
            Err(error) => {
                reply::text(StatusCode::SERVICE_UNAVAILABLE, &format!("/dev/urandom: {error}"))
            }
        }
    }

    fn logout(&self, headers: &HeaderMap) -> Reply {
        if let Some(number) = guard::cookie(headers, COOKIE) {
            self.sessions.close(number);
        }
        reply::with(reply::see_other("/login"), SET_COOKIE, &cookie("", 0))
    }

    async fn change(
        &self,
        goal: Goal,
        unit: String,
        api: bool,
        who: Who,
        waits: &Arc<AtomicBool>,
    ) -> Reply {
        let Some(place) = Place::take(&self.changes) else {
            let text = format!("{CHANGES} changes are under way; try again when one is done");
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "busy", &text, api);
        };
        let manner = self.manner_of(who);
        let _work = Work::begin(waits);
        // The change goes on when nobody waits for its answer any more, and so does its place.
        let change = blocking(move || {
            let changed = change_another(goal, &unit);
            drop(place);
            answer_change(&unit, changed, manner, api)
        });
        tokio::spawn(change).await.unwrap_or_else(|_| broken())
    }
}

/// One of the changes that may be under way.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(places: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(places));
        (places.fetch_add(1, Ordering::Relaxed) < CHANGES).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether somebody who may change something meant to: a browser sends its cookie with whatever any
/// page asks it to send, and a program's token is in no browser.
fn is_meant(who: Who, headers: &HeaderMap, host: &Authority) -> bool {
    match who {
        Who::Program => !guard::is_from_a_page(headers) || guard::is_from_our_page(headers, host),
        Who::Anybody | Who::Stranger | Who::Browser => guard::is_from_our_page(headers, host),
    }
}

fn cookie(number: &str, seconds: u64) -> String {
    format!("{COOKIE}={number}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict")
}

fn foreign(api: bool) -> Reply {
    let text = "refused: this did not come from a page of this machine (a program shows the token as \
                Authorization: Bearer)";
    refuse(StatusCode::FORBIDDEN, "not-permitted", text, api)
}

fn stranger() -> Reply {
    let text = "show the token: Authorization: Bearer TOKEN";
    let refusal = reply::error(StatusCode::UNAUTHORIZED, "not-permitted", text);
    reply::with(refusal, WWW_AUTHENTICATE, "Bearer")
}

fn refuse(status: StatusCode, code: &str, text: &str, api: bool) -> Reply {
    match api {
        true => reply::error(status, code, text),
        false => reply::html(status, page::trouble(text)),
    }
}

/// In a thread that may wait, once one is free: what stands in line goes with whoever leaves.
async fn blocking(work: impl FnOnce() -> Reply + Send + 'static) -> Reply {
    static THREADS: Semaphore = Semaphore::const_new(WAITING);
    let thread = THREADS.acquire().await;
    let done = spawn_blocking(move || {
        let _taken = thread;
        work()
    });
    done.await.unwrap_or_else(|_| broken())
}

fn broken() -> Reply {
    reply::text(StatusCode::INTERNAL_SERVER_ERROR, "failed")
}

fn answer_look(look: &Look, manner: Manner) -> Reply {
    let (api, answered) = match look {
        Look::Units(all) => (false, units(*all, manner)),
        Look::Unit(unit, lines) => (false, unit_page(unit, *lines, None, manner)),
        Look::ApiUnits(all) => (
            true,
            client::units(*all).map(|found| {
                let packets = found.units.into_iter().map(|unit| unit.json).collect();
                reply::json(StatusCode::OK, array(packets))
            }),
        ),
        Look::ApiUnit(unit) => {
            (true, client::unit(unit).map(|seen| reply::json(StatusCode::OK, seen.json)))
        }
        Look::ApiMachine => {
            (true, client::machine().map(|seen| reply::json(StatusCode::OK, seen.json)))
        }
        Look::ApiLog(unit, lines) => (
            true,
            client::log_packets(unit, *lines)
                .map(|packets| reply::json(StatusCode::OK, array(packets))),
        ),
        Look::Metrics => (
            true,
            client::machine().and_then(|machine| {
                let all = client::units(true)?;
                Ok(reply::metrics(metrics::text(&machine.facts, &all.units)))
            }),
        ),
    };
    answered.unwrap_or_else(|trouble| {
        let (status, code) = of_trouble(&trouble);
        refuse(status, code, &trouble.text, api)
    })
}

fn units(all: bool, manner: Manner) -> Result<Reply, Trouble> {
    let (machine, found) = (client::machine()?, client::units(all)?);
    Ok(reply::html(StatusCode::OK, page::units(&machine, &found, all, manner)))
}

/// The page of a unit, below what became of a change of it.
fn unit_page(
    unit: &str,
    lines: usize,
    changed: Option<(bool, &str)>,
    manner: Manner,
) -> Result<Reply, Trouble> {
    let seen = client::unit(unit)?;
    let log = client::log(unit, lines).map_err(|trouble| trouble.text);
    Ok(reply::html(StatusCode::OK, page::unit(&seen, &log, changed, manner)))
}

fn change_another(goal: Goal, unit: &str) -> Result<Option<Outcome>, Trouble> {
    is_another(goal, &client::unit(unit)?.facts)?;
    client::change(goal, unit, CHANGE_MS)
}

/// Nobody would be left to say what became of it.
fn is_another(goal: Goal, status: &UnitStatus) -> Result<(), Trouble> {
    if !page::is_ours(status) {
        return Ok(());
    }
    let verb = match goal {
        Goal::Start => "start",
        Goal::Stop => "stop",
        Goal::Restart => "restart",
    };
    let unit = &status.unit;
    let text =
        format!("{unit}: this page leaves itself alone (on the machine: ettan {verb} {unit})");
    Err(Trouble { kind: Kind::NotPermitted, text })
}

fn answer_change(
    unit: &str,
    changed: Result<Option<Outcome>, Trouble>,
    manner: Manner,
    api: bool,
) -> Reply {
    let (status, json, text, is_well) = match changed {
        Ok(Some(Outcome { is_done: true, text, json })) => (StatusCode::OK, json, text, true),
        Ok(Some(Outcome { is_done: false, text, json })) => {
            (StatusCode::CONFLICT, json, text, false)
        }
        Ok(None) => {
            let text = format!("{unit}: accepted, and not done after {} s", CHANGE_MS / 1000);
            (StatusCode::ACCEPTED, "{\"reply\":\"accepted\"}".to_owned(), text, true)
        }
        Err(trouble) => {
            let (status, code) = of_trouble(&trouble);
            return refuse(status, code, &trouble.text, api);
        }
    };
    if api {
        return reply::json(status, json);
    }
    let page = unit_page(unit, crate::route::LINES, Some((is_well, &text)), manner);
    let mut page = page.unwrap_or_else(|_| reply::html(status, page::trouble(&text)));
    *page.status_mut() = status;
    page
}

fn array(packets: Vec<String>) -> String {
    format!("[{}]", packets.join(",\n"))
}

#[cfg(test)]
mod tests;
