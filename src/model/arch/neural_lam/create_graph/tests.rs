use sha2::{Digest, Sha256};

use super::kd_tree::KdTree;
use super::*;
use crate::model::arch::gnu_order::{nth_element, partition};
use crate::model::layers::graph::Graph;

/// Points `spacing` apart, y fastest.
fn grid((nx, ny): (usize, usize), spacing: f64, (x0, y0): (f64, f64)) -> Vec<[f64; 2]> {
    let row = |i: usize| (0..ny).map(move |j| [x0 + spacing * i as f64, y0 + spacing * j as f64]);
    (0..nx).flat_map(row).collect()
}

/// 9 x 9 points up to 12: one mesh of 3 x 3 nodes at 2, 6 and 10, so that every number below is exact.
fn small(hierarchical: bool) -> Graph {
    create_graph(&grid((9, 9), 1.5, (0.0, 0.0)), (9, 9), hierarchical, None).unwrap()
}

fn sources(edges: &Edges, receiver: u32) -> Vec<u32> {
    let pairs = edges.senders.iter().zip(&edges.receivers);
    pairs.filter(|&(_, &other)| other == receiver).map(|(&sender, _)| sender).collect()
}

#[test]
fn a_mesh_has_nodes_at_the_centres_of_its_cells_and_edges_to_eight_neighbours() {
    let graph = small(false);
    let positions = [2.0, 6.0, 10.0].map(|x| [[x, 2.0], [x, 6.0], [x, 10.0]]);
    assert_eq!(graph.mesh, [Features::new(positions.concat())]);
    let edges = &graph.mesh_to_mesh[0];
    // four corners with 3 neighbours, four sides with 5, one middle with 8
    assert_eq!(edges.senders.len(), 40);
    assert_eq!(edges.senders[..8], [0, 0, 0, 1, 1, 1, 1, 1]);
    assert_eq!(edges.receivers[..8], [3, 1, 4, 4, 0, 2, 5, 3]);
    assert_eq!(edges.receivers[16..24], [1, 7, 3, 5, 0, 8, 6, 2]);
    let diagonal = 32f32.sqrt();
    assert_eq!(edges.features.values[..9], [4.0, -4.0, 0.0, 4.0, 0.0, -4.0, diagonal, -4.0, -4.0]);
}

#[test]
fn grid_points_send_to_what_is_within_reach_and_receive_from_the_four_nearest() {
    let graph = small(true);
    let to_mesh: Vec<_> = graph.grid_to_mesh.senders.iter().zip(&graph.grid_to_mesh.receivers).collect();
    // 0.67 * 4 = 2.68; the first grid point is 2.83 from the first node
    assert_eq!(to_mesh[..4], [(&1, &0), (&2, &0), (&3, &1), (&4, &1)]);
    assert_eq!(graph.grid_to_mesh.features.values[..3], [4.25f32.sqrt(), -2.0, -0.5]);
    assert_eq!(sources(&graph.mesh_to_grid, 0), [0, 1, 3, 4]);
    assert_eq!(graph.mesh_to_grid.senders.len(), 4 * 81);
    assert!(graph.mesh_to_grid.senders.is_sorted());
    // the middle lies on node 4, with four neighbours equally near: the reference takes these three
    assert_eq!(sources(&graph.mesh_to_grid, 40), [1, 3, 4, 5]);
}

/// Expected of `nearest`: answers of `scipy.spatial.KDTree`.
#[test]
fn on_a_lattice_scipy_s_choice_is_made() {
    let lattice = grid((8, 7), 1.0, (0.0, 0.0));
    let tree = KdTree::new(&lattice);
    let cases = [
        ([2.0, 2.0], [9, 15, 16, 23]),
        ([2.0, 3.0], [16, 17, 18, 24]),
        ([3.0, 2.0], [16, 22, 23, 30]),
        ([3.0, 3.0], [17, 23, 24, 25]),
        ([4.0, 3.0], [24, 31, 32, 38]),
        ([4.0, 4.0], [31, 32, 33, 39]),
        ([5.0, 4.0], [32, 38, 39, 40]),
        ([6.0, 2.0], [37, 43, 44, 51]),
    ];
    for (here, expected) in cases {
        let mut nearest: Vec<u32> = tree.nearest(here, 4).collect();
        nearest.sort_unstable();
        assert_eq!(nearest, expected, "{here:?}");
    }
    // what lies exactly on the circle is within
    assert_eq!(tree.within([3.0, 3.0], 1.0), [17, 23, 24, 25, 31]);
    assert_eq!(tree.within([-0.5, 6.0], 0.25), [6]);
    assert_eq!(tree.nearest([3.0, 3.0], 99).count(), 56);
}

#[test]
fn of_equally_near_mesh_nodes_the_reference_s_are_taken() {
    let xy = grid((27, 33), 2500.0, (-1.2e6, -1.5e5));
    let graph = create_graph(&xy, (27, 33), false, None).unwrap();
    for (point, expected) in TIES {
        assert_eq!(sources(&graph.mesh_to_grid, point), expected, "grid point {point}");
    }
}

