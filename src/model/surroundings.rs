//! What a run gives to a model beside its states.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ndarray::Array2;

use super::{BoundaryNodes, StateError};
use crate::atmos::{Axes, Grid, GridError, Projection, ValidTime};

/// Positions that two spellings of one projection may differ by, in m (in degrees where a pole is rotated): less than any
/// other sphere or parallel does over a country.
const NEAR: f64 = 1.0;

/// The grid of a model.
#[derive(Debug, Clone)]
pub enum ModelGrid {
    /// The one that it was trained on.
    Fixed(Arc<Grid>),
    /// That of the input: a graph network works on any grid, and its package may not tell which one it was made for.
    OfInput {
        /// What the input's projection must be, where the package tells it.
        projection: Option<Projection>,
    },
}

impl NodeData {
    /// What belongs to some of the nodes; `interior` are those of the grid that go with them.
    pub fn part(&self, boundary: &[u32], interior: &[u32]) -> Result<Self, GridError> {
        let some = |nodes: &Grid, places: &[u32]| {
            let all = nodes.coordinates();
            let of = |values: &Array2<f64>| places.iter().map(|&place| values[[0, place as usize]]).collect();
            Grid::points(of(&all.latitude), of(&all.longitude)).map(Arc::new)
        };
        let cut = |values: &Vec<f32>| -> Vec<f32> {
            let fields = values.chunks_exact(self.nodes.boundary.len());
            fields.flat_map(|field| boundary.iter().map(|&node| field[node as usize])).collect()
        };
        Ok(Self {
            nodes: Arc::new(BoundaryNodes {
                boundary: some(&self.nodes.boundary, boundary)?,
                interior: self.nodes.interior.as_ref().map(|nodes| some(nodes, interior)).transpose()?,
            }),
            statics: cut(&self.statics),
            forcings: self.forcings.iter().map(|(time, values)| (*time, cut(values))).collect(),
        })
    }
}

impl ModelGrid {
    pub fn fixed(&self) -> Option<&Arc<Grid>> {
        match self {
            Self::Fixed(grid) => Some(grid),
            Self::OfInput { .. } => None,
        }
    }

    /// What is wrong with an input on `grid`.
    pub fn check(&self, grid: &Grid) -> Result<(), StateError> {
        let wrong = |expected: String| Err(StateError::Grid { found: grid.to_string(), expected });
        match self {
            Self::Fixed(own) if !own.same_points(grid) => wrong(own.to_string()),
            Self::OfInput { projection: Some(own) } if !lies_on(grid, own) => {
                wrong(format!("a grid on the projection {own}"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether the positions of a grid are those of `projection`: its corners and its middle are where it says.
fn lies_on(grid: &Grid, projection: &Projection) -> bool {
    let Axes::Projected { y, x, .. } = grid.axes() else { return false };
    let (h, w) = grid.shape();
    [(0, 0), (0, w - 1), (h - 1, 0), (h - 1, w - 1), (h / 2, w / 2)].into_iter().all(|(row, column)| {
        let (latitude, longitude) = grid.place(row, column);
        projection.forward(latitude, longitude).is_some_and(|(px, py)| (px - x[column]).hypot(py - y[row]) < NEAR)
    })
}

impl std::fmt::Display for ModelGrid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(grid) => grid.fmt(f),
            Self::OfInput { projection: Some(projection) } => write!(f, "that of the input, on {projection}"),
            Self::OfInput { projection: None } => write!(f, "that of the input"),
        }
    }
}

/// The places, and what a model is told of them.
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub grid: Arc<Grid>,
    /// Static channels in the package's order, each `[H, W]`, one after the other, in their variables' units.
    pub statics: Vec<f32>,
    /// Forcings that are read, at each time at which a step may ask for them: channels as above.
    pub forcings: BTreeMap<ValidTime, Vec<f32>>,
    /// The state on the frame ([`super::Frame`]) at each time that a step leads to: channels of the state, each with the
    /// frame's points, in their variables' units.
    pub frame: BTreeMap<ValidTime, Vec<f32>>,
    /// Where the boundary's points are nodes of their own.
    pub nodes: Option<NodeData>,
}

/// What a model is told at its boundary's nodes: channels as above, each with the nodes in their order.
#[derive(Debug, Clone)]
pub struct NodeData {
    pub nodes: Arc<BoundaryNodes>,
    pub statics: Vec<f32>,
    /// At each time of which a step is told.
    pub forcings: BTreeMap<ValidTime, Vec<f32>>,
}

/// Of fields one after the other, each at `points` points, some of each.
pub fn part_of_fields(values: &[f32], points: usize, part: &Range<usize>) -> Vec<f32> {
    values.chunks_exact(points.max(1)).flat_map(|field| &field[part.clone()]).copied().collect()
}

impl Surroundings {
    /// What belongs to some rows of the grid, all but what enters at the boundary.
    pub fn part(&self, rows: &Range<usize>) -> Self {
        let width = self.grid.len() / self.grid.cuts();
        let points = rows.start * width..rows.end * width;
        let cut = |values: &Vec<f32>| part_of_fields(values, self.grid.len(), &points);
        Self {
            grid: Arc::new(self.grid.part(rows.clone())),
            statics: cut(&self.statics),
            forcings: self.forcings.iter().map(|(time, values)| (*time, cut(values))).collect(),
            frame: BTreeMap::new(),
            nodes: None,
        }
    }

    /// For a model that needs nothing but states.
    pub fn none(grid: Arc<Grid>) -> Self {
        Self { grid, statics: Vec::new(), forcings: BTreeMap::new(), frame: BTreeMap::new(), nodes: None }
    }
}
