//! `vejr forecast --members` as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use vejr::location::Location;
use vejr::store::{ForecastReader, RunState};

const MODEL: &str = "models/held-suarez-sfno";
const INIT: &str = "data-samples/held-suarez-init.nc";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn forecast(model: &Path, output: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vejr"));
    command.arg("forecast").arg("--model").arg(model).arg("--init").arg(root().join(INIT)).arg("--output").arg(output);
    command.args(["--reference-time", "2001-01-01T12:00Z", "--steps", "4"]).args(more).stdin(Stdio::null());
    command
}

fn run(output: &Path, more: &[&str]) -> Output {
    forecast(&root().join(MODEL), output, more).output().unwrap()
}

fn succeed(output: &Path, more: &[&str]) {
    let done = run(output, more);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn open(place: &Path) -> ForecastReader {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(ForecastReader::open(&Location::parse(place.to_str().unwrap()).unwrap())).unwrap()
}

/// Of all steps and fields.
fn bits(reader: &ForecastReader) -> Vec<u32> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut all = Vec::new();
    for &lead in reader.published_leads() {
        for (output, level) in reader.spec().fields() {
            let output = &reader.spec().outputs[output];
            let field = reader.field(&output.variable.name, output.levels[level], lead);
            all.extend(runtime.block_on(field).unwrap().into_iter().map(f32::to_bits));
        }
    }
    all
}

fn members(place: &Path, count: usize) -> Vec<Vec<u32>> {
    let reader = open(place);
    assert_eq!((reader.whole().state, reader.whole().members.len()), (RunState::Done, count));
    (0..count).map(|member| bits(&reader.of_member(member).unwrap())).collect()
}

#[test]
fn members_are_the_same_in_any_batch_and_after_any_kill() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    succeed(&at("one"), &["--members", "5", "--seed", "3"]);
    let expected = members(&at("one"), 5);
    succeed(&at("four"), &["--members", "5", "--seed", "3", "--member-batch", "4"]);
    assert!(members(&at("four"), 5) == expected, "four side by side");
    succeed(&at("single"), &[]);
    assert!(bits(&open(&at("single"))) == expected[0], "the control is the single forecast");
    // pairs are the same in a larger ensemble, another seed gives others
    succeed(&at("seven"), &["--members", "7", "--seed", "3"]);
    assert!(members(&at("seven"), 7)[..5] == expected[..]);
    succeed(&at("other"), &["--members", "5", "--seed", "4"]);
    let other = members(&at("other"), 5);
    assert!(other[0] == expected[0] && (1..5).all(|member| other[member] != expected[member]));
    for encoding in ["float32", "packed"] {
        let (whole, killed) = (at(&format!("whole-{encoding}")), at(&format!("killed-{encoding}")));
        let options = ["--members", "5", "--seed", "3", "--member-batch", "2", "--encoding", encoding];
        succeed(&whole, &options);
        let (mut kills, mut interrupted) = (0, 0);
        for round in 0..8u64 {
            let mut child = forecast(&root().join(MODEL), &killed, &options)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let moment = Instant::now() + Duration::from_millis(150 + 130 * (round * 5 % 8));
            while Instant::now() < moment && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(5));
            }
            kills += usize::from(child.try_wait().unwrap().is_none());
            child.kill().unwrap();
            child.wait().unwrap();
            interrupted +=
                usize::from(killed.join("forecast.json").exists() && open(&killed).whole().state != RunState::Done);
        }
        succeed(&killed, &options);
        assert!(members(&killed, 5) == members(&whole, 5), "{encoding}");
        println!("{encoding}: {kills} kills, {interrupted} times something was there and not all");
        assert!(kills >= 2 && interrupted >= 1, "the moments miss the run: {kills} {interrupted}");
    }
}

