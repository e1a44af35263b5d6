//! What the environment asks for.

use std::collections::BTreeMap;

use tracing::{info, warn};

use super::ContractError;
use super::declared::{Declared, LevelCoordinate, parse_levels, parse_variables};
use super::storage::{Side, place};
use crate::atmos::LeadTime;
use crate::device::DeviceRequest;
use crate::location::Location;

/// The environment, understood.
#[derive(Debug)]
pub struct Settings {
    pub input_zarr: String,
    pub output_zarr: String,
    pub source: Location,
    pub destination: Location,
    pub input_variables: Vec<Declared>,
    pub output_variables: Vec<Declared>,
    pub levels: Vec<LevelCoordinate>,
    /// The first so many of the input's times, or if negative the last; `None`: all.
    pub input_timesteps: Option<i64>,
    pub forecast_steps: i64,
    pub timestep: Option<LeadTime>,
    /// Which of several coordinates: time, y, x.
    pub coordinates: [Option<String>; 3],
    pub device: DeviceRequest,
    /// `None`: that of the input.
    pub zarr_format: Option<u8>,
    /// Name and value of every setting, as the log tells them.
    told: Vec<(&'static str, String)>,
    /// Settings of the stand-in that a model has no use for.
    without_effect: Vec<&'static str>,
}

/// Reads variables, and collects what is wrong.
struct Reader<'e> {
    environment: &'e BTreeMap<String, String>,
    problems: Vec<String>,
    told: Vec<(&'static str, String)>,
}

impl<'e> Reader<'e> {
    /// A blank variable is as good as none.
    fn text(&self, name: &str) -> Option<&'e str> {
        self.environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn tell(&mut self, name: &'static str, value: impl ToString) {
        self.told.push((name, value.to_string()));
    }

    fn required(&mut self, name: &'static str) -> String {
        let value = self.text(name).unwrap_or_default().to_owned();
        if value.is_empty() {
            self.problems.push(format!("{name} is required but not set"));
        }
        value
    }

    /// `None` where it is not set, or wrong.
    fn number<T: std::str::FromStr + std::fmt::Display>(
        &mut self,
        name: &'static str,
        expected: &str,
        sound: impl Fn(&T) -> bool,
        unset: &str,
    ) -> Option<T> {
        let Some(text) = self.text(name) else {
            self.tell(name, unset);
            return None;
        };
        match text.parse().ok().filter(sound) {
            Some(value) => {
                self.tell(name, &value);
                Some(value)
            }
            None => {
                self.problems.push(format!("{name} must be {expected}, found {text:?}"));
                None
            }
        }
    }

