//! `install --root DIR` and `uninstall --root DIR`: Ettan on a card that has Debian or Raspberry Pi OS, and off
//! it again. The old init stays beside ours, what is enabled there becomes units, and all of it is written down
//! (`record`), so that the way back leaves the card as it was.
//!
//! | file | what it does |
//! |---|---|
//! | `card` | the root of a card: what is on it, and whether Ettan can be |
//! | `record` | what was done to it, and how it is undone |
//! | `services` | what is enabled there, as units |

mod card;
mod record;
mod services;

use crate::code::Code;
use crate::escape::Screen;
use crate::show::many;
use card::Card;
use ettan_sys::mount::sync;
use record::Record;
use services::Service;
use std::path::{Path, PathBuf};

/// Which card, and what for.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Wish {
    /// Where the card's root file system is mounted
    #[arg(long, value_name = "DIR")]
    pub(crate) root: PathBuf,
    /// Where `ettan-init` and `ettan` for the card's CPU are; otherwise those of this machine
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
}

/// The vendor units that this command carries: name and text.
const VENDOR: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/vendor.rs"));
/// And what these execute.
const SCRIPTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/scripts.rs"));

/// Those that start at boot: what the old init did itself.
const AT_BOOT: [&str; 16] = [
    "root",
    "machine-id",
    "mounts",
    "late-mounts",
    "network-mounts",
    "swap",
    "tmpfiles",
    "clock",
    "last-end",
    "last-end-watchdog",
    "modules",
    "sysctl",
    "seed",
    "devices",
    "hotplug",
    "consoles",
];

/// What is typed to end a machine talks to whichever init there is.
const VERBS: [&str; 4] = ["reboot", "poweroff", "halt", "shutdown"];

/// A word of the kernel's command line: a panic restarts a machine that nobody sits at.
const PANIC: &str = "panic=10";

/// Puts Ettan onto a card.
pub(crate) fn install(wish: &Wish, screen: &Screen) -> Code {
    ended(onto(wish, screen), screen)
}

/// Takes it off.
pub(crate) fn uninstall(wish: &Wish, screen: &Screen) -> Code {
    ended(off(wish, screen), screen)
}

fn ended(done: Result<(), String>, screen: &Screen) -> Code {
    done.map_or_else(
        |why| {
            screen.complain(&why);
            Code::Failed
        },
        |()| Code::Done,
    )
}

/// What is last is what makes the card boot Ettan: until then it boots as it did.
fn onto(wish: &Wish, screen: &Screen) -> Result<(), String> {
    let record = Record::read(&wish.root)?;
    let card = Card::open(&wish.root, record.is_new())?;
    let programs = card.programs(wish.from.as_deref())?;
    let services = services::enabled(&wish.root);
    has_room(&record, &card, &programs)?;
    let mut work = Work { record, dry_run: wish.dry_run, screen };
    for (path, bytes) in &programs {
        work.put(path, bytes, 0o755, true)?;
    }
    for (name, text) in VENDOR {
        work.put(&format!("/usr/lib/units/{name}"), text.as_bytes(), 0o644, false)?;
    }
    for (name, text) in SCRIPTS {
        work.put(&format!("/usr/lib/ettan/{name}"), text.as_bytes(), 0o755, false)?;
    }
    let places: Vec<_> = programs.iter().map(|(path, _)| path.as_str()).collect();
    let (places, vendor) = (places.join(", "), many(VENDOR.len(), "vendor unit"));
    screen.say(&format!("{places}, {vendor} in /usr/lib/units"));
    work.units(&card, &services)?;
    // All that follows is short, and of no use by halves.
    sync();
    let old = if work.record.keeps("/sbin/init") { "init.before-ettan" } else { "none" };
    work.link("/sbin/init", "ettan-init")?;
    screen.say(&format!("/sbin/init: Ettan; the old one: {old}"));
    work.command_line(&card)?;
    for verb in VERBS {
        work.link(&format!("/sbin/{verb}"), "/usr/bin/ettan")?;
    }
    sync();
    let root = wish.root.display();
    if !wish.dry_run {
        tell_refused(&wish.root, screen);
    }
    let done = if wish.dry_run { "nothing was changed" } else { "the card boots Ettan" };
    screen.say(&format!("{done}; back to what was before: ettan uninstall --root {root}"));
    Ok(())
}

/// Whether everything that is replaced can be kept, before the first of it is.
fn has_room(record: &Record, card: &Card, programs: &[(String, Vec<u8>)]) -> Result<(), String> {
    programs.iter().try_for_each(|(path, _)| record.has_room(path))?;
    if let Some((path, ..)) = wanted_line(card) {
        record.has_room(&path)?;
    }
    record.has_room("/sbin/init")?;
    VERBS.iter().try_for_each(|verb| record.has_room(&format!("/sbin/{verb}")))
}

fn off(wish: &Wish, screen: &Screen) -> Result<(), String> {
    let record = Record::read(&wish.root)?;
    if record.is_new() {
        return Err(format!(
            "{}: Ettan was not installed there by ettan install",
            wish.root.display()
        ));
    }
    if wish.dry_run {
        record.can_be_undone()?;
        record.list().for_each(|line| screen.say(&line));
        return Ok(());
    }
    for line in record.undo()? {
        screen.say(&line);
    }
    sync();
    screen.say("the card boots what it booted before");
    Ok(())
}

