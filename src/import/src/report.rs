//! What became of each directive, for people (80 columns) and for scripts (JSON).

/// The widest line of a report.
const COLUMNS: usize = 80;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: String,
    /// The line, from 1 on; 0 where there is none.
    pub line: usize,
    /// What it says there.
    pub text: String,
}

impl Origin {
    /// What stands there, somewhere.
    #[must_use]
    pub fn new(file: &str, line: usize, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, text: text.into() }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It means the same.
    Mapped,
    /// It means nearly the same.
    Approximated,
    /// It is not there any more.
    Dropped,
}

impl Fate {
    /// In one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mapped => "mapped",
            Self::Approximated => "approximated",
            Self::Dropped => "dropped",
        }
    }
}

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub origin: Origin,
    /// What became of it.
    pub fate: Fate,
    /// The key that has it now.
    pub key: Option<String>,
    /// Why it is not the same; may be empty for what is.
    pub why: String,
}

/// Notes as people read them: what is mapped in a few lines, the rest with its reason.
#[must_use]
pub fn for_people(notes: &[Note]) -> String {
    let mut text = String::new();
    let of = |fate| notes.iter().filter(move |note| note.fate == fate);
    let mut mapped: Vec<String> = Vec::new();
    for note in of(Fate::Mapped) {
        let name = note.origin.text.split('=').next().unwrap_or_default().trim().to_owned();
        if !mapped.contains(&name) {
            mapped.push(name);
        }
    }
    if !mapped.is_empty() {
        text.push_str("  mapped\n");
        text.push_str(&wrapped(&mapped.join(", "), "    ", COLUMNS));
    }
    for fate in [Fate::Approximated, Fate::Dropped] {
        let mut file = "";
        for (nth, note) in of(fate).enumerate() {
            if nth == 0 {
                text.push_str(&format!("  {}\n", fate.word()));
            }
            let line = match note.origin.line {
                0 => String::new(),
                line => format!("{line}: "),
            };
            let first_file = notes.first().map_or("", |note| note.origin.file.as_str());
            if note.origin.file != file && note.origin.file != first_file {
                text.push_str(&wrapped(&format!("{}:", note.origin.file), "    ", COLUMNS));
            }
            file = &note.origin.file;
            let what = shortened(&format!("{line}{}", note.origin.text), COLUMNS - 4);
            text.push_str(&format!("    {what}\n"));
            text.push_str(&wrapped(&note.why, "        ", COLUMNS));
        }
    }
    text
}

/// Notes as objects, one a line.
pub fn for_scripts(unit: &str, notes: &[Note]) -> Vec<String> {
    let object = |note: &Note| {
        let mut pairs = vec![
            ("unit", json(unit)),
            ("source", json(&note.origin.file)),
            ("line", note.origin.line.to_string()),
            ("text", json(&note.origin.text)),
            ("fate", json(note.fate.word())),
        ];
        pairs.extend(note.key.iter().map(|key| ("key", json(key))));
        if !note.why.is_empty() {
            pairs.push(("why", json(&note.why)));
        }
        object(&pairs)
    };
    notes.iter().map(object).collect()
}

/// An object of names and values that are JSON already.
#[must_use]
pub fn object(pairs: &[(&str, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A JSON string.
#[must_use]
pub fn json(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\0'..='\x1f' => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            other => json.push(other),
        }
    }
    json.push('"');
    json
}

/// Text in lines of at most `columns`, each with `prefix` in front. A longer word stays whole.
#[must_use]
pub fn wrapped(text: &str, prefix: &str, columns: usize) -> String {
    let mut lines = String::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let long = prefix.chars().count() + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && long > columns {
            lines.push_str(&format!("{prefix}{line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push_str(&format!("{prefix}{line}\n"));
    }
    lines
}

/// The beginning of a text, on one line, with `…` for the rest.
fn shortened(text: &str, columns: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= columns {
        return line;
    }
    line.chars().take(columns - 1).chain(['…']).collect()
}
