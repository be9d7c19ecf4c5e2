//! One unit: what of its wishes is met, what is awaited still, whether it is well. Looks when it is
//! time, and tells PID 1 what came of it.

use ettan_sys::clock;
use ettan_sys::reap::Status;

use crate::checkup::{Checkup, Verdict};
use crate::notify::Said;
use crate::packet::{Course, Teller, Unit};
use crate::plan::{Plan, Wish};
use crate::sample::{self, Mark, Sample};
use crate::serve::Places;
use crate::wish::{Moment, Wanted};

/// Between two looks while a unit is awaited, doubling from the first to the second.
const FIRST_MS: u64 = 20;
const LAST_MS: u64 = 500;

/// A status text is handed on no more often than this.
const TELL_EVERY_MS: u64 = 200;

/// The status of a unit that said RELOADING=1 and nothing else.
const RELOADING: &str = "reloading";

/// One unit.
pub(crate) struct Watch {
    pub(crate) name: String,
    pub(crate) run: String,
    pub(crate) main: i32,
    course: Course,
    words: String,
    plan: Plan,
    sample: Sample,
    wanted: Vec<Wanted>,
    /// Since when it is awaited.
    since_ms: u64,
    /// When to look for that again, and how long after that.
    next_ms: u64,
    pause_ms: u64,
    /// What PID 1 knows to be awaited.
    told: Option<String>,
    checkup: Checkup,
    /// When it said last that it lives.
    lived_ms: u64,
    watchdog_ms: Option<u64>,
    status: Option<String>,
    status_told_ms: u64,
    is_told: bool,
}

