//! The fields of a request: read in blocks, several at a time.
//!
//! What is compressed together is read once. With child processes ([`Isolation::Process`]) several blocks of one file are
//! decompressed side by side; the NetCDF library alone does one after the other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::dataset::{Dataset, Isolation};
use super::field::{self, Block, Range, contradicts_unit, missing};
use super::matching::{Found, field_label, label};
use super::{Problem, SourceFile, SourceVariable};
use crate::atmos::{Grid, Level, ReferenceTime, ValidTime, Variable};

/// Fewer blocks than this are not worth a process more.
const BLOCKS_A_READER: usize = 4;

/// A field to read: where it is, and what it becomes.
pub(super) struct Reading<'a> {
    pub found: Found<'a>,
    pub wanted: &'a Variable,
    pub level: Level,
    pub time: ValidTime,
    /// In the variable's own list.
    pub time_index: usize,
    /// What the values may be, where the reader says so.
    pub plausible: Option<(f64, f64)>,
    /// The unit is believed, whatever the values.
    pub trusted: bool,
    /// Other places of the same time in the variable's list: other forecasts of it, which must be the same.
    pub others: Vec<usize>,
}

/// Of readings of one field, those of the latest forecast that started at the reference time or before; all of them where
/// not every file tells when its forecasts started, or none did before.
pub(super) fn latest(readings: Vec<Reading<'_>>, reference_time: Option<ReferenceTime>) -> Vec<Reading<'_>> {
    let Some(reference_time) = reference_time.filter(|_| readings.len() > 1) else { return readings };
    let bases: Option<Vec<ValidTime>> = readings.iter().map(Reading::base_time).collect();
    let known = bases.iter().flatten().filter(|base| **base <= reference_time.valid()).max().copied();
    match known {
        Some(latest) => readings.into_iter().filter(|reading| reading.base_time() == Some(latest)).collect(),
        None => readings,
    }
}

/// Readings of one variable that are compressed together.
struct Group<'r, 'a> {
    file: &'a SourceFile,
    source: &'a SourceVariable,
    start: Vec<usize>,
    count: Vec<usize>,
    /// Number of the reading, where its field begins.
    readings: Vec<(usize, &'r Reading<'a>, Vec<usize>)>,
}

/// Reads all: the field of each reading, `[H, W]` on `grid`, into the slice of the same number. Says all that is wrong.
pub(super) fn read_all(
    readings: &[Reading<'_>],
    values: Vec<&mut [f32]>,
    grid: &Grid,
    isolation: &Isolation,
) -> Vec<Problem> {
    let groups = groups(readings);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let readers = threads.min(groups.len().div_ceil(BLOCKS_A_READER)).max(1);
    let next = AtomicUsize::new(0);
    let values: Vec<Mutex<&mut [f32]>> = values.into_iter().map(Mutex::new).collect();
    let problems = Mutex::new(BTreeMap::new());
    let work = || {
        // groups come file by file
        let mut open: Option<(&SourceFile, Result<Dataset, Problem>)> = None;
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            if open.as_ref().is_none_or(|(file, _)| file.path != group.file.path) {
                open = Some((group.file, group.file.open(isolation)));
            }
            let Some((_, dataset)) = &open else { continue };
            let found = group.read(dataset.as_ref(), grid, &values);
            problems.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        }
    };
    std::thread::scope(|scope| {
        (1..readers).for_each(|_| {
            scope.spawn(work);
        });
        work();
    });
    problems.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

fn groups<'r, 'a>(readings: &'r [Reading<'a>]) -> Vec<Group<'r, 'a>> {
    let mut groups: BTreeMap<(&Path, &str, Vec<usize>), Group<'r, 'a>> = BTreeMap::new();
    for (number, reading) in readings.iter().enumerate() {
        let Found { file, variable: source, .. } = reading.found;
        let path = file.path.as_path();
        let extents = field::extents(source);
        let place = field::place(source, reading.found.level, reading.time_index);
        let block: Vec<usize> = place.iter().zip(&extents).map(|(place, extent)| place / extent).collect();
        match groups.get_mut(&(path, &*source.name, block.clone())) {
            None => {
                // of dimensions that are not horizontal, no more than what is wanted
                let count =
                    (0..place.len()).map(|d| if source.layout.is_horizontal(d) { extents[d] } else { 1 }).collect();
                let group =
                    Group { file, source, start: place.clone(), count, readings: vec![(number, reading, place)] };
                groups.insert((path, &source.name, block), group);
            }
            Some(group) => {
                for (d, &index) in place.iter().enumerate().filter(|(d, _)| !source.layout.is_horizontal(*d)) {
                    let end = (group.start[d] + group.count[d]).max(index + 1);
                    group.start[d] = group.start[d].min(index);
                    group.count[d] = end - group.start[d];
                }
                group.readings.push((number, reading, place));
            }
        }
    }
    groups.into_values().collect()
}

impl Group<'_, '_> {
    /// Problems, with the number of the reading that has them.
    fn read(
        &self,
        dataset: Result<&Dataset, &Problem>,
        grid: &Grid,
        values: &[Mutex<&mut [f32]>],
    ) -> Vec<(usize, Problem)> {
        let read = |dataset: &Dataset| Block::read(dataset, self.source, self.start.clone(), self.count.clone());
        let block = dataset.map_err(Clone::clone).map(read);
        let field = |number: usize, reading: &Reading<'_>, place: &[usize]| match &block {
            Ok(Ok(block)) => {
                let mut values = values[number].lock().unwrap_or_else(PoisonError::into_inner);
                reading.fill(block, place, grid, &mut values)?;
                dataset.map_err(Clone::clone).and_then(|dataset| reading.compare_others(dataset, &values))
            }
            Ok(Err(reason)) => Err(reading.problem(reason.clone(), "readable values")),
            Err(problem) => Err(problem.clone()),
        };
        let problem = |(number, reading, place): &(usize, &Reading<'_>, Vec<usize>)| {
            field(*number, reading, place).err().map(|problem| (*number, problem))
        };
        self.readings.iter().filter_map(problem).collect()
    }
}

