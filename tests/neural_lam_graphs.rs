//! Graphs are those of the genuine `create_graph`, bit by bit. `models/neural-lam/graphs.py` makes them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use vejr::model::arch::neural_lam::create_graph;
use vejr::model::layers::graph::{Edges, Graph};

#[path = "common/python.rs"]
mod python;

/// Even, odd and square grids: with and without mesh nodes that are equally near to a grid point.
#[test]
fn graphs_are_those_of_neural_lam() {
    let Some(python) = python::with(&["neural_lam.create_graph"]) else { return };
    let folder = tempfile::tempdir().unwrap();
    let case =
        |nx: usize, ny: usize, spacing: f64, x0: f64, y0: f64, dtype: &str, hierarchical: bool, levels: Value| {
            json!({"nx": nx, "ny": ny, "spacing": spacing, "x0": x0, "y0": y0,
            "dtype": dtype, "hierarchical": hierarchical, "levels": levels})
        };
    let cases = [
        case(9, 9, 1.5, 0.0, 0.0, "float64", true, Value::Null),
        case(27, 33, 2500.0, -1.2e6, -1.5e5, "float64", false, Value::Null),
        case(33, 27, 2500.0, 12345.678, 98765.4321, "float64", true, Value::Null),
        case(30, 36, 2500.0, -1.2e6, -1.5e5, "float64", false, json!(1)),
        case(81, 81, 2500.0, 0.0, 0.0, "float64", false, Value::Null),
        case(243, 40, 2500.0, -1.2e6, -1.5e5, "float64", true, json!(9)),
        case(40, 30, 2500.0, 100_000.0, 200_000.0, "int64", false, Value::Null),
    ];
    std::fs::write(folder.path().join("cases.json"), json!(cases).to_string()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/neural-lam/graphs.py");
    python::run(Command::new(python).arg(script).arg(folder.path()));
    for (number, case) in cases.iter().enumerate() {
        let mut reference = files(&folder.path().join(number.to_string()));
        let xy = reference.remove("xy").unwrap();
        let xy: Vec<f64> = xy.chunks_exact(8).map(|value| f64::from_le_bytes(value.try_into().unwrap())).collect();
        let xy: Vec<[f64; 2]> = xy.chunks_exact(2).map(|point| [point[0], point[1]]).collect();
        let count = |key: &str| case[key].as_u64().map(|value| value as usize);
        let shape = (count("nx").unwrap(), count("ny").unwrap());
        let graph = create_graph(&xy, shape, case["hierarchical"] == true, count("levels")).unwrap();
        let ours = arrays(&graph);
        assert_eq!(ours.keys().collect::<Vec<_>>(), reference.keys().collect::<Vec<_>>(), "{case}");
        for (name, bytes) in &ours {
            assert!(bytes == &reference[name], "{name} of {case}");
        }
    }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())).collect()
}

/// The arrays of a graph by the names of the reference's files.
fn arrays(graph: &Graph) -> BTreeMap<String, Vec<u8>> {
    let mut arrays = BTreeMap::new();
    let mut add = |name: &str, level: &str, edges: &Edges| {
        let indices = edges.senders.iter().chain(&edges.receivers);
        arrays.insert(format!("{name}_edge_index{level}"), indices.flat_map(|index| index.to_le_bytes()).collect());
        let features = edges.features.values.iter();
        arrays.insert(format!("{name}_features{level}"), features.flat_map(|value| value.to_le_bytes()).collect());
    };
    for (name, sets) in [("m2m", &graph.mesh_to_mesh), ("mesh_up", &graph.mesh_up), ("mesh_down", &graph.mesh_down)] {
        for (level, edges) in sets.iter().enumerate() {
            add(name, &format!("_{level}"), edges);
        }
    }
    add("g2m", "", &graph.grid_to_mesh);
    add("m2g", "", &graph.mesh_to_grid);
    for (level, mesh) in graph.mesh.iter().enumerate() {
        let positions = mesh.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        arrays.insert(format!("mesh_features_{level}"), positions);
    }
    arrays
}
