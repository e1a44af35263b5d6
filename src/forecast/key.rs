//! Which run a request is.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::atmos::{LeadTime, ReferenceTime};

/// Everything that decides the numbers of a forecast. Two requests with the same identity are the same run.
#[derive(Debug, Clone, Serialize)]
pub struct RunIdentity {
    /// [`crate::model::ModelPackage::digest`].
    pub model_digest: String,
    pub reference_time: ReferenceTime,
    /// Digest of the initial states as the model sees them: the same values from other files are the same input.
    pub input_digest: String,
    pub lead_time: LeadTime,
    pub members: u32,
    pub seed: Option<u64>,
    pub perturbation: Option<String>,
    pub precision: &'static str,
    /// How the published values are encoded; packed and float32 copies are different products.
    pub encoding: &'static str,
    /// `true` where winds along the grid were turned to east and north.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winds: Option<&'static str>,
    /// Devices that each state is divided among, where it is: sums are then rounded at other places.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<usize>,
}

/// Digest of a [`RunIdentity`], as it stands in object paths: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunKey(String);

impl RunIdentity {
    pub fn key(&self) -> RunKey {
        // serde_json writes the fields of a struct in their order: the text is canonical
        let text = serde_json::to_vec(self).unwrap_or_default();
        RunKey(hex::encode(&Sha256::digest(&text)[..16]))
    }
}

impl RunKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_identity_counts() {
        let base = RunIdentity {
            model_digest: "m".into(),
            reference_time: "2001-01-01T00:00Z".parse().unwrap(),
            input_digest: "i".into(),
            lead_time: LeadTime::from_hours(240),
            members: 1,
            seed: None,
            perturbation: None,
            precision: "float32",
            encoding: "float32",
            winds: None,
            shards: None,
        };
        let others = [
            RunIdentity { model_digest: "n".into(), ..base.clone() },
            RunIdentity { reference_time: "2001-01-01T06:00Z".parse().unwrap(), ..base.clone() },
            RunIdentity { input_digest: "j".into(), ..base.clone() },
            RunIdentity { lead_time: LeadTime::from_hours(234), ..base.clone() },
            RunIdentity { members: 2, ..base.clone() },
            RunIdentity { seed: Some(1), ..base.clone() },
            RunIdentity { perturbation: Some("noise".into()), ..base.clone() },
            RunIdentity { precision: "bfloat16", ..base.clone() },
            RunIdentity { encoding: "packed", ..base.clone() },
            RunIdentity { winds: Some("true"), ..base.clone() },
            RunIdentity { shards: Some(2), ..base.clone() },
            RunIdentity { shards: Some(4), ..base.clone() },
        ];
        let keys: std::collections::BTreeSet<RunKey> = others.iter().map(RunIdentity::key).collect();
        assert_eq!(keys.len(), others.len());
        assert!(!keys.contains(&base.key()));
        assert_eq!(base.key(), base.clone().key());
        assert_eq!(base.key().as_str().len(), 32);
    }
}
