//! Regridding is what CDO (<https://code.mpimet.mpg.de/projects/cdo>) computes, on a global Gaussian grid and on a
//! projection; winds keep their direction; and the way that a user asks for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use vejr::atmos::{Attribute, Axes, Grid, Projection, Variable};
use vejr::forecast::{self, Regridding, Sources};
use vejr::ingest::{Inventory, Isolation, Request};
use vejr::model::ModelPackage;
use vejr::regrid::{Method, Regridder};

#[path = "common/command.rs"]
mod command;

use command::{done, refused, vejr};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn has_cdo() -> bool {
    let there = Command::new("cdo").arg("--version").output().is_ok();
    if !there {
        eprintln!("SKIPPED: there is no cdo");
    }
    there
}

/// The first field of a variable.
fn read(path: &Path, name: &str) -> (Vec<f32>, Arc<Grid>) {
    let inventory = Inventory::open(&[path.to_owned()], &Isolation::None).unwrap();
    let (_, found) = inventory.variables().find(|(_, variable)| variable.name == name).unwrap();
    let (level, time) = (found.levels[0], found.times[0].real().unwrap());
    let variable = Variable::new(name, "", "", &found.units);
    let request = Request { fields: vec![(variable, level).into()], times: vec![time], grid: None };
    let (mut stacks, grid) = inventory.read_stacked(&request).unwrap();
    (stacks.remove(0), grid)
}

/// What CDO's operator makes of a variable, in double precision.
fn cdo(operator: &str, input: &Path, name: &str, output: &Path) {
    let selected = format!("-selname,{name}");
    let run = Command::new("cdo")
        .args(["-s", "-b", "F64", operator, "-seltimestep,1", &selected])
        .args([input, output])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

fn global() -> (PathBuf, &'static str) {
    (Path::new(ROOT).join("data-samples/held-suarez-init.nc"), "sp")
}

fn regional() -> (PathBuf, &'static str) {
    let case = "tests/fixtures/neural-lam/artifact/danra_hi_lam/inputs/single_levels.nc";
    (Path::new(ROOT).join(case), "t2m")
}

#[test]
fn bilinear_is_cdo_s_to_float32_rounding() {
    if !has_cdo() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    // inside of the interior, whose axes are turned against it
    let box_ = "gridtype = lonlat\nxsize = 31\nysize = 17\nxfirst = 6.6\nxinc = 0.011\nyfirst = 54.15\nyinc = 0.013\n";
    let description = work.path().join("box.txt");
    std::fs::write(&description, box_).unwrap();
    let targets = [(global(), "r100x61".to_owned()), (regional(), description.display().to_string())];
    for (number, ((input, name), target)) in targets.into_iter().enumerate() {
        // a file of its own each time: HDF5 locks those that are open, and a process that begins meanwhile keeps the lock
        let output = work.path().join(format!("cdo{number}.nc"));
        cdo(&format!("remapbil,{target}"), &input, name, &output);
        let ((values, from), (expected, to)) = (read(&input, name), read(&output, name));
        let found = Regridder::new(&from, &to, Method::Bilinear).unwrap().apply(&values).unwrap();
        let northernmost = from.rectilinear().map_or(90.0, |(latitude, _)| latitude[0]);
        let scale = values.iter().fold(0f32, |scale, value| scale.max(value.abs()));
        let mut compared = 0;
        for (point, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let (latitude, longitude) = to.place(point / to.shape().1, point % to.shape().1);
            // CDO takes some of the outermost parallel there
            if latitude.abs() > northernmost {
                continue;
            }
            compared += 1;
            let off = (found - expected).abs();
            assert!(off <= scale * f32::EPSILON, "{name} at {latitude} {longitude}: {found}, CDO {expected}");
        }
        assert!(compared > 500, "{compared}");
    }
}

#[test]
fn nearest_is_cdo_s() {
    if !has_cdo() {
        return;
    }
    let (work, (input, name)) = (tempfile::tempdir().unwrap(), global());
    let output = work.path().join("cdo.nc");
    // no point of it is as far from one as from another
    cdo("remapnn,r101x61", &input, name, &output);
    let ((values, from), (expected, to)) = (read(&input, name), read(&output, name));
    let found = Regridder::new(&from, &to, Method::Nearest).unwrap().apply(&values).unwrap();
    let poles = |point: usize| to.place(point / to.shape().1, 0).0.abs() > 89.9;
    let differ = (0..found.len()).filter(|&point| !poles(point) && found[point] != expected[point]).count();
    assert_eq!(differ, 0);
}

#[test]
fn conservative_is_cdo_s_and_conserves() {
    if !has_cdo() {
        return;
    }
    let (work, (input, name)) = (tempfile::tempdir().unwrap(), global());
    for target in ["r90x45", "r17x31", "r200x101"] {
        let output = work.path().join(format!("{target}.nc"));
        cdo(&format!("remapcon,{target}"), &input, name, &output);
        let ((values, from), (expected, to)) = (read(&input, name), read(&output, name));
        let found = Regridder::new(&from, &to, Method::Conservative).unwrap().apply(&values).unwrap();
        let farthest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs() / b.abs()).fold(0f32, f32::max);
        assert!(farthest < 1e-6, "{target}: {farthest}");
        let integral = |grid: &Grid, values: &[f32]| -> f64 {
            grid.cell_weights().iter().zip(values).map(|(weight, value)| weight * f64::from(*value)).sum()
        };
        let (before, after) = (integral(&from, &values), integral(&to, &found));
        assert!(((after - before) / before).abs() < 1e-6, "{target}: {before} {after}");
    }
}

