//! Who asks, from where, and whether a person meant it: what headers say about that. Knows no secret.

use hyper::header::{AUTHORIZATION, COOKIE, HOST, HeaderMap, HeaderName, ORIGIN};
use hyper::http::uri::{Authority, Uri};
use std::net::{IpAddr, Ipv6Addr};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The host that the request is for: there is one, and it is one.
pub(crate) fn host(headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?.parse::<Authority>().ok()?;
    let is_plain = hosts.next().is_none() && !host.as_str().contains('@');
    is_plain.then_some(host)
}

/// Whether a page that only this machine gets to is asked for by its name. A name of somebody else's
/// that leads to 127.0.0.1 (DNS rebinding) would make his pages ours.
pub(crate) fn is_loopback_name(host: &Authority) -> bool {
    let name = host.host();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match bare {
        Some(address) => address.parse().is_ok_and(|address: Ipv6Addr| address.is_loopback()),
        None => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
        }
    }
}

/// Whether a request that changes something comes from a page of ours. Browsers say where it comes
/// from, one way or another; what says nothing is not believed.
pub(crate) fn is_from_our_page(headers: &HeaderMap, host: &Authority) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site == "same-origin";
    }
    headers.get(ORIGIN).is_some_and(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        origin.is_some_and(|origin| is_origin_of(&origin, host))
    })
}

/// Whether it comes from a page at all, and not from a program.
pub(crate) fn is_from_a_page(headers: &HeaderMap) -> bool {
    headers.contains_key(SEC_FETCH_SITE) || headers.contains_key(ORIGIN)
}

fn is_origin_of(origin: &Uri, host: &Authority) -> bool {
    let port = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        Some(_) | None => return false,
    };
    let place = |at: &Authority| (at.host().to_ascii_lowercase(), at.port_u16().unwrap_or(port));
    origin.authority().is_some_and(|origin| place(origin) == place(host))
}

/// What a program shows: `Authorization: Bearer TOKEN`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// What a browser shows in the cookie of this name.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|text| text.to_str().ok());
    texts.flat_map(|text| text.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn authority(text: &str) -> Authority {
        host(&headers(&[("host", text)])).unwrap()
    }

    #[test]
    fn only_names_of_this_machine_lead_to_a_page_of_this_machine() {
        for name in ["localhost", "LocalHost:9001", "127.0.0.1:9001", "127.8.9.1", "[::1]:9001"] {
            assert!(is_loopback_name(&authority(name)), "{name}");
        }
        for name in [
            "evil.example:9001",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.1",
            "0.0.0.0",
            "[::2]",
            "2130706433",
            "127.1",
        ] {
            assert!(!is_loopback_name(&authority(name)), "{name}");
        }
    }

    #[test]
    fn a_request_is_for_one_host() {
        for pairs in [
            &[][..],
            &[("host", "localhost"), ("host", "evil.example")],
            &[("host", "evil@localhost")],
            &[("host", "")],
            &[("host", "local host")],
        ] {
            assert_eq!(host(&headers(pairs)), None, "{pairs:?}");
        }
    }

    #[test]
    fn only_our_own_page_may_press_a_button() {
        let ours = |pairs: &[(&'static str, &str)], host: &str| {
            is_from_our_page(&headers(pairs), &authority(host))
        };
        for (origin, host) in [
            ("http://box:9001", "box:9001"),
            ("http://BOX", "box"),
            ("http://box", "box:80"),
            ("https://box", "box:443"),
            ("http://[::1]:9001", "[::1]:9001"),
        ] {
            assert!(ours(&[("origin", origin)], host), "{origin} {host}");
        }
        for (origin, host) in [
            ("null", "box"),
            ("http://evil.example", "box"),
            ("http://box:8080", "box:9001"),
            ("https://box", "box:80"),
            ("ftp://box", "box"),
            ("http://box.evil.example:9001", "box:9001"),
            ("box", "box"),
            ("", "box"),
        ] {
            assert!(!ours(&[("origin", origin)], host), "{origin} {host}");
        }
        assert!(!ours(&[], "box"));
        assert!(ours(&[("sec-fetch-site", "same-origin")], "box"));
        for site in ["cross-site", "same-site", "none", ""] {
            let pairs = [("sec-fetch-site", site), ("origin", "http://box")];
            assert!(!ours(&pairs, "box"), "{site}");
        }
        assert!(!is_from_a_page(&headers(&[])));
    }

    #[test]
    fn what_is_shown_is_found() {
        let shown = |value| bearer(&headers(&[("authorization", value)])).map(str::to_owned);
        assert_eq!(shown("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(shown("bearer  abc ").as_deref(), Some("abc"));
        assert_eq!(shown("Basic abc"), None);
        let jar = headers(&[("cookie", "a=1; ettan=xyz;b=2"), ("cookie", "ettan=late")]);
        assert_eq!(cookie(&jar, "ettan"), Some("xyz"));
        assert_eq!(cookie(&jar, "b"), Some("2"));
        assert_eq!(cookie(&jar, "tan"), None);
    }
}
