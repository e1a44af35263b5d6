//! `vejr forecast` as a user runs it: exit codes that say whose fault it is, messages that name everything at once, and
//! a forecast that survives being killed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use ndarray::ArrayD;
use vejr::atmos::Level;
use vejr::location::Location;
use vejr::store::{ForecastReader, RunState};

const STEPS: usize = 24;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A package whose network is small and whose weights are random: steps take a millisecond.
fn package() -> PathBuf {
    root().join("tests/fixtures/sfno/gauss")
}

fn vejr(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vejr"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    vejr(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a test file is to hold.
struct Sample<'a> {
    variable: &'a str,
    units: &'a str,
    levels: &'a [f64],
    value: f32,
}

/// Writes an analysis on the package's grid: 16 Gaussian latitudes, 32 longitudes.
fn write_analysis(path: &Path, samples: &[Sample<'_>]) {
    let package = vejr::model::ModelPackage::open(&package()).unwrap();
    let (h, w) = package.grid().fixed().unwrap().shape();
    let mut file = netcdf::create(path).unwrap();
    file.add_dimension("time", 1).unwrap();
    file.add_dimension("latitude", h).unwrap();
    file.add_dimension("longitude", w).unwrap();
    let mut coordinate = |name: &str, units: &str, values: &[f64]| {
        let mut variable = file.add_variable::<f64>(name, &[name]).unwrap();
        variable.put_attribute("units", units).unwrap();
        variable.put_values(values, ..).unwrap();
    };
    coordinate("time", "hours since 2026-11-23", &[6.0]);
    let (latitude, longitude) = package.grid().fixed().unwrap().rectilinear().unwrap();
    coordinate("latitude", "degrees_north", latitude);
    coordinate("longitude", "degrees_east", longitude);
    for (i, sample) in samples.iter().enumerate() {
        let level = format!("level{i}");
        file.add_dimension(&level, sample.levels.len()).unwrap();
        let mut variable = file.add_variable::<f64>(&level, &[&level]).unwrap();
        variable.put_attribute("units", "hPa").unwrap();
        variable.put_values(sample.levels, ..).unwrap();
        let shape = [1, sample.levels.len(), h, w];
        let values = ArrayD::from_shape_fn(&shape[..], |at| sample.value + (at[1] + at[2] * 3 + at[3]) as f32 * 0.1);
        let mut variable =
            file.add_variable::<f32>(sample.variable, &["time", &level, "latitude", "longitude"]).unwrap();
        variable.put_attribute("units", sample.units).unwrap();
        variable.put(values.view(), ..).unwrap();
    }
}

struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sample = Sample { variable: "t", units: "K", levels: &[3.0, 1.0, 2.0], value: 250.0 };
        write_analysis(&folder.path().join("init.nc"), &[sample]);
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn forecast(&self, output: &str, more: &[&str]) -> Command {
        let (package, init, output, steps) = (package(), self.path("init.nc"), self.path(output), STEPS.to_string());
        let package = package.to_str().unwrap();
        let mut arguments =
            vec!["forecast", "--model", package, "--init", &init, "--output", &output, "--steps", &steps];
        arguments.extend(more);
        vejr(&arguments)
    }
}

fn values(location: &Path) -> Vec<Vec<f32>> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let location = Location::parse(location.to_str().unwrap()).unwrap();
    let reader = runtime.block_on(ForecastReader::open(&location)).unwrap();
    assert_eq!(reader.manifest().state, RunState::Done);
    let mut all = Vec::new();
    for &lead in reader.published_leads() {
        for level in [1.0, 2.0, 3.0] {
            let field = runtime.block_on(reader.field("t", Level::Pressure(level), lead)).unwrap();
            all.push(field.into_iter().collect());
        }
    }
    assert_eq!(all.len(), 3 * (STEPS + 1));
    all
}

