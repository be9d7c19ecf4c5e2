//! The notices of one machine in the order they came, and how far a test has read them.

/// Notices and a reader's place among them.
#[derive(Clone, Debug, Default)]
pub struct Story {
    told: Vec<String>,
    read: usize,
}

impl Story {
    /// Adds the next notice.
    pub fn tell(&mut self, notice: String) {
        self.told.push(notice);
    }

    /// Looks for `wanted` from the reader's place on. Found: the reader goes on behind it.
    /// Not found: the reader stays. A notice matches when it is `wanted`, or `wanted` and then
    /// a colon with the reason (`web failed` matches `web failed: exit status 1`).
    pub fn find(&mut self, wanted: &str) -> bool {
        let ahead = self.told.iter().skip(self.read);
        let Some(distance) = ahead.clone().position(|notice| is(notice, wanted)) else {
            return false;
        };
        self.read += distance + 1;
        true
    }

    /// Every notice so far.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.told
    }

    /// The notices from the reader's place on.
    #[must_use]
    pub fn ahead(&self) -> &[String] {
        self.told.get(self.read..).unwrap_or_default()
    }

    /// The states a unit went through so far, in order; `says` stands for other news of it.
    #[must_use]
    pub fn states(&self, unit: &str) -> Vec<String> {
        let prefix = format!("{unit} ");
        let own = self.told.iter().filter_map(|notice| notice.strip_prefix(&prefix));
        own.filter_map(|rest| rest.split(':').next()).map(str::to_owned).collect()
    }

    /// How often `wanted` was told.
    #[must_use]
    pub fn count(&self, wanted: &str) -> usize {
        self.told.iter().filter(|notice| is(notice, wanted)).count()
    }

    /// Where `wanted` was told first.
    #[must_use]
    pub fn place(&self, wanted: &str) -> Option<usize> {
        self.told.iter().position(|notice| is(notice, wanted))
    }
}

fn is(notice: &str, wanted: &str) -> bool {
    notice.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::Story;

    #[test]
    fn a_reader_goes_forward_only() {
        let mut story = Story::default();
        for notice in ["web starting", "web up", "db up", "web backoff: 250 ms"] {
            story.tell(notice.to_owned());
        }
        assert!(story.find("web up"));
        assert!(!story.find("web starting"));
        assert!(story.find("web backoff"));
        assert_eq!(story.states("web"), ["starting", "up", "backoff"]);
    }
}
