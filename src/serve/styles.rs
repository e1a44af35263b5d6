//! How each field of a forecast is coloured: by convention, or by the run's own first step, for the whole run.

use std::sync::Arc;

use moka::future::Cache;

use super::catalog::Forecast;
use super::error::Error;
use super::fields;
use super::select::{self, Column, Violations};
use crate::atmos::Level;
use crate::store::{ForecastPath, SPREAD};
use crate::tile::{Columns, Style};

/// Styles are small.
const KEPT: u64 = 4096;

/// Forecast, variable, level, checksum of the step that the range is from.
type StyleKey = (ForecastPath, Arc<str>, Level, u32);

pub struct Styles {
    cache: Cache<StyleKey, Arc<Style>>,
}

impl Styles {
    pub fn new() -> Self {
        Self { cache: Cache::new(KEPT) }
    }

    pub async fn of(&self, forecast: &Forecast, column: &Column) -> Result<Arc<Style>, Error> {
        let Some((name, members)) = &forecast.statistic else { return self.of_values(forecast, column).await };
        let mut violations = Violations::default();
        let own = select::column(members, &column.variable.name, &column.level.to_string(), &mut violations);
        let own = violations.finish(own)?;
        if own.variable != column.variable {
            return Ok(Arc::new(Style::of_fraction()));
        }
        // as the members are coloured
        let style = self.of_values(members, &own).await?;
        Ok(if **name == *SPREAD { Arc::new(style.of_spread()) } else { style })
    }

    async fn of_values(&self, forecast: &Forecast, column: &Column) -> Result<Arc<Style>, Error> {
        if let Some(style) = Style::conventional(&column.variable, column.level) {
            return Ok(Arc::new(style));
        }
        // of an ensemble the control's, so that all members are coloured alike
        let control = forecast.member(0).map_err(|error| Error::Store(Arc::new(error)))?;
        let first = control.manifest().steps.first();
        // A run without a step has nothing to show yet, and its range must not be settled by that.
        let Some(step) = first else {
            return Ok(Arc::new(Style::from_values(&column.variable, column.level, &[])));
        };
        let key = (forecast.path.clone(), column.variable.name.clone(), column.level, step.crc32c);
        let read = async {
            let (height, width) = control.reader.spec().grid.shape();
            let columns = Columns { start: 0, count: width };
            let values = fields::rows(&control, column, 0, 0..height, columns).await?;
            let values: Vec<f32> = values.into_iter().collect();
            Ok::<_, Error>(Arc::new(Style::from_values(&column.variable, column.level, &values)))
        };
        self.cache.try_get_with(key, read).await.map_err(|error| (*error).clone())
    }
}
