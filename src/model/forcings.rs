//! Features that a network is told, standardised: at the points of a grid, or at the nodes of a boundary.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Error, Result, bail};

use crate::atmos::{Grid, ValidTime};
use crate::model::{Channel, ChannelLayout};

/// Deviations below this are taken as this: float32's resolution, as the reference does.
pub const LEAST_STD: f32 = f32::EPSILON;

/// Features that differ from time to time.
#[derive(Debug)]
pub struct Forcings {
    layout: Arc<ChannelLayout>,
    places: Arc<Grid>,
    /// Those that are not computed, at each time: one after the other, each at all places.
    read: BTreeMap<ValidTime, Vec<f32>>,
}

impl Forcings {
    pub fn new(layout: Arc<ChannelLayout>, places: Arc<Grid>, read: BTreeMap<ValidTime, Vec<f32>>) -> Self {
        Self { layout, places, read }
    }

    pub fn is_empty(&self) -> bool {
        self.layout.is_empty()
    }

    /// Feature by feature, each at all `times`; each at all places.
    pub fn at(&self, times: &[ValidTime]) -> Result<Vec<Vec<f32>>> {
        let mut among_read = 0;
        let mut fields = Vec::with_capacity(self.layout.len() * times.len());
        for channel in self.layout.iter() {
            let (mean, std) = (channel.mean as f32, (channel.std as f32).max(LEAST_STD));
            for &time in times {
                let values = self.values(channel, among_read, time)?;
                fields.push(values.into_iter().map(|value| (value - mean) / std).collect());
            }
            among_read += usize::from(channel.formula.is_none());
        }
        Ok(fields)
    }

    /// In the variable's units; `number` is its place among those that are read.
    fn values(&self, channel: &Channel, number: usize, time: ValidTime) -> Result<Vec<f32>> {
        if let Some(formula) = channel.formula {
            let values = formula.evaluate(time, self.places.coordinates());
            return Ok(values.into_iter().map(|value| value as f32).collect());
        }
        let fields = self.read.get(&time).and_then(|fields| fields.chunks_exact(self.places.len()).nth(number));
        fields.map(<[f32]>::to_vec).ok_or_else(|| Error::Msg(format!("no {} for {time}", channel.label())))
    }
}

/// What never changes, one field after the other in the channels' units → standardised.
pub fn standardised_statics(layout: &ChannelLayout, values: &[f32], places: &Grid) -> Result<Vec<Vec<f32>>> {
    if values.len() != layout.len() * places.len() {
        bail!("{} static values for {} fields of {places}", values.len(), layout.len());
    }
    let standardised = layout.iter().zip(values.chunks_exact(places.len())).map(|(channel, values)| {
        let standardise = |&value: &f32| ((f64::from(value) - channel.mean) / channel.std) as f32;
        values.iter().map(standardise).collect()
    });
    Ok(standardised.collect())
}
