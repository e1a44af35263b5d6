//! From the texts of a request to one field of a forecast. Every problem is told at once, with what there is instead.

use crate::atmos::{LeadTime, Level, ValidTime, Variable};
use crate::store::{ForecastSpec, RunState};

use super::catalog::Forecast;
use super::derived::{Offer, Recipe};
use super::error::{Error, Violation};
use super::names::quoted;

/// Names listed in an error message; a forecast of more leads shows first and last ones.
const LISTED: usize = 16;

/// A variable on a level.
#[derive(Debug, Clone)]
pub struct Column {
    pub variable: Variable,
    pub level: Level,
    /// Where its values come from.
    pub recipe: Recipe,
}

/// A variable on a level at a lead time that is published.
#[derive(Debug, Clone)]
pub struct Selection {
    pub column: Column,
    pub lead: LeadTime,
    /// Position of the lead time.
    pub step: usize,
    pub valid_time: ValidTime,
    /// Checksum of the step's values: tells replaced data from cached data.
    pub step_crc32c: u32,
}

/// Collects what is wrong with a request.
#[derive(Debug, Default)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// The value, or a note of what is wrong with it.
    pub fn take<T>(&mut self, result: Result<T, Violation>) -> Option<T> {
        result.map_err(|violation| self.0.push(violation)).ok()
    }

    /// All the violations as one error, whether the parts that were parsed are there or not.
    pub fn finish<T>(self, parts: Option<T>) -> Result<T, Error> {
        match parts {
            Some(parts) if self.0.is_empty() => Ok(parts),
            _ => Err(Error::Invalid(self.0)),
        }
    }
}

/// A lead time as HTTP spells it.
pub fn parse_lead(text: &str) -> Result<LeadTime, Violation> {
    text.parse().map_err(|_| {
        Violation::new("lead_time", format!("{} is no lead time; expected one such as 24h, 90m or 10d", quoted(text)))
    })
}

/// The variable on the level, or what is wrong with either.
pub fn column(forecast: &Forecast, variable: &str, level: &str, violations: &mut Violations) -> Option<Column> {
    let offer = violations.take(find_variable(&forecast.offers, variable));
    let level = violations.take(find_level(offer, level));
    let (offer, (index, level)) = (offer?, level?);
    Some(Column { variable: offer.variable.clone(), level, recipe: offer.recipe(index).clone() })
}

/// The field at a lead time, or everything that is wrong with the request. `lead` keeps what was wrong with its text.
pub fn field(
    forecast: &Forecast,
    variable: &str,
    level: &str,
    lead: Result<LeadTime, Violation>,
    mut violations: Violations,
) -> Result<Selection, Error> {
    let column = column(forecast, variable, level, &mut violations);
    at(forecast, column, lead, violations)
}

/// The same, of a column that was looked for before, and what was found wrong with the request until then.
pub fn at(
    forecast: &Forecast,
    column: Option<Column>,
    lead: Result<LeadTime, Violation>,
    mut violations: Violations,
) -> Result<Selection, Error> {
    let step = violations.take(lead.and_then(|lead| find_lead(forecast.reader.spec(), lead)));
    let (column, (step, lead)) = violations.finish(column.zip(step))?;
    let manifest = forecast.manifest();
    let Some(record) = manifest.steps.get(step) else {
        return Err(Error::NotPublished {
            forecast: forecast.name(),
            lead: lead.to_string(),
            complete: manifest.steps_complete,
            total: manifest.steps_total,
            running: manifest.state == RunState::Running,
        });
    };
    let valid_time = manifest.reference_time + lead;
    Ok(Selection { column, lead, step, valid_time, step_crc32c: record.crc32c })
}

pub fn find_variable<'a>(offers: &'a [Offer], name: &str) -> Result<&'a Offer, Violation> {
    let names = || listed(offers.iter().map(|offer| &offer.variable.name));
    if name.is_empty() {
        return Err(Violation::missing("variable", format!("one of {}", names())));
    }
    let found = offers.iter().find(|offer| &*offer.variable.name == name);
    found.ok_or_else(|| {
        Violation::new("variable", format!("{} is not in this forecast; available: {}", quoted(name), names()))
    })
}

/// `offer` is `None` where the variable is wrong too: then only the text can be checked.
fn find_level(offer: Option<&Offer>, text: &str) -> Result<(usize, Level), Violation> {
    let levels = || offer.map_or("surface, 500hPa, 100m or ml8".to_owned(), |offer| listed(&offer.levels));
    if text.is_empty() {
        return Err(Violation::missing("level", format!("one of {}", levels())));
    }
    let level: Level = text
        .parse()
        .map_err(|_| Violation::new("level", format!("{} is no level; expected one of {}", quoted(text), levels())))?;
    let Some(offer) = offer else { return Ok((0, level)) };
    let index = offer.levels.iter().position(|&other| other == level).ok_or_else(|| {
        let name = &offer.variable.name;
        Violation::new("level", format!("{} is not a level of {name}; available: {}", quoted(text), levels()))
    })?;
    Ok((index, level))
}

fn find_lead(spec: &ForecastSpec, lead: LeadTime) -> Result<(usize, LeadTime), Violation> {
    let found = spec.lead_times.iter().position(|&other| other == lead);
    found.map(|step| (step, lead)).ok_or_else(|| {
        let available = listed(&spec.lead_times);
        Violation::new("lead_time", format!("{lead} is not in this forecast; available: {available}"))
    })
}

/// `0h, 6h, 12h, … 240h`.
pub fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let mut items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if items.len() > LISTED {
        let last = items.split_off(LISTED).pop().unwrap_or_default();
        items.push(format!("… {last}"));
    }
    items.join(", ")
}
