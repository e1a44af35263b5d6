//! GraphCast as a user goes: `vejr models import`, `vejr forecast`, and the result is the reference's; and its graphs are the
//! reference's, edge by edge. The cases in `fixtures/graphcast` come from `models/graphcast/reference.py`; more may lie at
//! `../shared/oracles/graphcast` (or where `VEJR_ORACLES` says).

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};
use vejr::model::arch::graphcast::{GraphCastConfig, create_graph};

#[path = "common/command.rs"]
mod command;
#[path = "common/python.rs"]
mod python;

use command::{done, refused, vejr};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn fixtures() -> PathBuf {
    Path::new(ROOT).join("tests/fixtures/graphcast")
}

fn folders(path: &Path) -> Option<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(path).ok()?.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    Some(folders)
}

/// Ours, and those that lie beside the project.
fn cases() -> Vec<PathBuf> {
    let mut cases = folders(&fixtures()).unwrap();
    let oracles = std::env::var_os("VEJR_ORACLES").map_or(Path::new(ROOT).join("../shared/oracles"), PathBuf::from);
    match folders(&oracles.join("graphcast")) {
        Some(more) => cases.extend(more),
        None => eprintln!("SKIPPED: there is no {}", oracles.join("graphcast").display()),
    }
    cases
}

fn import(case: &Path, work: &Path) -> PathBuf {
    let package = work.join("package");
    done(vejr(&[&"models", &"import", &case, &"--output", &package]));
    package
}

fn forecast(package: &Path, case: &Path, steps: usize, output: &Path) -> Output {
    let (init, steps) = (case.join("init.nc"), steps.to_string());
    vejr(&[&"forecast", &"--model", &package, &"--init", &init, &"--steps", &steps, &"--output", &output])
}

#[test]
fn forecasts_are_the_reference_s() {
    let Some(python) = python::with(&["xarray", "zarr", "netCDF4"]) else { return };
    for case in cases() {
        let work = tempfile::tempdir().unwrap();
        let package = import(&case, work.path());
        let steps = |name: &str| {
            let script = "import sys, xarray; print(xarray.open_dataset(sys.argv[1]).sizes['time'])";
            python::run(Command::new(&python).args(["-c", script]).arg(case.join(name)))
                .trim()
                .parse::<usize>()
                .unwrap()
        };
        let (steps, output) = (steps("expected.nc"), work.path().join("f.zarr"));
        done(forecast(&package, &case, steps, &output));
        let mut compare = Command::new(&python);
        compare.arg(Path::new(ROOT).join("tests/clients/increments.py")).arg(&output);
        let printed = python::run(compare.arg(case.join("init.nc")).arg(case.join("expected.nc")));
        let mut worst = 0f64;
        for line in printed.lines() {
            let error: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
            assert!(error <= 2e-5, "{}: {line}", case.display());
            worst = worst.max(error);
        }
        assert!(printed.lines().count() >= steps, "{printed}");
        println!("{}: {steps} steps, worst variable {worst:.1e} of its increment", case.display());
    }
}

/// A resumed run goes on from what was published, what is diagnosed included.
#[test]
fn a_longer_forecast_begins_as_a_shorter_one() {
    let (case, work) = (fixtures().join("precipitation_out"), tempfile::tempdir().unwrap());
    let package = import(&case, work.path());
    let [short, long] = [2, 4].map(|steps| {
        let output = work.path().join(format!("{steps}.zarr"));
        done(forecast(&package, &case, steps, &output));
        output
    });
    let step = |store: &Path, name: &str| {
        let mut objects: Vec<PathBuf> = Vec::new();
        let mut open = vec![store.join(name).join("c")];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { open.push(path) } else { objects.push(path.strip_prefix(store).unwrap().to_owned()) }
            }
        }
        objects
    };
    let shared = step(&short, "tp");
    assert!(shared.len() >= 2, "{shared:?}");
    for object in shared {
        assert_eq!(
            std::fs::read(short.join(&object)).unwrap(),
            std::fs::read(long.join(&object)).unwrap(),
            "{object:?}"
        );
    }
}

/// SHA-256 of a set of edges as `models/graphcast/graphs.py` takes it.
fn digest(edges: impl Iterator<Item = (u32, u32)>) -> String {
    let mut edges: Vec<(u32, u32)> = edges.collect();
    edges.sort_unstable();
    let bytes: Vec<u8> = edges.into_iter().flat_map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()]).flatten().collect();
    hex::encode(Sha256::digest(bytes))
}

