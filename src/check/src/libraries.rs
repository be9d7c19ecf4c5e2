//! Which libraries a program of a root finds, searched as its loader would. Loads nothing.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ettan_unit::tree;

use crate::cpu::Cpu;
use crate::elf::{self, Image};

/// The most libraries of one program that are looked at.
const MAX_LIBRARIES: usize = 1024;
/// How deep `include` lines of ld.so.conf may lead.
const MAX_INCLUDES: usize = 8;

/// The libraries of a root.
pub(crate) struct Libraries<'a> {
    root: &'a Path,
    /// The directories of /etc/ld.so.conf.
    configured: Vec<String>,
    /// What was read already: None for what is no library.
    known: RefCell<HashMap<PathBuf, Option<Rc<Image>>>>,
}

/// What is wrong with a library.
pub(crate) struct Fault {
    /// The name by which it is needed.
    pub(crate) name: String,
    /// Who needs it, where that is not the program itself.
    pub(crate) needed_by: Option<String>,
    pub(crate) why: Why,
}

/// What is wrong with a library, in words.
pub(crate) enum Why {
    /// The loader does not find it.
    NotFound(String),
    /// It is this file, which says that it is for another CPU.
    OtherCpu(String, String),
}

/// Something that is loaded: its file as seen from inside the root, and who had it loaded.
struct Loaded {
    image: Rc<Image>,
    file: PathBuf,
    /// The RPATHs of those that led here, nearest first.
    rpath: Vec<String>,
}

impl<'a> Libraries<'a> {
    pub(crate) fn new(root: &'a Path) -> Self {
        let mut configured = Vec::new();
        configuration(root, "/etc/ld.so.conf", MAX_INCLUDES, &mut configured);
        Self { root, configured, known: RefCell::default() }
    }

    /// What is wrong with the libraries of the program `file` (as seen from inside the root);
    /// `path` is its LD_LIBRARY_PATH.
    pub(crate) fn faults(
        &self,
        image: Image,
        file: &Path,
        path: &[String],
        cpu: Option<Cpu>,
    ) -> Vec<Fault> {
        let loader = image.interpreter.clone().unwrap_or_default();
        let search = Search { libraries: self, loader: &loader, path };
        let program = Rc::new(image);
        let mut faults = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        let first = Loaded { image: program, file: file.into(), rpath: Vec::new() };
        let mut queue = VecDeque::from([first]);
        let mut is_program = true;
        while let Some(loaded) = queue.pop_front() {
            let by = (!is_program).then(|| loaded.file.display().to_string());
            is_program = false;
            for name in &loaded.image.needed {
                if search.is_the_loader(name) || !seen.insert(name.clone()) {
                    continue;
                }
                let mut fault = |why| {
                    faults.push(Fault { name: name.clone(), needed_by: by.clone(), why });
                };
                match search.find(name, &loaded) {
                    Err(why) => fault(Why::NotFound(why)),
                    Ok(next) => {
                        if let Some(why) = cpu.and_then(|cpu| cpu.refuses(next.image.made)) {
                            fault(Why::OtherCpu(next.file.display().to_string(), why));
                        }
                        if seen.len() < MAX_LIBRARIES {
                            queue.push_back(next);
                        }
                    }
                }
            }
        }
        faults
    }

    /// The library at `file`, as seen from inside the root.
    fn read(&self, file: &Path) -> Option<Rc<Image>> {
        let real = tree::resolve(self.root, file).ok()?;
        if let Some(known) = self.known.borrow().get(&real) {
            return known.clone();
        }
        let image = crate::program::elf_file(&real).and_then(|(file, wide)| {
            let image = elf::read(file, wide).ok()?;
            Some(Rc::new(image))
        });
        self.known.borrow_mut().insert(real, image.clone());
        image
    }
}

struct Search<'a> {
    libraries: &'a Libraries<'a>,
    loader: &'a str,
    path: &'a [String],
}