impl Reading<'_> {
    pub fn problem(&self, what: String, expected: impl Into<String>) -> Problem {
        let label = format!("{} at {}", label(self.wanted, self.level, self.found.variable), self.time);
        Problem::in_file(&self.found.file.path, what, expected).of(label)
    }

    fn fill(&self, block: &Block<'_>, place: &[usize], grid: &Grid, values: &mut [f32]) -> Result<(), Problem> {
        block.field(place, self.found.conversion, values).map_err(|reason| self.problem(reason, "readable values"))?;
        let problem = missing(values, grid).or_else(|| {
            let units = &self.found.variable.units;
            let wanted = (self.wanted, self.level);
            (!self.trusted).then(|| contradicts_unit(Range::of(values), wanted, self.plausible, units))?
        });
        problem.map_or(Ok(()), |(what, expected)| Err(self.problem(what, expected)))
    }

    /// When the forecast that it is of started, where the file tells.
    fn base_time(&self) -> Option<ValidTime> {
        self.found.variable.base_times.get(self.time_index).copied()
    }

    pub fn is_of_the_same_variable(&self, other: &Self) -> bool {
        let (one, other) = (&self.found, &other.found);
        std::ptr::eq(one.variable, other.variable) && one.level == other.level
    }

    /// Other forecasts of the same time must have the same values: nothing says which is meant.
    fn compare_others(&self, dataset: &Dataset, values: &[f32]) -> Result<(), Problem> {
        let source = self.found.variable;
        for &index in &self.others {
            let place = field::place(source, self.found.level, index);
            let mut other = vec![0.0; values.len()];
            Block::read(dataset, source, place.clone(), field::one_field(source))
                .and_then(|block| block.field(&place, self.found.conversion, &mut other))
                .map_err(|reason| self.problem(reason, "readable values"))?;
            if values.iter().zip(&other).any(|(a, b)| a.to_bits() != b.to_bits()) {
                let base = |index: usize| source.base_times.get(index);
                let found = match (base(self.time_index), base(index)) {
                    (Some(one), Some(other)) => format!("forecasts of it from {one} and from {other}, which differ"),
                    _ => format!("it {} times with different values", self.others.len() + 1),
                };
                let expected = "one; --reference-time takes the latest forecast that started then or before";
                return Err(self.problem(found, expected));
            }
        }
        Ok(())
    }

    /// What to say where another reading gives the same field.
    pub fn twice(&self, other: &Self) -> Problem {
        let bases = (self.base_time(), other.base_time());
        let (one, other) = (&self.found, &other.found);
        let mut place = if one.file.path == other.file.path {
            format!("it as {} and as {}", one.variable.name, other.variable.name)
        } else {
            format!("it here and in {}", other.file.path.display())
        };
        let mut expected = "it once; leave out one of the files, or rename the other variable".to_owned();
        if let (Some(first), Some(second)) = bases
            && first != second
        {
            place += &format!(", forecast from {first} and from {second}");
            expected += "; --reference-time takes the latest forecast that started then or before";
        }
        Problem::in_file(&one.file.path, place, expected).of(format!(
            "{} at {}",
            field_label(self.wanted, self.level),
            self.time
        ))
    }
}