#[test]
fn graphs_are_the_reference_s() {
    let kept: Vec<Value> = serde_json::from_slice(&std::fs::read(fixtures().join("graphs.json")).unwrap()).unwrap();
    assert!(kept.len() >= 20);
    for kept in kept {
        let resolution = kept["resolution"].as_f64().unwrap();
        let config = GraphCastConfig {
            mesh_size: kept["mesh_size"].as_u64().unwrap() as usize,
            latent_size: 1,
            gnn_msg_steps: 1,
            hidden_layers: 1,
            radius_query_fraction_edge_length: kept["radius"].as_f64().unwrap(),
            mesh2grid_edge_normalization_factor: None,
            graph: String::new(),
        };
        let rows = (180.0 / resolution).round() as u32;
        let latitude: Vec<f64> = (0..=rows).map(|n| 90.0 - resolution * f64::from(n)).collect();
        let longitude: Vec<f64> = (0..2 * rows).map(|n| resolution * f64::from(n)).collect();
        let graph = create_graph(&config, &latitude, &longitude);
        // the reference counts from the south
        let point = |ours: u32| (rows - ours / (2 * rows)) * 2 * rows + ours % (2 * rows);
        let pairs = |edges: &vejr::model::layers::graph::Edges| {
            edges.senders.iter().copied().zip(edges.receivers.iter().copied()).collect::<Vec<_>>()
        };
        for (name, edges) in [
            ("grid2mesh", pairs(&graph.grid_to_mesh).into_iter().map(|(a, b)| (point(a), b)).collect::<Vec<_>>()),
            ("mesh", pairs(&graph.mesh_to_mesh[0])),
            ("mesh2grid", pairs(&graph.mesh_to_grid).into_iter().map(|(a, b)| (a, point(b))).collect()),
        ] {
            assert_eq!(kept[name], digest(edges.into_iter()), "{name} of {kept}");
        }
    }
}

/// What becomes of an entry, by its name and contents.
type Change = dyn Fn(&str, Vec<u8>) -> Option<Vec<u8>>;

/// Rewrites entries of a `.npz`: what `change` makes of each, which may be nothing.
fn rewritten(from: &Path, to: &Path, change: &Change) {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(from).unwrap()).unwrap();
    let mut writer = zip::ZipWriter::new(std::fs::File::create(to).unwrap());
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let (name, mut bytes) = (entry.name().unwrap().into_owned(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        if let Some(bytes) = change(&name, bytes) {
            writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(&bytes).unwrap();
        }
    }
    writer.finish().unwrap();
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn what_is_no_graphcast_is_refused_with_the_reason() {
    let case = fixtures().join("two_hidden_layers");
    let work = tempfile::tempdir().unwrap();
    let try_import = |name: &str, change: &Change| {
        let folder = work.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        for file in ["mean_by_level.nc", "stddev_by_level.nc", "diffs_stddev_by_level.nc"] {
            std::fs::copy(case.join(file), folder.join(file)).unwrap();
        }
        rewritten(&case.join("params.npz"), &folder.join("params.npz"), change);
        let output = work.path().join(format!("{name}.package"));
        let result = vejr(&[&"models", &"import", &folder, &"--output", &output]);
        assert!(!output.exists(), "{name} left something");
        result
    };
    const LAYER: &str = "params:mesh_gnn/~_networks_builder/processor_edges_1_mesh_mlp/~/linear_0:w.npy";
    let cases: [(&str, &[&str], &Change); 7] = [
        ("no-layer", &["no tensor mesh_gnn.processor_edges_1_mesh_mlp.linear_0.w"], &|name, bytes| {
            (name != LAYER).then_some(bytes)
        }),
        ("no-configuration", &["model_config"], &|name, bytes| (!name.starts_with("model_config:")).then_some(bytes)),
        ("no-mesh-size", &["model_config:mesh_size: nothing"], &|name, bytes| {
            (name != "model_config:mesh_size.npy").then_some(bytes)
        }),
        ("a-variable", &["2m_teleportati", "no variable that is known"], &|_, bytes| {
            let name: Vec<u8> = "2m_temperature".chars().flat_map(|c| (c as u32).to_le_bytes()).collect();
            let other: Vec<u8> = "2m_teleportation".chars().take(14).flat_map(|c| (c as u32).to_le_bytes()).collect();
            let found = bytes.windows(name.len()).any(|window| window == name);
            Some(if found { replaced(&bytes, &name, &other) } else { bytes })
        }),
        ("pickled", &["Object", "expected a text or a number"], &|name, bytes| {
            let text = name == "task_config:input_duration.npy";
            Some(if text { replaced(&bytes, b"'<U3'", b"'|O' ") } else { bytes })
        }),
        ("a-shape", &["linear_0:w", "shape"], &|name, bytes| {
            Some(if name == LAYER { replaced(&bytes, b"(48, 16)", b"(999999999999999, 16)") } else { bytes })
        }),
        ("cut", &["linear_0:w"], &|name, bytes| {
            Some(if name == LAYER { bytes[..bytes.len() / 2].to_vec() } else { bytes })
        }),
    ];
    for (name, expected, change) in cases {
        refused(try_import(name, change), 3, expected);
    }
    // what lies beside the parameters
    let alone = work.path().join("alone");
    std::fs::create_dir(&alone).unwrap();
    std::fs::copy(case.join("params.npz"), alone.join("params.npz")).unwrap();
    let output = work.path().join("package");
    refused(vejr(&[&"models", &"import", &alone, &"--output", &output]), 3, &["no statistics", "mean_by_level.nc"]);
    let params = work.path().join("params.toml");
    std::fs::write(&params, format!("statistics = {:?}\nname = 'gc'\n", case)).unwrap();
    done(vejr(&[&"models", &"import", &alone.join("params.npz"), &"--output", &output, &"--params", &params]));
    // input that is not the model's
    let other = fixtures().join("no_precipitation");
    refused(
        forecast(&output, &other, 1, &work.path().join("f.zarr")),
        3,
        &["q 50hPa", "levels 300hPa", "the grid 13×24"],
    );
}
