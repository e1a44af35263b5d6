//! Forecasts to write: small, with every kind of level, more than one inner chunk a side, and values known at every point.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use ndarray::Array2;
use object_store::{ObjectStore, ObjectStoreExt};
use serde_json::{Map, json};
use vejr::atmos::{Field, Grid, LeadTime, Level, ReferenceTime, Variable, known_variable};
use vejr::location::Location;
use vejr::store::{Encoding, ForecastReader, ForecastSpec, ForecastWriter, Output, RunState, Statistics, StoreError};

pub const STEPS: usize = 5;
/// 2 × 3 inner chunks, which do not divide the grid.
pub const LARGE: (usize, usize) = (121, 250);
pub const SMALL: (usize, usize) = (5, 8);

pub fn spec((h, w): (usize, usize), encoding: Encoding, run_key: &str) -> ForecastSpec {
    let latitude = (0..h).map(|i| 90.0 - 180.0 * i as f64 / (h - 1) as f64).collect();
    let longitude = (0..w).map(|j| 360.0 * j as f64 / w as f64).collect();
    let output = |name: &str, levels: &[Level]| {
        let known = known_variable(name).unwrap();
        Output {
            variable: Variable::from(known),
            levels: levels.to_vec(),
            precision: known.precision,
            range: known.plausible,
        }
    };
    let pressures = [Level::Pressure(850.0), Level::Pressure(500.0)];
    ForecastSpec {
        run_key: run_key.to_owned(),
        model: "test-model".to_owned(),
        title: "A forecast for tests".to_owned(),
        reference_time: reference_time(),
        lead_times: (0..STEPS as i64).map(|n| LeadTime::from_hours(6 * n)).collect(),
        members: 1,
        statistics: None,
        grid: Arc::new(Grid::new(latitude, longitude).unwrap()),
        outputs: vec![
            output("t", &pressures),
            output("u", &pressures),
            output("z", &[Level::Pressure(500.0)]),
            output("u100", &[Level::Height(100.0)]),
            output("q", &[Level::Model(7)]),
            output("sp", &[Level::Surface]), // packed in 32 bits
            output("t2m", &[Level::Surface]),
        ],
        encoding,
        restart_states: 2,
        restart_apart: false,
        provenance: Map::from_iter([("model_digest".to_owned(), json!("abc")), ("seed".to_owned(), json!(null))]),
    }
}

pub fn reference_time() -> ReferenceTime {
    "2026-11-23T06:00Z".parse().unwrap()
}

/// The same for an ensemble.
pub fn ensemble(shape: (usize, usize), encoding: Encoding, run_key: &str, members: usize) -> ForecastSpec {
    let exceed = vec!["t 500hPa>250".parse().unwrap(), "sp>100000".parse().unwrap()];
    let statistics = (members > 1).then(|| Statistics { exceed, ..Statistics::default() });
    ForecastSpec { members, statistics, ..spec(shape, encoding, run_key) }
}

/// What a variable has at a point: inside its range, different everywhere; `sp` has missing values.
pub fn value(spec: &ForecastSpec, output: usize, level: usize, step: usize, row: usize, column: usize) -> f32 {
    member_value(spec, 0, (output, level), step, (row, column))
}

pub fn member_value(
    spec: &ForecastSpec,
    member: usize,
    (output, level): (usize, usize),
    step: usize,
    (row, column): (usize, usize),
) -> f32 {
    let output_ = &spec.outputs[output];
    if &*output_.variable.name == "sp" && (row * 31 + column).is_multiple_of(17) {
        return f32::NAN;
    }
    let (low, high) = output_.range;
    let phase = 0.7 * member as f64
        + output as f64
        + 0.37 * level as f64
        + 0.11 * step as f64
        + 0.05 * row as f64
        + 0.013 * column as f64;
    (low + (high - low) * (0.5 + 0.45 * phase.sin())) as f32
}

pub fn fields(spec: &ForecastSpec, step: usize) -> Vec<Field> {
    member_fields(spec, 0, step)
}