/// Grid points with an ambiguous fourth source, and their sources in a graph of the reference.
const TIES: [(u32, [u32; 4]); 9] = [
    (148, [4, 13, 14, 22]),
    (181, [4, 13, 14, 22]),
    (247, [13, 22, 23, 31]),
    (346, [22, 30, 31, 40]),
    (445, [31, 39, 40, 49]),
    (544, [40, 49, 50, 58]),
    (643, [49, 58, 59, 67]),
    (709, [58, 67, 68, 76]),
    (742, [58, 67, 68, 76]),
];

/// SHA-256 of all arrays of the reference's graphs, as `models/neural-lam/graphs.py` writes them.
const FLAT_27X33: &str = "900c4e3c37a285da77839df2b10845609b07d456fdd88a80b3a2f6fa55d4e6ea";
const FLAT_81X81: &str = "a4f4f8eb42b1159a6199500eef8f9ca1dc9d4f7b4786076387a7243e29383ea4";
const HIERARCHICAL_81X90: &str = "75a614d04b08433f3ad28462f69c2cda2fe6ddb4cbd3742977d1818320568465";
const HIERARCHICAL_101X101: &str = "3ed7508685d112a61adcb270230684925a5780c538869286396c7d9abc63e2e5";

#[test]
fn graphs_are_the_reference_s_to_the_last_bit() {
    let origin = (-1.2e6, -1.5e5);
    let cases = [
        ((27, 33), 2500.0, origin, false, None, FLAT_27X33),
        ((81, 81), 2500.0, (0.0, 0.0), false, None, FLAT_81X81),
        ((81, 90), 1000.0, (12345.678, -98765.4321), true, Some(2), HIERARCHICAL_81X90),
        ((101, 101), 2500.0, origin, true, None, HIERARCHICAL_101X101),
    ];
    for (shape, spacing, origin, hierarchical, levels, expected) in cases {
        let graph = create_graph(&grid(shape, spacing, origin), shape, hierarchical, levels).unwrap();
        assert_eq!(hex::encode(digest(&graph)), expected, "{shape:?} {hierarchical} {levels:?}");
    }
}

fn digest(graph: &Graph) -> Vec<u8> {
    let mut sha = Sha256::new();
    graph.mesh.iter().flat_map(|nodes| &nodes.values).for_each(|value| sha.update(value.to_le_bytes()));
    let inside = graph.mesh_to_mesh.iter().chain(&graph.mesh_up).chain(&graph.mesh_down);
    for edges in inside.chain([&graph.grid_to_mesh, &graph.mesh_to_grid]) {
        edges.senders.iter().chain(&edges.receivers).for_each(|index| sha.update(index.to_le_bytes()));
        edges.features.values.iter().for_each(|value| sha.update(value.to_le_bytes()));
    }
    sha.finalize().to_vec()
}

#[test]
fn levels_of_a_hierarchy_are_joined_by_thirds() {
    let xy = grid((27, 20), 10.0, (0.0, 0.0));
    let graph = create_graph(&xy, (27, 20), true, None).unwrap();
    assert_eq!(graph.mesh.iter().map(Features::rows).collect::<Vec<_>>(), [81, 9]);
    let (up, down) = (&graph.mesh_up[0], &graph.mesh_down[0]);
    assert_eq!(up.senders, (0..81).collect::<Vec<_>>());
    let above: Vec<u32> = (0..81).map(|node| node / 27 * 3 + node % 9 / 3).collect();
    assert_eq!((&up.receivers, &down.senders, &down.receivers), (&above, &above, &up.senders));
    for (up, down) in up.features.values.as_chunks::<3>().0.iter().zip(down.features.values.as_chunks::<3>().0) {
        // of 0, too, the sign is turned
        assert_eq!([up[0], -up[1], -up[2]].map(f32::to_bits), down.map(f32::to_bits));
    }
}

#[test]
fn a_flat_graph_joins_the_middle_nodes_of_each_scale() {
    let xy = grid((27, 27), 10.0, (0.0, 0.0));
    let graph = create_graph(&xy, (27, 27), false, None).unwrap();
    assert_eq!((graph.mesh.len(), graph.mesh[0].rows(), graph.mesh_up.len()), (1, 81, 0));
    let edges = &graph.mesh_to_mesh[0];
    assert_eq!(edges.senders.len(), 544 + 40);
    let from: Vec<u32> =
        edges.senders.iter().zip(&edges.receivers).filter(|&(&node, _)| node == 10).map(|(_, &to)| to).collect();
    // node (1, 1) and, three nodes on, its neighbours (4, 1), (1, 4), (4, 4)
    assert_eq!(from, [1, 19, 9, 11, 0, 20, 18, 2, 37, 13, 40]);
}