#[test]
fn exit_codes_say_whose_fault_it_is() {
    let case = Case::new();
    let (init, out) = (case.path("init.nc"), case.path("out.zarr"));
    let package = package();
    let model = package.to_str().unwrap();
    let blocker = case.path("a-file");
    std::fs::write(&blocker, "").unwrap();
    let under_a_file = format!("{blocker}/f.zarr");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["forecast", "--model", "/nowhere", "--init", &init, "--output", &out], 2, "model.toml"),
        (&["forecast", "--model", model, "--init", &init, "--output", &out, "--lead-time", "7h"], 2, "multiple"),
        (&["forecast", "--model", model, "--init", &init, "--output", &out, "--device", "tpu"], 2, "tpu"),
        (&["forecast", "--model", model, "--init", &init], 2, "--output"),
        (&["forecast", "--model", model, "--init", "/nowhere.nc", "--output", &out], 3, "/nowhere.nc"),
        (&["forecast", "--model", model, "--init", model, "--output", &out], 3, "folder"),
        (
            &["forecast", "--model", model, "--init", &init, "--output", &out, "--reference-time", "2026-11-23T12:00Z"],
            6,
            "has not arrived: the files hold the model's input until 2026-11-23T06:00Z",
        ),
        // what is past does not arrive any more
        (
            &["forecast", "--model", model, "--init", &init, "--output", &out, "--reference-time", "2026-11-23T00:00Z"],
            3,
            "2026-11-23T06:00Z",
        ),
        (&["forecast", "--model", model, "--init", &init, "--output", &out, "--device", "cuda"], 4, "cuda"),
        (&["forecast", "--model", model, "--init", &init, "--output", &under_a_file], 5, "a-file"),
        (&["score", "/nowhere.zarr", &init], 5, "no forecast"),
        (&["inspect", "/nowhere.nc"], 3, "/nowhere.nc"),
        (&["models", "show", "/nowhere"], 2, "model.toml"),
        (&["serve", "--config", "/nowhere.toml"], 2, "/nowhere.toml"),
    ];
    for (arguments, code, says) in cases {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
    assert!(!Path::new(&out).exists(), "a request that fails leaves nothing behind");
}

#[test]
fn everything_wrong_with_the_input_is_said_at_once() {
    let case = Case::new();
    let path = case.folder.path().join("wrong.nc");
    let samples = [
        Sample { variable: "u", units: "kg", levels: &[200.0, 300.0, 500.0, 700.0, 850.0], value: 1.0 },
        Sample { variable: "t", units: "K", levels: &[200.0, 300.0, 500.0, 700.0], value: 250.0 },
    ];
    write_analysis(&path, &samples);
    let model = root().join("models/held-suarez-sfno");
    let output = run(&[
        "forecast",
        "--model",
        model.to_str().unwrap(),
        "--init",
        path.to_str().unwrap(),
        "--output",
        &case.path("o.zarr"),
    ]);
    assert_eq!(output.status.code(), Some(3));
    let message = stderr(&output);
    for part in ["\"kg\"", "m s-1", "850hPa", "sp", "wrong.nc"] {
        assert!(message.contains(part), "{part} is not in:\n{message}");
    }
}

