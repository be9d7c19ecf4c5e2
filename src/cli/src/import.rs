//! `ettan import`: other supervisors' configuration as unit files, and what became of each
//! directive. Never overwrites a file unless told so.

use crate::code::Code;
use crate::escape::Screen;
use crate::show::many;
use ettan_import::{Disk, Draft, Fate, Imported, Note, for_people, for_scripts, json, object};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Where units go that start at boot, and those that do not.
const PLACES: [&str; 2] = ["etc/units", "usr/lib/units"];

/// What is to be done with what.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Where units go, instead of the root's directories.
    pub(crate) output: Option<PathBuf>,
    /// The root file system that is read and written.
    pub(crate) root: Option<PathBuf>,
    /// Print the units instead of writing them.
    pub(crate) dry_run: bool,
    /// Write over files that are there.
    pub(crate) force: bool,
    /// Leave units that are there, which is then no fault.
    pub(crate) keep: bool,
    /// What to read.
    pub(crate) sources: Vec<PathBuf>,
}

/// What became of a unit that can be written.
enum Outcome {
    Written(PathBuf),
    Kept(PathBuf),
}

/// How much of everything there was.
#[derive(Default)]
struct Count {
    units: usize,
    kept: usize,
    mapped: usize,
    approximated: usize,
    dropped: usize,
}

/// `import [--output DIR] [--root DIR] [--dry-run] [--force|--keep] FILE…`: 0 when everything was
/// translated and written, 1 if not.
pub(crate) fn import(wish: &Wish, screen: &Screen) -> Code {
    let root = wish.root.clone().unwrap_or_else(|| PathBuf::from("/"));
    let tree = Disk::new(&root);
    let mut code = Code::Done;
    let mut count = Count::default();
    for source in &wish.sources {
        let path = inside(&root, source);
        match ettan_import::import(&tree, &path) {
            Ok(all) => {
                for imported in all {
                    code = code.or(one(&imported, wish, &root, &mut count, screen));
                }
            }
            Err(why) => {
                screen.complain(&format!("{}: {why}", source.display()));
                code = code.or(Code::Failed);
            }
        }
    }
    if !screen.json {
        let Count { units, kept, mapped, approximated, dropped } = count;
        let done = if wish.dry_run { "would be written" } else { "written" };
        let kept = if kept > 0 { format!(", {kept} kept") } else { String::new() };
        screen.say(&format!(
            "{} {done}{kept}; {mapped} mapped, {approximated} approximated, {dropped} dropped",
            many(units, "unit")
        ));
    }
    code
}

/// A path as seen from inside the root: what people type may be either.
fn inside(root: &Path, source: &Path) -> String {
    let absolute = std::path::absolute(source).unwrap_or_else(|_| source.to_path_buf());
    let base = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
    let below = absolute.strip_prefix(&base).map_or(source.to_path_buf(), Path::to_path_buf);
    let below = below.strip_prefix("/").map_or(below.clone(), Path::to_path_buf);
    format!("/{}", below.display())
}

fn one(imported: &Imported, wish: &Wish, root: &Path, count: &mut Count, screen: &Screen) -> Code {
    let mut code = Code::Done;
    for unit in &imported.units {
        count.add(&unit.notes);
        let outcome = put(unit, wish, root);
        match &outcome {
            Ok(Outcome::Written(_)) => count.units += 1,
            Ok(Outcome::Kept(_)) => count.kept += 1,
            Err(_) => code = code.or(Code::Failed),
        }
        tell(unit, &outcome, wish, screen);
    }
    count.add(&imported.notes);
    loose(imported, screen);
    code
}

impl Count {
    fn add(&mut self, notes: &[Note]) {
        let of = |fate| notes.iter().filter(|note| note.fate == fate).count();
        self.mapped += of(Fate::Mapped);
        self.approximated += of(Fate::Approximated);
        self.dropped += of(Fate::Dropped);
    }
}

