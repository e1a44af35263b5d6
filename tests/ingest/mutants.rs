//! Damaged files through the program itself, as a user would: whatever one holds, an answer comes soon, and it is one of
//! ours.

use std::io::{Cursor, Write};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use vejr::ingest::{Inventory, Isolation};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::real::real_file;
use crate::*;

/// No answer takes longer, on a machine that has other things to do, too: a file that does not end has the patience of the
/// process that reads it twice, once when it is opened and once when it is read.
const LONGEST: Duration = Duration::from_secs(20);
/// Mutants that are looked at side by side.
const AT_ONCE: usize = 2;

/// Numbers for mutations: a linear congruential generator (Knuth).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
}

/// Other bytes at a few places; some are cut off, too.
fn mutated(original: &[u8], n: usize, random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..[1, 2, 8, 32][n % 4] {
        let place = random.below(bytes.len());
        bytes[place] = random.below(256) as u8;
    }
    if n % 10 == 9 {
        bytes.truncate(random.below(bytes.len()));
    }
    bytes
}

/// Has so many mutants inspected; how many of them were refused.
fn refused(name: &str, count: usize, mutant: impl Fn(usize, &mut Random) -> Vec<u8> + Sync) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let (next, refused, slowest) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let inspect = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return;
            }
            let path = folder.path().join(format!("{n}-{name}"));
            std::fs::write(&path, mutant(n, &mut Random(n as u64))).unwrap();
            let start = Instant::now();
            let output = Command::new(env!("CARGO_BIN_EXE_vejr")).arg("inspect").arg(&path).output().unwrap();
            slowest.fetch_max(start.elapsed().as_millis() as usize, Ordering::Relaxed);
            std::fs::remove_file(&path).unwrap();
            match output.status.code() {
                Some(0) => {}
                Some(3) => {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
                _ => panic!("mutant {n} of {name}: {output:?}"),
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(inspect))));
    let (refused, slowest) = (refused.into_inner(), Duration::from_millis(slowest.into_inner() as u64));
    println!("{name}: {refused} of {count} mutants refused; the slowest took {slowest:?}");
    assert!(slowest < LONGEST, "{name}: {slowest:?}");
    refused
}

/// Mutants of real files, so many of each.
fn of_real(names: &[&str], count: usize) {
    for name in names {
        let Some(path) = real_file(name) else { return };
        let original = std::fs::read(path).unwrap();
        refused(name, count, |n, random| mutated(&original, n, random));
    }
}

#[test]
fn mutants_get_an_answer() {
    let mut draft = Draft::new();
    draft.counted("t", &["time", "level", "latitude", "longitude"], TEMPERATURE);
    let original = std::fs::read(draft.done()).unwrap();
    assert!(refused("draft.nc", 120, |n, random| mutated(&original, n, random)) > 10);
}

#[test]
fn mutants_of_real_netcdf_files_get_an_answer() {
    let hdf5 = ["racmo_rotated_pole_pr.nc", "um_rotated_pole_lon390.nc", "harmonie_n25_T2m_frt.nc"];
    let classic = ["reftime_x_offset_2d_time.nc", "uv300_cyclic_duplicate.nc"];
    of_real(&hdf5, 200);
    of_real(&classic, 200);
}

#[cfg(feature = "grib")]
#[test]
fn mutants_of_real_grib_files_get_an_answer() {
    let edition_1 = ["cfgrib_hpa_and_pa.grib", "cfgrib_missing_values.grib"];
    let edition_2 = ["polarstereo_south.grib2", "healpix_h8.grib2"];
    of_real(&edition_1, 25);
    of_real(&edition_2, 25);
}

/// Names and contents of a store's objects.
type Store = Vec<(String, Vec<u8>)>;

/// A Zarr store of version 2: two latitudes, three longitudes, a temperature.
fn store() -> Store {
    let mut store = vec![(".zgroup".to_owned(), br#"{"zarr_format": 2}"#.to_vec())];
    let mut array = |name: &str, dimensions: &[(&str, usize)], values: &[f32], attributes: &str| {
        let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
        let shape: Vec<usize> = dimensions.iter().map(|(_, length)| *length).collect();
        let metadata = format!(
            r#"{{"zarr_format": 2, "shape": {shape:?}, "chunks": {shape:?}, "dtype": "<f4", "order": "C",
                "fill_value": null, "filters": null, "compressor": null}}"#
        );
        let chunk = vec!["0"; shape.len()].join(".");
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let attributes = format!(r#"{{"_ARRAY_DIMENSIONS": {names:?}, {attributes}}}"#);
        store.push((format!("{name}/.zarray"), metadata.into_bytes()));
        store.push((format!("{name}/.zattrs"), attributes.into_bytes()));
        store.push((format!("{name}/{chunk}"), bytes));
    };
    array("latitude", &[("latitude", 2)], &[10.0, 0.0], r#""units": "degrees_north""#);
    array("longitude", &[("longitude", 3)], &[0.0, 10.0, 20.0], r#""units": "degrees_east""#);
    let kelvin = r#""units": "K", "standard_name": "air_temperature""#;
    array("t", &[("latitude", 2), ("longitude", 3)], &[270.0; 6], kelvin);
    store
}

fn zipped(store: &Store) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in store {
        writer
            .start_file(name.as_str(), SimpleFileOptions::default().compression_method(CompressionMethod::Stored))
            .unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The zip file itself, or what is in it.
#[test]
fn mutants_of_a_zipped_store_get_an_answer() {
    let store = store();
    let original = zipped(&store);
    let few = refused("store.zip", 200, |n, random| {
        if n % 4 == 3 {
            return mutated(&original, n, random);
        }
        let mut store = store.clone();
        let entry = random.below(store.len());
        store[entry].1 = mutated(&store[entry].1, n, random);
        zipped(&store)
    });
    assert!((10..190).contains(&few), "{few}");
}

/// As its arrays tell it, a store may contradict itself.
#[test]
fn a_store_that_contradicts_itself_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.zip");
    let inspect = |store: &Store| {
        std::fs::write(&path, zipped(store)).unwrap();
        Inventory::open(std::slice::from_ref(&path), &Isolation::None)
    };
    assert_eq!(inspect(&store()).unwrap().variables().count(), 1);
    for (shape, found) in [("[2, 5]", "longitude"), ("[2, 2]", "longitude"), ("[7, 3]", "latitude")] {
        let mut other = store();
        let metadata = other.iter_mut().find(|(name, _)| name == "t/.zarray").unwrap();
        metadata.1 = String::from_utf8(metadata.1.clone()).unwrap().replace("[2, 3]", shape).into_bytes();
        assert_said(&inspect(&other).unwrap_err(), &["t: found dimension", found, "in other arrays"]);
    }
}
