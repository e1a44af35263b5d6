//! Grids on the plane of a projection, as CF 5.6 and appendix F, a WKT or a PROJ string describe it.

use super::super::axis::{Plane, PlaneUnits};
use super::super::dataset::{self, Array, Dataset};
use super::{Placement, rectilinear};
use crate::atmos::{Attribute, Attributes, Grid, Method, Projection};

/// The variable that describes the projection.
pub fn variable<'d>(dataset: &'d Dataset, variable: &Array) -> Option<&'d Array> {
    // the extended form names coordinates too: "crs: x y"
    let named = variable.text("grid_mapping");
    let named = named.split_whitespace().next().unwrap_or_default().trim_end_matches(':');
    let describes =
        |array: &&Array| array.attributes.contains("grid_mapping_name") && array.is_seen_from(variable.group());
    // some producers describe the one projection of a file, and name it nowhere
    let only = || {
        let mut all = dataset.arrays.iter().filter(describes);
        all.next().filter(|_| all.next().is_none())
    };
    dataset.array(named).or_else(only)
}

/// The projection of a variable; the error says why there is none.
pub fn of(dataset: &Dataset, array: &Array) -> Result<Projection, String> {
    let mapping = variable(dataset, array).ok_or("no grid_mapping")?;
    let mut attributes = Attributes::new();
    for (name, value) in mapping.attributes.iter() {
        let value = match value {
            dataset::Attribute::Text(text) => Attribute::Text(text.clone()),
            dataset::Attribute::Texts(texts) => Attribute::Text(texts.join(" ")),
            dataset::Attribute::Numbers { values, .. } => match values[..] {
                [one] => Attribute::Number(one),
                _ => Attribute::Numbers(values.clone()),
            },
        };
        attributes.insert(name.to_owned(), value);
    }
    Projection::from_cf(&attributes).map_err(|error| format!("grid_mapping {:?}: {error}", mapping.name))
}

/// Rows from the north of the projection, columns from its west.
pub fn place(y: &Plane, x: &Plane, projection: Projection) -> Result<Placement, String> {
    if matches!(projection.method(), Method::LatitudeLongitude) {
        return rectilinear::place(&y.values, &x.values);
    }
    for (axis, plane) in [("y", y), ("x", x)] {
        let angular = projection.is_angular();
        let (found, expected) = if angular { (PlaneUnits::Metres, "degrees") } else { (PlaneUnits::Degrees, "m") };
        if plane.units == found {
            return Err(format!("{axis} in {found:?}, where {projection} is in {expected}").to_lowercase());
        }
    }
    let order = |values: &[f64], descending: bool| {
        let mut places: Vec<usize> = (0..values.len()).collect();
        if (values.first() > values.last()) != descending {
            places.reverse();
        }
        let ordered: Vec<f64> = places.iter().map(|&place| values[place]).collect();
        (places, ordered)
    };
    let ((rows, y), (columns, x)) = (order(&y.values, true), order(&x.values, false));
    let grid = Grid::projected(projection, y, x).map_err(|error| error.to_string())?;
    Ok(Placement { grid, rows, columns, repeated: None, gathered: None })
}
