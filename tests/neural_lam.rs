//! From DMI's inference artifact to the forecast, as a user goes: `vejr models import`, `vejr forecast`, and the result is the
//! reference's, boundaries included. The case in `fixtures/neural-lam/artifact` comes from `models/neural-lam/artifact.py`;
//! more may lie at `../shared/oracles/dmi` (or where `VEJR_ORACLES` says).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

#[path = "common/command.rs"]
mod command;
#[path = "common/python.rs"]
mod python;

use command::{done, refused, vejr};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn fixture() -> PathBuf {
    Path::new(ROOT).join("tests/fixtures/neural-lam/artifact/danra_hi_lam")
}

struct Case {
    folder: PathBuf,
    steps: String,
    time: String,
}

impl Case {
    fn read(folder: PathBuf) -> Self {
        let case: Value = serde_json::from_slice(&std::fs::read(folder.join("case.json")).unwrap()).unwrap();
        let time = case["init_time"].as_str().unwrap().to_owned();
        Self { steps: case["steps"].to_string(), time, folder }
    }

    fn import(&self, work: &Path) -> PathBuf {
        let case: Value = serde_json::from_slice(&std::fs::read(self.folder.join("case.json")).unwrap()).unwrap();
        let params = work.join("params.toml");
        std::fs::write(&params, format!("n_boundary_points = {}\n", case["n_boundary_points"])).unwrap();
        let package = work.join("package");
        let artifact = self.folder.join("artifact.zip");
        done(vejr(&[&"models", &"import", &artifact, &"--output", &package, &"--params", &params]));
        package
    }

    fn forecast(&self, package: &Path, kind: &str, output: &Path, more: &[&str]) -> Output {
        let stores = ["single_levels", "pressure_levels"].map(|name| self.folder.join(format!("inputs/{name}.{kind}")));
        let mut command = Command::new(env!("CARGO_BIN_EXE_vejr"));
        command.args(["forecast", "--model"]).arg(package).arg("--init").args(&stores).arg("--boundary").args(&stores);
        command.args(["--reference-time", &self.time, "--steps", &self.steps, "--output"]).arg(output);
        command.args(more).output().unwrap()
    }
}

/// Ours, and those that lie beside the project.
fn cases() -> Vec<Case> {
    let mut folders = vec![fixture()];
    let oracles = std::env::var_os("VEJR_ORACLES").map_or(Path::new(ROOT).join("../shared/oracles"), PathBuf::from);
    match std::fs::read_dir(oracles.join("dmi")) {
        Ok(entries) => folders.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())),
        Err(_) => eprintln!("SKIPPED: there is no {}", oracles.join("dmi").display()),
    }
    folders.into_iter().map(Case::read).collect()
}

#[test]
fn forecasts_are_the_reference_s() {
    let Some(python) = python::with(&["xarray", "zarr", "netCDF4"]) else { return };
    for case in cases() {
        let work = tempfile::tempdir().unwrap();
        let package = case.import(work.path());
        for kind in ["nc", "zarr"] {
            if !case.folder.join(format!("inputs/single_levels.{kind}")).exists() {
                continue;
            }
            let output = work.path().join(format!("{kind}.zarr"));
            done(case.forecast(&package, kind, &output, &[]));
            let mut compare = Command::new(&python);
            compare
                .arg(Path::new(ROOT).join("tests/clients/compare.py"))
                .arg(&output)
                .arg(case.folder.join("expected"));
            let report = python::run(&mut compare);
            println!(
                "{} from {kind}: {}",
                case.folder.file_name().unwrap().display(),
                report.trim().replace('\n', ", ")
            );
            for line in report.lines() {
                let error: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
                assert!(error < 1e-5, "{line}");
            }
        }
    }
}

