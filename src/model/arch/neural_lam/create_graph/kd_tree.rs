//! A k-d tree that answers as `scipy.spatial.KDTree` does, also where points are equally near: the same tree with the
//! same order in its leaves, searched in the same order with the same bounds
//! (<https://github.com/scipy/scipy/tree/v1.17.1/scipy/spatial/ckdtree/src>; Arya and Mount 1993,
//! <https://doi.org/10.1109/DCC.1993.253111>).

use std::ops::Range;

use crate::model::arch::gnu_order::{nth_element, partition};

/// `scipy.spatial.KDTree` takes 10; `cKDTree`, with 16, answers otherwise.
const LEAF_SIZE: usize = 10;

/// Points of the plane, for finding those near a place.
pub(super) struct KdTree<'a> {
    points: &'a [[f64; 2]],
    /// Indices of the points, those of each leaf together.
    order: Vec<u32>,
    /// The root is the first.
    nodes: Vec<Node>,
    least: [f64; 2],
    greatest: [f64; 2],
}

enum Node {
    Leaf(Range<usize>),
    /// Points less than `at` along `axis` are under node `below`, the others under `above`.
    Split {
        axis: usize,
        at: f64,
        below: usize,
        above: usize,
    },
}

/// A part of the plane yet to be searched, and how far off it is.
#[derive(Clone, Copy)]
struct Cell {
    node: usize,
    /// Squares of the distance along each axis.
    sides: [f64; 2],
    /// Their sum, as rounded from cell to cell.
    square: f64,
}

impl<'a> KdTree<'a> {
    /// A tree of finite points, fewer than 2^32.
    pub fn new(points: &'a [[f64; 2]]) -> Self {
        let mut order: Vec<u32> = (0..points.len() as u32).collect();
        let (least, greatest) = bounds(points, &order);
        let mut nodes = Vec::new();
        grow(points, &mut order, 0, &mut nodes);
        Self { points, order, nodes, least, greatest }
    }

    /// The `k` nearest points, in no particular order; all where there are not as many.
    pub fn nearest(&self, here: [f64; 2], k: usize) -> impl Iterator<Item = u32> {
        let mut found = Heap(Vec::with_capacity(k));
        let mut open = Heap(Vec::with_capacity(16));
        let mut bound = f64::INFINITY;
        let sides = [0, 1].map(|axis| {
            let outside = (here[axis] - self.greatest[axis]).max(self.least[axis] - here[axis]).max(0.0);
            outside * outside
        });
        let mut cell = Cell { node: 0, sides, square: sides[0] + sides[1] };
        loop {
            match &self.nodes[cell.node] {
                Node::Leaf(range) => {
                    for &index in &self.order[range.clone()] {
                        let square = square(self.points[index as usize], here);
                        if square < bound {
                            if found.0.len() == k {
                                found.pop();
                            }
                            // the farthest comes first
                            found.push(-square, index);
                            if found.0.len() == k {
                                bound = -found.0[0].0;
                            }
                        }
                    }
                    match open.pop() {
                        Some(next) => cell = next,
                        None => break,
                    }
                }
                &Node::Split { axis, at, below, above } => {
                    if cell.square > bound {
                        break;
                    }
                    let gap = here[axis] - at;
                    let (inside, across) = if gap < 0.0 { (below, above) } else { (above, below) };
                    let mut far = Cell { node: across, ..cell };
                    far.square += gap * gap - far.sides[axis];
                    far.sides[axis] = gap * gap;
                    cell.node = inside;
                    if cell.square > far.square {
                        std::mem::swap(&mut cell, &mut far);
                    }
                    if far.square <= bound {
                        open.push(far.square, far);
                    }
                }
            }
        }
        found.0.into_iter().map(|(_, index)| index)
    }

    /// The points whose squared distance is at most `most`, by index.
    pub fn within(&self, here: [f64; 2], most: f64) -> Vec<u32> {
        let mut found = Vec::new();
        let mut open = vec![0];
        while let Some(node) = open.pop() {
            match &self.nodes[node] {
                Node::Leaf(range) => {
                    let near = |&index: &u32| square(self.points[index as usize], here) <= most;
                    found.extend(self.order[range.clone()].iter().copied().filter(near));
                }
                &Node::Split { axis, at, below, above } => {
                    // rounding is monotonic: what is left out would have been too far as rounded, too
                    let gap = here[axis] - at;
                    if gap < 0.0 || gap * gap <= most {
                        open.push(below);
                    }
                    if gap >= 0.0 || gap * gap <= most {
                        open.push(above);
                    }
                }
            }
        }
        found.sort_unstable();
        found
    }
}

/// Builds the node of a part of the points, `start` of which lie before it, and those under it; returns its place.
fn grow(points: &[[f64; 2]], order: &mut [u32], start: usize, nodes: &mut Vec<Node>) -> usize {
    let node = nodes.len();
    nodes.push(Node::Leaf(start..start + order.len()));
    if order.len() <= LEAF_SIZE {
        return node;
    }
    let (least, greatest) = bounds(points, order);
    let spread = [greatest[0] - least[0], greatest[1] - least[1]];
    let axis = usize::from(spread[1] > spread[0]);
    if least[axis] == greatest[axis] {
        return node;
    }
    let along = |index: u32| points[index as usize][axis];
    let middle = order.len() / 2;
    nth_element(order, middle, |a, b| along(a) < along(b));
    let mut at = along(order[middle]);
    let mut cut = partition(&mut order[..middle], |index| along(index) < at);
    if cut == 0 {
        // the middle one is the least: its equals go below
        at = least[axis].next_up();
        cut = partition(order, |index| along(index) < at);
    }
    let (lower, upper) = order.split_at_mut(cut);
    let below = grow(points, lower, start, nodes);
    let above = grow(points, upper, start + cut, nodes);
    nodes[node] = Node::Split { axis, at, below, above };
    node
}

fn bounds(points: &[[f64; 2]], order: &[u32]) -> ([f64; 2], [f64; 2]) {
    let mut bounds = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
    for &index in order {
        for (axis, &value) in points[index as usize].iter().enumerate() {
            bounds.0[axis] = bounds.0[axis].min(value);
            bounds.1[axis] = bounds.1[axis].max(value);
        }
    }
    bounds
}

fn square(a: [f64; 2], b: [f64; 2]) -> f64 {
    let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
    dx * dx + dy * dy
}

/// A binary heap of items by priority, the least first. Which of equals goes first follows from the moves below, not
/// those of the standard library, and decides ties.
struct Heap<T>(Vec<(f64, T)>);

impl<T: Copy> Heap<T> {
    fn push(&mut self, priority: f64, item: T) {
        self.0.push((priority, item));
        let mut at = self.0.len() - 1;
        while at > 0 && self.0[at].0 < self.0[(at - 1) / 2].0 {
            self.0.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    fn pop(&mut self) -> Option<T> {
        if self.0.is_empty() {
            return None;
        }
        let (_, item) = self.0.swap_remove(0);
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let over = |child: usize, other: usize| child < self.0.len() && self.0[other].0 > self.0[child].0;
            if !over(left, at) && !over(right, at) {
                return Some(item);
            }
            let child = if over(right, left) { right } else { left };
            self.0.swap(at, child);
            at = child;
        }
    }
}
