//! Ingest: files and stores that these tests write, and real ones by many producers.
//!
//! The real files lie outside the project, at `../shared/real-data` (or where `VEJR_REAL_DATA` says); without them their
//! tests say that they were skipped.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vejr::atmos::{Analysis, Level, ValidTime, Variable, known_variable};
use vejr::ingest::{IngestError, Inventory, Isolation, Request};

mod apart;
mod files;
mod grids;
mod groups;
mod mutants;
#[path = "../common/python.rs"]
mod python;
mod real;
mod runs;
#[path = "../common/s3.rs"]
mod s3;
mod zarr;

fn time(text: &str) -> ValidTime {
    text.parse().unwrap()
}

fn ours(name: &str) -> Variable {
    known_variable(name).unwrap().into()
}

fn request(fields: &[(&str, Level)], times: &[&str]) -> Request {
    Request {
        fields: fields.iter().map(|(name, level)| (ours(name), *level).into()).collect(),
        times: times.iter().map(|text| time(text)).collect(),
        grid: None,
    }
}

fn open(paths: &[&Path]) -> Result<Inventory, IngestError> {
    Inventory::open(&paths.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>(), &Isolation::None)
}

fn read(path: &Path, fields: &[(&str, Level)], times: &[&str]) -> Result<Analysis, IngestError> {
    open(&[path])?.read(&request(fields, times))
}

fn values(analysis: &Analysis, name: &str, level: Level) -> Vec<f32> {
    let at = analysis.valid_times()[0];
    analysis.get(at, name, level).unwrap().values().iter().copied().collect()
}

/// A file being written: 3 latitudes from the north, 4 longitudes around the globe, two levels, two times.
struct Draft {
    folder: TempDir,
    file: Option<netcdf::FileMut>,
}

const T500: &[(&str, Level)] = &[("t", Level::Pressure(500.0))];
const NOON: &str = "2020-01-05T12:00Z";

impl Draft {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = netcdf::create(folder.path().join("draft.nc")).unwrap();
        Self { folder, file: Some(file) }
    }

    fn new() -> Self {
        let mut draft = Self::empty();
        draft.axis("latitude", &[10.0, 0.0, -10.0], &[("units", "degrees_north")]);
        draft.axis("longitude", &[0.0, 90.0, 180.0, 270.0], &[("units", "degrees_east")]);
        draft.axis("level", &[500.0, 850.0], &[("units", "hPa")]);
        draft.axis("time", &[0.0, 6.0], &[("units", "hours since 2020-01-05 12:00:00")]);
        draft
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("draft.nc")
    }

    fn file(&mut self) -> &mut netcdf::FileMut {
        self.file.as_mut().unwrap()
    }

    fn axis(&mut self, name: &str, values: &[f64], attributes: &[(&str, &str)]) {
        self.file().add_dimension(name, values.len()).unwrap();
        self.data(name, &[name], values, attributes);
    }

    fn data<T: netcdf::NcTypeDescriptor + Copy>(
        &mut self,
        name: &str,
        dimensions: &[&str],
        values: &[T],
        attributes: &[(&str, &str)],
    ) {
        let mut variable = self.file().add_variable::<T>(name, dimensions).unwrap();
        for (name, value) in attributes {
            variable.put_attribute(name, *value).unwrap();
        }
        variable.put_values(values, ..).unwrap();
    }

    fn number<T: Into<netcdf::AttributeValue>>(&mut self, variable: &str, name: &str, value: T) {
        self.file().variable_mut(variable).unwrap().put_attribute(name, value).unwrap();
    }

    /// Values 200, 201, … in the order of the file.
    fn counted(&mut self, name: &str, dimensions: &[&str], attributes: &[(&str, &str)]) {
        let length = |name: &&str| self.file.as_ref().unwrap().dimension_len(name).unwrap();
        let n: usize = dimensions.iter().map(length).product();
        let values: Vec<f32> = (0..n).map(|i| 200.0 + i as f32).collect();
        self.data(name, dimensions, &values, attributes);
    }

    /// Written out.
    fn done(&mut self) -> PathBuf {
        self.file.take().unwrap().close().unwrap();
        self.path()
    }

    fn read(&mut self, fields: &[(&str, Level)], times: &[&str]) -> Result<Analysis, IngestError> {
        let path = self.done();
        read(&path, fields, times)
    }
}

const TEMPERATURE: &[(&str, &str)] = &[("standard_name", "air_temperature"), ("units", "K")];

fn assert_said(error: &IngestError, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
}
