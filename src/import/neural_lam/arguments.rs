//! The arguments of a training, from its checkpoint or from its command line.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use serde::Deserialize;

use crate::model::checkpoint::Value;

/// Arguments by name, as texts. The checkpoint's own come first.
#[derive(Debug, Default)]
pub struct Arguments(BTreeMap<String, String>);

/// One line of `training_cli_args.yaml`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Argument {
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl Arguments {
    /// Adds those of a checkpoint's `hyper_parameters`.
    pub fn add_hyper_parameters(&mut self, checkpoint: Value<'_>) {
        let Some(parameters) = checkpoint.get("hyper_parameters") else { return };
        // 0.7 keeps some arguments beside `args`
        for values in [parameters.get("args"), Some(parameters)].into_iter().flatten() {
            for (key, value) in values.entries() {
                if let (Some(key), Some(text)) = (key.as_str(), text(value)) {
                    self.0.entry(key.to_owned()).or_insert(text);
                }
            }
        }
    }

    /// Adds those of a list of one-key mappings.
    pub fn add_command_line(&mut self, path: &Path) -> Result<(), String> {
        let content = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let lines: Vec<BTreeMap<String, Argument>> = serde_saphyr::from_str(&content)
            .map_err(|error| format!("{error}; expected a list of one-key mappings"))?;
        for (key, value) in lines.into_iter().flatten() {
            if let Argument::Text(text) = value {
                self.0.entry(key).or_insert(text);
            }
        }
        Ok(())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether a flag is set.
    pub fn is_set(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| ["true", "True", "1"].contains(&text))
    }

    /// The argument, or the training's default; what cannot be read is added to `problems`.
    pub fn get<T: FromStr>(&self, name: &str, default: T, problems: &mut Vec<String>) -> T {
        let Some(text) = self.text(name) else { return default };
        text.parse().unwrap_or_else(|_| {
            problems.push(format!("the training's argument {name} is {text:?}; expected a {}", kind::<T>()));
            default
        })
    }
}

fn kind<T>() -> &'static str {
    std::any::type_name::<T>().rsplit("::").next().unwrap_or("value")
}

fn text(value: Value<'_>) -> Option<String> {
    let number = || value.as_i64().map(|number| number.to_string());
    let boolean = || value.as_bool().map(|flag| flag.to_string());
    value.as_str().map(str::to_owned).or_else(boolean).or_else(number)
}