#[test]
fn what_a_limited_area_needs_is_asked_for_before_the_first_step() {
    let work = tempfile::tempdir().unwrap();
    let case = Case::read(fixture());
    let package = case.import(work.path());
    let output = work.path().join("f.zarr");
    let stores = ["single_levels", "pressure_levels"].map(|name| case.folder.join(format!("inputs/{name}.nc")));
    let base = |more: &[&dyn AsRef<std::ffi::OsStr>]| {
        let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> =
            vec![&"forecast", &"--model", &package, &"--output", &output];
        arguments.extend(more);
        vejr(&arguments)
    };
    let time: &[&dyn AsRef<std::ffi::OsStr>] = &[&"--reference-time", &case.time, &"--steps", &"2"];
    let init: &[&dyn AsRef<std::ffi::OsStr>] = &[&"--init", &stores[0], &stores[1]];
    refused(base(&[init, time].concat()), 2, &["--boundary"]);
    // the store ends before the forecast does
    let long: &[&dyn AsRef<std::ffi::OsStr>] =
        &[&"--boundary", &stores[0], &stores[1], &"--reference-time", &case.time, &"--steps", &"40"];
    refused(base(&[init, long].concat()), 3, &["expected 2020-03-28T00:00Z, 2020-03-28T03:00Z", "2020-04-01T06:00Z"]);
    let half: &[&dyn AsRef<std::ffi::OsStr>] = &[&"--boundary", &stores[0]];
    refused(base(&[init, half, time].concat()), 3, &["z 850hPa", "no such variable"]);
    assert!(!output.exists());
    // a global model has no boundary
    let global = Path::new(ROOT).join("models/held-suarez-sfno");
    let analysis = Path::new(ROOT).join("data-samples/held-suarez-init.nc");
    let asked =
        vejr(&[&"forecast", &"--model", &global, &"--init", &analysis, &"--boundary", &analysis, &"--output", &output]);
    refused(asked, 2, &["takes no boundary"]);
}

#[test]
fn a_run_that_was_cut_off_goes_on_to_the_same_bits() {
    let work = tempfile::tempdir().unwrap();
    let case = Case::read(fixture());
    let package = case.import(work.path());
    let (whole, cut) = (work.path().join("whole.zarr"), work.path().join("cut.zarr"));
    done(case.forecast(&package, "nc", &whole, &[]));
    done(case.forecast(&package, "nc", &cut, &[]));
    // as if it had been killed while the third step was computed
    let manifest = cut.join("forecast.json");
    let mut json: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    json["state"] = "running".into();
    json["steps_complete"] = 3.into();
    json["steps"].as_array_mut().unwrap().truncate(3);
    json["series"] = false.into();
    std::fs::write(&manifest, json.to_string()).unwrap();
    let again = done(case.forecast(&package, "nc", &cut, &[]));
    assert!(again.contains("2 of 4 steps computed"), "{again}");
    let steps = |folder: &Path| -> Value {
        let json: Value = serde_json::from_slice(&std::fs::read(folder.join("forecast.json")).unwrap()).unwrap();
        json["steps"].clone()
    };
    assert_eq!(steps(&whole), steps(&cut));
}

#[test]
fn winds_are_labelled_and_turned_on_request() {
    let Some(python) = python::with(&["xarray", "zarr", "pyproj"]) else { return };
    let work = tempfile::tempdir().unwrap();
    let case = Case::read(fixture());
    let package = case.import(work.path());
    let (grid, turned) = (work.path().join("grid.zarr"), work.path().join("true.zarr"));
    done(case.forecast(&package, "nc", &grid, &[]));
    done(case.forecast(&package, "nc", &turned, &["--winds", "true"]));
    let script = "
import sys, numpy as np, pyproj, xarray
grid, turned = (xarray.open_zarr(path).isel(reference_time=0).load() for path in sys.argv[1:])
names = [grid.u10m.standard_name, grid.v10m.standard_name, turned.u10m.standard_name, turned.v10m.standard_name]
assert names == ['x_wind', 'y_wind', 'eastward_wind', 'northward_wind'], names
# Snyder 1987, eq. 14-4: a Lambert cone with one standard parallel
angle = np.radians(np.sin(np.radians(56.7)) * (grid.longitude - 25.0))
east = grid.u10m * np.cos(angle) + grid.v10m * np.sin(angle)
north = grid.v10m * np.cos(angle) - grid.u10m * np.sin(angle)
assert abs(turned.u10m - east).max() < 1e-5 and abs(turned.v10m - north).max() < 1e-5
assert abs(turned.u10m - grid.u10m).max() > 1
assert (turned.t2m == grid.t2m).all() and 'crs' in str(grid.t2m.attrs.get('grid_mapping', grid.t2m.encoding))
";
    python::run(Command::new(python).args(["-c", script]).args([&grid, &turned]));
    // cut off and resumed, it goes on from what the model made
    let manifest = turned.join("forecast.json");
    let whole: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    assert_eq!(whole["restart_apart"], true);
    let kept = std::fs::read_dir(turned.join("restart")).map_or(0, Iterator::count);
    assert_eq!(kept, 0, "nothing is kept of what only a resumed run needs");
    let global = Path::new(ROOT).join("models/held-suarez-sfno");
    let analysis = Path::new(ROOT).join("data-samples/held-suarez-init.nc");
    let output = work.path().join("global.zarr");
    let asked =
        vejr(&[&"forecast", &"--model", &global, &"--init", &analysis, &"--output", &output, &"--winds", &"true"]);
    refused(asked, 2, &["winds are turned on projected grids"]);
}

