//! Messages made with ecCodes itself: every value lies where its own iterator says.

use eccodes::{GribMessage, GribMultiField};

use crate::atmos::{Level, Variable};
use crate::ingest::{Inventory, Isolation, Request};

fn message(sample: &str, kind: Option<&str>, counts: &[(&str, i64)], keys: &[(&str, f64)]) -> GribMessage {
    let mut message = GribMessage::from_sample(sample).unwrap();
    if let Some(kind) = kind {
        message.set("gridType", kind).unwrap();
    }
    for (key, value) in counts {
        message.set(key, *value).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    for (key, value) in keys {
        message.set(key, *value).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    message
}

/// Degrees on the sphere.
fn apart(a: (f64, f64), b: (f64, f64)) -> f64 {
    let vector = |(latitude, longitude): (f64, f64)| {
        let ((south, cosine), (east, ahead)) = (latitude.to_radians().sin_cos(), longitude.to_radians().sin_cos());
        [cosine * ahead, cosine * east, south]
    };
    let (a, b) = (vector(a), vector(b));
    (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt().to_degrees()
}

/// Writes the number of each point as its value, reads it as any file, and looks where it came to lie.
fn check(name: &str, mut message: GribMessage) {
    let count = match (message.get::<i64>("Ni"), message.get::<i64>("Nj")) {
        // a reduced grid has no number of columns
        (Ok(columns), Ok(rows)) if columns < 10_000 => (columns * rows) as usize,
        _ => message.values().unwrap().len(),
    };
    let numbers: Vec<f64> = (0..count).map(|k| k as f64).collect();
    message.set("bitsPerValue", 24i64).unwrap();
    message.set_values(&numbers).unwrap_or_else(|error| panic!("{name}: {error}"));
    let positions = message.grid_positions().unwrap_or_else(|error| panic!("{name}: {error}"));
    let positions: Vec<(f64, f64)> = positions.map(|position| (position.lat, position.lon)).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("field.grib");
    message.write_to(std::fs::File::create(&path).unwrap()).unwrap();
    let inventory = Inventory::open(&[path], &Isolation::None).unwrap_or_else(|error| panic!("{name}: {error}"));
    let called = inventory.variables().map(|(_, variable)| variable.name.clone()).collect::<Vec<_>>();
    let inventory = inventory.trusting_units(called);
    let (_, found) = inventory.variables().next().unwrap();
    let (variable, level) = (Variable::new(&found.name, "", "", &found.units), found.levels[0]);
    let time = found.times[0].real().unwrap();
    let request = Request { fields: vec![(variable, level).into()], times: vec![time], grid: None };
    let (stacks, grid) = inventory.read_stacked(&request).unwrap();
    assert_eq!(grid.len(), positions.len(), "{name}: {grid}");
    let width = grid.shape().1;
    let mut farthest = (0.0, 0);
    for (point, &number) in stacks[0].iter().enumerate() {
        let number = number.round() as usize;
        let distance = apart(grid.place(point / width, point % width), positions[number]);
        farthest = if distance > farthest.0 { (distance, number) } else { farthest };
    }
    assert!(farthest.0 < 2e-3, "{name}: point {} is {}° away, on {grid}", farthest.1, farthest.0);
}

#[test]
fn every_value_lies_where_eccodes_says() {
    const SMALL: &[(&str, i64)] = &[("Ni", 9), ("Nj", 7)];
    const GLOBE: &[(&str, f64)] = &[
        ("latitudeOfFirstGridPointInDegrees", 60.0),
        ("latitudeOfLastGridPointInDegrees", 30.0),
        ("longitudeOfFirstGridPointInDegrees", 350.0),
        ("longitudeOfLastGridPointInDegrees", 30.0),
        ("iDirectionIncrementInDegrees", 5.0),
        ("jDirectionIncrementInDegrees", 5.0),
    ];
    for sample in ["regular_ll_pl_grib1", "regular_ll_pl_grib2"] {
        check(sample, message(sample, None, SMALL, GLOBE));
        let mut turned = message(sample, None, SMALL, GLOBE);
        turned.set("jPointsAreConsecutive", 1i64).unwrap();
        check(&format!("{sample}, columns first"), turned);
        let mut southward = GLOBE.to_vec();
        (southward[0].1, southward[1].1) = (30.0, 60.0);
        let mut upward = message(sample, None, SMALL, &southward);
        upward.set("jScansPositively", 1i64).unwrap();
        check(&format!("{sample}, from the south"), upward);
    }
    for sample in ["regular_gg_pl_grib1", "regular_gg_pl_grib2", "reduced_gg_pl_32_grib1", "reduced_gg_pl_32_grib2"] {
        check(sample, message(sample, None, &[], &[]));
    }
    const ROTATED: &[(&str, f64)] = &[
        ("latitudeOfFirstGridPointInDegrees", -3.0),
        ("latitudeOfLastGridPointInDegrees", 3.0),
        ("longitudeOfFirstGridPointInDegrees", 356.0),
        ("longitudeOfLastGridPointInDegrees", 4.0),
        ("iDirectionIncrementInDegrees", 1.0),
        ("jDirectionIncrementInDegrees", 1.0),
        ("latitudeOfSouthernPoleInDegrees", -40.0),
        ("longitudeOfSouthernPoleInDegrees", 10.0),
    ];
    const LAMBERT: &[(&str, f64)] = &[
        ("latitudeOfFirstGridPointInDegrees", 50.0),
        ("longitudeOfFirstGridPointInDegrees", 5.0),
        ("LoVInDegrees", 12.0),
        ("Latin1InDegrees", 50.0),
        ("Latin2InDegrees", 60.0),
        ("DxInMetres", 10_000.0),
        ("DyInMetres", 12_000.0),
    ];
    const POLAR: &[(&str, f64)] = &[
        ("latitudeOfFirstGridPointInDegrees", 70.0),
        ("longitudeOfFirstGridPointInDegrees", 300.0),
        ("orientationOfTheGridInDegrees", 320.0),
        ("DxInMetres", 20_000.0),
        ("DyInMetres", 20_000.0),
    ];
    const MERCATOR: &[(&str, f64)] = &[
        ("latitudeOfFirstGridPointInDegrees", -10.0),
        ("longitudeOfFirstGridPointInDegrees", 176.0),
        ("latitudeOfLastGridPointInDegrees", 3.0),
        ("longitudeOfLastGridPointInDegrees", 184.0),
        ("LaDInDegrees", 20.0),
        ("DiInMetres", 100_000.0),
        ("DjInMetres", 100_000.0),
    ];
    for sample in ["GRIB1", "GRIB2"] {
        for (kind, keys) in
            [("rotated_ll", ROTATED), ("lambert", LAMBERT), ("polar_stereographic", POLAR), ("mercator", MERCATOR)]
        {
            let mut made = message(sample, Some(kind), SMALL, keys);
            made.set("jScansPositively", 1i64).unwrap();
            check(&format!("{kind} of {sample}"), made);
        }
    }
}

#[test]
fn messages_become_arrays_with_members_times_and_levels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.grib");
    let mut file = std::fs::File::create(&path).unwrap();
    for (step, level, value) in [(0, 500, 1.0), (6, 500, 2.0), (0, 850, 3.0), (6, 850, 4.0)] {
        let mut one = message("regular_ll_pl_grib2", None, &[("level", level), ("step", step)], &[]);
        one.set("shortName", "t").unwrap();
        let count = one.values().unwrap().len();
        one.set_values(&vec![200.0 + value; count]).unwrap();
        one.write_to(&mut file).unwrap();
    }
    drop(file);
    let inventory = Inventory::open(std::slice::from_ref(&path), &Isolation::None).unwrap();
    let found: Vec<_> = inventory.variables().map(|(_, variable)| variable).collect();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].name.as_str(), found[0].units.as_str()), ("t", "K"));
    assert_eq!(found[0].levels, [Level::Pressure(500.0), Level::Pressure(850.0)]);
    let times: Vec<_> = found[0].times.iter().map(|time| time.real().unwrap()).collect();
    assert_eq!(times.len(), 2);
    let variable = Variable::new("t", "air_temperature", "", "K");
    let at = |level: f64| (variable.clone(), Level::Pressure(level));
    let request = Request { fields: vec![at(850.0).into(), at(500.0).into()], times, grid: None };
    let (stacks, grid) = inventory.read_stacked(&request).unwrap();
    let corners: Vec<[f32; 2]> = stacks.iter().map(|stack| [stack[0], stack[grid.len()]]).collect();
    assert_eq!(corners, [[203.0, 201.0], [204.0, 202.0]]);
    // the same field again
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, [bytes.as_slice(), &bytes].concat()).unwrap();
    let error = Inventory::open(std::slice::from_ref(&path), &Isolation::None).unwrap_err().to_string();
    assert!(error.contains("the same field twice, the second time in message 5"), "{error}");
    // cut off
    std::fs::write(&path, &bytes[..bytes.len() - 20]).unwrap();
    let error = Inventory::open(&[path], &Isolation::None).unwrap_err().to_string();
    assert!(error.contains("a damaged GRIB file (message 4"), "{error}");
}

