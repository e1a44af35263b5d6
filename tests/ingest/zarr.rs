//! Zarr stores as xarray and others write them: read like the NetCDF file with the same fields.

use std::path::{Path, PathBuf};
use std::process::Command;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use vejr::atmos::Level;
use vejr::ingest::{Inventory, Isolation, Range};

use crate::*;

/// Stores of every kind, and `reference.nc`.
fn stores() -> Option<tempfile::TempDir> {
    let python = python::with(&["xarray", "zarr", "netCDF4"])?;
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ingest/stores.py");
    python::run(Command::new(python).arg(script).arg(folder.path()));
    Some(folder)
}

type Understood = Vec<(String, Option<String>, Vec<Level>, Vec<String>, Range)>;

/// All that is known of the variables of a file, in the order of their names.
fn understood(path: &Path) -> Understood {
    let inventory = Inventory::open(&[path.to_owned()], &Isolation::None)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut all: Understood = inventory
        .variables()
        .map(|(file, variable)| {
            let ours = variable.recognition.variable().map(|ours| ours.name.to_string());
            let times = variable.times.iter().map(ToString::to_string).collect();
            let range = inventory.range(file, variable).unwrap();
            (variable.name.clone(), ours, variable.levels.clone(), times, range)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// A humidity field of a store.
fn humidity(path: &Path) -> Vec<f32> {
    let analysis = read(path, &[("q", Level::Pressure(500.0))], &["2024-02-29T00:00Z"]).unwrap();
    values(&analysis, "q", Level::Pressure(500.0))
}

#[test]
fn every_form_of_a_store_reads_like_the_netcdf_file() {
    let Some(folder) = stores() else { return };
    let reference = folder.path().join("reference.nc");
    let (expected, field) = (understood(&reference), humidity(&reference));
    assert_eq!(expected.len(), 3);
    assert_eq!((expected[2].0.as_str(), expected[2].4.valid), ("t", 2 * 3 * 9 * 12 - 1));
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| *path != reference);
    assert!(paths.len() >= 14, "{paths:?}");
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let found = understood(&path);
        if name == "foreign.zarr" {
            // not packed: the same but for the rounding
            for ((name, .., a), (.., b)) in found.iter().zip(&expected) {
                assert!((a.low - b.low).abs() <= 0.01 && (a.high - b.high).abs() <= 0.01, "{name}: {a:?} {b:?}");
            }
        } else {
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(humidity(&path), field, "{name}");
        println!("{name}: as the NetCDF file");
    }
}

/// Gives out files as a whole, and lists nothing.
async fn file(State(root): State<PathBuf>, uri: Uri) -> Result<Vec<u8>, StatusCode> {
    let path = root.join(uri.path().trim_start_matches('/'));
    std::fs::read(path).map_err(|_| StatusCode::NOT_FOUND)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_server_is_read_where_metadata_are_consolidated() {
    let Some(folder) = stores() else { return };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Router::new().fallback(file).with_state(folder.path().to_owned());
    let server = tokio::spawn(async move { axum::serve(listener, server).await });
    let url = |name: &str| PathBuf::from(format!("http://{address}/{name}"));
    let expected = humidity(&folder.path().join("reference.nc"));
    for name in ["v2.zarr", "v3.zarr", "sharded.zarr"] {
        // also from within an asynchronous task
        assert_eq!(humidity(&url(name)), expected, "{name}");
        let wanted = request(&[("q", Level::Pressure(500.0))], &["2024-02-29T00:00Z"]);
        let apart = Inventory::open(&[url(name)], &apart::children()).unwrap();
        assert_eq!(apart.read_stacked(&wanted).unwrap().0, std::slice::from_ref(&expected), "{name}");
    }
    let error = Inventory::open(&[url("v3-alone.zarr")], &Isolation::None).unwrap_err();
    assert_said(&error, &["v3-alone.zarr", "consolidated"]);
    let error = Inventory::open(&[url("nothing.zarr")], &Isolation::None).unwrap_err();
    assert_said(&error, &["nothing.zarr", "no Zarr group"]);
    server.abort();
}

/// Lies in the bucket of the test server what lies in a folder.
const UPLOAD: &str = "import sys, pathlib, boto3
endpoint, folder = sys.argv[1], pathlib.Path(sys.argv[2])
s3 = boto3.client('s3', endpoint_url=endpoint, region_name='us-east-1', aws_access_key_id='test', aws_secret_access_key='test')
s3.put_bucket_acl(Bucket='forecasts', ACL='public-read')
for path in folder.rglob('*'):
    if path.is_file():
        name = 'in/' + path.relative_to(folder).as_posix()
        s3.upload_file(str(path), 'forecasts', name, ExtraArgs={'ACL': 'public-read'})";

#[test]
fn stores_on_s3_read_like_the_netcdf_file() {
    let (Some(folder), Some(server)) = (stores(), s3::S3Server::start()) else { return };
    let Some(python) = python::with(&["boto3"]) else { return };
    python::run(Command::new(python).args(["-c", UPLOAD, &server.endpoint]).arg(folder.path()));
    let inspected = |what: &str, credentials: &[(&str, &str)]| -> serde_json::Value {
        let output = Command::new(env!("CARGO_BIN_EXE_vejr"))
            .args(["inspect", "--json", what])
            .env_remove("AWS_ACCESS_KEY_ID")
            .env("AWS_ENDPOINT_URL", &server.endpoint)
            .env("AWS_REGION", "us-east-1")
            .envs(credentials.iter().copied())
            .output()
            .unwrap();
        assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
        let mut found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let variables = found["files"][0]["variables"].as_array_mut().unwrap();
        variables.sort_by_key(|variable| variable["name"].to_string());
        found["files"][0]["variables"].take()
    };
    let signed = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let expected = inspected(folder.path().join("reference.nc").to_str().unwrap(), &[]);
    assert_eq!(expected.as_array().unwrap().len(), 3);
    // with and without consolidated metadata: objects can be listed here
    for name in ["v2.zarr", "v2-alone.zarr", "v3.zarr", "v3-alone.zarr", "sharded.zarr"] {
        for credentials in [&signed[..], &[]] {
            assert_eq!(inspected(&format!("s3://forecasts/in/{name}"), credentials), expected, "{name}");
        }
    }
    let missing = Command::new(env!("CARGO_BIN_EXE_vejr"))
        .args(["inspect", "s3://forecasts/in/nothing.zarr"])
        .env("AWS_ENDPOINT_URL", &server.endpoint)
        .envs(signed)
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no Zarr group"));
}

#[test]
fn what_is_no_store_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::create_dir(place("empty")).unwrap();
    std::fs::create_dir(place("group")).unwrap();
    std::fs::write(place("group/.zgroup"), r#"{"zarr_format": 2}"#).unwrap();
    std::fs::create_dir_all(place("vast/t")).unwrap();
    std::fs::write(place("vast/.zgroup"), r#"{"zarr_format": 2}"#).unwrap();
    let vast = r#"{"zarr_format": 2, "shape": [4, 4], "chunks": [1099511627776, 1048576], "dtype": "<f4", "order": "C",
                   "fill_value": 0, "filters": null, "compressor": null}"#;
    std::fs::write(place("vast/t/.zarray"), vast).unwrap();
    std::fs::create_dir(place("cut")).unwrap();
    std::fs::write(place("cut/zarr.json"), r#"{"zarr_format": 3, "node_type": "gro"#).unwrap();
    std::fs::write(place("letters.zip"), b"PK\x03\x04 and no more").unwrap();
    for (name, words) in [
        ("empty", "no Zarr group"),
        ("group", "no data variables"),
        ("vast", "chunks of more than"),
        ("cut", "damaged zarr.json"),
        ("letters.zip", "damaged zip"),
        ("nowhere", "no readable file"),
    ] {
        let error = Inventory::open(&[place(name)], &Isolation::None).unwrap_err();
        assert_said(&error, &[name, words]);
    }
    for url in ["gopher://a/b.zarr", "s3://user:secret@bucket/b.zarr"] {
        let error = Inventory::open(&[url.into()], &Isolation::None).unwrap_err();
        assert!(!error.to_string().replace(url, "").contains("secret"), "{error}");
    }
}

#[test]
fn a_damaged_chunk_is_a_problem_of_its_variable() {
    let Some(folder) = stores() else { return };
    let store = folder.path().join("gzip.zarr");
    let chunk = std::fs::read_dir(store.join("q")).unwrap().map(|entry| entry.unwrap().path());
    let chunk = chunk.filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.')).min().unwrap();
    let mut bytes = std::fs::read(&chunk).unwrap();
    let middle = bytes.len() / 2;
    bytes.truncate(middle);
    std::fs::write(&chunk, bytes).unwrap();
    let times = ["2024-02-28T18:00Z"];
    let error = read(&store, &[("q", Level::Pressure(850.0))], &times).unwrap_err();
    assert_said(&error, &["gzip.zarr", "q 850hPa"]);
}
