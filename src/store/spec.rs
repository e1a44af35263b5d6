//! What a forecast will hold.

use std::str::FromStr;
use std::sync::Arc;

use crate::atmos::{Grid, LeadTime, Level, ReferenceTime, Variable};

/// How values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As computed.
    #[default]
    Float32,
    /// Integers with CF `scale_factor` and `add_offset`, at each variable's precision.
    Packed,
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Packed => "packed",
        }
    }
}

impl FromStr for Encoding {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "float32" => Ok(Self::Float32),
            "packed" => Ok(Self::Packed),
            other => Err(format!("{other:?} is no encoding; expected float32 or packed")),
        }
    }
}

/// One variable on its levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub variable: Variable,
    /// All of one kind; the order of the vertical dimension.
    pub levels: Vec<Level>,
    /// Step of the packed encoding, in the variable's units.
    pub precision: f64,
    /// Lowest and highest value that will be written, in the variable's units: what the packed encoding must span.
    pub range: (f64, f64),
}

/// Everything about a forecast but its values.
#[derive(Debug, Clone)]
pub struct ForecastSpec {
    pub run_key: String,
    /// Name of the model.
    pub model: String,
    pub title: String,
    pub reference_time: ReferenceTime,
    /// Ascending from 0, the analysis.
    pub lead_times: Vec<LeadTime>,
    pub grid: Arc<Grid>,
    pub outputs: Vec<Output>,
    pub encoding: Encoding,
    /// How many steps, counted back from the last, a resumed run needs in full precision.
    pub restart_states: usize,
    /// Attributes that say where the forecast comes from.
    pub provenance: serde_json::Map<String, serde_json::Value>,
}

impl ForecastSpec {
    /// Position of a variable and level: output, index on its vertical dimension.
    pub fn find(&self, variable: &str, level: Level) -> Option<(usize, usize)> {
        let output = self.outputs.iter().position(|output| &*output.variable.name == variable)?;
        let level = self.outputs[output].levels.iter().position(|&other| other == level)?;
        Some((output, level))
    }

    /// Every variable and level, in order.
    pub fn fields(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.outputs.iter().enumerate().flat_map(|(output, o)| (0..o.levels.len()).map(move |level| (output, level)))
    }
}