#[test]
fn there_are_as_many_levels_as_the_reference_makes() {
    let sides = |longer, levels| mesh::sides((longer, 5), levels).unwrap();
    assert_eq!(sides(9, None), [3]);
    assert_eq!(sides(80, None), [9, 3]);
    assert_eq!(sides(81, None), [27, 9, 3]);
    // ln 243 / ln 3 is less than 5 in floating point
    assert_eq!(sides(243, None), [27, 9, 3]);
    assert_eq!(sides(244, None), [81, 27, 9, 3]);
    assert_eq!(sides(789, Some(2)), [243, 81]);
    assert_eq!(sides(27, Some(7)), [9, 3]);
}

#[test]
fn what_is_no_grid_is_refused() {
    let refused = |xy: &[[f64; 2]], shape, levels| create_graph(xy, shape, false, levels).unwrap_err().to_string();
    let xy = grid((9, 9), 1.0, (0.0, 0.0));
    assert!(refused(&xy, (9, 8), None).contains("81 points do not make a grid of 9 x 8"));
    assert!(refused(&xy, (usize::MAX, 9), None).contains("do not make a grid"));
    assert!(refused(&[], (0, 0), None).contains("do not make a grid"));
    assert!(refused(&xy, (9, 9), Some(0)).contains("0 mesh levels"));
    assert!(refused(&grid((8, 8), 1.0, (0.0, 0.0)), (8, 8), None).contains("at least 9 points"));
    assert!(refused(&grid((6561, 2), 1.0, (0.0, 0.0)), (6561, 2), None).contains("at most 6560 points"));
    assert!(refused(&grid((9, 1), 1.0, (0.0, 0.0)), (9, 1), None).contains("no extent along y"));
    let swapped: Vec<_> = xy.iter().map(|&[x, y]| [y, x]).collect();
    assert!(refused(&swapped, (9, 9), None).contains("no extent along x"));
    let stretched: Vec<_> = grid((244, 9), 1.0, (0.0, 0.0)).iter().map(|&[x, y]| [1e6 * x, y]).collect();
    assert!(refused(&stretched, (244, 9), None).contains("same unit"));
    let tiny = grid((9, 9), 1e-5, (1e9, 0.0));
    assert!(refused(&tiny, (9, 9), None).contains("no extent along x"));
    for value in [f64::NAN, f64::INFINITY, -1e300] {
        let mut xy = xy.clone();
        xy[7][1] = value;
        assert!(refused(&xy, (9, 9), None).contains("grid point 7"));
    }
}

#[test]
fn a_graph_that_does_not_fit_is_refused() {
    let refused = |change: fn(&mut Graph)| {
        let mut graph = small(true);
        change(&mut graph);
        graph.check(1, (2, 3)).unwrap_err().to_string()
    };
    small(true).check(1, (2, 3)).unwrap();
    assert!(small(true).check(2, (2, 3)).unwrap_err().to_string().contains("the network has 2"));
    assert!(small(true).check(1, (3, 4)).unwrap_err().to_string().contains("the network takes 3"));
    assert!(refused(|graph| graph.grid_nodes = 80).contains("m2g: an edge to node 80 of 80"));
    assert!(refused(|graph| graph.mesh_to_mesh.clear()).contains("1 mesh level(s)"));
    assert!(refused(|graph| graph.mesh[0].values[3] = f32::NAN).contains("not finite"));
    assert!(refused(|graph| graph.mesh_to_mesh[0].senders[2] = 9).contains("m2m.0: an edge from node 9 of 9"));
    assert!(refused(|graph| graph.grid_to_mesh.receivers.truncate(5)).contains("5 receivers"));
    assert!(refused(|graph| graph.mesh_to_grid.features.values.truncate(15)).contains("features [5, 3]"));
    assert!(refused(|graph| graph.mesh_to_grid.features.values[5] = f32::INFINITY).contains("not finite"));
}

/// Expected orders from GNU's library.
#[test]
fn equals_are_left_in_the_order_of_the_cpp_library() {
    let keys = [3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 0, 3];
    let mut order: Vec<usize> = (0..keys.len()).collect();
    nth_element(&mut order, 7, |a, b| keys[a] < keys[b]);
    assert_eq!(order, [1, 12, 10, 7, 11, 5, 4, 2, 8, 0, 13, 9, 3, 6]);
    let mut order: Vec<usize> = (0..keys.len()).collect();
    assert_eq!(partition(&mut order, |index| keys[index] < 2), 5);
    assert_eq!(order, [12, 1, 10, 7, 4, 5, 6, 3, 8, 9, 2, 11, 0, 13]);
    // a median of three parts off two items at a time (Musser 1997), until a heap takes over
    let rising = (1..=20).map(|i| if i % 2 == 1 { i } else { 19 + i });
    let keys: Vec<usize> = rising.chain((1..=20).map(|i| 2 * i)).collect();
    let mut order: Vec<usize> = (0..keys.len()).collect();
    nth_element(&mut order, 30, |a, b| keys[a] < keys[b]);
    let expected = [
        1, 0, 2, 29, 4, 28, 6, 27, 8, 26, 10, 25, 12, 24, 14, 23, 16, 22, 18, 21, 20, 33, 32, 31, 30, 3, 5, 7, 9, 34,
        11, 13, 35, 36, 15, 37, 17, 19, 38, 39,
    ];
    assert_eq!(order, expected);
}
