//! What other people's programs make of a forecast: xarray, and the validator of mlwp-data-specs.

use std::path::{Path, PathBuf};
use std::process::Command;

use vejr::location::Location;
use vejr::store::Encoding;

use crate::forecast::{LARGE, complete, spec};
use crate::python::{self, run};

pub async fn published(encoding: Encoding) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.zarr");
    let location = Location::parse(path.to_str().unwrap()).unwrap();
    complete(&location, &spec(LARGE, encoding, "key")).await.unwrap();
    (folder, path)
}

#[tokio::test(flavor = "multi_thread")]
async fn xarray_opens_both_copies_with_no_options() {
    let Some(python) = python::with(&["xarray", "zarr"]) else { return };
    for encoding in [Encoding::Float32, Encoding::Packed] {
        let (_folder, path) = published(encoding).await;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/opens.py");
        run(Command::new(&python).arg(script).arg(&path).arg(encoding.name()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exchange_format_holds() {
    let Some(python) = python::with(&["mlwp_data_specs.specs.cli"]) else { return };
    let (_folder, path) = published(Encoding::Packed).await;
    for path in [path.clone(), path.join("series")] {
        let call = "import sys; from mlwp_data_specs.specs.cli import main; sys.exit(main())";
        let traits = ["--time", "forecast", "--space", "grid", "--uncertainty", "deterministic"];
        let report = run(Command::new(&python).args(["-c", call]).arg(&path).args(traits));
        println!("{report}");
    }
}
