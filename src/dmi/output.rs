//! The store that is written: `(time[, level], y, x)` on the input's own coordinates, one timestep in a chunk.

use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use super::ContractError;
use super::input::{StoreLayout, values};
use super::predicted::Predicted;
use super::settings::Settings;
use super::store::{PlainStore, Stored, texts};
use crate::atmos::{Field, LeadTime, ReferenceTime};
use crate::ingest::{Array, Attribute, Attributes, Conversion, Dataset, ElementType, SourceVariable};
use crate::model::ModelPackage;

/// What a copied coordinate must not carry along: they say how its numbers were stored.
const OF_THE_ENCODING: &[&str] = &[
    "scale_factor",
    "add_offset",
    "_FillValue",
    "missing_value",
    "_ARRAY_DIMENSIONS",
    "units_metadata",
    "coordinates",
];

/// Level coordinates with a description of their own, for those that no input variable lies on: name, standard name, long
/// name, units, positive; as cfgrib describes them.
pub const KNOWN_LEVELS: &[(&str, &str, &str, &str, &str)] = &[
    ("isobaricInhPa", "air_pressure", "pressure", "hPa", "down"),
    ("isobaricInPa", "air_pressure", "pressure", "Pa", "down"),
    ("heightAboveGround", "height", "height above the surface", "m", "up"),
    ("heightAboveSea", "height_above_mean_sea_level", "height above mean sea level", "m", "up"),
    ("depthBelowLand", "depth", "soil depth", "m", "down"),
    ("hybrid", "atmosphere_hybrid_sigma_pressure_coordinate", "hybrid level", "1", "down"),
];

/// What the store says beside its fields.
pub struct Header<'a> {
    pub settings: &'a Settings,
    pub dataset: &'a Dataset,
    pub layout: &'a StoreLayout,
    pub package: &'a ModelPackage,
    pub device: String,
    pub reference_time: ReferenceTime,
    pub lead_times: Vec<LeadTime>,
    /// 2 or 3.
    pub format: u8,
}

/// Attributes of an array of the input, as JSON.
fn copied(attributes: &Attributes, without: &[&str]) -> Map<String, Value> {
    let value = |attribute: &Attribute| match attribute {
        Attribute::Text(text) => json!(text),
        Attribute::Texts(texts) => json!(texts),
        Attribute::Numbers { values, float } => {
            let number = |value: &f64| if *float { json!(value) } else { json!(*value as i64) };
            match values.as_slice() {
                [one] => number(one),
                several => several.iter().map(number).collect(),
            }
        }
    };
    attributes
        .iter()
        .filter(|(name, _)| !OF_THE_ENCODING.contains(name) && !without.contains(name))
        .map(|(name, attribute)| (name.to_owned(), value(attribute)))
        .collect()
}

/// A store on its way.
pub struct OutputStore<'a> {
    header: &'a Header<'a>,
    outputs: &'a [Predicted],
    store: PlainStore<'a>,
}

impl<'a> OutputStore<'a> {
    /// Replaces the store that is there, as the contract has it.
    pub fn begin(
        header: &'a Header<'a>,
        outputs: &'a [Predicted],
        runtime: &'a Runtime,
    ) -> Result<Self, ContractError> {
        let StoreLayout { time, y, x, grid_mappings, .. } = header.layout;
        let own = outputs.iter().flat_map(|output| [Some(&output.name), output.level.as_ref()]).flatten();
        let coordinates = [time, y, x].into_iter().chain(grid_mappings).chain(own).map(String::as_str);
        let names: Vec<&str> = coordinates.chain(["forecastReferenceTime", "leadTime"]).collect();
        let store = PlainStore::begin(&header.settings.destination, header.format, &names, runtime)?;
        let mut output = Self { header, outputs, store };
        output.declare()?;
        Ok(output)
    }

    fn declare(&mut self) -> Result<(), ContractError> {
        let StoreLayout { time, y, x, grid_mappings, .. } = self.header.layout;
        let horizontal = [self.length(y)?, self.length(x)?];
        let mapping = match grid_mappings.as_slice() {
            [one] => one.as_str(),
            _ => "",
        };
        for output in self.outputs {
            let level = output.level.as_ref().map(|level| (level.clone(), output.channels.len()));
            let (mut dimensions, mut shape) = (vec![time.clone()], vec![self.header.lead_times.len()]);
            if let Some((name, length)) = level {
                dimensions.push(name);
                shape.push(length);
            }
            // the name of a dimension is that of its coordinate
            dimensions.extend([y.clone(), x.clone()]);
            shape.extend(horizontal);
            let attributes = texts([
                ("standard_name", output.standard_name.as_str()),
                ("long_name", &output.long_name),
                ("units", &output.units),
                ("grid_mapping", mapping),
                ("coordinates", "forecastReferenceTime leadTime"),
            ]);
            self.store.declare(&output.name, dimensions, shape, attributes);
        }
        Ok(())
    }

