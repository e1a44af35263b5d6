//! A model package, opened and validated.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use sha2::{Digest, Sha256};

use super::arch::{self, GraphCast, Sfno};
use super::global_step::{GlobalPart, GlobalStep};
use super::layers::graph::Graph;
use super::limited_area::{self, Boundary, LimitedAreaPart, LimitedAreaStep};
use super::manifest::{BoundaryForm, is_object_name};
use super::sharded::LoadPart;
use super::{
    BoundaryNodes, BoundaryWindow, ChannelLayout, Channels, Frame, Manifest, ModelGrid, NetworkStep, Normalizer,
    PackageError, Persistence, Perturbation, ProblemList, ShardedStep, StepModel, Surroundings,
};
use crate::atmos::{Grid, LeadTime};
use crate::device::{DeviceGroup, map_weights};

/// The manifest's file name.
pub const MANIFEST_FILE: &str = "model.toml";
/// A manifest is a page or two; a map of N320 coordinates would lie beside it.
const LONGEST_MANIFEST: u64 = 16 << 20;

/// A folder that holds a model: everything about it is known to be sound, no tensor is allocated yet.
#[derive(Debug)]
pub struct ModelPackage {
    path: PathBuf,
    manifest: Manifest,
    time_step: LeadTime,
    channels: Channels,
    grid: ModelGrid,
    boundary: Option<BoundaryForm>,
    perturbation: Option<Perturbation>,
    arch: arch::ArchConfig,
    digest: String,
}

impl ModelPackage {
    /// Opens the package in folder `path`, and reports everything that is wrong with it at once.
    pub fn open(path: &Path) -> Result<Self, PackageError> {
        let file = path.join(MANIFEST_FILE);
        let missing = |source| PackageError::Missing { path: path.to_owned(), source };
        let mut text = String::new();
        File::open(&file).map_err(missing)?.take(LONGEST_MANIFEST).read_to_string(&mut text).map_err(missing)?;
        let manifest: Manifest = toml::from_str(&text)
            .map_err(|source| PackageError::Manifest { path: file.clone(), source: Box::new(source) })?;

        let mut problems = ProblemList::default();
        let validated = manifest.validate(&mut problems);
        let shape = validated.as_ref().map(|validated| (&validated.channels, &validated.grid));
        let arch = arch::ArchConfig::parse(&manifest, shape, &mut problems);
        if let Some(arch) = &arch {
            check_weights(path, &manifest, arch, &mut problems);
        }
        check_files(path, &manifest, &mut problems);
        match (validated, arch) {
            (Some(validated), Some(arch)) if problems.is_empty() => Ok(Self {
                path: path.to_owned(),
                digest: hex::encode(Sha256::digest(text.as_bytes())),
                time_step: validated.time_step,
                channels: validated.channels,
                grid: validated.grid,
                boundary: validated.boundary,
                perturbation: validated.perturbation,
                manifest,
                arch,
            }),
            _ => Err(PackageError::Invalid { path: path.to_owned(), problems }),
        }
    }

    /// Loads the network onto a device, or divided onto several, for a run in these surroundings. Weights are mapped into
    /// memory, not copied, where the device allows it.
    pub fn load(&self, devices: &DeviceGroup, surroundings: Surroundings) -> Result<Box<dyn StepModel>, PackageError> {
        self.check_devices(devices, Some(&surroundings.grid))?;
        match devices.single() {
            Some(device) => self.load_whole(device, surroundings),
            None => Ok(Box::new(self.load_divided(devices, surroundings)?)),
        }
    }

    /// Whether its network can be computed on these devices together; on `grid`, where it is known.
    pub fn check_devices(&self, devices: &DeviceGroup, grid: Option<&Grid>) -> Result<(), PackageError> {
        if devices.len() == 1 {
            return Ok(());
        }
        let undivided = |reason| PackageError::Undivided { path: self.path.clone(), devices: devices.len(), reason };
        if !matches!(self.arch, arch::ArchConfig::NeuralLam(..) | arch::ArchConfig::GraphCast(..)) {
            return Err(undivided(format!(
                "states of architecture {} are not divided; expected one whose network is a graph (neural-lam, graphcast), \
                 or one device for a state",
                self.manifest.model.arch
            )));
        }
        match grid {
            Some(grid) if grid.cuts() < devices.len() => Err(undivided(format!(
                "its grid has {} rows, and a device takes one at least; take fewer devices",
                grid.cuts()
            ))),
            _ => Ok(()),
        }
    }

