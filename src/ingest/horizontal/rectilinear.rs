//! Grids of parallels and meridians.

use super::Placement;
use crate::atmos::Grid;

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
    Ok(Placement { grid, rows, columns, repeated, gathered: None })
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
