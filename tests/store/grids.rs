//! Forecasts on every kind of grid: written, read back, and opened by xarray.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use vejr::atmos::{Grid, Projection};
use vejr::location::Location;
use vejr::store::{Encoding, ForecastReader, ForecastSpec};

use crate::forecast::{STEPS, complete, spec, value};
use crate::python::{run, with};

const LAMBERT: &str = "+proj=lcc +lat_0=56.7 +lon_0=25 +lat_1=56.7 +lat_2=56.7 +R=6367470";
const ROTATED: &str = "+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=39.25 +lon_0=18 +R=6371229";

fn axis(first: f64, n: i32, step: f64) -> Vec<f64> {
    (0..n).map(|i| first + step * f64::from(i)).collect()
}

/// Larger than one inner chunk each way; as a projection, and the same places without one.
fn grids() -> Vec<(&'static str, &'static str, Grid)> {
    let projected =
        |definition, y, x| Grid::projected(Projection::from_proj_string(definition).unwrap(), y, x).unwrap();
    let lambert = projected(LAMBERT, axis(500e3, 110, -10e3), axis(-1200e3, 130, 10e3));
    let rotated = projected(ROTATED, axis(10.0, 20, -0.5), axis(350.0, 30, 0.5));
    let places = lambert.coordinates();
    let curvilinear = Grid::curvilinear(places.latitude.clone(), places.longitude.clone()).unwrap();
    let line = |values: &ndarray::Array2<f64>| values.iter().copied().collect::<Vec<f64>>();
    let points = Grid::points(line(&places.latitude), line(&places.longitude)).unwrap();
    vec![
        ("lambert_conformal_conic", LAMBERT, lambert),
        ("rotated_latitude_longitude", ROTATED, rotated),
        ("curvilinear", LAMBERT, curvilinear),
        ("points", LAMBERT, points),
    ]
}

async fn check_read_back(location: &Location, spec: &ForecastSpec) {
    let reader = ForecastReader::open(location).await.unwrap();
    assert_eq!(*reader.spec().grid, *spec.grid);
    let (h, w) = spec.grid.shape();
    let (rows, columns) = (h / 2..h / 2 + 1, w - 40.min(w)..w - 3);
    for (output, level) in spec.fields() {
        let (name, at) = (&spec.outputs[output].variable.name, spec.outputs[output].levels[level]);
        let expected = |step, row, column| value(spec, output, level, step, row, column).to_bits();
        let lead = spec.lead_times[STEPS - 1];
        let window = reader.window(name, at, lead, rows.clone(), columns.clone()).await.unwrap();
        for ((row, column), found) in window.indexed_iter() {
            assert_eq!(found.to_bits(), expected(STEPS - 1, rows.start + row, columns.start + column));
        }
        let (row, column) = (h - 1, w / 3);
        let series = reader.series(name, at, row..row + 1, column..column + 1).await.unwrap();
        let steps: Vec<u32> = series.iter().map(|value| value.to_bits()).collect();
        assert_eq!(steps, (0..STEPS).map(|step| expected(step, row, column)).collect::<Vec<_>>());
    }
}

/// A whole forecast on a grid, at `f.zarr` in a folder.
async fn published(grid: Grid) -> (tempfile::TempDir, Location, ForecastSpec) {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse(folder.path().join("f.zarr").to_str().unwrap()).unwrap();
    let mut spec = spec((2, 2), Encoding::Float32, "key");
    spec.grid = Arc::new(grid);
    complete(&location, &spec).await.unwrap();
    (folder, location, spec)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_grid_comes_back_and_opens() {
    let python = with(&["xarray", "zarr", "pyproj"]);
    for (kind, definition, grid) in grids() {
        let (folder, location, spec) = published(grid).await;
        let path = folder.path().join("f.zarr");
        check_read_back(&location, &spec).await;
        if let Some(python) = &python {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/grids.py");
            run(Command::new(python).arg(script).arg(&path).arg(kind).arg(definition));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exchange_format_holds_on_a_projection() {
    let Some(python) = with(&["mlwp_data_specs.specs.cli"]) else { return };
    let (_, _, grid) = grids().swap_remove(0);
    let (folder, ..) = published(grid).await;
    let path = folder.path().join("f.zarr");
    let call = "import sys; from mlwp_data_specs.specs.cli import main; sys.exit(main())";
    let traits = ["--time", "forecast", "--space", "grid", "--uncertainty", "deterministic"];
    println!("{}", run(Command::new(&python).args(["-c", call]).arg(&path).args(traits)));
}