#[test]
fn input_on_another_grid_is_carried_over_where_that_is_asked_for() {
    if !has_cdo() {
        return;
    }
    let work = tempfile::tempdir().unwrap();
    let (model, (input, _)) = (Path::new(ROOT).join("models/held-suarez-sfno"), global());
    let (other, output) = (work.path().join("other.nc"), work.path().join("f.zarr"));
    let run =
        Command::new("cdo").args(["-s", "-f", "nc4", "remapbil,r120x61"]).args([&input, &other]).output().unwrap();
    assert!(run.status.success());
    let forecast = |more: &[&dyn AsRef<std::ffi::OsStr>]| {
        let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> =
            vec![&"forecast", &"--model", &model, &"--init", &other, &"--output", &output, &"--steps", &"1"];
        arguments.extend(more);
        vejr(&arguments)
    };
    refused(forecast(&[]), 3, &["61×120", "interpolate"]);
    refused(forecast(&[&"--regrid", &"cubic"]), 2, &["\"cubic\"", "expected nearest, bilinear or conservative"]);
    refused(forecast(&[&"--regrid", &"bilinear:tp"]), 2, &["has no variable \"tp\""]);
    let done_as = forecast(&[&"--regrid", &"bilinear", &"conservative:sp"]);
    let told = String::from_utf8_lossy(&done_as.stderr).into_owned();
    done(done_as);
    assert!(told.contains("regridded: bilinear from 61×120") && told.contains("regridded: conservative"), "{told}");
}

/// Grid-relative winds of an analytic wind: 10 cos φ m s-1 to the east, 8 sin 3λ to the north.
fn wind(latitude: f64, longitude: f64) -> [f64; 2] {
    [10.0 * latitude.to_radians().cos(), 8.0 * (3.0 * longitude).to_radians().sin()]
}

/// Along the axes of a Lambert cone with one standard parallel: its north is turned by n (λ − λ₀), n the sine of that
/// parallel (Snyder 1987, Map Projections: A Working Manual, eq. 14-4, <https://doi.org/10.3133/pp1395>).
fn along_cone(parallel: f64, meridian: f64, (latitude, longitude): (f64, f64)) -> [f64; 2] {
    let [east, north] = wind(latitude, longitude);
    let (sine, cosine) = (parallel.to_radians().sin() * (longitude - meridian)).to_radians().sin_cos();
    [east * cosine - north * sine, east * sine + north * cosine]
}

fn cone(parallel: f64, meridian: f64, half: i32, step: f64) -> Grid {
    let definition = format!("+proj=lcc +lat_1={parallel} +lat_0={parallel} +lon_0={meridian} +R=6371000");
    let axis: Vec<f64> = (-half..=half).map(|i| f64::from(i) * step).collect();
    let y = axis.iter().rev().copied().collect();
    Grid::projected(Projection::from_proj_string(&definition).unwrap(), y, axis).unwrap()
}

