//! enable, disable, mask, unmask, is-enabled: links in the units' directories, and with `--now`
//! what follows from them. Without it, PID 1 learns of a link when it reads unit files again.

use crate::change::{self, Goal};
use crate::code::Code;
use crate::escape::{Screen, json_string};
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Links here stay.
pub(crate) const ADMIN: &str = "etc/units";
/// Links here go with the next boot.
pub(crate) const RUNTIME: &str = "run/units";
/// Units of packages, which start when needed or enabled.
pub(crate) const SHIPPED: &str = "usr/lib/units";
/// What a masked unit's name points to.
const NOTHING: &str = "/dev/null";

/// How a unit is to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Enable,
    Disable,
    Mask,
    Unmask,
}

/// How it is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct How {
    /// Start or stop the unit as well.
    pub(crate) now: bool,
    /// Until the next boot only.
    pub(crate) runtime: bool,
}

/// What stands at a unit's name in one directory.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    Absent,
    Mask,
    Link,
    File,
}

/// Why it was not done, and what to do next.
#[derive(Debug)]
struct Refusal {
    text: String,
    code: Code,
}

/// enable, disable, mask, unmask.
pub(crate) fn change(standing: Standing, how: How, units: &[String], screen: &Screen) -> Code {
    let root = Path::new("/");
    let mut code = Code::Done;
    let mut changed = Vec::new();
    for unit in units {
        match link(root, standing, how.runtime, unit) {
            Ok(text) => {
                tell(unit, &text, screen);
                changed.push(unit.clone());
            }
            Err(refusal) => {
                screen.complain(&refusal.text);
                code = code.or(refusal.code);
            }
        }
    }
    if how.now && !changed.is_empty() {
        code = code.or(follow(standing, &changed, screen));
    }
    code
}

fn tell(unit: &str, text: &str, screen: &Screen) {
    match screen.json {
        true => screen.packet(&format!(
            "{{\"unit\":{},\"text\":{}}}",
            json_string(unit),
            json_string(text)
        )),
        false => screen.say(&format!("{unit}: {text}")),
    }
}

/// What `--now` adds: a unit is stopped while PID 1 still has its file, and started once it has.
fn follow(standing: Standing, units: &[String], screen: &Screen) -> Code {
    match standing {
        Standing::Enable => {
            change::read_again(true, screen).or(change::goal(Goal::Start, units, true, screen))
        }
        Standing::Disable | Standing::Mask => {
            change::goal(Goal::Stop, units, true, screen).or(change::read_again(true, screen))
        }
        Standing::Unmask => change::read_again(true, screen),
    }
}

/// Makes or removes the link; says what is so now.
fn link(root: &Path, standing: Standing, runtime: bool, unit: &str) -> Result<String, Refusal> {
    if !ettan_table::is_name(unit) {
        return refuse(format!("no unit is called {unit:?}"), Code::NotInstalled);
    }
    let (directory, other) = if runtime { (RUNTIME, ADMIN) } else { (ADMIN, RUNTIME) };
    let place = Place { root, directory, unit, standing };
    let (here, there) = (entry(root, directory, unit), entry(root, other, unit));
    match standing {
        Standing::Enable => enable(&place, &here, &there),
        Standing::Disable => disable(&place, &here, &there),
        Standing::Mask => mask(&place, &here, &there),
        Standing::Unmask => unmask(&place, &here, &there),
    }
}

fn enable(place: &Place<'_>, here: &Entry, there: &Entry) -> Result<String, Refusal> {
    let unit = place.unit;
    match (here, there) {
        (Entry::Mask, _) | (_, Entry::Mask) => {
            refuse(format!("{unit} is masked; ettan unmask {unit} first"), Code::Failed)
        }
        (Entry::File, _) => Ok(format!("starts at boot: {} is its file", place.shown())),
        (Entry::Link, _) => Ok(format!("enabled already ({})", place.shown())),
        (Entry::Absent, _) => {
            let target = lasting(place)?.filter(|_| !unit.ends_with('@'));
            let target = target.ok_or_else(|| Refusal {
                text: nothing_to_enable(unit),
                code: Code::NotInstalled,
            })?;
            place.point_to(&target)?;
            Ok(format!("enabled: {} -> {}", place.shown(), target.display()))
        }
    }
}

