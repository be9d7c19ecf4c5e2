//! Can a program be executed? Looks at its file, never runs it.

use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::diagnostic::{Complaint, Severity};
use crate::reference::shown;
use crate::tree::{open, resolve, words};

/// For which CPU a program is (`e_machine` of its ELF header).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine(u16);

impl Machine {
    fn name(self) -> String {
        match self.0 {
            3 => "x86 (32 bit)".into(),
            40 => "ARM (32 bit)".into(),
            62 => "x86-64".into(),
            183 => "ARM (64 bit)".into(),
            243 => "RISC-V".into(),
            other => format!("CPU number {other}"),
        }
    }

    /// Whether a machine whose own programs are of this kind can execute `other`.
    fn executes(self, other: Self) -> bool {
        // A 64-bit kernel mostly executes its 32-bit ancestor's programs.
        self == other || matches!((self.0, other.0), (62, 3) | (183, 40))
    }
}

/// How much of a program is read: the ELF header, its program headers, or a `#!` line.
const HEAD: u64 = 4096;

/// How bad, and what.
type Verdict = Result<(), (Severity, Complaint)>;

/// The CPU that a root is made for, going by what every root has.
pub(crate) fn machine_of(root: &Path) -> Option<Machine> {
    let known = ["/sbin/init", "/bin/sh", "/bin/busybox", "/usr/bin/env"];
    known.iter().find_map(|path| {
        let (head, _) = head(root, path).ok()?;
        elf_machine(&head)
    })
}

/// Whether the program at `path` of `root` can be executed there.
pub(crate) fn examine(root: &Path, machine: Option<Machine>, path: &str) -> Verdict {
    let head = executable(root, path, "the program")?;
    if let Some(interpreter) = head.strip_prefix(b"#!") {
        let line = interpreter.split(|byte| *byte == b'\n').next().unwrap_or(b"");
        let line = String::from_utf8_lossy(line);
        let name = line.split_ascii_whitespace().next().unwrap_or("");
        return executable(root, name, &format!("the interpreter of `{}`,", shown(path)))
            .map(|_| ());
    }
    let Some(own) = elf_machine(&head) else {
        let message = format!("`{}` is neither a program nor a script with `#!`", shown(path));
        return Err((Severity::Warning, Complaint::new(message)));
    };
    if let Some(machine) = machine.filter(|machine| !machine.executes(own)) {
        let (own, here) = (own.name(), machine.name());
        return error(format!("`{}` is for {own}, this root for {here}", shown(path)));
    }
    match elf_interpreter(&head) {
        Some(loader) => {
            executable(root, &loader, &format!("the loader of `{}`,", shown(path))).map(|_| ())
        }
        None => Ok(()),
    }
}

/// The head of a file that has everything but the right content.
fn executable(root: &Path, path: &str, what: &str) -> Result<Vec<u8>, (Severity, Complaint)> {
    let named = format!("{what} `{}`", shown(path));
    if !path.starts_with('/') {
        return error(format!("{named} is not an absolute path"));
    }
    let (head, metadata) = match head(root, path) {
        Ok(found) => found,
        Err(fault) => return error(format!("{named}: {}", words(&fault))),
    };
    if !metadata.is_file() {
        return error(format!("{named} is not a regular file"));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        let complaint = Complaint::new(format!("{named} is not executable"));
        return Err((Severity::Error, complaint.hint("chmod +x")));
    }
    if head.is_empty() {
        return error(format!("{named} is empty"));
    }
    Ok(head)
}

fn head(root: &Path, path: &str) -> std::io::Result<(Vec<u8>, Metadata)> {
    let real = resolve(root, Path::new(path))?;
    let metadata = std::fs::metadata(&real)?;
    let mut head = Vec::new();
    if metadata.is_file() {
        open(&real)?.take(HEAD).read_to_end(&mut head)?;
    }
    Ok((head, metadata))
}

fn error<T>(message: String) -> Result<T, (Severity, Complaint)> {
    Err((Severity::Error, Complaint::new(message)))
}

fn elf_machine(head: &[u8]) -> Option<Machine> {
    head.starts_with(b"\x7fELF").then_some(())?;
    u16::try_from(number(head, 18, 2)?).ok().map(Machine)
}

/// The path in the program header of type PT_INTERP.
fn elf_interpreter(head: &[u8]) -> Option<String> {
    let wide = *head.get(4)? == 2;
    // Offsets of: program headers, their size and count; in each: file offset, file size.
    let (table, size, count) = if wide { ((32, 8), 54, 56) } else { ((28, 4), 42, 44) };
    let (offset, length) = if wide { ((8, 8), (32, 8)) } else { ((4, 4), (16, 4)) };
    let start = number(head, table.0, table.1)?;
    let size = number(head, size, 2)?;
    for nth in 0..number(head, count, 2)? {
        let header = head.get(start.checked_add(nth.checked_mul(size)?)?..)?;
        if number(header, 0, 4)? == 3 {
            let from = number(header, offset.0, offset.1)?;
            let to = from.checked_add(number(header, length.0, length.1)?)?;
            let path = head.get(from..to)?.split(|byte| *byte == 0).next()?;
            return Some(String::from_utf8_lossy(path).into_owned());
        }
    }
    None
}

/// A little-endian number of `width` bytes at `at`; every machine we run on is so.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(width)?)?;
    let value = field.iter().rev().try_fold(0_u64, |value, byte| {
        Some(value.checked_mul(256)?.saturating_add(u64::from(*byte)))
    });
    usize::try_from(value?).ok()
}
