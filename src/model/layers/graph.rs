//! The graph: the grid's points, a mesh on one or several levels, and the edges between them.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Error, Result, Tensor, bail};

use super::halo::Halo;

/// Rows of features, `[rows, width]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    pub width: usize,
    pub values: Vec<f32>,
}

impl Features {
    pub fn new<const N: usize>(rows: Vec<[f32; N]>) -> Self {
        Self { width: N, values: rows.into_flattened() }
    }

    pub fn rows(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    pub fn tensor(&self, device: &Device) -> Result<Tensor> {
        Tensor::from_slice(&self.values, (self.rows(), self.width), device)
    }
}

/// Edges from one set of nodes to another.
#[derive(Debug, Clone, Default)]
pub struct Edges {
    pub senders: Vec<u32>,
    pub receivers: Vec<u32>,
    /// First the length; then what tells the direction.
    pub features: Features,
    /// Senders that other devices hold, in a part of a graph.
    pub halo: Option<Halo>,
}

impl Edges {
    /// Of one device.
    pub fn new(senders: Vec<u32>, receivers: Vec<u32>, features: Features) -> Self {
        Self { senders, receivers, features, halo: None }
    }
}

/// A graph as it is made or read. Each set of nodes has indices of its own.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Points that are forecast; those of a boundary, if they are nodes, come after them.
    pub grid_nodes: usize,
    pub boundary_nodes: usize,
    /// Features of the mesh nodes by level, the finest first: positions.
    pub mesh: Vec<Features>,
    pub grid_to_mesh: Edges,
    pub mesh_to_grid: Edges,
    /// By level; one set that holds all levels where the mesh is flat.
    pub mesh_to_mesh: Vec<Edges>,
    /// From level l to l + 1.
    pub mesh_up: Vec<Edges>,
    /// From level l + 1 to l.
    pub mesh_down: Vec<Edges>,
}

impl Graph {
    /// Divides the positions of the mesh nodes by `span`.
    pub fn with_positions_over(mut self, span: f64) -> Self {
        if span != 0.0 {
            self.mesh.iter_mut().flat_map(|nodes| &mut nodes.values).for_each(|value| *value /= span as f32);
        }
        self
    }

    /// Divides the features of all edges by the length of the longest edge within the mesh.
    pub fn with_edges_over_longest(mut self) -> Self {
        let lengths = |edges: &Edges| {
            edges.features.values.iter().step_by(edges.features.width.max(1)).copied().fold(0f32, f32::max)
        };
        let longest = self.mesh_to_mesh.iter().map(lengths).fold(0f32, f32::max);
        let sets = [&mut self.grid_to_mesh, &mut self.mesh_to_grid].into_iter();
        let sets = sets.chain(&mut self.mesh_to_mesh).chain(&mut self.mesh_up).chain(&mut self.mesh_down);
        sets.flat_map(|edges| &mut edges.features.values).for_each(|value| *value /= longest);
        self
    }

    /// The sets of edges by their names in a file.
    fn sets(&self) -> Vec<(String, &Edges)> {
        let mut all = vec![("g2m".to_owned(), &self.grid_to_mesh), ("m2g".to_owned(), &self.mesh_to_grid)];
        for (name, sets) in [("m2m", &self.mesh_to_mesh), ("up", &self.mesh_up), ("down", &self.mesh_down)] {
            all.extend(sets.iter().enumerate().map(|(level, edges)| (format!("{name}.{level}"), edges)));
        }
        all
    }

