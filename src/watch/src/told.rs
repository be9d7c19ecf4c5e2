//! The conditions of one moment, and what somebody else believes of them. Asks nobody.

use crate::wishes;

/// A fact that units can be ordered after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) name: String,
    pub(crate) holds: bool,
}

/// All conditions of one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    all: Vec<Condition>,
    /// Those that did not hold for a while since the last moment, though they do again.
    lapsed: Vec<String>,
}

impl Conditions {
    /// Adds one.
    pub(crate) fn put(&mut self, name: &str, holds: bool) {
        self.all.push(Condition { name: name.to_owned(), holds });
    }

    /// Adds one that holds again, and did not in between.
    pub(crate) fn put_again(&mut self, name: &str) {
        self.put(name, true);
        self.lapsed.push(name.to_owned());
    }

    pub(crate) fn find(&self, name: &str) -> Option<bool> {
        self.all.iter().find(|condition| condition.name == name).map(|condition| condition.holds)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

/// What somebody else believes of our conditions.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// None: they must be asked.
    known: Option<Vec<Condition>>,
}

impl Told {
    /// Whether to ask what they believe before telling them more: at first, since a watcher
    /// before us may have told them something, and whenever they may have missed something.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.known.is_none()
    }

    /// What they say they believe, of whomever it came.
    pub(crate) fn learn(&mut self, all: impl IntoIterator<Item = Condition>) {
        let ours = all.into_iter().filter(|condition| wishes::is_ours(&condition.name));
        self.known = Some(ours.collect());
    }

    /// What they have yet to hear, what is gone first.
    pub(crate) fn lacks(&self, now: &Conditions) -> Vec<Condition> {
        let known = self.known.as_deref().unwrap_or_default();
        let gone = known.iter().filter(|old| {
            old.holds && (now.find(&old.name).is_none() || now.lapsed.contains(&old.name))
        });
        let gone = gone.map(|old| Condition { holds: false, ..old.clone() });
        let new =
            now.all.iter().filter(|new| !known.contains(new) || now.lapsed.contains(&new.name));
        gone.chain(new.cloned()).collect()
    }

    /// They have heard all of it.
    pub(crate) fn heard(&mut self, now: Conditions) {
        self.known = Some(now.all);
    }

    /// They may have heard some of it, or may have forgotten all.
    pub(crate) fn doubt(&mut self) {
        self.known = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_and_came_back_is_told_as_both() {
        let mut told = Told::default();
        let stick = Condition { name: "device:usb:1781:0c31".to_owned(), holds: true };
        told.learn([stick.clone()]);
        let mut now = Conditions::default();
        now.put_again(&stick.name);
        let gone = Condition { holds: false, ..stick.clone() };
        assert_eq!(told.lacks(&now), [gone, stick.clone()]);
        told.heard(now);
        let mut later = Conditions::default();
        later.put(&stick.name, true);
        assert_eq!(told.lacks(&later), []);
        // Who did not know that it was there hears only that it is.
        told.learn([]);
        later = Conditions::default();
        later.put_again(&stick.name);
        assert_eq!(told.lacks(&later), [stick]);
    }
}
