//! What attributes of files say: times and calendars, units, projections as text and as CF attributes, names.
//! `cargo +nightly fuzz run cf_text`. None may panic, run out of memory, or hang.

#![no_main]

use libfuzzer_sys::fuzz_target;
use vejr::atmos::{Attribute, Attributes, Grid, LeadTime, Level, Projection, ReferenceTime};
use vejr::ingest::{conversion, decode_times, is_time_units, lexicon};

const UNITS: &[&str] = &["K", "Pa", "m", "m s-1", "m2 s-2", "kg kg-1", "1", "kg m-2", "kg m-2 s-1", "J m-2"];
const PLACES: &[(f64, f64)] = &[(0.0, 0.0), (90.0, 0.0), (-90.0, 180.0), (55.7, 12.6), (-33.9, -151.2), (89.9, 359.9)];

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let numbers: Vec<f64> = lines.next().unwrap_or_default().split(' ').filter_map(|word| word.parse().ok()).collect();

    if let Ok(times) = decode_times(&numbers, first, second) {
        assert!(times.len() == numbers.len() && is_time_units(first));
        times.iter().for_each(|time| drop(time.to_string()));
    }
    if let (Ok(reference), Ok(lead)) = (first.parse::<ReferenceTime>(), second.parse::<LeadTime>()) {
        drop((reference + lead).to_string());
    }
    for ours in UNITS {
        if let Some(conversion) = conversion(first, ours) {
            assert!(!conversion.apply(1.0).is_nan());
        }
    }
    for level in [Level::Surface, Level::Pressure(500.0)] {
        let _ = (lexicon::lookup(first, &level, None), lexicon::by_standard_name(first, &level, Some(2.0)));
    }

    let described = [Projection::from_wkt(text), Projection::from_proj_string(text), Projection::from_cf(&cf(text))];
    for projection in described {
        match projection {
            Ok(projection) => place(&projection),
            Err(error) => drop(error.to_string()),
        }
    }
});

/// `name = text`, `name = number` and `name = number number`, line by line.
fn cf(text: &str) -> Attributes {
    let attribute = |line: &str| {
        let (name, value) = line.split_once('=')?;
        let numbers: Result<Vec<f64>, _> = value.split_whitespace().map(str::parse).collect();
        let value = match numbers.as_deref() {
            Ok([one]) => Attribute::Number(*one),
            Ok(numbers) if !numbers.is_empty() => Attribute::Numbers(numbers.to_vec()),
            _ => Attribute::Text(value.trim().to_owned()),
        };
        Some((name.trim().to_owned(), value))
    };
    text.lines().filter_map(attribute).collect()
}

/// Places on the plane and back; a grid, and what is asked of one.
fn place(projection: &Projection) {
    drop(projection.to_string());
    for &(latitude, longitude) in PLACES {
        if let Some((x, y)) = projection.forward(latitude, longitude) {
            let _ = (projection.inverse(x, y), projection.convergence(latitude, longitude));
        }
    }
    let scale = if projection.is_angular() { 1.0 } else { 1e5 };
    let axis = |n: i32| (0..n).map(|i| scale * f64::from(i)).collect::<Vec<f64>>();
    if let Ok(grid) = Grid::projected(projection.clone(), axis(3).into_iter().rev().collect(), axis(4)) {
        let _ = (grid.to_string(), grid.bounds(), grid.coordinates(), grid.between(1.0, 1.0), grid.cell_weights());
    }
}