    fn choice(&mut self, name: &'static str, choices: &[&'static str], default: &'static str) -> &'static str {
        let text = self.text(name).unwrap_or(default).to_lowercase();
        match choices.iter().find(|choice| **choice == text) {
            Some(choice) => {
                self.tell(name, choice);
                choice
            }
            None => {
                self.problems.push(format!("{name} must be one of {}, found {text:?}", choices.join(", ")));
                default
            }
        }
    }
}

impl Settings {
    /// Everything that is wrong is reported together.
    pub fn parse(environment: &BTreeMap<String, String>) -> Result<Self, ContractError> {
        let mut reader = Reader { environment, problems: Vec::new(), told: Vec::new() };
        let input_zarr = reader.required("INPUT_ZARR");
        let output_zarr = reader.required("OUTPUT_ZARR");
        reader.tell("INPUT_ZARR", &input_zarr);
        reader.tell("OUTPUT_ZARR", &output_zarr);
        let levels = parse_levels(reader.text("LEVEL_COORDS").unwrap_or_default(), &mut reader.problems);
        let mut variables = |name: &'static str| {
            let text = reader.required(name);
            if text.is_empty() {
                return Vec::new();
            }
            let declared = parse_variables(name, &text, &levels, &mut reader.problems);
            reader.tell(name, declared.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
            declared
        };
        let (input_variables, output_variables) = (variables("INPUT_VARIABLES"), variables("OUTPUT_VARIABLES"));
        let told: Vec<String> = levels.iter().map(ToString::to_string).collect();
        reader.tell("LEVEL_COORDS", if told.is_empty() { "unset (none)".to_owned() } else { told.join(",") });
        let input_timesteps = reader.number(
            "N_INPUT_TIMESTEPS",
            "a number other than 0 (n > 0: the first n, n < 0: the last |n|)",
            |n: &i64| *n != 0 && *n > -1_000_000 && *n < 1_000_000,
            "unset (all)",
        );
        let found = reader.problems.len();
        let forecast_steps = reader.number(
            "N_FORECAST_STEPS",
            "a positive number of forecast steps",
            |n: &i64| *n == -1 || *n > 0,
            "-1",
        );
        if matches!(forecast_steps, None | Some(-1)) && reader.problems.len() == found {
            reader.problems.push(
                "N_FORECAST_STEPS is -1 (the default), which asks for a diagnosis of the input's own times; this model \
                 forecasts: set it to the number of steps"
                    .to_owned(),
            );
        }
        let timestep = reader.number(
            "FORECAST_TIMESTEP",
            "a positive ISO 8601 duration such as PT6H (or 6h)",
            |step: &LeadTime| step.seconds() > 0,
            "unset (inferred from input)",
        );
        let coordinates = ["TIME_COORD", "Y_COORD", "X_COORD"].map(|name| {
            let text = reader.text(name).map(str::to_owned);
            reader.tell(name, text.as_deref().unwrap_or("unset (by CF attributes)"));
            text
        });
        let device = match reader.choice("DEVICE", &["auto", "cuda", "cpu"], "auto") {
            "cuda" => DeviceRequest::Cuda(0),
            "cpu" => DeviceRequest::Cpu,
            _ => DeviceRequest::Auto,
        };
        let zarr_format = match reader.choice("ZARR_FORMAT", &["auto", "2", "3"], "auto") {
            "2" => Some(2),
            "3" => Some(3),
            _ => None,
        };
        reader.tell("LOG_LEVEL", reader.text("LOG_LEVEL").unwrap_or("INFO").to_uppercase());
        let without_effect = Self::of_the_stand_in(&mut reader);
        let source = (!input_zarr.is_empty()).then(|| place(environment, &input_zarr, Side::Source));
        let destination = (!output_zarr.is_empty()).then(|| place(environment, &output_zarr, Side::Destination));
        let mut open = |place: Option<Result<Location, String>>| match place? {
            Ok(location) => Some(location),
            Err(problem) => {
                reader.problems.push(problem);
                None
            }
        };
        let (source, destination) = (open(source), open(destination));
        if let (Some(from), Some(to)) = (&source, &destination)
            && (from.is_within(to) || to.is_within(from))
        {
            reader.problems.push(format!(
                "OUTPUT_ZARR {output_zarr} and INPUT_ZARR {input_zarr} lie in each other: the output would replace the input"
            ));
        }
        match (source, destination, forecast_steps) {
            (Some(source), Some(destination), Some(forecast_steps)) if reader.problems.is_empty() => Ok(Self {
                input_zarr,
                output_zarr,
                source,
                destination,
                input_variables,
                output_variables,
                levels,
                input_timesteps,
                forecast_steps,
                timestep,
                coordinates,
                device,
                zarr_format,
                told: reader.told,
                without_effect,
            }),
            _ => Err(ContractError::Configuration(reader.problems)),
        }
    }

    /// What configures the stand-in's arithmetic is checked as it does, and told to have no effect.
    fn of_the_stand_in(reader: &mut Reader<'_>) -> Vec<&'static str> {
        let names = ["OUTPUT_MODE", "RANDOM_SEED", "CONSTANT_VALUE", "MODEL_HIDDEN_CHANNELS", "MODEL_LAYERS"];
        let told = reader.told.len();
        reader.choice("OUTPUT_MODE", &["random", "persistence", "constant", "zeros"], "random");
        reader.number("RANDOM_SEED", "an integer", |_: &i64| true, "");
        reader.number("CONSTANT_VALUE", "a number", |_: &f64| true, "");
        reader.number("MODEL_HIDDEN_CHANNELS", "at least 1", |n: &i64| *n >= 1, "");
        reader.number("MODEL_LAYERS", "at least 2", |n: &i64| *n >= 2, "");
        reader.told.truncate(told);
        names.into_iter().filter(|name| reader.text(name).is_some()).collect()
    }

    /// The values of a level coordinate that a variable lies on; empty for a single level.
    pub fn levels_of(&self, variable: &Declared) -> &[f64] {
        let own = |name: &String| self.levels.iter().find(|level| level.name == *name);
        variable.level.as_ref().and_then(own).map_or(&[], |level| &level.values)
    }

    /// Every setting in a line of its own: collectors of logs cut at line ends.
    pub fn log(&self) {
        info!("Effective configuration (defaults included):");
        for (name, value) in &self.told {
            info!("  {name:<17} = {value}");
        }
        for name in &self.without_effect {
            warn!("{name} has no effect: it configures the stand-in model, and this is a forecast");
        }
    }
}