/// A file with the wind on a grid, its components under these standard names.
fn write_wind(path: &Path, grid: &Grid, names: [&str; 2], wind: impl Fn((f64, f64)) -> [f64; 2]) {
    let mut file = netcdf::create(path).unwrap();
    let axis = |file: &mut netcdf::FileMut, name: &str, values: &[f64], attributes: [(&str, &str); 2]| {
        file.add_dimension(name, values.len()).unwrap();
        let mut variable = file.add_variable::<f64>(name, &[name]).unwrap();
        for (name, text) in attributes {
            variable.put_attribute(name, text).unwrap();
        }
        variable.put_values(values, ..).unwrap();
    };
    axis(&mut file, "time", &[0.0], [("standard_name", "time"), ("units", "hours since 2020-01-01")]);
    axis(&mut file, "level", &[500.0], [("standard_name", "air_pressure"), ("units", "hPa")]);
    let dimensions = match grid.axes() {
        Axes::Rectilinear { latitude, longitude } => {
            axis(&mut file, "lat", latitude, [("standard_name", "latitude"), ("units", "degrees_north")]);
            axis(&mut file, "lon", longitude, [("standard_name", "longitude"), ("units", "degrees_east")]);
            ["lat", "lon"]
        }
        Axes::Projected { projection, y, x } => {
            axis(&mut file, "y", y, [("standard_name", "projection_y_coordinate"), ("units", "m")]);
            axis(&mut file, "x", x, [("standard_name", "projection_x_coordinate"), ("units", "m")]);
            let mut crs = file.add_variable::<i32>("crs", &[]).unwrap();
            for (name, value) in projection.cf_attributes() {
                match value {
                    Attribute::Text(text) => crs.put_attribute(name, text).unwrap(),
                    Attribute::Number(number) => crs.put_attribute(name, number).unwrap(),
                    Attribute::Numbers(numbers) => crs.put_attribute(name, numbers).unwrap(),
                };
            }
            ["y", "x"]
        }
        Axes::None => panic!("a grid without axes"),
    };
    let (h, w) = grid.shape();
    for (component, (name, standard_name)) in ["ua", "va"].into_iter().zip(names).enumerate() {
        let mut variable = file.add_variable::<f32>(name, &["time", "level", dimensions[0], dimensions[1]]).unwrap();
        for (name, text) in [("standard_name", standard_name), ("units", "m s-1"), ("grid_mapping", "crs")] {
            variable.put_attribute(name, text).unwrap();
        }
        let values: Vec<f32> = (0..h * w).map(|i| wind(grid.place(i / w, i % w))[component] as f32).collect();
        variable.put_values(&values, ..).unwrap();
    }
}

/// A package that needs the wind on a grid; a network that predicts nothing has no weights.
fn wind_package(folder: &Path, grid: &str, names: &[(&str, &str)]) -> ModelPackage {
    let channels: String = names
        .iter()
        .map(|(name, standard_name)| {
            format!(
                "[[channel]]\nname = '{name}'\nstandard_name = '{standard_name}'\nunits = 'm s-1'\nlevel = {{ pressure = 500 }}\n\
                 role = 'prognostic'\nmean = 0.0\nstd = 1.0\nplausible = [-99.0, 99.0]\n"
            )
        })
        .collect();
    let text = format!(
        "format = 1\n[model]\nname = 'wind'\ntitle = 'wind'\narch = 'persistence'\nversion = '1'\nlicence = 'none'\n\
         origin = 'this test'\ntime_step = '6h'\ninput_states = 1\npredicts = 'state'\n[arch]\n[grid]\n{grid}\n{channels}"
    );
    std::fs::write(folder.join("model.toml"), text).unwrap();
    ModelPackage::open(folder).unwrap()
}

const COMPASS: [&str; 2] = ["eastward_wind", "northward_wind"];
const ALONG: [&str; 2] = ["x_wind", "y_wind"];
const LATLON: &str = "kind = 'latlon'\nlatitude = { first = 63.0, step = -0.5, count = 13 }\n\
                      longitude = { first = 4.0, step = 0.5, count = 25 }";
const CONE: &str = "kind = 'projected'\nprojection = { grid_mapping_name = 'lambert_conformal_conic', standard_parallel = 48.0, \
                    longitude_of_central_meridian = -5.0, latitude_of_projection_origin = 48.0, earth_radius = 6371000.0 }\n\
                    y = { first = 15e5, step = -5e4, count = 9 }\nx = { first = 7e5, step = 5e4, count = 9 }";