/// What a link of the unit may lead to: a file that is there as long as the link.
fn lasting(place: &Place<'_>) -> Result<Option<PathBuf>, Refusal> {
    for directory in [ADMIN, RUNTIME] {
        let template = ettan_unit::template_of(place.unit).unwrap_or_default();
        if entry(place.root, directory, &template) == Entry::Mask {
            let text = format!("{template} is masked; ettan unmask {template} first");
            return refuse(text, Code::Failed);
        }
    }
    let mut files = shipped(place.root, place.unit).peekable();
    let is_brief = files.peek().is_some();
    let lasts = |file: &PathBuf| place.directory == RUNTIME || !file.starts_with("/run");
    match files.find(lasts) {
        None if is_brief => refuse(
            format!(
                "{}: its template is in /{RUNTIME}, which goes with the next boot{}",
                place.unit,
                place.until_then()
            ),
            Code::Failed,
        ),
        file => Ok(file),
    }
}

fn nothing_to_enable(unit: &str) -> String {
    match ettan_unit::template_of(unit) {
        Some(template) if template == unit => {
            format!("{unit} is a template: ettan enable {unit}NAME makes a unit of it")
        }
        Some(template) => format!(
            "{unit}: no such file in /{SHIPPED}, and no template {template}.toml, nothing to enable"
        ),
        None => format!("{unit}: no such file in /{SHIPPED}, nothing to enable"),
    }
}

fn disable(place: &Place<'_>, here: &Entry, there: &Entry) -> Result<String, Refusal> {
    let (unit, file) = (place.unit, place.shown());
    match (here, there) {
        (Entry::Link, _) => {
            place.remove()?;
            Ok(format!("disabled: removed {file}"))
        }
        (Entry::File, _) => refuse(
            format!(
                "{file} is the unit's own file, so it starts at boot; move it away to disable {unit}"
            ),
            Code::Failed,
        ),
        (Entry::Mask, _) => Ok("masked, so it does not start".into()),
        (Entry::Absent, Entry::Link | Entry::File) => {
            let other = place.elsewhere();
            refuse(format!("{unit} is enabled by {}{other}", other_name(place)), Code::Failed)
        }
        (Entry::Absent, Entry::Absent | Entry::Mask) if !is_known(place.root, unit) => {
            refuse(format!("there is no unit {unit}"), Code::NotInstalled)
        }
        (Entry::Absent, Entry::Absent | Entry::Mask) => Ok("not enabled".into()),
    }
}

fn mask(place: &Place<'_>, here: &Entry, there: &Entry) -> Result<String, Refusal> {
    let (unit, file) = (place.unit, place.shown());
    match (here, there) {
        (Entry::Mask, _) => Ok(format!("masked already ({file})")),
        (Entry::File, _) => refuse(
            format!(
                "{file} is the unit's own file, which a mask would replace; move it away instead"
            ),
            Code::Failed,
        ),
        // What is in /etc comes first, so a mask in /run would do nothing.
        (_, Entry::File | Entry::Link) if place.directory == RUNTIME => refuse(
            format!(
                "/{ADMIN}/{unit}.toml comes before {file}; ettan mask {unit} without --runtime"
            ),
            Code::Failed,
        ),
        (Entry::Absent, _) if ettan_unit::odd_name(unit).is_some() => {
            let why = ettan_unit::odd_name(unit).map(|(why, _)| why).unwrap_or_default();
            let why = why.strip_suffix(": skipped").unwrap_or(&why);
            refuse(format!("{unit}: {why}; a mask would do nothing"), Code::Failed)
        }
        (Entry::Absent | Entry::Link, _) => {
            // It may be there one day, or be one of the instances of a file.
            let is_known = is_known(place.root, unit);
            place.point_to(Path::new(NOTHING))?;
            let was = match *here == Entry::Link {
                true => "; it was enabled before",
                false if is_known => "",
                false => "; no file is called so: is that its name?",
            };
            Ok(format!("masked: {file} -> {NOTHING}{was}"))
        }
    }
}

