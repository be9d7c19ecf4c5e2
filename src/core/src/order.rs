//! Puts what is needed before what needs it. Finds every cycle, names all of its members and
//! breaks it at the same place every time. Knows nothing of states; `ettan check` uses it too.

use crate::MAX_UNITS;
use heapless::Vec;

/// One arrow: the node comes after `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// What comes first.
    pub to: u16,
    /// A requirement; a cycle is rather broken at an arrow that is only order.
    pub strong: bool,
    /// Was cut before: not followed.
    pub cut: bool,
}

/// What to order. Nodes are numbered from 0; number them by name, so that the answer does not
/// depend on where a unit happens to be stored.
pub trait Graph {
    /// How many nodes; at most `MAX_UNITS`, the rest is left out.
    fn nodes(&self) -> u16;
    /// Arrow number `nth` of `node`; None past the last.
    fn link(&self, node: u16, nth: u16) -> Option<Link>;
    /// Cut arrow `nth` of `node`: from now on `link` says so. `cycle` names every member; each
    /// comes after the one that follows, the last after the first; `node` is its member number
    /// `at`.
    fn cut(&mut self, node: u16, nth: u16, cycle: &[u16], at: usize);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    New,
    /// On the path being followed.
    Open,
    /// Ordered.
    Closed,
}

/// The state of one walk. About 9 KiB, the same for any input; no recursion.
struct Walk {
    marks: [Mark; MAX_UNITS],
    /// Next arrow to follow, per node.
    next: [u16; MAX_UNITS],
    path: Vec<u16, MAX_UNITS>,
}

/// Orders the nodes: each after everything it has an uncut arrow to. Cuts arrows until that is
/// possible. Among equals the lower number comes first.
pub fn sort<G: Graph>(graph: &mut G) -> Vec<u16, MAX_UNITS> {
    let limit = u16::try_from(MAX_UNITS).unwrap_or(u16::MAX);
    let nodes = 0..graph.nodes().min(limit);
    sort_from(graph, nodes)
}

/// As [`sort`]; among equals that comes first which `nodes` names first. It has to name them all.
pub fn sort_from<G: Graph>(graph: &mut G, nodes: impl Iterator<Item = u16>) -> Vec<u16, MAX_UNITS> {
    let mut order = Vec::new();
    let mut walk = Walk { marks: [Mark::New; MAX_UNITS], next: [0; MAX_UNITS], path: Vec::new() };
    for root in nodes {
        walk.open(root);
        while let Some(node) = walk.path.last().copied() {
            walk.advance(graph, node, &mut order);
        }
    }
    order
}

impl Walk {
    fn mark(&self, node: u16) -> Mark {
        self.marks.get(usize::from(node)).copied().unwrap_or(Mark::Closed)
    }

    fn set(&mut self, node: u16, mark: Mark) {
        if let Some(entry) = self.marks.get_mut(usize::from(node)) {
            *entry = mark;
        }
    }

    fn open(&mut self, node: u16) {
        if self.mark(node) == Mark::New && self.path.push(node).is_ok() {
            self.set(node, Mark::Open);
            self.rewind(node);
        }
    }

    fn rewind(&mut self, node: u16) {
        if let Some(next) = self.next.get_mut(usize::from(node)) {
            *next = 0;
        }
    }

    /// Follows one arrow of the path's last node, or closes the node.
    fn advance<G: Graph>(&mut self, graph: &mut G, node: u16, order: &mut Vec<u16, MAX_UNITS>) {
        let nth = self.next.get(usize::from(node)).copied().unwrap_or(u16::MAX);
        let Some(link) = graph.link(node, nth) else {
            self.set(node, Mark::Closed);
            let _ = self.path.pop();
            let _ = order.push(node);
            return;
        };
        if let Some(next) = self.next.get_mut(usize::from(node)) {
            *next = nth.saturating_add(1);
        }
        if link.cut {
            return;
        }
        match self.mark(link.to) {
            Mark::New => self.open(link.to),
            Mark::Closed => {}
            Mark::Open => self.break_cycle(graph, link.to),
        }
    }

    /// The path from `first` on is a cycle. Cuts its weakest arrow, by name the first among
    /// equals, and takes the path back to there.
    fn break_cycle<G: Graph>(&mut self, graph: &mut G, first: u16) {
        let start = self.path.iter().position(|node| *node == first).unwrap_or(0);
        let cycle = self.path.get(start..).unwrap_or(&[]);
        let weakest = cycle.iter().enumerate().min_by_key(|(_, node)| {
            let strong = graph.link(**node, self.followed(**node)).is_none_or(|link| link.strong);
            (strong, **node)
        });
        let Some((at, node)) = weakest.map(|(at, node)| (at, *node)) else { return };
        graph.cut(node, self.followed(node), cycle, at);
        let keep = start.saturating_add(at).saturating_add(1);
        while self.path.len() > keep {
            if let Some(undone) = self.path.pop() {
                self.set(undone, Mark::New);
            }
        }
    }

    /// The arrow of `node` that the path follows.
    fn followed(&self, node: u16) -> u16 {
        self.next.get(usize::from(node)).copied().unwrap_or(0).saturating_sub(1)
    }
}
