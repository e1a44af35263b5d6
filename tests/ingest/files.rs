//! NetCDF files that these tests write: one quirk each.

use std::sync::Arc;

use vejr::atmos::{Grid, LeadTime, Level};

use crate::*;

#[test]
fn packed_integers_of_every_type_and_sign() {
    fn check<T: netcdf::NcTypeDescriptor + Copy + Into<netcdf::AttributeValue>>(
        stored: [T; 12],
        scale: f64,
        offset: f64,
        expected: [f32; 12],
    ) {
        let mut draft = Draft::new();
        draft.data("t", &["latitude", "longitude"], &stored, TEMPERATURE);
        draft.number("t", "scale_factor", scale);
        draft.number("t", "add_offset", offset);
        let path = draft.done();
        let (inventory, problems) = Inventory::survey(&[path], &Isolation::None);
        assert!(problems.is_empty(), "{problems:?}");
        let (file, variable) = inventory.variables().next().unwrap();
        let range = inventory.range(file, variable).unwrap();
        let (low, high) = expected.iter().fold((f32::MAX, f32::MIN), |(a, b), &v| (a.min(v), b.max(v)));
        assert_eq!((range.low, range.high, range.valid), (low, high, 12));
    }
    let expected = [250., 249., 248., 247., 246., 245., 244., 243., 242., 241., 240., 239.];
    check::<i16>([0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22], -0.5, 250.0, expected);
    check::<i8>([-11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0], -1.0, 239.0, expected);
    check::<i32>([-11, -10, -9, -8, -7, -6, -5, -4, -3, -2, -1, 0], -1.0, 239.0, expected);
    check::<u8>([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], -1.0, 250.0, expected);
    check::<u16>([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], -1.0, 250.0, expected);
    check::<i64>([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], -1.0, 250.0, expected);
}

#[test]
fn unsigned_bytes_in_a_signed_type() {
    let mut draft = Draft::new();
    draft.data::<i8>("t", &["latitude", "longitude"], &[-1, -2, 0, 1, 2, 3, 4, 5, 6, 7, 8, 100], TEMPERATURE);
    draft.number("t", "_Unsigned", "true");
    let path = draft.done();
    let inventory = open(&[&path]).unwrap();
    let (file, variable) = inventory.variables().next().unwrap();
    let range = inventory.range(file, variable).unwrap();
    assert_eq!((range.low, range.high), (0.0, 255.0));
}

#[test]
fn missing_values_in_every_form_are_missing() {
    // stored, attribute, its value: the third point is missing by each of them
    let cases: &[(&str, Option<netcdf::AttributeValue>, f32)] = &[
        ("_FillValue", Some((-999.0f32).into()), -999.0),
        ("missing_value", Some((-999.0f64).into()), -999.0),
        ("missing_value", Some(netcdf::AttributeValue::Floats(vec![-1.0, -999.0])), -999.0),
        ("valid_min", Some(100.0f32.into()), 3.0),
        ("valid_range", Some(netcdf::AttributeValue::Floats(vec![100.0, 400.0])), 1e20),
        ("by default", None, 9.969_21e36),
        ("by default", None, f32::NAN),
        ("missing_value", Some((-9.969_21e36f32).into()), -9.969_21e36),
    ];
    for (name, value, stored) in cases {
        let mut draft = Draft::new();
        let mut field = [250.0f32; 12];
        field[2] = *stored;
        let mut variable = draft.file().add_variable::<f32>("t", &["latitude", "longitude"]).unwrap();
        if let Some(value) = value {
            variable.put_attribute(name, value.clone()).unwrap();
        }
        variable.put_attribute("units", "K").unwrap();
        variable.put_attribute("standard_name", "air_temperature").unwrap();
        variable.put_attribute("coordinates", "height when").unwrap();
        variable.put_values(&field, ..).unwrap();
        draft.data("height", &[], &[2.0], &[("units", "m"), ("standard_name", "height")]);
        draft.data("when", &[], &[0.0], &[("units", "hours since 2020-01-05 12:00"), ("standard_name", "time")]);
        let error = draft.read(&[("t2m", Level::Surface)], &[NOON]).unwrap_err();
        assert_said(&error, &["t2m", "1 of 12 values missing", "10.00 °N 180.00 °E", "a complete field"]);
    }
}

