//! `--params FILE.toml`: what a source does not carry.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::ImportError;

/// All keys are optional. Paths are relative to the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    pub name: Option<String>,
    pub title: Option<String>,
    pub version: Option<String>,
    pub licence: Option<String>,
    pub origin: Option<String>,
    /// Width of the frame where the boundary's data decide, in points.
    pub n_boundary_points: Option<usize>,
    /// Time between two states, such as "3h".
    pub time_step: Option<String>,
    /// Folder with the graph's `.pt` files; without it the graph is made from the grid's positions.
    pub graph: Option<PathBuf>,
    /// Levels of a flat mesh to make, where the graph was made with fewer than the grid allows.
    pub mesh_levels: Option<usize>,
    /// What the winds are relative to.
    pub winds: Option<Winds>,
    /// `config.yaml`, where the source is a bare checkpoint.
    pub config: Option<PathBuf>,
    /// Zarr store or NetCDF file with the training's statistics.
    pub statistics: Option<PathBuf>,
    /// `*.datastore.yaml` of what drives the boundary, where the source does not carry it.
    pub boundary_datastore: Option<PathBuf>,
    /// Zarr store or NetCDF file with its statistics; with the coordinates of its points, if the graph does not tell them.
    pub boundary_statistics: Option<PathBuf>,
}

/// What u and v are components along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Winds {
    /// The axes of the grid.
    #[default]
    Grid,
    /// East and north.
    True,
}

impl Params {
    pub fn read(path: &Path) -> Result<Self, ImportError> {
        let wrong = |reason: String| ImportError::Source { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut params: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let paths = [
            &mut params.graph,
            &mut params.config,
            &mut params.statistics,
            &mut params.boundary_datastore,
            &mut params.boundary_statistics,
        ];
        paths.into_iter().flatten().for_each(|path| *path = folder.join(&path));
        Ok(params)
    }
}
