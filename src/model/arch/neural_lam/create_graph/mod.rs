//! The graphs of Neural-LAM, built from the coordinates of a grid as `neural_lam.create_graph` of release 0.7.0 builds
//! them: the same positions, the same edges in the same order, to the last bit
//! (<https://github.com/mllam/neural-lam/blob/v0.7.0/neural_lam/create_graph.py>; Oskarsson et al. 2023,
//! <https://arxiv.org/abs/2309.17370>).
//!
//! A model knows its graph by the order of nodes and by the features of edges only, and what is trained on one graph
//! works on no other. An artifact holds no graph: it is made again from the grid.
//!
//! The reference takes the mesh nodes next to a grid point from `scipy.spatial.KDTree`. Where two are equally near
//! (grids with an odd side, square grids), the shape of its tree and the order of its search decide: `kd_tree` follows
//! both, as SciPy is built with GNU's C++ library on x86-64.

mod build;
mod kd_tree;
mod mesh;
#[cfg(test)]
mod tests;

pub use build::create_graph;

use crate::model::layers::graph::{Edges, Features};

/// Edges from one set of nodes to another, in the reference's order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EdgeSet {
    /// Node that each edge leaves, in its own set. `[E]`
    pub senders: Vec<u32>,
    /// Node that each edge enters, in its own set. `[E]`
    pub receivers: Vec<u32>,
    /// Length, then x and y of sender minus receiver, in the unit of the coordinates (metres). `[E, 3]`
    pub features: Vec<[f32; 3]>,
}

impl EdgeSet {
    /// How many edges there are.
    pub fn len(&self) -> usize {
        self.senders.len()
    }

    /// Whether there is no edge.
    pub fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }
}

impl Extend<(u32, u32, [f32; 3])> for EdgeSet {
    fn extend<I: IntoIterator<Item = (u32, u32, [f32; 3])>>(&mut self, edges: I) {
        for (sender, receiver, features) in edges {
            self.senders.push(sender);
            self.receivers.push(receiver);
            self.features.push(features);
        }
    }
}

impl FromIterator<(u32, u32, [f32; 3])> for EdgeSet {
    fn from_iter<I: IntoIterator<Item = (u32, u32, [f32; 3])>>(edges: I) -> Self {
        let mut set = Self::default();
        set.extend(edges);
        set
    }
}

impl From<EdgeSet> for Edges {
    fn from(EdgeSet { senders, receivers, features }: EdgeSet) -> Self {
        Self::new(senders, receivers, Features::new(features))
    }
}

/// A grid that gives no graph.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum GraphError {
    #[error("{points} points do not make a grid of {nx} x {ny}; expected nx * ny of them, y fastest")]
    Size { points: usize, nx: usize, ny: usize },
    #[error(
        "a grid of {nx} x {ny} points is too small for a mesh: its longer side needs at least {least} points; \
         take a larger domain"
    )]
    TooSmall { nx: usize, ny: usize, least: usize },
    #[error("a grid of {nx} x {ny} points is too large: a side may have at most {most} points")]
    TooLarge { nx: usize, ny: usize, most: usize },
    #[error("0 mesh levels; expected at least 1, or none given for as many as the grid allows")]
    NoLevels,
    #[error("grid point {node} lies at ({x}, {y}); expected finite coordinates within {limit:e} of 0")]
    Coordinate { node: usize, x: f64, y: f64, limit: f64 },
    #[error(
        "the grid has no extent along {axis}, which is {value} from end to end or nearly so; \
         expected x to vary with the first dimension and y with the second"
    )]
    NoExtent { axis: char, value: f64 },
    #[error(
        "a grid of {nx} x {ny} points reaches more than {most} mesh nodes a point; \
         expected both coordinates in the same unit, and sides of like length"
    )]
    Stretched { nx: usize, ny: usize, most: usize },
}
