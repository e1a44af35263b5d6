//! The order in which trimesh looks at triangles that may be nearest to a point: that of a packed R-tree
//! (`libspatialindex`, <https://github.com/libspatialindex/libspatialindex>: sort-tile-recursive, Leutenegger et al. 1997,
//! nodes of 70), then that of numpy's `argsort`, a bitonic network which leaves equals where they meet.
//!
//! It matters where two triangles are equally near to the last bit: the first one is taken.

use crate::model::arch::gnu_order;

pub type Vector = [f64; 3];

/// Children of a full node: 0.7 of the default capacity.
const NODE: usize = 70;

/// Smallest and largest coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    pub low: Vector,
    pub high: Vector,
}

impl Bounds {
    pub fn of(points: &[Vector]) -> Self {
        let start = Self { low: [f64::INFINITY; 3], high: [f64::NEG_INFINITY; 3] };
        points.iter().fold(start, |bounds, point| bounds.with(&Self { low: *point, high: *point }))
    }

    fn with(&self, other: &Self) -> Self {
        let [low, high] = [(self.low, other.low), (self.high, other.high)];
        Self {
            low: [0, 1, 2].map(|i| f64::min(low.0[i], low.1[i])),
            high: [0, 1, 2].map(|i| f64::max(high.0[i], high.1[i])),
        }
    }

    fn meets(&self, other: &Self) -> bool {
        (0..3).all(|i| self.low[i] <= other.high[i] && other.low[i] <= self.high[i])
    }
}

/// What lies in some bounds.
#[derive(Debug, Clone, Copy)]
struct Entry {
    bounds: Bounds,
    /// Of a node, or on the lowest level of an item.
    id: u32,
}

/// A packed R-tree.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Vec<Entry>>,
    /// So many nodes come before those that are not leaves; the last is the root.
    leaves: usize,
}

impl Tree {
    /// Of items in this order.
    pub fn new(items: &[Bounds]) -> Self {
        let mut tree = Self { nodes: Vec::new(), leaves: 0 };
        let mut level: Vec<Entry> = items.iter().zip(0..).map(|(bounds, id)| Entry { bounds: *bounds, id }).collect();
        loop {
            sort_along(&mut level, 0);
            let start = tree.nodes.len();
            tree.pack(level, 0);
            let bounds =
                |node: &Vec<Entry>| node[1..].iter().fold(node[0].bounds, |all, entry| all.with(&entry.bounds));
            level = (start..)
                .zip(&tree.nodes[start..])
                .map(|(id, node)| Entry { bounds: bounds(node), id: id as u32 })
                .collect();
            if start == 0 {
                tree.leaves = tree.nodes.len();
            }
            if level.len() <= 1 {
                return tree;
            }
        }
    }

    /// Cuts entries, sorted along `axis`, into slabs, these along the next axis, and at last into nodes.
    fn pack(&mut self, entries: Vec<Entry>, axis: usize) {
        let slabs = (entries.len().div_ceil(NODE) as f64).sqrt().ceil() as usize;
        if slabs <= 1 || axis == 2 || slabs * NODE == entries.len() {
            self.nodes.extend(entries.chunks(NODE).map(<[Entry]>::to_vec));
            return;
        }
        for slab in entries.chunks(slabs * NODE) {
            let mut slab = slab.to_vec();
            sort_along(&mut slab, axis + 1);
            self.pack(slab, axis + 1);
        }
    }

    /// Items whose bounds meet these, in the order in which they are found.
    pub fn meeting(&self, bounds: &Bounds) -> Vec<u32> {
        let mut found = Vec::new();
        let mut open: Vec<usize> = self.nodes.len().checked_sub(1).into_iter().collect();
        while let Some(node) = open.pop() {
            let ids = self.nodes[node].iter().filter(|entry| entry.bounds.meets(bounds)).map(|entry| entry.id);
            if node < self.leaves { found.extend(ids) } else { open.extend(ids.map(|id| id as usize)) }
        }
        found
    }
}

fn sort_along(entries: &mut [Entry], axis: usize) {
    let middle = |entry: Entry| entry.bounds.high[axis] + entry.bounds.low[axis];
    gnu_order::sort(entries, |a, b| middle(a) < middle(b));
}

/// Sorts up to 256 items by a bitonic network; equals are not exchanged.
pub fn network_sort<T: Copy>(items: &mut [T], key: impl Fn(T) -> f64) {
    let size = items.len().next_power_of_two();
    let mut exchange = |a: usize, b: usize| {
        // beyond the end there is infinity
        if b < items.len() && key(items[b]) < key(items[a]) {
            items.swap(a, b);
        }
    };
    let mut block = 2;
    while block <= size {
        for start in (0..size).step_by(block) {
            (0..block / 2).for_each(|i| exchange(start + i, start + block - 1 - i));
        }
        let mut half = block / 2;
        while half >= 2 {
            for start in (0..size).step_by(half) {
                (0..half / 2).for_each(|i| exchange(start + i, start + i + half / 2));
            }
            half /= 2;
        }
        block *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_meets() {
        let middle = |i: usize| [(i * 37 % 101) as f64, (i * 53 % 97) as f64, (i * 71 % 89) as f64];
        let items: Vec<Bounds> =
            (0..20_000).map(|i| Bounds { low: middle(i), high: middle(i).map(|x| x + 2.5) }).collect();
        let tree = Tree::new(&items);
        let wanted = Bounds { low: [10.0, 20.0, 30.0], high: [30.0, 25.0, 40.0] };
        let mut found = tree.meeting(&wanted);
        found.sort_unstable();
        let expected: Vec<u32> = (0..20_000).filter(|&i| items[i as usize].meets(&wanted)).collect();
        assert_eq!(found, expected);
        assert!(Tree::new(&[]).meeting(&wanted).is_empty());
    }

    #[test]
    fn the_network_sorts() {
        for count in 0..70usize {
            let mut items: Vec<usize> = (0..count).map(|i| i * 7919 % 61).collect();
            network_sort(&mut items, |item| item as f64);
            assert!(items.is_sorted(), "{items:?}");
        }
    }
}
