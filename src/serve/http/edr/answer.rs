//! The values of an answer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use ndarray::Array2;

use super::dimensions::along;
use super::request::{Parameter, Request, Where, by_levels};
use super::wkt::{Geometry, Polygon};
use crate::atmos::{Level, ValidTime, Variable};
use crate::serve::catalog::Forecast;
use crate::serve::error::Error;
use crate::serve::fields;
use crate::serve::places::{BoundingBox, Crs, Places, Position, Spot, nearest, spans, within};
use crate::serve::select::Column;
use crate::serve::state::Shared;
use crate::tile::{ColumnRun, Columns};

/// Columns that are read at the same time.
const CONCURRENT_COLUMNS: usize = 4;
/// So many points one by one are rather read from the copy for points, where more than [`FEW_STEPS`] times are asked for.
const FEW_SPOTS: usize = 64;
/// Rows and columns of an area that is read from there, too.
const SMALL_EDGE: usize = 32;
const FEW_STEPS: usize = 4;

/// What is answered: values at times, levels and places.
pub struct Answer {
    pub forecast: Arc<Forecast>,
    pub crs: Crs,
    pub places: Places,
    pub times: Vec<ValidTime>,
    /// Of a trajectory, the time of each place, and then there is no other.
    pub path: Option<Vec<ValidTime>>,
    /// Parameters by the levels that they share.
    pub groups: Vec<Group>,
}

pub struct Group {
    /// One that has no dimension where the parameters have no levels.
    pub levels: Arc<[Level]>,
    pub parameters: Vec<Values>,
}

impl Group {
    /// Whether the levels are positions in a vertical.
    pub fn is_vertical(&self) -> bool {
        self.levels.iter().any(|level| level.dimension().is_some())
    }
}

pub struct Values {
    pub name: String,
    pub variable: Variable,
    /// Of the values.
    pub units: String,
    /// `[time, level, place]`, NaN where missing; of a trajectory `[level, place]`.
    pub values: Vec<f32>,
}

impl Answer {
    pub async fn read(state: &Shared, forecast: Arc<Forecast>, request: Request) -> Result<Self, Error> {
        let Request { place, parameters, steps, crs, .. } = request;
        let line = match &place {
            Where::Geometry(Geometry::Line(line)) => Some(along(&forecast, line, &steps)?),
            _ => None,
        };
        let finding = forecast.clone();
        let found = tokio::task::spawn_blocking(move || find(&finding, crs, place)).await;
        let places = found.map_err(|error| Error::Internal(error.to_string()))??;
        let columns: usize = parameters.iter().map(|parameter| parameter.columns.len()).sum();
        let times = if line.is_some() { 1 } else { steps.len() };
        let count = columns.saturating_mul(times).saturating_mul(places.len());
        if count > state.limits.answer_values {
            return Err(Error::AnswerTooLarge { found: count, limit: state.limits.answer_values });
        }
        let spec = forecast.reader.spec().clone();
        let valid = |step: usize| spec.reference_time + spec.lead_times[step];
        let reading = Reading { state, forecast: &forecast, places: &places, steps: &steps, line: line.as_deref() };
        let mut groups = Vec::new();
        for (levels, members) in by_levels(parameters) {
            let reads: Vec<_> = members.into_iter().map(|parameter| reading.parameter(parameter)).collect();
            let values = stream::iter(reads).buffered(CONCURRENT_COLUMNS).try_collect().await?;
            groups.push(Group { levels, parameters: values });
        }
        let path = line.as_ref().map(|line| line.iter().map(|&step| valid(step)).collect());
        let times = steps.iter().map(|&step| valid(step)).collect();
        Ok(Self { crs, places, times, path, groups, forecast: forecast.clone() })
    }
}

/// The points that a request means.
fn find(forecast: &Forecast, crs: Crs, place: Where) -> Result<Places, Error> {
    let grid = &forecast.reader.spec().grid;
    let spots = |positions: &[Position]| Ok(Places::Spots(nearest(grid, crs, positions)?));
    match place {
        Where::Box(bounds) => Ok(within(grid, crs, "bbox", bounds, |_, _| true)?),
        Where::Geometry(Geometry::Point(position)) => spots(&[position]),
        Where::Geometry(Geometry::MultiPoint(positions)) => spots(&positions),
        Where::Geometry(Geometry::Line(line)) => {
            spots(&line.into_iter().map(|(position, _)| position).collect::<Vec<_>>())
        }
        Where::Geometry(Geometry::Polygons(polygons)) => {
            let bounds = BoundingBox::around(polygons.iter().map(Polygon::bounds).flat_map(|bounds| bounds.corners()));
            let holds = |x, y| polygons.iter().any(|polygon| polygon.contains((x, y)));
            Ok(within(grid, crs, "coords", bounds, holds)?)
        }
    }
}

struct Reading<'a> {
    state: &'a Shared,
    forecast: &'a Arc<Forecast>,
    places: &'a Places,
    steps: &'a [usize],
    line: Option<&'a [usize]>,
}