/// Writes the unit, and says where; or why not.
fn put(unit: &Draft, wish: &Wish, root: &Path) -> Result<Outcome, String> {
    let file = format!("{}.toml", unit.name);
    if let Some(path) = kept(&file, unit.at_boot, wish, root) {
        return Ok(Outcome::Kept(path));
    }
    if let Some(refusal) = unit.refusal() {
        return Err(format!("no unit can be made of it: {refusal}"));
    }
    let [boot, other] = PLACES;
    let directory = match &wish.output {
        Some(output) => output.clone(),
        None => inner(root, if unit.at_boot { boot } else { other })?,
    };
    let path = directory.join(file);
    if wish.dry_run {
        return Ok(Outcome::Written(path));
    }
    if !wish.force && path.symlink_metadata().is_ok() {
        return Err(format!("{} is there already (--force)", path.display()));
    }
    write(&directory, &path, &unit.text())?;
    Ok(Outcome::Written(path))
}

/// What stands in the place of a unit. A vendor unit is enabled by a link in the first of the places, or
/// does not start at boot: then it is no substitute for one that would.
fn kept(file: &str, at_boot: bool, wish: &Wish, root: &Path) -> Option<PathBuf> {
    let [boot, other] = PLACES.map(|place| inner(root, place).ok().map(|place| place.join(file)));
    let output = wish.output.as_ref().map(|output| output.join(file));
    let is_masked = |path: &Path| path.read_link().is_ok_and(|to| to == Path::new("/dev/null"));
    let other = other.filter(|path| !at_boot || is_masked(path));
    let mut paths = [output, boot, other].into_iter().flatten();
    paths.find(|path| wish.keep && path.symlink_metadata().is_ok())
}

/// A place in the root: a link there means one in that root.
fn inner(root: &Path, place: &str) -> Result<PathBuf, String> {
    ettan_unit::tree::resolve(root, Path::new(place))
        .map_err(|error| format!("{}: {error}", root.join(place).display()))
}

/// The whole file or none of it.
fn write(directory: &Path, path: &Path, text: &str) -> Result<(), String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    fs::create_dir_all(directory).map_err(failed)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let draft = directory.join(format!(".{name}.new"));
    let mut options = OpenOptions::new();
    let opened = options.write(true).create_new(true).mode(0o644).open(&draft);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!(
            "{} is there: another import is writing it, or was interrupted; then remove it",
            draft.display()
        ),
        _ => failed(error),
    })?;
    let done = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&draft, path));
    if done.is_err() {
        let _ = fs::remove_file(&draft);
    }
    done.map_err(failed)
}

fn tell(unit: &Draft, outcome: &Result<Outcome, String>, wish: &Wish, screen: &Screen) {
    let written = matches!(outcome, Ok(Outcome::Written(_)));
    if screen.json {
        let mut pairs = vec![
            ("unit", json(&unit.name)),
            ("source", json(&unit.source)),
            ("at_boot", unit.at_boot.to_string()),
        ];
        match outcome {
            Ok(Outcome::Written(path)) => pairs.push(("file", json(&path.display().to_string()))),
            Ok(Outcome::Kept(path)) => pairs.push(("kept", json(&path.display().to_string()))),
            Err(why) => pairs.push(("error", json(why))),
        }
        if wish.dry_run && written {
            pairs.push(("content", json(&unit.text())));
        }
        screen.packet(&object(&pairs));
        for line in for_scripts(&unit.name, &unit.notes) {
            screen.packet(&line);
        }
        return;
    }
    screen.say(&format!("{} from {}", unit.name, unit.source));
    match outcome {
        // What became of the script is of no interest then.
        Ok(Outcome::Kept(path)) => {
            screen.say(&format!("  {} is there already, and kept", path.display()));
            return;
        }
        Ok(Outcome::Written(path)) => {
            let when = if unit.at_boot { "starts at boot" } else { "starts when it is needed" };
            screen.say(&format!("  {}, {when}", path.display()));
        }
        Err(why) => screen.complain(&format!("{}: {why}", unit.name)),
    }
    screen.say(&for_people(&unit.notes));
    if wish.dry_run && written {
        screen.say(&unit.text());
    }
}

