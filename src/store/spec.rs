//! What a forecast will hold.

use std::str::FromStr;
use std::sync::Arc;

use super::{Statistics, StoreError};
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
    /// Members of an ensemble, of which 0 is the control; 1: a single forecast, without a dimension for them.
    pub members: usize,
    /// What is made of the members.
    pub statistics: Option<Statistics>,
    pub grid: Arc<Grid>,
    pub outputs: Vec<Output>,
    pub encoding: Encoding,
    /// How many steps, counted back from the last, a resumed run needs in full precision.
    pub restart_states: usize,
    /// What a resumed run needs is not what is published, and is kept beside it.
    pub restart_apart: bool,
    /// Attributes that say where the forecast comes from.
    pub provenance: serde_json::Map<String, serde_json::Value>,
}

/// Names that the group uses itself, beside those of vertical dimensions.
const RESERVED: [&str; 13] = [
    "reference_time",
    "lead_time",
    "member",
    "valid_time",
    "latitude",
    "longitude",
    "yc",
    "xc",
    "grid_index",
    "crs",
    super::series::FOLDER,
    super::restart::FOLDER,
    super::statistics::FOLDER,
];
/// More points than any grid has (1 km around the globe would be 650 million, and is not one field on one machine).
const MOST_POINTS: usize = 1 << 28;
/// More steps than any forecast has.
const MOST_LEADS: usize = 100_000;

/// More members than any ensemble has.
const MOST_MEMBERS: usize = 10_000;

/// Whether a text may be part of an object's path: 1 to 128 letters, digits, `.`, `_` and `-`, not starting with a dot.
pub(super) fn is_path_part(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

impl ForecastSpec {
    /// What everything in this module relies on. Specifications come from model packages and from stored manifests, so
    /// none is trusted before.
    pub(super) fn validate(&self) -> Result<(), StoreError> {
        let invalid = |what: String, reason: &str| Err(StoreError::Invalid { what, reason: reason.to_owned() });
        if !is_path_part(&self.run_key) {
            return invalid(
                format!("run key {:?}", self.run_key),
                "it may have letters, digits, '.', '_' and '-' only",
            );
        }
        let leads = &self.lead_times;
        if leads.first() != Some(&LeadTime::ZERO) || !leads.is_sorted_by(|a, b| a < b) || leads.len() > MOST_LEADS {
            let reason = "lead times start with 0, the analysis, and ascend";
            return invalid(format!("a forecast with {} lead times", leads.len()), reason);
        }
        if !(1..=MOST_MEMBERS).contains(&self.members) {
            return invalid(format!("a forecast of {} members", self.members), "an ensemble has 2 to 10000");
        }
        let (h, w) = self.grid.shape();
        if h.checked_mul(w).is_none_or(|points| points > MOST_POINTS) {
            return invalid(format!("a grid of {h} × {w} points"), "it is larger than any that is known");
        }
        if self.outputs.is_empty() {
            return invalid("a forecast without variables".to_owned(), "there is nothing in it");
        }
        for (i, output) in self.outputs.iter().enumerate() {
            let name = &*output.variable.name;
            let what = || format!("variable {name:?}");
            let vertical = ["pressure", "height", "model_level"].iter().any(|&dimension| {
                let number = name.strip_prefix(dimension).map(|rest| rest.trim_start_matches('_'));
                number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
            });
            if !is_path_part(name) || RESERVED.contains(&name) || vertical {
                return invalid(what(), "the name is not allowed, or is that of a coordinate");
            }
            if self.outputs[..i].iter().any(|other| *other.variable.name == *name) {
                return invalid(what(), "it is there twice");
            }
            let levels = &output.levels;
            let kind = levels.first().map(Level::dimension);
            if kind.is_none() || levels.iter().any(|level| Some(level.dimension()) != kind) {
                return invalid(what(), "it has no levels, or levels of several kinds");
            }
            if (0..levels.len()).any(|i| levels[..i].contains(&levels[i]) || !levels[i].value().is_finite()) {
                return invalid(what(), "it has a level twice, or a level that is not finite");
            }
            let (low, high) = output.range;
            let finite = [low, high, output.precision].iter().all(|value| value.is_finite());
            if !finite || low > high || output.precision <= 0.0 {
                return invalid(what(), "its range or precision is not a range or a precision");
            }
        }
        let outputs: Vec<_> = self.outputs.iter().map(|output| (&output.variable, output.levels.clone())).collect();
        let checked = self.statistics.as_ref().map_or(Ok(()), |statistics| statistics.check(&outputs));
        checked.map_err(|reason| StoreError::Invalid { what: "statistics".to_owned(), reason })?;
        // they are variables, too
        super::statistics::Group::of(self).map_or(Ok(()), |group| group.spec.validate())
    }

    pub fn is_ensemble(&self) -> bool {
        self.members > 1
    }

    /// Whether steps are kept for a resumed run beside what is published.
    pub(super) fn keeps_restart(&self) -> bool {
        self.restart_apart || self.encoding == Encoding::Packed
    }

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