pub fn member_fields(spec: &ForecastSpec, member: usize, step: usize) -> Vec<Field> {
    spec.fields()
        .map(|(output, level)| {
            let value = |place| member_value(spec, member, (output, level), step, place);
            let values = Array2::from_shape_fn(spec.grid.shape(), value);
            let Output { variable, levels, .. } = &spec.outputs[output];
            let valid_time = spec.reference_time + spec.lead_times[step];
            Field::new(variable.clone(), levels[level], valid_time, spec.grid.clone(), values).unwrap()
        })
        .collect()
}

/// Writes what is missing and finishes. What every run does, also after a crash.
pub async fn complete(location: &Location, spec: &ForecastSpec) -> Result<(), StoreError> {
    let mut writer = ForecastWriter::create_or_resume(location, spec.clone(), false).await?;
    if writer.manifest().state == RunState::Done {
        return Ok(());
    }
    write_missing(&mut writer, spec).await?;
    writer.finish(Map::from_iter([("wall_seconds".to_owned(), json!(1.25))])).await
}

/// Step by step, and in each member by member.
pub async fn write_missing(writer: &mut ForecastWriter, spec: &ForecastSpec) -> Result<(), StoreError> {
    for step in 0..spec.lead_times.len() {
        for member in writer.own() {
            if writer.steps_complete_of(member) == step {
                let fields = member_fields(spec, member, step);
                writer.write_step_of(member, &fields, &fields).await?;
            }
        }
    }
    Ok(())
}

/// All objects, as their bytes; the manifest without the name of its writer, which is the one thing that differs.
pub async fn contents(location: &Location) -> BTreeMap<String, Bytes> {
    let mut contents = BTreeMap::new();
    let objects: Vec<_> = location.store().list(None).try_collect().await.unwrap();
    for object in objects {
        let name = object.location.to_string();
        let mut bytes = location.store().get(&object.location).await.unwrap().bytes().await.unwrap();
        if name.ends_with("forecast.json") {
            let mut manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            manifest.as_object_mut().unwrap().remove("attempt");
            let members = manifest.get_mut("members").and_then(|members| members.as_array_mut());
            members.into_iter().flatten().for_each(|member| drop(member.as_object_mut().unwrap().remove("attempt")));
            bytes = manifest.to_string().into();
        }
        if name != ".lock" {
            contents.insert(name, bytes);
        }
    }
    contents
}

/// Half a quantum, and what float32 rounds.
pub fn tolerance(spec: &ForecastSpec, output: usize, value: f32) -> f64 {
    match spec.encoding {
        Encoding::Float32 => 0.0,
        Encoding::Packed => 0.5001 * spec.outputs[output].precision + f64::from(value.abs()) * 2e-7,
    }
}

/// Every value of every step that is listed, right. Returns how many steps those were.
pub async fn check_published(location: &Location, spec: &ForecastSpec) -> Result<usize, StoreError> {
    let whole = ForecastReader::open(location).await?;
    for member in 0..spec.members {
        check_member(&whole.of_member(member)?, spec, member).await?;
    }
    Ok(whole.whole().steps_complete)
}

async fn check_member(reader: &ForecastReader, spec: &ForecastSpec, member: usize) -> Result<(), StoreError> {
    for (step, &lead) in reader.published_leads().iter().enumerate() {
        for (output, level) in spec.fields() {
            let Output { variable, levels, .. } = &spec.outputs[output];
            let found = reader.field(&variable.name, levels[level], lead).await?;
            for ((row, column), &found) in found.indexed_iter() {
                let expected = member_value(spec, member, (output, level), step, (row, column));
                let name = &variable.name;
                let what = || format!("{name} {} of {member} step {step} at {row},{column}", levels[level]);
                assert_eq!(found.is_nan(), expected.is_nan(), "{}", what());
                let error = f64::from((found - expected).abs());
                assert!(
                    expected.is_nan() || error <= tolerance(spec, output, expected),
                    "{}: {found} {expected}",
                    what()
                );
            }
        }
    }
    Ok(())
}
