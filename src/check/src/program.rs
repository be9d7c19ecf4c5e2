//! Can a command be executed? Looks at the files that it takes, never runs one.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ettan_unit::{Severity, shown, tree};

use crate::cpu::Cpu;
use crate::elf::{self, Image, MAGIC};
use crate::libraries::{Fault, Libraries, Why};
use crate::saying::Saying;

/// How much of a `#!` line the kernel reads.
const SCRIPT_HEAD: u64 = 256;
/// How often an interpreter may be a script again, as the kernel has it.
const MAX_INTERPRETERS: usize = 4;

/// The programs of a root.
pub(crate) struct Programs<'a> {
    root: &'a Path,
    cpu: Option<Cpu>,
    libraries: Libraries<'a>,
}

/// What a command is executed with, as far as it decides what is found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// `PATH`.
    pub(crate) path: Vec<String>,
    /// `LD_LIBRARY_PATH`.
    pub(crate) library_path: Vec<String>,
    pub(crate) working_directory: String,
}

/// The CPU that most of what every root has is for.
pub(crate) fn cpu_of(root: &Path, others: &[&str]) -> Option<Cpu> {
    let usual = ["/sbin/init", "/bin/sh", "/bin/busybox", "/usr/bin/env", "/bin/cat"];
    let mut counts: Vec<(u16, usize)> = Vec::new();
    for path in usual.iter().chain(others) {
        let real = tree::resolve(root, Path::new(path)).ok();
        let Some((file, wide)) = real.and_then(|path| elf_file(&path)) else { continue };
        let Ok(image) = elf::read(file, wide) else { continue };
        match counts.iter_mut().find(|(machine, _)| *machine == image.made.machine) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => counts.push((image.made.machine, 1)),
        }
    }
    // Of equals the first, which is that of /sbin/init.
    counts.reverse();
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(machine, _)| Cpu::Machine(machine))
}

/// An ELF file and whether it is one of 64 bits.
pub(crate) fn elf_file(path: &Path) -> Option<(File, bool)> {
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut file = tree::open(path).ok()?;
    let mut head = [0; 5];
    file.read_exact(&mut head).ok()?;
    head.starts_with(MAGIC).then_some((file, head.last() == Some(&2)))
}

impl<'a> Programs<'a> {
    pub(crate) fn new(root: &'a Path, cpu: Option<Cpu>) -> Self {
        Self { root, cpu, libraries: Libraries::new(root) }
    }

    /// What keeps `argv` from being executed.
    pub(crate) fn command(&self, argv: &[String], around: &Surroundings) -> Vec<Saying> {
        let mut said = Vec::new();
        let Some((program, arguments)) = argv.split_first() else { return said };
        let before = said.len();
        self.file(program, "the program", around, 0, &mut said);
        if said.len() > before {
            return said;
        }
        let name = file_name(program);
        if name == "env" {
            let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
            self.by_env(program, &words, around, 0, &mut said);
        } else if let Some(script) = script_of(name, arguments) {
            let path = Path::new(&around.working_directory).join(script);
            let found = tree::resolve(self.root, &path).and_then(std::fs::metadata);
            if let Err(error) = found {
                let message = format!("the script `{}`: {}", shown(script), tree::words(&error));
                said.push(Saying::new(Severity::Error, message));
            }
        }
        said
    }

    /// One file that is to be executed; `what` it is in the command.
    fn file(
        &self,
        path: &str,
        what: &str,
        around: &Surroundings,
        depth: usize,
        out: &mut Vec<Saying>,
    ) {
        let real = match self.executable(path, what) {
            Ok(real) => real,
            Err(saying) => return out.push(saying),
        };
        if let Some((file, wide)) = elf_file(&real) {
            match elf::read(file, wide) {
                Ok(image) => self.image(path, image, around, out),
                Err(why) => {
                    let message = format!("{what} `{}` is a damaged ELF file: {why}", shown(path));
                    out.push(Saying::new(Severity::Error, message));
                }
            }
            return;
        }
        let head = head(&real);
        if head.starts_with(b"#!") {
            return self.script(path, &head, around, depth, out);
        }
        let message = format!("`{}` is neither a program nor a script with `#!`", shown(path));
        out.push(Saying::new(Severity::Warning, message));
    }

    /// Where the file really is that has everything but the right content.
    fn executable(&self, path: &str, what: &str) -> Result<PathBuf, Saying> {
        let named = format!("{what} `{}`", shown(path));
        let wrong = |why: String| Saying::new(Severity::Error, format!("{named}{why}"));
        if !path.starts_with('/') {
            return Err(wrong(" is not an absolute path".into()));
        }
        let real = tree::resolve(self.root, Path::new(path));
        let found = real.and_then(|real| Ok((std::fs::metadata(&real)?, real)));
        let (metadata, real) = found.map_err(|error| {
            wrong(format!(": {}", tree::words(&error))).hint(self.elsewhere(path))
        })?;
        if !metadata.is_file() {
            return Err(wrong(" is not a regular file".into()));
        }
        if metadata.permissions().mode() & 0o111 == 0 {
            return Err(wrong(" is not executable".into()).hint(Some("chmod +x".into())));
        }
        if metadata.len() == 0 {
            return Err(wrong(" is empty".into()));
        }
        Ok(real)
    }

