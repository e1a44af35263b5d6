//! Reduced Gaussian grids that are told by the number of points on each parallel: equally spaced, the first at Greenwich.
//!
//! As CDO writes them (`CDI_grid_reduced_points`, all points one after the other), or as rows that are filled up to the
//! longest. Those with places of their own are [`super::tables`].

use super::super::axis;
use super::super::coordinates::Found;
use super::super::dataset::{Array, Dataset};
use super::super::file::Role;
use super::super::values::read_decoded;
use super::{Placement, give, limit};
use crate::atmos::Grid;

/// Latitudes, and how many points are on each.
pub struct Reduced {
    latitude: Vec<f64>,
    points: Vec<usize>,
}

/// `None` where nothing tells the numbers of points, or where a longitude axis makes them no matter.
pub fn of(dataset: &Dataset, variable: &Array, found: &Found) -> Result<Option<Reduced>, String> {
    let named = |attribute: &str| dataset.array(&variable.text(attribute));
    let seen =
        |array: &&Array| array.is_numeric() && array.dimensions.len() == 1 && array.is_seen_from(variable.group());
    let by_name = || dataset.arrays.iter().filter(seen).find(|array| array.own_name() == "reduced_points");
    let Some(points) = named("CDI_grid_reduced_points").or_else(by_name) else { return Ok(None) };
    let rows = points.dimensions.first().map_or(0, |dimension| dimension.length);
    let is_latitude = |array: &&Array| axis::is_latitude(array) && array.dimensions[0].length == rows;
    let latitude = named("CDI_grid_latitudes").or_else(|| dataset.arrays.iter().filter(seen).find(is_latitude));
    let Some(latitude) = latitude.filter(|_| found.longitude.is_none() && rows > 0) else { return Ok(None) };
    limit(1, rows)?;
    let counted = |count: f64| (count.fract() == 0.0 && (1.0..1e6).contains(&count)).then_some(count as usize);
    let points: Option<Vec<usize>> = read_decoded(dataset, points)?.into_iter().map(counted).collect();
    let reduced = Reduced {
        latitude: read_decoded(dataset, latitude)?,
        points: points.ok_or_else(|| format!("numbers of points on parallels ({}) that are none", latitude.name))?,
    };
    if reduced.latitude.len() != reduced.points.len() {
        return Err(format!("{} parallels, and numbers of points on {rows}", reduced.latitude.len()));
    }
    Ok(Some(reduced))
}

impl Reduced {
    pub fn place(self, variable: &Array, found: &mut Found) -> Result<Placement, String> {
        let (all, longest) = (self.points.iter().sum::<usize>(), self.points.iter().copied().max().unwrap_or(0));
        limit(1, all)?;
        let places = || {
            let rows = self.latitude.iter().zip(&self.points).enumerate();
            rows.flat_map(|(row, (latitude, &count))| {
                (0..count).map(move |column| ((row, column), *latitude, 360.0 * column as f64 / count as f64))
            })
        };
        let grid = Grid::points(
            places().map(|(_, latitude, _)| latitude).collect(),
            places().map(|(.., east)| east).collect(),
        )
        .map_err(|error| error.to_string())?;
        let row = found.roles.iter().position(|role| *role == Role::Row);
        let free = |length: usize| {
            let is_free =
                |place: &usize| found.roles[*place] == Role::Other && variable.dimensions[*place].length == length;
            (0..found.roles.len()).rev().find(is_free).map(|place| variable.dimensions[place].name.clone())
        };
        match (row, free(all), free(longest)) {
            (None, Some(dimension), _) => {
                give(variable, found, &dimension, Role::Column)?;
                Ok(Placement::in_order(grid))
            }
            (Some(row), _, Some(dimension)) if variable.dimensions[row].length == self.points.len() => {
                give(variable, found, &dimension, Role::Column)?;
                Ok(Placement::gathered(grid, places().map(|(place, ..)| place).collect()))
            }
            _ => Err(format!(
                "a reduced grid of {all} points, at most {longest} in each of {} rows, and no dimensions of these lengths",
                self.points.len()
            )),
        }
    }
}