fn unmask(place: &Place<'_>, here: &Entry, there: &Entry) -> Result<String, Refusal> {
    match (here, there) {
        (Entry::Mask, _) => {
            place.remove()?;
            Ok(format!("unmasked: removed {}", place.shown()))
        }
        (_, Entry::Mask) => {
            let unit = place.unit;
            let text = format!("{unit} is masked by {}{}", other_name(place), place.elsewhere());
            refuse(text, Code::Failed)
        }
        (Entry::Absent | Entry::Link | Entry::File, _) => Ok("not masked".into()),
    }
}

fn other_name(place: &Place<'_>) -> String {
    let other = if place.directory == ADMIN { RUNTIME } else { ADMIN };
    format!("/{other}/{}.toml", place.unit)
}

fn refuse<T>(text: String, code: Code) -> Result<T, Refusal> {
    Err(Refusal { text, code })
}

/// Where a link of a unit belongs.
struct Place<'a> {
    root: &'a Path,
    directory: &'a str,
    unit: &'a str,
    standing: Standing,
}

impl Place<'_> {
    fn shown(&self) -> String {
        format!("/{}/{}.toml", self.directory, self.unit)
    }

    fn path(&self) -> PathBuf {
        self.root.join(self.directory).join(format!("{}.toml", self.unit))
    }

    /// What would reach the other directory.
    fn elsewhere(&self) -> String {
        let option = if self.directory == ADMIN { " --runtime" } else { "" };
        format!(" (ettan {}{option} {})", self.verb(), self.unit)
    }

    /// What can be done for this boot.
    fn until_then(&self) -> String {
        format!("; until the next boot: ettan {} --runtime {}", self.verb(), self.unit)
    }

    fn verb(&self) -> &'static str {
        match self.standing {
            Standing::Enable => "enable",
            Standing::Disable => "disable",
            Standing::Mask => "mask",
            Standing::Unmask => "unmask",
        }
    }

    /// Makes the link, in place of one that is there: never is there neither.
    fn point_to(&self, target: &Path) -> Result<(), Refusal> {
        let directory = self.root.join(self.directory);
        // The loader takes no name without `.toml` at its end.
        let draft = directory.join(format!(".{}.toml.new", self.unit));
        let made = fs::create_dir_all(&directory)
            .and_then(|()| match fs::remove_file(&draft) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => symlink(target, &draft),
            })
            .and_then(|()| fs::rename(&draft, self.path()))
            .and_then(|()| self.settle());
        made.map_err(|error| self.cannot(&error))
    }

    fn remove(&self) -> Result<(), Refusal> {
        let removed = fs::remove_file(self.path()).and_then(|()| self.settle());
        removed.map_err(|error| self.cannot(&error))
    }

    /// A pulled plug does not undo it.
    fn settle(&self) -> io::Result<()> {
        fs::File::open(self.root.join(self.directory))?.sync_all()
    }

    fn cannot(&self, error: &io::Error) -> Refusal {
        let errno = error.raw_os_error();
        let why = errno.and_then(ettan_wire::error_text);
        let why = why.map_or_else(|| error.to_string(), str::to_owned);
        let (hint, code) = match error.kind() {
            ErrorKind::ReadOnlyFilesystem if self.directory == ADMIN => {
                (self.until_then(), Code::Failed)
            }
            ErrorKind::PermissionDenied => ("; only root may".to_owned(), Code::NotPermitted),
            _ => (String::new(), Code::Failed),
        };
        Refusal { text: format!("{}: {}: {why}{hint}", self.unit, self.shown()), code }
    }
}

