//! Verbs that change something: asks, waits until it is so, tells what happened.

use crate::code::Code;
use crate::edited;
use crate::escape::Screen;
use crate::instances;
use crate::link::{Answer, Link, Trouble};
use crate::progress;
use crate::show;
use crate::status::unexpected;
use ettan_wire::{
    Change, Condition, Follow, Kill, Power, PowerWord, Reload, Reply, Request, Signal, StateWord,
    Text, Which, signal_number,
};
use std::path::Path;

/// What a unit shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Up.
    Start,
    /// Down.
    Stop,
    /// Down, then up.
    Restart,
    /// Up, with its settings taken in.
    Reload,
}

/// Requests under way at the same time, so that units start side by side and yet leave room for
/// other clients of PID 1.
pub(crate) const AT_ONCE: usize = 8;

/// start, stop, restart, reload.
pub(crate) fn goal(goal: Goal, units: &[String], wait: bool, screen: &Screen) -> Code {
    let mut code = Code::Done;
    let units = instances::of(units);
    for batch in units.chunks(AT_ONCE) {
        let asked: Vec<_> = batch.iter().map(|unit| ask(goal, unit, wait)).collect();
        for (unit, link) in batch.iter().zip(asked) {
            let done = link.and_then(|link| match wait {
                true => finish(&link, Some(unit), screen),
                false => accepted(&link, &format!("{unit}: accepted"), screen),
            });
            let done = done.map_err(|trouble| hinted(trouble, unit));
            if done.is_ok() && goal != Goal::Stop {
                warn_of_file(unit, screen);
            }
            code = code.or(done.unwrap_or_else(|trouble| trouble.tell(screen)));
        }
    }
    code
}

/// Says that a unit does not run by what stands in its file.
fn warn_of_file(unit: &str, screen: &Screen) {
    let asked = |request: &Request| Link::ask(request)?.expect();
    let Ok(Answer { reply: Reply::Unit(status), .. }) =
        name(unit).and_then(|unit| asked(&Request::Status(Which { unit })))
    else {
        return;
    };
    let edited = match asked(&Request::Stats) {
        Ok(Answer { reply: Reply::Stats(stats), .. }) => edited::since_read(&status, &stats),
        Ok(_) | Err(_) => None,
    };
    match (edited, show::error(&status)) {
        (Some(file), _) => screen.complain(&format!(
            "{unit}: {} has changed since it was read (ettan reload-units)",
            file.display()
        )),
        (None, Some(said)) => screen.complain(&format!("{unit}: {said}")),
        (None, None) => {}
    }
}

/// What is to be done about a unit that PID 1 does not know: it is called otherwise, or its file
/// was not read yet.
pub(crate) fn hinted(trouble: Trouble, unit: &str) -> Trouble {
    if trouble.code != Code::NotInstalled || trouble.text.contains(".toml") {
        return trouble;
    }
    match hint(unit, Path::new("/")) {
        Some(next) => Trouble { text: format!("{} ({next})", trouble.text), ..trouble },
        None => trouble,
    }
}

/// What to do next; nothing for a name that no unit can have.
fn hint(unit: &str, root: &Path) -> Option<String> {
    if !ettan_table::is_name(unit) {
        return None;
    }
    let file = |name: &str| {
        let files = edited::UNITS.iter().map(|units| format!("/{units}/{name}.toml"));
        files.into_iter().find(|file| root.join(file.trim_start_matches('/')).is_file())
    };
    let template = ettan_unit::template_of(unit);
    if let Some(template) = template.as_deref().filter(|template| file(template).is_some()) {
        let instance = if template == unit { format!("{unit}NAME") } else { unit.to_owned() };
        // Its link is there, or a file of its own.
        if template == unit || file(unit).is_none() {
            return Some(format!("{template} is a template: ettan enable --now {instance}"));
        }
    }
    Some(match file(unit) {
        Some(file) => format!("{file} is there and not read yet: ettan reload-units"),
        None if template.is_some() => "ettan list shows all".to_owned(),
        None => format!("ettan list shows all, ettan new {unit} writes one"),
    })
}