#[test]
fn every_order_of_axes_gives_the_same_field() {
    // the same physical field, written in several ways: value = 200 + 10 × row from the north + column from Greenwich
    let expected: Vec<f32> =
        (0..3).flat_map(|row| (0..4).map(move |column| 200.0 + 10.0 * row as f32 + column as f32)).collect();
    let latitudes = [[10.0, 0.0, -10.0], [-10.0, 0.0, 10.0]];
    let longitudes: [&[f64]; 5] = [
        &[0.0, 90.0, 180.0, 270.0],
        &[-180.0, -90.0, 0.0, 90.0],
        &[270.0, 180.0, 90.0, 0.0],
        &[0.0, 90.0, 180.0, 270.0, 360.0],
        &[-180.0, -90.0, 0.0, 90.0, 180.0],
    ];
    let orders: [&[&str]; 4] = [
        &["time", "level", "latitude", "longitude"],
        &["level", "longitude", "latitude", "time"],
        &["longitude", "latitude", "level", "time"],
        &["latitude", "time", "longitude", "level"],
    ];
    for latitude in latitudes {
        for longitude in longitudes {
            for order in orders {
                let mut draft = Draft::empty();
                draft.axis("latitude", &latitude, &[("standard_name", "latitude")]);
                draft.axis("longitude", longitude, &[("axis", "X"), ("units", "degrees_east")]);
                draft.axis("level", &[85_000.0, 50_000.0], &[("units", "Pa")]);
                draft.axis("time", &[0.0, 0.25], &[("units", "days since 2020-01-05T12:00:00Z")]);
                let lengths: Vec<usize> = order.iter().map(|name| draft.file().dimension_len(name).unwrap()).collect();
                let mut data = Vec::new();
                for i in 0..lengths.iter().product::<usize>() {
                    let mut rest = i;
                    let mut index = std::collections::BTreeMap::new();
                    for (name, length) in order.iter().zip(&lengths).rev() {
                        index.insert(*name, rest % length);
                        rest /= length;
                    }
                    let row = ((10.0 - latitude[index["latitude"]]) / 10.0) as f32;
                    let column = (longitude[index["longitude"]].rem_euclid(360.0) / 90.0) as f32;
                    // other levels and times would be seen
                    let other = (1 - index["level"]) as f32 + 2.0 * index["time"] as f32;
                    data.push(200.0 + 10.0 * row + column + 50.0 * other);
                }
                draft.data("temperature", order, &data, TEMPERATURE);
                let analysis = draft.read(T500, &[NOON]).unwrap();
                assert_eq!(values(&analysis, "t", T500[0].1), expected, "{latitude:?} {longitude:?} {order:?}");
                assert_eq!(analysis.grid().shape(), (3, 4));
                assert_eq!(analysis.grid().rectilinear().unwrap().1, [0.0, 90.0, 180.0, 270.0]);
            }
        }
    }
}

#[test]
fn a_meridian_that_comes_twice_with_different_values_is_a_problem() {
    let mut draft = Draft::empty();
    draft.axis("lat", &[1.0, 0.0], &[]);
    draft.axis("lon", &[0.0, 120.0, 240.0, 360.0], &[]);
    draft.axis("plev", &[500.0], &[("units", "millibar")]);
    draft.axis("time", &[0.0], &[("units", "hours since 2020-01-05 12:00")]);
    draft.counted("ta", &["time", "plev", "lat", "lon"], TEMPERATURE);
    assert_said(
        &draft.read(T500, &[NOON]).unwrap_err(),
        &["the first meridian twice with different values", "t 500hPa (ta)"],
    );
}

#[test]
fn units_are_converted_or_refused() {
    for (name, units, wanted, expected) in [
        ("ta", "degC", "t", Some(473.15)),
        ("ta", "degF", "t", None),
        ("zg", "m", "z", Some(200.0 * 9.806_65)),
        ("z", "m**2 s**-2", "z", Some(200.0)),
        ("ua", "knots", "u", Some(200.0 * 1852.0 / 3600.0)),
        ("hus", "g/kg", "q", None),
        ("hur", "%", "r", Some(2.0)),
    ] {
        let mut draft = Draft::new();
        draft.data(name, &["time", "level", "latitude", "longitude"], &[200.0f32; 48], &[("units", units)]);
        let level = Level::Pressure(850.0);
        let found = draft.read(&[(wanted, level)], &[NOON]);
        match (found, expected) {
            (Ok(analysis), Some(expected)) => {
                assert!((values(&analysis, wanted, level)[0] - expected as f32).abs() < 1e-3, "{units}")
            }
            // 473 K and 366 K are too hot, and 0.2 kg of water in a kg of air too wet
            (Err(error), _) => assert_said(&error, &[wanted, "is the unit in the file right?", units]),
            (Ok(_), None) => panic!("{name} in {units} was read"),
        }
    }
}

