//! Real files, one by one: what each must be understood as.

use std::path::{Path, PathBuf};

use ndarray::Array2;
use vejr::atmos::{GridKind, LeadTime, Level};
use vejr::ingest::Recognition;

use crate::*;

pub fn real_file(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("VEJR_REAL_DATA").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/real-data"));
    if !folder.is_dir() {
        println!("skipped: no folder {}", folder.display());
        return None;
    }
    Some(folder.join(name))
}

/// What one variable of a real file must be understood as.
struct Expected {
    ours: &'static str,
    kind: GridKind,
    grid: &'static str,
    levels: &'static [f64],
    /// Count, first, last.
    times: (usize, &'static str, &'static str),
    /// In our units; and how many values there are.
    range: (f64, f64),
    count: usize,
}

fn check(file: &str, name: &str, expected: Expected) {
    let Some(path) = real_file(file) else { return };
    let inventory = open(&[&path]).unwrap();
    let (source, variable) = inventory.variables().find(|(_, variable)| variable.name == name).unwrap();
    assert_eq!(variable.recognition.variable().map(|ours| &*ours.name), Some(expected.ours), "{file} {name}");
    assert_eq!((variable.grid.kind(), variable.grid.to_string().as_str()), (expected.kind, expected.grid), "{file}");
    let levels: Vec<f64> = variable.levels.iter().filter(|level| **level != Level::Surface).map(Level::value).collect();
    assert_eq!(levels, expected.levels, "{file} {name}");
    let times = &variable.times;
    let text = |time: Option<&vejr::ingest::CfTime>| time.map(ToString::to_string).unwrap_or_default();
    assert_eq!((times.len(), &*text(times.first()), &*text(times.last())), expected.times, "{file} {name}");
    let range = inventory.range(source, variable).unwrap();
    let near = |a: f32, b: f64| (f64::from(a) - b).abs() <= 1e-5 * b.abs();
    assert!(near(range.low, expected.range.0) && near(range.high, expected.range.1), "{file} {name}: {range:?}");
    assert_eq!((range.valid, range.total), (expected.count, expected.count), "{file} {name}");
}

fn check_value(file: &str, field: (&str, Level), at: &str, place: (f64, f64), expected: f64) {
    let Some(path) = real_file(file) else { return };
    let analysis = read(&path, &[field], &[at]).unwrap();
    let found = analysis.get(time(at), field.0, field.1).unwrap();
    let near = |axis: &[f64], value: f64| axis.iter().position(|other| (other - value).abs() < 1e-3).unwrap();
    let (latitude, longitude) = analysis.grid().rectilinear().unwrap();
    let value = found.values()[[near(latitude, place.0), near(longitude, place.1)]];
    assert!(
        (f64::from(value) - expected).abs() <= 2e-7 * expected.abs() + 1e-9,
        "{file} {field:?}: {value}, not {expected}"
    );
}

const G: f64 = 9.806_65;
const NO_TIMES: (usize, &str, &str) = (0, "", "");

#[test]
fn real_era5_with_longitude_before_latitude() {
    let levels: &[f64] = &[
        1., 2., 3., 5., 7., 10., 20., 30., 50., 70., 100., 125., 150., 175., 200., 225., 250., 300., 350., 400., 450.,
        500., 550., 600., 650., 700., 750., 775., 800., 825., 850., 875., 900., 925., 950., 975., 1000.,
    ];
    let grid = "32×64 Gaussian latitude-longitude, 85.7606..-85.7606 °N, 0..354.375 °E";
    let times = (1, "1959-01-02T00:00Z", "1959-01-02T00:00Z");
    for (name, ours, range, levels, count) in [
        ("sea_surface_temperature", "sst", (271.46, 303.831), &[][..], 2048),
        ("u_component_of_wind", "u", (-110.073, 152.751), levels, 75_776),
        ("v_component_of_wind", "v", (-75.8523, 77.4858), levels, 75_776),
    ] {
        check(
            "era5_tl31_37levels.nc",
            name,
            Expected { ours, kind: GridKind::Gaussian, grid, levels, times, range, count },
        );
    }
    // values by xarray
    let (file, at) = ("era5_tl31_37levels.nc", "1959-01-02T00:00Z");
    check_value(file, ("t", Level::Pressure(500.0)), at, (-58.142_954, 56.25), 246.668_685_913_085_94);
    check_value(file, ("q", Level::Pressure(1000.0)), at, (-85.760_59, 354.375), 0.000_347_823_952_324_688_43);
}