impl Reading<'_> {
    async fn parameter(&self, parameter: Parameter) -> Result<Values, Error> {
        let Parameter { name, variable, columns, shown } = parameter;
        let reads = columns.iter().map(|column| self.column(column));
        let read: Vec<Vec<f32>> =
            stream::iter(reads.collect::<Vec<_>>()).buffered(CONCURRENT_COLUMNS).try_collect().await?;
        // [level][time, place] to [time, level, place]
        let places = self.places.len();
        let times = if self.line.is_some() { 1 } else { self.steps.len() };
        let mut values = Vec::with_capacity(read.len() * times * places);
        for time in 0..times {
            for level in &read {
                values.extend(level[time * places..][..places].iter().map(|&value| shown.show(value)));
            }
        }
        Ok(Values { name, variable, units: shown.units, values })
    }

    /// `[time, place]`.
    async fn column(&self, column: &Column) -> Result<Vec<f32>, Error> {
        match (self.places, self.line) {
            (Places::Spots(spots), Some(line)) => self.along(column, spots, line).await,
            (Places::Spots(spots), None) if spots.len() <= FEW_SPOTS && self.steps.len() > FEW_STEPS => {
                self.series(column, spots).await
            }
            (Places::Spots(spots), None) => self.scattered(column, spots).await,
            (Places::Lattice { rows, columns, inside, .. }, _) => {
                self.lattice(column, rows.clone(), *columns, inside.as_deref()).await
            }
        }
    }

    async fn along(&self, column: &Column, spots: &[Spot], line: &[usize]) -> Result<Vec<f32>, Error> {
        let mut values = Vec::with_capacity(spots.len());
        for (spot, &step) in spots.iter().zip(line) {
            let columns = Columns { start: spot.column, count: 1 };
            values.extend(self.window(column, step, spot.row..spot.row + 1, columns).await?);
        }
        Ok(values)
    }

    async fn series(&self, column: &Column, spots: &[Spot]) -> Result<Vec<f32>, Error> {
        let reads = spots.iter().map(|&Spot { row, column: at, .. }| async move {
            let inputs = fields::series(self.forecast, column, row..row + 1, at..at + 1).await?;
            Ok::<_, Error>(column.recipe.quantity.combine(inputs))
        });
        let series: Vec<Vec<f32>> =
            stream::iter(reads.collect::<Vec<_>>()).buffered(CONCURRENT_COLUMNS).try_collect().await?;
        Ok(self.steps.iter().flat_map(|&step| series.iter().map(move |values| values[step])).collect())
    }

    /// Points here and there: what lies around them is read once.
    async fn scattered(&self, column: &Column, spots: &[Spot]) -> Result<Vec<f32>, Error> {
        let (rows, columns) = spans(spots);
        let columns = Columns { start: columns.start, count: columns.len() };
        let mut values = Vec::with_capacity(self.steps.len() * spots.len());
        for &step in self.steps {
            let window = self.window(column, step, rows.clone(), columns).await?;
            values.extend(spots.iter().map(|spot| window[[spot.row - rows.start, spot.column - columns.start]]));
        }
        Ok(values)
    }

    async fn lattice(
        &self,
        column: &Column,
        rows: Range<usize>,
        columns: Columns,
        inside: Option<&[bool]>,
    ) -> Result<Vec<f32>, Error> {
        let places = rows.len() * columns.count;
        let small = rows.len() <= SMALL_EDGE && columns.count <= SMALL_EDGE;
        let mut values = vec![f32::NAN; self.steps.len() * places];
        if small && self.steps.len() > FEW_STEPS {
            let width = self.forecast.reader.spec().grid.shape().1;
            for ColumnRun { columns: run, offset } in columns.runs(width) {
                let inputs = fields::series(self.forecast, column, rows.clone(), run.clone()).await?;
                let series = column.recipe.quantity.combine(inputs);
                for (time, &step) in self.steps.iter().enumerate() {
                    for row in 0..rows.len() {
                        let from = &series[(step * rows.len() + row) * run.len()..][..run.len()];
                        values[time * places + row * columns.count + offset..][..run.len()].copy_from_slice(from);
                    }
                }
            }
        } else {
            let reads = self.steps.iter().map(|&step| self.window(column, step, rows.clone(), columns));
            let mut reads = stream::iter(reads.collect::<Vec<_>>()).buffered(2);
            let mut time = 0;
            while let Some(window) = reads.try_next().await? {
                values[time * places..][..places].iter_mut().zip(&window).for_each(|(to, &from)| *to = from);
                time += 1;
            }
        }
        if let Some(inside) = inside {
            values
                .iter_mut()
                .zip(inside.iter().cycle())
                .filter(|(_, inside)| !**inside)
                .for_each(|(v, _)| *v = f32::NAN);
        }
        Ok(values)
    }

    /// `[rows, columns]` at one step.
    async fn window(
        &self,
        column: &Column,
        step: usize,
        rows: Range<usize>,
        columns: Columns,
    ) -> Result<Array2<f32>, Error> {
        let shape = (rows.len(), columns.count);
        let inputs = fields::windows(&self.state.blocks, self.forecast, column, step, rows, columns).await?;
        fields::combined(column, inputs, shape)
    }
}

/// Attributes that tell where an answer comes from.
pub fn origin(forecast: &Forecast) -> BTreeMap<&'static str, String> {
    let manifest = forecast.manifest();
    BTreeMap::from([
        ("forecast", forecast.name()),
        ("model", forecast.path.model.clone()),
        ("reference_time", rfc3339(manifest.reference_time.valid())),
        ("steps_complete", manifest.steps_complete.to_string()),
        ("steps_total", manifest.steps_total.to_string()),
    ])
}

/// With seconds, as RFC 3339 wants them.
pub fn rfc3339(time: ValidTime) -> String {
    time.utc().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}