#[test]
fn a_unit_that_the_values_contradict_is_believed_only_when_told_so() {
    let mut draft = Draft::new();
    draft.data("ta", &["time", "level", "latitude", "longitude"], &[12.5f32; 48], TEMPERATURE);
    let path = draft.done();
    let wanted = request(T500, &[NOON]);
    let error = open(&[&path]).unwrap().read(&wanted).unwrap_err();
    assert_said(&error, &["ta", "12.5", "100 to 360 K", "--trust-units"]);
    for name in ["ta", "t"] {
        let inventory = open(&[&path]).unwrap().trusting_units([name.to_owned()]);
        assert_eq!(values(&inventory.read(&wanted).unwrap(), "t", Level::Pressure(500.0))[0], 12.5);
    }
    let other = open(&[&path]).unwrap().trusting_units(["ua".to_owned()]);
    assert!(other.read(&wanted).is_err());
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let mut draft = Draft::new();
    draft.counted("t", &["time", "level", "latitude", "longitude"], &[("units", "Pa")]);
    draft.counted("u", &["time", "level", "latitude", "longitude"], &[("units", "m s-1")]);
    draft.counted("v", &["time", "level", "latitude", "longitude"], &[]);
    let wanted = [
        ("t", Level::Pressure(500.0)),
        ("u", Level::Pressure(300.0)),
        ("v", Level::Pressure(500.0)),
        ("q", Level::Pressure(500.0)),
        ("u", Level::Pressure(500.0)),
    ];
    let error = draft.read(&wanted, &[NOON, "2020-01-07T00:00Z"]).unwrap_err();
    assert_said(
        &error,
        &[
            "draft.nc: t 500hPa: found units \"Pa\", expected units K",
            "draft.nc: u 300hPa: found levels 500hPa 850hPa, expected level 300hPa",
            "draft.nc: v 500hPa: found no units, expected units m s-1",
            "q 500hPa: found no such variable",
            "with standard_name \"specific_humidity\"",
            "times from 2020-01-05T12:00Z to 2020-01-05T18:00Z (2), but not 2020-01-07T00:00Z",
        ],
    );
    assert_eq!(error.problems.len(), 5);
}

#[test]
fn problems_of_all_files_are_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let paths = [
        write("text.nc", b"hello, this is text"),
        write("empty.nc", b""),
        write("a.grib", b"GRIB\0\0\0\x02........"),
        write("cut.nc", b"\x89HDF\r\n\x1a\n\0\0\0\0"),
        write("short.nc", b"CDF\x01\0\0"),
        folder.path().join("absent.nc"),
        folder.path().to_path_buf(),
    ];
    let error = Inventory::open(&paths, &Isolation::None).unwrap_err();
    assert_eq!(error.problems.len(), paths.len());
    assert_said(
        &error,
        &[
            "begins with \"hello, t\"",
            "an empty file",
            "a GRIB file",
            "a damaged",
            "absent.nc",
            "a folder",
            "expected a NetCDF file",
        ],
    );
}

