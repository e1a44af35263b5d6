//! What every kind of storage must do, as one function that is run on each.

use object_store::ObjectStoreExt;
use object_store::path::Path;
use serde_json::{Map, json};
use vejr::atmos::{LeadTime, Level};
use vejr::location::Location;
use vejr::store::{
    Encoding, ForecastPath, ForecastReader, ForecastWriter, RunState, StoreError, find_forecasts, list_forecasts,
};

use crate::forecast::{LARGE, SMALL, STEPS, check_published, complete, contents, fields, reference_time, spec, value};

/// `root` is empty.
pub async fn conforms(root: &Location) {
    for encoding in [Encoding::Float32, Encoding::Packed] {
        life_of_a_forecast(&root.join(encoding.name()), encoding).await;
    }
    places_are_respected(&root.join("places")).await;
    writers_exclude_each_other(&root.join("writers")).await;
    forecasts_are_found(&root.join("many")).await;
}

async fn life_of_a_forecast(location: &Location, encoding: Encoding) {
    let spec = spec(LARGE, encoding, "life");
    assert!(matches!(ForecastReader::open(location).await, Err(StoreError::NotFound(_))));
    let mut writer = ForecastWriter::create_or_resume(location, spec.clone(), false).await.unwrap();
    assert_eq!(check_published(location, &spec).await.unwrap(), 0);
    let (t, hpa500) = ("t", Level::Pressure(500.0));

    // step by step, also across a restart
    for step in 0..STEPS {
        if step == 3 {
            drop(writer);
            writer = ForecastWriter::create_or_resume(location, spec.clone(), false).await.unwrap();
            assert_eq!(writer.steps_complete(), 3);
            for step in [1, 2] {
                let restart = writer.restart_fields(0, step).await.unwrap();
                for (restored, field) in restart.iter().zip(fields(&spec, step)) {
                    let bits = |values: &ndarray::Array2<f32>| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(restored), bits(field.values()), "to the bit, whatever the encoding");
                }
            }
            assert!(matches!(writer.restart_fields(0, 3).await, Err(StoreError::NotPublished { .. })));
        }
        let lead = spec.lead_times[step];
        let reader = ForecastReader::open(location).await.unwrap();
        assert_eq!(reader.published_leads().len(), step);
        assert!(matches!(reader.field(t, hpa500, lead).await, Err(StoreError::NotPublished { .. })));
        writer.write_step(&fields(&spec, step)).await.unwrap();
        let unpublished = reader.field(t, hpa500, lead).await;
        assert!(matches!(unpublished, Err(StoreError::NotPublished { .. })), "a reader is of the moment it was opened");
    }
    assert_eq!(check_published(location, &spec).await.unwrap(), STEPS);

    // windows, within and across inner chunks
    let reader = ForecastReader::open(location).await.unwrap();
    let lead = LeadTime::from_hours(18);
    let whole = reader.field(t, hpa500, lead).await.unwrap();
    for (rows, columns) in
        [(0..121, 0..250), (60..62, 80..90), (0..1, 249..250), (120..121, 0..250), (3..100, 100..101)]
    {
        let window = reader.window(t, hpa500, lead, rows.clone(), columns.clone()).await.unwrap();
        assert_eq!(window, whole.slice(ndarray::s![rows, columns]));
    }
    for (rows, columns) in [(0..122, 0..1), (0..1, 0..251), (5..5, 0..1), (usize::MAX - 1..usize::MAX, 0..1)] {
        assert!(matches!(
            reader.window(t, hpa500, lead, rows.clone(), columns.clone()).await,
            Err(StoreError::NotPublished { .. })
        ));
        assert!(matches!(reader.series(t, hpa500, rows, columns).await, Err(StoreError::NotPublished { .. })));
    }
    for (variable, level) in [("nothing", hpa500), ("t", Level::Surface), ("t", Level::Pressure(501.0)), ("", hpa500)] {
        assert!(matches!(reader.field(variable, level, lead).await, Err(StoreError::NotPublished { .. })));
    }

    // the series copy says what the steps say
    let places = [(0..1, 0..1), (15..17, 30..35), (118..121, 240..250)];
    let mut before = Vec::new();
    for (rows, columns) in &places {
        before.push(reader.series(t, hpa500, rows.clone(), columns.clone()).await.unwrap());
    }
    let provenance = Map::from_iter([("joules".to_owned(), json!("not measured"))]);
    writer.finish(provenance).await.unwrap();
    let reader = ForecastReader::open(location).await.unwrap();
    assert_eq!(reader.manifest().state, RunState::Done);
    assert_eq!(reader.manifest().provenance["joules"], "not measured");
    assert_eq!(reader.manifest().provenance["model_digest"], "abc");
    for ((rows, columns), before) in places.iter().zip(before) {
        assert_eq!(before.len(), STEPS * rows.len() * columns.len());
        let after = reader.series(t, hpa500, rows.clone(), columns.clone()).await.unwrap();
        assert_eq!(before, after);
        let first = value(&spec, 0, 1, 0, rows.start, columns.start);
        assert!((after[0] - first).abs() <= 0.006);
    }
    let sp: Vec<f32> = reader.series("sp", Level::Surface, 0..121, 0..250).await.unwrap();
    assert!(sp[0].is_nan() && !sp[1].is_nan(), "missing values stay missing");

    // done is done
    drop(writer);
    let all = contents(location).await;
    assert!(!all.keys().any(|name| name.starts_with("restart")), "nothing is left of the restart states");
    let mut again = ForecastWriter::create_or_resume(location, spec.clone(), false).await.unwrap();
    assert_eq!((again.manifest().state, again.steps_complete()), (RunState::Done, STEPS));
    assert!(matches!(again.write_step(&fields(&spec, 0)).await, Err(StoreError::Invalid { .. })));
    again.finish(Map::new()).await.unwrap();
    assert!(contents(location).await == all, "asking again changes nothing");
}

