//! Answers as HTTP has them, with what every one says about itself: nobody keeps it, frames it, or
//! lets it load or run anything but our own colours.

use ettan_cli::client::{Kind, Trouble, quoted};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

/// An answer.
pub(crate) type Reply = Response<Full<Bytes>>;

const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// What every answer says. With a referrer policy of `no-referrer` browsers would not say where a
/// form comes from.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

/// A page.
pub(crate) fn html(status: StatusCode, page: String) -> Reply {
    reply(status, "text/html; charset=utf-8", page)
}

/// Packets.
pub(crate) fn json(status: StatusCode, text: String) -> Reply {
    reply(status, "application/json", text + "\n")
}

/// A refusal for programs, as PID 1 makes them.
pub(crate) fn error(status: StatusCode, code: &str, text: &str) -> Reply {
    let packet = format!("{{\"reply\":\"error\",\"code\":\"{code}\",\"text\":{}}}", quoted(text));
    json(status, packet)
}

/// Numbers, in the format that Prometheus reads.
pub(crate) fn metrics(text: String) -> Reply {
    reply(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
}

/// Words.
pub(crate) fn text(status: StatusCode, text: &str) -> Reply {
    reply(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

/// Our colours, which a browser may keep for an hour.
pub(crate) fn style() -> Reply {
    let style = include_str!("style.css").as_bytes();
    let mut reply = reply(StatusCode::OK, "text/css; charset=utf-8", Bytes::from_static(style));
    let keep = HeaderValue::from_static("max-age=3600");
    reply.headers_mut().insert(header::CACHE_CONTROL, keep);
    reply
}

/// Go there.
pub(crate) fn see_other(place: &'static str) -> Reply {
    let mut reply = text(StatusCode::SEE_OTHER, place);
    reply.headers_mut().insert(header::LOCATION, HeaderValue::from_static(place));
    reply
}

/// The same with one header more; one that cannot be is left out.
pub(crate) fn with(mut reply: Reply, name: HeaderName, value: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(name, value);
    }
    reply
}

/// How trouble is told: as a status, and as a word for programs.
pub(crate) fn of_trouble(trouble: &Trouble) -> (StatusCode, &'static str) {
    match trouble.kind {
        Kind::Unknown => (StatusCode::NOT_FOUND, "unknown-unit"),
        Kind::NotPermitted => (StatusCode::FORBIDDEN, "not-permitted"),
        Kind::Failed => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
    }
}
