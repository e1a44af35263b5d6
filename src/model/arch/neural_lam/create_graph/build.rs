//! A graph from the coordinates of its grid.

use super::kd_tree::KdTree;
use super::mesh::{Extent, Mesh, difference, features, flatten, sides};
use super::{EdgeSet, GraphError};
use crate::model::layers::graph::{Edges, Features, Graph};

/// A grid point sends to the mesh nodes within so many mesh spacings.
const REACH: f64 = 0.67;
/// A grid point receives from so many mesh nodes.
const SOURCES: usize = 4;
/// Coordinates beyond are no metres on Earth; up to here no square overflows.
const LIMIT: f64 = 1e12;
/// An extent that is less, in metres or relative to the coordinates, is rounding.
const RESOLUTION: f64 = 1e-9;
/// Grid points reach one or two mesh nodes; many more where the spacing along y is far less than along x.
const MOST_REACHED: usize = 64;

/// The graph of a grid: `hierarchical` with its levels apart, else flat, all scales between the nodes of the finest.
///
/// `xy` holds the coordinates of the points in the order of `grid_index`, y fastest, `[nx * ny, 2]`, in metres or
/// whatever the projection has, in float64. `levels` cuts mesh levels from the top; more
/// than the grid allows are as many as it allows.
///
/// # Errors
/// Where the points are not those of a grid, or of one too small or too large for a mesh; where a coordinate is not
/// finite; and for 0 levels.
pub fn create_graph(
    xy: &[[f64; 2]],
    shape: (usize, usize),
    hierarchical: bool,
    levels: Option<usize>,
) -> Result<Graph, GraphError> {
    let extent = extent(xy, shape)?;
    let meshes: Vec<_> = sides(shape, levels)?.into_iter().map(|side| Mesh::new(extent, side)).collect();
    let single = |mesh: &Mesh| Features::new(mesh.positions.iter().map(|&[x, y]| [x as f32, y as f32]).collect());
    let edges = |sets: Vec<EdgeSet>| sets.into_iter().map(Edges::from).collect();
    let (mesh, mesh_to_mesh, mesh_up) = if hierarchical {
        let within = meshes.iter().map(Mesh::edges).collect();
        let up = meshes.windows(2).map(|pair| up(&pair[0], &pair[1])).collect();
        (meshes, within, up)
    } else {
        let (mesh, within) = flatten(&meshes);
        (vec![mesh], vec![within], Vec::new())
    };
    let (grid_to_mesh, mesh_to_grid) = between(xy, shape, &mesh[0])?;
    let mesh_down = mesh_up.iter().map(reversed).collect();
    Ok(Graph {
        grid_nodes: xy.len(),
        boundary_nodes: 0,
        mesh: mesh.iter().map(single).collect(),
        mesh_to_mesh: edges(mesh_to_mesh),
        mesh_up: edges(mesh_up),
        mesh_down: edges(mesh_down),
        grid_to_mesh: grid_to_mesh.into(),
        mesh_to_grid: mesh_to_grid.into(),
    })
}

/// Range of x along the first row of points and of y along the first column, as the reference takes them.
fn extent(xy: &[[f64; 2]], (nx, ny): (usize, usize)) -> Result<Extent, GraphError> {
    if nx.checked_mul(ny) != Some(xy.len()) || xy.is_empty() {
        return Err(GraphError::Size { points: xy.len(), nx, ny });
    }
    let usable = |value: &f64| value.abs() <= LIMIT;
    if let Some((node, &[x, y])) = xy.iter().enumerate().find(|(_, point)| !point.iter().all(usable)) {
        return Err(GraphError::Coordinate { node, x, y, limit: LIMIT });
    }
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), v| (least.min(v), greatest.max(v)))
    };
    let x = range(&mut xy.iter().step_by(ny).map(|point| point[0]));
    let y = range(&mut xy.iter().take(ny).map(|point| point[1]));
    for (axis, (least, greatest)) in [('x', x), ('y', y)] {
        if greatest - least <= RESOLUTION * least.abs().max(greatest.abs()).max(1.0) {
            return Err(GraphError::NoExtent { axis, value: least });
        }
    }
    Ok(Extent { x, y })
}

/// From every node to the nearest of the next coarser mesh.
fn up(fine: &Mesh, coarse: &Mesh) -> EdgeSet {
    let tree = KdTree::new(&coarse.positions);
    let edge = |(sender, &position): (u32, &[f64; 2])| {
        let receiver = tree.nearest(position, 1).next()?;
        Some((sender, receiver, features(position, coarse.positions[receiver as usize])))
    };
    (0..).zip(&fine.positions).filter_map(edge).collect()
}

fn reversed(edges: &EdgeSet) -> EdgeSet {
    EdgeSet {
        senders: edges.receivers.clone(),
        receivers: edges.senders.clone(),
        features: edges.features.iter().map(|&[length, dx, dy]| [length, -dx, -dy]).collect(),
    }
}

/// Edges from the grid to the mesh, by grid point, and from the mesh to the grid, by mesh node.
fn between(xy: &[[f64; 2]], (nx, ny): (usize, usize), mesh: &Mesh) -> Result<(EdgeSet, EdgeSet), GraphError> {
    let nodes = &mesh.positions;
    let tree = KdTree::new(nodes);
    // that along x, whatever it is along y
    let [spacing, ..] = difference(nodes[mesh.side], nodes[0]);
    let reach = spacing * REACH;
    let mut to_mesh = EdgeSet::default();
    let mut to_grid = Vec::with_capacity(SOURCES * xy.len());
    for (point, &position) in (0..).zip(xy) {
        let edge = |node: u32| (point, node, features(position, nodes[node as usize]));
        to_mesh.extend(tree.within(position, reach * reach).into_iter().map(edge));
        if to_mesh.len() > MOST_REACHED * xy.len() {
            return Err(GraphError::Stretched { nx, ny, most: MOST_REACHED });
        }
        to_grid.extend(tree.nearest(position, SOURCES).map(|node| (node, point)));
    }
    to_grid.sort_unstable();
    let edge = |(node, point): (u32, u32)| (node, point, features(nodes[node as usize], xy[point as usize]));
    Ok((to_mesh, to_grid.into_iter().map(edge).collect()))
}