/// What belongs to no unit.
fn loose(imported: &Imported, screen: &Screen) {
    if imported.notes.is_empty() && imported.remark.is_empty() {
        return;
    }
    if screen.json {
        let mut pairs = vec![("source", json(&imported.source))];
        if !imported.remark.is_empty() {
            pairs.push(("remark", json(&imported.remark)));
        }
        screen.packet(&object(&pairs));
        for line in for_scripts("", &imported.notes) {
            screen.packet(&line);
        }
        return;
    }
    screen.say(&imported.source);
    if !imported.remark.is_empty() {
        screen.say(ettan_import::wrapped(&imported.remark, "  ", 80).trim_end());
    }
    screen.say(&for_people(&imported.notes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn unit() -> Draft {
        let text = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n";
        let tree = ettan_import::Memory::new(&[("/x/web.service", text)]);
        ettan_import::import(&tree, "/x/web.service").unwrap().remove(0).units.remove(0)
    }

    fn place(name: &str) -> PathBuf {
        let place =
            std::env::temp_dir().join(format!("ettan-import-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.join("root")).unwrap();
        place
    }

    #[test]
    fn a_link_leads_to_a_place_inside_of_the_root() {
        let place = place("link");
        let (root, outside) = (place.join("root"), place.join("outside"));
        fs::create_dir(&outside).unwrap();
        symlink(&outside, root.join("etc")).unwrap();
        let Ok(Outcome::Written(path)) = put(&unit(), &Wish::default(), &root) else { panic!() };
        let inside = root.join(outside.strip_prefix("/").unwrap()).join("units/web.toml");
        assert_eq!(path, inside);
        assert!(inside.is_file());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn a_unit_that_is_there_can_be_kept() {
        let place = place("kept");
        let root = place.join("root");
        let wish = Wish { keep: true, ..Wish::default() };
        let is_kept = || matches!(put(&unit(), &wish, &root), Ok(Outcome::Kept(_)));
        for folder in PLACES {
            let file = root.join(folder).join("web.toml");
            fs::create_dir_all(root.join(folder)).unwrap();
            // One that is masked stays so.
            symlink("/dev/null", &file).unwrap();
            assert!(is_kept(), "{folder}");
            fs::remove_file(&file).unwrap();
        }
        assert!(!is_kept() && root.join("etc/units/web.toml").is_file());
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn a_vendor_unit_that_would_not_start_is_not_kept_for_one_that_starts() {
        let place = place("vendor");
        let root = place.join("root");
        let (vendor, link) = (root.join("usr/lib/units/web.toml"), root.join("etc/units/web.toml"));
        let wish = Wish { keep: true, ..Wish::default() };
        let is_kept = |unit: &Draft| matches!(put(unit, &wish, &root), Ok(Outcome::Kept(_)));
        for folder in PLACES {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(&vendor, "vendor").unwrap();
        // It is enabled.
        symlink("/usr/lib/units/web.toml", &link).unwrap();
        assert!(is_kept(&unit()));
        fs::remove_file(&link).unwrap();
        // Neither would start.
        let mut other = unit();
        other.at_boot = false;
        assert!(is_kept(&other));
        assert!(!is_kept(&unit()) && link.is_file());
        assert_eq!(fs::read_to_string(&vendor).unwrap(), "vendor");
        // What was made of it once is kept as any other.
        assert!(is_kept(&unit()));
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn a_draft_follows_no_link_and_is_not_left_behind() {
        let place = place("draft");
        let (root, victim) = (place.join("root"), place.join("victim"));
        let units = root.join("etc/units");
        let draft = units.join(".web.toml.new");
        fs::create_dir_all(&units).unwrap();
        fs::write(&victim, "kept").unwrap();
        symlink(&victim, &draft).unwrap();
        let Err(why) = put(&unit(), &Wish::default(), &root) else { panic!() };
        assert!(why.contains(".web.toml.new is there"), "{why}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "kept");
        fs::remove_file(&draft).unwrap();
        // A directory of the unit's name cannot be written over.
        fs::create_dir(units.join("web.toml")).unwrap();
        let wish = Wish { force: true, ..Wish::default() };
        assert!(put(&unit(), &wish, &root).is_err());
        assert!(draft.symlink_metadata().is_err());
        fs::remove_dir_all(&place).unwrap();
    }
}