#[test]
fn a_message_that_is_not_there_is_a_missing_field() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("holes.grib");
    let mut file = std::fs::File::create(&path).unwrap();
    for (step, level, value) in [(0, 500, 1.0), (6, 500, 2.0), (0, 850, 3.0)] {
        let mut one = message("regular_ll_pl_grib2", None, &[("level", level), ("step", step)], &[]);
        one.set("shortName", "t").unwrap();
        let count = one.values().unwrap().len();
        one.set_values(&vec![200.0 + value; count]).unwrap();
        one.write_to(&mut file).unwrap();
    }
    drop(file);
    let inventory = Inventory::open(&[path], &Isolation::None).unwrap();
    let (file, found) = inventory.variables().next().unwrap();
    let times: Vec<_> = found.times.iter().map(|time| time.real().unwrap()).collect();
    assert_eq!(found.absent(), [(Level::Pressure(850.0), Some(found.times[1].clone()))]);
    // it is no missing value either
    let range = inventory.range(file, found).unwrap();
    assert_eq!((range.valid, range.total), (3 * found.grid.len(), 3 * found.grid.len()));
    let variable = Variable::new("t", "air_temperature", "", "K");
    let fields = [500.0, 850.0].map(|level| (variable.clone(), Level::Pressure(level)).into()).to_vec();
    let request =
        |times: &[crate::atmos::ValidTime]| Request { fields: fields.clone(), times: times.to_vec(), grid: None };
    let error = inventory.read(&request(&times)).unwrap_err();
    let said = error.to_string();
    assert!(error.problems.len() == 1 && said.contains("t 850hPa") && said.contains(&times[1].to_string()), "{said}");
    assert!(!said.contains("t 500hPa") && !said.contains("values missing"), "{said}");
    assert_eq!(inventory.latest_time_with(&request(&[]), 1, crate::atmos::LeadTime::ZERO), Some(times[0]));
    assert_eq!(inventory.read_stacked(&request(&times[..1])).unwrap().0[0][0], 201.0);
}

