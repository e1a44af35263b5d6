//! A folder of graph tensors (`*.pt`) as `create_graph` and `weather-model-graphs` write it.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::atmos::Grid;
use crate::import::ImportError;
use crate::import::write::GRAPH;
use crate::model::BoundaryNodes;
use crate::model::arch::neural_lam::GraphSection;
use crate::model::checkpoint::{Checkpoint, Value};
use crate::model::layers::graph::{Edges, Features, Graph};

/// The format of today.
const SPEC_VERSION: &str = "0.1.0";

#[derive(Deserialize)]
struct MetaInfo {
    spec_version: String,
}

/// A graph, and what was done to its features before it was written.
#[derive(Debug)]
pub struct GraphFolder {
    pub graph: Graph,
    pub positions_normalised: bool,
    pub edges_normalised: bool,
    /// Where the grid's nodes lie, those of the boundary among them, where it is told.
    pub nodes: Option<BoundaryNodes>,
}

impl GraphFolder {
    /// What a package says of it.
    pub fn section(&self) -> GraphSection {
        GraphSection {
            file: Some(GRAPH.to_owned()),
            levels: None,
            positions_normalised: self.positions_normalised,
            edges_normalised: self.edges_normalised,
        }
    }
}

/// Reads a folder of either dialect: the research branch calls the mesh's positions by another name, and its triangular
/// meshes are on the sphere and scaled already.
pub fn read(folder: &Path) -> Result<GraphFolder, ImportError> {
    let wrong = |reason: String| ImportError::Source { path: folder.to_owned(), reason };
    let files = Files(folder);
    let research = folder.join("m2m_node_features.pt").exists();
    let triangular = folder.join("mesh_lat_lon.pt").exists();
    let told = match std::fs::read_to_string(folder.join("metainfo.yaml")) {
        Ok(text) => {
            let info: MetaInfo =
                serde_saphyr::from_str(&text).map_err(|error| wrong(format!("metainfo.yaml: {error}")))?;
            if info.spec_version != SPEC_VERSION {
                let found = info.spec_version;
                return Err(wrong(format!("metainfo.yaml: spec_version {found:?}; expected {SPEC_VERSION:?}")));
            }
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(wrong(format!("metainfo.yaml: {error}"))),
    };
    let mesh = files.tensors(if research { "m2m_node_features.pt" } else { "mesh_features.pt" })?;
    let within = files.edges("m2m", true)?;
    let hierarchical = within.len() > 1;
    let between = |name: &str| if hierarchical { files.edges(name, true) } else { Ok(Vec::new()) };
    let one = |name: &str| -> Result<Edges, ImportError> { Ok(files.edges(name, false)?.swap_remove(0)) };
    let mut graph = Graph {
        grid_nodes: 0,
        boundary_nodes: 0,
        mesh,
        grid_to_mesh: one("g2m")?,
        mesh_to_grid: one("m2g")?,
        mesh_to_mesh: within,
        mesh_up: between("mesh_up")?,
        mesh_down: between("mesh_down")?,
    };
    if !told && !triangular {
        count_from_zero(&mut graph)
            .ok_or_else(|| wrong("indices that cannot be those of an older graph".to_owned()))?;
    }
    let nodes = |indices: &[u32]| 1 + indices.iter().max().map_or(0, |&last| last as usize);
    graph.grid_nodes = nodes(&graph.mesh_to_grid.receivers);
    graph.boundary_nodes = nodes(&graph.grid_to_mesh.senders).saturating_sub(graph.grid_nodes);
    let widths = (graph.mesh[0].width, graph.grid_to_mesh.features.width);
    graph.check(graph.mesh.len(), widths).map_err(|error| wrong(error.to_string()))?;
    let nodes = files.nodes(graph.grid_nodes)?;
    Ok(GraphFolder { graph, positions_normalised: !told && !research, edges_normalised: triangular, nodes })
}

/// Older graphs number the nodes of all sets together.
fn count_from_zero(graph: &mut Graph) -> Option<()> {
    let least = |indices: &[u32]| indices.iter().copied().min();
    let shift = |indices: &mut Vec<u32>, by: u32| -> Option<()> {
        indices.iter_mut().try_for_each(|index| {
            *index = index.checked_sub(by)?;
            Some(())
        })
    };
    let meshes = [&mut graph.mesh_to_mesh, &mut graph.mesh_up, &mut graph.mesh_down];
    for edges in meshes.into_iter().flatten() {
        for indices in [&mut edges.senders, &mut edges.receivers] {
            let first = least(indices)?;
            shift(indices, first)?;
        }
    }
    let (g2m, m2g) = (&mut graph.grid_to_mesh, &mut graph.mesh_to_grid);
    if least(&m2g.senders)? < least(&m2g.receivers)? {
        // the mesh comes first
        let mesh = graph.mesh.iter().map(|level| level.rows() as u32).sum();
        shift(&mut g2m.senders, mesh)?;
        shift(&mut m2g.receivers, mesh)
    } else {
        let grid = g2m.senders.iter().copied().max()?.checked_add(1)?;
        shift(&mut g2m.receivers, grid)?;
        let grid = m2g.receivers.iter().copied().max()?.checked_add(1)?;
        shift(&mut m2g.senders, grid)
    }
}

struct Files<'a>(&'a Path);

