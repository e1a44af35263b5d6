//! The horizontal grid of a variable: which it is, and where its points lie in the file.
//!
//! In this order: parallels and meridians; the axes of a projection that is described (CF 5.6, a WKT or PROJ string);
//! parallels with a number of points on each; tables of latitudes and longitudes; a list of places. Where a file has both a projection and tables, they must agree.

mod mapping;
mod rectilinear;
mod reduced;
mod tables;

use super::coordinates::Found;
use super::dataset::{Array, Dataset};
use super::file::Role;
use crate::atmos::Grid;

/// Larger fields are nobody's yet (1 km global has 0.8e9 points, 0.1° 6.5e6); they would take a gigabyte each.
const MOST_POINTS: usize = 1 << 28;

/// A grid, and where each of its rows and columns lies in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    pub grid: Grid,
    pub rows: Vec<usize>,
    pub columns: Vec<usize>,
    /// A column of the file that repeats column `.1` of the file after a full turn.
    pub repeated: Option<(usize, usize)>,
    /// Row and column of each place, where places one by one lie in rows that are filled up to the longest.
    pub gathered: Option<Vec<(usize, usize)>>,
}

impl Placement {
    fn in_order(grid: Grid) -> Self {
        let (h, w) = grid.shape();
        Self { grid, rows: (0..h).collect(), columns: (0..w).collect(), repeated: None, gathered: None }
    }

    /// Places one by one, each at its row and column of the file.
    fn gathered(grid: Grid, places: Vec<(usize, usize)>) -> Self {
        Self { gathered: Some(places), ..Self::in_order(grid) }
    }
}

/// Finds the grid of a variable, and says which of its dimensions are the grid's: `found.roles`. `None`: there are no
/// horizontal coordinates.
pub(super) fn place(dataset: &Dataset, variable: &Array, found: &mut Found) -> Result<Option<Placement>, String> {
    if let Some(mesh) = unstructured(dataset, variable) {
        return Err(mesh);
    }
    if let (Some(latitude), Some(longitude)) = (&found.latitude, &found.longitude) {
        limit(latitude.len(), longitude.len())?;
        return rectilinear::place(latitude, longitude).map(Some);
    }
    if let Some(reduced) = reduced::of(dataset, variable, found)? {
        return reduced.place(variable, found).map(Some);
    }
    let tables = tables::of(dataset, variable)?;
    if let (Some(y), Some(x)) = (&found.y, &found.x) {
        limit(y.values.len(), x.values.len())?;
        return match (mapping::of(dataset, variable), tables) {
            (Ok(projection), tables) => {
                let assumed = projection.earth_is_assumed();
                let placement = mapping::place(y, x, projection)?;
                match tables.map(|tables| (tables.agree_with(&placement, variable, found), tables)) {
                    None | Some((Ok(()), _)) => Ok(Some(placement)),
                    // the file does not say on which Earth its projection is: its tables do
                    Some((Err(_), tables)) if assumed => tables.place(variable, found).map(Some),
                    Some((Err(reason), _)) => Err(reason),
                }
            }
            // the tables say all that is needed of a projection that is not known here
            (Err(_), Some(tables)) => tables.place(variable, found).map(Some),
            (Err(reason), None) => Err(format!("y and x axes of a projection that cannot be used: {reason}")),
        };
    }
    let places = tables.map_or_else(|| tables::points(dataset, variable), |tables| Ok(Some(tables)))?;
    match places {
        Some(places) => places.place(variable, found).map(Some),
        None if found.y.is_some() || found.x.is_some() => Err("one axis of a projection without the other".to_owned()),
        None => Ok(None),
    }
}

fn limit(h: usize, w: usize) -> Result<(), String> {
    match h.saturating_mul(w) {
        0..=MOST_POINTS => Ok(()),
        _ => Err(format!("{h} × {w} points: more than {MOST_POINTS}")),
    }
}

/// Meshes, by what CF, UGRID and the producers' own attributes say.
fn unstructured(dataset: &Dataset, variable: &Array) -> Option<String> {
    let topology = dataset.arrays.iter().any(|array| array.text("cf_role") == "mesh_topology");
    if topology || variable.attributes.contains("mesh") || dataset.attributes.contains("mesh") {
        return Some("an unstructured mesh (UGRID), which is not read; interpolate it to a grid first".to_owned());
    }
    let kinds =
        ["grid_type", "gridtype", "GRIB_gridType"].map(|name| variable.text(name) + &dataset.attributes.text(name));
    let dimensions = || variable.dimensions.iter().map(|dimension| dimension.name.to_lowercase());
    let healpix = kinds.iter().any(|kind| kind.to_lowercase().contains("healpix"))
        || mapping::variable(dataset, variable).is_some_and(|mapping| mapping.text("grid_mapping_name") == "healpix")
        || dimensions().any(|name| name == "cell" && dataset.attributes.contains("healpix_nside"));
    if healpix {
        return Some("a HEALPix mesh, which is not read; interpolate it to a grid first".to_owned());
    }
    kinds
        .iter()
        .any(|kind| kind == "unstructured")
        .then(|| "an unstructured mesh, which is not read; interpolate it to a grid first".to_owned())
}

/// The dimension of a variable with a name.
fn dimension(variable: &Array, name: &str) -> Result<usize, String> {
    let place = variable.dimensions.iter().position(|dimension| dimension.name == name);
    place.ok_or_else(|| format!("no dimension {name:?}"))
}

/// Gives a dimension of the variable to the grid, unless it is taken already.
fn give(variable: &Array, found: &mut Found, name: &str, role: Role) -> Result<(), String> {
    let place = dimension(variable, name)?;
    match found.roles[place] {
        Role::Other => {
            found.roles[place] = role;
            Ok(())
        }
        same if same == role => Ok(()),
        other => Err(format!("dimension {name:?}, which is {other:?} already, under latitudes and longitudes")),
    }
}
