//! GraphCast: the published parameters (`.npz`), with the configuration inside, and three files of statistics → a package.

mod npz;
mod statistics;
mod task;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use super::write::{Draft, GRAPH};
use super::{ImportError, Params};
use crate::atmos::LeadTime;
use crate::ingest::conversion;
use crate::model::arch::graphcast::{GraphCastConfig, create_graph};
use crate::model::manifest::{AxisSection, ChannelSection, FORMAT, GridSection, LevelSection, ModelSection, Planet};
use crate::model::{Manifest, Predicts, Role};
use npz::{Npz, Numbers};
use statistics::Statistics;
use task::{Kind, Quantity, Task};

/// Between two states, which no configuration tells.
const TIME_STEP: &str = "6h";
/// Deviations from the mean that are no reason to stop.
const FAR: f64 = 8.0;

/// The file of parameters, if that is what `path` is or holds.
pub fn recognise(path: &Path) -> Result<Option<PathBuf>, ImportError> {
    let is_npz = |path: &Path| path.extension().is_some_and(|ending| ending == "npz") && path.is_file();
    if is_npz(path) {
        return Ok(Some(path.to_owned()));
    }
    let Ok(entries) = std::fs::read_dir(path) else { return Ok(None) };
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_npz(path)).collect();
    files.sort();
    match files.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => {
            let names: Vec<String> = several.iter().map(|path| path.display().to_string()).collect();
            let reason = format!("holds several files of parameters; give one of them: {}", names.join(", "));
            Err(ImportError::Source { path: path.to_owned(), reason })
        }
    }
}