async fn places_are_respected(root: &Location) {
    // what is no forecast is not touched, not even with overwrite, not even by a lock file
    let foreign = root.join("foreign");
    foreign.store().put(&Path::from("thesis.txt"), "years of work".into()).await.unwrap();
    for overwrite in [false, true] {
        let result = ForecastWriter::create_or_resume(&foreign, spec(SMALL, Encoding::Packed, "a"), overwrite).await;
        assert!(matches!(result, Err(StoreError::AlreadyExists { .. })));
    }
    foreign.store().put(&Path::from("forecast.json"), "{\"of\": \"another program\"}".into()).await.unwrap();
    let result = ForecastWriter::create_or_resume(&foreign, spec(SMALL, Encoding::Packed, "a"), true).await;
    assert!(matches!(result, Err(StoreError::Corrupt { .. })));
    assert!(contents(&foreign).await.contains_key("thesis.txt"));

    // another run is not overwritten, unless asked to; then nothing of it is left
    let place = root.join("place");
    complete(&place, &spec(LARGE, Encoding::Float32, "a")).await.unwrap();
    let before = contents(&place).await;
    let other = spec(SMALL, Encoding::Packed, "b");
    assert!(matches!(
        ForecastWriter::create_or_resume(&place, other.clone(), false).await,
        Err(StoreError::AlreadyExists { .. })
    ));
    let mut changed = spec(LARGE, Encoding::Float32, "a");
    changed.outputs.pop();
    assert!(matches!(
        ForecastWriter::create_or_resume(&place, changed, false).await,
        Err(StoreError::AlreadyExists { .. })
    ));
    assert!(contents(&place).await == before);
    drop(ForecastWriter::create_or_resume(&place, other.clone(), true).await.unwrap());
    assert_eq!(check_published(&place, &other).await.unwrap(), 0);
    complete(&place, &other).await.unwrap();
    let fresh = root.join("fresh");
    complete(&fresh, &other).await.unwrap();
    assert!(contents(&place).await == contents(&fresh).await);

    // a step must be what is due
    let spec = spec(SMALL, Encoding::Packed, "c");
    let mut writer = ForecastWriter::create_or_resume(&root.join("wrong"), spec.clone(), false).await.unwrap();
    let mut swapped = fields(&spec, 0);
    swapped.swap(0, 1);
    let other_grid = fields(&crate::forecast::spec((7, 8), Encoding::Packed, "c"), 0);
    let too_far = fields(&spec, 0);
    for wrong in [swapped, other_grid, fields(&spec, 1), too_far[1..].to_vec(), Vec::new()] {
        assert!(matches!(writer.write_step(&wrong).await, Err(StoreError::Invalid { .. })));
    }
    assert!(matches!(writer.finish(Map::new()).await, Err(StoreError::Invalid { .. })));
    let hot = {
        let mut fields = fields(&spec, 0);
        let field = fields.remove(0);
        let (variable, level, valid) = (field.variable().clone(), field.level(), field.valid_time());
        let mut values = field.into_values();
        values[[2, 3]] = 3.0e8;
        fields.insert(0, vejr::atmos::Field::new(variable, level, valid, spec.grid.clone(), values).unwrap());
        fields
    };
    let error = writer.write_step(&hot).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unpackable { .. }) && error.to_string().contains("300000000"), "{error}");
    writer.fail("too hot".to_owned()).await.unwrap();
    let reader = ForecastReader::open(&root.join("wrong")).await.unwrap();
    assert_eq!((reader.manifest().state, reader.manifest().reason.as_deref()), (RunState::Failed, Some("too hot")));
    assert_eq!(reader.manifest().steps_complete, 0);
}