/// try-restart: those that are to be up, and have run or tried to.
pub(crate) fn try_restart(units: &[String], wait: bool, screen: &Screen) -> Code {
    let mut code = Code::Done;
    for unit in &instances::of(units) {
        let asked =
            name(unit).and_then(|unit| Link::ask(&Request::IsActive(Which { unit }))?.expect());
        let this = match asked {
            Ok(Answer { reply: Reply::Active(active), json }) => match active.state {
                StateWord::Down | StateWord::Failed if screen.json => {
                    screen.packet(&json);
                    Code::Done
                }
                StateWord::Down | StateWord::Failed => {
                    screen.say(&format!("{unit}: not running, left alone"));
                    Code::Done
                }
                StateWord::Preparing
                | StateWord::Starting
                | StateWord::Seeking
                | StateWord::Awaiting
                | StateWord::Finishing
                | StateWord::Up
                | StateWord::Stopping
                | StateWord::Sweeping
                | StateWord::Cleaning
                | StateWord::Backoff => {
                    goal(Goal::Restart, core::slice::from_ref(unit), wait, screen)
                }
            },
            Ok(_) => unexpected().tell(screen),
            Err(trouble) => trouble.tell(screen),
        };
        code = code.or(this);
    }
    code
}

fn ask(goal: Goal, unit: &str, wait: bool) -> Result<Link, Trouble> {
    let change = Change { unit: name(unit)?, wait };
    Link::ask(&match goal {
        Goal::Start => Request::Start(change),
        Goal::Stop => Request::Stop(change),
        Goal::Restart => Request::Restart(change),
        Goal::Reload => Request::Reload(change),
    })
}

/// A name that fits; a longer one is no unit's.
pub(crate) fn name(unit: &str) -> Result<Text<64>, Trouble> {
    let name = Text::from(unit);
    if name.as_str() == unit && !unit.is_empty() {
        return Ok(name);
    }
    Err(Trouble { text: format!("no unit is called {unit:?}"), code: Code::NotInstalled })
}

/// Waits for `accepted` only; `text` says what that means.
pub(crate) fn accepted(link: &Link, text: &str, screen: &Screen) -> Result<Code, Trouble> {
    let accepted = link.expect()?;
    if screen.json {
        screen.packet(&accepted.json);
    } else {
        screen.say(text);
    }
    Ok(Code::Done)
}

/// Waits for `accepted` and for what comes of it.
fn finish(link: &Link, unit: Option<&str>, screen: &Screen) -> Result<Code, Trouble> {
    link.expect()?;
    let answer = match unit {
        Some(unit) => progress::outcome(link, unit, screen)?,
        None => link.expect()?,
    };
    let Answer { reply, json } = answer;
    let (text, code) = match reply {
        Reply::Done(finished) => (finished.text, Code::Done),
        Reply::Failed(finished) => (finished.text, Code::Failed),
        _ => return Err(Trouble { text: "PID 1 gave no outcome".into(), code: Code::Failed }),
    };
    match (screen.json, code) {
        (true, _) => screen.packet(&json),
        (false, Code::Done) => screen.say(&text),
        (false, _) => screen.complain(&text),
    }
    Ok(code)
}

/// reset.
pub(crate) fn reset(units: &[String], screen: &Screen) -> Code {
    let mut code = Code::Done;
    for unit in &instances::of(units) {
        let text = format!("{unit}: reset");
        let done = name(unit)
            .and_then(|unit| accepted(&Link::ask(&Request::Reset(Which { unit }))?, &text, screen));
        code = code.or(done.unwrap_or_else(|trouble| trouble.tell(screen)));
    }
    code
}

