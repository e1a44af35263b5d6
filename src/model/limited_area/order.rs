//! The order of the graph's nodes and that of the grid's points.

use candle_core::{Device, Result, Tensor, bail};

use crate::atmos::Grid;

/// Which node each point of a grid is.
#[derive(Debug)]
pub struct NodeOrder {
    /// The point of each node.
    points: Vec<u32>,
    points_tensor: Tensor,
    /// The node of each point.
    nodes_tensor: Tensor,
}

impl NodeOrder {
    /// Points are row by row from the north; nodes column by column, each from the south.
    pub fn columns((h, w): (usize, usize), device: &Device) -> Result<Self> {
        let points = (0..h * w).map(|node| ((h - 1 - node % h) * w + node / h) as u32);
        Self::new(points.collect(), device)
    }

    /// Nodes as they lie at `places`, one at each point of `grid`.
    pub fn at(places: &Grid, grid: &Grid, device: &Device) -> Result<Self> {
        let points = match grid.points_at(places) {
            Ok(points) => points,
            Err((latitude, longitude)) => {
                bail!("the graph has a node at {latitude:.4} °N {longitude:.4} °E, where the grid has no point: {grid}")
            }
        };
        let mut taken = vec![false; grid.len()];
        points.iter().for_each(|&point| taken[point as usize] = true);
        if points.len() != grid.len() || taken.contains(&false) {
            bail!("the graph has {} nodes that are forecast; expected one at each point of {grid}", points.len());
        }
        Self::new(points, device)
    }

    fn new(points: Vec<u32>, device: &Device) -> Result<Self> {
        let mut nodes = vec![0u32; points.len()];
        points.iter().enumerate().for_each(|(node, &point)| nodes[point as usize] = node as u32);
        Ok(Self {
            points_tensor: Tensor::from_slice(&points, points.len(), device)?,
            nodes_tensor: Tensor::from_vec(nodes, points.len(), device)?,
            points,
        })
    }

    /// The point of each node.
    pub fn points(&self) -> &[u32] {
        &self.points
    }

    /// `[F, points]` → `[F, nodes]`.
    pub fn to_nodes(&self, x: &Tensor) -> Result<Tensor> {
        x.index_select(&self.points_tensor, 1)
    }

    /// `[F, nodes]` → `[F, points]`.
    pub fn to_points(&self, x: &Tensor) -> Result<Tensor> {
        x.index_select(&self.nodes_tensor, 1)
    }

    /// Fields in the order of the points → features side by side for each node, `[N, fields]`.
    pub fn interleave(&self, fields: &[Vec<f32>], device: &Device) -> Result<Tensor> {
        let values: Vec<f32> =
            self.points.iter().flat_map(|&point| fields.iter().map(move |field| field[point as usize])).collect();
        Tensor::from_vec(values, (self.points.len(), fields.len()), device)
    }
}
