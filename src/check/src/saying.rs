//! One thing to say, before it has its place in a file.

use std::ops::Range;
use std::rc::Rc;

use ettan_unit::{Diagnostic, Severity, Source};

/// What was found: what the loader says too, or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What, where, and what to do.
    pub diagnostic: Diagnostic,
    /// The name by which it can be allowed; what must be changed has none.
    pub lint: Option<&'static str>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

impl Finding {
    /// Of a unit that nothing starts: worth knowing for whoever wants it.
    pub(crate) fn of_unused(&mut self) {
        self.diagnostic.severity = Severity::Note;
        self.notes.push("nothing starts this unit".into());
    }
}

impl From<Diagnostic> for Finding {
    fn from(diagnostic: Diagnostic) -> Self {
        Self { diagnostic, lint: None, notes: Vec::new() }
    }
}

/// Something to say.
#[derive(Clone, Debug)]
pub(crate) struct Saying {
    severity: Severity,
    message: String,
    hint: Option<String>,
    lint: Option<&'static str>,
    notes: Vec<String>,
}

impl Saying {
    pub(crate) fn new(severity: Severity, message: impl Into<String>) -> Self {
        let (hint, lint, notes) = (None, None, Vec::new());
        Self { severity, message: message.into(), hint, lint, notes }
    }

    pub(crate) fn hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    pub(crate) fn lint(self, name: &'static str) -> Self {
        Self { lint: Some(name), ..self }
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// In front of the message: which command it is about.
    pub(crate) fn about(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// About a command that may fail: no error.
    pub(crate) fn tolerated(self) -> Self {
        let severity = match self.severity {
            Severity::Error => Severity::Warning,
            other @ (Severity::Warning | Severity::Note) => other,
        };
        Self { severity, ..self }
    }

    pub(crate) fn at(self, source: &Rc<Source>, span: &Range<usize>) -> Finding {
        let diagnostic = source.diagnostic(self.severity, span, self.message, self.hint);
        Finding { diagnostic, lint: self.lint, notes: self.notes }
    }

    /// About a file or directory as a whole.
    pub(crate) fn of(self, unit: Option<&str>, file: &str) -> Finding {
        let diagnostic = Diagnostic {
            severity: self.severity,
            unit: unit.map(ToString::to_string),
            file: file.into(),
            place: None,
            message: self.message,
            hint: self.hint,
        };
        Finding { diagnostic, lint: self.lint, notes: self.notes }
    }
}