impl Search<'_> {
    fn is_musl(&self) -> bool {
        self.loader.contains("/ld-musl-")
    }

    /// musl's loader is the C library, under each of its names.
    fn is_the_loader(&self, name: &str) -> bool {
        let own = ["libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet."];
        self.is_musl() && own.iter().any(|own| name.starts_with(own))
    }

    fn find(&self, name: &str, by: &Loaded) -> Result<Loaded, String> {
        let origin = by.file.parent().unwrap_or(Path::new("/"));
        let rpath = self.inherited(by);
        let load = |file: PathBuf| {
            let image = self.libraries.read(&file)?;
            Some(Loaded { image, file, rpath: rpath.clone() })
        };
        if name.contains('/') {
            return load(name.into()).ok_or_else(|| "is not there".into());
        }
        let mut odd = None;
        for directory in self.directories(by, &rpath) {
            let Some(directory) = expand(&directory, origin, by.image.wide) else { continue };
            let Some(found) = load(Path::new(&directory).join(name)) else { continue };
            let (own, other) = (by.image.made.machine, found.image.made.machine);
            if own == other && by.image.wide == found.image.wide {
                return Ok(found);
            }
            // The loader goes on searching, too.
            odd.get_or_insert(format!(
                "is `{}` only, for {}",
                found.file.display(),
                Cpu::Machine(other)
            ));
        }
        Err(odd.unwrap_or_else(|| "is not there".into()))
    }

    /// The RPATHs that hold for what `by` needs: its own, then those of whoever had it loaded.
    fn inherited(&self, by: &Loaded) -> Vec<String> {
        let own = by.image.rpath.iter().chain(by.image.runpath.iter().filter(|_| self.is_musl()));
        let origin = by.file.parent().unwrap_or(Path::new("/"));
        let own = own.filter_map(|path| expand(path, origin, by.image.wide));
        own.chain(by.rpath.iter().cloned()).collect()
    }

    fn directories(&self, by: &Loaded, rpath: &[String]) -> Vec<String> {
        let image = &by.image;
        let mut list = Vec::new();
        if self.is_musl() {
            list.extend(self.path.iter().cloned());
            list.extend(rpath.iter().cloned());
            list.extend(self.musl_path());
            return list;
        }
        if image.runpath.is_empty() {
            list.extend(rpath.iter().cloned());
        }
        list.extend(self.path.iter().cloned());
        list.extend(image.runpath.iter().cloned());
        list.extend(self.libraries.configured.iter().cloned());
        let triplet = triplet(image.made.machine, self.loader);
        for top in ["/lib", "/usr/lib"] {
            list.extend(triplet.map(|triplet| format!("{top}/{triplet}")));
            list.extend(image.wide.then(|| format!("{top}64")));
            list.push(top.into());
        }
        list
    }

    /// What /etc/ld-musl-ARCH.path says, or what holds without it.
    fn musl_path(&self) -> Vec<String> {
        let name = Path::new(self.loader).file_name().unwrap_or_default().to_string_lossy();
        let bare = name.split('.').next().unwrap_or_default();
        let file = tree::read_system(self.libraries.root, &format!("/etc/{bare}.path"));
        let text = file.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let text = text.unwrap_or_else(|| "/lib:/usr/local/lib:/usr/lib".into());
        text.split([':', '\n']).filter(|part| !part.is_empty()).map(ToString::to_string).collect()
    }
}

/// The directory that Debian keeps libraries of this kind in.
fn triplet(machine: u16, loader: &str) -> Option<&'static str> {
    Some(match machine {
        3 => "i386-linux-gnu",
        40 if loader.contains("armhf") => "arm-linux-gnueabihf",
        40 => "arm-linux-gnueabi",
        62 => "x86_64-linux-gnu",
        183 => "aarch64-linux-gnu",
        _ => return None,
    })
}

/// `$ORIGIN` and `$LIB` in a path; None for what cannot be known here.
fn expand(path: &str, origin: &Path, wide: bool) -> Option<String> {
    let origin = origin.to_string_lossy();
    let lib = if wide { "lib64" } else { "lib" };
    let mut text = path.to_string();
    for (name, value) in [("ORIGIN", &*origin), ("LIB", lib)] {
        text = text.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
    (!text.is_empty() && !text.contains('$')).then_some(text)
}

/// The directories of a file like /etc/ld.so.conf.
fn configuration(root: &Path, file: &str, depth: usize, list: &mut Vec<String>) {
    let Some(bytes) = tree::read_system(root, file) else { return };
    for line in String::from_utf8_lossy(&bytes).lines() {
        let line = line.split('#').next().unwrap_or("").trim();
        if let Some(pattern) = line.strip_prefix("include ") {
            let Some(depth) = depth.checked_sub(1) else { continue };
            for name in matching(root, pattern.trim()) {
                configuration(root, &name, depth, list);
            }
        } else if line.starts_with('/') {
            list.push(line.to_string());
        }
    }
}

/// The files that a pattern with one `*` in its last part stands for, sorted.
fn matching(root: &Path, pattern: &str) -> Vec<String> {
    let absolute = Path::new("/etc").join(pattern);
    let Some((folder, name)) = absolute.parent().zip(absolute.file_name()) else {
        return Vec::new();
    };
    let name = name.to_string_lossy();
    let Some((head, tail)) = name.split_once('*') else {
        return vec![absolute.to_string_lossy().into_owned()];
    };
    let Ok(real) = tree::resolve(root, folder) else { return Vec::new() };
    let entries = std::fs::read_dir(real).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let fits = |name: &String| name.starts_with(head) && name.ends_with(tail);
    let mut files: Vec<String> =
        names.filter(fits).map(|name| folder.join(name).to_string_lossy().into_owned()).collect();
    files.sort_unstable();
    files
}
