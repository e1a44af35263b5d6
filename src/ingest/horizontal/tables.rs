//! Grids whose points have latitudes and longitudes of their own: tables of two dimensions, or lists.

use std::cmp::Reverse;

use ndarray::Array2;

use super::super::axis;
use super::super::coordinates::Found;
use super::super::dataset::{Array, Dataset, Dimension};
use super::super::file::Role;
use super::super::values::read_decoded_at;
use super::{Placement, give, limit};
use crate::atmos::Grid;

/// Projections and tables may differ by so much of the distance of two neighbours: tables are often of single precision,
/// or computed on a slightly different Earth.
const DISAGREEMENT: f64 = 0.1;

/// Latitudes and longitudes of each point.
pub struct Tables {
    /// Of the rows and the columns; the same name twice for a list.
    dimensions: [String; 2],
    latitude: Array2<f64>,
    longitude: Array2<f64>,
}

/// The tables of a variable: named by it, or lying on two of its dimensions.
pub fn of(dataset: &Dataset, variable: &Array) -> Result<Option<Tables>, String> {
    let found = find(dataset, variable, |array| array.dimensions.len() >= 2);
    let Some((latitude, longitude)) = found else { return Ok(None) };
    let [rows, columns] = &latitude.dimensions[latitude.dimensions.len() - 2..] else { return Ok(None) };
    limit(rows.length, columns.length)?;
    let read = |array: &Array| -> Result<Array2<f64>, String> {
        // tables that come once for each time are the same each time
        let leading = array.dimensions.len() - 2;
        let start = vec![0; leading + 2];
        let mut count = vec![1; leading];
        count.extend([rows.length, columns.length]);
        let values = read_decoded_at(dataset, array, &start, &count)?;
        Array2::from_shape_vec((rows.length, columns.length), values).map_err(|error| error.to_string())
    };
    let tables = Tables {
        dimensions: [rows.name.clone(), columns.name.clone()],
        latitude: read(latitude)?,
        longitude: read(longitude)?,
    };
    tables.complete().map(Some)
}

/// Places one after the other, along one dimension of the variable.
pub fn points(dataset: &Dataset, variable: &Array) -> Result<Option<Tables>, String> {
    let found = find(dataset, variable, |array| array.dimensions.len() == 1);
    let Some((latitude, longitude)) = found else { return Ok(None) };
    let Dimension { name, length } = &latitude.dimensions[0];
    limit(1, *length)?;
    let read = |array: &Array| -> Result<Array2<f64>, String> {
        let values = read_decoded_at(dataset, array, &[0], &[*length])?;
        Array2::from_shape_vec((1, *length), values).map_err(|error| error.to_string())
    };
    let dimensions = [name.clone(), name.clone()];
    Tables { dimensions, latitude: read(latitude)?, longitude: read(longitude)? }.complete().map(Some)
}

/// Latitudes and longitudes on the same dimensions, which are the variable's. Those that it names come first.
fn find<'d>(dataset: &'d Dataset, variable: &Array, kind: impl Fn(&Array) -> bool) -> Option<(&'d Array, &'d Array)> {
    let named = variable.text("coordinates");
    let is_named =
        |other: &Array| other.lies_along(variable) && named.split_whitespace().any(|name| name == other.name);
    let mut candidates: Vec<&Array> = dataset
        .arrays
        .iter()
        .filter(|other| other.is_numeric() && kind(other) && (other.is_beside(variable) || is_named(other)))
        .collect();
    candidates.sort_by_key(|other| (!is_named(other), Reverse(other.group().len())));
    let latitude = candidates.iter().find(|array| axis::is_latitude(array))?;
    let longitude =
        candidates.iter().find(|array| axis::is_longitude(array) && array.dimensions == latitude.dimensions)?;
    Some((latitude, longitude))
}