/// kill.
pub(crate) fn kill(signal: &str, units: &[String], screen: &Screen) -> Code {
    let Some(signal) = signal_number(signal) else {
        screen.complain(&format!("there is no signal {signal}"));
        return Code::Usage;
    };
    let mut code = Code::Done;
    for unit in &instances::of(units) {
        let text = format!("{unit}: signal {} sent", Signal(signal));
        let done = name(unit).and_then(|unit| {
            accepted(&Link::ask(&Request::Kill(Kill { unit, signal }))?, &text, screen)
        });
        code = code.or(done.unwrap_or_else(|trouble| trouble.tell(screen)));
    }
    code
}

/// Has the unit files read again.
pub(crate) fn read_again(wait: bool, screen: &Screen) -> Code {
    let done = Link::ask(&Request::ReloadUnits(Reload { wait })).and_then(|link| match wait {
        true => finish(&link, None, screen),
        false => accepted(&link, "accepted", screen),
    });
    done.unwrap_or_else(|trouble| trouble.tell(screen))
}

/// condition NAME set|clear.
pub(crate) fn condition(fact: &str, holds: bool, screen: &Screen) -> Code {
    let name = Text::from(fact);
    if name.as_str() != fact || fact.is_empty() {
        screen.complain("a condition's name has 1 to 64 bytes");
        return Code::Usage;
    }
    let text = format!("{fact}: {}", if holds { "set" } else { "cleared" });
    let done = Link::ask(&Request::Condition(Condition { name, holds }))
        .and_then(|link| accepted(&link, &text, screen));
    done.unwrap_or_else(|trouble| trouble.tell(screen))
}

/// Where `reboot --arg` leaves the word for the firmware.
const REBOOT_WORD: &str = "/run/ettan/reboot-arg";

/// reboot, poweroff, halt, shutdown.
pub(crate) fn power(action: PowerWord, force: bool, arg: Option<&str>, screen: &Screen) -> Code {
    if let Some(Err(text)) = arg.map(leave_word) {
        screen.complain(&text);
        return Code::Failed;
    }
    if let Some(text) = arg.and_then(|word| deaf(word, Path::new("/"))) {
        screen.complain(&text);
    }
    let text = match action {
        PowerWord::Reboot => "the machine restarts",
        PowerWord::PowerOff => "the machine switches off",
        PowerWord::Halt => "the machine halts",
    };
    let done = Link::ask(&Request::Power(Power { action, force }))
        .and_then(|link| accepted(&link, text, screen));
    if done.is_err() && arg.is_some() {
        // Or it would go with the next restart, whoever asks for that.
        let _ = std::fs::remove_file(REBOOT_WORD);
    }
    done.unwrap_or_else(|trouble| trouble.tell(screen))
}

/// Leaves a word for the firmware where PID 1 looks for it at the end.
fn leave_word(word: &str) -> Result<(), String> {
    std::fs::write(REBOOT_WORD, word).map_err(|error| format!("{REBOOT_WORD}: {error}"))
}

/// What a bootloader of a Pi 4 or 5 says in `capabilities`: that it knows `tryboot_a_b` of autoboot.txt.
const TRYBOOT_A_B: u8 = 0x04;

/// Why `tryboot` in this word may be lost on the machine with this root, as far as that can be seen: Raspberry
/// Pi's kernel hands it to the firmware, and has `/dev/vcio`; firmware that knows it says so.
fn deaf(word: &str, root: &Path) -> Option<String> {
    if !word.contains(" tryboot") {
        return None;
    }
    let bootloader = root.join("sys/firmware/devicetree/base/chosen/bootloader");
    // The highest byte comes first.
    let is_old = std::fs::read(bootloader.join("capabilities"))
        .is_ok_and(|bytes| bytes.get(3).is_some_and(|last| last & TRYBOOT_A_B == 0));
    let lacks = [
        (
            !root.join("dev/vcio").exists(),
            "the kernel is not Raspberry Pi's own (there is no /dev/vcio)",
        ),
        (
            !bootloader.join("tryboot").exists(),
            "the firmware says nothing of tryboot (chosen/bootloader/tryboot)",
        ),
        (is_old, "the bootloader is older than November 2022 (chosen/bootloader/capabilities)"),
    ];
    let lacks: Vec<_> = lacks.into_iter().filter(|(is, _)| *is).map(|(_, what)| what).collect();
    (!lacks.is_empty()).then(|| format!("tryboot may be ignored: {}", lacks.join(", and ")))
}