    /// Each device holds some rows of the grid, and what of the graph lies there.
    fn load_divided(&self, devices: &DeviceGroup, surroundings: Surroundings) -> Result<ShardedStep, PackageError> {
        let error = |source| PackageError::Load { path: self.path.clone(), source };
        let grid = surroundings.grid.clone();
        let (path, weights) = (self.path.clone(), self.weights_file());
        let failed = move |source| PackageError::Load { path: path.clone(), source };
        let (channels, time_step, input_states) =
            (self.channels.clone(), self.time_step, self.manifest.model.input_states);
        let parts: Vec<(_, _, LoadPart)> = match &self.arch {
            arch::ArchConfig::NeuralLam(config, _) => {
                let graph = config.graph(&self.path, &grid).map_err(error)?;
                let parts = limited_area::divide(&graph, &surroundings, &self.boundary_of(&grid), devices.len());
                let load = |part: LimitedAreaPart| {
                    let LimitedAreaPart { rows, peer, graph, surroundings, boundary } = part;
                    let (config, channels) = (config.clone(), channels.clone());
                    let (failed, weights) = (failed.clone(), weights.clone());
                    let load = move |device: &Device| {
                        let weights = map_weights(&weights, DType::F32, device).map_err(&failed)?;
                        let around = (surroundings, boundary);
                        let step = LimitedAreaStep::load(&config, &graph, weights, &channels, around, time_step);
                        Ok(Box::new(step.map_err(&failed)?) as Box<dyn StepModel>)
                    };
                    (rows, peer, Box::new(load) as LoadPart)
                };
                parts.map_err(error)?.into_iter().map(load).collect()
            }
            arch::ArchConfig::GraphCast(config, widths) => {
                let graph = Graph::read(&self.path.join(&config.graph), 1).map_err(error)?;
                let parts = GlobalPart::divide(&graph, &surroundings, devices.len());
                let load = |part: GlobalPart| {
                    let GlobalPart { rows, peer, graph, surroundings } = part;
                    let (config, widths, channels) = (config.clone(), *widths, channels.clone());
                    let (failed, weights) = (failed.clone(), weights.clone());
                    let load = move |device: &Device| {
                        let weights = map_weights(&weights, DType::F32, device).map_err(&failed)?;
                        let network = GraphCast::load(&config, widths, &graph, &surroundings.grid, weights);
                        let times = (input_states, time_step);
                        let step = network
                            .and_then(|network| GlobalStep::new(network, &channels, surroundings, times, device));
                        Ok(Box::new(step.map_err(&failed)?) as Box<dyn StepModel>)
                    };
                    (rows, peer, Box::new(load) as LoadPart)
                };
                parts.map_err(error)?.into_iter().map(load).collect()
            }
            // checked before
            arch::ArchConfig::Persistence | arch::ArchConfig::Sfno(_) => Vec::new(),
        };
        ShardedStep::load(devices, &grid, parts)
    }

    /// How the boundary's data enter a run on `grid`.
    fn boundary_of(&self, grid: &Grid) -> Boundary {
        match (self.frame(grid), self.boundary_window()) {
            (Some(frame), _) => Boundary::Frame(frame),
            (None, Some(window)) => Boundary::Nodes(window),
            (None, None) => Boundary::None,
        }
    }

    fn load_whole(&self, device: &Device, surroundings: Surroundings) -> Result<Box<dyn StepModel>, PackageError> {
        let error = |source| PackageError::Load { path: self.path.clone(), source };
        let model = &self.manifest.model;
        Ok(match &self.arch {
            arch::ArchConfig::Persistence => Box::new(Persistence::new(self.time_step)),
            arch::ArchConfig::Sfno(config) => {
                let network = Sfno::load(config, self.weights(device)?).map_err(error)?;
                let normalizer = Normalizer::new(self.layout(), device).map_err(error)?;
                Box::new(NetworkStep::new(network, normalizer, model.predicts, model.input_states, self.time_step))
            }
            arch::ArchConfig::NeuralLam(config, _) => {
                let graph = config.graph(&self.path, &surroundings.grid).map_err(error)?;
                let boundary = self.boundary_of(&surroundings.grid);
                let surroundings = (surroundings, boundary);
                let weights = self.weights(device)?;
                let step = LimitedAreaStep::load(config, &graph, weights, &self.channels, surroundings, self.time_step);
                Box::new(step.map_err(error)?)
            }
            arch::ArchConfig::GraphCast(config, widths) => {
                let graph = Graph::read(&self.path.join(&config.graph), 1).map_err(error)?;
                let weights = self.weights(device)?;
                let network = GraphCast::load(config, *widths, &graph, &surroundings.grid, weights).map_err(error)?;
                let times = (model.input_states, self.time_step);
                let step = GlobalStep::new(network, &self.channels, surroundings, times, device);
                Box::new(step.map_err(error)?)
            }
        })
    }