#[test]
fn winds_are_turned_to_what_the_model_wants_before_and_after_they_are_carried_over() {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("wind.nc");
    let fine = cone(60.0, 10.0, 100, 10_000.0);
    let global = Grid::new(
        (0..361).map(|i| 90.0 - 0.5 * f64::from(i)).collect(),
        (0..720).map(|i| 0.5 * f64::from(i)).collect(),
    )
    .unwrap();
    let along_fine = |place: (f64, f64)| along_cone(60.0, 10.0, place);
    let to_compass = |(latitude, longitude): (f64, f64)| wind(latitude, longitude);
    let to_cone = |place: (f64, f64)| along_cone(48.0, -5.0, place);
    type Field<'a> = &'a dyn Fn((f64, f64)) -> [f64; 2];
    type Case<'a> = (&'a Grid, [&'a str; 2], Field<'a>, &'a str, [&'a str; 2], Field<'a>);
    let cases: [Case<'_>; 5] = [
        (&fine, ALONG, &along_fine, LATLON, COMPASS, &to_compass),
        (&fine, COMPASS, &to_compass, LATLON, COMPASS, &to_compass),
        (&fine, ALONG, &along_fine, CONE, ALONG, &to_cone),
        (&fine, ALONG, &along_fine, CONE, COMPASS, &to_compass),
        (&global, COMPASS, &to_compass, CONE, ALONG, &to_cone),
    ];
    for (from, found, input, to, wanted, expected) in cases {
        write_wind(&file, from, found, input);
        let package = wind_package(work.path(), to, &[("v", wanted[1]), ("u", wanted[0])]);
        let regridding = Regridding::parse(&["bilinear".to_owned()], &package).unwrap();
        let inventory = Inventory::open(std::slice::from_ref(&file), &Isolation::None).unwrap();
        let request = forecast::needs(&package, vec!["2020-01-01T00:00Z".parse().unwrap()]);
        let (stacks, grid) = regridding.read(&inventory, &request, false).unwrap();
        for (component, field) in [1, 0].into_iter().zip(stacks[0].chunks_exact(grid.len())) {
            for (point, value) in field.iter().enumerate() {
                let place = grid.place(point / grid.shape().1, point % grid.shape().1);
                let expected = expected(place)[component];
                // bilinear between points half a degree apart at most
                assert!(
                    (f64::from(*value) - expected).abs() < 0.01,
                    "{found:?} → {wanted:?} at {place:?}: {value} {expected}"
                );
            }
        }
        // without a reference time, too
        let sources = Sources { regridding, ..Sources::new(&inventory) };
        forecast::read_initial_states(&package, &sources, None, &candle_core::Device::Cpu).unwrap();
    }
}

#[test]
fn winds_on_the_model_s_own_grid_become_what_it_wants_exactly() {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("wind.nc");
    for (found, wanted) in [(ALONG, COMPASS), (COMPASS, ALONG), (ALONG, ALONG), (COMPASS, COMPASS)] {
        let package = wind_package(work.path(), CONE, &[("u", wanted[0]), ("v", wanted[1])]);
        let grid = package.grid().fixed().unwrap().clone();
        let either = |names: [&'static str; 2]| {
            move |place: (f64, f64)| if names == ALONG { along_cone(48.0, -5.0, place) } else { wind(place.0, place.1) }
        };
        write_wind(&file, &grid, found, either(found));
        let inventory = Inventory::open(std::slice::from_ref(&file), &Isolation::None).unwrap();
        let regridding = Regridding::parse(&[], &package).unwrap();
        let request = forecast::needs(&package, vec!["2020-01-01T00:00Z".parse().unwrap()]);
        let (stacks, _) = regridding.read(&inventory, &request, false).unwrap();
        for (component, field) in stacks[0].chunks_exact(grid.len()).enumerate() {
            for (point, value) in field.iter().enumerate() {
                let expected = either(wanted)(grid.place(point / grid.shape().1, point % grid.shape().1))[component];
                assert!((f64::from(*value) - expected).abs() < 1e-5, "{found:?} → {wanted:?}: {value} {expected}");
            }
        }
    }
}

#[test]
fn one_component_alone_is_not_turned() {
    let work = tempfile::tempdir().unwrap();
    let file = work.path().join("wind.nc");
    write_wind(&file, &cone(60.0, 10.0, 100, 10_000.0), ALONG, |place| along_cone(60.0, 10.0, place));
    let package = wind_package(work.path(), CONE, &[("u", "x_wind")]);
    let regridding = Regridding::parse(&["bilinear".to_owned()], &package).unwrap();
    let inventory = Inventory::open(std::slice::from_ref(&file), &Isolation::None).unwrap();
    let request = forecast::needs(&package, vec!["2020-01-01T00:00Z".parse().unwrap()]);
    let error = regridding.read(&inventory, &request, false).unwrap_err().to_string();
    assert!(error.contains("one component of a wind"), "{error}");
}
