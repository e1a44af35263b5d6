//! The training's statistics, as `mllam-data-prep` writes them: `{category}__train__{operation}` along
//! `{category}_feature`.

use std::path::{Path, PathBuf};

use super::datastore::Feature;
use super::projection::CartopyProjection;
use crate::atmos::{Grid, Projection};
use crate::import::ImportError;
use crate::ingest::{Dataset, Isolation};

/// Statistics of one category, in the order of its features.
#[derive(Debug, Default)]
pub struct Statistics {
    pub names: Vec<String>,
    /// Empty where they are not told.
    pub units: Vec<String>,
    pub long_names: Vec<String>,
    pub mean: Vec<f64>,
    pub std: Vec<f64>,
    /// Of the state alone.
    pub diff_mean: Vec<f64>,
    pub diff_std: Vec<f64>,
}

/// Where the statistics lie: the first that exists of what was named, what the artifact holds, and what lies beside the
/// datastore's configuration.
pub fn find(named: Option<&Path>, artifact: Option<&Path>, datastore: &Path) -> Result<PathBuf, ImportError> {
    if let Some(named) = named {
        return Ok(named.to_owned());
    }
    let stem = datastore.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = datastore.parent().unwrap_or(Path::new("."));
    let mut places: Vec<PathBuf> = artifact.iter().map(|folder| folder.join(format!("{stem}.stats.zarr"))).collect();
    places.extend([format!("{stem}.stats.zarr"), format!("{stem}.zarr")].map(|name| beside.join(name)));
    places.iter().find(|place| place.exists()).cloned().ok_or_else(|| ImportError::Source {
        path: datastore.to_owned(),
        reason: format!(
            "no statistics: there is no {}; give --params with statistics = \"…\"",
            places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", nor ")
        ),
    })
}

/// An open store of statistics: alone, or with the dataset that they are of.
pub struct Store {
    pub path: PathBuf,
    dataset: Dataset,
}

/// The dimension of a dataset's points.
const POINTS: &str = "grid_index";

impl Store {
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        // the user's own file, read once
        let dataset =
            Dataset::open(path, &Isolation::None).map_err(|problem| ImportError::Statistics(Box::new(problem)))?;
        Ok(Self { path: path.to_owned(), dataset })
    }

    /// Where the dataset's points lie, in their order, where it tells so: by latitude and longitude, else by x and y on
    /// `projection`, as the reference looks for them.
    pub fn places(&self, projection: Option<&CartopyProjection>) -> Option<Grid> {
        let along_points = |name: &str| {
            let array = self.dataset.array(name)?;
            let along = array.dimensions.len() == 1 && array.dimensions[0].name == POINTS;
            self.dataset.numbers(name).ok().filter(|_| along)
        };
        let pair = |(one, other): (&str, &str)| along_points(one).zip(along_points(other));
        if let Some((latitude, longitude)) = pair(("latitude", "longitude")).or_else(|| pair(("lat", "lon"))) {
            return Grid::points(latitude, longitude).ok();
        }
        let (x, y) = pair(("x", "y"))?;
        let projection = projection?;
        if projection.is_latitude_longitude() {
            return Grid::points(y, x).ok();
        }
        let projection = Projection::from_cf(&projection.cf()?).ok()?;
        let places: Option<Vec<(f64, f64)>> = x.iter().zip(&y).map(|(&x, &y)| projection.inverse(x, y)).collect();
        let (latitude, longitude) = places?.into_iter().unzip();
        Grid::points(latitude, longitude).ok()
    }

    /// The statistics of `category` (`state`, `forcing`, `static`), which must tell of exactly these features.
    pub fn read(&self, category: &str, features: &[Feature], problems: &mut Vec<String>) -> Statistics {
        if features.is_empty() {
            return Statistics::default();
        }
        let mut texts = |name: String, needed: bool| match self.dataset.texts(&name) {
            Ok(texts) => texts,
            Err(reason) => {
                if needed {
                    problems.push(format!("statistics: {name}: {reason}"));
                }
                Vec::new()
            }
        };
        let names = texts(format!("{category}_feature"), true);
        let units = texts(format!("{category}_feature_units"), false);
        let long_names = texts(format!("{category}_feature_long_name"), false);
        let mut numbers = |operation: &str| {
            let name = format!("{category}__train__{operation}");
            let numbers = self.of_features(&name).and_then(|numbers| match numbers.len() {
                n if n == features.len() => Ok(numbers),
                n => Err(format!("{n} values for {} features of the datastore", features.len())),
            });
            numbers.unwrap_or_else(|reason| {
                problems.push(format!("statistics: {name}: {reason}"));
                vec![1.0; features.len()]
            })
        };
        let (mean, std) = (numbers("mean"), numbers("std"));
        let state = category == "state";
        let diff_mean = if state { numbers("diff_mean") } else { Vec::new() };
        let diff_std = if state { numbers("diff_std") } else { Vec::new() };
        let expected: Vec<&str> = features.iter().map(|feature| feature.names[0].as_str()).collect();
        let same = names.len() == features.len()
            && names.iter().zip(features).all(|(name, feature)| feature.names.contains(name));
        if !names.is_empty() && !same {
            problems.push(format!(
                "statistics: {category}_feature is {}; the datastore makes {}",
                names.join(" "),
                expected.join(" ")
            ));
        }
        let complete = |texts: Vec<String>| if texts.len() == features.len() { texts } else { Vec::new() };
        Statistics {
            names: if same { names } else { expected.into_iter().map(str::to_owned).collect() },
            units: complete(units),
            long_names: complete(long_names),
            mean,
            std,
            diff_mean,
            diff_std,
        }
    }

    /// One number for each feature. Cropping a dataset repeats them at every point: there they are those of the first.
    fn of_features(&self, name: &str) -> Result<Vec<f64>, String> {
        let numbers = self.dataset.numbers(name)?;
        let dimensions = self.dataset.array(name).map_or(&[][..], |array| &array.dimensions);
        let lengths: Vec<usize> = dimensions.iter().map(|dimension| dimension.length).collect();
        match dimensions.iter().position(|dimension| dimension.name == POINTS) {
            Some(0) => Ok(numbers.into_iter().take(lengths[1..].iter().product()).collect()),
            Some(1) if lengths.len() == 2 => Ok(numbers.into_iter().step_by(lengths[1].max(1)).collect()),
            _ => Ok(numbers),
        }
    }
}
