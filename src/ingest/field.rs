//! The values of one field: read, decoded, in our order and units; and what can be wrong with them.

use ndarray::Dimension as _;

use super::calendar::CfTime;
use super::dataset::{Array, Dataset, Dimension, Number, Numbers, each};
use super::file::{Layout, Role, SourceVariable};
use super::lexicon;
use super::units::Conversion;
use super::values::NEVER_WRITTEN;
use crate::atmos::{Grid, Level, Variable, known_variable};

/// Smallest and largest value, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub low: f32,
    pub high: f32,
    pub valid: usize,
    pub total: usize,
}

impl Range {
    pub(super) const EMPTY: Self = Self { low: f32::INFINITY, high: f32::NEG_INFINITY, valid: 0, total: 0 };

    /// That of these values.
    pub fn of(values: &[f32]) -> Self {
        let mut range = Self::EMPTY;
        range.extend(values);
        range
    }

    pub(super) fn extend(&mut self, values: &[f32]) {
        self.total += values.len();
        // a comparison with NaN is false
        for &value in values {
            self.valid += usize::from(!value.is_nan());
            self.low = if value < self.low { value } else { self.low };
            self.high = if value > self.high { value } else { self.high };
        }
    }

    /// The smallest range that holds both.
    pub fn union(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            valid: self.valid + other.valid,
            total: self.total + other.total,
        }
    }
}

/// Numbers of a variable that are read at once.
const MOST_AT_ONCE: usize = 1 << 26;

/// A part of a variable as it is stored: one or more whole fields.
pub(super) struct Block<'a> {
    source: &'a SourceVariable,
    start: Vec<usize>,
    count: Vec<usize>,
    stored: Numbers,
}

/// Where a field begins in its array, one index per dimension. `time` and `level` count in the variable's own lists.
pub(super) fn place(source: &SourceVariable, level: usize, time: usize) -> Vec<usize> {
    let (steps, dimensions) = (source.layout.steps, &source.layout.array.dimensions);
    let index = |(role, dimension): (&Role, &Dimension)| match role {
        // a base time by itself, beside an axis of valid times
        _ if dimension.length == 1 => 0,
        Role::Time => time / steps,
        Role::Step => time % steps,
        Role::Level => level,
        Role::Member => source.layout.member.unwrap_or(0),
        Role::Other | Role::Row | Role::Column => 0,
    };
    source.layout.roles.iter().zip(dimensions).map(index).collect()
}

/// How much of each dimension is best read at once: whole fields, of all levels and times that are compressed together.
pub(super) fn extents(source: &SourceVariable) -> Vec<usize> {
    let Layout { array, .. } = &source.layout;
    let shape = array.shape();
    let chunk = |d: usize| array.chunks.as_ref().and_then(|chunks| chunks.get(d)).copied().unwrap_or(1);
    let horizontal = |d: usize| source.layout.is_horizontal(d);
    let mut extents: Vec<usize> =
        (0..shape.len()).map(|d| if horizontal(d) { shape[d] } else { chunk(d).clamp(1, shape[d]) }).collect();
    while extents.iter().product::<usize>() > MOST_AT_ONCE {
        let longest = (0..shape.len()).filter(|&d| !horizontal(d) && extents[d] > 1).max_by_key(|&d| extents[d]);
        let Some(longest) = longest else { break };
        extents[longest] = 1;
    }
    extents
}

impl<'a> Block<'a> {
    pub fn read(
        dataset: &Dataset,
        source: &'a SourceVariable,
        start: Vec<usize>,
        count: Vec<usize>,
    ) -> Result<Self, String> {
        let array = &source.layout.array;
        let same = |found: &Array| found.kind == array.kind && found.dimensions == array.dimensions;
        if !dataset.array(&source.name).is_some_and(same) {
            return Err("another variable than before: the file has changed".to_owned());
        }
        let stored = dataset.read(array, &start, &count)?;
        Ok(Self { source, start, count, stored })
    }