#[test]
fn truncated_and_overlong_classic_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("classic.nc");
    let mut file = netcdf::create_with(&path, netcdf::Options::_64BIT_OFFSET).unwrap();
    file.add_dimension("lat", 10).unwrap();
    file.add_dimension("lon", 20).unwrap();
    file.add_unlimited_dimension("time").unwrap();
    file.add_variable::<f64>("lat", &["lat"]).unwrap();
    file.add_variable::<f64>("lon", &["lon"]).unwrap();
    file.add_variable::<f32>("t2m", &["time", "lat", "lon"]).unwrap().put_attribute("units", "K").unwrap();
    file.enddef().unwrap();
    for (name, n) in [("lat", 10), ("lon", 20)] {
        let values: Vec<f64> = (0..n).map(f64::from).collect();
        file.variable_mut(name).unwrap().put_values(&values, ..).unwrap();
    }
    file.variable_mut("t2m").unwrap().put_values(&[280.0f32; 400], (..2, .., ..)).unwrap();
    file.close().unwrap();
    assert_eq!(open(&[&path]).unwrap().files()[0].variables[0].name, "t2m");

    let whole = std::fs::read(&path).unwrap();
    for keep in [whole.len() - 4, whole.len() / 2, 200, 60, 8, 4] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        let error = open(&[&path]).unwrap_err();
        assert!(error.to_string().contains("truncated") || error.to_string().contains("damaged"), "{keep}: {error}");
    }
    // a record count of 4 billion
    let mut claiming = whole.clone();
    claiming[4..8].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
    std::fs::write(&path, &claiming).unwrap();
    assert_said(&open(&[&path]).unwrap_err(), &["a truncated file", "t2m"]);
    // every byte of the header changed: an error or a file, never a panic
    for place in 4..whole.len().min(700) {
        for value in [0, 0xff, whole[place] ^ 0x41] {
            let mut changed = whole.clone();
            changed[place] = value;
            std::fs::write(&path, &changed).unwrap();
            let (inventory, _) = Inventory::survey(std::slice::from_ref(&path), &Isolation::None);
            for (file, variable) in inventory.variables() {
                let _ = inventory.range(file, variable);
            }
        }
    }
}

#[test]
fn forecast_files_give_valid_times() {
    let reference = [("units", "hours since 2020-01-05 00:00"), ("standard_name", "forecast_reference_time")];
    let step = [("units", "hours"), ("standard_name", "forecast_period")];
    // reference × step
    let mut draft = Draft::new();
    draft.axis("init", &[0.0, 12.0], &reference);
    draft.axis("step", &[0.0, 3.0, 6.0], &step);
    draft.counted("t2m", &["init", "step", "latitude", "longitude"], &[("units", "K")]);
    let analysis = draft.read(&[("t2m", Level::Surface)], &["2020-01-05T15:00Z"]).unwrap();
    assert_eq!(values(&analysis, "t2m", Level::Surface)[0], 200.0 + 4.0 * 12.0);
    // scalar reference time, step dimension, valid times beside it
    let mut draft = Draft::new();
    draft.axis("step", &[0.0, 12.0], &step);
    draft.data("reftime", &[], &[0.0], &reference);
    let coordinates = [("units", "K"), ("coordinates", "reftime")];
    draft.counted("t2m", &["latitude", "longitude", "step"], &coordinates);
    let analysis = draft.read(&[("t2m", Level::Surface)], &[NOON]).unwrap();
    assert_eq!(values(&analysis, "t2m", Level::Surface)[1], 203.0);
    // valid times given outright win over the sum
    let mut draft = Draft::new();
    draft.axis("step", &[0.0, 12.0], &step);
    draft.data(
        "valid_time",
        &["step"],
        &[0.0, 6.0],
        &[("units", "hours since 2020-01-05 12:00"), ("standard_name", "time")],
    );
    draft.counted("t2m", &["step", "latitude", "longitude"], &[("units", "K"), ("coordinates", "valid_time")]);
    let analysis = draft.read(&[("t2m", Level::Surface)], &["2020-01-05T18:00Z"]).unwrap();
    assert_eq!(values(&analysis, "t2m", Level::Surface)[0], 212.0);
    // a reference time alone tells no valid time
    let mut draft = Draft::new();
    draft.axis("init", &[0.0, 12.0], &reference);
    draft.counted("t2m", &["init", "latitude", "longitude"], &[("units", "K")]);
    let error = draft.read(&[("t2m", Level::Surface)], &[NOON]).unwrap_err();
    assert_said(&error, &["reference times without forecast steps"]);
}

#[test]
fn what_cannot_be_an_analysis_is_shown_and_refused_with_its_reason() {
    let mut draft = Draft::new();
    draft.axis("number", &[0.0, 1.0, 2.0], &[("standard_name", "realization")]);
    draft.axis("year360", &[0.0, 1.0], &[("units", "days since 2000-01-01"), ("calendar", "360_day")]);
    draft.axis("again", &[5.0, 5.0], &[("units", "days since 2000-01-01")]);
    draft.counted("t2m", &["number", "time", "latitude", "longitude"], &[("units", "K")]);
    draft.counted("d2m", &["year360", "latitude", "longitude"], &[("units", "K")]);
    draft.counted("skt", &["again", "latitude", "longitude"], &[("units", "K")]);
    let path = draft.done();
    let inventory = open(&[&path]).unwrap();
    let d2m = &inventory.files()[0].variables[1];
    assert_eq!(d2m.times.len(), 2);
    assert!(d2m.times[0].to_string().contains("Day360"), "{}", d2m.times[0]);
    let fields = [("t2m", Level::Surface), ("d2m", Level::Surface), ("skt", Level::Surface)];
    let error = inventory.read(&request(&fields, &["2000-01-01T00:00Z"])).unwrap_err();
    assert_said(&error, &["3 ensemble members", "d2m", "the time 2000-01-06T00:00Z more than once"]);
}

