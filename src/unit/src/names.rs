//! Things by name, in the order of the names. A sorted list and one sort for all: the loader
//! lives in the same file as PID 1, where each kind of map or sort costs kilobytes.

use std::cmp::Ordering;

/// A sorted list of names, each with a value.
pub(crate) struct Names<T>(Vec<(String, T)>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Names<T> {
    /// Puts `value` in place of what the name had.
    pub(crate) fn insert(&mut self, name: &str, value: T) {
        match self.find(name) {
            Ok(at) => {
                if let Some((_, old)) = self.0.get_mut(at) {
                    *old = value;
                }
            }
            Err(at) => self.0.insert(at, (name.to_string(), value)),
        }
    }

    /// Puts `value` where the name has none yet.
    pub(crate) fn insert_new(&mut self, name: &str, value: T) {
        if !self.contains(name) {
            self.insert(name, value);
        }
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<T> {
        let at = self.find(name).ok()?;
        Some(self.0.remove(at).1)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.index_of(name).and_then(|at| self.0.get(at)).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        let at = self.index_of(name)?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// The place of a name in the order of all.
    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.find(name).ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.0.into_iter().map(|(_, value)| value)
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }
}

/// Sorts; equals stay in their order.
pub(crate) fn sort_by<T>(list: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    let mut order: Vec<usize> = (0..list.len()).collect();
    let pair = |a: usize, b: usize| match (list.get(a), list.get(b)) {
        (Some(a), Some(b)) => compare(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    sort_places(&mut order, &pair);
    let mut items: Vec<Option<T>> = list.drain(..).map(Some).collect();
    list.extend(order.into_iter().filter_map(|at| items.get_mut(at)?.take()));
}

#[inline(never)]
fn sort_places(places: &mut [usize], compare: &dyn Fn(usize, usize) -> Ordering) {
    places.sort_unstable_by(|a, b| compare(*a, *b).then(a.cmp(b)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_order() {
        let mut names = Names::default();
        for (name, value) in [("b", 1), ("c", 2), ("a", 3), ("b", 4)] {
            names.insert(name, value);
        }
        names.insert_new("a", 9);
        assert_eq!(names.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(names.values().copied().collect::<Vec<_>>(), [3, 4, 2]);
        assert_eq!((names.get("b"), names.index_of("c"), names.len()), (Some(&4), Some(2), 3));
        assert_eq!(
            (names.remove("b"), names.remove("b"), names.contains("b")),
            (Some(4), None, false)
        );
    }

    #[test]
    fn sorting_is_stable() {
        let mut list: Vec<(u8, usize)> =
            (0..200).map(|n| (u8::try_from(n * 7 % 13).unwrap(), n)).collect();
        let mut expected = list.clone();
        sort_by(&mut list, |a, b| a.0.cmp(&b.0));
        expected.sort_by_key(|item| item.0);
        assert_eq!(list, expected);
    }
}