    /// A file of the same name where programs usually are.
    fn elsewhere(&self, path: &str) -> Option<String> {
        let name = file_name(path);
        let places =
            ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
        let mut paths = places.iter().map(|place| format!("{place}/{name}"));
        let found = paths.find(|path| {
            !name.is_empty()
                && tree::resolve(self.root, Path::new(path)).is_ok_and(|path| path.is_file())
        })?;
        Some(format!("did you mean `{}`?", shown(&found)))
    }

    fn image(&self, path: &str, image: Image, around: &Surroundings, out: &mut Vec<Saying>) {
        if let Some(cpu) = self.cpu {
            if let Some(why) = cpu.refuses(image.made) {
                let message = format!("`{}` {why}, this root is for {cpu}", shown(path));
                return out.push(Saying::new(Severity::Error, message));
            }
            if cpu.cannot_tell(image.made) {
                let message = format!("`{}` does not say for which ARM it was built", shown(path));
                let hint = format!("it has no build attributes: try it on {cpu}");
                out.push(Saying::new(Severity::Note, message).lint("unknown-cpu").hint(Some(hint)));
            }
        }
        if let Some(loader) = &image.interpreter {
            let what = format!("the loader of `{}`,", shown(path));
            if let Err(saying) = self.executable(loader, &what) {
                return out.push(saying);
            }
        }
        let inside = tree::resolve_inside(self.root, Path::new(path)).unwrap_or_default();
        for Fault { name, needed_by, why } in
            self.libraries.faults(image, &inside, &around.library_path, self.cpu)
        {
            let (name, path) = (shown(&name), shown(path));
            out.push(match why {
                Why::NotFound(why) => {
                    let by = needed_by.map(|by| format!(", which `{}` needs,", shown(&by)));
                    let by = by.unwrap_or_default();
                    let message = format!("the library `{name}` of `{path}`{by} {why}");
                    Saying::new(Severity::Error, message)
                }
                Why::OtherCpu(file, why) => {
                    let message = format!("`{}`, which `{path}` needs, {why}", shown(&file));
                    Saying::new(Severity::Warning, message).lint("newer-library").note(
                        "a library may have such code and choose at run time: try it on this CPU",
                    )
                }
            });
        }
    }

    fn script(
        &self,
        path: &str,
        head: &[u8],
        around: &Surroundings,
        depth: usize,
        out: &mut Vec<Saying>,
    ) {
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or(b"");
        let line = String::from_utf8_lossy(line.get(2..).unwrap_or(b""));
        let wrong = |why: &str| Saying::new(Severity::Error, format!("`{}` {why}", shown(path)));
        if line.ends_with('\r') {
            let hint = Some("save it with LF as line ends".into());
            return out.push(wrong("has CR LF line ends: no such interpreter is there").hint(hint));
        }
        let (interpreter, rest) = line.trim().split_once([' ', '\t']).unwrap_or((line.trim(), ""));
        let Some(next) = Some(depth.saturating_add(1)).filter(|next| *next <= MAX_INTERPRETERS)
        else {
            return out.push(wrong("has an interpreter that has interpreters without end"));
        };
        let what = format!("the interpreter of `{}`,", shown(path));
        let before = out.len();
        self.file(interpreter, &what, around, next, out);
        if out.len() == before && file_name(interpreter) == "env" {
            let words: Vec<&str> = rest.split_ascii_whitespace().collect();
            self.by_env(path, &words, around, next, out);
        }
    }

    /// The program that env(1) would search and execute for `path`.
    fn by_env(
        &self,
        path: &str,
        words: &[&str],
        around: &Surroundings,
        depth: usize,
        out: &mut Vec<Saying>,
    ) {
        let is_option = |word: &&&str| word.starts_with('-') || word.contains('=');
        let Some(name) = words.iter().find(|word| !is_option(word)) else { return };
        let what = format!("what env executes for `{}`,", shown(path));
        if name.contains('/') {
            return self.file(name, &what, around, depth, out);
        }
        let mut places = around.path.iter().map(|place| format!("{place}/{name}"));
        let found = places.find(|path| {
            tree::resolve(self.root, Path::new(path)).is_ok_and(|path| path.is_file())
        });
        match found {
            Some(found) => self.file(&found, &what, around, depth, out),
            None => {
                let message = format!("{what} `{}` is not in PATH", shown(name));
                let hint = Some(format!("PATH is {}", around.path.join(":")));
                out.push(Saying::new(Severity::Error, message).hint(hint));
            }
        }
    }
}

pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The script that a command line has its interpreter execute.
fn script_of<'a>(interpreter: &str, arguments: &'a [String]) -> Option<&'a str> {
    let bare = interpreter.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    // Options with a value are many; those without are these.
    let plain: &[&str] = match bare {
        "python" => &["-u", "-B", "-O", "-OO", "-E", "-s", "-S", "-I", "-x"],
        "sh" | "bash" | "dash" | "ash" => &["-e", "-u", "-x", "-f", "-l"],
        "perl" | "ruby" => &["-w", "-T"],
        "node" | "lua" => &[],
        "php" => &["-f", "-q"],
        _ => return None,
    };
    let script = arguments.iter().find(|argument| !plain.contains(&argument.as_str()))?;
    (!script.starts_with('-')).then_some(script)
}

fn head(path: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    // What cannot be read is no script, and is said to be none.
    let _ = tree::open(path).and_then(|file| file.take(SCRIPT_HEAD).read_to_end(&mut head));
    head
}