    fn weights(&self, device: &Device) -> Result<VarBuilder<'static>, PackageError> {
        let error = |source| PackageError::Load { path: self.path.clone(), source };
        map_weights(&self.weights_file(), DType::F32, device).map_err(error)
    }

    fn weights_file(&self) -> PathBuf {
        self.path.join(self.manifest.weights.as_ref().map_or("", |weights| &weights.file))
    }

    /// The bare network of an architecture that is one function of one tensor; `None` for others.
    pub(super) fn load_network(&self, device: &Device) -> Result<Option<Sfno>, PackageError> {
        let error = |source| PackageError::Load { path: self.path.clone(), source };
        match &self.arch {
            arch::ArchConfig::Sfno(config) => Sfno::load(config, self.weights(device)?).map(Some).map_err(error),
            _ => Ok(None),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn name(&self) -> &str {
        &self.manifest.model.name
    }

    /// SHA-256 of the manifest, which holds the digest of every other file: it stands for the whole package.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub fn time_step(&self) -> LeadTime {
        self.time_step
    }

    /// Number of states, one time step apart, that a step needs.
    pub fn input_states(&self) -> usize {
        self.manifest.model.input_states
    }

    /// The channels of its states.
    pub fn layout(&self) -> &Arc<ChannelLayout> {
        &self.channels.state
    }

    /// All channels, by what they are for.
    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    pub fn grid(&self) -> &ModelGrid {
        &self.grid
    }

    /// How the members of an ensemble start apart; `None` where the package does not say.
    pub fn perturbation(&self) -> Option<&Perturbation> {
        self.perturbation.as_ref()
    }

    /// Steps before and after its target time of which a step takes forcings.
    pub fn forcing_window(&self) -> (i64, i64) {
        match &self.arch {
            arch::ArchConfig::NeuralLam(config, _) => {
                (config.num_past_forcing_steps as i64, config.num_future_forcing_steps as i64)
            }
            // at the times of the input states, and at the target's
            arch::ArchConfig::GraphCast(..) => (self.manifest.model.input_states as i64, 0),
            arch::ArchConfig::Persistence | arch::ArchConfig::Sfno(_) => (0, 0),
        }
    }

    /// The points of `grid` where the boundary's data decide; none for a model without such a frame.
    pub fn frame(&self, grid: &Grid) -> Option<Frame> {
        match self.boundary {
            Some(BoundaryForm::Frame { width }) => Some(Frame::new(grid.shape(), width)),
            _ => None,
        }
    }

    /// Where the nodes of the boundary lie; none for a model whose boundary has none.
    pub fn boundary_nodes(&self) -> Result<Option<Arc<BoundaryNodes>>, PackageError> {
        let Some(BoundaryForm::Nodes { file, .. }) = &self.boundary else { return Ok(None) };
        let error = |source| PackageError::Load { path: self.path.clone(), source };
        BoundaryNodes::read(&self.path.join(file)).map(|nodes| Some(Arc::new(nodes))).map_err(error)
    }

    /// The times of the boundary's data of which a step is told; none for a model whose boundary has no nodes.
    pub fn boundary_window(&self) -> Option<BoundaryWindow> {
        match (&self.boundary, &self.arch) {
            (Some(BoundaryForm::Nodes { times, .. }), arch::ArchConfig::NeuralLam(config, _)) => {
                Some(BoundaryWindow::new(*times, config.boundary.as_ref()?, self.time_step))
            }
            _ => None,
        }
    }

    /// Whether a forecast must be told on its way what happens: at the edges of its area, or as forcings that are read.
    pub fn needs_boundary(&self) -> bool {
        self.boundary.is_some() || self.channels().forcings.iter().any(|channel| channel.formula.is_none())
    }

    /// Trainable numbers, counted from the header of the weights.
    pub fn parameters(&self) -> usize {
        self.arch.weight_shapes().values().map(|shape| shape.iter().product::<usize>()).sum()
    }

    /// The file with this role (`climatology`), where the package has one.
    pub fn file(&self, role: &str) -> Option<PathBuf> {
        self.manifest.files.iter().find(|file| file.role == role).map(|file| self.path.join(&file.name))
    }
}

