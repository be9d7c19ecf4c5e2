//! `led`: a light of the board says how it stands with the machine: booting, well, degraded, failed. Follows
//! PID 1's events for as long as it runs; what the light did before is put back by `led --back`.

use crate::code::Code;
use crate::escape::Screen;
use crate::link::{Answer, Link, Trouble};
use crate::status::{unexpected, units};
use ettan_wire::{Follow, GoalWord, Reply, Request, StateWord, Stats, UnitStatus};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Which light.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Wish {
    /// The light, as the kernel calls it; otherwise what ETTAN_LED says, or ACT or led0
    #[arg(long, value_name = "NAME")]
    led: Option<String>,
    /// Where the kernel's lights are
    #[arg(long, value_name = "DIR", default_value = "/sys/class/leds")]
    leds: PathBuf,
    /// Put back what the light did before
    #[arg(long)]
    back: bool,
}

/// Names of the light that a Raspberry Pi has for this: of newer kernels, and older ones.
const USUAL: [&str; 2] = ["ACT", "led0"];
/// What the light was for, until it is put back.
const BEFORE: &str = "/run/ettan/led";
/// What no event tells of is seen within this time.
const LOOK_AGAIN_MS: u64 = 5_000;
/// Events that come close together are answered together, a few of them.
const TOGETHER_MS: u64 = 50;
const TOGETHER: u32 = 20;

/// How it stands with the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Booting,
    Well,
    Degraded,
    Failed,
}

/// What a light does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Two short flashes a second, while the kernel lives.
    Heartbeat,
    /// On and off for so many milliseconds each.
    Blink(u32, u32),
    /// Three flashes and a pause.
    Flashes,
    On,
    Off,
}

/// Sets the light, until something is in the way.
pub(crate) fn led(wish: &Wish, screen: &Screen) -> Code {
    let done = Light::find(wish).and_then(|light| match wish.back {
        true => light.put_back(Path::new(BEFORE)),
        false => follow(&light, screen),
    });
    done.map_or_else(|trouble| trouble.tell(screen), |()| Code::Done)
}

fn follow(light: &Light, screen: &Screen) -> Result<(), Trouble> {
    light.remember(Path::new(BEFORE))?;
    let events = Link::ask(&Request::Events(Follow { recent: false }))?;
    let mut shown = None;
    loop {
        let mood = Mood::of(&stats()?, &units()?);
        if shown != Some(mood) {
            light.show(mood)?;
            screen.say(mood.word());
            shown = Some(mood);
        }
        if !events.is_ready_within(LOOK_AGAIN_MS) {
            continue;
        }
        for _ in 0..TOGETHER {
            if let Reply::Lost(_) = events.expect()?.reply {
                let text = "events came faster than they were read".to_owned();
                return Err(Trouble { text, code: Code::Failed });
            }
            if !events.is_ready_within(TOGETHER_MS) {
                break;
            }
        }
    }
}

fn stats() -> Result<Stats, Trouble> {
    match Link::ask(&Request::Stats)?.expect()? {
        Answer { reply: Reply::Stats(stats), .. } => Ok(stats),
        _ => Err(unexpected()),
    }
}

impl Mood {
    /// Failed: a critical unit does not work, or a shell waits on the console. Degraded: another unit does
    /// not, or PID 1 itself goes without something.
    fn of(stats: &Stats, units: &[UnitStatus]) -> Self {
        let is_bad = |unit: &&UnitStatus| {
            unit.state == StateWord::Failed || unit.crash_looping || unit.unwell.is_some()
        };
        let rescue =
            |unit: &UnitStatus| unit.unit.as_str() == "ettan-rescue" && unit.goal == GoalWord::Up;
        if units.iter().any(rescue) || units.iter().filter(is_bad).any(|unit| unit.critical) {
            return Self::Failed;
        }
        if stats.boot_ms.is_none() {
            return Self::Booting;
        }
        match units.iter().any(|unit| is_bad(&unit)) || stats.reduced || !stats.degraded.is_empty()
        {
            true => Self::Degraded,
            false => Self::Well,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Booting => "booting",
            Self::Well => "well",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
        }
    }

    /// The first that the kernel can do is taken.
    const fn ways(self) -> [Way; 2] {
        match self {
            Self::Booting => [Way::Blink(100, 100), Way::On],
            Self::Well => [Way::Heartbeat, Way::On],
            Self::Degraded => [Way::Blink(1_000, 1_000), Way::Off],
            Self::Failed => [Way::Flashes, Way::Blink(100, 900)],
        }
    }
}

