//! What is known of the atmosphere at one or more times.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Field, Grid, Level, ValidTime};

/// What a field of an analysis is found by: when, which variable (short name), which level.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldKey {
    pub valid_time: ValidTime,
    pub variable: Arc<str>,
    pub level: Level,
}

/// Fields on one grid at one or more valid times.
#[derive(Debug, Clone)]
pub struct Analysis {
    grid: Arc<Grid>,
    fields: BTreeMap<FieldKey, Field>,
}

impl Analysis {
    pub fn new(grid: Arc<Grid>) -> Self {
        Self { grid, fields: BTreeMap::new() }
    }

    /// Adds a field, or replaces the one with the same key; a field on another grid is handed back as the error.
    pub fn insert(&mut self, field: Field) -> Result<(), Box<Field>> {
        if !Arc::ptr_eq(field.grid(), &self.grid) && !field.grid().same_points(&self.grid) {
            return Err(Box::new(field));
        }
        let key =
            FieldKey { valid_time: field.valid_time(), variable: field.variable().name.clone(), level: field.level() };
        self.fields.insert(key, field);
        Ok(())
    }

    pub fn grid(&self) -> &Arc<Grid> {
        &self.grid
    }

    pub fn get(&self, valid_time: ValidTime, variable: &str, level: Level) -> Option<&Field> {
        self.fields.get(&FieldKey { valid_time, variable: variable.into(), level })
    }

    /// In order of time, variable, level.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.values()
    }

    /// Ascending, each once.
    pub fn valid_times(&self) -> Vec<ValidTime> {
        let mut times: Vec<ValidTime> = self.fields.keys().map(|key| key.valid_time).collect();
        times.dedup();
        times
    }
}
