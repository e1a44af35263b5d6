//! Grids that are not parallels × meridians.

use super::*;

/// DANRA's projection, `h` × `w` points 50 km apart around 55 °N 12 °E.
fn lambert(h: usize, w: usize) -> Grid {
    let projection =
        Projection::from_proj_string("+proj=lcc +lat_0=56.7 +lon_0=25 +lat_1=56.7 +lat_2=56.7 +R=6367470").unwrap();
    let y = (0..h).map(|i| 500_000.0 - 50_000.0 * i as f64).collect();
    let x = (0..w).map(|i| -1_500_000.0 + 50_000.0 * i as f64).collect();
    Grid::projected(projection, y, x).unwrap()
}

fn rotated() -> Grid {
    let definition = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229";
    let projection = Projection::from_proj_string(definition).unwrap();
    let axis = |first: f64, n: i32, step: f64| (0..n).map(|i| first + step * f64::from(i)).collect::<Vec<f64>>();
    Grid::projected(projection, axis(10.0, 21, -1.0), axis(350.0, 31, 1.0)).unwrap()
}

/// The same points without their axes.
fn curvilinear(grid: &Grid) -> Grid {
    let places = grid.coordinates();
    Grid::curvilinear(places.latitude.clone(), places.longitude.clone()).unwrap()
}

fn points(grid: &Grid) -> Grid {
    let places = grid.coordinates();
    Grid::points(places.latitude.iter().copied().collect(), places.longitude.iter().copied().collect()).unwrap()
}

#[test]
fn every_point_is_found_where_it_lies() {
    for grid in [lambert(20, 30), rotated()] {
        let (h, w) = grid.shape();
        let (curvilinear, points) = (curvilinear(&grid), points(&grid));
        for (row, column) in (0..h).flat_map(|row| (0..w).map(move |column| (row, column))) {
            let (latitude, longitude) = grid.place(row, column);
            let (rows, columns) = grid.between(latitude, longitude).unwrap();
            for (found, expected) in [(rows, row), (columns, column)] {
                assert!((found.low as f64 + found.weight - expected as f64).abs() < 1e-5, "{found:?}");
            }
            assert_eq!(grid.nearest(latitude, longitude), Some((row, column)));
            assert_eq!(curvilinear.nearest(latitude, longitude), Some((row, column)));
            assert_eq!(points.nearest(latitude, longitude), Some((0, row * w + column)));
        }
        assert!(curvilinear.same_points(&grid) && grid.same_points(&curvilinear) && !points.same_points(&grid));
    }
}

#[test]
fn between_points_the_nearest_is_nearest_and_outside_there_is_none() {
    let grid = lambert(20, 30);
    let (curvilinear, points) = (curvilinear(&grid), points(&grid));
    let places: Vec<[f64; 3]> = grid
        .coordinates()
        .latitude
        .iter()
        .zip(&grid.coordinates().longitude)
        .map(|(&latitude, &longitude)| nearest::unit(latitude, longitude))
        .collect();
    let mut inside = 0;
    for i in 0..3000 {
        let latitude = 30.0 + 50.0 * (f64::from(i) * 0.618_034).fract();
        let longitude = -30.0 + 80.0 * (f64::from(i) * 0.754_878).fract();
        let here = nearest::unit(latitude, longitude);
        let square = |a: &[f64; 3]| (0..3).map(|axis| (a[axis] - here[axis]).powi(2)).sum::<f64>();
        let best = (0..places.len()).min_by(|&a, &b| square(&places[a]).total_cmp(&square(&places[b]))).unwrap();
        if let Some((row, column)) = grid.nearest(latitude, longitude) {
            inside += 1;
            assert_eq!(row * 30 + column, best);
            assert_eq!(curvilinear.nearest(latitude, longitude), Some((row, column)));
            assert_eq!(points.nearest(latitude, longitude), Some((0, best)));
        }
        if grid.between(latitude, longitude).is_some() {
            assert!(grid.nearest(latitude, longitude).is_some());
        }
        // a cell's diagonal away from every point is outside
        if square(&places[best]).sqrt() * 6_367_470.0 > 60_000.0 {
            assert!([&grid, &curvilinear, &points].iter().all(|grid| grid.nearest(latitude, longitude).is_none()));
        }
    }
    assert!(inside > 100, "{inside}");
    for (latitude, longitude) in [(-56.7, -155.0), (f64::NAN, 0.0), (55.0, f64::INFINITY), (91.0, 0.0)] {
        assert!(grid.between(latitude, longitude).is_none() && grid.nearest(latitude, longitude).is_none());
        assert_eq!(points.nearest(latitude, longitude), None);
    }
}

