//! Ensembles: members that arrive one by one, from one writer or from many at the same time.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Map, json};
use vejr::atmos::{LeadTime, Level};
use vejr::location::Location;
use vejr::store::{Encoding, Fence, ForecastReader, ForecastSpec, ForecastWriter, Moment, RunState, StoreError};

use crate::forecast::{
    LARGE, SMALL, STEPS, check_published, complete, contents, ensemble, member_fields, member_value, write_missing,
};
use crate::python::{self, run};

const MEMBERS: usize = 5;

fn open_fence() -> Fence {
    let fence = Fence::default();
    fence.open(Moment::now(), Duration::from_secs(3600));
    fence
}

/// What a worker does with its members; whoever finds every step there finishes.
async fn share(location: &Location, spec: &ForecastSpec, members: std::ops::Range<usize>) -> Result<(), StoreError> {
    let mut writer = ForecastWriter::of_members(location, spec.clone(), members, open_fence()).await?;
    if writer.manifest().state == RunState::Done {
        return Ok(());
    }
    write_missing(&mut writer, spec).await?;
    if writer.steps_complete() == STEPS {
        writer.finish(Map::from_iter([("wall_seconds".to_owned(), json!(1.25))])).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn members_arrive_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::parse(folder.path().join("f.zarr").to_str().unwrap()).unwrap();
    let spec = ensemble(SMALL, Encoding::Float32, "members", 3);
    let mut writer = ForecastWriter::create_or_resume(&location, spec.clone(), false).await.unwrap();
    for (member, step) in [(1, 0), (1, 1), (0, 0), (2, 0), (0, 1)] {
        let fields = member_fields(&spec, member, step);
        writer.write_step_of(member, &fields, &fields).await.unwrap();
    }
    let reader = ForecastReader::open(&location).await.unwrap();
    assert_eq!(reader.member(), Some(0), "the control, where nobody is asked for");
    assert_eq!((reader.whole().steps_complete, reader.manifest().steps_complete), (1, 2));
    let published = |member| reader.of_member(member).unwrap().published_leads().len();
    assert_eq!([published(0), published(1), published(2)], [2, 2, 1]);
    check_published(&location, &spec).await.unwrap();
    let late = reader.of_member(2).unwrap().field("t2m", Level::Surface, LeadTime::from_hours(6)).await;
    assert!(matches!(late, Err(StoreError::NotPublished { .. })));
    let none = reader.of_member(3).err().unwrap().to_string();
    assert!(none.contains("0 to 2"), "{none}");
    // the same run without members is another forecast
    drop(writer);
    let single = ensemble(SMALL, Encoding::Float32, "members", 1);
    let refused = ForecastWriter::create_or_resume(&location, single, false).await;
    assert!(matches!(refused, Err(StoreError::AlreadyExists { .. })));
    complete(&location, &spec).await.unwrap();
    let reader = ForecastReader::open(&location).await.unwrap().of_member(2).unwrap();
    let series = reader.series("t2m", Level::Surface, 2..3, 4..6).await.unwrap();
    let expected = |step, column| member_value(&spec, 2, (6, 0), step, (2, column));
    assert_eq!(series, (0..STEPS).flat_map(|step| [expected(step, 4), expected(step, 5)]).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writers_make_what_one_makes() {
    for encoding in [Encoding::Float32, Encoding::Packed] {
        let spec = ensemble(LARGE, encoding, "shared", MEMBERS);
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| Location::parse(folder.path().join(name).to_str().unwrap()).unwrap();
        let (alone, memory) = (at("alone"), Location::parse("memory://").unwrap());
        complete(&alone, &spec).await.unwrap();
        let expected = contents(&alone).await;
        for location in [at("shared"), memory] {
            let writers: Vec<_> = (0..MEMBERS)
                .map(|member| {
                    let (location, spec) = (location.clone(), spec.clone());
                    let runtime = tokio::runtime::Handle::current();
                    std::thread::spawn(move || runtime.block_on(share(&location, &spec, member..member + 1)))
                })
                .collect();
            // a reader meanwhile finds nothing half
            let mut seen = 0;
            while !writers.iter().all(|writer| writer.is_finished()) {
                match check_published(&location, &spec).await {
                    Ok(steps) => seen = seen.max(steps),
                    Err(StoreError::NotFound(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            for writer in writers {
                writer.join().unwrap().unwrap();
            }
            assert_eq!(check_published(&location, &spec).await.unwrap(), STEPS);
            assert_eq!(ForecastReader::open(&location).await.unwrap().whole().state, RunState::Done);
            let found = contents(&location).await;
            assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
            assert!(found == expected, "bit for bit");
            // again, in other parts
            share(&location, &spec, 1..4).await.unwrap();
            assert!(contents(&location).await == expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_one_writers_and_the_others_are_left_alone() {
    let location = Location::parse("memory://").unwrap();
    let spec = ensemble(SMALL, Encoding::Packed, "taken", 3);
    let open = |members| ForecastWriter::of_members(&location, spec.clone(), members, open_fence());
    let mut old = open(0..2).await.unwrap();
    let mut other = open(2..3).await.unwrap();
    let step = |member, step| (member, member_fields(&spec, member, step));
    let (member, fields) = step(0, 0);
    old.write_step_of(member, &fields, &fields).await.unwrap();
    let mut new = open(0..2).await.unwrap();
    assert_eq!((new.steps_complete_of(0), new.steps_complete_of(1)), (1, 0));
    let (member, fields) = step(1, 0);
    let refused = old.write_step_of(member, &fields, &fields).await;
    assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
    new.write_step_of(member, &fields, &fields).await.unwrap();
    let (member, fields) = step(2, 0);
    other.write_step_of(member, &fields, &fields).await.unwrap();
    assert_eq!(other.steps_complete(), 1, "it sees what others have made");
    let foreign = other.write_step_of(0, &fields, &fields).await;
    assert!(matches!(foreign, Err(StoreError::Invalid { .. })));
    new.fail("it blew up".to_owned()).await.unwrap();
    let reader = ForecastReader::open(&location).await.unwrap();
    assert_eq!((reader.whole().state, reader.whole().steps_complete), (RunState::Failed, 1));
    let closed = ForecastWriter::of_members(&location, spec.clone(), 0..1, Fence::default()).await;
    assert!(matches!(closed, Err(StoreError::Fenced(_))));
    for part in [0..2, 2..3] {
        share(&location, &spec, part).await.unwrap();
    }
    assert_eq!(check_published(&location, &spec).await.unwrap(), STEPS);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exchange_format_holds() {
    let Some(python) = python::with(&["xarray", "zarr", "mlwp_data_specs.specs.cli"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.zarr");
    let location = Location::parse(path.to_str().unwrap()).unwrap();
    complete(&location, &ensemble(SMALL, Encoding::Float32, "key", 3)).await.unwrap();
    for path in [path.clone(), path.join("series")] {
        let call = "import sys; from mlwp_data_specs.specs.cli import main; sys.exit(main())";
        let traits = ["--time", "forecast", "--space", "grid", "--uncertainty", "ensemble"];
        run(Command::new(&python).args(["-c", call]).arg(&path).args(traits));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/store/ensemble.py");
    run(Command::new(&python).arg(script).arg(&path));
}
