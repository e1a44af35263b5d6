//! The horizontal grid of a variable in our order, or the name of a grid that is not read.

use super::axis;
use super::values::text;
use crate::atmos::Grid;

/// A grid, and where each of its rows and columns lies in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    pub grid: Grid,
    pub rows: Vec<usize>,
    pub columns: Vec<usize>,
    /// A column of the file that repeats column `.1` of the file after a full turn.
    pub repeated: Option<(usize, usize)>,
}

/// Coordinates are often stored as float32.
const TOLERANCE: f64 = 1e-3;

/// Our order: latitudes from the north, longitudes eastward; for a global grid from the first meridian at or east of
/// Greenwich. A meridian that closes the circle a second time is left out.
pub fn place(latitude: &[f64], longitude: &[f64]) -> Result<Placement, String> {
    if latitude.is_empty() || longitude.is_empty() {
        return Err("an axis without values".to_owned());
    }
    let mut rows: Vec<usize> = (0..latitude.len()).collect();
    if latitude.first() < latitude.last() {
        rows.reverse();
    }
    let mut columns: Vec<usize> = (0..longitude.len()).collect();
    if longitude.len() > 1 && longitude.windows(2).all(|pair| pair[1] < pair[0]) {
        columns.reverse();
    }
    // ascending: one step back is the date line (or Greenwich)
    let mut turned: Vec<f64> = Vec::with_capacity(columns.len());
    let mut turns = 0.0;
    for &column in &columns {
        if turned.last().is_some_and(|previous| longitude[column] + turns < *previous - 180.0) {
            turns += 360.0;
        }
        turned.push(longitude[column] + turns);
    }
    let span = |turned: &[f64]| turned[turned.len() - 1] - turned[0];
    let mut repeated = None;
    if turned.len() > 2 && (span(&turned) - 360.0).abs() < TOLERANCE {
        turned.pop();
        repeated = columns.pop().map(|column| (column, columns[0]));
    }
    let step = span(&turned) / (turned.len().max(2) - 1) as f64;
    let global = turned.len() > 1 && (span(&turned) + step - 360.0).abs() < 0.5 * step;
    let mut points: Vec<(f64, usize)> = turned.into_iter().zip(columns).collect();
    let west = points[0].0;
    // a turn or two is a way of counting; more is no angle
    if !west.is_finite() || west.abs() > 720.0 {
        return Err(format!("longitude {west}"));
    }
    if global {
        for (value, _) in &mut points {
            *value = value.rem_euclid(360.0);
            // 359.9999999 is Greenwich, stored with float32's rounding
            if 360.0 - *value < TOLERANCE.min(0.1 * step) {
                *value -= 360.0;
            }
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    } else if !(-180.0..360.0).contains(&west) {
        let turn = (west / 360.0).floor() * 360.0;
        points.iter_mut().for_each(|(value, _)| *value -= turn);
    }
    let ordered = rows.iter().map(|&row| latitude[row]).collect();
    let (values, columns): (Vec<f64>, Vec<usize>) = points.into_iter().unzip();
    let grid = Grid::new(ordered, values).map_err(|error| error.to_string())?;
    Ok(Placement { grid, rows, columns, repeated })
}

/// The kind of grid that a variable is on where it is not one of parallels and meridians, from what CF and the
/// producers' own attributes say of it.
pub fn unsupported(file: &netcdf::File, variable: &netcdf::Variable<'_>) -> Option<String> {
    if text(variable, "mesh").is_some() || file.attribute("mesh").is_some() {
        return Some("an unstructured mesh (UGRID)".to_owned());
    }
    // the extended form names coordinates too: "crs: x y"
    let mapping = text(variable, "grid_mapping").unwrap_or_default();
    let mapping = mapping.split_whitespace().next().unwrap_or_default().trim_end_matches(':');
    let mapping = file.variable(mapping).and_then(|mapping| text(&mapping, "grid_mapping_name")).unwrap_or_default();
    match mapping.as_str() {
        "" | "latitude_longitude" => {}
        "rotated_latitude_longitude" => return Some("a rotated-pole grid".to_owned()),
        name if name.contains("reduced") => return Some("a reduced Gaussian grid".to_owned()),
        name => return Some(format!("a projected grid ({name})")),
    }
    if file.attribute("MAP_PROJ").is_some() && file.dimension("south_north").is_some() {
        return Some("a projected grid (WRF)".to_owned());
    }
    for dimension in variable.dimensions() {
        let coordinate = file.variable(&dimension.name());
        let standard_name = coordinate.and_then(|coordinate| text(&coordinate, "standard_name")).unwrap_or_default();
        if let Some(kind) = axis::projected(&standard_name) {
            return Some(kind.to_owned());
        }
    }
    let named = text(variable, "coordinates").unwrap_or_default();
    let own: Vec<String> = variable.dimensions().iter().map(netcdf::Dimension::name).collect();
    let horizontal = |other: &netcdf::Variable<'_>| {
        let standard_name = text(other, "standard_name").unwrap_or_default();
        let name = other.name().to_lowercase();
        ["latitude", "longitude"].contains(&standard_name.as_str())
            || name.starts_with("lat")
            || name.starts_with("lon")
    };
    let candidates: Vec<netcdf::Variable<'_>> = file
        .variables()
        .filter(|other| horizontal(other) && other.name() != variable.name())
        .filter(|other| named.split_whitespace().any(|name| name == other.name()) || named.is_empty())
        .filter(|other| other.dimensions().iter().all(|dimension| own.contains(&dimension.name())))
        .collect();
    if candidates.iter().any(|other| other.dimensions().len() >= 2) {
        return Some("a curvilinear grid (two-dimensional latitude and longitude)".to_owned());
    }
    let lines: Vec<String> = candidates
        .iter()
        .filter(|other| other.dimensions().len() == 1)
        .map(|other| other.dimensions()[0].name())
        .collect();
    let shared = lines.len() > 1 && lines.windows(2).all(|pair| pair[0] == pair[1]);
    shared.then(|| format!("an unstructured or reduced grid (latitude and longitude along {:?})", lines[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATITUDE: [f64; 3] = [-10.0, 0.0, 10.0];

    fn longitudes(values: &[f64]) -> (Vec<f64>, Vec<usize>) {
        let placed = place(&LATITUDE, values).unwrap();
        (placed.grid.rectilinear().unwrap().1.to_vec(), placed.columns)
    }

    #[test]
    fn global_longitudes_begin_at_greenwich() {
        let expected = vec![0.0, 90.0, 180.0, 270.0];
        assert_eq!(longitudes(&[0.0, 90.0, 180.0, 270.0]), (expected.clone(), vec![0, 1, 2, 3]));
        assert_eq!(longitudes(&[-180.0, -90.0, 0.0, 90.0]), (expected.clone(), vec![2, 3, 0, 1]));
        assert_eq!(longitudes(&[0.0, 90.0, -180.0, -90.0]), (expected.clone(), vec![0, 1, 2, 3]));
        assert_eq!(longitudes(&[270.0, 180.0, 90.0, 0.0]), (expected, vec![3, 2, 1, 0]));
        assert_eq!(longitudes(&[-135.0, -45.0, 45.0, 135.0]).0, [45.0, 135.0, 225.0, 315.0]);
        let rounded = longitudes(&[-0.00001, 90.0, 180.0, 270.0]);
        assert!(rounded.0[0].abs() < 1e-4 && rounded.1 == [0, 1, 2, 3], "{rounded:?}");
    }

    #[test]
    fn the_meridian_that_closes_the_circle_is_left_out() {
        let placed = place(&LATITUDE, &[0.0, 90.0, 180.0, 270.0, 360.0]).unwrap();
        assert_eq!((placed.grid.shape(), placed.repeated), ((3, 4), Some((4, 0))));
        let placed = place(&LATITUDE, &[-180.0, -90.0, 0.0, 90.0, 180.0]).unwrap();
        assert_eq!((placed.columns, placed.repeated), (vec![2, 3, 0, 1], Some((4, 0))));
    }

    #[test]
    fn regional_longitudes_stay_together() {
        assert_eq!(longitudes(&[350.0, 355.0, 0.0, 5.0]).0, [350.0, 355.0, 360.0, 365.0]);
        assert_eq!(longitudes(&[170.0, 175.0, 180.0, -175.0]).0, [170.0, 175.0, 180.0, 185.0]);
        assert_eq!(longitudes(&[-10.0, -5.0, 0.0]).0, [-10.0, -5.0, 0.0]);
        assert_eq!(longitudes(&[370.0, 375.0]).0, [10.0, 15.0]);
        assert_eq!(longitudes(&[10.0]).0, [10.0]);
    }

    #[test]
    fn latitudes_run_from_the_north() {
        let placed = place(&LATITUDE, &[0.0]).unwrap();
        assert_eq!((placed.grid.rectilinear().unwrap().0, placed.rows), (&[10.0, 0.0, -10.0][..], vec![2, 1, 0]));
        assert_eq!(place(&[10.0, 0.0], &[0.0]).unwrap().rows, [0, 1]);
    }

    #[test]
    fn axes_that_make_no_grid_are_errors() {
        for longitude in
            [&[0.0, 10.0, 5.0, 7.0][..], &[0.0, 0.0], &[0.0, 300.0, 600.0], &[f64::NAN, 1.0], &[9.9e36], &[]]
        {
            assert!(place(&LATITUDE, longitude).is_err(), "{longitude:?}");
        }
        assert!(place(&[0.0, 0.0], &[0.0]).is_err() && place(&[], &[0.0]).is_err());
        assert!(place(&[0.0, f64::NAN], &[0.0]).is_err());
    }
}