impl Watch {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            run: String::new(),
            main: 0,
            course: Course::Off,
            words: String::new(),
            plan: Plan::read(""),
            sample: Sample::default(),
            wanted: Vec::new(),
            since_ms: 0,
            next_ms: u64::MAX,
            pause_ms: FIRST_MS,
            told: None,
            checkup: Checkup::default(),
            lived_ms: 0,
            watchdog_ms: None,
            status: None,
            status_told_ms: 0,
            is_told: true,
        }
    }

    /// How PID 1 says that it stands. Said again, it is answered again.
    pub(crate) fn hear(
        &mut self,
        unit: &Unit<'_>,
        places: Places<'_>,
        now_ms: u64,
        teller: &Teller<'_>,
    ) {
        if unit.run != self.run {
            *self = Self { run: unit.run.to_owned(), ..Self::new(unit.name) };
            self.take_up(unit, places);
        } else if unit.words != self.words {
            self.plan = Plan::read(unit.words);
            self.watchdog_ms = self.plan.watchdog_ms;
            unit.words.clone_into(&mut self.words);
            self.checkup = Checkup::new(&self.plan.health, now_ms);
            self.want_anew(unit.course, places);
        }
        self.main = unit.main;
        let entered = unit.course != self.course;
        self.course = unit.course;
        self.told = None;
        self.is_told = self.status.is_none();
        match unit.course {
            Course::Begin => teller.tell("announced", &self.name, &self.run, ""),
            Course::Await if entered => {
                (self.since_ms, self.next_ms, self.pause_ms) = (now_ms, now_ms, FIRST_MS);
            }
            Course::Await => self.next_ms = now_ms,
            Course::Up if entered => {
                self.wanted.clear();
                self.lived_ms = now_ms;
                self.checkup = Checkup::new(&self.plan.health, now_ms);
            }
            Course::Up if self.checkup.unwell => {
                teller.tell("unwell", &self.name, &self.run, "none");
            }
            Course::Up => {}
            Course::Stop => {
                self.wanted.clear();
                self.checkup = Checkup::default();
            }
            Course::Off => sample::forget(places.notes, &self.name),
        }
    }

    /// A run that is new to this prober: before its start, or another prober saw that.
    fn take_up(&mut self, unit: &Unit<'_>, places: Places<'_>) {
        self.plan = Plan::read(unit.words);
        unit.words.clone_into(&mut self.words);
        self.watchdog_ms = self.plan.watchdog_ms;
        let kept = Sample::kept(places.notes, &self.name, &self.run);
        let begins = unit.course == Course::Begin;
        // Without a sample all that is there counts: nobody can say what is old.
        let known = kept.is_some() || begins;
        if begins && kept.is_none() {
            // What is left is of a run before.
            sample::forget(places.notes, &self.name);
            self.sample = self.look_around(places);
            self.sample.keep(places.notes, &self.name, &self.run);
        } else {
            self.sample = kept.unwrap_or_default();
        }
        let wishes = std::mem::take(&mut self.plan.wishes).into_iter();
        let (name, sample) = (&self.name, &self.sample);
        self.wanted = wishes.map(|wish| Wanted::new(wish, name, sample, places, known)).collect();
    }

    /// The unit's file says something else by now: what it still says keeps how far it is. Of what
    /// is new, nobody can say any more how it was before the start.
    fn want_anew(&mut self, course: Course, places: Places<'_>) {
        let wishes = std::mem::take(&mut self.plan.wishes);
        match course {
            Course::Begin | Course::Await => {}
            Course::Up | Course::Stop | Course::Off => return,
        }
        let mut before = std::mem::take(&mut self.wanted);
        for wish in wishes {
            let words = wish.in_words();
            if let Some(at) = before.iter().position(|wanted| wanted.in_words() == words) {
                self.wanted.push(before.swap_remove(at));
                continue;
            }
            if let Wish::Activity(path) = &wish {
                self.sample.activity = Mark::of(path);
                self.sample.keep(places.notes, &self.name, &self.run);
            }
            self.wanted.push(Wanted::new(wish, &self.name, &self.sample, places, true));
        }
    }

    /// How things are before the start.
    fn look_around(&self, places: Places<'_>) -> Sample {
        let mut sample = Sample::default();
        for wish in &self.plan.wishes {
            match wish {
                Wish::Log(_, Some(file)) => sample.log = Mark::of(file),
                Wish::Log(_, None) => sample.log = Mark::of(&places.log_of(&self.name)),
                Wish::Activity(path) => sample.activity = Mark::of(path),
                Wish::Systemd | Wish::Descriptor | Wish::Look(_) | Wish::Settle(_) => {}
            }
        }
        sample
    }

    /// What a process of it said.
    pub(crate) fn listen(
        &mut self,
        said: Said,
        places: Places<'_>,
        now_ms: u64,
        teller: &Teller<'_>,
    ) {
        let (name, run) = (self.name.as_str(), self.run.as_str());
        if said.ready && !self.sample.notified {
            self.sample.notified = true;
            self.sample.keep(places.notes, name, run);
            self.next_ms = self.next_ms.min(now_ms);
        }
        self.mind_reload(&said, places, now_ms, teller);
        let (name, run) = (self.name.as_str(), self.run.as_str());
        if let Some(main) = said.main.filter(|main| *main != self.main) {
            teller.tell("main", name, run, &main.to_string());
        }
        if let Some(span) = said.extend_ms {
            teller.tell("extend", name, run, &span.to_string());
        }
        if let Some(span) = said.watchdog_ms {
            self.watchdog_ms = Some(span).filter(|span| *span > 0);
        }
        if said.lives || said.watchdog_ms.is_some() {
            self.lived_ms = now_ms;
        }
        if said.hangs {
            self.aborted(teller, "says itself that it hangs");
        }
        let state = match (said.stopping, said.reloading) {
            (true, _) => Some("stopping"),
            (_, true) => Some(RELOADING),
            (false, false) => None,
        };
        if let Some(text) = said.status.or_else(|| state.map(String::from))
            && self.status.as_ref() != Some(&text)
        {
            self.status = Some(text);
            self.is_told = false;
        }
    }

    /// RELOADING=1, and later READY=1: it has taken in its settings.
    fn mind_reload(&mut self, said: &Said, places: Places<'_>, now_ms: u64, teller: &Teller<'_>) {
        let before = self.sample.reloading_ms;
        if said.reloading {
            self.sample.reloading_ms = Some(said.at_us.map_or(now_ms, clock::of_monotonic));
        }
        if said.ready
            && let Some(at_ms) = self.sample.reloading_ms.take()
        {
            teller.tell("reloaded", &self.name, &self.run, &at_ms.to_string());
            // A prober that came meanwhile does not know what PID 1 was told.
            if self.status.as_deref().is_none_or(|text| text == RELOADING) {
                self.status = Some(String::new());
                self.is_told = false;
            }
        }
        if self.sample.reloading_ms != before {
            self.sample.keep(places.notes, &self.name, &self.run);
        }
    }

    fn aborted(&mut self, teller: &Teller<'_>, why: &str) {
        // Once: PID 1 ends it now.
        self.watchdog_ms = None;
        teller.tell("unwell", &self.name, &self.run, &format!("abort {why}"));
    }

    /// When to look again at the latest.
    pub(crate) fn due_ms(&self) -> u64 {
        let watchdog = match (self.course, self.watchdog_ms) {
            (Course::Up, Some(span)) => self.lived_ms.saturating_add(span),
            _ => u64::MAX,
        };
        let status = match self.is_told {
            true => u64::MAX,
            false => self.status_told_ms.saturating_add(TELL_EVERY_MS),
        };
        let look = match self.course {
            Course::Await => self.next_ms,
            Course::Up => self.checkup.due_ms(),
            Course::Begin | Course::Stop | Course::Off => u64::MAX,
        };
        watchdog.min(status).min(look)
    }

    /// Something is under way that nothing wakes us for.
    pub(crate) fn is_calling(&self) -> bool {
        self.checkup.is_calling() || self.wanted.iter().any(Wanted::is_calling)
    }

    /// A child of ours ended.
    pub(crate) fn ended(&mut self, child: i32, status: Status) {
        self.wanted.iter_mut().for_each(|wanted| wanted.ended(child, status));
        self.checkup.ended(child, status);
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self, now_ms: u64, teller: &Teller<'_>) {
        match self.course {
            Course::Await => self.look_for_ready(now_ms, teller),
            Course::Up => {
                self.mind_watchdog(now_ms, teller);
                self.mind_health(now_ms, teller);
            }
            Course::Begin | Course::Stop | Course::Off => {}
        }
        if !self.is_told && now_ms >= self.status_told_ms.saturating_add(TELL_EVERY_MS) {
            self.is_told = true;
            self.status_told_ms = now_ms;
            teller.tell("status", &self.name, &self.run, self.status.as_deref().unwrap_or(""));
        }
    }

    fn look_for_ready(&mut self, now_ms: u64, teller: &Teller<'_>) {
        let is_due = now_ms >= self.next_ms;
        if !is_due && !self.is_calling() {
            return;
        }
        let (sample, user, since_ms) = (&self.sample, &self.plan.user, self.since_ms);
        let moment = Moment { sample, user, now_ms, since_ms, is_due };
        self.wanted.iter_mut().for_each(|wanted| wanted.look(&moment));
        if is_due {
            self.next_ms = now_ms.saturating_add(self.pause_ms);
            self.pause_ms = (self.pause_ms * 2).min(LAST_MS);
        }
        let mut wanted = self.wanted.iter();
        let ready = if self.plan.any {
            wanted.any(|wanted| wanted.met)
        } else {
            wanted.all(|wanted| wanted.met)
        };
        if ready {
            teller.tell("ready", &self.name, &self.run, "");
            self.next_ms = u64::MAX;
            return;
        }
        let missing: Vec<String> =
            self.wanted.iter().filter(|wanted| !wanted.met).map(Wanted::in_words).collect();
        let missing = missing.join(if self.plan.any { " or " } else { ", " });
        if self.told.as_ref() != Some(&missing) {
            teller.tell("wait", &self.name, &self.run, &missing);
            self.told = Some(missing);
        }
    }

    fn mind_watchdog(&mut self, now_ms: u64, teller: &Teller<'_>) {
        if let Some(span) = self.watchdog_ms
            && now_ms >= self.lived_ms.saturating_add(span)
        {
            self.aborted(teller, &format!("did not say within {span} ms that it lives"));
        }
    }

    fn mind_health(&mut self, now_ms: u64, teller: &Teller<'_>) {
        let health = &self.plan.health;
        match self.checkup.turn(health, &self.plan.user, now_ms) {
            None => {}
            Some(Verdict::Well) => teller.tell("well", &self.name, &self.run, ""),
            Some(Verdict::Unwell(why)) => {
                let more = format!("{} {why}", health.action);
                teller.tell("unwell", &self.name, &self.run, &more);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ettan_sys::socket;
    use std::os::fd::AsFd as _;

    #[test]
    fn what_is_awaited_is_what_the_file_says_now() {
        let notes = std::env::temp_dir().join(format!("ettan-watch-{}", std::process::id()));
        std::fs::create_dir_all(notes.join("web")).expect("a directory");
        let (ours, theirs) = socket::seqpacket_pair().expect("a pair");
        let teller = Teller(theirs.as_fd());
        let places = Places { notes: &notes, logs: &notes };
        let mut watch = Watch::new("web");
        let said = || {
            let mut packet = [0; 512];
            let mut all = Vec::new();
            while let Ok(Some(got)) = socket::recv(&ours, &mut packet) {
                all.push(String::from_utf8_lossy(&packet[..got.len]).into_owned());
            }
            all.join("; ")
        };
        let unit = |words| Unit {
            name: "web",
            run: "0000000000000a00",
            course: Course::Await,
            main: 7,
            words,
        };
        watch.hear(&unit("path=/nonexistent/a notify=systemd"), places, 0, &teller);
        watch.listen(crate::notify::parse(b"READY=1"), places, 1, &teller);
        watch.turn(1, &teller);
        assert!(said().ends_with("/nonexistent/a"));
        // The one that is met stays so.
        watch.hear(&unit("path=/nonexistent/b notify=systemd"), places, 2, &teller);
        watch.turn(2, &teller);
        assert!(said().ends_with("/nonexistent/b"));
        watch.hear(&unit("path=/ notify=systemd"), places, 3, &teller);
        watch.turn(3, &teller);
        assert!(said().contains("ready web"));
        // A reload is over with the READY=1 after RELOADING=1, for another prober too.
        watch.listen(crate::notify::parse(b"RELOADING=1"), places, 40, &teller);
        let mut another = Watch::new("web");
        another.hear(&unit("notify=systemd"), places, 41, &teller);
        for _ in 0..2 {
            another.listen(crate::notify::parse(b"READY=1"), places, 50, &teller);
        }
        assert_eq!(said().matches("reloaded web 0000000000000a00 40").count(), 1);
        std::fs::remove_dir_all(&notes).expect("what was made");
    }
}