fn entry(root: &Path, directory: &str, unit: &str) -> Entry {
    let path = root.join(directory).join(format!("{unit}.toml"));
    match (fs::read_link(&path), fs::symlink_metadata(&path)) {
        (Ok(target), _) if target == Path::new(NOTHING) => Entry::Mask,
        (Ok(_), _) => Entry::Link,
        (Err(_), Ok(_)) => Entry::File,
        (Err(_), Err(_)) => Entry::Absent,
    }
}

/// The file of a package that defines the unit, and the templates of an instance, whoever brought those.
fn shipped(root: &Path, unit: &str) -> impl Iterator<Item = PathBuf> {
    let template = ettan_unit::template_of(unit).filter(|template| template != unit);
    let templates = template.into_iter().flat_map(|template| {
        [ADMIN, RUNTIME, SHIPPED].map(|directory| format!("{directory}/{template}.toml"))
    });
    let own = format!("{SHIPPED}/{unit}.toml");
    let files = core::iter::once(own).chain(templates);
    files.filter(|file| root.join(file).exists()).map(|file| Path::new("/").join(file))
}

fn is_known(root: &Path, unit: &str) -> bool {
    let places = [ADMIN, RUNTIME];
    places.iter().any(|place| entry(root, place, unit) != Entry::Absent)
        || shipped(root, unit).next().is_some()
}

/// `is-enabled UNIT…`: the word for it, and 0 if every one starts at boot.
pub(crate) fn is_enabled(units: &[String], quiet: bool, screen: &Screen) -> Code {
    let mut code = Code::Done;
    for unit in units {
        let (word, this) = enabled(Path::new("/"), unit);
        match (quiet, screen.json, this) {
            (true, ..) => {}
            (false, _, Code::Unknown) => screen.complain(&format!("there is no unit {unit}")),
            (false, true, _) => screen.packet(&format!(
                "{{\"unit\":{},\"enabled\":{},\"word\":\"{word}\"}}",
                json_string(unit),
                this == Code::Done
            )),
            (false, false, _) => screen.say(word),
        }
        code = code.or(this);
    }
    code
}

