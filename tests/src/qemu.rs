//! A machine that is an emulated Raspberry Pi: an image with the test's files laid over it, booted
//! by qemu/boot.sh, with a shell on its serial console. The oracle of its end is what the kernel
//! says last: restarting, power down, halted.
//!
//! A boot takes long there, so one board may tell several stories: `again` takes away what the
//! last one brought, and then `boot` means that PID 1 reads its units anew.

mod debian;
mod furnish;
mod monitor;

use crate::binaries::{target, workspace};
use crate::console::Console;
use crate::notices::{sequence, words};
use crate::{Card, End, Limit, Machine, Output, Partition, Process, Story};
use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The time that a whole test on a board may take, in seconds.
const SECONDS: u64 = 300;

/// Tells the notices on the console, among the rest. It stays to the last: TERM does not
/// impress it, and when the console's shell goes and the line hangs up, it opens the line again.
const FOLLOWER: &str = "[service]\ntimeout-stop-sec = \"5s\"\nexec-start = [\"/bin/sh\", \"-c\", \
    '''trap \"\" TERM; while :; do ettan events --recent --json >/dev/ttyAMA0; sleep 0.2; done''']\n";

/// What the image starts on its own and a scenario has no use for.
const SPARED: [&str; 3] = ["network", "telldusd", "cherrytelldus"];

/// A board, switched off until it boots. Dropping it pulls the plug.
#[derive(Debug)]
pub struct Qemu {
    board: String,
    overlay: PathBuf,
    /// More options for QEMU.
    options: String,
    append: String,
    /// The time of one boot, in seconds.
    seconds: u64,
    /// One has to log in on its console.
    has_login: bool,
    /// Its root is never written to: units that come once it runs live in /run.
    read_only: bool,
    /// The card is made.
    made: bool,
    /// Units for such a board, until it runs.
    later: Vec<(String, Vec<u8>)>,
    /// QEMU's own ear, once it was spoken to.
    monitor: Option<UnixStream>,
    console: Option<Console>,
    /// The units that the present story has brought.
    units: Vec<String>,
    /// What the kernel said of the end, once it has.
    end: Option<End>,
    /// How many notices were told; what comes a second time is no news.
    told: u64,
    story: Story,
    limit: Limit,
}

impl Qemu {
    /// The board of that name (`pi-zero`, `pi-2`, …). `test` names its files.
    ///
    /// # Panics
    /// When the files cannot be made.
    #[must_use]
    pub fn new(board: &str, test: &str) -> Self {
        let overlay = target().join(format!("test/boards/{board}-{test}"));
        let _ = fs::remove_dir_all(&overlay);
        let mut machine = Self {
            board: board.to_owned(),
            overlay,
            options: String::new(),
            append: String::new(),
            seconds: SECONDS,
            has_login: false,
            read_only: false,
            made: false,
            later: Vec::new(),
            monitor: None,
            console: None,
            units: Vec::new(),
            end: None,
            told: 0,
            story: Story::default(),
            limit: Limit::seconds(SECONDS),
        };
        for unit in SPARED {
            machine.write(&format!("/etc/units/{unit}.toml"), b"[service]\ntype = \"target\"\n");
        }
        machine.write("/etc/units/follower.toml", FOLLOWER.as_bytes());
        machine.units.clear();
        machine
    }

    /// Pulls the plug. `boot` puts it in again, with the card as it was at this moment.
    pub fn pull_plug(&mut self) {
        self.console = None;
        self.monitor = None;
        self.end = None;
        self.told = 0;
        self.units.clear();
        self.story = Story::default();
        self.limit = Limit::seconds(self.seconds);
    }

    /// Lets it do what it does for so long, or until it is off.
    pub fn last_for(&mut self, ms: u64) {
        let limit = Limit::millis(ms);
        while !limit.over() && self.console().is_on() {
            self.listen(limit);
        }
    }

    /// Types a line at the console's shell, and waits for nothing.
    pub fn type_in(&mut self, command: &str) {
        let number = self.console().next_number();
        self.console().type_line(&format!("@{number} {command}"));
    }

    /// The card, while the board is off.
    #[must_use]
    pub fn card(&self) -> Card {
        Card(self.image().join("sd.img"))
    }

    /// Ends a story: its units are stopped and their files removed, so that the next one finds
    /// the machine as the first one did. It goes on running.
    ///
    /// # Panics
    /// When that does not work.
    #[track_caller]
    pub fn again(&mut self) {
        let units = std::mem::take(&mut self.units);
        let files: Vec<String> = units.iter().map(|unit| format!("{unit}.toml")).collect();
        self.must(&format!("ettan stop {}", units.join(" ")));
        self.must(&format!("cd {} && rm {}", self.unit_folder(), files.join(" ")));
        self.must("ettan reload-units");
        self.story = Story::default();
    }

