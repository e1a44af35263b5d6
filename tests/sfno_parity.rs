//! The SFNO computes what `torch_harmonics.examples.models.SphericalFourierNeuralOperator` computes: random weights in
//! every tensor, all options on and off. The packages in `fixtures/sfno` come from `models/sfno/package.py --fixtures`.

use std::path::Path;

use candle_core::Device;
use vejr::model::ModelPackage;

#[test]
fn agrees_with_the_reference_in_every_configuration() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sfno");
    let mut packages: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    packages.sort();
    assert!(packages.len() >= 8);
    let mut worst_of_all: f64 = 0.0;
    for path in packages {
        let package = ModelPackage::open(&path).unwrap();
        let (tolerance, channels) = package.parity(&Device::Cpu).unwrap();
        // a NaN agrees with nothing, and a maximum would pass it over
        assert!(channels.iter().all(|channel| channel.relative_l2 < 1e-5), "{}: {channels:?}", package.name());
        let worst = channels.iter().map(|channel| channel.relative_l2).fold(0.0, f64::max);
        println!("{:30} worst channel: relative L2 {worst:.1e}", package.name());
        assert_eq!(tolerance, 1e-5);
        worst_of_all = worst_of_all.max(worst);
    }
    assert!(worst_of_all < 1e-5, "relative L2 {worst_of_all:.1e}");
}

/// A few kilobytes must not make the process compute for minutes, or ask for terabytes.
#[test]
fn hyperparameters_that_no_machine_can_hold_are_refused() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sfno/equiangular");
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let manifest = std::fs::read_to_string(folder.path().join("model.toml")).unwrap();
    for size in ["[65536, 65536]", "[4000, 8000]", "[99999999999, 4]", "[0, 0]"] {
        std::fs::write(folder.path().join("model.toml"), manifest.replace("[17, 32]", size)).unwrap();
        let started = std::time::Instant::now();
        let error = ModelPackage::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("img_size"), "{size}: {error}");
        assert!(started.elapsed().as_secs() < 5);
    }
}
