//! The square meshes over a grid, and the edges inside them.

use super::{EdgeSet, GraphError};

/// A node of the next coarser mesh stands for so many nodes a side.
const REFINEMENT: usize = 3;
/// The finest mesh has a third of the points of the longer side, and none has less than three a side.
const LEAST_SIDE: usize = REFINEMENT * REFINEMENT;
/// Longer sides would give meshes of more than 729 x 729 nodes.
const MOST_SIDE: usize = REFINEMENT.pow(8) - 1;

/// The neighbours of a node, in the order of its edges.
const NEIGHBOURS: [(isize, isize); 8] = [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, 1), (1, -1), (-1, 1)];

/// Least and greatest coordinate along x and along y.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    pub x: (f64, f64),
    pub y: (f64, f64),
}

/// A mesh of `side` x `side` nodes.
#[derive(Debug, Clone)]
pub(super) struct Mesh {
    pub side: usize,
    /// y fastest. `[side * side, 2]`
    pub positions: Vec<[f64; 2]>,
}

/// Nodes a side of each level, the finest first.
///
/// # Errors
/// Where the grid is too small for one level, or larger than can be meant.
pub(super) fn sides((nx, ny): (usize, usize), levels: Option<usize>) -> Result<Vec<usize>, GraphError> {
    let longer = nx.max(ny);
    if longer < LEAST_SIDE {
        return Err(GraphError::TooSmall { nx, ny, least: LEAST_SIDE });
    }
    if longer > MOST_SIDE {
        return Err(GraphError::TooLarge { nx, ny, most: MOST_SIDE });
    }
    let available = depth(longer) - 1;
    let levels = match levels {
        None => available,
        Some(0) => return Err(GraphError::NoLevels),
        Some(levels) => levels.min(available),
    };
    Ok((0..levels).map(|level| REFINEMENT.pow((available - level) as u32)).collect())
}

/// How often a side can be divided, as the reference takes it from a quotient of logarithms: of 243 points that is
/// 4.999.., hence 4, whereas other powers of 3 come out whole.
fn depth(side: usize) -> usize {
    if side == 243 { 4 } else { side.ilog(REFINEMENT) as usize }
}

impl Mesh {
    /// Nodes at the centres of equal cells that fill the extent.
    pub fn new(extent: Extent, side: usize) -> Self {
        let (x, y) = (centres(extent.x, side), centres(extent.y, side));
        let positions = x.iter().flat_map(|&x| y.iter().map(move |&y| [x, y])).collect();
        Self { side, positions }
    }

    /// Edges inside the mesh, by sender.
    pub fn edges(&self) -> EdgeSet {
        let from = |sender| self.edges_from(sender).map(move |(receiver, f)| (sender as u32, receiver as u32, f));
        (0..self.positions.len()).flat_map(from).collect()
    }

    /// Receivers and features of the edges from a node to its neighbours.
    fn edges_from(&self, sender: usize) -> impl Iterator<Item = (usize, [f32; 3])> {
        let (i, j) = (sender / self.side, sender % self.side);
        NEIGHBOURS.iter().filter_map(move |&(di, dj)| {
            let (i, j) = (i.checked_add_signed(di)?, j.checked_add_signed(dj)?);
            let receiver = i * self.side + j;
            let inside = i < self.side && j < self.side;
            inside.then(|| (receiver, features(self.positions[sender], self.positions[receiver])))
        })
    }
}

/// All levels as one mesh: the nodes of the finest, and edges on every scale. A coarser node is the middle one of the
/// nodes that it stands for, and gives it its position, which may differ in the last bits. Edges are as long as between
/// nodes of their own level.
pub(super) fn flatten(levels: &[Mesh]) -> (Mesh, EdgeSet) {
    let mut mesh = levels[0].clone();
    let mut edges = EdgeSet::default();
    for sender in 0..mesh.positions.len() {
        let (mut i, mut j) = (sender / mesh.side, sender % mesh.side);
        for (scale, level) in (0..).zip(levels) {
            if scale > 0 {
                if i % REFINEMENT != REFINEMENT / 2 || j % REFINEMENT != REFINEMENT / 2 {
                    break;
                }
                (i, j) = (i / REFINEMENT, j / REFINEMENT);
                mesh.positions[sender] = level.positions[i * level.side + j];
            }
            let width = REFINEMENT.pow(scale);
            let middle = |index: usize| index * width + width / 2;
            let finest = |node: usize| middle(node / level.side) * mesh.side + middle(node % level.side);
            let edges_from = level.edges_from(i * level.side + j);
            edges.extend(edges_from.map(|(receiver, f)| (sender as u32, finest(receiver) as u32, f)));
        }
    }
    (mesh, edges)
}

/// Length and difference of two places, sender minus receiver.
pub(super) fn difference(sender: [f64; 2], receiver: [f64; 2]) -> [f64; 3] {
    let dx = sender[0] - receiver[0];
    let dy = sender[1] - receiver[1];
    [(dx * dx + dy * dy).sqrt(), dx, dy]
}

/// The same as an edge holds it.
pub(super) fn features(sender: [f64; 2], receiver: [f64; 2]) -> [f32; 3] {
    difference(sender, receiver).map(|value| value as f32)
}

/// Centres of `n` equal parts of a range, rounded as by `numpy.linspace`: its last one is set, not summed.
fn centres((least, greatest): (f64, f64), n: usize) -> Vec<f64> {
    let part = (greatest - least) / n as f64;
    let (first, last) = (least + part / 2.0, greatest - part / 2.0);
    let step = (last - first) / (n - 1) as f64;
    let centre = |index: usize| if index == n - 1 { last } else { index as f64 * step + first };
    (0..n).map(centre).collect()
}
