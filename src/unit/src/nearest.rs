//! Finds the word that was probably meant.

/// The candidate with the fewest typing errors from `word`, unless that would be a wild guess.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest_of(word, &mut candidates.into_iter())
}

/// Once for all kinds of lists: the loader lives in the same file as PID 1.
fn nearest_of<'a>(word: &str, candidates: &mut dyn Iterator<Item = &'a str>) -> Option<&'a str> {
    // A long word costs its length times the candidate's; nobody mistypes that much.
    if word.len() > 64 {
        return None;
    }
    let limit = (word.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(errors, _)| *errors <= limit)
        .min_by_key(|(errors, _)| *errors)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = '\0';
    for (row, ca) in a.chars().enumerate() {
        let mut line = vec![row.saturating_add(1)];
        let mut left = '\0';
        for (column, cb) in b.iter().enumerate() {
            let at = |line: &[usize], back: usize| {
                let index = column.saturating_add(1).checked_sub(back);
                index.and_then(|index| line.get(index).copied()).unwrap_or(usize::MAX / 2)
            };
            let mut best = at(&last, 1) + usize::from(ca != *cb);
            best = best.min(at(&last, 0) + 1).min(at(&line, 1) + 1);
            if ca == left && *cb == previous {
                best = best.min(at(&before_last, 2) + 1);
            }
            line.push(best);
            left = *cb;
        }
        previous = ca;
        before_last = std::mem::replace(&mut last, line);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_typing_errors() {
        let cases = [
            ("", "", 0),
            ("a", "", 1),
            ("abc", "abd", 1),
            ("strat", "start", 1),
            ("restrat", "restart", 1),
            ("kitten", "sitting", 3),
        ];
        for (a, b, errors) in cases {
            assert_eq!(distance(a, b), errors, "{a} {b}");
            assert_eq!(distance(b, a), errors, "{b} {a}");
        }
    }

    #[test]
    fn guesses_only_what_is_near() {
        let keys = ["exec-start", "exec-start-pre", "restart", "user"];
        assert_eq!(nearest("exec-strat", keys), Some("exec-start"));
        assert_eq!(nearest("usr", keys), Some("user"));
        assert_eq!(nearest("banana", keys), None);
        assert_eq!(nearest(&"x".repeat(100_000), keys), None);
    }
}
