//! A made-up but plausible atmosphere on a 48×96 Gaussian grid, published through the store: what the service's tests serve.

use std::f64::consts::PI;
use std::sync::Arc;

use ndarray::Array2;
use serde_json::{Map, json};
use vejr::atmos::{Field, Grid, LeadTime, Level, ReferenceTime, Variable, known_variable};
use vejr::location::Location;
use vejr::store::{Encoding, ForecastPath, ForecastSpec, ForecastWriter, Output};

pub const LEVELS: [f64; 5] = [250.0, 500.0, 700.0, 850.0, 1000.0];
pub const MODEL: &str = "made-up-planet";
const ROWS: usize = 48;
const COLUMNS: usize = 96;

/// Roots of the Legendre polynomial of degree `n` as latitudes, north to south, by Newton's method.
fn gaussian_latitudes(n: usize) -> Vec<f64> {
    let root = |k: usize| {
        let mut x = (PI * (k as f64 + 0.75) / (n as f64 + 0.5)).cos();
        for _ in 0..20 {
            let (mut previous, mut value) = (1.0, x);
            for degree in 2..=n {
                let degree = degree as f64;
                (previous, value) = (value, ((2.0 * degree - 1.0) * x * value - (degree - 1.0) * previous) / degree);
            }
            let slope = n as f64 * (x * value - previous) / (x * x - 1.0);
            x -= value / slope;
        }
        x.asin().to_degrees()
    };
    (0..n).map(root).collect()
}

pub fn grid() -> Arc<Grid> {
    let longitude = (0..COLUMNS).map(|column| 360.0 * column as f64 / COLUMNS as f64).collect();
    Arc::new(Grid::new(gaussian_latitudes(ROWS), longitude).unwrap())
}

pub fn path(reference_time: &str, run_key: &str) -> ForecastPath {
    let reference_time: ReferenceTime = reference_time.parse().unwrap();
    ForecastPath { model: MODEL.to_owned(), reference_time, run_key: run_key.to_owned() }
}

pub fn spec(path: &ForecastPath, steps: i64) -> ForecastSpec {
    let output = |name: &str, levels: Vec<Level>| {
        let known = known_variable(name).unwrap();
        Output { variable: known.into(), levels, precision: known.precision, range: known.plausible }
    };
    let aloft = || LEVELS.iter().map(|&pressure| Level::Pressure(pressure)).collect::<Vec<_>>();
    ForecastSpec {
        run_key: path.run_key.clone(),
        model: path.model.clone(),
        title: "A made-up planet".to_owned(),
        reference_time: path.reference_time,
        lead_times: (0..=steps).map(|step| LeadTime::from_hours(6 * step)).collect(),
        members: 1,
        statistics: None,
        grid: grid(),
        outputs: vec![
            output("t", aloft()),
            output("u", aloft()),
            output("v", aloft()),
            output("z", aloft()),
            output("sp", vec![Level::Surface]),
        ],
        encoding: Encoding::Float32,
        restart_states: 1,
        restart_apart: false,
        provenance: Map::from_iter([
            ("vejr_version".to_owned(), json!("test")),
            ("seed".to_owned(), json!(7)),
            ("planet".to_owned(), json!("idealised")),
        ]),
    }
}

/// The value of a variable at a place and time. Waves drift eastward; winds are roughly in balance with the heights.
pub fn value(variable: &str, level: Level, lead: LeadTime, latitude: f64, longitude: f64) -> f32 {
    let pressure = if let Level::Pressure(pressure) = level { pressure } else { 1000.0 };
    let (phi, lambda) = (latitude.to_radians(), longitude.to_radians());
    let days = lead.hours() / 24.0;
    let depth = (1000.0 / pressure).ln();
    let middle = |center: f64| (-((latitude.abs() - center) / 17.0).powi(2)).exp();
    let wave = |number: f64, speed: f64, tilt: f64| {
        let growth = 1.0 + 0.04 * days;
        growth * (number * (lambda - speed.to_radians() * days) + tilt * phi + 0.4 * depth).cos()
    };
    let eddies = middle(47.0) * (wave(6.0, 11.0, 1.5) + 0.6 * wave(4.0, 6.0, -2.0) + 0.35 * wave(9.0, 15.0, 0.7));
    let swing = middle(47.0) * (wave(6.0, 11.0, 1.5 + PI / 2.0) + 0.5 * wave(9.0, 15.0, 0.7));
    let surface = 300.0 - 55.0 * phi.sin().powi(2);
    let temperature = surface - 44.0 * depth + 9.0 * depth * phi.sin().powi(2) + 5.0 * eddies;
    let mean = 287.0 * depth * (surface - 17.0 * depth);
    let shown = match variable {
        "t" => temperature.max(205.0 + 8.0 * phi.sin().powi(2) + 2.0 * eddies),
        "u" => (8.0 + 19.0 * depth) * middle(44.0) - 6.0 * (-(latitude / 16.0).powi(2)).exp() + 9.0 * eddies,
        "v" => (6.0 + 7.0 * depth) * swing,
        "z" => mean + (500.0 + 900.0 * depth) * eddies,
        "sp" => 101_100.0 + 700.0 * middle(31.0) - 1_500.0 * middle(62.0) + 1_300.0 * eddies,
        other => panic!("no {other} on this planet"),
    };
    shown as f32
}

pub fn fields(spec: &ForecastSpec, lead: LeadTime) -> Vec<Field> {
    let (grid, valid_time) = (&spec.grid, spec.reference_time + lead);
    let field = |variable: &Variable, level: Level| {
        let values = Array2::from_shape_fn(grid.shape(), |(row, column)| {
            let (latitude, longitude) = grid.place(row, column);
            value(&variable.name, level, lead, latitude, longitude)
        });
        Field::new(variable.clone(), level, valid_time, grid.clone(), values).unwrap()
    };
    let columns = spec.outputs.iter().flat_map(|output| output.levels.iter().map(|&level| (&output.variable, level)));
    columns.map(|(variable, level)| field(variable, level)).collect()
}

/// Begins a forecast of `steps` steps after the analysis, and publishes the first `published` of them and the analysis.
pub async fn begin(root: &Location, path: &ForecastPath, steps: i64, published: i64) -> ForecastWriter {
    let spec = spec(path, steps);
    let mut writer = ForecastWriter::create_or_resume(&path.location(root), spec.clone(), false).await.unwrap();
    for step in 0..=published {
        writer.write_step(&fields(&spec, spec.lead_times[step as usize])).await.unwrap();
    }
    writer
}

/// A whole forecast.
pub async fn publish(root: &Location, path: &ForecastPath, steps: i64) {
    begin(root, path, steps, steps).await.finish(Map::new()).await.unwrap();
}