impl Files<'_> {
    fn open(&self, name: &str) -> Result<Checkpoint, ImportError> {
        let path = self.0.join(name);
        Checkpoint::open(&path).map_err(|source| ImportError::Checkpoint { path, source })
    }

    fn wrong(&self, name: &str, reason: String) -> ImportError {
        ImportError::Source { path: self.0.join(name), reason }
    }

    /// A list of tensors, or one tensor, as float32 `[rows, features]`; never none.
    fn tensors(&self, name: &str) -> Result<Vec<Features>, ImportError> {
        let checkpoint = self.open(name)?;
        let tensor = |value: Value<'_>| {
            let info =
                value.tensor().ok_or_else(|| self.wrong(name, format!("{}; expected a tensor", value.kind_name())))?;
            let [_, width] = info.shape[..] else {
                return Err(self.wrong(name, format!("shape {:?}; expected [nodes or edges, features]", info.shape)));
            };
            let values = checkpoint
                .read_f32(&info)
                .map_err(|source| ImportError::Checkpoint { path: self.0.join(name), source })?;
            Ok(Features { width, values })
        };
        let root = checkpoint.root();
        let tensors: Vec<Features> = if root.tensor().is_some() {
            vec![tensor(root)?]
        } else {
            root.items().map(tensor).collect::<Result<_, _>>()?
        };
        if tensors.is_empty() {
            return Err(self.wrong(name, format!("{} without tensors; expected one at least", root.kind_name())));
        }
        Ok(tensors)
    }

    /// `grid_lat_lon.pt`: longitude and latitude of the points that are forecast, then of the boundary's.
    fn nodes(&self, grid_nodes: usize) -> Result<Option<BoundaryNodes>, ImportError> {
        const NAME: &str = "grid_lat_lon.pt";
        if !self.0.join(NAME).exists() {
            return Ok(None);
        }
        let places = self.tensors(NAME)?.swap_remove(0);
        if places.width != 2 || places.rows() < grid_nodes {
            let found = format!("[{}, {}]", places.rows(), places.width);
            return Err(
                self.wrong(NAME, format!("{found}; expected longitude and latitude of {grid_nodes} nodes and more"))
            );
        }
        if places.rows() == grid_nodes {
            return Ok(None);
        }
        let grid = |places: &[f32]| {
            let place = |place: &[f32]| (f64::from(place[1]), f64::from(place[0]));
            let (latitude, longitude) = places.chunks_exact(2).map(place).unzip();
            Grid::points(latitude, longitude).map(Arc::new).map_err(|error| self.wrong(NAME, error.to_string()))
        };
        let (interior, boundary) = places.values.split_at(2 * grid_nodes);
        Ok(Some(BoundaryNodes { boundary: grid(boundary)?, interior: Some(grid(interior)?) }))
    }

    fn indices(&self, name: &str) -> Result<Vec<[Vec<u32>; 2]>, ImportError> {
        let checkpoint = self.open(name)?;
        let tensor = |value: Value<'_>| {
            let info =
                value.tensor().ok_or_else(|| self.wrong(name, format!("{}; expected a tensor", value.kind_name())))?;
            let [2, edges] = info.shape[..] else {
                return Err(self.wrong(name, format!("shape {:?}; expected [2, edges]", info.shape)));
            };
            let values = checkpoint
                .read_i64(&info)
                .map_err(|source| ImportError::Checkpoint { path: self.0.join(name), source })?;
            let index = |&index: &i64| {
                u32::try_from(index).map_err(|_| self.wrong(name, format!("node {index}; expected 0 to {}", u32::MAX)))
            };
            let row = |values: &[i64]| values.iter().map(index).collect::<Result<Vec<u32>, _>>();
            Ok([row(&values[..edges])?, row(&values[edges..])?])
        };
        let root = checkpoint.root();
        if root.tensor().is_some() { Ok(vec![tensor(root)?]) } else { root.items().map(tensor).collect() }
    }

    fn edges(&self, name: &str, many: bool) -> Result<Vec<Edges>, ImportError> {
        let (index_file, features_file) = (format!("{name}_edge_index.pt"), format!("{name}_features.pt"));
        let (indices, features) = (self.indices(&index_file)?, self.tensors(&features_file)?);
        if indices.len() != features.len() || indices.is_empty() || (!many && indices.len() != 1) {
            return Err(self.wrong(
                &index_file,
                format!(
                    "{} sets of edges and {} of features; expected one of each per level",
                    indices.len(),
                    features.len()
                ),
            ));
        }
        let sets = indices.into_iter().zip(features);
        Ok(sets.map(|([senders, receivers], features)| Edges::new(senders, receivers, features)).collect())
    }
}
