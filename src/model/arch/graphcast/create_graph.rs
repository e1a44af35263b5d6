//! Mesh and edges for a grid of parallels and meridians.

use super::config::GraphCastConfig;
use super::connect::Connections;
use super::features::{Place, of_edges};
use super::mesh::Multimesh;
use crate::model::layers::graph::{Edges, Features, Graph};

/// Places of all points, row by row; degrees are taken as float32, as the reference has them.
pub fn places(latitude: &[f64], longitude: &[f64]) -> Vec<Place> {
    let at = |&latitude: &f64| longitude.iter().map(move |&longitude| Place::new(latitude as f32, longitude as f32));
    latitude.iter().flat_map(at).collect()
}

/// The graph of the reference, its grid nodes in the order of our points.
pub fn create_graph(config: &GraphCastConfig, latitude: &[f64], longitude: &[f64]) -> Graph {
    let mesh = Multimesh::new(config.mesh_size);
    let points = places(latitude, longitude);
    let nodes: Vec<Place> = mesh.vertices.iter().map(|&vertex| Place::of_vertex(vertex)).collect();
    let positions: Vec<[f32; 3]> = points.iter().map(|place| place.position()).collect();
    let connections = Connections::new(&mesh, &positions);
    let radius = mesh.longest_edge() * config.radius_query_fraction_edge_length as f32;
    let edges = |(senders, receivers): (Vec<u32>, Vec<u32>), places: (&[Place], &[Place]), unit: Option<f64>| {
        let features = Features::new(of_edges((&senders, &receivers), places, unit));
        Edges::new(senders, receivers, features)
    };
    let corners = connections.triangles();
    let to_points =
        corners.iter().zip(0u32..).flat_map(|(corners, point)| corners.map(|corner| (corner, point))).unzip();
    Graph {
        grid_nodes: points.len(),
        boundary_nodes: 0,
        mesh: vec![Features::new(nodes.iter().map(|place| place.features()).collect())],
        grid_to_mesh: edges(connections.within(radius), (&points, &nodes), None),
        mesh_to_grid: edges(to_points, (&nodes, &points), config.mesh2grid_edge_normalization_factor),
        mesh_to_mesh: vec![edges(mesh.edges(), (&nodes, &nodes), None)],
        mesh_up: Vec::new(),
        mesh_down: Vec::new(),
    }
}