impl Tables {
    /// Every point has a place, or the rows are those of a reduced grid, filled up to the longest.
    fn complete(self) -> Result<Self, String> {
        let missing =
            self.latitude.iter().zip(&self.longitude).filter(|(a, b)| !a.is_finite() || !b.is_finite()).count();
        let out_of_range = self.latitude.iter().zip(&self.longitude).find(|(a, b)| a.abs() > 90.001 || b.abs() > 720.0);
        match (missing, out_of_range) {
            (0, None) => Ok(self),
            (0, Some((latitude, longitude))) => Err(format!("a place at {latitude} °N {longitude} °E")),
            (_, None) if self.rows_are_filled_up() => Ok(self),
            (missing, _) => {
                let all = self.latitude.len();
                Err(format!("{missing} of {all} places missing, and not at the ends of the rows alone"))
            }
        }
    }

    fn is_place(&self, at: [usize; 2]) -> bool {
        self.latitude[at].is_finite() && self.longitude[at].is_finite()
    }

    /// Whether each row has places first, and then none.
    fn rows_are_filled_up(&self) -> bool {
        let (h, w) = self.latitude.dim();
        let two_ways = self.latitude.iter().zip(&self.longitude).all(|(a, b)| a.is_finite() == b.is_finite());
        two_ways
            && self.dimensions[0] != self.dimensions[1]
            && (0..h).all(|row| {
                let present = (0..w).take_while(|&column| self.is_place([row, column])).count();
                present > 0 && (present..w).all(|column| !self.is_place([row, column]))
            })
    }

    /// The grid of these points.
    pub fn place(self, variable: &Array, found: &mut Found) -> Result<Placement, String> {
        let [rows, columns] = &self.dimensions;
        let grid = if rows == columns {
            give(variable, found, columns, Role::Column)?;
            Grid::points(self.latitude.into_iter().collect(), self.longitude.into_iter().collect())
        } else {
            give(variable, found, rows, Role::Row)?;
            give(variable, found, columns, Role::Column)?;
            let (h, w) = self.latitude.dim();
            let all = (0..h).flat_map(|row| (0..w).map(move |column| (row, column)));
            let places: Vec<(usize, usize)> = all.filter(|&(row, column)| self.is_place([row, column])).collect();
            if places.len() < h * w {
                let at = |table: &Array2<f64>| places.iter().map(|&place| table[place]).collect();
                let grid = Grid::points(at(&self.latitude), at(&self.longitude)).map_err(|error| error.to_string())?;
                return Ok(Placement::gathered(grid, places));
            }
            Grid::curvilinear(self.latitude, self.longitude)
        };
        grid.map(Placement::in_order).map_err(|error| error.to_string())
    }

    /// Compares corners and centre with a grid that was made from a projection.
    pub fn agree_with(&self, placement: &Placement, variable: &Array, found: &Found) -> Result<(), String> {
        let role = |name: &str| super::dimension(variable, name).map(|place| found.roles[place]);
        let turned = match (role(&self.dimensions[0])?, role(&self.dimensions[1])?) {
            (Role::Row, Role::Column) => false,
            (Role::Column, Role::Row) => true,
            _ => return Ok(()), // of other dimensions
        };
        let (h, w) = placement.grid.shape();
        for row in [0, h / 2, h - 1] {
            for column in [0, w / 2, w - 1] {
                let mut at = [placement.rows[row], placement.columns[column]];
                if turned {
                    at.reverse();
                }
                let (told, computed) = ((self.latitude[at], self.longitude[at]), placement.grid.place(row, column));
                let neighbour = placement.grid.place(if row > 0 { row - 1 } else { (row + 1).min(h - 1) }, column);
                let (apart, spacing) = (distance(told, computed), distance(computed, neighbour));
                if apart > DISAGREEMENT * spacing {
                    return Err(format!(
                        "projection and tables that disagree: row {row}, column {column} is at {:.4} °N {:.4} °E by the \
                         projection, and at {:.4} °N {:.4} °E by latitude and longitude",
                        computed.0, computed.1, told.0, told.1
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Degrees of a great circle (haversine).
fn distance(a: (f64, f64), b: (f64, f64)) -> f64 {
    let half = |x: f64| (0.5 * x.to_radians()).sin().powi(2);
    let h = half(a.0 - b.0) + a.0.to_radians().cos() * b.0.to_radians().cos() * half(a.1 - b.1);
    2.0 * h.sqrt().min(1.0).asin().to_degrees()
}
