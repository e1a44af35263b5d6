//! What is given to operators is what their engines accept, checked by their own tools.

use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "common/python.rs"]
mod python;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

#[test]
fn kubernetes_accepts_the_manifests() {
    let Some(python) = python::with(&["kubernetes_validate"]) else { return };
    let validate = python.parent().unwrap().join("kubernetes-validate");
    let files = ["kubernetes/vejr.yaml", "kubernetes/job.yaml"].map(deploy);
    python::run(Command::new(validate).arg("--strict").args(files));
}

#[test]
fn systemd_accepts_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no systemd-analyze here");
        return;
    }
    // as they would be installed, with the program where it lies here
    let folder = tempfile::tempdir().unwrap();
    let mut units = Vec::new();
    for entry in std::fs::read_dir(deploy("systemd")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_str().unwrap().replace("@.", "@cpu.");
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let unit = folder.path().join(name);
        std::fs::write(&unit, text.replace("/usr/bin/vejr", env!("CARGO_BIN_EXE_vejr"))).unwrap();
        units.push(unit);
    }
    assert_eq!(units.len(), 4);
    let output = Command::new("systemd-analyze").arg("verify").args(&units).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let ours: Vec<&str> = said.lines().filter(|line| line.contains(folder.path().to_str().unwrap())).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn shells_accept_the_scripts() {
    let scripts = std::fs::read_dir(deploy("")).unwrap().map(|entry| entry.unwrap().path());
    let scripts: Vec<PathBuf> = scripts.filter(|path| path.extension().is_some_and(|ending| ending == "sh")).collect();
    assert_eq!(scripts.len(), 4);
    for script in scripts {
        python::run(Command::new("bash").arg("-n").arg(script));
    }
}

#[test]
fn the_cuda_build_changes_how_libraries_are_found_and_nothing_else() {
    // in place of rustc: what would be compiled
    let compiled = |package: &str, feature: &str| {
        let features = ["--cfg", "feature=\"driver\"", "--cfg", feature, "src/lib.rs"];
        let mut rustc = Command::new(deploy("cuda-rustc.sh"));
        rustc.env("CARGO_PKG_NAME", package).args(["printf", "%s|"]).args(features);
        let output = rustc.output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    };
    let linked = "feature=\"dynamic-linking\"";
    let others = |feature: &str| Some(format!("--cfg|feature=\"driver\"|--cfg|{feature}|src/lib.rs|"));
    assert_eq!(compiled("cudarc", linked), others("feature=\"dynamic-loading\""));
    assert_eq!(compiled("candle-core", linked), others(linked));
    // asked for otherwise, cudarc is no longer what this is for
    assert_eq!(compiled("cudarc", "feature=\"static-linking\""), None);
}
