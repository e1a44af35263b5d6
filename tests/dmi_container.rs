//! `vejr dmi-container`, driven as DMI's infrastructure drives it: by environment variables alone. Right and wrong
//! configurations, with their exit codes, messages and outputs; stores in folders and on an S3 server.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[path = "common/python.rs"]
mod python;
#[path = "common/s3.rs"]
mod s3;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const INPUTS: &str =
    "t2m=air_temperature:K,u10m,v10m:m s-1,pres_seasurface:Pa,z:m2 s-2@pressure,t:K@pressure,r@pressure";
const OUTPUTS: &str = "t2m=air_temperature:K,pres_seasurface";

type Pairs<'a> = &'a [(&'a str, &'a str)];

/// A package of a limited-area model, and stores to start it from.
struct Rig {
    work: tempfile::TempDir,
    python: PathBuf,
}

impl Rig {
    fn new() -> Option<Self> {
        let python = python::with(&["xarray", "zarr", "netCDF4", "boto3"])?;
        let rig = Self { work: tempfile::tempdir().unwrap(), python };
        std::fs::write(rig.path("params.toml"), "n_boundary_points = 4\n").unwrap();
        let import = Command::new(env!("CARGO_BIN_EXE_vejr"))
            .args(["models", "import"])
            .arg(fixture("artifact.zip"))
            .args(["--output", &rig.path("package"), "--params", &rig.path("params.toml")])
            .output()
            .unwrap();
        assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
        rig.make(&rig.path("in.zarr"), "3", &[]);
        Some(rig)
    }

    fn path(&self, name: &str) -> String {
        self.work.path().join(name).to_str().unwrap().to_owned()
    }

    fn client(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(Path::new(ROOT).join("tests/clients/dmi_container.py")).args(arguments);
        command
    }

    fn make(&self, store: &str, format: &str, changes: &[&str]) {
        let inputs = fixture("inputs");
        python::run(&mut self.client(&[&["make", inputs.to_str().unwrap(), store, format], changes].concat()));
    }

    fn check(&self, output: &str, input: &str) -> String {
        let expected = fixture("expected");
        python::run(&mut self.client(&["check", output, input, expected.to_str().unwrap()]))
    }