#[test]
fn what_cannot_be_imported_is_named_at_once() {
    let work = tempfile::tempdir().unwrap();
    let output = work.path().join("package");
    let import = |source: &Path| vejr(&[&"models", &"import", &source, &"--output", &output]);
    refused(import(&work.path().join("nowhere.zip")), 3, &["nowhere.zip"]);
    let other = work.path().join("other.zip");
    std::fs::write(&other, "no zip").unwrap();
    refused(import(&other), 3, &["neither an inference artifact"]);
    refused(import(&Path::new(ROOT).join("tests")), 3, &["checkpoint.pkl"]);

    // several things wrong with one artifact
    let folder = work.path().join("artifact");
    let file = std::fs::File::open(fixture().join("artifact.zip")).unwrap();
    zip::ZipArchive::new(file).unwrap().extract(&folder).unwrap();
    let config = folder.join("configs/danra.datastore.yaml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        text.replace("calculate_hour_of_day", "moon_phase").replace("- x\n        - y", "- y\n        - x"),
    )
    .unwrap();
    let settings = folder.join("configs/config.yaml");
    let yaml = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, yaml.replace("t2m:", "t3m:")).unwrap();
    refused(import(&folder), 3, &["moon_phase", "[\"y\", \"x\"]", "no feature t3m"]);
    assert!(!output.exists());
    // weights of another network than the settings tell
    std::fs::write(&config, text).unwrap();
    std::fs::write(&settings, yaml.replace("kind: mdp", "kind: npyfilesmeps")).unwrap();
    refused(import(&folder), 3, &["npyfilesmeps"]);
}