/// Two fields in one message, with what they have in common told once.
fn two_in_one() -> Vec<u8> {
    let mut together = GribMultiField::new().unwrap();
    for (level, value) in [(500, 1.0), (850, 2.0)] {
        let mut one = message("regular_ll_pl_grib2", None, &[("Ni", 4), ("Nj", 3), ("level", level)], &[]);
        one.set("shortName", "t").unwrap();
        one.set_values(&(0..12).map(|point| 200.0 + value + f64::from(point)).collect::<Vec<_>>()).unwrap();
        together.push(&one).unwrap();
    }
    together.to_vec().unwrap()
}

#[test]
fn fields_of_one_message_are_read_each_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.grib2");
    std::fs::write(&path, two_in_one()).unwrap();
    let inventory = Inventory::open(&[path], &Isolation::None).unwrap();
    let (_, found) = inventory.variables().next().unwrap();
    assert_eq!(found.levels, [Level::Pressure(500.0), Level::Pressure(850.0)]);
    let variable = Variable::new("t", "air_temperature", "", "K");
    let fields = [500.0, 850.0].map(|level| (variable.clone(), Level::Pressure(level)).into()).to_vec();
    let request = Request { fields, times: vec![found.times[0].real().unwrap()], grid: None };
    let (stacks, grid) = inventory.read_stacked(&request).unwrap();
    let means: Vec<f32> = stacks[0].chunks(grid.len()).map(|field| field.iter().sum::<f32>() / 12.0).collect();
    assert!((means[0] - 206.5).abs() < 0.01 && (means[1] - 207.5).abs() < 0.01, "{means:?}");
}