impl Way {
    const fn trigger(self) -> &'static str {
        match self {
            Self::Heartbeat => "heartbeat",
            Self::Blink(..) => "timer",
            Self::Flashes => "pattern",
            Self::On | Self::Off => "none",
        }
    }
}

/// A light, and what its kernel can do with it.
#[derive(Debug)]
struct Light {
    folder: PathBuf,
    triggers: Vec<String>,
    /// What it does now.
    trigger: Option<String>,
}

impl Light {
    fn find(wish: &Wish) -> Result<Self, Trouble> {
        let named = wish.led.clone().or_else(|| std::env::var("ETTAN_LED").ok());
        let usual = || USUAL.iter().map(|name| (*name).to_owned());
        let names: Vec<String> = named.map_or_else(|| usual().collect(), |name| vec![name]);
        let folders = names.iter().map(|name| wish.leds.join(name));
        let Some(folder) = folders.into_iter().find(|folder| folder.join("trigger").exists())
        else {
            return Err(missing(&names, &wish.leds));
        };
        let text =
            fs::read_to_string(folder.join("trigger")).map_err(|error| failed(&folder, &error))?;
        let bare = |word: &str| word.trim_matches(['[', ']']).to_owned();
        let trigger = text.split_whitespace().find(|word| word.starts_with('[')).map(bare);
        let triggers = text.split_whitespace().map(bare).collect();
        Ok(Self { folder, triggers, trigger })
    }

    /// What the light was for, unless one before this one has written it down.
    fn remember(&self, place: &Path) -> Result<(), Trouble> {
        let Some(trigger) = self.trigger.as_ref().filter(|_| !place.exists()) else {
            return Ok(());
        };
        fs::write(place, trigger).map_err(|error| failed(place, &error))
    }

    fn put_back(&self, place: &Path) -> Result<(), Trouble> {
        let Ok(trigger) = fs::read_to_string(place) else { return Ok(()) };
        self.write("trigger", &trigger)?;
        fs::remove_file(place).map_err(|error| failed(place, &error))
    }

    fn show(&self, mood: Mood) -> Result<(), Trouble> {
        let can = |way: &Way| self.triggers.iter().any(|known| known == way.trigger());
        let [first, second] = mood.ways();
        let way = [first, second].into_iter().find(can).unwrap_or(match mood {
            Mood::Booting | Mood::Well => Way::On,
            Mood::Degraded | Mood::Failed => Way::Off,
        });
        self.write("trigger", way.trigger())?;
        match way {
            Way::Heartbeat => Ok(()),
            Way::Blink(on, off) => {
                self.write("delay_on", &on.to_string())?;
                self.write("delay_off", &off.to_string())
            }
            Way::Flashes => {
                let most = self.brightest();
                let flash = format!("{most} 100 {most} 0 0 100 0 0 ");
                self.write("pattern", &format!("{flash}{flash}{flash}0 900 0 0"))
            }
            Way::On => self.write("brightness", &self.brightest()),
            Way::Off => self.write("brightness", "0"),
        }
    }

    fn brightest(&self) -> String {
        let text = fs::read_to_string(self.folder.join("max_brightness")).unwrap_or_default();
        text.trim().parse::<u32>().map_or("255".to_owned(), |most| most.to_string())
    }

    fn write(&self, file: &str, text: &str) -> Result<(), Trouble> {
        let path = self.folder.join(file);
        fs::write(&path, text).map_err(|error| failed(&path, &error))
    }
}

fn failed(path: &Path, error: &io::Error) -> Trouble {
    let text = format!("{}: {}", path.display(), ettan_unit::tree::words(error));
    Trouble { text, code: Code::Failed }
}

