//! A package on its way to disk.

use std::collections::HashMap;
use std::path::Path;

use candle_core::Tensor;

use super::ImportError;
use crate::model::layers::graph::Graph;
use crate::model::manifest::{ExtraFileSection, FileSection};
use crate::model::{BoundaryNodes, MANIFEST_FILE, Manifest, ModelPackage, sha256_of};

const WEIGHTS: &str = "weights.safetensors";
pub const GRAPH: &str = "graph.safetensors";

/// A package that is not written yet. The manifest's digests are filled in as its files are.
#[derive(Debug)]
pub struct Draft {
    pub manifest: Manifest,
    pub weights: HashMap<String, Tensor>,
    pub graph: Option<Graph>,
    /// Where the nodes of a graph with a boundary lie, and the file's name.
    pub nodes: Option<(&'static str, BoundaryNodes)>,
}

impl Draft {
    /// Writes the package beside `output`, checks it as any package is checked, and moves it there: what is at `output`
    /// is always whole.
    pub fn write(mut self, output: &Path) -> Result<ModelPackage, ImportError> {
        let failed = |reason: String| ImportError::Write { path: output.to_owned(), reason };
        let parent = match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(parent).map_err(|error| failed(error.to_string()))?;
        let folder = tempfile::Builder::new()
            .prefix(".vejr-import-")
            .tempdir_in(parent)
            .map_err(|error| failed(error.to_string()))?;
        let path = folder.path();
        let digest = |name: &str| sha256_of(&path.join(name)).map_err(|error| failed(format!("{name}: {error}")));
        candle_core::safetensors::save(&self.weights, path.join(WEIGHTS)).map_err(|error| failed(error.to_string()))?;
        self.manifest.weights = Some(FileSection { file: WEIGHTS.to_owned(), sha256: digest(WEIGHTS)? });
        let mut file = |name: &str, role: &str, written: candle_core::Result<()>| -> Result<(), ImportError> {
            written.map_err(|error| failed(error.to_string()))?;
            let (name, role, sha256) = (name.to_owned(), role.to_owned(), digest(name)?);
            self.manifest.files.push(ExtraFileSection { name, role, sha256 });
            Ok(())
        };
        if let Some(graph) = &self.graph {
            file(GRAPH, "graph", graph.write(&path.join(GRAPH)))?;
        }
        if let Some((name, nodes)) = &self.nodes {
            file(name, "nodes", nodes.write(&path.join(name)))?;
        }
        let text = toml::to_string(&self.manifest).map_err(|error| failed(error.to_string()))?;
        std::fs::write(path.join(MANIFEST_FILE), text).map_err(|error| failed(error.to_string()))?;
        ModelPackage::open(path)?;
        // temporary folders are their owner's alone; a package is for everybody who may use the machine
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
                .map_err(|error| failed(error.to_string()))?;
        }
        let path = folder.keep();
        std::fs::rename(&path, output).map_err(|error| {
            let _ = std::fs::remove_dir_all(&path);
            failed(error.to_string())
        })?;
        Ok(ModelPackage::open(output)?)
    }
}