/// There is room for what a message claims, or it is refused.
#[test]
fn numbers_of_values_that_lie_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.grib2");
    let mut good = Vec::new();
    let mut small = message("regular_ll_pl_grib2", None, &[("Ni", 4), ("Nj", 3)], &[]);
    small.set_values(&(0..12).map(|point| 280.0 + f64::from(point)).collect::<Vec<_>>()).unwrap();
    small.write_to(&mut good).unwrap();
    let section = |wanted: u8| {
        let mut at = 16;
        while good[at + 4] != wanted {
            at += u32::from_be_bytes(good[at..at + 4].try_into().unwrap()) as usize;
        }
        at
    };
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let (inventory, problems) = Inventory::survey(std::slice::from_ref(&path), &Isolation::None);
        let variables = inventory.variables().map(|(file, variable)| inventory.range(file, variable));
        let outcomes = variables.map(|range| range.map(drop).map_err(|error| error.to_string()));
        let found: Result<Vec<()>, String> = outcomes.collect();
        let found = found.and_then(|found| if found.is_empty() { Err("nothing to read".to_owned()) } else { Ok(()) });
        problems.first().map_or(found, |problem| Err(problem.to_string()))
    };
    assert_eq!(read(&good), Ok(()));
    // how many points have values; rows and columns
    for (places, number) in [(vec![section(5) + 5], 0x7fff_ffff_u32), (vec![section(3) + 30, section(3) + 34], 100_000)]
    {
        let mut bytes = good.clone();
        places.iter().for_each(|&place| bytes[place..place + 4].copy_from_slice(&number.to_be_bytes()));
        assert!(read(&bytes).is_err(), "{number} at {places:?}");
    }
}

/// A library in C gets no length that the message does not bear out, and no number that it would count to for hours.
#[test]
fn lengths_and_steps_that_lie_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.grib2");
    let said = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let opened = Inventory::open(std::slice::from_ref(&path), &Isolation::None);
        opened.err().map_or(String::new(), |error| error.to_string())
    };
    let good = two_in_one();
    assert_eq!(said(&good), "");
    // length and number of each section
    let mut at = 16;
    while at < good.len() - 4 {
        let length = u32::from_be_bytes(good[at..at + 4].try_into().unwrap()) as usize;
        for place in at..at + 5 {
            for changed in [0, 0xff, good[place] ^ 1] {
                let mut bytes = good.clone();
                bytes[place] = changed;
                assert!(bytes == good || !said(&bytes).is_empty(), "byte {place} is {changed}");
            }
        }
        at += length;
    }
    for (unit, steps) in [(7, 2_000_000), (4, i64::from(i32::MAX)), (1, i64::from(i32::MAX))] {
        let keys = [("indicatorOfUnitOfTimeRange", unit), ("forecastTime", steps)];
        let mut bytes = Vec::new();
        message("regular_ll_pl_grib2", None, &keys, &[]).write_to(&mut bytes).unwrap();
        let begin = std::time::Instant::now();
        assert!(said(&bytes).contains("years"), "{steps} of unit {unit}: {}", said(&bytes));
        assert!(begin.elapsed() < std::time::Duration::from_secs(20));
    }
}
