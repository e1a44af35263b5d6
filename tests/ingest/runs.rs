//! Files in which several forecasts are valid at the same time: nothing is taken silently.

use std::path::Path;

use crate::*;

/// Base times at noon and 18 UTC, steps of 0 and 6 hours: 18 UTC is there twice. `second`: what the later forecast has then.
fn two_runs(second: f32) -> Draft {
    let mut draft = Draft::new();
    let since = "hours since 2020-01-05 12:00:00";
    draft.axis("base", &[0.0, 6.0], &[("standard_name", "forecast_reference_time"), ("units", since)]);
    draft.axis("step", &[0.0, 6.0], &[("standard_name", "forecast_period"), ("units", "hours")]);
    let values: Vec<f32> =
        [250.0, 251.0, second, 253.0].iter().flat_map(|value| std::iter::repeat_n(*value, 2 * 12)).collect();
    draft.data("t", &["base", "step", "level", "latitude", "longitude"], &values, TEMPERATURE);
    draft
}

const EVENING: &str = "2020-01-05T18:00Z";

/// At 18 UTC, of the forecast that is meant from a reference time.
fn evening(path: &Path, reference_time: Option<&str>) -> Result<f32, IngestError> {
    let inventory = open(&[path])?.as_known_at(reference_time.map(|text| text.parse().unwrap()));
    inventory.read(&request(T500, &[EVENING])).map(|analysis| values(&analysis, "t", T500[0].1)[0])
}

#[test]
fn the_reference_time_says_which_forecast_is_meant() {
    let mut draft = two_runs(252.0);
    let path = draft.done();
    let error = evening(&path, None).unwrap_err();
    assert_said(&error, &["t 500hPa at 2020-01-05T18:00Z", NOON, "and from 2020-01-05T18:00Z", "--reference-time"]);
    // what was known at noon, and what was known in the evening
    assert_eq!(evening(&path, Some(NOON)).unwrap(), 251.0);
    assert_eq!(evening(&path, Some(EVENING)).unwrap(), 252.0);
    assert_eq!(evening(&path, Some("2020-01-06T12:00Z")).unwrap(), 252.0);
    // before both nothing is said
    assert!(evening(&path, Some("2020-01-05T00:00Z")).is_err());
}

#[test]
fn forecasts_that_are_the_same_need_no_choice() {
    let mut draft = two_runs(251.0);
    assert_eq!(evening(&draft.done(), None).unwrap(), 251.0);
}

#[test]
fn of_several_files_the_latest_forecast_until_the_reference_time_is_meant() {
    let draft = |base: f64, value: f32| {
        let mut draft = Draft::new();
        draft.data(
            "t",
            &["time", "level", "latitude", "longitude"],
            &[value; 48],
            &[TEMPERATURE[0], TEMPERATURE[1], ("coordinates", "base")],
        );
        let attributes = [("standard_name", "forecast_reference_time"), ("units", "hours since 2020-01-05 12:00:00")];
        draft.data("base", &[], &[base], &attributes);
        let path = draft.done();
        (draft, path)
    };
    let (old, new) = (draft(-6.0, 250.0), draft(0.0, 251.0));
    let read = |reference_time: Option<&str>| {
        let inventory = open(&[&old.1, &new.1]).unwrap().as_known_at(reference_time.map(|text| text.parse().unwrap()));
        inventory.read(&request(T500, &[NOON])).map(|analysis| values(&analysis, "t", T500[0].1)[0])
    };
    assert_said(&read(None).unwrap_err(), &["t 500hPa", "2020-01-05T06:00Z", "2020-01-05T12:00Z", "--reference-time"]);
    assert_eq!(read(Some(NOON)).unwrap(), 251.0);
    assert_eq!(read(Some("2020-01-05T06:00Z")).unwrap(), 250.0);
}

#[test]
fn base_times_beside_valid_times_tell_forecasts_apart() {
    let mut draft = Draft::empty();
    draft.axis("latitude", &[10.0, 0.0, -10.0], &[("units", "degrees_north")]);
    draft.axis("longitude", &[0.0, 90.0, 180.0, 270.0], &[("units", "degrees_east")]);
    draft.axis("level", &[500.0], &[("units", "hPa")]);
    let since = "hours since 2020-01-05 12:00:00";
    draft.axis("time", &[0.0, 6.0, 6.0], &[("units", since), ("standard_name", "time")]);
    draft.data("base", &["time"], &[0.0, 0.0, 6.0], &[("units", since), ("standard_name", "forecast_reference_time")]);
    draft.counted("t", &["time", "level", "latitude", "longitude"], TEMPERATURE);
    let path = draft.done();
    assert_said(&evening(&path, None).unwrap_err(), &[NOON, EVENING]);
    assert_eq!(evening(&path, Some(NOON)).unwrap(), 212.0);
    assert_eq!(evening(&path, Some(EVENING)).unwrap(), 224.0);
}
