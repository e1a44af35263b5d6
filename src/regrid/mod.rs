//! Fields from one grid to another, only where somebody asked for it.
//!
//! Weights are computed once for a pair of grids, and kept by the process ([`Regridder::shared`]). Nothing is extrapolated: a point of the target that the source does not
//! enclose is an error, and poleward of a global grid's outermost parallel lies the mean of that parallel, at the pole.

mod bilinear;
mod cells;
mod conservative;

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::atmos::{Grid, GridKind};

/// How values are carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The value of the point at the least great-circle distance.
    Nearest,
    /// Between the four points around, in latitude and longitude: of parallels and meridians directly, of other grids by
    /// the inverse of the bilinear map of their cell (Jones 1999,
    /// <https://doi.org/10.1175/1520-0493(1999)127%3C2204:FASOCR%3E2.0.CO;2>).
    Bilinear,
    /// The mean over the target's cell, by the areas that it shares with the source's cells (Jones 1999): what the field
    /// adds up to over an area stays the same.
    Conservative,
}

impl FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "nearest" => Ok(Self::Nearest),
            "bilinear" => Ok(Self::Bilinear),
            "conservative" => Ok(Self::Conservative),
            other => Err(format!("{other:?}; expected nearest, bilinear or conservative")),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nearest => "nearest",
            Self::Bilinear => "bilinear",
            Self::Conservative => "conservative",
        })
    }
}

/// Why fields cannot be carried over.
#[derive(Debug, thiserror::Error)]
pub enum RegridError {
    #[error(
        "{outside} of {points} points of the target ({to}) lie outside the source ({from}), the first at {latitude:.4} °N \
         {longitude:.4} °E; give a larger source"
    )]
    Outside { outside: usize, points: usize, latitude: f64, longitude: f64, from: Box<Grid>, to: Box<Grid> },
    #[error("{method} from a grid of kind {kind}; expected {expected}")]
    Kind { method: Method, kind: GridKind, expected: &'static str },
    #[error("{found} values of a field on {from}")]
    Values { found: usize, from: Box<Grid> },
}

/// Regridders kept by [`Regridder::shared`]: one takes some tens of megabytes.
const MOST_KEPT: usize = 4;

/// Points of the source, each with its weight.
type Blend = Vec<(u32, f64)>;

/// From one grid to another.
#[derive(Debug, Clone)]
pub struct Regridder {
    from: Arc<Grid>,
    to: Arc<Grid>,
    /// Where the points of each target begin in the lists, and where the last one's end.
    starts: Vec<usize>,
    points: Vec<u32>,
    weights: Vec<f64>,
}

impl Regridder {
    pub fn new(from: &Arc<Grid>, to: &Arc<Grid>, method: Method) -> Result<Self, RegridError> {
        let blends: Vec<Option<Blend>> = match method {
            Method::Nearest => nearest(from, to),
            Method::Bilinear => bilinear::blends(from, to)?,
            Method::Conservative => conservative::blends(from, to)?,
        };
        let outside = blends.iter().filter(|blend| blend.is_none()).count();
        if let Some(first) = blends.iter().position(Option::is_none) {
            let width = to.shape().1;
            let (latitude, longitude) = to.place(first / width, first % width);
            let (from, to) = (Box::new((**from).clone()), Box::new((**to).clone()));
            return Err(RegridError::Outside { outside, points: blends.len(), latitude, longitude, from, to });
        }
        let (mut starts, mut points, mut weights) = (vec![0], Vec::new(), Vec::new());
        for blend in blends.into_iter().map(Option::unwrap_or_default) {
            points.extend(blend.iter().map(|(point, _)| *point));
            weights.extend(blend.iter().map(|(_, weight)| *weight));
            starts.push(points.len());
        }
        Ok(Self { from: from.clone(), to: to.clone(), starts, points, weights })
    }

    /// The same, from those that this process has made lately: what comes every hour comes on the same grids.
    pub fn shared(from: &Arc<Grid>, to: &Arc<Grid>, method: Method) -> Result<Arc<Self>, RegridError> {
        static LATEST: Mutex<VecDeque<(Method, Arc<Regridder>)>> = Mutex::new(VecDeque::new());
        // whoever wants the same waits for it, and does not make it again
        let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
        let known = latest.iter().position(|(other, known)| *other == method && known.leads(from, to));
        let found = match known.and_then(|place| latest.remove(place)) {
            Some((_, known)) => known,
            None => Arc::new(Self::new(from, to, method)?),
        };
        latest.push_front((method, found.clone()));
        latest.truncate(MOST_KEPT);
        Ok(found)
    }

    pub fn from(&self) -> &Arc<Grid> {
        &self.from
    }

    pub fn to(&self) -> &Arc<Grid> {
        &self.to
    }

    /// Whether it leads between these grids.
    pub fn leads(&self, from: &Grid, to: &Grid) -> bool {
        self.from.same_points(from) && self.to.same_points(to)
    }

    /// `[H, W]` of the source → of the target. What is missing makes missing what depends on it.
    pub fn apply(&self, values: &[f32]) -> Result<Vec<f32>, RegridError> {
        if values.len() != self.from.len() {
            return Err(RegridError::Values { found: values.len(), from: Box::new((*self.from).clone()) });
        }
        let one = |target: usize| {
            let range = self.starts[target]..self.starts[target + 1];
            let blend = self.points[range.clone()].iter().zip(&self.weights[range]);
            blend.map(|(&point, weight)| f64::from(values[point as usize]) * weight).sum::<f64>() as f32
        };
        Ok((0..self.to.len()).into_par_iter().with_min_len(1024).map(one).collect())
    }
}

/// The nearest point of each target.
fn nearest(from: &Grid, to: &Grid) -> Vec<Option<Blend>> {
    let width = from.shape().1;
    each(to, |latitude, longitude| {
        let (row, column) = from.nearest(latitude, longitude)?;
        Some(vec![((row * width + column) as u32, 1.0)])
    })
}

/// A blend for each place of the target.
fn each(to: &Grid, blend: impl Fn(f64, f64) -> Option<Blend> + Sync) -> Vec<Option<Blend>> {
    let places = to.coordinates();
    let places: Vec<(f64, f64)> = places.latitude.iter().copied().zip(places.longitude.iter().copied()).collect();
    places.into_par_iter().map(|(latitude, longitude)| blend(latitude, longitude)).collect()
}

#[cfg(test)]
mod tests;