#[test]
fn real_ifs_packed_shorts() {
    let grid = "181×360 regular latitude-longitude, 90..-90 °N, 0..359 °E";
    let times = (1, "2007-01-01T12:00Z", "2007-01-01T12:00Z");
    let levels: &[f64] = &[500.0, 850.0];
    let file = "ifs_1deg_t_z_2levels.nc";
    for (ours, range) in [("t", (224.058, 304.376)), ("z", (8505.74, 58_345.6))] {
        check(file, ours, Expected { ours, kind: GridKind::LatLon, grid, levels, times, range, count: 130_320 });
    }
    check_value(file, ("t", Level::Pressure(850.0)), times.1, (55.0, 12.0), 271.598_100_831_128_7);
    check_value(file, ("z", Level::Pressure(500.0)), times.1, (-30.0, 300.0), 57_571.388_924_640_065);
}

#[test]
fn real_era_interim_climatology_with_negative_scale() {
    let grid = "241×480 regular latitude-longitude, 90..-90 °N, 0..359.25 °E";
    for (ours, range) in [("z", (10_303.25, 123_347.75)), ("u", (-24.5625, 78.5)), ("v", (-17.125, 14.1875))] {
        let levels: &[f64] = &[200.0, 500.0, 850.0];
        let expected = Expected { ours, kind: GridKind::LatLon, grid, levels, times: NO_TIMES, range, count: 694_080 };
        check("eraint_uvz_climatology.nc", ours, expected);
    }
    let Some(path) = real_file("eraint_uvz_climatology.nc") else { return };
    let error = read(&path, &[("u", Level::Pressure(500.0))], &["2020-01-01T00:00Z"]).unwrap_err();
    assert_said(&error, &["an axis of unknown kind, \"month\""]);
}

#[test]
fn real_gfs_by_thredds() {
    let grid = "181×360 regular latitude-longitude, 90..-90 °N, 0..359 °E";
    let times = (3, "2021-01-30T12:00Z", "2021-01-30T18:00Z");
    let file = "gfs_1deg_z_t_300hpa_0_3_6h.nc";
    for (name, ours, range) in [
        ("Geopotential_height_isobaric", "z", (8249.84 * G, 9744.48 * G)),
        ("Temperature_isobaric", "t", (206.7, 251.3)),
    ] {
        check(
            file,
            name,
            Expected { ours, kind: GridKind::LatLon, grid, levels: &[300.0], times, range, count: 195_480 },
        );
    }
    check_value(file, ("z", Level::Pressure(300.0)), "2021-01-30T15:00Z", (40.0, 250.0), 89_213.805_286_279_3);
    check_value(file, ("t", Level::Pressure(300.0)), times.2, (-90.0, 0.0), 217.899_993_896_484_38);
}

#[test]
fn real_winds_with_a_duplicate_meridian_and_no_units() {
    let grid = "64×128 Gaussian latitude-longitude, 87.8638..-87.8638 °N, 0..357.1875 °E";
    for (name, ours, range) in [("U", "u", (-15.2682, 55.7283)), ("V", "v", (-11.4865, 13.1661))] {
        // the meridian that is left out holds 64 of the 16512 values of each field
        let expected = Expected {
            ours,
            kind: GridKind::Gaussian,
            grid,
            levels: &[300.0],
            times: NO_TIMES,
            range,
            count: 2 * 64 * 128,
        };
        check("uv300_cyclic_duplicate.nc", name, expected);
    }
    let Some(path) = real_file("uv300_cyclic_duplicate.nc") else { return };
    let inventory = open(&[&path]).unwrap();
    assert!(matches!(inventory.files()[0].variables[0].recognition, Recognition::NoUnits { .. }));
    let error = inventory.read(&request(&[("u", Level::Pressure(300.0))], &["2020-01-01T00:00Z"])).unwrap_err();
    assert_said(&error, &["times in units \"Month\"", "no units"]);
}

#[test]
fn real_era5_of_the_new_data_store_with_time_last() {
    let grid = "7×7 regular latitude-longitude, 65.7..64.2 °N, -139..-137.5 °E";
    let times = (744, "2023-01-01T00:00Z", "2023-01-31T23:00Z");
    let file = "era5_newcds_valid_time_last.nc";
    for (ours, range) in [("d2m", (236.414, 268.369)), ("t2m", (239.473, 270.981)), ("tcwv", (0.642_881, 10.3803))] {
        check(file, ours, Expected { ours, kind: GridKind::LatLon, grid, levels: &[], times, range, count: 36_456 });
    }
    check_value(file, ("t2m", Level::Surface), "2023-01-15T06:00Z", (65.2, -138.5), 250.238_555_908_203_12);
}