/// events: until the connection ends or the user has seen enough.
pub(crate) fn events(recent: bool, screen: &Screen) -> Code {
    follow(recent, screen).unwrap_or_else(|trouble| trouble.tell(screen))
}

fn follow(recent: bool, screen: &Screen) -> Result<Code, Trouble> {
    let link = Link::ask(&Request::Events(Follow { recent }))?;
    loop {
        let Answer { reply, json } = link.expect()?;
        match reply {
            _ if screen.json => screen.packet(&json),
            Reply::Event(event) => {
                let (seconds, ms) = (event.at_ms / 1_000, event.at_ms % 1_000);
                screen.say(&format!("[{seconds:5}.{ms:03}] {}", event.text));
            }
            Reply::Lost(lost) => {
                let text = format!("{} events were lost: they came faster than read", lost.missed);
                return Err(Trouble { text, code: Code::Failed });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_unit_that_is_not_there_yet_is_told_how_to_come() {
        let root = std::env::temp_dir().join(format!("ettan-hint-{}", std::process::id()));
        fs::create_dir_all(root.join("etc/units")).unwrap();
        fs::write(root.join("etc/units/g@.toml"), "").unwrap();
        fs::write(root.join("etc/units/new.toml"), "").unwrap();
        let says = |unit: &str| hint(unit, &root).unwrap_or_default();
        assert_eq!(
            says("new"),
            "/etc/units/new.toml is there and not read yet: ettan reload-units"
        );
        assert_eq!(says("g@"), "g@ is a template: ettan enable --now g@NAME");
        assert_eq!(says("g@5"), "g@ is a template: ettan enable --now g@5");
        assert_eq!(says("other@5"), "ettan list shows all");
        assert_eq!(says("web"), "ettan list shows all, ettan new web writes one");
        assert_eq!((says("./good"), says("")), (String::new(), String::new()));
        std::os::unix::fs::symlink("g@.toml", root.join("etc/units/g@5.toml")).unwrap();
        assert!(says("g@5").ends_with("ettan reload-units"));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_machine_that_may_not_know_tryboot_says_so() {
        let root = std::env::temp_dir().join(format!("ettan-tryboot-{}", std::process::id()));
        let chosen = root.join("sys/firmware/devicetree/base/chosen/bootloader");
        fs::create_dir_all(root.join("dev")).unwrap();
        let says = |word: &str| deaf(word, &root).unwrap_or_default();
        assert_eq!(says("0"), "");
        let both = says("0 tryboot");
        assert!(both.contains("/dev/vcio") && both.contains("firmware says nothing"), "{both}");
        fs::write(root.join("dev/vcio"), "").unwrap();
        let one = says("0 tryboot");
        assert!(!one.contains("/dev/vcio"), "{one}");
        fs::create_dir_all(&chosen).unwrap();
        fs::write(chosen.join("tryboot"), [0; 4]).unwrap();
        assert_eq!(says("0 tryboot"), "");
        fs::write(chosen.join("capabilities"), [0, 0, 0, 0x0b]).unwrap();
        assert!(says("0 tryboot").contains("older than November 2022"));
        fs::write(chosen.join("capabilities"), [0, 0, 0, 0x7f]).unwrap();
        assert_eq!(says("0 tryboot"), "");
        fs::remove_dir_all(&root).unwrap();
    }
}