#[test]
fn of_an_ensemble_one_member_is_taken_by_its_number() {
    let mut draft = Draft::new();
    draft.axis("number", &[10.0, 11.0, 12.0], &[("standard_name", "realization")]);
    draft.counted("t2m", &["number", "time", "latitude", "longitude"], &[("units", "K")]);
    let path = draft.done();
    let first = |member: i64| {
        let inventory = open(&[&path]).unwrap().of_member(member)?;
        let fields = [("t2m", Level::Surface)];
        inventory.read(&request(&fields, &[NOON])).map(|analysis| values(&analysis, "t2m", Level::Surface))
    };
    let (ten, twelve) = (first(10).unwrap(), first(12).unwrap());
    // two times of each member
    assert_eq!(twelve[0] - ten[0], 2.0 * 2.0 * ten.len() as f32);
    assert_said(&first(3).unwrap_err(), &["the members 10, 11, 12", "member 3, as --member says"]);
    let mut draft = Draft::new();
    draft.counted("t2m", &["time", "latitude", "longitude"], &[("units", "K")]);
    let error = open(&[&draft.done()]).unwrap().of_member(0).unwrap_err();
    assert_said(&error, &["no ensemble members in these files"]);
}

#[test]
fn single_levels_are_told_apart_by_height_and_name() {
    let mut draft = Draft::new();
    draft.data("height", &[], &[2.0], &[("units", "m"), ("standard_name", "height")]);
    draft.data("ml", &[], &[8.0], &[("units", "1"), ("standard_name", "model_level_number")]);
    draft.counted(
        "warm",
        &["time", "latitude", "longitude"],
        &[("standard_name", "air_temperature"), ("units", "K"), ("coordinates", "height")],
    );
    draft.counted("t", &["time", "level", "latitude", "longitude"], TEMPERATURE);
    draft.data(
        "lowest",
        &["time", "latitude", "longitude"],
        &[290.0f32; 24],
        &[("standard_name", "air_temperature"), ("units", "K"), ("coordinates", "ml")],
    );
    draft.data("skt", &["time", "latitude", "longitude"], &[280.0f32; 24], &[("units", "K")]);
    let path = draft.done();
    let inventory = open(&[&path]).unwrap();
    let wanted = Request {
        fields: vec![
            (ours("t2m"), Level::Surface).into(),
            (ours("t"), Level::Pressure(850.0)).into(),
            // names that a package declares: CF attributes and the level tell
            (Variable::new("t_low", "air_temperature", "", "K"), Level::Model(8)).into(),
            (Variable::new("screen", "air_temperature", "", "K"), Level::Height(2.0)).into(),
            (ours("skt"), Level::Surface).into(),
        ],
        times: vec![time(NOON)],
        grid: None,
    };
    let analysis = inventory.read(&wanted).unwrap();
    assert_eq!(values(&analysis, "t2m", Level::Surface)[0], 200.0);
    assert_eq!(values(&analysis, "t", Level::Pressure(850.0))[0], 212.0);
    assert_eq!(values(&analysis, "t_low", Level::Model(8))[0], 290.0);
    assert_eq!(values(&analysis, "screen", Level::Height(2.0))[0], 200.0);
    assert_eq!(values(&analysis, "skt", Level::Surface)[0], 280.0);
}

#[test]
fn two_candidates_are_a_problem_that_names_both() {
    let mut draft = Draft::new();
    draft.counted("analysed", &["time", "level", "latitude", "longitude"], TEMPERATURE);
    draft.counted("guessed", &["time", "level", "latitude", "longitude"], TEMPERATURE);
    let path = draft.done();
    assert_said(&read(&path, T500, &[NOON]).unwrap_err(), &["t 500hPa at 2020-01-05T12:00Z", "analysed", "guessed"]);
    // and so is a file that is given twice
    let mut draft = Draft::new();
    draft.counted("t", &["time", "level", "latitude", "longitude"], TEMPERATURE);
    let path = draft.done();
    let other = path.with_file_name("other.nc");
    std::fs::copy(&path, &other).unwrap();
    let error = open(&[&path, &other]).unwrap().read(&request(T500, &[NOON])).unwrap_err();
    assert_said(&error, &["it here and in", "other.nc", "leave out one of the files"]);
}