fn missing(names: &[String], leds: &Path) -> Trouble {
    let entries = fs::read_dir(leds).into_iter().flatten().flatten();
    let mut there: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    there.sort();
    let there = if there.is_empty() { "nothing".to_owned() } else { there.join(", ") };
    let names = names.join(" or ");
    let text = format!("no light {names} in {}; there is: {there} (--led NAME)", leds.display());
    Trouble { text, code: Code::NotInstalled }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::{stats, up};

    #[test]
    fn a_machine_is_as_well_as_what_it_is_for() {
        let over = Stats { boot_ms: Some(1), ..stats() };
        let under_way = Stats { boot_ms: None, ..stats() };
        let with = |unit: UnitStatus| Mood::of(&over, &[up(), unit]);
        assert_eq!(Mood::of(&under_way, &[up()]), Mood::Booting);
        assert_eq!(with(up()), Mood::Well);
        for bad in [
            UnitStatus { state: StateWord::Failed, ..up() },
            UnitStatus { crash_looping: true, ..up() },
            UnitStatus { unwell: Some("it does not answer".into()), ..up() },
        ] {
            assert_eq!(with(bad.clone()), Mood::Degraded);
            let bad = UnitStatus { critical: true, ..bad };
            assert_eq!(with(bad.clone()), Mood::Failed);
            assert_eq!(Mood::of(&under_way, &[bad]), Mood::Failed);
        }
        assert_eq!(with(UnitStatus { unit: "ettan-rescue".into(), ..up() }), Mood::Failed);
        let rest = UnitStatus { unit: "ettan-rescue".into(), goal: GoalWord::Down, ..up() };
        assert_eq!(with(rest), Mood::Well);
        let low = Stats { degraded: "starting: too many open files".into(), ..over };
        assert_eq!(Mood::of(&low, &[]), Mood::Degraded);
    }

    /// A folder like the kernel's, gone when dropped.
    struct Leds(PathBuf);

    impl Leds {
        fn new(name: &str, led: &str, triggers: &str) -> Self {
            let leds =
                Self(std::env::temp_dir().join(format!("ettan-led-{name}-{}", std::process::id())));
            let _ = fs::remove_dir_all(&leds.0);
            fs::create_dir_all(leds.0.join(led)).unwrap();
            fs::write(leds.0.join(led).join("trigger"), triggers).unwrap();
            leds
        }

        fn find(&self, led: Option<&str>) -> Result<Light, Trouble> {
            Light::find(&Wish { led: led.map(str::to_owned), leds: self.0.clone(), back: false })
        }

        fn shows(&self, mood: Mood) -> Vec<String> {
            let light = self.find(None).unwrap();
            light.show(mood).unwrap();
            let read = |file: &str| fs::read_to_string(light.folder.join(file)).unwrap_or_default();
            let shown = ["trigger", "delay_on", "delay_off", "pattern", "brightness"].map(read);
            shown.into_iter().filter(|text| !text.is_empty()).collect()
        }
    }

    impl Drop for Leds {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_light_does_what_its_kernel_can() {
        for (mood, all, few) in [
            (Mood::Booting, &["timer", "100", "100"][..], &["none", "255"][..]),
            (Mood::Well, &["heartbeat"], &["none", "255"]),
            (Mood::Degraded, &["timer", "1000", "1000"], &["none", "0"]),
            (
                Mood::Failed,
                &[
                    "pattern",
                    "255 100 255 0 0 100 0 0 255 100 255 0 0 100 0 0 255 100 255 0 0 100 0 0 0 900 0 0",
                ],
                &["none", "0"],
            ),
        ] {
            let name = mood.word();
            let leds =
                Leds::new(&format!("all-{name}"), "ACT", "none [mmc0] timer heartbeat pattern\n");
            assert_eq!(leds.shows(mood), all, "{name}");
            let leds = Leds::new(&format!("few-{name}"), "led0", "[none] mmc0\n");
            assert_eq!(leds.shows(mood), few, "{name}");
        }
    }

    #[test]
    fn what_a_light_did_before_is_put_back_once() {
        let leds = Leds::new("back", "ACT", "none [mmc0] timer\n");
        let place = leds.0.join("before");
        let light = leds.find(Some("ACT")).unwrap();
        light.remember(&place).unwrap();
        light.show(Mood::Booting).unwrap();
        // Another one follows without having put it back.
        leds.find(None).unwrap().remember(&place).unwrap();
        light.put_back(&place).unwrap();
        assert_eq!(fs::read_to_string(light.folder.join("trigger")).unwrap(), "mmc0");
        light.show(Mood::Booting).unwrap();
        light.put_back(&place).unwrap();
        assert_eq!(fs::read_to_string(light.folder.join("trigger")).unwrap(), "timer");
    }

    #[test]
    fn a_light_that_is_not_there_is_named_and_so_are_the_others() {
        let leds = Leds::new("other", "PWR", "[none]\n");
        let trouble = leds.find(None).unwrap_err();
        assert!(trouble.text.starts_with("no light ACT or led0 in "), "{}", trouble.text);
        assert!(trouble.text.ends_with("there is: PWR (--led NAME)"), "{}", trouble.text);
        assert_eq!(trouble.code, Code::NotInstalled);
        assert!(leds.find(Some("PWR")).is_ok());
    }
}