/// Every further file is there and has the digest that the manifest says.
fn check_files(path: &Path, manifest: &Manifest, problems: &mut ProblemList) {
    let weights = manifest.weights.iter().map(|file| ("[weights]", &file.file, &file.sha256));
    let files = manifest.files.iter().map(|file| ("[[file]]", &file.name, &file.sha256));
    let parity = manifest.parity.iter().map(|file| ("[parity]", &file.file, &file.sha256));
    for (section, name, sha256) in weights.chain(files).chain(parity) {
        let place = format!("model.toml: {section} {name}");
        if !is_object_name(name) {
            problems.add(place, format!("{name:?}"), "a file name without folders, beside model.toml");
            continue;
        }
        match sha256_of(&path.join(name)) {
            Ok(found) if found.eq_ignore_ascii_case(sha256) => {}
            Ok(found) => problems.add(
                place,
                format!("a file with sha256 {found}"),
                format!("{sha256}: fetch or make the file again, or correct the manifest if the change is meant"),
            ),
            Err(error) => problems.add(place, format!("no readable file ({error})"), "the file beside model.toml"),
        }
    }
}

/// The weights' names and shapes are those of the architecture: none missing, none left over.
fn check_weights(path: &Path, manifest: &Manifest, arch: &arch::ArchConfig, problems: &mut ProblemList) {
    let expected = arch.weight_shapes();
    let Some(weights) = &manifest.weights else {
        if !expected.is_empty() {
            problems.add(
                "model.toml: [weights]",
                "nothing",
                format!("the weights of architecture {}", manifest.model.arch),
            );
        }
        return;
    };
    if expected.is_empty() {
        problems.add(
            "model.toml: [weights]",
            format!("{:?}", weights.file),
            format!("none: architecture {} has no weights", manifest.model.arch),
        );
        return;
    }
    if !is_object_name(&weights.file) {
        return; // named with the other files
    }
    let found = match weight_shapes(&path.join(&weights.file)) {
        Ok(found) => found,
        Err(WeightsError::Unreadable) => return, // likewise
        Err(WeightsError::Format(reason)) => {
            problems.add(&weights.file, reason, "a safetensors file");
            return;
        }
    };
    for (key, shape) in &expected {
        match found.get(key) {
            None => problems.add(&weights.file, format!("no tensor {key}"), format!("shape {shape:?}")),
            Some((dtype, _)) if *dtype != safetensors::Dtype::F32 => {
                problems.add(&weights.file, format!("{key} as {dtype:?}"), "F32");
            }
            Some((_, found)) if found != shape => {
                problems.add(
                    &weights.file,
                    format!("{key} with shape {found:?}"),
                    format!("{shape:?}, from the hyperparameters in [arch]"),
                );
            }
            Some(_) => {}
        }
    }
    for key in found.keys().filter(|key| !expected.contains_key(*key)) {
        problems.add(
            &weights.file,
            format!("tensor {key}"),
            "only the tensors that [arch] implies: is an option missing there?",
        );
    }
}

enum WeightsError {
    /// Named when its digest is taken.
    Unreadable,
    Format(String),
}

/// Names, types and shapes, from the header alone.
fn weight_shapes(path: &Path) -> Result<BTreeMap<String, (safetensors::Dtype, Vec<usize>)>, WeightsError> {
    /// safetensors' own limit for the header.
    const LONGEST_HEADER: u64 = 100_000_000;
    let mut file = File::open(path).map_err(|_| WeightsError::Unreadable)?;
    let size = file.metadata().map_err(|_| WeightsError::Unreadable)?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| WeightsError::Format(format!("{size} bytes")))?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER || length > size.saturating_sub(8) {
        return Err(WeightsError::Format(format!("a header of {length} bytes in a file of {size}")));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(|_| WeightsError::Unreadable)?;
    let metadata: safetensors::tensor::Metadata = serde_json::from_slice(&header)
        .map_err(|error| WeightsError::Format(format!("a header that is not valid: {error}")))?;
    if metadata.data_len() as u64 != size - 8 - length {
        return Err(WeightsError::Format(format!(
            "{} bytes of data where the header tells of {}",
            size - 8 - length,
            metadata.data_len()
        )));
    }
    Ok(metadata.tensors().into_iter().map(|(key, info)| (key, (info.dtype, info.shape.clone()))).collect())
}

/// Lower-case hexadecimal SHA-256 of a file.
pub fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            n => hasher.update(&piece[..n]),
        }
    }
}
