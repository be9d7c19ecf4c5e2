//! `condition-path-exists` and its kin: whether a unit is for this machine. Judged whenever units are
//! read, since PID 1 looks at no path. A unit that is not for it is skipped, which is no failure.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use crate::asked::Asked;
use crate::diagnostic::{Complaint, Notes};
use crate::draft::{At, Draft, Item, texts};
use crate::reference::shown;
use crate::specifier::Specifiers;
use crate::tree::{read_system, resolve};

/// Where the firmware says what the board is (Devicetree Specification 2.3.1).
const BOARD: &str = "/sys/firmware/devicetree/base";

/// What a unit asks of the machine it is on.
#[derive(Debug, Default)]
pub(crate) struct Conditions(Vec<Condition>);

#[derive(Debug)]
struct Condition {
    /// Where it stands: a drop-in replaces all of a key.
    key: &'static str,
    span: Range<usize>,
    /// `!` in front: it must not hold.
    negated: bool,
    asks: Asks,
}

#[derive(Debug)]
enum Asks {
    /// This path exists, wherever its links lead.
    Path(String),
    /// The kernel's command line has this word, or this key with whatever value.
    Word(String),
    /// The board says of itself that it is compatible with this, or has it in its model's name.
    Board(String),
}

pub(crate) fn path_exists(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    read("path-exists", draft, item, notes, |text| {
        match text.starts_with('/') && !text.contains('\0') {
            true => Ok(Asks::Path(text)),
            false => Err(Complaint::new(format!("`{}` is no absolute path", shown(&text)))),
        }
    });
}

pub(crate) fn kernel_command_line(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    read("kernel-command-line", draft, item, notes, |text| {
        match text.contains(char::is_whitespace) {
            false => Ok(Asks::Word(text)),
            true => Err(Complaint::new("a word of the kernel's command line has no blanks")
                .hint("several words are a list: [\"quiet\", \"root=/dev/sda\"]")),
        }
    });
}

pub(crate) fn board(draft: &mut Draft, item: &Item<'_>, notes: &mut Notes) {
    read("board", draft, item, notes, |text| Ok(Asks::Board(text)));
}

fn read(
    key: &'static str,
    draft: &mut Draft,
    item: &Item<'_>,
    notes: &mut Notes,
    parse: impl Fn(String) -> Result<Asks, Complaint>,
) {
    draft.conditions.0.retain(|condition| condition.key != key);
    for At { span, value } in texts(item, notes) {
        let (negated, text) = value
            .strip_prefix('!')
            .map_or((false, value.as_str()), |rest| (true, rest.trim_start()));
        let asks = match text.is_empty() {
            true => Err(Complaint::new("says nothing")),
            false => parse(text.to_owned()),
        };
        let made = notes.take(&span, asks);
        draft.conditions.0.extend(made.map(|asks| Condition { key, span, negated, asks }));
    }
}

impl Conditions {
    /// Replaces specifiers in paths: of a template each instance has its own.
    pub(crate) fn expand(&mut self, specifiers: &Specifiers<'_>, notes: &mut Notes) {
        for Condition { span, asks, .. } in &mut self.0 {
            let Asks::Path(path) = asks else { continue };
            if let Some(expanded) = notes.take(span, specifiers.expand(path)) {
                *path = expanded;
            }
        }
    }

    /// Whether one of them does not hold; said in a note.
    pub(crate) fn skip(&self, root: &Path, asked: &Asked, notes: &mut Notes) -> bool {
        let Some(words) = &asked.words else { return false };
        for Condition { span, negated, asks, .. } in &self.0 {
            let (holds, is, is_not) = asks.judge(root, words);
            if holds == *negated {
                notes.note(span, format!("skipped: {}", if holds { is } else { is_not }));
                return true;
            }
        }
        false
    }
}

impl Asks {
    /// Whether it holds, and how that and the contrary are said.
    fn judge(&self, root: &Path, words: &[String]) -> (bool, String, String) {
        match self {
            Self::Path(path) => {
                let name = shown(path);
                (exists(root, path), format!("{name} exists"), format!("{name} does not exist"))
            }
            Self::Word(word) => {
                let key = format!("{word}=");
                let holds = words.iter().any(|have| have == word || have.starts_with(&key));
                let said = |has| format!("the kernel's command line has {has} `{}`", shown(word));
                (holds, said("the word"), said("no word"))
            }
            Self::Board(board) => {
                let [model, compatible] = ["model", "compatible"].map(|name| property(root, name));
                let wanted = board.to_lowercase();
                let named = model.iter().any(|model| model.to_lowercase().contains(&wanted));
                let holds = named || compatible.contains(board);
                let model = model.first().map_or("unknown, without a device tree", String::as_str);
                let said = format!("the board is {}", shown(model));
                (holds, said.clone(), said)
            }
        }
    }
}

/// What cannot be looked at is taken to be there: it is the unit that knows what to say of it.
fn exists(root: &Path, path: &str) -> bool {
    let found = resolve(root, Path::new(path)).and_then(std::fs::symlink_metadata);
    !matches!(found, Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

/// The strings of a property of the device tree's root.
fn property(root: &Path, name: &str) -> Vec<String> {
    let bytes = read_system(root, &format!("{BOARD}/{name}")).unwrap_or_default();
    let strings = bytes.split(|byte| *byte == 0).filter(|string| !string.is_empty());
    strings.map(|string| String::from_utf8_lossy(string).into_owned()).collect()
}
