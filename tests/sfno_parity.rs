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
        let worst = channels.iter().map(|channel| channel.relative_l2).fold(0.0, f64::max);
        println!("{:30} worst channel: relative L2 {worst:.1e}", package.name());
        assert_eq!(tolerance, 1e-5);
        worst_of_all = worst_of_all.max(worst);
    }
    assert!(worst_of_all < 1e-5, "relative L2 {worst_of_all:.1e}");
}
