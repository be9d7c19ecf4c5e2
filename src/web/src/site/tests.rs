//! What whoever asks is answered, as far as nobody has to ask PID 1 for it.

use super::*;
use crate::token::tests::{SECRET, secret};
use http_body_util::Full;
use hyper::Method;
use hyper::header::LOCATION;

const BOX: &str = "192.0.2.1:9001";

fn local() -> Site {
    Site::new([127, 0, 0, 1].into(), None)
}

fn open_to_all() -> Site {
    Site::new([0, 0, 0, 0].into(), Some(secret()))
}

/// One request; its headers are the pairs.
fn ask(site: &Site, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let waits = Arc::default();
    runtime.block_on(site.answer(request, &waits))
}

fn get(site: &Site, host: &str, path: &str) -> StatusCode {
    ask(site, Method::GET, path, &[("host", host)], "").status()
}

fn header(reply: &Reply, name: hyper::header::HeaderName) -> &str {
    reply.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// There is no PID 1 of ours where these run: that is what an answer says that got so far.
const ASKED: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

#[test]
fn a_page_of_this_machine_is_for_its_own_names() {
    assert_eq!(get(&local(), "localhost:9001", "/style.css"), StatusCode::OK);
    assert_eq!(get(&local(), "evil.example", "/style.css"), StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(get(&open_to_all(), "box.example", "/style.css"), StatusCode::OK);
    let without = ask(&local(), Method::GET, "/", &[], "");
    assert_eq!(without.status(), StatusCode::BAD_REQUEST);
    assert_eq!(get(&local(), "localhost", "http://localhost/"), StatusCode::BAD_REQUEST);
    assert_eq!(get(&local(), "localhost", "/nosuch"), StatusCode::NOT_FOUND);
}

#[test]
fn every_answer_says_what_a_browser_may_not_do_with_it() {
    for path in ["/login", "/style.css", "/nosuch", "/metrics"] {
        let reply = ask(&open_to_all(), Method::GET, path, &[("host", BOX)], "");
        let policy = header(&reply, hyper::header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert_eq!(header(&reply, hyper::header::X_FRAME_OPTIONS), "DENY");
    }
}

#[test]
fn without_a_token_nobody_changes_anything() {
    let own = [("host", "localhost"), ("origin", "http://localhost")];
    for path in ["/units/web/stop", "/api/units/web/stop"] {
        let reply = ask(&local(), Method::POST, path, &own, "");
        assert_eq!(reply.status(), StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(get(&local(), "localhost", "/login"), StatusCode::SEE_OTHER);
    let login = ask(&local(), Method::POST, "/login", &own, "token=");
    assert_eq!(login.status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn a_stranger_gets_no_further_than_the_form() {
    let site = open_to_all();
    for path in ["/", "/units/web"] {
        let reply = ask(&site, Method::GET, path, &[("host", BOX)], "");
        assert_eq!((reply.status(), header(&reply, LOCATION)), (StatusCode::SEE_OTHER, "/login"));
    }
    for path in ["/api/units", "/api/units/web/log", "/metrics", "/api/machine"] {
        assert_eq!(get(&site, BOX, path), StatusCode::UNAUTHORIZED, "{path}");
    }
    let wrong = [("host", BOX), ("authorization", "Bearer 0123456789abcdef"), ("cookie", "ettan=")];
    let reply = ask(&site, Method::POST, "/api/units/web/stop", &wrong, "");
    assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn a_program_shows_the_token_and_no_page_can_make_it() {
    let site = open_to_all();
    let bearer = format!("Bearer {SECRET}");
    let shows = [("host", BOX), ("authorization", bearer.as_str())];
    let post = |more: &[(&str, &str)]| {
        let headers = [&shows[..], more].concat();
        ask(&site, Method::POST, "/api/units/web/restart", &headers, "").status()
    };
    assert_eq!(ask(&site, Method::GET, "/api/units", &shows, "").status(), ASKED);
    assert_eq!(post(&[]), ASKED);
    assert_eq!(post(&[("origin", "http://192.0.2.1:9001")]), ASKED);
    assert_eq!(post(&[("origin", "http://evil.example")]), StatusCode::FORBIDDEN);
    assert_eq!(post(&[("sec-fetch-site", "cross-site")]), StatusCode::FORBIDDEN);
}

#[test]
fn a_browser_shows_the_token_once_and_presses_buttons_of_our_pages_only() {
    let site = open_to_all();
    let own = [("host", BOX), ("origin", "http://192.0.2.1:9001")];
    let login =
        |headers: &[(&str, &str)], body: &str| ask(&site, Method::POST, "/login", headers, body);
    let body = "token=0123456789abcdef%2B%2F%3D%3D";
    assert_eq!(login(&own, "token=0123456789abcdef").status(), StatusCode::UNAUTHORIZED);
    assert_eq!(login(&own[..1], body).status(), StatusCode::FORBIDDEN);
    assert_eq!(login(&own, &"x".repeat(5_000)).status(), StatusCode::PAYLOAD_TOO_LARGE);
    let reply = login(&own, body);
    assert_eq!((reply.status(), header(&reply, LOCATION)), (StatusCode::SEE_OTHER, "/"));
    let set = header(&reply, SET_COOKIE).to_owned();
    assert!(set.ends_with("; HttpOnly; SameSite=Strict") && !set.contains(SECRET), "{set}");
    let shown = set.split(';').next().unwrap();
    let post = |path: &str, origin: &str| {
        let headers = [("host", BOX), ("cookie", shown), ("origin", origin)];
        ask(&site, Method::POST, path, &headers, "").status()
    };
    assert_eq!(post("/units/web/restart", "http://192.0.2.1:9001"), ASKED);
    assert_eq!(post("/units/web/restart", "http://evil.example"), StatusCode::FORBIDDEN);
    assert_eq!(post("/units/web/restart", "null"), StatusCode::FORBIDDEN);
    assert_eq!(post("/logout", "http://evil.example"), StatusCode::FORBIDDEN);
    assert_eq!(post("/logout", "http://192.0.2.1:9001"), StatusCode::SEE_OTHER);
    assert_eq!(post("/api/units/web/restart", "http://192.0.2.1:9001"), StatusCode::UNAUTHORIZED);
}

#[test]
fn the_page_leaves_itself_alone() {
    let mut status = page::tests::listed("ettan-web").status;
    assert_eq!(is_another(Goal::Stop, &status), Ok(()));
    status.main_pid = i32::try_from(std::process::id()).ok();
    let refused = is_another(Goal::Stop, &status).unwrap_err();
    assert_eq!(of_trouble(&refused), (StatusCode::FORBIDDEN, "not-permitted"));
    assert!(refused.text.ends_with("ettan stop ettan-web)"), "{}", refused.text);
}

#[test]
fn so_many_changes_at_a_time_and_no_more() {
    let places = Arc::default();
    let taken: Vec<_> = (0..CHANGES).map(|_| Place::take(&places).unwrap()).collect();
    assert!(Place::take(&places).is_none());
    drop(taken);
    assert!(Place::take(&places).is_some());
}

#[test]
fn whoever_leaves_before_his_turn_costs_no_work() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let begun = Arc::new(AtomicUsize::new(0));
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = Arc::new(std::sync::Mutex::new(gate));
    runtime.block_on(async {
        let visit = || {
            let (begun, gate) = (Arc::clone(&begun), Arc::clone(&gate));
            tokio::spawn(blocking(move || {
                begun.fetch_add(1, Ordering::SeqCst);
                // Until the other end is dropped.
                let _ = gate.lock().unwrap().recv();
                reply::text(StatusCode::OK, "done")
            }))
        };
        let visits: Vec<_> = (0..5 * WAITING).map(|_| visit()).collect();
        while begun.load(Ordering::SeqCst) < WAITING {
            tokio::task::yield_now().await;
        }
        visits.iter().for_each(tokio::task::JoinHandle::abort);
        for visit in visits {
            let _ = visit.await;
        }
        drop(open);
        let after = blocking(|| reply::text(StatusCode::OK, "after")).await;
        assert_eq!(after.status(), StatusCode::OK);
    });
    drop(runtime);
    assert_eq!(begun.load(Ordering::SeqCst), WAITING);
}