    /// Every index is that of a node, there is one set of everything for each level, and features are as wide as the
    /// network takes them (of a node, of an edge).
    pub fn check(&self, levels: usize, (node_width, edge_width): (usize, usize)) -> Result<()> {
        let between = levels.saturating_sub(1);
        let found = (self.mesh.len(), self.mesh_to_mesh.len(), self.mesh_up.len(), self.mesh_down.len());
        if found != (levels, levels, between, between) {
            bail!(
                "the graph has {} mesh level(s) with {found:?} sets of edges; the network has {levels}",
                self.mesh.len()
            );
        }
        let mesh = |level: usize| self.mesh[level].rows();
        let grid = self.grid_nodes + self.boundary_nodes;
        if let Some(found) = self.mesh.iter().find(|nodes| nodes.width != node_width) {
            bail!("mesh nodes have {} features; the network takes {node_width}", found.width);
        }
        let values = |features: &Features| features.values.iter().all(|value| value.is_finite());
        if !self.mesh.iter().all(values) {
            bail!("mesh nodes with features that are not finite");
        }
        let ends = |name: &str| match name.split_once('.') {
            Some(("m2m", level)) => level.parse().map(|level: usize| (mesh(level), mesh(level))),
            Some(("up", level)) => level.parse().map(|level: usize| (mesh(level), mesh(level + 1))),
            Some((_, level)) => level.parse().map(|level: usize| (mesh(level + 1), mesh(level))),
            None if name == "g2m" => Ok((grid, mesh(0))),
            None => Ok((mesh(0), self.grid_nodes)),
        };
        for (name, edges) in self.sets() {
            let (senders, receivers) = ends(&name).map_err(|_| Error::Msg(format!("edges called {name}")))?;
            let all = edges.senders.len();
            if edges.receivers.len() != all || edges.features.values.len() != all * edge_width {
                bail!(
                    "{name}: {all} senders, {} receivers, features [{}, {}]; expected {edge_width} features for each edge",
                    edges.receivers.len(),
                    edges.features.rows(),
                    edges.features.width
                );
            }
            let beyond = |indices: &[u32], nodes: usize| indices.iter().copied().find(|&index| index as usize >= nodes);
            let senders = senders + edges.halo.as_ref().map_or(0, Halo::len);
            if let Some(index) = beyond(&edges.senders, senders) {
                bail!("{name}: an edge from node {index} of {senders}");
            }
            if let Some(index) = beyond(&edges.receivers, receivers) {
                bail!("{name}: an edge to node {index} of {receivers}");
            }
            if !values(&edges.features) {
                bail!("{name}: features that are not finite");
            }
        }
        Ok(())
    }

    /// Writes a safetensors file: `mesh.L` `[M, features]`, and of each set of edges `SET.index` `[2, E]` and
    /// `SET.features` `[E, features]`, where `SET` is `g2m`, `m2g`, `m2m.L`, `up.L` or `down.L`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let device = Device::Cpu;
        let mut tensors = HashMap::new();
        for (level, nodes) in self.mesh.iter().enumerate() {
            tensors.insert(format!("mesh.{level}"), nodes.tensor(&device)?);
        }
        for (name, edges) in self.sets() {
            let index = [edges.senders.as_slice(), &edges.receivers].concat();
            tensors.insert(format!("{name}.index"), Tensor::from_vec(index, (2, edges.senders.len()), &device)?);
            tensors.insert(format!("{name}.features"), edges.features.tensor(&device)?);
        }
        let nodes = [self.grid_nodes as u32, self.boundary_nodes as u32];
        tensors.insert("grid_nodes".to_owned(), Tensor::new(&nodes, &device)?);
        candle_core::safetensors::save(&tensors, path)
    }

    /// Reads what [`Self::write`] wrote, for a mesh of `levels` levels. Whether it is sound, [`Self::check`] says.
    pub fn read(path: &Path, levels: usize) -> Result<Self> {
        let tensors = candle_core::safetensors::load(path, &Device::Cpu)?;
        let get = |name: &str, dtype: DType| {
            let tensor = tensors.get(name).filter(|tensor| tensor.dtype() == dtype);
            tensor.ok_or_else(|| Error::Msg(format!("{}: no tensor {name} of type {dtype:?}", path.display())))
        };
        let features = |name: &str| -> Result<Features> {
            let tensor = get(name, DType::F32)?;
            Ok(Features { width: tensor.dims2()?.1, values: tensor.flatten_all()?.to_vec1()? })
        };
        let edges = |name: &str| -> Result<Edges> {
            let index = get(&format!("{name}.index"), DType::U32)?.to_vec2::<u32>()?;
            let Ok([senders, receivers]) = <[Vec<u32>; 2]>::try_from(index) else {
                bail!("{}: {name}.index is not senders and receivers", path.display())
            };
            Ok(Edges::new(senders, receivers, features(&format!("{name}.features"))?))
        };
        let many = |name: &str, count: usize| (0..count).map(|l| edges(&format!("{name}.{l}"))).collect::<Result<_>>();
        let nodes = get("grid_nodes", DType::U32)?.to_vec1::<u32>()?;
        let [grid_nodes, boundary_nodes] = nodes[..] else { bail!("{}: grid_nodes {nodes:?}", path.display()) };
        Ok(Self {
            grid_nodes: grid_nodes as usize,
            boundary_nodes: boundary_nodes as usize,
            mesh: (0..levels).map(|l| features(&format!("mesh.{l}"))).collect::<Result<_>>()?,
            grid_to_mesh: edges("g2m")?,
            mesh_to_grid: edges("m2g")?,
            mesh_to_mesh: many("m2m", levels)?,
            mesh_up: many("up", levels - 1)?,
            mesh_down: many("down", levels - 1)?,
        })
    }
}
