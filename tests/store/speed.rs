//! Publishing hides behind computing: a small step takes milliseconds.

use std::time::Instant;

use vejr::location::Location;
use vejr::store::{Encoding, ForecastWriter};

use crate::forecast::{LARGE, STEPS, fields, spec};

/// Prints; what it takes depends on the disk, so the limit only catches what is wrong by much.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_step_is_published_quickly() {
    let folder = tempfile::tempdir().unwrap();
    for (encoding, name) in [(Encoding::Float32, "float32"), (Encoding::Packed, "packed")] {
        let location = Location::parse(folder.path().join(name).to_str().unwrap()).unwrap();
        let spec = spec(LARGE, encoding, "speed");
        let steps: Vec<_> = (0..STEPS).map(|step| fields(&spec, step)).collect();
        let mut writer = ForecastWriter::create_or_resume(&location, spec, false).await.unwrap();
        let started = Instant::now();
        for step in &steps {
            writer.write_step(step).await.unwrap();
        }
        let each = started.elapsed() / STEPS as u32;
        println!("{name}: {each:?} a step of {} fields of 121 × 250", steps[0].len());
        assert!(each.as_secs() < 2, "{each:?}");
    }
}