#[test]
fn weights_are_areas() {
    // a rotated grid over the whole sphere has the areas of an unrotated one
    let projection = Projection::from_proj_string("+proj=ob_tran +o_proj=longlat +o_lat_p=40 +lon_0=10").unwrap();
    let y: Vec<f64> = (0..18).map(|i| 85.0 - 10.0 * f64::from(i)).collect();
    let x: Vec<f64> = (0..36).map(|i| 10.0 * f64::from(i)).collect();
    let turned = Grid::projected(projection, y.clone(), x.clone()).unwrap().cell_weights();
    let straight = Grid::new(y, x).unwrap().cell_weights();
    let worst = turned.iter().zip(&straight).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
    assert!(worst < 0.1, "{worst}"); // great circles instead of parallels
    let grid = lambert(20, 30);
    for grid in [&grid, &curvilinear(&grid), &points(&grid), &rotated()] {
        assert!((grid.cell_weights().sum() - 1.0).abs() < 1e-12, "{grid}");
    }
    // equal cells of a conformal cone shrink with the square of its scale, which is 1 at 56.7 °N and grows away from it
    let weights = grid.cell_weights();
    let scale = |latitude: f64| {
        let n = 56.7f64.to_radians().sin();
        let radius = |latitude: f64| (45.0 - 0.5 * latitude).to_radians().tan().powf(n);
        56.7f64.to_radians().cos() * radius(latitude) / (latitude.to_radians().cos() * radius(56.7))
    };
    let (a, b) = ([10, 29], [19, 0]);
    let expected = (scale(grid.place(10, 29).0) / scale(grid.place(19, 0).0)).powi(2);
    assert!((weights[b] / weights[a] / expected - 1.0).abs() < 1e-3, "{} {expected}", weights[b] / weights[a]);
}

#[test]
fn bounds_enclose_every_point() {
    let [west, south, east, north] = lambert(20, 30).bounds();
    // the corners, by pyproj
    let expected = [-1.515_494, 50.531_625, 24.260_155, 61.191_292];
    assert!(
        [west, south, east, north].iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5),
        "{west} {south} {east} {north}"
    );
    let projection = Projection::from_proj_string("+proj=stere +lat_0=90 +lon_0=0 +lat_ts=60 +R=6371229").unwrap();
    let axis: Vec<f64> = (-10..=10).map(|i| 2e5 * f64::from(i)).collect();
    let polar = Grid::projected(projection, axis.iter().rev().copied().collect(), axis).unwrap();
    assert_eq!((polar.bounds()[0], polar.bounds()[2], polar.bounds()[3]), (-180.0, 180.0, 90.0));
    let pacific = Grid::points(vec![0.0, 5.0], vec![170.0, 190.0]).unwrap().bounds();
    assert_eq!(pacific, [170.0, 0.0, 190.0, 5.0]);
}

#[test]
fn what_is_no_grid_is_refused() {
    let projection = lambert(2, 2).projection().unwrap().clone();
    let projected = |y: Vec<f64>, x: Vec<f64>| Grid::projected(projection.clone(), y, x);
    assert!(matches!(projected(vec![0.0, 1.0], vec![0.0]), Err(GridError::NotMonotonic { axis: "y", .. })));
    assert!(matches!(projected(vec![], vec![0.0]), Err(GridError::TooShort { axis: "y", .. })));
    assert!(matches!(projected(vec![0.0], vec![f64::NAN]), Err(GridError::OutOfRange { axis: "x", .. })));
    let degrees = Projection::from_proj_string("+proj=longlat").unwrap();
    assert!(matches!(Grid::projected(degrees, vec![0.0], vec![0.0]), Err(GridError::NotProjected(_))));
    assert!(matches!(Grid::points(vec![0.0, 1.0], vec![0.0]), Err(GridError::Shapes { .. })));
    assert!(matches!(Grid::points(vec![], vec![]), Err(GridError::TooShort { .. })));
}

#[test]
fn a_place_at_the_least_great_circle_distance_on_parallels_too() {
    let grid = Grid::new(
        (0..19).map(|i| 90.0 - 10.0 * f64::from(i)).collect(),
        (0..36).map(|i| 10.0 * f64::from(i)).collect(),
    )
    .unwrap();
    for i in 0..2000 {
        let latitude = -90.0 + 180.0 * (f64::from(i) * 0.618_034).fract();
        let longitude = -360.0 + 720.0 * (f64::from(i) * 0.754_878).fract();
        let (row, column) = grid.nearest(latitude, longitude).unwrap();
        let here = nearest::unit(latitude, longitude);
        let cosine = |row: usize, column: usize| {
            let (latitude, longitude) = grid.place(row, column);
            nearest::unit(latitude, longitude).iter().zip(here).map(|(a, b)| a * b).sum::<f64>()
        };
        let best = (0..19).flat_map(|r| (0..36).map(move |c| (r, c))).map(|(r, c)| cosine(r, c)).fold(-2.0, f64::max);
        assert!(cosine(row, column) >= best - 1e-12, "{latitude} {longitude}");
    }
}

#[test]
fn a_regional_grid_ends_half_a_cell_beyond_its_points() {
    let grid = Grid::new(vec![60.0, 55.0, 50.0], vec![355.0, 360.0, 365.0]).unwrap();
    assert_eq!(grid.nearest(62.4, -7.4), Some((0, 0)));
    assert_eq!(grid.nearest(55.1, 0.2), Some((1, 1)));
    for (latitude, longitude) in [(62.6, 0.0), (47.0, 0.0), (55.0, -7.6), (55.0, 180.0), (f64::NAN, 0.0), (91.0, 0.0)] {
        assert_eq!(grid.nearest(latitude, longitude), None, "{latitude} {longitude}");
    }
}