/// What the loader will not take, while it can still be mended.
fn tell_refused(root: &Path, screen: &Screen) {
    let found = ettan_unit::survey(root, &[]).diagnostics;
    let bad = found.iter().filter(|said| said.severity == ettan_unit::Severity::Error);
    let mut units: Vec<_> = bad.filter_map(|said| said.unit.as_deref()).collect();
    units.sort_unstable();
    units.dedup();
    if !units.is_empty() {
        let (names, root) = (units.join(", "), root.display());
        screen.complain(&format!("refused as they are: {names} (ettan check --root {root})"));
    }
}

/// What is under way, step by step.
struct Work<'a> {
    record: Record,
    dry_run: bool,
    screen: &'a Screen,
}

impl Work<'_> {
    /// A unit that starts at boot, unless somebody here has decided otherwise: it is theirs, or they took
    /// ours away.
    fn may_enable(&self, path: &str) -> bool {
        let (may, why) = match self.record.was_removed(path) {
            true => (false, "was removed, and stays so"),
            false => (self.record.may_change(path), "is there already, and stays as it is"),
        };
        if !may {
            self.screen.say(&format!("{path}: {why}"));
        }
        may
    }

    /// A file of ours. One that is there and not ours is kept beside it, or left alone.
    fn put(&mut self, path: &str, bytes: &[u8], mode: u32, keep: bool) -> Result<(), String> {
        if !self.record.may_change(path) && !keep {
            self.screen.say(&format!("{path}: is there already, and stays as it is"));
            return Ok(());
        }
        match self.dry_run {
            true => Ok(()),
            false => self.record.put(path, bytes, mode),
        }
    }

    fn link(&mut self, path: &str, target: &str) -> Result<(), String> {
        match self.dry_run {
            true => Ok(()),
            false => self.record.link(path, target),
        }
    }

    /// Vendor units that start at boot, then what is enabled under the old init.
    fn units(&mut self, card: &Card, services: &[Service]) -> Result<(), String> {
        let has_network = services.iter().any(Service::brings_up_the_network);
        let ifup = card.has_interfaces().then_some("ifup");
        let mut vendor: Vec<&str> = AT_BOOT.into_iter().chain(ifup).collect();
        vendor.retain(|name| self.may_enable(&format!("/etc/units/{name}.toml")));
        for name in &vendor {
            self.link(&format!("/etc/units/{name}.toml"), &format!("/usr/lib/units/{name}.toml"))?;
        }
        self.screen.say(&format!("start at boot: {}", vendor.join(", ")));
        for service in services {
            match &service.made {
                Ok(units) => {
                    for (name, text) in units {
                        let path = format!("/etc/units/{name}.toml");
                        if self.may_enable(&path) {
                            self.screen.say(&format!("{path} from {}", service.source));
                            self.put(&path, text.as_bytes(), 0o644, false)?;
                        }
                    }
                }
                Err(why) => self.screen.say(&format!("{}: not taken over, {why}", service.source)),
            }
        }
        if services.iter().any(|service| service.source.ends_with("/systemd-udevd.service")) {
            // The unit asks udev for what was there before it.
            let text = "[unit]\nafter = [\"root\", \"systemd-udevd\"]\n";
            let path = "/etc/units/devices.toml.d/udev.toml";
            if self.may_enable(path) {
                self.put(path, text.as_bytes(), 0o644, false)?;
            }
        }
        if !has_network && ifup.is_none() {
            self.screen
                .say("nothing brings up the network: ettan enable dhcp@eth0 does, once it runs");
        }
        Ok(())
    }

    fn command_line(&mut self, card: &Card) -> Result<(), String> {
        if card.command_line().is_none() {
            self.screen.say("no cmdline.txt in boot/firmware or boot: nothing to change there");
        }
        let Some((path, line, rest)) = wanted_line(card) else { return Ok(()) };
        self.put(&path, format!("{line}\n{rest}").as_bytes(), 0o644, true)?;
        self.screen.say(&format!("{path}: {line}"));
        self.screen.say("the old one: cmdline.txt.before-ettan");
        Ok(())
    }
}

/// The file with the kernel's command line, its first line as it is to be, and the rest; None when it is so
/// already.
fn wanted_line(card: &Card) -> Option<(String, String, String)> {
    let (path, line, rest) = card.command_line()?;
    let words: Vec<&str> = line.split_whitespace().collect();
    // An init that it names would win over ours.
    let mut wanted: Vec<&str> =
        words.iter().copied().filter(|word| !word.starts_with("init=")).collect();
    if !wanted.iter().any(|word| word.starts_with("panic=")) {
        let end = wanted.iter().position(|word| *word == "--").unwrap_or(wanted.len());
        wanted.insert(end, PANIC);
    }
    (wanted != words).then(|| (path, wanted.join(" "), rest))
}

#[cfg(test)]
#[path = "../../../check/tests/common/elf.rs"]
mod elf;
#[cfg(test)]
mod tests;