/// Where there are locks the second writer is refused; elsewhere it takes over, and the first may publish nothing more.
async fn writers_exclude_each_other(root: &Location) {
    let spec = spec(SMALL, Encoding::Packed, "a");
    let mut first = ForecastWriter::create_or_resume(root, spec.clone(), false).await.unwrap();
    first.write_step(&fields(&spec, 0)).await.unwrap();
    match ForecastWriter::create_or_resume(root, spec.clone(), false).await {
        Err(error) => {
            assert!(matches!(error, StoreError::Busy(_)) && root.local_folder().is_some(), "{error}");
            first.write_step(&fields(&spec, 1)).await.unwrap();
        }
        Ok(mut second) => {
            assert!(root.local_folder().is_none(), "a lock was ignored");
            assert!(matches!(first.write_step(&fields(&spec, 1)).await, Err(StoreError::Busy(_))));
            assert!(matches!(first.fail("late".to_owned()).await, Err(StoreError::Busy(_))));
            second.write_step(&fields(&spec, 1)).await.unwrap();
        }
    }
    assert_eq!(check_published(root, &spec).await.unwrap(), 2);
}

async fn forecasts_are_found(root: &Location) {
    assert!(list_forecasts(root).await.unwrap().is_empty());
    assert!(matches!(find_forecasts(root).await, Err(StoreError::NotFound(_))));
    let path = |model: &str, key: &str| ForecastPath {
        model: model.to_owned(),
        reference_time: reference_time(),
        run_key: key.to_owned(),
    };
    let paths = [path("one", "k1"), path("one", "k2"), path("two", "k1")];
    for path in &paths {
        let spec = spec(SMALL, Encoding::Packed, &path.run_key);
        drop(ForecastWriter::create_or_resume(&path.location(root), spec, false).await.unwrap());
    }
    root.store().put(&Path::from("one/notes.txt"), "not a forecast".into()).await.unwrap();
    let damaged = paths[1].location(root);
    damaged.store().put(&Path::from("forecast.json"), "{".into()).await.unwrap();
    let listed = list_forecasts(root).await.unwrap();
    assert_eq!(listed.iter().map(|(path, _)| path).collect::<Vec<_>>(), paths.iter().collect::<Vec<_>>());
    assert!(listed[0].1.is_ok() && matches!(listed[1].1, Err(StoreError::Corrupt { .. })) && listed[2].1.is_ok());
    assert_eq!(find_forecasts(root).await.unwrap().len(), 3);
    assert_eq!(find_forecasts(&paths[0].location(root)).await.unwrap().len(), 1);
}