    /// The field that begins at `place`, in our order and units, missing values as NaN: `[H, W]` into `values`.
    pub fn field(&self, place: &[usize], conversion: Conversion, values: &mut [f32]) -> Result<(), String> {
        let layout = &self.source.layout;
        // distance of neighbours along each dimension of the block
        let mut strides = vec![1; self.count.len()];
        for d in (1..strides.len()).rev() {
            strides[d - 1] = strides[d] * self.count[d];
        }
        let offset: usize = (0..strides.len()).map(|d| (place[d] - self.start[d]) * strides[d]).sum();
        // a list of places has no rows
        let stride = |wanted: Role| layout.roles.iter().position(|role| *role == wanted).map_or(0, |d| strides[d]);
        let strides = (stride(Role::Row), stride(Role::Column));
        let decoding = &layout.decoding;
        if let (Numbers::F32(stored), Some(missing), Conversion::NONE) = (&self.stored, decoding.as_it_is(), conversion)
        {
            // most of the world's analyses: in single precision all the way
            let decode = |stored: f32| {
                let missing = (stored == missing[0]) | (stored == missing[1]) | (stored.abs() >= NEVER_WRITTEN as f32);
                if missing { f32::NAN } else { stored }
            };
            return arrange(&stored[offset..], strides, self.source, decode, values);
        }
        let decode = decoding.decoder();
        each!(&self.stored, stored => {
            let decode = |number| conversion.apply(decode(Number::number(number))) as f32;
            arrange(&stored[offset..], strides, self.source, decode, values)
        })
    }

    /// All places where fields begin.
    fn places(&self) -> impl Iterator<Item = Vec<usize>> {
        let free = |d: usize| if self.source.layout.is_horizontal(d) { 1 } else { self.count[d] };
        let free: Vec<usize> = (0..self.count.len()).map(free).collect();
        let places = ndarray::indices(free).into_iter();
        places.map(|place| place.slice().iter().zip(&self.start).map(|(index, start)| index + start).collect())
    }
}

/// Stored numbers in our order and units.
fn arrange<T: Number>(
    stored: &[T],
    strides: (usize, usize),
    source: &SourceVariable,
    decode: impl Fn(T) -> f32,
    values: &mut [f32],
) -> Result<(), String> {
    let layout = &source.layout;
    let at = |row: usize, column: usize| decode(stored[row * strides.0 + column * strides.1]);
    if let Some(places) = &layout.gathered {
        places.iter().zip(values).for_each(|(&(row, column), value)| *value = at(row, column));
        return Ok(());
    }
    if let Some((repeat, first)) = layout.repeated {
        let differs = |row: &usize| {
            let (a, b) = (at(*row, repeat), at(*row, first));
            // the packing of both is the same, so that only rounding may differ
            !(a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5 * a.abs().max(b.abs()))
        };
        if let Some(row) = layout.rows.iter().find(|row| differs(row)) {
            let (a, b) = (at(*row, first), at(*row, repeat));
            return Err(format!("the first meridian twice with different values ({a} and {b}, row {row})"));
        }
    }
    let width = layout.columns.len();
    let follows = |pair: &[usize]| pair[1] == pair[0] + 1;
    // where the columns of the file begin anew in ours: nowhere, or at Greenwich
    let turn = layout.columns.windows(2).position(|pair| !follows(pair)).map_or(width, |turn| turn + 1);
    let two_runs = strides.1 == 1 && layout.columns[turn..].windows(2).all(follows);
    for (&row, values) in layout.rows.iter().zip(values.chunks_exact_mut(width)) {
        if !two_runs {
            layout.columns.iter().zip(values).for_each(|(&column, value)| *value = at(row, column));
            continue;
        }
        let (west, east) = values.split_at_mut(turn);
        for (run, values) in [(0, west), (turn, east)].into_iter().filter(|(_, values)| !values.is_empty()) {
            let begin = row * strides.0 + layout.columns[run];
            values.iter_mut().zip(&stored[begin..]).for_each(|(value, stored)| *value = decode(*stored));
        }
    }
    Ok(())
}

