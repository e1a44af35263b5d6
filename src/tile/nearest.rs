//! The grid point at the least great-circle distance.

use crate::atmos::Grid;

/// Row and column of the grid point nearest to a place; `None` where the place is farther outside a regional grid than
/// half the distance between its outermost points.
pub fn nearest_point(grid: &Grid, latitude: f64, longitude: f64) -> Option<(usize, usize)> {
    if !(-90.0..=90.0).contains(&latitude) || !longitude.is_finite() {
        return None;
    }
    let rows = grid.latitude();
    let columns = grid.longitude();
    // On every parallel the nearest meridian is nearest, so that it can be found first.
    let turn = |a: f64, b: f64| {
        let difference = (a - b).rem_euclid(360.0);
        difference.min(360.0 - difference)
    };
    let (column, east) = least(columns.iter().map(|&column| turn(column, longitude)))?;
    let cosine = |row: f64| {
        let (row, here) = (row.to_radians(), latitude.to_radians());
        row.sin() * here.sin() + row.cos() * here.cos() * east.to_radians().cos()
    };
    let (row, _) = least(rows.iter().map(|&row| -cosine(row)))?;
    let half = |values: &[f64], index: usize| {
        let neighbour = if index == 0 { values.get(1) } else { values.get(index - 1) };
        neighbour.map_or(0.0, |neighbour| 0.5 * (neighbour - values[index]).abs()) + 1e-6
    };
    let beyond_columns = !grid.is_global_in_longitude() && east > half(columns, column);
    let outermost = row == 0 || row == rows.len() - 1;
    let to_pole = 90.0 - rows[row].abs() <= 2.0 * half(rows, row);
    let beyond_rows = outermost && !to_pole && (latitude - rows[row]).abs() > half(rows, row);
    (!beyond_columns && !beyond_rows).then_some((row, column))
}

/// Position and value of the least, the first of equals.
fn least(values: impl Iterator<Item = f64>) -> Option<(usize, f64)> {
    values.enumerate().min_by(|a, b| a.1.total_cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_nearest_on_the_sphere() {
        let grid = Grid::new(
            (0..19).map(|i| 90.0 - 10.0 * f64::from(i)).collect(),
            (0..36).map(|i| 10.0 * f64::from(i)).collect(),
        )
        .unwrap();
        for i in 0..2000 {
            let latitude = -90.0 + 180.0 * (f64::from(i) * 0.618_034).fract();
            let longitude = -360.0 + 720.0 * (f64::from(i) * 0.754_878).fract();
            let (row, column) = nearest_point(&grid, latitude, longitude).unwrap();
            let cosine = |row: usize, column: usize| {
                let (a, b) = (grid.latitude()[row].to_radians(), latitude.to_radians());
                a.sin() * b.sin() + a.cos() * b.cos() * (grid.longitude()[column] - longitude).to_radians().cos()
            };
            let best =
                (0..19).flat_map(|r| (0..36).map(move |c| (r, c))).map(|(r, c)| cosine(r, c)).fold(-2.0, f64::max);
            assert!(cosine(row, column) >= best - 1e-12, "{latitude} {longitude}");
        }
    }

    #[test]
    fn a_regional_grid_ends_half_a_cell_beyond_its_points() {
        let grid = Grid::new(vec![60.0, 55.0, 50.0], vec![355.0, 360.0, 365.0]).unwrap();
        assert_eq!(nearest_point(&grid, 62.4, -7.4), Some((0, 0)));
        assert_eq!(nearest_point(&grid, 55.1, 0.2), Some((1, 1)));
        for (latitude, longitude) in
            [(62.6, 0.0), (47.0, 0.0), (55.0, -7.6), (55.0, 180.0), (f64::NAN, 0.0), (91.0, 0.0)]
        {
            assert_eq!(nearest_point(&grid, latitude, longitude), None, "{latitude} {longitude}");
        }
    }
}
