//! The training's statistics: `mean_by_level.nc`, `stddev_by_level.nc`, `diffs_stddev_by_level.nc`.

use std::path::{Path, PathBuf};

use super::task::Quantity;
use crate::atmos::Level;
use crate::import::ImportError;
use crate::ingest::{Dataset, Isolation};

pub struct Statistics {
    pub mean: Table,
    pub std: Table,
    pub diff_std: Table,
}

/// Numbers by variable and level.
pub struct Table {
    path: PathBuf,
    dataset: Dataset,
    /// hPa.
    levels: Vec<f64>,
}

/// The dimension of the levels.
const LEVEL: &str = "level";

impl Statistics {
    /// From the first of these folders that has them.
    pub fn open(source: &Path, folders: &[PathBuf]) -> Result<Self, ImportError> {
        const FILES: [&str; 3] = ["mean_by_level.nc", "stddev_by_level.nc", "diffs_stddev_by_level.nc"];
        let Some(folder) = folders.iter().find(|folder| FILES.iter().all(|file| folder.join(file).is_file())) else {
            let places: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            return Err(ImportError::Source {
                path: source.to_owned(),
                reason: format!(
                    "no statistics: expected {} in {}; or give --params with statistics = \"…\", their folder",
                    FILES.join(", "),
                    places.join(" or ")
                ),
            });
        };
        let [mean, std, diff_std] = FILES.map(|file| Table::open(&folder.join(file)));
        Ok(Self { mean: mean?, std: std?, diff_std: diff_std? })
    }
}

impl Table {
    fn open(path: &Path) -> Result<Self, ImportError> {
        // the user's own file, read once
        let dataset =
            Dataset::open(path, &Isolation::None).map_err(|problem| ImportError::Statistics(Box::new(problem)))?;
        let levels = dataset.numbers(LEVEL).unwrap_or_default();
        Ok(Self { path: path.to_owned(), dataset, levels })
    }

    /// The number of each level; `absent` where the file does not know the variable, as the reference takes it.
    pub fn of(
        &self,
        quantity: &Quantity,
        absent: f64,
        notes: &mut Vec<String>,
        problems: &mut Vec<String>,
    ) -> Vec<f64> {
        let all = vec![absent; quantity.levels.len()];
        let (name, place) = (&quantity.name, self.path.display());
        let Some(array) = self.dataset.array(name) else {
            let note = format!("{place}: no {name}; it is taken as {absent}, as the reference does");
            notes.push(note);
            return all;
        };
        let numbers = match self.dataset.numbers(name) {
            Ok(numbers) => numbers,
            Err(reason) => {
                problems.push(format!("{place}: {name}: {reason}"));
                return all;
            }
        };
        let dimensions: Vec<&str> = array.dimensions.iter().map(|dimension| dimension.name.as_str()).collect();
        let value = |level: &Level| match (dimensions.as_slice(), level) {
            ([], Level::Surface) => numbers.first().copied(),
            ([LEVEL], Level::Pressure(hpa)) => {
                let place = self.levels.iter().position(|other| (other - hpa).abs() < 1e-5 * hpa)?;
                numbers.get(place).copied()
            }
            _ => None,
        };
        let values: Vec<Option<f64>> = quantity.levels.iter().map(value).collect();
        let missing = quantity.levels.iter().zip(&values).filter(|(_, value)| value.is_none());
        let missing: Vec<String> = missing.map(|(level, _)| level.to_string()).collect();
        if !missing.is_empty() {
            let found = format!("along {dimensions:?}, levels {:?}", self.levels);
            problems.push(format!("{place}: {name} {found}; expected it at {}", missing.join(" ")));
        }
        values.into_iter().map(|value| value.unwrap_or(absent)).collect()
    }
}