/// Range of the values at each level over all that is stored, whether it is known when the fields are valid or not.
pub(super) fn ranges(dataset: &Dataset, source: &SourceVariable, conversion: Conversion) -> Result<Vec<Range>, String> {
    let layout = &source.layout;
    let (shape, extents) = (layout.array.shape(), extents(source));
    let level = layout.roles.iter().position(|role| *role == Role::Level);
    let mut ranges = vec![Range::EMPTY; source.levels.len()];
    let mut values = vec![0.0; source.grid.len()];
    let mut add = |start: Vec<usize>, count: Vec<usize>| -> Result<(), String> {
        let block = Block::read(dataset, source, start, count)?;
        for place in block.places() {
            block.field(&place, conversion, &mut values)?;
            ranges[level.map_or(0, |level| place[level])].extend(&values);
        }
        Ok(())
    };
    if let Some(present) = &layout.array.present {
        for leading in present {
            let mut leading = leading.iter();
            let begin = |d: usize| if layout.is_horizontal(d) { 0 } else { leading.next().copied().unwrap_or(0) };
            let start = (0..shape.len()).map(begin).collect();
            add(start, one_field(source))?;
        }
        return Ok(ranges);
    }
    let blocks: Vec<usize> = shape.iter().zip(&extents).map(|(length, extent)| length.div_ceil(*extent)).collect();
    for block in ndarray::indices(blocks) {
        let start: Vec<usize> = block.slice().iter().zip(&extents).map(|(index, extent)| index * extent).collect();
        let count = (0..shape.len()).map(|d| extents[d].min(shape[d] - start[d])).collect();
        add(start, count)?;
    }
    Ok(ranges)
}

/// The first field that is stored, `[H, W]` in our order, with its places in the lists of levels and times.
pub(super) fn first(
    dataset: &Dataset,
    source: &SourceVariable,
    conversion: Conversion,
) -> Result<((usize, usize), Vec<f32>), String> {
    let all = (0..source.times.len().max(1)).flat_map(|time| (0..source.levels.len()).map(move |level| (level, time)));
    let (level, time) = all.into_iter().find(|&(level, time)| source.holds(level, time)).unwrap_or((0, 0));
    let place = place(source, level, time);
    let mut values = vec![0.0; source.grid.len()];
    let block = Block::read(dataset, source, place.clone(), one_field(source))?;
    block.field(&place, conversion, &mut values)?;
    Ok(((level, time), values))
}

/// How much of each dimension one field is.
pub(super) fn one_field(source: &SourceVariable) -> Vec<usize> {
    let shape = source.layout.array.shape();
    (0..shape.len()).map(|d| if source.layout.is_horizontal(d) { shape[d] } else { 1 }).collect()
}

/// Where a variable holds a time on a level, by their places in the lists: once, unless there are several forecasts of it.
pub(super) fn time_indices(
    source: &SourceVariable,
    level: usize,
    time: crate::atmos::ValidTime,
) -> impl Iterator<Item = usize> {
    let is_it = move |other: &CfTime| *other == CfTime::Real(time);
    let all = source.times.iter().enumerate().filter(move |(_, other)| is_it(other)).map(|(index, _)| index);
    all.filter(move |&index| source.holds(level, index))
}

/// Missing values: what was found, what was expected.
pub(super) fn missing(values: &[f32], grid: &Grid) -> Option<(String, String)> {
    // whole runs first: the compiler compares several values at once
    if values.chunks(1024).all(|run| run.iter().fold(true, |all, value| all & value.is_finite())) {
        return None;
    }
    let first = values.iter().position(|value| !value.is_finite())?;
    let missing = values.iter().filter(|value| !value.is_finite()).count();
    let (row, column) = (first / grid.shape().1, first % grid.shape().1);
    let (latitude, longitude) = grid.place(row, column);
    let found =
        format!("{missing} of {} values missing, the first at {latitude:.2} °N {longitude:.2} °E", values.len());
    Some((found, "a complete field".to_owned()))
}

/// What is wrong with a range of values that the atmosphere cannot show in the variable's unit, and what was expected.
/// `plausible` is what the reader says of it.
pub(super) fn contradicts_unit(
    range: Range,
    (variable, level): (&Variable, Level),
    plausible: Option<(f64, f64)>,
    units: &str,
) -> Option<(String, String)> {
    // of a name of the package's own, what CF calls it tells the limits
    let by_standard_name = || lexicon::by_standard_name(&variable.standard_name, &level, None).and_then(known_variable);
    let known = || variable.known().or_else(by_standard_name).map(|known| known.plausible);
    let (low, high) = plausible.or_else(known)?;
    if range.valid == 0 || (f64::from(range.low) >= low && f64::from(range.high) <= high) {
        return None;
    }
    let units_inside = &variable.units;
    let found = format!("values from {} to {} {units_inside} (from units {units:?})", range.low, range.high);
    Some((found, format!("{low} to {high} {units_inside}; is the unit in the file right? --trust-units believes it")))
}