    fn array(&self, name: &str) -> Option<&'a Array> {
        self.header.dataset.arrays.iter().find(|array| array.name == name)
    }

    fn length(&self, name: &str) -> Result<usize, ContractError> {
        let length = self.array(name).and_then(|array| array.shape().first().copied());
        length.ok_or_else(|| ContractError::Input(vec![format!("coordinate {name:?} has no length")]))
    }

    /// One step: fields in the order of the model's channels. `shown` says how they lie in the input.
    pub fn write_step(&mut self, n: usize, fields: &[Field], shown: &SourceVariable) -> Result<(), ContractError> {
        for output in self.outputs {
            let Conversion { scale, offset } = output.conversion;
            let convert = |value: f32| match output.conversion {
                Conversion::NONE => value,
                _ => ((f64::from(value) - offset) / scale) as f32,
            };
            let levels = output.channels.iter().map(|&channel| shown.in_file_order(fields[channel].values().view()));
            self.store.write_step(&output.name, n, levels.flatten().map(convert))?;
        }
        Ok(())
    }

    /// A coordinate of the input, with an axis and a standard name where it had none.
    fn copy(&mut self, name: &str, along: &str, defaults: &[(&str, &str)]) -> Result<(), ContractError> {
        let array =
            self.array(name).ok_or_else(|| ContractError::Input(vec![format!("{name:?} is not in the input")]))?;
        let numbers = values(self.header.dataset, array).map_err(|reason| ContractError::Input(vec![reason]))?;
        let packed = array.attributes.contains("scale_factor") || array.attributes.contains("add_offset");
        let stored = match array.kind {
            _ if packed => Stored::Float64,
            ElementType::F32 => Stored::Float32,
            ElementType::I8 | ElementType::I16 | ElementType::I32 | ElementType::U8 | ElementType::U16 => Stored::Int32,
            ElementType::I64 | ElementType::U32 => Stored::Int64,
            _ => Stored::Float64,
        };
        let mut attributes = texts(defaults.iter().copied());
        attributes.extend(copied(&array.attributes, &[]));
        self.store.small(name, (&[along], vec![numbers.len()]), (stored, &numbers), attributes)
    }

    fn coordinates(&mut self) -> Result<(), ContractError> {
        let Header { layout, settings, .. } = self.header;
        let StoreLayout { time, y, x, kind, grid_mappings, .. } = layout;
        let names = match *kind {
            "latlon" => ["latitude", "longitude"],
            _ => ["projection_y_coordinate", "projection_x_coordinate"],
        };
        self.copy(y, y, &[("axis", "Y"), ("standard_name", names[0])])?;
        self.copy(x, x, &[("axis", "X"), ("standard_name", names[1])])?;
        let reference = self.header.reference_time.timestamp();
        let leads: Vec<f64> = self.header.lead_times.iter().map(|lead| lead.seconds() as f64).collect();
        let array = self.array(time);
        let own = array.map(|array| copied(&array.attributes, &["units", "calendar"])).unwrap_or_default();
        self.store.times(time, reference, &leads, own)?;
        for level in &settings.levels {
            if !self.outputs.iter().any(|output| output.level.as_ref() == Some(&level.name)) {
                continue;
            }
            let there = self.array(&level.name).is_some_and(|array| array.shape() == [level.values.len()]);
            if there {
                self.copy(&level.name, &level.name, &[("axis", "Z")])?;
            } else {
                let integral = level.values.iter().all(|value| value.fract() == 0.0 && value.abs() < 2e9);
                let stored = if integral { Stored::Int32 } else { Stored::Float64 };
                let known = KNOWN_LEVELS.iter().find(|(name, ..)| *name == level.name);
                let (_, standard_name, long_name, units, positive) = *known.unwrap_or(&("", "", "", "", ""));
                let attributes = texts([
                    ("axis", "Z"),
                    ("standard_name", standard_name),
                    ("long_name", long_name),
                    ("units", units),
                    ("positive", positive),
                ]);
                self.store.small(
                    &level.name,
                    (&[&level.name], vec![level.values.len()]),
                    (stored, &level.values),
                    attributes,
                )?;
            }
        }
        for name in grid_mappings {
            let attributes = self.array(name).map(|array| copied(&array.attributes, &[])).unwrap_or_default();
            self.store.small(name, (&[], Vec::new()), (Stored::Int32, &[0.0]), attributes)?;
        }
        if grid_mappings.len() > 1 {
            tracing::warn!("the input has several grid mappings, {}: none is attached", grid_mappings.join(", "));
        }
        Ok(())
    }

    /// Coordinates, and what makes it a store.
    pub fn finish(mut self) -> Result<(), ContractError> {
        self.coordinates()?;
        let attributes = self.group_attributes();
        self.store.finish(attributes)
    }

    fn group_attributes(&self) -> Map<String, Value> {
        let Header { settings, layout, package, device, reference_time, .. } = self.header;
        let model = &package.manifest().model;
        let list = |variables: &[super::declared::Declared]| {
            variables.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        };
        let version = env!("CARGO_PKG_VERSION");
        let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ");
        let pairs = [
            ("title", format!("{}, forecast from {reference_time}", model.title)),
            ("source", format!("vejr {version}, {} {}", model.name, model.version)),
            ("Conventions", "CF-1.10".to_owned()),
            ("history", format!("{now}: created by vejr {version}")),
            ("grid_type", layout.kind.to_owned()),
            ("device", device.clone()),
            ("model_digest", package.digest().to_owned()),
            ("model_licence", model.licence.clone()),
            ("input_variables", list(&settings.input_variables)),
            ("output_variables", list(&settings.output_variables)),
            ("n_forecast_steps", settings.forecast_steps.to_string()),
            ("input_store", settings.input_zarr.clone()),
        ];
        texts(pairs.iter().map(|(name, text)| (*name, text.as_str())))
    }
}