    /// Checks the file system on the card, once QEMU has ended.
    ///
    /// # Panics
    /// When there is anything to repair, or only a journal to play back.
    #[track_caller]
    pub fn card_is_clean(&mut self) {
        let _ = self.is_off();
        for partition in [Partition::Root, Partition::Data] {
            let problem = self.card().problem(partition);
            assert!(problem.is_none(), "{partition:?}: {}", problem.unwrap_or_default());
        }
    }

    /// Whether QEMU ends by itself within the limit: the board was reset or switched off.
    pub fn is_off(&mut self) -> bool {
        while self.console().is_on() && !self.limit.over() {
            self.listen(Limit::moment());
        }
        !self.console().is_on()
    }

    /// Runs a command that must succeed.
    #[track_caller]
    fn must(&mut self, command: &str) {
        let output = self.sh(command);
        assert!(output.code == 0, "{command}: {output:?}");
    }

    /// Where units go that come once the board runs.
    fn unit_folder(&self) -> &'static str {
        if self.read_only { "/run/units" } else { "/etc/units" }
    }

    /// Makes the card, which `boot` does otherwise.
    ///
    /// # Panics
    /// When it cannot be made.
    #[track_caller]
    pub fn make_card(&mut self) {
        let mut script = self.script("image.sh");
        self.make_by(script.arg(&self.overlay));
    }

    #[track_caller]
    fn make_by(&mut self, script: &mut Command) {
        let log = File::create(format!("{}.log", self.overlay.display())).expect("a log");
        let made = script
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "no image: see {}.log",
            self.overlay.display()
        );
        self.made = true;
    }

    /// Puts the plug in, and waits for nothing.
    ///
    /// # Panics
    /// When QEMU cannot be started.
    pub fn switch_on(&mut self) {
        if !self.made {
            self.make_card();
        }
        let log = File::options().append(true).open(format!("{}.log", self.overlay.display()));
        let mut boot = self.script("boot.sh");
        boot.arg(self.image()).stderr(log.expect("a log"));
        boot.env("ETTAN_QEMU", &self.options).env("ETTAN_APPEND", &self.append);
        self.console = Some(Console::start(boot));
    }

    /// A script of the folder qemu, about this board.
    fn script(&self, name: &str) -> Command {
        let mut script = Command::new(workspace().join("qemu").join(name));
        script.arg(&self.board).env("ROOT", if self.read_only { "ro" } else { "rw" });
        script
    }

    fn image(&self) -> PathBuf {
        PathBuf::from(format!("{}.image", self.overlay.display()))
    }

    /// Whether somebody may still answer.
    fn is_on(&self) -> bool {
        self.end.is_none() && self.console.as_ref().is_some_and(Console::is_on)
    }

    fn console(&mut self) -> &mut Console {
        self.console.as_mut().expect("the board is switched on")
    }

    /// Sorts what the board has said into notices and the rest.
    fn listen(&mut self, limit: Limit) -> Vec<String> {
        let Some(console) = &mut self.console else { return Vec::new() };
        let mut rest = Vec::new();
        for line in console.lines(limit) {
            let packet = line.find('{').and_then(|start| line.get(start..));
            match packet.and_then(|packet| Some((words(packet)?, sequence(packet)))) {
                Some((notice, sequence)) if sequence >= self.told => {
                    self.told = sequence + 1;
                    self.story.tell(notice);
                }
                Some(_) => {}
                None => {
                    self.end = self.end.take().or_else(|| verdict(&line));
                    rest.push(line);
                }
            }
        }
        rest
    }

    /// Types a line again and again until `accept` is content with a line that comes back.
    fn converse(&mut self, typed: &str, mut accept: impl FnMut(&str) -> bool) -> bool {
        while !self.limit.over() && self.is_on() {
            self.console().type_line(typed);
            // What arrives twice is done once; what got lost is not waited for long.
            let patience = Limit::seconds(5);
            while !patience.over() {
                let heard = self.listen(Limit::moment());
                if heard.iter().any(|line| accept(line)) {
                    return true;
                }
            }
        }
        false
    }

    fn open_shell(&mut self) {
        // What is typed before the shell is there can leave the serial port deaf.
        while !self.console().has_prompt() {
            assert!(!self.limit.over() && self.is_on(), "no prompt on the console");
            match self.has_login {
                true => self.log_in(),
                false => drop(self.listen(Limit::moment())),
            }
        }
        let ready = self.converse("echo @ready $((40+2))", |line| line.contains("@ready 42"));
        assert!(ready, "no shell answers on the console");
        self.console().type_line(&format!("exec sh -c '{LOOP}'"));
        // Its own text comes back first.
        assert_eq!(self.sh("true").code, 0, "the console's shell does not do commands");
    }
}