/// Reads everything, and reports everything that cannot be understood or supported at once.
pub fn import(path: &Path, params: &Params) -> Result<(Draft, Vec<String>), ImportError> {
    let (mut notes, mut problems) = (Vec::new(), Vec::new());
    let mut file = Npz::open(path)?;
    if !file.has("params:") || !file.has("model_config:") || !file.has("task_config:") {
        let reason = "arrays of numpy, but not params:…, model_config:… and task_config:…, as GraphCast is published";
        return Err(ImportError::Source { path: path.to_owned(), reason: reason.to_owned() });
    }
    for (key, told) in [
        ("n_boundary_points", params.n_boundary_points.is_some()),
        ("graph", params.graph.is_some()),
        ("mesh_levels", params.mesh_levels.is_some()),
        ("winds", params.winds.is_some()),
        ("config", params.config.is_some()),
        ("boundary_datastore", params.boundary_datastore.is_some()),
        ("boundary_statistics", params.boundary_statistics.is_some()),
    ] {
        if told {
            problems.push(format!("--params: {key}: of no meaning for GraphCast; leave it out"));
        }
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let folders = match &params.statistics {
        Some(folder) => vec![folder.clone()],
        None => [folder.to_owned(), folder.join("stats"), folder.join("../stats")].to_vec(),
    };
    let statistics = Statistics::open(path, &folders)?;
    let task = Task::read(&mut file, &mut problems)?;
    let (network, resolution) = network(&mut file, &mut problems)?;
    let times = times(&task, params, &mut problems);
    let grid = grid(resolution, &mut problems);
    let channels = channels(&task, &statistics, &mut notes, &mut problems);
    let (Some(network), Some((time_step, input_states)), Some((grid, latitude, longitude)), true) =
        (network, times, grid, problems.is_empty())
    else {
        return Err(ImportError::Problems { path: path.to_owned(), problems });
    };
    let weights = weights(&mut file, &task.rows(input_states))?;
    let graph = create_graph(&network, &latitude, &longitude);

    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    // published names go on after it: "GraphCast_small - ERA5 1979-2015 - resolution 1.0 - …"
    let first = stem.split(" - ").next().unwrap_or_default();
    let first = if first == "params" { "graphcast" } else { first };
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = first.chars().map(plain).take(64).collect();
    let told = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let (description, licence) = (told(file.text("description")?), told(file.text("license")?));
    let manifest = Manifest {
        format: FORMAT,
        model: ModelSection {
            title: params.title.clone().unwrap_or_else(|| format!("{first}, a GraphCast model")),
            arch: "graphcast".to_owned(),
            version: params.version.clone().unwrap_or_else(|| "1".to_owned()),
            licence: params.licence.clone().or(licence).unwrap_or_else(|| "not told by the source".to_owned()),
            origin: params.origin.clone().or(description).unwrap_or_else(|| format!("imported from {stem}.npz")),
            time_step: time_step.to_string(),
            input_states,
            predicts: Predicts::Tendency,
            planet: Planet::Earth,
            inputs_by_name: false,
            name: params.name.clone().unwrap_or(name),
        },
        weights: None,
        arch: toml::Table::try_from(&network)
            .map_err(|error| ImportError::Source { path: path.to_owned(), reason: error.to_string() })?,
        grid,
        boundary: None,
        perturbation: None,
        channels,
        files: Vec::new(),
        parity: None,
    };
    Ok((Draft { manifest, weights, graph: Some(graph), nodes: None }, notes))
}

/// The hyperparameters, and the resolution of the grid in degrees.
fn network(file: &mut Npz, problems: &mut Vec<String>) -> Result<(Option<GraphCastConfig>, f64), ImportError> {
    let mut number = |name: &str, needed: bool| -> Result<Option<f64>, ImportError> {
        let text = file.text(&format!("model_config:{name}"))?;
        let number = text.as_ref().and_then(|text| text.parse::<f64>().ok());
        if number.is_none() && (needed || text.is_some()) {
            problems.push(format!("model_config:{name}: {}; expected a number", text.as_deref().unwrap_or("nothing")));
        }
        Ok(number)
    };
    let mut whole = |name: &str| number(name, true).map(|number| number.map(|number| number as usize));
    let (mesh_size, latent_size) = (whole("mesh_size")?, whole("latent_size")?);
    let (gnn_msg_steps, hidden_layers) = (whole("gnn_msg_steps")?, whole("hidden_layers")?);
    let radius = number("radius_query_fraction_edge_length", true)?;
    let factor = number("mesh2grid_edge_normalization_factor", false)?;
    let resolution = number("resolution", true)?.unwrap_or_default();
    let network = || {
        Some(GraphCastConfig {
            mesh_size: mesh_size?,
            latent_size: latent_size?,
            gnn_msg_steps: gnn_msg_steps?,
            hidden_layers: hidden_layers?,
            radius_query_fraction_edge_length: radius?,
            mesh2grid_edge_normalization_factor: factor,
            graph: GRAPH.to_owned(),
        })
    };
    let network = network();
    if let Some(network) = &network {
        // before a mesh of it is made
        let mut found = Default::default();
        network.validate(&mut found);
        problems
            .extend(found.iter().map(|problem| problem.to_string().replace("model.toml: [arch] ", "model_config:")));
    }
    Ok((network, resolution))
}

/// Time step and number of input states.
fn times(task: &Task, params: &Params, problems: &mut Vec<String>) -> Option<(LeadTime, usize)> {
    let text = params.time_step.as_deref().unwrap_or(TIME_STEP);
    let step = text.parse::<LeadTime>().ok().filter(|step| *step > LeadTime::ZERO);
    if step.is_none() {
        problems.push(format!("--params: time_step {text:?}; expected a time such as \"6h\""));
    }
    let duration = task.input_duration.parse::<LeadTime>().ok();
    let states = duration.zip(step).filter(|(duration, step)| duration.seconds() % step.seconds() == 0);
    let states = states.map(|(duration, step)| duration.seconds() / step.seconds()).filter(|n| (1..=8).contains(n));
    if states.is_none() {
        let found = &task.input_duration;
        problems.push(format!("task_config:input_duration: {found:?}; expected 1 to 8 times the time step, {text}"));
    }
    Some((step?, states? as usize))
}

/// Parallels from pole to pole and meridians from Greenwich, `resolution` degrees apart; and their degrees.
fn grid(resolution: f64, problems: &mut Vec<String>) -> Option<(GridSection, Vec<f64>, Vec<f64>)> {
    let intervals = (180.0 / resolution).round();
    if !(1.0..=1e4).contains(&intervals) || (intervals * resolution - 180.0).abs() > 1e-6 {
        problems.push(format!("model_config:resolution: {resolution}°; expected a part of 180°"));
        return None;
    }
    let step = 180.0 / intervals;
    let (rows, columns) = (intervals as usize + 1, 2 * intervals as usize);
    let axis = |first: f64, step: f64, count: usize| {
        let values = (0..count).map(|n| first + step * n as f64).collect::<Vec<f64>>();
        (AxisSection::Spaced { first, step, count }, values)
    };
    let ((latitude, parallels), (longitude, meridians)) = (axis(90.0, -step, rows), axis(0.0, step, columns));
    let mut section = GridSection::from_input(None);
    section.kind = "latlon".to_owned();
    (section.latitude, section.longitude) = (Some(latitude), Some(longitude));
    Some((section, parallels, meridians))
}

fn channels(
    task: &Task,
    statistics: &Statistics,
    notes: &mut Vec<String>,
    problems: &mut Vec<String>,
) -> Vec<ChannelSection> {
    let mut all = Vec::new();
    let mut add = |quantity: &Quantity, role: Role| {
        let mean = statistics.mean.of(quantity, 0.0, notes, problems);
        let std = statistics.std.of(quantity, 1.0, notes, problems);
        let diff_std = (role == Role::Prognostic).then(|| statistics.diff_std.of(quantity, 1.0, notes, problems));
        for (n, level) in quantity.levels.iter().enumerate() {
            let diff_std = diff_std.as_ref().map(|diff_std| diff_std[n]);
            all.push(channel(quantity, LevelSection::from(*level), role, (mean[n], std[n], diff_std)));
        }
    };
    for target in &task.targets {
        add(target, if task.is_input(target) { Role::Prognostic } else { Role::Diagnostic });
    }
    task.forcings.iter().for_each(|forcing| add(forcing, Role::Forcing));
    task.statics.iter().for_each(|quantity| add(quantity, Role::Static));
    all
}

fn channel(
    quantity: &Quantity,
    level: LevelSection,
    role: Role,
    (mean, std, diff_std): (f64, f64, Option<f64>),
) -> ChannelSection {
    let section = |name: &str, standard_name: &str, long_name: Option<&str>, units: &str| ChannelSection {
        name: name.to_owned(),
        standard_name: standard_name.to_owned(),
        long_name: long_name.map(str::to_owned),
        units: units.to_owned(),
        level,
        role,
        mean,
        std,
        diff_mean: None,
        diff_std,
        plausible: None,
        clamp: None,
        formula: None,
    };
    match &quantity.kind {
        Kind::Computed(formula) => {
            let units = if quantity.name.contains("radiation") { "J m-2" } else { "1" };
            ChannelSection { formula: Some(*formula), ..section(&quantity.name, "", None, units) }
        }
        Kind::Known(known, units) => {
            let (scale, offset) = conversion(units, known.units).map_or((1.0, 0.0), |to| (to.scale, to.offset));
            let (mean, std) = (mean * scale + offset, std * scale);
            // what the Earth can show, and what the training data came near
            let plausible = (known.plausible.0.min(mean - FAR * std), known.plausible.1.max(mean + FAR * std));
            ChannelSection {
                mean,
                std,
                diff_std: diff_std.map(|diff_std| diff_std * scale),
                plausible: Some(plausible),
                ..section(known.name, known.standard_name, Some(known.long_name), known.units)
            }
        }
    }
}

/// The parameters by the names that packages have, inputs in our order. What nothing depends on is left out.
fn weights(file: &mut Npz, rows: &[usize]) -> Result<HashMap<String, Tensor>, ImportError> {
    const NOT_USED: &str = "mesh2grid_gnn.processor_nodes_0_mesh_nodes";
    const GRID_INPUTS: &str = "grid2mesh_gnn.encoder_nodes_grid_nodes_mlp.linear_0.w";
    const MESH_INPUTS: &str = "grid2mesh_gnn.encoder_nodes_mesh_nodes_mlp.linear_0.w";
    /// Features of a place come last.
    const PLACE: usize = 3;
    let mut weights = HashMap::new();
    for name in file.names("params:") {
        // grid2mesh_gnn/~_networks_builder/encoder_edges_grid2mesh_mlp/~/linear_0:b
        let key = name.replace("/~_networks_builder/", ".").replace("/~/", ".").replace(':', ".");
        if key.starts_with(NOT_USED) {
            continue;
        }
        let full = format!("params:{name}");
        let numbers = file.floats(&full)?;
        let count = numbers.shape.first().copied().unwrap_or_default();
        let numbers = match key.as_str() {
            GRID_INPUTS if count == rows.len() + PLACE => {
                let all: Vec<usize> = rows.iter().copied().chain(rows.len()..count).collect();
                select(&numbers, &all)
            }
            // the reference tells mesh nodes of zeros where it tells the grid's points of the atmosphere
            MESH_INPUTS if count > PLACE => select(&numbers, &(count - PLACE..count).collect::<Vec<_>>()),
            _ => numbers,
        };
        let values: Vec<f32> = numbers.values.iter().map(|&value| value as f32).collect();
        let tensor = Tensor::from_vec(values, numbers.shape, &Device::Cpu)
            .map_err(|error| ImportError::Source { path: PathBuf::from(&full), reason: error.to_string() })?;
        weights.insert(key, tensor);
    }
    Ok(weights)
}

/// These rows of a matrix.
fn select(matrix: &Numbers, rows: &[usize]) -> Numbers {
    let columns: usize = matrix.shape[1..].iter().product();
    let values = rows.iter().flat_map(|row| &matrix.values[row * columns..][..columns]).copied().collect();
    let shape = [&[rows.len()], &matrix.shape[1..]].concat();
    Numbers { shape, values }
}
