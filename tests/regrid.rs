//! Regridding is what CDO (<https://code.mpimet.mpg.de/projects/cdo>) computes, on a global Gaussian grid and on a
//! projection; and the way that a user asks for it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use vejr::atmos::{Grid, Variable};
use vejr::ingest::{Inventory, Isolation, Request};
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
    for ((input, name), target) in targets {
        let output = work.path().join("cdo.nc");
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
        let output = work.path().join("cdo.nc");
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
