//! Networks of neural-lam's research branch, whose boundary is a dataset of its own: from what training leaves behind to the
//! forecast, as a user goes. The cases in `fixtures/neural-lam/driven` come from `models/neural-lam/driven.py`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

#[path = "common/command.rs"]
mod command;
#[path = "common/python.rs"]
mod python;

use command::{done, refused, vejr};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn case(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/fixtures/neural-lam/driven").join(name)
}

/// Imports a case into a package.
fn import(case: &Path, work: &Path) -> PathBuf {
    let package = work.join("package");
    let (artifact, params) = (case.join("artifact.zip"), case.join("params.toml"));
    if artifact.exists() {
        done(vejr(&[&"models", &"import", &artifact, &"--params", &params, &"--output", &package]));
    } else {
        done(vejr(&[&"models", &"import", &case.join("training/last.ckpt"), &"--output", &package]));
    }
    package
}

/// Runs a forecast with these files for the boundary.
fn forecast(case: &Path, package: &Path, boundary: &[&str], output: &Path) -> Output {
    let told: Value = serde_json::from_slice(&std::fs::read(case.join("case.json")).unwrap()).unwrap();
    let file = |name: &&str| case.join(format!("inputs/{name}.nc"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_vejr"));
    command.args(["forecast", "--model"]).arg(package);
    command.arg("--init").args(["single_levels", "pressure_levels"].iter().map(file));
    command.arg("--boundary").args(boundary.iter().map(file));
    command.args(["--reference-time", told["init_time"].as_str().unwrap(), "--steps", &told["steps"].to_string()]);
    command.arg("--output").arg(output).output().unwrap()
}

#[test]
fn forecasts_are_the_reference_s() {
    let Some(python) = python::with(&["xarray", "zarr", "netCDF4"]) else { return };
    for name in ["ring_of_analyses", "forecasts_around"] {
        let (case, work) = (case(name), tempfile::tempdir().unwrap());
        let package = import(&case, work.path());
        let output = work.path().join("f.zarr");
        // what the network reads inside comes from the interior's own file, on its own grid
        done(forecast(&case, &package, &["single_levels", "driving"], &output));
        let mut compare = Command::new(&python);
        compare.arg(Path::new(ROOT).join("tests/clients/compare.py")).arg(&output).arg(case.join("expected"));
        let report = python::run(&mut compare);
        println!("{name}: {}", report.trim().replace('\n', ", "));
        assert_eq!(report.lines().count(), 7);
        for line in report.lines() {
            let error: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(error < 1e-5, "{line}");
        }
    }
}

#[test]
fn what_the_boundary_lacks_is_named_before_the_first_step() {
    let (case, work) = (case("ring_of_analyses"), tempfile::tempdir().unwrap());
    let package = import(&case, work.path());
    let output = work.path().join("f.zarr");
    let run = |boundary: &[&str]| forecast(&case, &package, boundary, &output);
    refused(
        run(&["single_levels"]),
        3,
        &["a grid with a point at each node of the model's boundary (75 points", "no point at"],
    );
    refused(run(&["driving"]), 3, &["swavr0m", "no such variable"]);
    // a grid that has no points where the nodes are
    let coarse = work.path().join("coarse");
    std::fs::create_dir_all(coarse.join("inputs")).unwrap();
    for name in ["single_levels.nc", "pressure_levels.nc"] {
        std::fs::copy(case.join("inputs").join(name), coarse.join("inputs").join(name)).unwrap();
    }
    std::fs::copy(self::case("forecasts_around").join("inputs/driving.nc"), coarse.join("inputs/driving.nc")).unwrap();
    std::fs::copy(case.join("case.json"), coarse.join("case.json")).unwrap();
    refused(
        forecast(&coarse, &package, &["driving", "single_levels"], &output),
        3,
        &["10×13 regular", "no point at 55.0000 °N 5.5000 °E"],
    );
    assert!(!output.exists());
}

#[test]
fn what_an_import_lacks_is_named() {
    let (ring, around, work) = (case("ring_of_analyses"), case("forecasts_around"), tempfile::tempdir().unwrap());
    let output = work.path().join("package");
    let import = |source: &Path, params: &str| {
        let file = work.path().join("params.toml");
        std::fs::write(&file, params).unwrap();
        vejr(&[&"models", &"import", &source, &"--params", &file, &"--output", &output])
    };
    let artifact = ring.join("artifact.zip");
    refused(import(&artifact, ""), 3, &["graph is read from files", "graphs/made_up", "--params with graph"]);
    // a graph without places, and an artifact without the dataset's
    let graph = work.path().join("graph");
    std::fs::create_dir(&graph).unwrap();
    for file in std::fs::read_dir(ring.join("graph")).unwrap().map(|entry| entry.unwrap()) {
        if file.file_name() != "grid_lat_lon.pt" {
            std::fs::copy(file.path(), graph.join(file.file_name())).unwrap();
        }
    }
    let told = format!("graph = {graph:?}");
    refused(import(&artifact, &told), 3, &["where the boundary's nodes lie", "grid_lat_lon.pt", "boundary_statistics"]);
    // as DMI's builder leaves an artifact whose configuration names the second datastore in the branch's way
    let folder = work.path().join("artifact");
    zip::ZipArchive::new(std::fs::File::open(&artifact).unwrap()).unwrap().extract(&folder).unwrap();
    let config = "datastore: {kind: mdp, config_path: danra.datastore.yaml}\n\
                  datastore_boundary: {kind: mdp, config_path: left_out.datastore.yaml}\n";
    std::fs::write(folder.join("configs/config.yaml"), config).unwrap();
    let told = format!("graph = {:?}", ring.join("graph"));
    refused(import(&folder, &told), 3, &["takes a boundary", "boundary_datastore"]);
    let told = format!("{told}\nboundary_datastore = {:?}", folder.join("configs/driving.datastore.yaml"));
    done(import(&folder, &told));
    std::fs::remove_dir_all(&output).unwrap();
    refused(import(&folder, &format!("{told}\nn_boundary_points = 4")), 3, &["overwrites no frame; leave it out"]);
    // a graph that is made for another grid
    let told = format!("graph = {:?}", around.join("training/graphs/made_up"));
    refused(import(&artifact, &told), 3, &["mesh level(s)"]);
    assert!(!output.exists());
}
