use super::*;

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
