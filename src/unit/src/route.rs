//! `[[log.route]]`: the further logs of a unit, as words for the logger.

use toml::de::DeValue;

use crate::diagnostic::{Complaint, Notes};
use crate::draft::{self, At, Draft, Item, kind_word};
use crate::reference::{self, shown};
use crate::specifier::Specifiers;
use crate::{log, nearest};

/// The most routes of one unit, as the logger has it.
const MAX_ROUTES: usize = 16;

/// The longest words of one log in bytes: PID 1 hands them on in a packet of 3,072, after a verb, a
/// name, two numbers and which stream it is.
const MAX_WORDS: usize = 2_960;

/// The longest name: it becomes a part of a folder's.
const MAX_NAME: usize = 32;

/// What one `[[log.route]]` says.
#[derive(Debug)]
pub(crate) struct Route {
    name: At<String>,
    takes: Vec<String>,
    refuses: Vec<String>,
    directory: Option<At<String>>,
    alert: Option<At<String>>,
}

impl Route {
    /// It is kept on a disk, whatever holds for the unit's own log.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.directory.is_some()
    }

    /// Where it is kept on a disk.
    pub(crate) fn directory(&self, specifiers: &Specifiers<'_>) -> Option<At<String>> {
        let At { span, value } = self.directory.as_ref()?;
        Some(At { span: span.clone(), value: specifiers.expand(value).ok()? })
    }
}

pub(crate) fn routes(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    let DeValue::Array(tables) = item.value else {
        let message = format!("{} is not a list of tables", kind_word(item.value));
        return notes.error_with(&item.span, message, "[[log.route]] begins each of them");
    };
    let mut routes: Vec<Route> = Vec::new();
    for table in tables.iter() {
        let span = table.span();
        let DeValue::Table(keys) = table.get_ref() else {
            let message = format!("{} is not a table", kind_word(table.get_ref()));
            notes.error_with(&span, message, "[[log.route]] begins each of them");
            continue;
        };
        let number = At { span: span.clone(), value: (routes.len().saturating_add(1)).to_string() };
        let mut route = Route {
            name: number,
            takes: Vec::new(),
            refuses: Vec::new(),
            directory: None,
            alert: None,
        };
        for (key, value) in keys.iter() {
            let name = key.get_ref().as_ref();
            let (key, span) = (key.span(), value.span());
            key_of(&mut route, &Item { name, key, span, value: value.get_ref() }, notes);
        }
        if routes.iter().any(|other| other.name.value == route.name.value) {
            let message = format!("two routes are called `{}`", shown(&route.name.value));
            notes.error(&route.name.span, message);
        }
        routes.push(route);
    }
    if routes.len() > MAX_ROUTES {
        notes.error(&item.key, format!("{} routes, at most {MAX_ROUTES}", routes.len()));
    }
    draft.log.routes = routes;
}

fn key_of(route: &mut Route, item: &Item<'_>, notes: &mut Notes) {
    match item.name {
        "name" => {
            if let Some(name) = notes.take(&item.span, draft::text(item.value).and_then(name)) {
                route.name = At { span: item.span.clone(), value: name };
            }
        }
        "match" => route.takes = patterns(item, notes),
        "exclude" => route.refuses = patterns(item, notes),
        "directory" => route.directory = draft::path(item, notes),
        "alert" => {
            let unit = draft::text(item.value).and_then(|name| reference::unit(&name));
            let unit = notes.take(&item.span, unit);
            route.alert = unit.map(|value| At { span: item.span.clone(), value });
        }
        other => {
            let message = format!("unknown key `{}` in [[log.route]]", shown(other));
            let known = ["name", "match", "exclude", "directory", "alert"];
            match nearest::nearest(other, known) {
                Some(near) => {
                    notes.error_with(&item.key, message, format!("did you mean `{near}`?"));
                }
                None => notes.error_with(&item.key, message, known.join(", ")),
            }
        }
    }
}

fn name(name: String) -> Result<String, Complaint> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(plain) {
        let message = format!("`{}` cannot be the name of a route", shown(&name));
        let hint = format!("letters, digits, `-` and `_`, at most {MAX_NAME}");
        return Err(Complaint::new(message).hint(hint));
    }
    Ok(name)
}

fn patterns(item: &Item<'_>, notes: &mut Notes) -> Vec<String> {
    let mut patterns = Vec::new();
    for At { span, value } in draft::texts(item, notes) {
        if value.contains('\n') {
            notes.error(&span, "no line has a line end in it: this would never match");
        }
        patterns.push(value);
    }
    patterns
}

/// The units that are to be started when a line matches.
pub(crate) fn alerts(routes: &[Route]) -> Vec<At<String>> {
    routes.iter().filter_map(|route| route.alert.clone()).collect()
}

/// What the routes are called.
pub(crate) fn names(routes: &[Route]) -> Vec<At<String>> {
    let name =
        |route: &Route| At { span: route.name.span.clone(), value: route.name.value.clone() };
    routes.iter().map(name).collect()
}

/// The words for the logger, after those of the unit's own log, whose directory is `own`.
pub(crate) fn words(
    routes: &[Route],
    own: Option<&str>,
    specifiers: &Specifiers<'_>,
    notes: &mut Notes,
) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut places: Vec<String> = own.map(log::place_of).into_iter().collect();
    for route in routes {
        words.push(format!("route={}", route.name.value));
        words.extend(route.takes.iter().map(|pattern| format!("match={}", encoded(pattern))));
        words.extend(route.refuses.iter().map(|pattern| format!("exclude={}", encoded(pattern))));
        if let Some(path) = &route.directory {
            let directory = log::directory_of(path, specifiers, notes)?;
            let place = log::place_of(&directory);
            if places.contains(&place) {
                let message = format!("another log of this unit is in `{}`", shown(&directory));
                notes.error_with(&path.span, message, "each log has a directory of its own");
            }
            words.push(format!("dir={}", encoded(&directory)));
            places.push(place);
        }
        words.extend(route.alert.iter().map(|unit| format!("alert={}", unit.value)));
    }
    Some(words)
}

/// Refuses words that PID 1 could not hand on.
pub(crate) fn fits(routes: &[Route], words: &str, notes: &mut Notes) -> Option<()> {
    if words.len() <= MAX_WORDS {
        return Some(());
    }
    let place = routes.first().map_or(0..0, |route| route.name.span.clone());
    let message = format!("the routes take {} bytes, {MAX_WORDS} at most", words.len());
    notes.error_with(&place, message, "fewer or shorter patterns");
    None
}

/// The directories of the routes in the words for the logger, which follow those of the unit's own log.
pub(crate) fn directories(words: &str) -> impl Iterator<Item = String> {
    let words = words.split(' ').skip_while(|word| !word.starts_with("route="));
    // A directory has no space and the like in it.
    words.filter_map(|word| word.strip_prefix("dir=")).map(|path| path.replace("%25", "%"))
}

/// The names of the routes in the words for the logger.
pub(crate) fn names_in(words: &str) -> impl Iterator<Item = &str> {
    words.split(' ').filter_map(|word| word.strip_prefix("route="))
}

/// Without what ends a word.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '%' || c.is_ascii_whitespace() || c.is_ascii_control() {
            out.push_str(&format!("%{:02x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}
