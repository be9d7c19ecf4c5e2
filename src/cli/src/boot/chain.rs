//! Which units the end of the boot waited for: the last one to be up, the one that it had waited for last, and
//! so on, back to one that waited for nobody.

use super::Bar;
use ettan_wire::{Blocked, Need};

/// Marks them. The bars are units that were started before `end_ms`.
pub(super) fn mark(bars: &mut [Bar], end_ms: u64, needs: &[Need]) {
    let is_part = |bar: &Bar| !bar.is_chain && bar.to_ms.is_some_and(|to| to <= end_ms);
    let last =
        (0..bars.len()).filter(|nth| is_part(&bars[*nth])).max_by_key(|nth| bars[*nth].to_ms);
    let mut next = last;
    while let Some(nth) = next {
        bars[nth].is_chain = true;
        let Bar { name, from_ms, .. } = &bars[nth];
        let waited = |other: &Bar| {
            needs.iter().any(|need| {
                let is_it = need.unit.as_str() == name && need.on.as_str() == other.name;
                is_it && need.what == Blocked::Unit && need.after && !need.cut
            })
        };
        let before = (0..bars.len()).filter(|at| {
            let other = &bars[*at];
            is_part(other) && other.to_ms <= Some(*from_ms) && waited(other)
        });
        next = before.max_by_key(|at| bars[*at].to_ms);
    }
}
