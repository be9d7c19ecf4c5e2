//! Text of bounded length, for values that come from outside. Cuts at a character, never inside one.

use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A string of at most `N` bytes. What does not fit is cut off and ends in `…` when it comes from
/// our side, and is an error when it comes in a packet.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Text<const N: usize>(heapless::String<N>);

impl<const N: usize> Text<N> {
    /// Empty.
    #[must_use]
    pub const fn new() -> Self {
        Self(heapless::String::new())
    }

    /// What it says.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// True when it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes formatted text; cuts what does not fit.
    #[must_use]
    pub fn format(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self::new();
        // The writer below never fails: it cuts.
        let _ = fmt::Write::write_fmt(&mut text, arguments);
        text
    }

    /// Cuts the end off until `…` fits, then says so with it.
    fn mark_as_cut(&mut self) {
        const MARK: &str = "…";
        while self.0.len().saturating_add(MARK.len()) > N {
            if self.0.pop().is_none() {
                return;
            }
        }
        let _ = self.0.push_str(MARK);
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.0.push_str(more).is_ok() {
            return Ok(());
        }
        for character in more.chars() {
            if self.0.push(character).is_err() {
                self.mark_as_cut();
                break;
            }
        }
        Ok(())
    }
}

impl<const N: usize> From<&str> for Text<N> {
    fn from(value: &str) -> Self {
        let mut text = Self::new();
        let _ = fmt::Write::write_str(&mut text, value);
        text
    }
}

impl<const N: usize> core::ops::Deref for Text<N> {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl<const N: usize> Serialize for Text<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Text<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Reader::<N>)
    }
}

/// Takes a string that fits, refuses one that does not: a shortened name would be another name.
struct Reader<const N: usize>;

impl<const N: usize> de::Visitor<'_> for Reader<N> {
    type Value = Text<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string of at most {N} bytes")
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Text<N>, E> {
        let mut text = heapless::String::new();
        match text.push_str(value) {
            Ok(()) => Ok(Text(text)),
            Err(_) => Err(E::invalid_length(value.len(), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn what_fits_stays_and_what_does_not_is_cut_at_a_character() {
        assert_eq!(Text::<8>::from("åäö").as_str(), "åäö");
        assert_eq!(Text::<8>::from("åäöåä").as_str(), "åä…");
        assert_eq!(Text::<8>::from("12345678").as_str(), "12345678");
        assert_eq!(Text::<8>::from("123456789").as_str(), "12345…");
        assert_eq!(Text::<2>::from("abc").as_str(), "");
    }

    #[test]
    fn a_cut_text_takes_no_more() {
        let text = Text::<8>::format(format_args!("{}{}", "123456789", "x"));
        assert_eq!(text.as_str(), "12345…");
    }
}
