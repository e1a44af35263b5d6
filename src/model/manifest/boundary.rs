//! `[boundary]` of a manifest.

use serde::{Deserialize, Serialize};

use super::Manifest;
use crate::atmos::LeadTime;
use crate::model::{BoundaryKind, BoundaryTimes, ProblemList};

/// Where another model, or analyses, have their say: `width` alone, or `nodes` with the times of their data.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundarySection {
    /// They decide on a frame of this many points along the edges of the grid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// The network is told of them at nodes of their own; where these lie is in this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<BoundaryKind>,
    /// Between two times of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_step: Option<String>,
    /// From midnight UTC to the first; none where it is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<String>,
}

/// A boundary of one of the two forms.
#[derive(Debug, Clone)]
pub enum BoundaryForm {
    Frame { width: usize },
    Nodes { file: String, times: BoundaryTimes },
}

impl BoundarySection {
    pub(super) fn validate(&self, manifest: &Manifest, problems: &mut ProblemList) -> Option<BoundaryForm> {
        match (self.width, &self.nodes) {
            (Some(width), None) => {
                if self.data.is_some() || self.time_step.is_some() || self.offset.is_some() {
                    let expected = "width alone: a frame is overwritten at each of the model's own times";
                    problems.add("model.toml: [boundary]", "a width and times of the data", expected);
                }
                Some(BoundaryForm::Frame { width })
            }
            (None, Some(file)) => {
                if !manifest.files.iter().any(|known| known.name == *file) {
                    problems.add("model.toml: [boundary] nodes", format!("{file:?}"), "a file that [[file]] tells of");
                }
                let mut time = |key: &str, text: Option<&String>, least: i64| {
                    let place = format!("model.toml: [boundary] {key}");
                    let Some(text) = text else {
                        problems.add(place, "nothing", "a time such as \"6h\"");
                        return None;
                    };
                    let found = text.parse::<LeadTime>().ok().filter(|found| found.seconds() >= least);
                    if found.is_none() {
                        problems.add(place, format!("{text:?}"), "a time such as \"6h\"");
                    }
                    found
                };
                let time_step = time("time_step", self.time_step.as_ref(), 1);
                let midnight = "0h".to_owned();
                let offset = time("offset", Some(self.offset.as_ref().unwrap_or(&midnight)), 0);
                let times =
                    BoundaryTimes { kind: self.data.unwrap_or_default(), time_step: time_step?, offset: offset? };
                Some(BoundaryForm::Nodes { file: file.clone(), times })
            }
            (found, _) => {
                let found = if found.is_some() { "a width and nodes" } else { "neither width nor nodes" };
                problems.add("model.toml: [boundary]", found, "one of width and nodes");
                None
            }
        }
    }
}