#[test]
fn the_same_request_joins_and_another_one_is_refused() {
    let case = Case::new();
    assert!(case.forecast("f.zarr", &[]).status().unwrap().success());
    let again = case.forecast("f.zarr", &[]).output().unwrap();
    assert!(again.status.success() && String::from_utf8_lossy(&again.stdout).contains("complete already"));
    let other = case.forecast("f.zarr", &["--encoding", "packed"]).output().unwrap();
    assert_eq!(other.status.code(), Some(5), "{}", stderr(&other));
    assert!(stderr(&other).contains("--overwrite"));
    let replaced = case.forecast("f.zarr", &["--encoding", "packed", "--overwrite"]).output().unwrap();
    assert!(replaced.status.success(), "{}", stderr(&replaced));

    std::fs::create_dir(case.path("mine")).unwrap();
    std::fs::write(case.path("mine/thesis.tex"), "years of work").unwrap();
    let output = case.forecast("mine", &["--overwrite"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "what is no forecast is never touched: {}", stderr(&output));
    assert_eq!(std::fs::read_to_string(case.path("mine/thesis.tex")).unwrap(), "years of work");
}

/// Kills a forecast at ever other moments while a reader polls it. The reader never sees a step whose fields are not all
/// there; the same command finishes the run, bit for bit as if nothing had happened.
fn survives_kills(encoding: &str) {
    let case = Case::new();
    assert!(case.forecast("whole.zarr", &["--encoding", encoding]).status().unwrap().success());
    let expected = values(&case.folder.path().join("whole.zarr"));
    let place = case.folder.path().join("killed.zarr");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let location = Location::parse(place.to_str().unwrap()).unwrap();
    let (mut kills, mut seen) = (0, 0);
    for round in 0..20u64 {
        let mut child = case
            .forecast("killed.zarr", &["--encoding", encoding, "--json"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // spread over the life of a run: the reader looks until the moment has come
        let moment = std::time::Instant::now() + Duration::from_millis(5 + 17 * (round * 7 % 20));
        while std::time::Instant::now() < moment {
            let Ok(reader) = runtime.block_on(ForecastReader::open(&location)) else { continue };
            if let Some(&lead) = reader.published_leads().last() {
                for level in [1.0, 2.0, 3.0] {
                    let field = runtime.block_on(reader.field("t", Level::Pressure(level), lead)).unwrap();
                    let step = reader.published_leads().len() - 1;
                    assert_eq!(field.into_iter().collect::<Vec<f32>>(), expected[3 * step + level as usize - 1]);
                    seen += 1;
                }
            }
        }
        let finished = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        kills += usize::from(!finished);
        if finished {
            std::fs::remove_dir_all(&place).unwrap();
        }
    }
    assert!(kills >= 5 && seen > 0, "{kills} kills, {seen} fields seen: the moments miss the run");
    let last = case.forecast("killed.zarr", &["--encoding", encoding]).output().unwrap();
    assert!(last.status.success(), "{}", stderr(&last));
    assert_eq!(values(&place), expected);
    assert!(!place.join("restart").exists() || std::fs::read_dir(place.join("restart")).unwrap().next().is_none());
}

#[test]
fn a_killed_forecast_is_never_half_and_resumes_to_the_same_bits() {
    survives_kills("float32");
}

#[test]
fn so_does_a_packed_one() {
    survives_kills("packed");
}

#[test]
fn two_writers_never_mix() {
    let case = Case::new();
    let children: Vec<_> = (0..4)
        .map(|_| case.forecast("f.zarr", &[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    let outputs: Vec<Output> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
    assert!(outputs.iter().any(|output| output.status.success()));
    for output in outputs.iter().filter(|output| !output.status.success()) {
        assert_eq!(output.status.code(), Some(5));
        assert!(stderr(output).contains("another process"), "{}", stderr(output));
    }
    values(&case.folder.path().join("f.zarr"));
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let case = Case::new();
    let mut results = Vec::new();
    for threads in ["1", "2", "5"] {
        let output = format!("{threads}.zarr");
        assert!(case.forecast(&output, &[]).env("RAYON_NUM_THREADS", threads).status().unwrap().success());
        results.push(values(&case.folder.path().join(output)));
    }
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_forecast_that_becomes_unphysical_stops_before_the_step_is_published() {
    let case = Case::new();
    let copy = case.folder.path().join("package");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(package()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    // random weights leave this range in their first step
    let manifest = std::fs::read_to_string(copy.join("model.toml")).unwrap().replace("[-1e6, 1e6]", "[249.0, 260.0]");
    std::fs::write(copy.join("model.toml"), manifest).unwrap();
    let (init, out) = (case.path("init.nc"), case.path("f.zarr"));
    let output =
        run(&["forecast", "--model", copy.to_str().unwrap(), "--init", &init, "--output", &out, "--steps", "4"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("t 1hPa") && stderr(&output).contains("°N"), "{}", stderr(&output));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reader = runtime.block_on(ForecastReader::open(&Location::parse(&out).unwrap())).unwrap();
    assert_eq!((reader.manifest().state, reader.manifest().steps_complete), (RunState::Failed, 1));
    assert!(reader.manifest().reason.as_ref().unwrap().contains("unphysical"));
}
