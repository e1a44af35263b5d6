//! One step of a network of the size that DMI trains, with random weights: 789 × 589 points, three mesh levels, width 150
//! on the grid's side and 300 on the mesh, 55 channels.
//!
//!     cargo bench --bench limited_area_scale
//!
//! The last line is JSON, for `benches/scaling.py`.

use std::collections::HashMap;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use serde_json::json;
use vejr::device::peak_resident_bytes;
use vejr::model::arch::neural_lam::{
    Aggregation, Architecture, Dialect, GnnType, GraphSection, NeuralLam, NeuralLamConfig, Widths, create_graph,
};
use vejr::model::layers::graph::Features;

const SHAPE: (usize, usize) = (789, 589);
const CHANNELS: usize = 55;
const FORCINGS: usize = 5;
const STATICS: usize = 2;

fn main() {
    let config = NeuralLamConfig {
        network: Architecture::HiLam,
        dialect: Dialect::Research,
        hidden_dim: 300,
        hidden_dim_grid: Some(150),
        hidden_layers: 1,
        processor_layers: 2,
        mesh_levels: 3,
        mesh_aggr: Aggregation::Sum,
        g2m_gnn_type: GnnType::InteractionNet,
        m2g_gnn_type: GnnType::InteractionNet,
        mesh_up_gnn_type: GnnType::InteractionNet,
        mesh_down_gnn_type: GnnType::InteractionNet,
        output_std: false,
        num_past_forcing_steps: 1,
        num_future_forcing_steps: 1,
        boundary: None,
        graph: GraphSection::default(),
    };
    let window = 1 + config.num_past_forcing_steps + config.num_future_forcing_steps;
    let widths = Widths { input: 2 * CHANNELS + FORCINGS * window + STATICS, boundary: 0, state: CHANNELS };
    let started = Instant::now();
    let (nx, ny) = SHAPE;
    let at = |i: usize, start: f64| start + 2500.0 * i as f64;
    let points: Vec<[f64; 2]> = (0..nx * ny).map(|i| [at(i / ny, -1.2e6), at(i % ny, -8e5)]).collect();
    let mut graph = create_graph(&points, SHAPE, true, Some(3)).unwrap();
    // this dialect's graphs lie on the sphere: one more component
    let widen = |features: &mut Features| {
        let values = features.values.chunks_exact(features.width).flat_map(|row| row.iter().copied().chain([0.0]));
        *features = Features { width: features.width + 1, values: values.collect() };
    };
    graph.mesh.iter_mut().for_each(widen);
    let sets = [&mut graph.grid_to_mesh, &mut graph.mesh_to_grid].into_iter();
    let sets = sets.chain(&mut graph.mesh_to_mesh).chain(&mut graph.mesh_up).chain(&mut graph.mesh_down);
    sets.for_each(|edges| widen(&mut edges.features));
    let graph = graph.with_edges_over_longest().with_positions_over(1e6);
    println!("graph: {:.1} s, {} edges to the grid", started.elapsed().as_secs_f64(), graph.mesh_to_grid.senders.len());

    let device = Device::Cpu;
    let weights: HashMap<String, Tensor> = config
        .weight_shapes(widths)
        .into_iter()
        .map(|(name, shape)| {
            let spread = 1.0 / (*shape.last().unwrap() as f32).sqrt();
            (name, Tensor::randn(0f32, spread, shape, &device).unwrap())
        })
        .collect();
    let started = Instant::now();
    let vb = VarBuilder::from_tensors(weights, DType::F32, &device);
    let network = NeuralLam::load(&config, widths, &graph, vb).unwrap();
    drop(graph);
    println!("loading: {:.1} s", started.elapsed().as_secs_f64());
    let x = Tensor::randn(0f32, 1f32, (nx * ny, widths.input), &device).unwrap();
    let mut times = Vec::new();
    for step in 1..=3 {
        let started = Instant::now();
        let out = network.forward(&[&x], &[]).unwrap();
        let seconds = started.elapsed().as_secs_f64();
        assert_eq!(out.dims(), [nx * ny, CHANNELS]);
        let gibibytes = peak_resident_bytes().map_or(f64::NAN, |bytes| bytes as f64 / f64::from(1 << 30));
        println!("step {step}: {seconds:.2} s, peak memory {gibibytes:.2} GiB");
        times.push(seconds);
    }
    times.sort_by(f64::total_cmp);
    println!("{}", json!({ "step_seconds": times[1], "peak_resident_bytes": peak_resident_bytes() }));
}
