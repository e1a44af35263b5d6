use super::*;
use crate::atmos::{Attribute, Projection};

fn global(rows: usize, columns: usize) -> Arc<Grid> {
    let latitude = (0..rows).map(|i| 90.0 - 180.0 * (i as f64 + 0.5) / rows as f64).collect();
    let longitude = (0..columns).map(|i| 360.0 * i as f64 / columns as f64).collect();
    Arc::new(Grid::new(latitude, longitude).unwrap())
}

fn field(grid: &Grid, value: impl Fn(f64, f64) -> f64) -> Vec<f32> {
    let places = grid.coordinates();
    places.latitude.iter().zip(&places.longitude).map(|(&a, &b)| value(a, b) as f32).collect()
}

fn integral(grid: &Grid, values: &[f32]) -> f64 {
    grid.cell_weights().iter().zip(values).map(|(weight, value)| weight * f64::from(*value)).sum()
}

#[test]
fn what_is_linear_stays_so() {
    let (from, to) = (global(36, 72), Arc::new(Grid::new(vec![50.0, 41.3], vec![5.0, 7.7, 300.2]).unwrap()));
    let linear = |latitude: f64, longitude: f64| 3.0 + 0.5 * latitude - 0.25 * longitude;
    let regridder = Regridder::new(&from, &to, Method::Bilinear).unwrap();
    let found = regridder.apply(&field(&from, linear)).unwrap();
    for (found, expected) in found.iter().zip(field(&to, linear)) {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn weights_of_the_latest_grids_are_kept() {
    let source = global(9, 18);
    let targets: Vec<Arc<Grid>> = (2..12).map(|rows| global(rows, 18)).collect();
    let shared = |to: &Arc<Grid>| Regridder::shared(&source, to, Method::Bilinear).unwrap();
    let first = shared(&targets[0]);
    // another object that means the same points
    assert!(Arc::ptr_eq(&first, &shared(&global(2, 18))));
    let nearest = Regridder::shared(&source, &targets[0], Method::Nearest).unwrap();
    assert!(!Arc::ptr_eq(&first, &nearest));
    targets.iter().for_each(|to| drop(shared(to)));
    assert!(!Arc::ptr_eq(&first, &shared(&targets[0])), "not kept for ever");
}

#[test]
fn a_pole_has_one_value_whatever_the_meridian() {
    let (from, to) = (global(36, 72), Arc::new(Grid::new(vec![90.0, 0.0], vec![0.0, 123.0]).unwrap()));
    let regridder = Regridder::new(&from, &to, Method::Bilinear).unwrap();
    let found = regridder.apply(&field(&from, |_, longitude| longitude.to_radians().sin() + 2.0)).unwrap();
    assert_eq!(found[0], found[1]);
    assert!((found[0] - 2.0).abs() < 1e-6, "the mean of the parallel: {}", found[0]);
}

#[test]
fn the_integral_is_conserved() {
    let rough = |latitude: f64, longitude: f64| (7.0 * latitude).sin() + (13.0 * longitude).cos() + 5.0;
    for (rows, columns) in [(19, 31), (45, 90), (7, 200)] {
        let (from, to) = (global(36, 72), global(rows, columns));
        let values = field(&from, rough);
        let found = Regridder::new(&from, &to, Method::Conservative).unwrap().apply(&values).unwrap();
        let (before, after) = (integral(&from, &values), integral(&to, &found));
        assert!(((after - before) / before).abs() < 1e-6, "{rows} × {columns}: {before} {after}");
    }
}

/// Cells of `spacing` metres that together cover 200 km × 160 km on Lambert's cone.
fn on_a_cone(spacing: f64) -> Arc<Grid> {
    let attributes = [
        ("grid_mapping_name", Attribute::Text("lambert_conformal_conic".to_owned())),
        ("standard_parallel", Attribute::Number(56.7)),
        ("longitude_of_central_meridian", Attribute::Number(25.0)),
        ("latitude_of_projection_origin", Attribute::Number(56.7)),
        ("earth_radius", Attribute::Number(6_367_470.0)),
    ];
    let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let axis = |length: f64| (0..(length / spacing) as usize).map(move |i| spacing * (i as f64 + 0.5));
    let y = axis(160e3).map(|y| 300e3 - y).collect();
    let x = axis(200e3).map(|x| x - 900e3).collect();
    Arc::new(Grid::projected(Projection::from_cf(&attributes).unwrap(), y, x).unwrap())
}

#[test]
fn an_area_of_a_projection_gets_the_same_however_it_is_divided() {
    let latitude = (0..120).map(|i| 62.0 - 0.1 * f64::from(i)).collect();
    let longitude = (0..150).map(|i| 2.0 + 0.13 * f64::from(i)).collect();
    let from = Arc::new(Grid::new(latitude, longitude).unwrap());
    let values = field(&from, |latitude, longitude| (70.0 * latitude).sin() + (50.0 * longitude).cos() + 5.0);
    let mean = |spacing: f64| {
        let to = on_a_cone(spacing);
        let found = Regridder::new(&from, &to, Method::Conservative).unwrap().apply(&values).unwrap();
        integral(&to, &found)
    };
    let (whole, fine) = (mean(40e3), mean(5e3));
    assert!(((whole - fine) / whole).abs() < 1e-6, "{whole} {fine}");
    // and from the projection: half a cell of 5 km is 0.011 of such a field
    let inside = Arc::new(
        Grid::new(
            (0..8).map(|i| 58.05 - 0.05 * f64::from(i)).collect(),
            (0..9).map(|i| 10.9 + 0.1 * f64::from(i)).collect(),
        )
        .unwrap(),
    );
    let smooth = |latitude: f64, longitude: f64| 3.0 + 0.5 * latitude - 0.25 * longitude;
    let cone = on_a_cone(5e3);
    let found = Regridder::new(&cone, &inside, Method::Conservative).unwrap().apply(&field(&cone, smooth)).unwrap();
    for (found, expected) in found.iter().zip(field(&inside, smooth)) {
        assert!((found - expected).abs() < 0.011, "{found} {expected}");
    }
}

#[test]
fn cells_that_are_not_on_lines_cover_the_globe_as_those_on_lines_do() {
    let from = global(36, 72);
    let to = global(24, 50);
    let places = to.coordinates();
    // the same places, without the knowledge that they lie on lines; the caps are not among its cells
    let bent = Arc::new(Grid::curvilinear(places.latitude.clone(), places.longitude.clone()).unwrap());
    let values =
        field(&from, |latitude, longitude| latitude.to_radians().sin() + 0.1 * (3.0 * longitude).to_radians().cos());
    let on_lines = Regridder::new(&from, &to, Method::Conservative).unwrap().apply(&values).unwrap();
    let on_bent = Regridder::new(&from, &bent, Method::Conservative).unwrap().apply(&values).unwrap();
    for row in 4..20 {
        for column in 1..49 {
            let (a, b) = (on_lines[row * 50 + column], on_bent[row * 50 + column]);
            assert!((a - b).abs() < 2e-3, "{row} {column}: {a} {b}");
        }
    }
}

#[test]
fn nothing_is_extrapolated() {
    let from = Arc::new(Grid::new(vec![60.0, 55.0, 50.0], vec![0.0, 5.0, 10.0]).unwrap());
    let to = Arc::new(Grid::new(vec![58.0, 49.0], vec![2.0, 4.0]).unwrap());
    for method in [Method::Bilinear, Method::Conservative] {
        let error = Regridder::new(&from, &to, method).unwrap_err().to_string();
        assert!(error.contains("lie outside the source"), "{error}");
    }
    let far = Arc::new(Grid::new(vec![58.0, 40.0], vec![2.0, 4.0]).unwrap());
    let error = Regridder::new(&from, &far, Method::Nearest).unwrap_err().to_string();
    assert!(error.contains("2 of 4 points") && error.contains("40.0000 °N 2.0000 °E"), "{error}");
}

#[test]
fn missing_values_make_missing_what_depends_on_them() {
    let (from, to) = (global(36, 72), global(18, 36));
    let mut values = field(&from, |latitude, _| latitude);
    values[0] = f32::NAN;
    let found = Regridder::new(&from, &to, Method::Conservative).unwrap().apply(&values).unwrap();
    assert_eq!(found.iter().filter(|value| value.is_nan()).count(), 1);
}