#[test]
fn a_lagged_ensemble_starts_from_older_analyses() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    succeed(&at("lagged"), &["--members", "3", "--perturbation", "lagged:6h"]);
    let lagged = members(&at("lagged"), 3);
    succeed(&at("single"), &[]);
    assert!(bits(&open(&at("single"))) == lagged[0]);
    // member 2 is the forecast from 12 hours before, from its third step on
    let older = at("older");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vejr"));
    command.arg("forecast").arg("--model").arg(root().join(MODEL)).arg("--init").arg(root().join(INIT));
    command.args(["--reference-time", "2001-01-01T00:00Z", "--steps", "6", "--output"]).arg(&older);
    assert!(command.output().unwrap().status.success());
    let (older, step) = (bits(&open(&older)), lagged[0].len() / 5);
    assert!(older[2 * step..] == lagged[2][..]);
    let odd = run(&at("odd"), &["--members", "3", "--perturbation", "lagged:7h"]);
    assert_eq!(odd.status.code(), Some(2), "{}", stderr(&odd));
    let missing = run(&at("missing"), &["--members", "5", "--perturbation", "lagged:6h"]);
    assert_eq!(missing.status.code(), Some(3), "older analyses than there are: {}", stderr(&missing));
}

#[test]
fn what_cannot_be_meant_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("f.zarr");
    let cases: &[(&[&str], &str)] = &[
        (&["--members", "0"], "members"),
        (&["--members", "100000"], "1000"),
        (&["--members", "3", "--member-batch", "0"], "side by side"),
        (&["--members", "3", "--quantiles", "1.5"], "quantile"),
        (&["--members", "3", "--exceed", "rain>1"], "rain"),
        (&["--members", "3", "--exceed", "t 400hPa>1"], "500hPa"),
        (&["--members", "3", "--exceed", "t"], "expected"),
    ];
    for (arguments, says) in cases {
        let output = run(&place, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
    // a package that does not say how members start apart
    let silent = root().join("tests/fixtures/sfno/gauss");
    let output = forecast(&silent, &place, &["--members", "3"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("[perturbation]"), "{}", stderr(&output));
    assert!(!place.exists());
    // and one that says it wrongly: everything at once
    let copy = folder.path().join("package");
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(&silent).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let manifest = std::fs::read_to_string(copy.join("model.toml")).unwrap();
    let wrong = "\n[perturbation]\nkind = \"correlated\"\namplitude = { t = -1.0, rain = 2.0 }\n";
    std::fs::write(copy.join("model.toml"), manifest + wrong).unwrap();
    let output = forecast(&copy, &place, &["--members", "3"]).output().unwrap();
    for part in ["length_scale", "\"t\"", "\"rain\""] {
        assert!(stderr(&output).contains(part), "{part}: {}", stderr(&output));
    }
}

#[test]
fn scores_and_statistics_of_an_ensemble() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("f.zarr");
    succeed(&place, &["--members", "4", "--exceed", "t 850hPa>280", "--quantiles", "0.25"]);
    let statistics = open(&place).statistics().unwrap().unwrap();
    assert_eq!(statistics.published_leads().len(), 5);
    let names: Vec<String> = statistics
        .spec()
        .outputs
        .iter()
        .map(|output| output.variable.name.to_string())
        .filter(|name| name.starts_with("t_"))
        .collect();
    assert!(
        names.starts_with(&["t_mean".into(), "t_spread".into(), "t_q25".into(), "t_850hPa_above_280".into()]),
        "{names:?}"
    );
    let truth = root().join("data-samples/held-suarez-truth-1.nc");
    let scored =
        Command::new(env!("CARGO_BIN_EXE_vejr")).arg("score").arg(&place).arg(&truth).arg("--json").output().unwrap();
    assert!(scored.status.success(), "{}", stderr(&scored));
    let scores: serde_json::Value = serde_json::from_slice(&scored.stdout).unwrap();
    let ensemble = &scores["scores"][0]["ensemble"];
    assert_eq!(ensemble["members"], 4);
    assert_eq!(ensemble["rank_histogram"].as_array().unwrap().len(), 5);
    let number = |name: &str| ensemble[name].as_f64().unwrap();
    assert!(
        number("crps_fair") < number("crps") && number("spread") > 0.0 && number("spread_skill") > 0.0,
        "{ensemble}"
    );
    let told = Command::new(env!("CARGO_BIN_EXE_vejr")).arg("score").arg(&place).arg(&truth).output().unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(text.contains("spread/skill") && text.contains("crps fair"), "{text}");
}
