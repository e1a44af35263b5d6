//! Damaged storage is an error that names the object. It is never a panic, and never a value.

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use vejr::location::Location;
use vejr::store::{Encoding, ForecastReader, StoreError};

use crate::forecast::{LARGE, SMALL, check_published, complete, spec};

/// All reads that touch a changed object fail, however it was changed.
pub async fn is_reported(location: &Location) {
    let spec = spec(LARGE, Encoding::Float32, "damage");
    complete(location, &spec).await.unwrap();
    let store = location.store();
    for (name, series) in [("t/c/0/2/1/0/0", false), ("series/t/c/0/0/1/0/0", true)] {
        let path = Path::from(name);
        let whole = store.get(&path).await.unwrap().bytes().await.unwrap();
        let read = async || {
            let reader = ForecastReader::open(location).await.unwrap();
            let level = spec.outputs[0].levels[1];
            match series {
                true => reader.series("t", level, 0..121, 0..250).await.map(drop),
                false => reader.field("t", level, spec.lead_times[2]).await.map(drop),
            }
        };
        // one chunk, through the index
        let read_little = async || {
            let reader = ForecastReader::open(location).await.unwrap();
            let level = spec.outputs[0].levels[1];
            match series {
                true => reader.series("t", level, 0..1, 0..1).await.map(drop),
                false => reader.window("t", level, spec.lead_times[2], 0..1, 0..1).await.map(drop),
            }
        };
        let flipped = |at: usize| {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 0x10;
            Bytes::from(bytes)
        };
        let n = whole.len();
        let cut = [0, 1, 3, 4, 40, n / 2, n - 1].map(|n| whole.slice(..n));
        let longer = Bytes::from([&whole[..], b"x"].concat());
        let huge = Bytes::from([&vec![0; 64 << 20][..], &whole[..]].concat());
        let first_chunk = [2, 17, 40].map(flipped);
        let index = [n - 1, n - 5, n - 16].map(flipped);
        for damaged in cut.into_iter().chain(first_chunk).chain(index).chain([longer, huge]) {
            store.put(&path, damaged.into()).await.unwrap();
            for result in [read().await, read_little().await] {
                assert!(
                    matches!(&result, Err(StoreError::Corrupt { object, .. }) if object.ends_with(name)),
                    "{result:?}"
                );
            }
        }
        store.delete(&path).await.unwrap();
        assert!(matches!(read().await, Err(StoreError::Corrupt { .. })));
        assert!(matches!(read_little().await, Err(StoreError::Corrupt { .. })));
        store.put(&path, whole.into()).await.unwrap();
        read().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn is_reported_from_memory_and_disk() {
    is_reported(&Location::parse("memory://").unwrap()).await;
    let folder = tempfile::tempdir().unwrap();
    is_reported(&Location::parse(folder.path().join("f.zarr").to_str().unwrap()).unwrap()).await;
}

/// Every byte of every small object, one after the other, wrong: right values, or an error.
#[tokio::test(flavor = "multi_thread")]
async fn any_one_byte_is_noticed_or_harmless() {
    let location = Location::parse("memory://").unwrap();
    let spec = spec(SMALL, Encoding::Packed, "bytes");
    complete(&location, &spec).await.unwrap();
    let objects: Vec<_> = location.store().list(None).try_collect().await.unwrap();
    let (mut noticed, mut harmless) = (0, 0);
    for object in objects.iter().map(|object| &object.location) {
        let name = object.as_ref();
        let read_by_us = name.starts_with("t/c/0/0/") || name == "forecast.json";
        if !read_by_us {
            continue;
        }
        let whole = location.store().get(object).await.unwrap().bytes().await.unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.to_vec();
            bytes[at] ^= 1 << (at % 7);
            location.store().put(object, bytes.into()).await.unwrap();
            // the manifest is text of ours, and says of a title or a model what it says
            match check_manifest_or_values(&location, &spec, name).await {
                Ok(()) => harmless += 1,
                Err(StoreError::Corrupt { .. }) => noticed += 1,
                Err(other) => panic!("{name} byte {at}: {other}"),
            }
        }
        location.store().put(object, whole.into()).await.unwrap();
    }
    println!("{noticed} noticed, {harmless} harmless");
    assert!(noticed > 1000);
}

async fn check_manifest_or_values(
    location: &Location,
    spec: &vejr::store::ForecastSpec,
    name: &str,
) -> Result<(), StoreError> {
    if name != "forecast.json" {
        return check_published(location, spec).await.map(drop);
    }
    let reader = ForecastReader::open(location).await?;
    for output in &reader.spec().outputs {
        for &lead in reader.published_leads() {
            let level = output.levels[0];
            match reader.field(&output.variable.name, level, lead).await {
                Ok(_) | Err(StoreError::Corrupt { .. }) => {}
                Err(other) => return Err(other),
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_manifests_are_refused() {
    let location = Location::parse("memory://").unwrap();
    complete(&location, &spec(SMALL, Encoding::Packed, "hostile")).await.unwrap();
    let path = Path::from("forecast.json");
    let bytes = location.store().get(&path).await.unwrap().bytes().await.unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let ascending = |n: usize, from: f64, by: f64| (0..n).map(|i| from + by * i as f64).collect::<Vec<f64>>();
    let changes: Vec<(&str, serde_json::Value)> = vec![
        ("/outputs/0/name", "../../etc/passwd".into()),
        ("/outputs/0/name", "".into()),
        ("/outputs/0/name", "latitude".into()),
        ("/outputs/0/name", "pressure_2".into()),
        ("/outputs/0/name", "u".into()),
        ("/outputs/0/levels", serde_json::json!([])),
        ("/outputs/0/levels", serde_json::json!(["850hPa", "surface"])),
        ("/outputs/0/levels", serde_json::json!(["850hPa", "850hPa"])),
        ("/outputs/0/levels", serde_json::json!(["NaNhPa"])),
        ("/outputs/0/precision", 0.0.into()),
        ("/outputs/0/range", serde_json::json!([5.0, -5.0])),
        ("/outputs", serde_json::json!([])),
        ("/steps_complete", 6.into()),
        ("/steps_complete", u64::MAX.into()),
        ("/steps_total", 4.into()),
        ("/lead_seconds", serde_json::json!([])),
        ("/lead_seconds/0", i64::MIN.into()),
        ("/lead_seconds/4", 0.into()),
        ("/run_key", "a/b".into()),
        ("/format", 2.into()),
        ("/latitude", serde_json::json!([91.0, 0.0])),
        ("/latitude", serde_json::json!([])),
        ("/longitude", serde_json::json!([0.0, 0.0])),
    ];
    for (pointer, value) in changes {
        let mut changed = manifest.clone();
        *changed.pointer_mut(pointer).unwrap() = value.clone();
        location.store().put(&path, changed.to_string().into()).await.unwrap();
        let opened = ForecastReader::open(&location).await;
        assert!(matches!(opened, Err(StoreError::Corrupt { .. })), "{pointer} = {value}");
    }
    // a grid of 10^12 points in a few megabytes of text
    let mut changed = manifest.clone();
    changed["latitude"] = ascending(400_000, -80.0, 1e-6).into_iter().rev().collect::<Vec<_>>().into();
    changed["longitude"] = ascending(400_000, 0.0, 1e-6).into();
    location.store().put(&path, changed.to_string().into()).await.unwrap();
    assert!(matches!(ForecastReader::open(&location).await, Err(StoreError::Corrupt { .. })));
}
