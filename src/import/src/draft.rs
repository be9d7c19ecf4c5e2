//! One unit in the making: its keys, and what became of each directive of its source. A key gets
//! in only if the loader's own code takes it.

use crate::report::{Fate, Note, Origin};
use crate::value::Value;
use ettan_unit::{KEYS, Severity};

/// The widest comment line.
const COLUMNS: usize = 90;

/// Keys whose values the loader looks up on the machine, which need not be this one.
const LOOKED_UP: [(&str, &str); 6] = [
    ("service", "user"),
    ("service", "group"),
    ("service", "supplementary-groups"),
    ("service", "environment-file"),
    ("service", "environment-dir"),
    ("log", "user"),
];

/// A unit file that is being written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The unit's name.
    pub name: String,
    /// Whether it starts at boot by itself.
    pub at_boot: bool,
    /// What it was made from.
    pub source: String,
    /// The program of Supervisor that it is a process of.
    pub(crate) program: Option<String>,
    keys: Vec<Entry>,
    /// What became of everything that the source says.
    pub notes: Vec<Note>,
}

#[derive(Clone, Debug)]
struct Entry {
    section: &'static str,
    key: &'static str,
    value: Value,
    comments: Vec<String>,
}

/// `text` where specifiers are replaced: a percent sign of its own.
#[must_use]
pub(crate) fn literal(text: &str) -> String {
    text.replace('%', "%%")
}

impl Draft {
    /// A unit without any key.
    #[must_use]
    pub fn new(name: &str, source: &str) -> Self {
        Self {
            name: name.to_owned(),
            at_boot: true,
            source: source.to_owned(),
            program: None,
            keys: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Sets a key that means the same.
    pub fn map(&mut self, from: &Origin, section: &str, key: &str, value: Value) -> bool {
        self.set(from, section, key, value, None)
    }

    /// Sets a key that means nearly the same, and says what differs.
    pub fn near(
        &mut self,
        from: &Origin,
        section: &str,
        key: &str,
        value: Value,
        why: impl Into<String>,
    ) -> bool {
        self.set(from, section, key, value, Some(why.into()))
    }

    /// Needs no key: it is so without one.
    pub fn same(&mut self, from: &Origin, why: impl Into<String>) {
        self.note(from, Fate::Mapped, None, why);
    }

    /// Needs no key, but is not quite the same.
    pub fn nearly(&mut self, from: &Origin, why: impl Into<String>) {
        self.note(from, Fate::Approximated, None, why);
    }

    /// Has no counterpart.
    pub fn drop(&mut self, from: &Origin, why: impl Into<String>) {
        self.note(from, Fate::Dropped, None, why);
    }

    fn note(&mut self, from: &Origin, fate: Fate, key: Option<&str>, why: impl Into<String>) {
        let key = key.map(str::to_owned);
        self.notes.push(Note { origin: from.clone(), fate, key, why: why.into() });
    }

    fn set(
        &mut self,
        from: &Origin,
        section: &str,
        key: &str,
        value: Value,
        why: Option<String>,
    ) -> bool {
        if let Err(reason) = accepts(section, key, &value) {
            let reason = match &why {
                Some(why) => format!("{reason} ({why})"),
                None => reason,
            };
            self.drop(from, reason);
            return false;
        }
        let fate = if why.is_some() { Fate::Approximated } else { Fate::Mapped };
        self.put(section, key, value, why.clone());
        self.note(from, fate, Some(key), why.unwrap_or_default());
        true
    }

    /// Sets a key without a word in the report, where another directive has had it.
    pub fn put(&mut self, section: &str, key: &str, value: Value, comment: Option<String>) {
        let Some(known) = KEYS.iter().find(|k| k.section == section && k.name == key) else {
            return;
        };
        match self.keys.iter_mut().find(|e| e.section == section && e.key == key) {
            Some(entry) => {
                entry.value = value;
                entry.comments.extend(comment);
            }
            None => self.keys.push(Entry {
                section: known.section,
                key: known.name,
                value,
                comments: comment.into_iter().collect(),
            }),
        }
    }

    /// The value of a key so far.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&Value> {
        self.keys.iter().find(|e| e.section == section && e.key == key).map(|e| &e.value)
    }

    /// Adds to a list what it has not yet.
    pub fn add(&mut self, section: &str, key: &str, item: &str) {
        let mut items = match self.get(section, key) {
            Some(Value::List(items)) => items.clone(),
            _ => Vec::new(),
        };
        if !items.iter().any(|known| known == item) {
            items.push(item.to_owned());
        }
        self.put(section, key, Value::List(items), None);
    }

    /// The unit file.
    #[must_use]
    pub fn text(&self) -> String {
        self.render(|_| true)
    }

    /// What the loader says against the whole; None if it takes it. What it would look up on the
    /// machine is left out.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let text = self.render(|e| !LOOKED_UP.contains(&(e.section, e.key)));
        complaint(&self.name, text)
    }

