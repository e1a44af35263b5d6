//! What a file says of itself and of its arrays.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Attribute {
    Text(String),
    Texts(Vec<String>),
    /// `float`: stored as floating point, which tells unpacked limits from packed ones.
    Numbers {
        values: Vec<f64>,
        float: bool,
    },
}

/// Attributes by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Attributes(BTreeMap<String, Attribute>);

impl Attributes {
    pub fn insert(&mut self, name: impl Into<String>, value: Attribute) {
        self.0.insert(name.into(), value);
    }

    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.get(name)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attribute)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// As text, trimmed; empty where there is none. CF says strings, files hold arrays of them too, and numbers.
    pub fn text(&self, name: &str) -> String {
        match self.get(name) {
            None => String::new(),
            Some(Attribute::Text(text)) => text.trim_end_matches('\0').trim().to_owned(),
            Some(Attribute::Texts(texts)) => texts.first().map(|text| text.trim().to_owned()).unwrap_or_default(),
            Some(Attribute::Numbers { values, .. }) => values.first().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// As numbers; empty where it is none. A number that is written as text counts.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        match self.get(name) {
            Some(Attribute::Numbers { values, .. }) => values.clone(),
            Some(Attribute::Text(text)) => text.trim().parse().into_iter().collect(),
            Some(Attribute::Texts(_)) | None => Vec::new(),
        }
    }

    /// Whether it holds floating-point numbers.
    pub fn is_float(&self, name: &str) -> bool {
        matches!(self.get(name), Some(Attribute::Numbers { float: true, .. }))
    }
}