#[test]
fn the_latest_time_has_all_input_states_of_all_fields() {
    let mut one = Draft::new();
    one.counted("t", &["time", "level", "latitude", "longitude"], TEMPERATURE);
    let mut two = Draft::empty();
    two.axis("latitude", &[10.0, 0.0, -10.0], &[("units", "degrees_north")]);
    two.axis("longitude", &[0.0, 90.0, 180.0, 270.0], &[("units", "degrees_east")]);
    two.axis("time", &[0.0, 6.0, 12.0, 24.0], &[("units", "hours since 2020-01-05 06:00:00")]);
    two.data("sp", &["time", "latitude", "longitude"], &[90_000.0f32; 48], &[("units", "Pa")]);
    two.data("orog", &["latitude", "longitude"], &[100.0f32; 12], &[("units", "m")]);
    let (one, two) = (one.done(), two.done());
    let inventory = open(&[&one, &two]).unwrap();
    let sixhourly = LeadTime::from_hours(6);
    let latest =
        |fields: &[(&str, Level)], states| inventory.latest_time_with(&request(fields, &[]), states, sixhourly);
    let both = [("t", Level::Pressure(500.0)), ("sp", Level::Surface), ("orog", Level::Surface)];
    assert_eq!(latest(&both, 1), Some(time("2020-01-05T18:00Z")));
    assert_eq!(latest(&both, 2), Some(time("2020-01-05T18:00Z")));
    assert_eq!(latest(&both, 3), None);
    assert_eq!(latest(&both[1..2], 1), Some(time("2020-01-06T06:00Z")));
    assert_eq!(latest(&both[1..2], 3), Some(time("2020-01-05T18:00Z")));
    assert_eq!(latest(&[("q", Level::Pressure(500.0))], 1), None);
    // fields without a time belong to all times
    assert!(inventory.read(&request(&both, &[NOON, "2020-01-05T18:00Z"])).is_ok());
}

#[test]
fn another_grid_than_the_model_s_is_a_problem() {
    let mut draft = Draft::new();
    draft.counted("t", &["time", "level", "latitude", "longitude"], TEMPERATURE);
    let path = draft.done();
    let mut wanted = request(T500, &[NOON]);
    wanted.grid = Some(Arc::new(Grid::new(vec![10.0, 0.0, -10.0], vec![0.0, 120.0, 240.0]).unwrap()));
    let error = open(&[&path]).unwrap().read(&wanted).unwrap_err();
    assert_said(&error, &["3×4 regular", "expected the grid 3×3 regular", "interpolate"]);
    wanted.grid = Some(Arc::new(Grid::new(vec![10.0, 0.0, -10.0], vec![0.0, 90.0, 180.0, 270.0]).unwrap()));
    assert!(open(&[&path]).unwrap().read(&wanted).is_ok());
}

#[test]
fn levels_whose_unit_is_in_their_name() {
    for units in ["", "1"] {
        let mut draft = Draft::new();
        draft.axis("at_pl", &[501.0, 850.0], &[("long_name", "Pressure level in hPa"), ("units", units)]);
        draft.counted("ta", &["time", "at_pl", "latitude", "longitude"], TEMPERATURE);
        let path = draft.done();
        let inventory = open(&[&path]).unwrap();
        assert_eq!(inventory.files()[0].variables[0].levels, [Level::Pressure(501.0), Level::Pressure(850.0)]);
    }
}

#[test]
fn levels_without_a_unit_are_read_only_where_they_leave_no_doubt() {
    for (levels, pressure) in
        [(&[500.0, 850.0][..], true), (&[1.0, 2.0, 3.0], false), (&[8.0, 120.0], false), (&[501.0, 850.0], false)]
    {
        let mut draft = Draft::new();
        draft.axis("lev", levels, &[]);
        draft.counted("ta", &["time", "lev", "latitude", "longitude"], TEMPERATURE);
        let path = draft.done();
        let inventory = open(&[&path]).unwrap();
        let variable = &inventory.files()[0].variables[0];
        assert_eq!(variable.blocked().is_none(), pressure, "{levels:?} {:?}", variable.blocked());
    }
}