    /// A right configuration with changes; an empty value takes a variable away.
    fn run(&self, changes: Pairs<'_>) -> Output {
        let (input, output) = (self.path("in.zarr"), self.path("out.zarr"));
        let base = [
            ("INPUT_ZARR", input.as_str()),
            ("OUTPUT_ZARR", &output),
            ("INPUT_VARIABLES", INPUTS),
            ("OUTPUT_VARIABLES", OUTPUTS),
            ("LEVEL_COORDS", "pressure:500/850/1000"),
            ("N_INPUT_TIMESTEPS", "3"),
            ("N_FORECAST_STEPS", "4"),
            ("DEVICE", "cpu"),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_vejr"));
        command.env_clear().args(["dmi-container", "--model", &self.path("package")]);
        command.envs(base).envs(changes.iter().copied());
        changes.iter().filter(|(_, value)| value.is_empty()).for_each(|(name, _)| {
            command.env_remove(name);
        });
        command.output().unwrap()
    }

    #[track_caller]
    fn ends(&self, changes: Pairs<'_>, code: i32, words: &[&str]) -> String {
        let output = self.run(changes);
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{changes:?}\n{log}");
        for word in words {
            assert!(log.contains(word), "{word:?} is not in:\n{log}");
        }
        let first = log.lines().next().unwrap_or_default();
        assert!(first.contains("Starting vejr ") && !log.contains("panicked"), "{log}");
        log
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(ROOT).join("tests/fixtures/neural-lam/artifact/danra_hi_lam").join(name)
}

#[test]
fn right_configurations_give_the_reference_s_forecast() {
    let Some(rig) = Rig::new() else { return };
    // the fixture predicts at 850 and 500 hPa; the input has one level more
    let levels = ("LEVEL_COORDS", "pressure:500/850/1000,isobaricInPa:85000/50000,isobaricInhPa:500/850");
    let log = rig.ends(
        &[
            levels,
            ("OUTPUT_VARIABLES", "t2m=air_temperature:K,t:degC@isobaricInPa,r@isobaricInhPa"),
            ("N_FORECAST_STEP", "9"),
        ],
        0,
        &[
            "Effective configuration",
            "N_FORECAST_STEPS  = 4",
            "FORECAST_TIMESTEP = unset (inferred from input)",
            "Did you mean N_FORECAST_STEPS?",
            "Input validated: 7 variable(s), 8 timestep(s), grid 32x26",
            "2020-03-27T06:00Z",
            "Done in",
        ],
    );
    println!("{log}");
    let report = rig.check(&rig.path("out.zarr"), &rig.path("in.zarr"));
    println!("{report}");
    assert!(report.contains("variables danra_projection r t t2m\n"), "{report}");
    assert!(report.contains("attributes|t2m|air_temperature|K\nerror t2m"), "{report}");
    assert!(report.contains("attributes|t|air_temperature|degC"), "{report}");

    // rows and columns the other way, version 2, and an output there already, which is replaced
    rig.make(&rig.path("flipped.zarr"), "2", &["flipped"]);
    let (flipped, text) = (rig.path("flipped.zarr"), "OUTPUT_VARIABLES");
    let changes: Pairs<'_> = &[("INPUT_ZARR", &flipped), levels, (text, "u10m,z@isobaricInhPa")];
    rig.ends(changes, 0, &["Zarr format 2"]);
    let report = rig.check(&rig.path("out.zarr"), &flipped);
    assert!(report.contains("variables danra_projection u10m z\n"), "{report}");
    assert!(
        Path::new(&rig.path("out.zarr/.zmetadata")).exists() && !Path::new(&rig.path("out.zarr/zarr.json")).exists()
    );

    // what a killed run leaves has no group, and does not stand in the way
    for document in [".zgroup", ".zmetadata", ".zattrs"] {
        std::fs::remove_file(rig.path(&format!("out.zarr/{document}"))).unwrap();
    }
    rig.ends(changes, 0, &["Zarr format 2"]);

    // another format than the input's; settings of the stand-in are told to have no effect
    rig.ends(
        &[("ZARR_FORMAT", "2"), ("OUTPUT_MODE", "zeros"), ("OUTPUT_VARIABLES", "t2m:K"), ("FORECAST_TIMESTEP", "PT3H")],
        0,
        &["OUTPUT_MODE has no effect", "FORECAST_TIMESTEP = 3h"],
    );
    rig.check(&rig.path("out.zarr"), &rig.path("in.zarr"));
}

#[test]
fn wrong_configurations_end_with_2_and_all_that_is_wrong() {
    let Some(rig) = Rig::new() else { return };
    rig.ends(
        &[
            ("INPUT_ZARR", ""),
            ("OUTPUT_VARIABLES", " "),
            ("INPUT_VARIABLES", "t2m,t@nowhere,t2m"),
            ("N_FORECAST_STEPS", "0"),
            ("FORECAST_TIMESTEP", "soon"),
            ("DEVICE", "tpu"),
            ("OUTPUT_MODE", "vibes"),
            ("MODEL_LAYERS", "1"),
        ],
        2,
        &[
            "INPUT_ZARR is required",
            "OUTPUT_VARIABLES is required",
            "\"nowhere\", which LEVEL_COORDS does not declare",
            "\"t2m\" is declared twice",
            "N_FORECAST_STEPS must be",
            "FORECAST_TIMESTEP must be",
            "DEVICE must be one of auto, cuda, cpu, found \"tpu\"",
            "OUTPUT_MODE must be one of",
            "MODEL_LAYERS must be at least 2",
        ],
    );
    rig.ends(&[("N_FORECAST_STEPS", "")], 2, &["N_FORECAST_STEPS is -1", "this model forecasts"]);
    rig.ends(&[("OUTPUT_ZARR", &rig.path("in.zarr"))], 2, &["lie in each other"]);
    rig.ends(
        &[("OUTPUT_VARIABLES", "tp:mm,t2m:Pa,t@pressure,t2m=wind_speed"), ("N_INPUT_TIMESTEPS", "1")],
        2,
        &["is declared twice"],
    );
    rig.ends(
        &[("OUTPUT_VARIABLES", "tp:mm,t2m:Pa,t@pressure"), ("N_INPUT_TIMESTEPS", "1")],
        2,
        &["does not predict it", "t2m is predicted in K", "t is not predicted at 1000", "selects fewer states"],
    );
    rig.ends(
        &[("LEVEL_COORDS", "pressure:500/850/1000,layer:500"), ("OUTPUT_VARIABLES", "t@layer")],
        2,
        &["\"layer\"", "isobaricInhPa"],
    );
    rig.ends(&[("N_FORECAST_STEPS", "9223372036854775807")], 2, &["more than a forecast has"]);
    rig.ends(&[("FORECAST_TIMESTEP", "PT4H"), ("OUTPUT_VARIABLES", "t2m")], 2, &["no multiple of the time step"]);
    rig.ends(
        &[("SRC_S3_ANON", "perhaps"), ("INPUT_ZARR", "s3://b/a.zarr"), ("OUTPUT_VARIABLES", "t2m")],
        2,
        &["SRC_S3_ANON"],
    );
    assert!(!Path::new(&rig.path("out.zarr")).exists());
}

#[test]
fn wrong_stores_end_with_3_devices_with_4_storage_with_5() {
    let Some(rig) = Rig::new() else { return };
    let t2m = ("OUTPUT_VARIABLES", "t2m:K");
    rig.ends(
        &[
            t2m,
            ("LEVEL_COORDS", "pressure:900/400,height:2"),
            ("INPUT_VARIABLES", "missing_one,missing_two,t2m=air_pressure:degC,t:K,u10m@pressure,v10m@height"),
        ],
        3,
        &[
            "\"missing_one\"",
            "\"missing_two\"",
            "the units \"K\"; INPUT_VARIABLES declares \"degC\"",
            "the standard_name \"air_temperature\"",
            "variable \"t\" has the dimensions",
            "variable \"u10m\" has the dimensions",
            "LEVEL_COORDS declares pressure:900/400",
            "\"height\" (from LEVEL_COORDS) is not in the input",
        ],
    );
    rig.ends(&[t2m, ("INPUT_ZARR", &rig.path("nope.zarr"))], 3, &["no Zarr store is there"]);
    let file = fixture("inputs/single_levels.nc");
    rig.ends(&[t2m, ("INPUT_ZARR", file.to_str().unwrap())], 3, &["is a file; a Zarr store"]);
    rig.ends(&[t2m, ("N_INPUT_TIMESTEPS", "30")], 3, &["only 8"]);
    rig.ends(
        &[t2m, ("N_INPUT_TIMESTEPS", "")],
        3,
        &["2020-03-28T00:00Z", "covers a limited area", "N_INPUT_TIMESTEPS selects"],
    );
    rig.ends(&[t2m, ("X_COORD", "pressure")], 3, &["X_COORD=\"pressure\" is not identified", "x"]);
    for (change, words) in [
        ("uneven", "\"x\" is not evenly spaced"),
        ("nameless", "no time coordinate"),
        ("gap", "\"time\" is not evenly"),
    ] {
        let store = rig.path(&format!("{change}.zarr"));
        rig.make(&store, "3", &[change]);
        rig.ends(&[t2m, ("INPUT_ZARR", &store)], 3, &[words]);
    }
    rig.ends(&[t2m, ("DEVICE", "cuda")], 4, &["DEVICE"]);
    rig.ends(&[t2m, ("OUTPUT_ZARR", "/proc/nowhere/out.zarr")], 5, &["/proc/nowhere/out.zarr", "can be written"]);
    // what is no store is not replaced
    std::fs::create_dir(rig.path("out.zarr")).unwrap();
    std::fs::write(rig.path("out.zarr/thesis.txt"), "years of work").unwrap();
    rig.ends(&[t2m], 5, &["thesis.txt is there"]);
    assert!(Path::new(&rig.path("out.zarr/thesis.txt")).exists());
    // nobody answers at this endpoint
    let nobody: Pairs<'_> =
        &[t2m, ("INPUT_ZARR", "s3://forecasts/in.zarr"), ("SRC_S3_ENDPOINT_URL", "http://127.0.0.1:9")];
    rig.ends(nobody, 5, &["s3://forecasts/in.zarr", "SRC_AWS_PROFILE", "SRC is anonymous"]);
}

#[test]
fn each_side_has_its_own_object_store() {
    let Some(rig) = Rig::new() else { return };
    let (Some(one), Some(other)) = (s3::S3Server::start(), s3::S3Server::start()) else { return };
    let (input, output) = ("s3://forecasts/a/in.zarr", "s3://forecasts/b/out.zarr");
    python::run(&mut rig.client(&["upload", &one.endpoint, &rig.path("in.zarr"), "a/in.zarr"]));
    // one profile carries endpoint, region and credentials; the other side says all of it itself
    let config = format!("[profile there]\nregion = us-east-1\nendpoint_url = {}\n", other.endpoint);
    std::fs::write(rig.path("config"), config).unwrap();
    std::fs::write(rig.path("credentials"), "[there]\naws_access_key_id = test\naws_secret_access_key = hush\n")
        .unwrap();
    let log = rig.ends(
        &[
            ("INPUT_ZARR", input),
            ("OUTPUT_ZARR", output),
            ("OUTPUT_VARIABLES", "t2m:K"),
            ("SRC_S3_ENDPOINT_URL", &one.endpoint),
            ("SRC_AWS_ACCESS_KEY_ID", "test"),
            ("SRC_AWS_SECRET_ACCESS_KEY", "hush"),
            ("DST_AWS_PROFILE", "there"),
            ("AWS_CONFIG_FILE", &rig.path("config")),
            ("AWS_SHARED_CREDENTIALS_FILE", &rig.path("credentials")),
        ],
        0,
        &["DST storage:", "profile there", "***"],
    );
    assert!(!log.contains("hush"), "{log}");
    python::run(&mut rig.client(&["download", &other.endpoint, "b/out.zarr", &rig.path("fetched.zarr")]));
    rig.check(&rig.path("fetched.zarr"), &rig.path("in.zarr"));
    // another profile does not exist: nothing is fallen back to
    rig.ends(&[("INPUT_ZARR", input), ("SRC_AWS_PROFILE", "nobody")], 2, &["there is no profile \"nobody\""]);
}

#[test]
fn forecasts_go_into_dmi_s_own_stores() {
    let Some(rig) = Rig::new() else { return };
    let stores = ["single_levels", "pressure_levels"].map(|kind| fixture(&format!("inputs/{kind}.nc")));
    let forecast = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vejr"));
        command
            .args(["forecast", "--model", &rig.path("package"), "--init"])
            .args(&stores)
            .arg("--boundary")
            .args(&stores);
        command.args(["--reference-time", "2020-03-27T06:00", "--steps", "4", "--output", &rig.path("f.zarr")]);
        command.args(["--dmi-stores", &rig.path("dmi"), "--dmi-config", "fake"]).output().unwrap()
    };
    // the second time, the forecast is there already and the stores are replaced
    for _ in 0..2 {
        let output = forecast();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let expected = fixture("expected");
        let report = python::run(&mut rig.client(&["layout", &rig.path("dmi"), expected.to_str().unwrap()]));
        println!("{report}");
        for kind in ["single_levels", "pressure_levels"] {
            let path = format!("dx2p5km_dy2p5km/2020-03-27T0600Z/member0/{kind}.zarr\n");
            assert!(report.contains(&path) && report.starts_with("danra_hi_lam/fake/w"), "{report}");
        }
    }
}
