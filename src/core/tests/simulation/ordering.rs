//! `order::sort` by itself: cycles are named in full and cut where it hurts least.

use ettan_core::order::{Graph, Link, sort, sort_from};
use proptest::prelude::*;

#[derive(Clone, Debug, Default)]
struct Arrows {
    /// node → (to, strong, cut)
    nodes: Vec<Vec<(u16, bool, bool)>>,
    cycles: Vec<(Vec<u16>, usize)>,
}

impl Arrows {
    fn of(count: u16, arrows: &[(u16, u16, bool)]) -> Self {
        let mut all = Self { nodes: vec![Vec::new(); usize::from(count)], cycles: Vec::new() };
        for (node, to, strong) in arrows {
            all.nodes[usize::from(*node)].push((*to, *strong, false));
        }
        all
    }
}

impl Graph for Arrows {
    fn nodes(&self) -> u16 {
        u16::try_from(self.nodes.len()).expect("small")
    }
    fn link(&self, node: u16, nth: u16) -> Option<Link> {
        let (to, strong, cut) = *self.nodes.get(usize::from(node))?.get(usize::from(nth))?;
        Some(Link { to, strong, cut })
    }
    fn cut(&mut self, node: u16, nth: u16, cycle: &[u16], at: usize) {
        assert_eq!(cycle[at], node);
        let arrow = &mut self.nodes[usize::from(node)][usize::from(nth)];
        assert_eq!(arrow.0, cycle[(at + 1) % cycle.len()], "the arrow is of the cycle");
        assert!(!arrow.2, "no arrow is cut twice");
        arrow.2 = true;
        self.cycles.push((cycle.to_vec(), at));
    }
}

#[test]
fn what_is_needed_comes_first_and_equals_keep_their_order() {
    let mut arrows = Arrows::of(4, &[(0, 3, false), (1, 0, false)]);
    assert_eq!(sort(&mut arrows).as_slice(), [3, 0, 1, 2]);
    assert!(arrows.cycles.is_empty());
}

#[test]
fn equals_come_as_they_are_named() {
    let mut arrows = Arrows::of(4, &[(0, 3, false), (1, 0, false)]);
    assert_eq!(sort_from(&mut arrows, [2, 3, 1, 0].into_iter()).as_slice(), [2, 3, 0, 1]);
}

#[test]
fn f5_04_every_member_of_a_cycle_is_named_and_order_gives_way_before_requirement() {
    let mut arrows = Arrows::of(4, &[(0, 1, true), (1, 2, false), (2, 3, true), (3, 0, false)]);
    let order = sort(&mut arrows);
    assert_eq!(order.as_slice(), [1, 0, 3, 2]);
    assert_eq!(arrows.cycles, [(vec![0, 1, 2, 3], 1)]);
}

#[test]
fn f5_04_a_unit_after_itself() {
    let mut arrows = Arrows::of(1, &[(0, 0, true)]);
    assert_eq!(sort(&mut arrows).as_slice(), [0]);
    assert_eq!(arrows.cycles, [(vec![0], 0)]);
}

#[test]
fn a_chain_of_a_thousand_and_everything_after_everything() {
    let chain: Vec<_> = (0..1_023).map(|node| (node, node + 1, true)).collect();
    let order = sort(&mut Arrows::of(1_024, &chain));
    assert_eq!(order.first(), Some(&1_023));
    let dense: Vec<_> = (0..90).flat_map(|node| (0..90).map(move |to| (node, to, false))).collect();
    assert_eq!(sort(&mut Arrows::of(90, &dense)).len(), 90);
}

proptest! {
    #[test]
    fn any_graph_is_ordered(
        count in 1_u16..40,
        raw in prop::collection::vec((0_u16..40, 0_u16..40, any::<bool>()), 0..120),
    ) {
        let arrows: Vec<_> =
            raw.into_iter().map(|(node, to, strong)| (node % count, to % count, strong)).collect();
        let mut graph = Arrows::of(count, &arrows);
        let order = sort(&mut graph);
        prop_assert_eq!(order.len(), usize::from(count));
        let place = |node: u16| order.iter().position(|other| *other == node);
        for node in 0..count {
            for (to, _, cut) in &graph.nodes[usize::from(node)] {
                prop_assert!(*cut || place(*to) < place(node));
            }
        }
        let mut again = Arrows::of(count, &arrows);
        prop_assert_eq!(sort(&mut again), order);
        prop_assert_eq!(again.cycles, graph.cycles);
    }
}