fn enabled(root: &Path, unit: &str) -> (&'static str, Code) {
    if !ettan_table::is_name(unit) {
        return ("unknown", Code::Unknown);
    }
    match (entry(root, ADMIN, unit), entry(root, RUNTIME, unit)) {
        (Entry::Mask, _) => ("masked", Code::Down),
        (Entry::File | Entry::Link, _) => ("enabled", Code::Done),
        (Entry::Absent, Entry::Mask) => ("masked-runtime", Code::Down),
        (Entry::Absent, Entry::File | Entry::Link) => ("enabled-runtime", Code::Done),
        (Entry::Absent, Entry::Absent) if is_known(root, unit) => ("disabled", Code::Down),
        (Entry::Absent, Entry::Absent) => ("unknown", Code::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::{ADMIN, Code, RUNTIME, SHIPPED, Standing, enabled, link};
    use std::path::{Path, PathBuf};

    /// A root with the shipped unit `web` and template `tty@`, and `own` in /etc; removed at the end.
    struct Root(PathBuf);

    impl Root {
        fn new(test: &str) -> Self {
            let root = std::env::temp_dir().join(format!("ettan-{test}-{}", std::process::id()));
            for directory in [ADMIN, SHIPPED] {
                std::fs::create_dir_all(root.join(directory)).expect("a directory");
            }
            for file in ["usr/lib/units/web.toml", "usr/lib/units/tty@.toml", "etc/units/own.toml"]
            {
                std::fs::write(root.join(file), "").expect("a file");
            }
            Self(root)
        }

        fn does(&self, standing: Standing, runtime: bool, unit: &str) -> Result<String, Code> {
            link(&self.0, standing, runtime, unit).map_err(|refusal| refusal.code)
        }

        fn word(&self, unit: &str) -> &'static str {
            enabled(&self.0, unit).0
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_link_of_an_instance_leads_to_a_template_that_lasts_as_long() {
        let root = Root::new("enable-template");
        std::fs::create_dir_all(root.0.join(RUNTIME)).expect("a directory");
        std::fs::write(root.0.join(RUNTIME).join("brief@.toml"), "").expect("a file");
        assert_eq!(root.does(Standing::Enable, false, "brief@1"), Err(Code::Failed));
        assert!(root.does(Standing::Enable, true, "brief@1").is_ok());
        assert!(root.does(Standing::Mask, true, "tty@").is_ok());
        assert_eq!(root.does(Standing::Enable, false, "tty@1"), Err(Code::Failed), "masked");
    }

    #[test]
    fn a_shipped_unit_is_enabled_by_a_link() {
        let root = Root::new("enable");
        assert_eq!(root.word("web"), "disabled");
        assert!(root.does(Standing::Enable, false, "web").is_ok());
        let link = std::fs::read_link(root.0.join(ADMIN).join("web.toml")).expect("a link");
        assert_eq!(link, Path::new("/usr/lib/units/web.toml"));
        assert_eq!(root.word("web"), "enabled");
        assert!(root.does(Standing::Enable, false, "web").is_ok());
        assert!(root.does(Standing::Disable, false, "web").is_ok());
        assert_eq!(root.word("web"), "disabled");
        assert!(root.does(Standing::Enable, true, "tty@1").is_ok());
        assert_eq!(root.word("tty@1"), "enabled-runtime");
        assert_eq!(root.does(Standing::Disable, false, "tty@1"), Err(Code::Failed));
        assert_eq!(root.does(Standing::Enable, false, "nosuch"), Err(Code::NotInstalled));
        assert_eq!(root.does(Standing::Enable, false, "../web"), Err(Code::NotInstalled));
    }

    #[test]
    fn an_instance_is_enabled_by_the_template_of_the_administrator() {
        let root = Root::new("template");
        std::fs::write(root.0.join("etc/units/g@.toml"), "").expect("a file");
        assert!(root.does(Standing::Enable, false, "g@5").is_ok());
        let link = std::fs::read_link(root.0.join(ADMIN).join("g@5.toml")).expect("a link");
        assert_eq!(link, Path::new("/etc/units/g@.toml"));
        assert!(root.does(Standing::Disable, false, "g@5").is_ok());
        assert_eq!(root.word("g@5"), "disabled");
        let refused = |unit: &str| {
            super::link(&root.0, Standing::Enable, false, unit).expect_err("there is nothing").text
        };
        assert!(refused("gg@7").contains("no template gg@.toml"), "{}", refused("gg@7"));
        assert!(refused("tty@").contains("tty@ is a template: ettan enable tty@NAME"));
    }

    #[test]
    fn a_mask_replaces_a_link_and_never_a_file() {
        let root = Root::new("mask");
        assert!(root.does(Standing::Enable, false, "web").is_ok());
        assert_eq!(root.does(Standing::Mask, true, "web"), Err(Code::Failed));
        assert!(root.does(Standing::Mask, false, "web").is_ok());
        assert_eq!(root.word("web"), "masked");
        assert_eq!(root.does(Standing::Enable, false, "web"), Err(Code::Failed));
        assert!(root.does(Standing::Unmask, false, "web").is_ok());
        assert_eq!(root.word("web"), "disabled");
        assert!(root.does(Standing::Mask, true, "web").is_ok());
        assert!(root.0.join(RUNTIME).is_dir());
        assert_eq!(root.word("web"), "masked-runtime");
        assert_eq!(root.does(Standing::Mask, false, "ettan-log"), Err(Code::Failed));
        let typo = root.does(Standing::Mask, false, "wbe").expect("it may come one day");
        assert!(typo.ends_with("; no file is called so: is that its name?"), "{typo}");
        for standing in [Standing::Mask, Standing::Disable] {
            assert_eq!(root.does(standing, false, "own"), Err(Code::Failed));
        }
        assert_eq!(root.word("own"), "enabled");
    }
}