    fn render(&self, keep: impl Fn(&Entry) -> bool) -> String {
        let mut text = String::new();
        let mut section = "";
        let ordered = KEYS.iter().filter_map(|key| {
            self.keys.iter().find(|e| e.section == key.section && e.key == key.name)
        });
        let mut entries: Vec<&Entry> = ordered.filter(|e| keep(e)).collect();
        // The keys of a table stand together, and a table in a table is its end.
        let rank = |e: &Entry| {
            let at = KEYS.iter().position(|key| key.section == e.section).unwrap_or(KEYS.len());
            (at, matches!(e.value, Value::Table(_)))
        };
        entries.sort_by_key(|e| rank(e));
        for entry in entries {
            let is_table = matches!(entry.value, Value::Table(_));
            if entry.section != section && !(is_table && section.is_empty()) {
                text.push_str(&format!("{}[{}]\n", gap(&text), entry.section));
                section = entry.section;
            }
            let name = match is_table {
                true => format!("{}.{}", entry.section, entry.key),
                false => entry.key.to_owned(),
            };
            if is_table {
                text.push_str(gap(&text));
            }
            for comment in &entry.comments {
                text.push_str(&crate::report::wrapped(comment, "# ", COLUMNS));
            }
            text.push_str(&entry.value.line(&name));
            text.push('\n');
        }
        text
    }
}

fn gap(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "\n" }
}

/// Whether the loader takes this value for this key; what it says if not.
fn accepts(section: &str, key: &str, value: &Value) -> Result<(), String> {
    if !KEYS.iter().any(|k| k.section == section && k.name == key) {
        return Err(format!("there is no `{key}`"));
    }
    if LOOKED_UP.contains(&(section, key)) {
        return Ok(());
    }
    let of_a_file = matches!(key, "instances" | "instance-name");
    let mut trial = Draft::new(if of_a_file { "trial" } else { "trial@1" }, "");
    if of_a_file {
        trial.put("service", "instances", Value::Number(2), None);
    }
    let kind = match key {
        "pid-file" => "forking",
        "remain-after-exit" => "oneshot",
        _ => "simple",
    };
    trial.put("service", "type", Value::text(kind), None);
    trial.put("service", "exec-start", Value::text("/bin/true"), None);
    if section == "log" && key != "storage" {
        trial.put("log", "storage", Value::text("disk"), None);
    }
    trial.put(section, key, value.clone(), None);
    if (section, key, value) == ("service", "type", &Value::text("target")) {
        return Ok(());
    }
    complaint(&trial.name, trial.text()).map_or(Ok(()), Err)
}

/// The first error of a text, in the loader's words.
fn complaint(name: &str, text: String) -> Option<String> {
    let (_, said) = ettan_unit::read_alone(name, "", text.into_bytes());
    let mut errors = said.into_iter().filter(|d| d.severity == Severity::Error);
    errors.next().map(|error| match error.hint {
        Some(hint) => format!("{} ({hint})", error.message),
        None => error.message,
    })
}
