//! The Python client, built and installed as a user does, against the program itself.

use std::path::Path;
use std::process::Command;

#[path = "common/python.rs"]
mod python;

#[test]
fn the_python_client_asks_watches_and_reads() {
    let modules = ["setuptools", "pip", "grpc_tools", "pytest", "xarray", "zarr", "netCDF4", "pyproj", "cryptography"];
    let Some(python) = python::with(&modules) else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let (source, packages) = (folder.path().join("source"), folder.path().join("packages"));
    // building leaves files beside the sources; proto/ is a link
    python::run(Command::new("cp").arg("-rL").arg(root.join("clients/python")).arg(&source));
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]);
    python::run(install.arg("--target").arg(&packages).arg(&source));
    let mut tests = Command::new(&python);
    tests.args(["-m", "pytest", "-q", "-p", "no:cacheprovider"]).arg(source.join("tests"));
    tests.env("PYTHONPATH", &packages).env("VEJR_ROOT", root).env("VEJR_BIN", env!("CARGO_BIN_EXE_vejr"));
    println!("{}", python::run(&mut tests));
}