#[test]
fn real_reanalysis_of_one_variable_per_file_is_one_analysis() {
    let levels: &[f64] =
        &[1000., 925., 850., 700., 600., 500., 400., 300., 250., 200., 150., 100., 70., 50., 30., 20., 10.];
    let grid = "73×144 regular latitude-longitude, 90..-90 °N, 0..357.5 °E";
    let times = (5, "2022-01-01T00:00Z", "2022-01-05T00:00Z");
    for (name, ours, levels, range, count) in [
        ("air", "t", levels, (186.025, 314.9), 893_520),
        ("hgt", "z", levels, (-342.0 * G, 31_962.8 * G), 893_520),
        ("uwnd", "u", levels, (-58.775, 96.575), 893_520),
        ("vwnd", "v", levels, (-85.925, 86.7), 893_520),
        ("omega", "w", &levels[..12], (-0.758_25, 0.6845), 630_720),
        ("shum", "q", &levels[..8], (0.0, 0.031_83), 420_480),
    ] {
        let file = format!("ncepr1_{name}_2p5deg_5days.nc");
        check(&file, name, Expected { ours, kind: GridKind::LatLon, grid, levels, times, range, count });
    }
    check_value(
        "ncepr1_air_2p5deg_5days.nc",
        ("t", Level::Pressure(500.0)),
        "2022-01-03T00:00Z",
        (55.0, 12.5),
        244.024_978_637_695_3,
    );
    let files = ["air", "hgt", "uwnd", "vwnd", "shum"].map(|name| real_file(&format!("ncepr1_{name}_2p5deg_5days.nc")));
    let Some(paths) = files.into_iter().collect::<Option<Vec<PathBuf>>>() else { return };
    let fields = ["t", "z", "u", "v", "q"].map(|name| (name, Level::Pressure(500.0)));
    let inventory = Inventory::open(&paths, &Isolation::None).unwrap();
    let wanted = request(&fields, &["2022-01-04T00:00Z", "2022-01-05T00:00Z"]);
    assert_eq!(inventory.latest_time_with(&wanted, 2, LeadTime::from_hours(24)), Some(time("2022-01-05T00:00Z")));
    assert_eq!(inventory.read(&wanted).unwrap().fields().count(), 10);
}

#[test]
fn real_files_that_are_refused_say_why() {
    for (file, reason) in [
        ("lfric_c24_ugrid.nc", "an unstructured mesh (UGRID)"),
        ("malformed/bad_cdf5_begin.nc", "a truncated file"),
        ("malformed/all_fill_coordinates.nc", "missing"),
        ("obs/vobs2019021700", "a file that begins with"),
    ] {
        let Some(path) = real_file(file) else { return };
        assert_said(&open(&[&path]).unwrap_err(), &[reason]);
    }
    if !cfg!(feature = "grib") {
        let Some(path) = real_file("ifs_1deg_t_z_2levels.grib1") else { return };
        assert_said(&open(&[&path]).unwrap_err(), &["a GRIB file", "--features grib"]);
    }
    // °C labelled K, and K labelled °C
    let Some(path) = real_file("ccm_uvt_lon-180.nc") else { return };
    let inventory = open(&[&path]).unwrap();
    let (file, variable) = inventory.variables().find(|(_, variable)| variable.name == "T").unwrap();
    let range = inventory.range(file, variable).unwrap();
    let problem = inventory.implausible(file, variable, range).unwrap().to_string();
    assert!(problem.contains("is the unit in the file right?") && problem.contains("\"C\""), "{problem}");
}

/// No file of the collection makes ingest panic, and those that open can be read through.
#[test]
fn real_files_are_all_survived() {
    let Some(folder) = real_file("") else { return };
    let mut seen = 0;
    for folder in [folder.clone(), folder.join("malformed"), folder.join("obs")] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let (inventory, problems) = Inventory::survey(&[entry.unwrap().path()], &Isolation::None);
            assert!(!inventory.files().is_empty() || !problems.is_empty());
            for file in inventory.files() {
                assert!(inventory.ranges(file).iter().all(Result::is_ok));
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "{seen}");
}

/// The same fields in three formats.
#[test]
fn real_ifs_fields_are_the_same_in_all_formats() {
    let fields = [500.0, 850.0].map(|level| ["t", "z"].map(|name| (name, Level::Pressure(level)))).concat();
    let formats = ["nc", "zarr", "grib1"].into_iter().filter(|format| cfg!(feature = "grib") || *format != "grib1");
    let mut analyses = Vec::new();
    for format in formats {
        let Some(path) = real_file(&format!("ifs_1deg_t_z_2levels.{format}")) else { return };
        analyses.push((format, read(&path, &fields, &["2007-01-01T12:00Z"]).unwrap()));
    }
    let (_, packed) = &analyses[0];
    for (format, other) in &analyses[1..] {
        for (name, level) in &fields {
            let at =
                |analysis: &Analysis| analysis.get(time("2007-01-01T12:00Z"), name, *level).unwrap().values().clone();
            // the NetCDF file's scale_factor; and both are rounded to float32
            let step = if *name == "t" { 0.001_225_61 } else { 0.760_531 };
            let most = |values: Array2<f32>| values.iter().fold(0f32, |most, value| most.max(value.abs()));
            let slack = f64::from(most(at(packed)) * f32::EPSILON);
            let off = most(&at(packed) - &at(other));
            assert!(f64::from(off) <= 0.5 * step + slack, "{format} {name} {level}: {off}");
        }
    }
}
