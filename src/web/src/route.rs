//! Method and path → what is asked for. Does nothing about it.

use ettan_cli::client::Goal;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Lines of a log on a page, unless asked otherwise.
pub(crate) const LINES: usize = 100;

/// The most lines of a log at a time.
pub(crate) const LINES_MAX: usize = 1_000;

/// What stays as it is in a unit's name.
const PLAIN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'@').remove(b'~');

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// The colours.
    Style,
    /// The form for the token.
    LoginForm,
    /// The token.
    Login,
    /// No more.
    Logout,
    /// Something that this machine's units say.
    Look(Look),
    /// Something that shall be.
    Change {
        /// What.
        goal: Goal,
        /// Of which unit.
        unit: String,
        /// Whether a program asks.
        api: bool,
    },
}

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The page of all units, with Ettan's own or without.
    Units(bool),
    /// The page of one, with so many lines of its log.
    Unit(String, usize),
    /// The packets of all.
    ApiUnits(bool),
    /// The packet of one.
    ApiUnit(String),
    /// So many lines of its log.
    ApiLog(String, usize),
    /// The packet of PID 1.
    ApiMachine,
    /// Numbers.
    Metrics,
}

/// Why nothing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// No such page.
    Nowhere,
    /// Not in this way, but in that.
    Method(&'static str),
}

impl Route {
    /// Whether programs ask in this way, and want to be answered in theirs.
    pub(crate) fn is_for_programs(&self) -> bool {
        match self {
            Self::Look(look) => !matches!(look, Look::Units(_) | Look::Unit(..)),
            Self::Change { api, .. } => *api,
            Self::Style | Self::LoginForm | Self::Login | Self::Logout => false,
        }
    }
}

/// Finds what is asked for.
pub(crate) fn route(method: &Method, path: &str, query: Option<&str>) -> Result<Route, Lost> {
    let query = query.unwrap_or_default();
    let parts: Option<Vec<String>> = path
        .strip_prefix('/')
        .ok_or(Lost::Nowhere)?
        .split('/')
        .map(|part| percent_decode_str(part).decode_utf8().ok().map(|part| part.into_owned()))
        .collect();
    let parts = parts.ok_or(Lost::Nowhere)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let all = || value(query, "all").is_some();
    let lines = || {
        let asked = value(query, "lines").and_then(|lines| lines.parse::<usize>().ok());
        asked.unwrap_or(LINES).min(LINES_MAX)
    };
    let (looks, posts) = match parts[..] {
        [""] => (Some(Look::Units(all())), None),
        ["units", unit] => (Some(Look::Unit(unit.to_owned(), lines())), None),
        ["units", unit, verb] => (None, change(verb, unit, false)),
        ["api", "units"] => (Some(Look::ApiUnits(all())), None),
        ["api", "machine"] => (Some(Look::ApiMachine), None),
        ["api", "units", unit] => (Some(Look::ApiUnit(unit.to_owned())), None),
        ["api", "units", unit, "log"] => (Some(Look::ApiLog(unit.to_owned(), lines())), None),
        ["api", "units", unit, verb] => (None, change(verb, unit, true)),
        ["metrics"] => (Some(Look::Metrics), None),
        ["style.css"] => return only_get(method, Route::Style),
        ["login"] if is_get(method) => return Ok(Route::LoginForm),
        ["login"] => (None, Some(Route::Login)),
        ["logout"] => (None, Some(Route::Logout)),
        _ => (None, None),
    };
    match (looks, posts) {
        (Some(look), _) => only_get(method, Route::Look(look)),
        (None, Some(posted)) if method == Method::POST => Ok(posted),
        (None, Some(_)) => Err(Lost::Method("POST")),
        (None, None) => Err(Lost::Nowhere),
    }
}

/// The path of a unit's page.
pub(crate) fn path_of(unit: &str) -> String {
    format!("/units/{}", utf8_percent_encode(unit, PLAIN))
}

fn change(verb: &str, unit: &str, api: bool) -> Option<Route> {
    let goal = match verb {
        "start" => Goal::Start,
        "stop" => Goal::Stop,
        "restart" => Goal::Restart,
        _ => return None,
    };
    Some(Route::Change { goal, unit: unit.to_owned(), api })
}

fn is_get(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

fn only_get(method: &Method, route: Route) -> Result<Route, Lost> {
    if is_get(method) { Ok(route) } else { Err(Lost::Method("GET, HEAD")) }
}

fn value(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Result<Route, Lost> {
        let (path, query) = path.split_once('?').map_or((path, None), |(p, q)| (p, Some(q)));
        route(&Method::GET, path, query)
    }

    #[test]
    fn every_path_leads_somewhere_or_nowhere() {
        for (path, look) in [
            ("/", Look::Units(false)),
            ("/?all=1", Look::Units(true)),
            ("/units/web", Look::Unit("web".into(), LINES)),
            ("/units/getty%40tty1?lines=5", Look::Unit("getty@tty1".into(), 5)),
            ("/units/a%2Fb", Look::Unit("a/b".into(), LINES)),
            ("/api/units", Look::ApiUnits(false)),
            ("/api/units/web", Look::ApiUnit("web".into())),
            ("/api/units/web/log?lines=99999999", Look::ApiLog("web".into(), LINES_MAX)),
            ("/api/units/web/log?lines=-1", Look::ApiLog("web".into(), LINES)),
            ("/api/machine", Look::ApiMachine),
            ("/metrics", Look::Metrics),
        ] {
            assert_eq!(get(path), Ok(Route::Look(look)), "{path}");
        }
        for path in ["", "*", "/nosuch", "/units", "/units/%ff", "/api", "/units/web/kill", "//"] {
            assert_eq!(get(path), Err(Lost::Nowhere), "{path}");
        }
        assert_eq!(path_of("getty@tty1"), "/units/getty@tty1");
        assert_eq!(get(&path_of("a/\"<å ")), Ok(Route::Look(Look::Unit("a/\"<å ".into(), LINES))));
    }

    #[test]
    fn looking_changes_nothing_and_changes_are_posted() {
        let restart = |api| Route::Change { goal: Goal::Restart, unit: "web".into(), api };
        for (path, api) in [("/units/web/restart", false), ("/api/units/web/restart", true)] {
            assert_eq!(get(path), Err(Lost::Method("POST")), "{path}");
            assert_eq!(route(&Method::POST, path, None), Ok(restart(api)));
        }
        assert_eq!(route(&Method::POST, "/", None), Err(Lost::Method("GET, HEAD")));
        assert_eq!(route(&Method::OPTIONS, "/logout", None), Err(Lost::Method("POST")));
        assert_eq!(route(&Method::HEAD, "/login", None), Ok(Route::LoginForm));
        assert_eq!(route(&Method::POST, "/login", None), Ok(Route::Login));
    }
}