/// What the console's shell becomes: no echo, no kernel messages but the very last ones, and
/// numbered commands, each done once.
const LOOP: &str = "stty -echo; dmesg -n 1; last=0; while read -r number command; do \
    case $number in @[1-9]*) ;; *) continue ;; esac; \
    [ \"${number#@}\" -gt \"$last\" ] || continue; last=${number#@}; \
    eval \"$command\"; echo \"@end $last $?\"; done";

impl Machine for Qemu {
    fn write(&mut self, path: &str, content: &[u8]) {
        let unit = path.strip_prefix("/etc/units/").and_then(|name| name.strip_suffix(".toml"));
        if unit.is_some() && self.read_only && self.console.is_none() {
            return self.later.push((path.to_owned(), content.to_vec()));
        }
        self.units.extend(unit.map(str::to_owned));
        let path = unit
            .map_or_else(|| path.to_owned(), |unit| format!("{}/{unit}.toml", self.unit_folder()));
        let path = path.as_str();
        if self.console.is_none() {
            let file = self.overlay.join(path.trim_start_matches('/'));
            let directory = file.parent().expect("a path of a file");
            fs::create_dir_all(directory).and_then(|()| fs::write(&file, content)).expect(path);
            return;
        }
        let directory = path.rsplit_once('/').map_or("/", |(directory, _)| directory);
        let _ = self.sh(&format!("mkdir -p {directory} && : >{path}")).ok();
        // A line of a terminal holds 4,096 bytes; an octal escape is four of them.
        for part in content.chunks(200) {
            let octal: String = part.iter().map(|byte| format!("\\{byte:03o}")).collect();
            let _ = self.sh(&format!("printf '{octal}' >>{path}")).ok();
        }
    }

    fn boot(&mut self) {
        if self.console.is_some() {
            return self.must("ettan reload-units");
        }
        self.switch_on();
        self.open_shell();
        let later = std::mem::take(&mut self.later);
        if !later.is_empty() {
            later.iter().for_each(|(path, content)| self.write(path, content));
            self.must("ettan reload-units");
        }
    }

    fn sh(&mut self, command: &str) -> Output {
        let number = self.console().next_number();
        let end = format!("@end {number} ");
        let (mut out, mut code) = (String::new(), 0);
        let ended = self.converse(&format!("@{number} {command}"), |line| {
            if let Some((before, after)) = line.split_once(&end) {
                out.push_str(before);
                code = after.trim().parse().unwrap_or(0);
                return true;
            }
            if !line.starts_with('@') {
                out.push_str(line);
                out.push('\n');
            }
            false
        });
        if !ended {
            code = 255;
        }
        Output { code, out, err: String::new() }
    }

    fn processes(&mut self) -> Vec<Process> {
        let table = self.sh("COLUMNS=500 ps -o pid,ppid,stat,args </dev/null | cat").out;
        table.lines().filter_map(process).collect()
    }

    fn next_notice(&mut self, limit: Limit) -> Option<String> {
        let known = self.story.all().len();
        while self.story.all().len() == known && !limit.over() {
            if !self.is_on() {
                return None;
            }
            self.listen(Limit::moment());
        }
        self.story.all().get(known).cloned()
    }

    fn story(&mut self) -> &mut Story {
        &mut self.story
    }

    fn end(&mut self) -> End {
        while self.is_on() && !self.limit.over() {
            self.listen(Limit::moment());
        }
        self.end.clone().unwrap_or_else(|| End::Died("without a word of the kernel".to_owned()))
    }

    fn turn(&mut self) -> bool {
        self.listen(Limit::moment());
        self.is_on()
    }

    fn limit(&self) -> Limit {
        self.limit
    }

    fn report(&mut self) -> String {
        let said = self.console.as_ref().map(Console::all).unwrap_or_default();
        format!("== notices\n{}\n== console\n{said}\n", self.story.all().join("\n"))
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.report());
        }
        drop(self.console.take());
        let _ = fs::remove_dir_all(&self.overlay);
        let _ = fs::remove_dir_all(self.image());
        let _ = fs::remove_file(self.ear());
    }
}

/// What the kernel's last line means.
fn verdict(line: &str) -> Option<End> {
    let ends = [
        ("reboot: Restarting system", End::Reboot),
        ("reboot: Power down", End::Off),
        ("reboot: System halted", End::Off),
        ("Kernel panic", End::Died("kernel panic".to_owned())),
    ];
    ends.into_iter().find(|(text, _)| line.contains(text)).map(|(_, end)| end)
}

/// A line of `ps -o pid,ppid,stat,args`.
fn process(line: &str) -> Option<Process> {
    let mut words = line.split_whitespace();
    let pid = words.next()?.parse().ok()?;
    let parent = words.next()?.parse().ok()?;
    let state = words.next()?.chars().next()?;
    let command = words.collect::<Vec<_>>().join(" ");
    Some(Process { pid, parent, session: 0, born: 0, state, command })
}