/// A checkpoint that would run a command where Python reads it.
#[test]
fn a_hostile_checkpoint_is_refused_and_runs_nothing() {
    let work = tempfile::tempdir().unwrap();
    let folder = work.path().join("artifact");
    let file = std::fs::File::open(fixture().join("artifact.zip")).unwrap();
    zip::ZipArchive::new(file).unwrap().extract(&folder).unwrap();
    let touched = work.path().join("touched");
    let command = format!("touch {}", touched.display());
    let length = u32::try_from(command.len()).unwrap().to_le_bytes();
    // {"state_dict": os.system(command)}
    let pickle =
        [b"\x80\x02}X\x0a\0\0\0state_dictcos\nsystem\nX".as_slice(), &length, command.as_bytes(), b"\x85Rs."].concat();
    let mut archive = zip::ZipWriter::new(std::fs::File::create(folder.join("checkpoint.pkl")).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("last/data.pkl", options).unwrap();
    std::io::Write::write_all(&mut archive, &pickle).unwrap();
    archive.finish().unwrap();
    let output = work.path().join("package");
    let import = vejr(&[&"models", &"import", &folder, &"--output", &output]);
    refused(import, 3, &["checkpoint.pkl", "os.system", "made to harm"]);
    assert!(!touched.exists() && !output.exists());
}

/// Copies a folder of files.
fn copied(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

/// Graphs whose files were mixed up or left out.
#[test]
fn a_graph_that_does_not_fit_is_refused() {
    let network = Path::new(ROOT).join("tests/fixtures/neural-lam/networks/hi_lam_parallel_3_levels");
    let flat = Path::new(ROOT).join("tests/fixtures/neural-lam/networks/graph_lam_propagation/graph");
    let work = tempfile::tempdir().unwrap();
    let attempt = |name: &str, change: &dyn Fn(&Path)| {
        let folder = work.path().join(name);
        copied(&network.join("graph"), &folder);
        change(&folder);
        let error = vejr::import::read_network(&network.join("checkpoint.ckpt"), &folder).unwrap_err();
        println!("{name}: {error}");
        error.to_string()
    };
    let swap = |folder: &Path, a: &str, b: &str| {
        std::fs::copy(network.join("graph").join(b), folder.join(a)).unwrap();
    };
    let named = |error: String, words: &[&str]| {
        words.iter().for_each(|word| assert!(error.contains(word), "{word:?} is not in: {error}"));
    };
    let missing = attempt("missing", &|folder| std::fs::remove_file(folder.join("m2m_features.pt")).unwrap());
    named(missing, &["m2m_features.pt"]);
    let features = attempt("features", &|folder| swap(folder, "g2m_edge_index.pt", "g2m_features.pt"));
    named(features, &["g2m_edge_index.pt", "expected [2, edges]"]);
    let places = attempt("places", &|folder| swap(folder, "mesh_features.pt", "m2m_edge_index.pt"));
    named(places, &["mesh nodes have"]);
    let ends = attempt("ends", &|folder| swap(folder, "m2g_edge_index.pt", "g2m_edge_index.pt"));
    named(ends, &["m2g"]);
    let levels = attempt("levels", &|folder| swap(folder, "mesh_up_edge_index.pt", "m2m_edge_index.pt"));
    named(levels, &["mesh_up_edge_index.pt", "one of each per level"]);
    let other = attempt("other", &|folder| {
        std::fs::copy(flat.join("mesh_features.pt"), folder.join("mesh_features.pt")).unwrap();
    });
    named(other, &["mesh level"]);
    let cut = attempt("cut", &|folder| {
        let bytes = std::fs::read(folder.join("m2g_features.pt")).unwrap();
        std::fs::write(folder.join("m2g_features.pt"), &bytes[..bytes.len() / 2]).unwrap();
    });
    named(cut, &["m2g_features.pt"]);
}

/// A manifest that asks for more than any network has: all of it is named, nothing is made.
#[test]
fn hyperparameters_out_of_range_are_named_at_once() {
    let work = tempfile::tempdir().unwrap();
    let package = Case::read(fixture()).import(work.path());
    let path = package.join("model.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut manifest: toml::Table = text.parse().unwrap();
    let arch = manifest["arch"].as_table_mut().unwrap();
    let asked = [
        ("hidden_dim", 99_999_999_i64),
        ("hidden_dim_grid", 0),
        ("hidden_layers", 1_000_000),
        ("processor_layers", i64::MAX),
        ("mesh_levels", 4_000_000_000),
        ("num_past_forcing_steps", 5_000_000),
        ("num_future_forcing_steps", 5_000_000),
    ];
    for (key, value) in asked {
        arch.insert(key.to_owned(), value.into());
    }
    arch.insert("graph".to_owned(), toml::Table::from_iter([("levels".to_owned(), i64::MAX.into())]).into());
    std::fs::write(&path, manifest.to_string()).unwrap();
    let keys: Vec<String> = asked.iter().map(|(key, _)| format!("[arch] {key}: found ")).collect();
    let mut words: Vec<&str> = keys.iter().map(String::as_str).collect();
    words.push("[arch] graph.levels: found ");
    refused(vejr(&[&"models", &"show", &package]), 2, &words);
    let arch = manifest["arch"].as_table_mut().unwrap();
    arch.insert("hidden_dim".to_owned(), (-1).into());
    std::fs::write(&path, manifest.to_string()).unwrap();
    refused(vejr(&[&"models", &"show", &package]), 2, &["[arch]"]);
}
