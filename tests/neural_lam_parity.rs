//! Neural-LAM networks compute what the reference computes: random weights in every tensor, three steps, standardised.
//!
//! The cases in `fixtures/neural-lam/networks` come from `models/neural-lam/networks.py`; more may lie at `../shared/oracles`
//! (or where `VEJR_ORACLES` says), of both dialects. `-- --nocapture` prints a table.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::npy::NpzTensors;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use serde_json::Value;
use vejr::atmos::{Level, Variable};
use vejr::import::{BareNetwork, read_network};
use vejr::model::arch::neural_lam::{Inputs, StepPredictor, TimeDeltaEncoding, Widths};
use vejr::model::{Channel, ChannelLayout, Clamp, Role};

const ONE_STEP: f64 = 1e-5;
const ALL_STEPS: f64 = 1e-4;

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let oracles = std::env::var_os("VEJR_ORACLES").map_or(root.join("../shared/oracles"), PathBuf::from);
    let ours = root.join("tests/fixtures/neural-lam/networks");
    let folders = [ours, oracles.join("neural-lam"), oracles.join("neural-lam-research")];
    let mut cases = Vec::new();
    for folder in folders {
        match std::fs::read_dir(&folder) {
            Ok(entries) => {
                cases.extend(entries.map(|entry| entry.unwrap().path()).filter(|path| path.join("io.npz").exists()))
            }
            Err(_) => eprintln!("SKIPPED: there is no {}", folder.display()),
        }
    }
    cases.sort();
    cases
}

struct Case {
    arrays: HashMap<String, Tensor>,
    config: Value,
    network: BareNetwork,
}

impl Case {
    fn read(path: &Path) -> Self {
        let npz = NpzTensors::new(path.join("io.npz")).unwrap();
        // positions may lie column by column, which Candle does not read, and nobody needs them
        let names = npz.names().into_iter().filter(|name| *name != "xy");
        let arrays = names.map(|name| (name.clone(), npz.get(name).unwrap().unwrap())).collect();
        let config = std::fs::read_to_string(path.join("config.json")).unwrap_or_else(|_| "{}".to_owned());
        let checkpoint = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let checkpoint = checkpoint.into_iter().find(|path| path.extension().is_some_and(|e| e == "ckpt")).unwrap();
        let network = read_network(&checkpoint, &path.join("graph")).unwrap();
        Self { arrays, config: serde_json::from_str(&config).unwrap(), network }
    }

    fn get(&self, name: &str) -> Option<Tensor> {
        self.arrays.get(name).map(|array| array.to_dtype(DType::F32).unwrap())
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        self.arrays[name].to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Channels with the statistics of the case, where those of the differences are in units of the state's deviation.
    fn layout(&self) -> ChannelLayout {
        let (mean, std) = (self.numbers("state_mean"), self.numbers("state_std"));
        let differences = |mainline: &str, research: &str| {
            let name = if self.arrays.contains_key(mainline) { mainline } else { research };
            self.numbers(name).iter().zip(&std).map(|(a, b)| a * b).collect()
        };
        let (diff_mean, diff_std): (Vec<f64>, Vec<f64>) = (
            differences("state_diff_mean_standardized", "diff_mean"),
            differences("state_diff_std_standardized", "diff_std"),
        );
        let limit = |side: &str, f: usize| self.config["clamp"][side][format!("state_feat_{f}")].as_f64();
        let channel = |f: usize| Channel {
            variable: Variable::new(&format!("state_feat_{f}"), "", "", "1"),
            level: Level::Surface,
            role: Role::Prognostic,
            mean: mean[f],
            std: std[f],
            diff_mean: diff_mean[f],
            diff_std: diff_std[f],
            plausible: (f64::MIN, f64::MAX),
            told_plausible: None,
            clamp: Clamp { lower: limit("lower", f), upper: limit("upper", f) },
            formula: None,
        };
        ChannelLayout::new((0..mean.len()).map(channel).collect())
    }

    /// What positions are divided by.
    fn unit(&self) -> f64 {
        if self.arrays.contains_key("max_coord") {
            return self.numbers("max_coord")[0];
        }
        let extent: Vec<f64> =
            self.config["xy_extent"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        (extent[1] - extent[0]).max(extent[3] - extent[2])
    }

    /// Relative L2 error of each step's worst channel.
    fn errors(self) -> Vec<f64> {
        let device = Device::Cpu;
        let layout = self.layout();
        let BareNetwork { config, weights, graph } = &self.network;
        let width = |name: &str| weights.get(name).map_or(0, |weight| weight.dims()[1]);
        let widths = Widths {
            input: width("grid_embedder.0.weight").max(width("interior_embedder.0.weight")),
            boundary: width("boundary_embedder.0.weight"),
            state: layout.len(),
        };
        let shapes = config.weight_shapes(widths);
        assert_eq!(shapes.len(), weights.len());
        let graph = config.graph.scale(graph.clone(), self.unit());
        let vb = VarBuilder::from_tensors(weights.clone(), DType::F32, &device);
        let predictor = StepPredictor::load(config, widths, &graph, vb, &layout).unwrap();

        // what the reference was given may be in physical units; it standardises state and forcing itself
        let raw = self.arrays.contains_key("pred");
        let row = |name: &str| -> Tensor {
            let values: Vec<f32> = self.numbers(name).iter().map(|value| *value as f32).collect();
            Tensor::new(values, &device).unwrap()
        };
        let standardise = |tensor: Tensor, mean: &str, std: &str, repeat: usize| {
            if !raw {
                return tensor;
            }
            // each forcing has its window's values side by side
            let spread = |row: Tensor| row.unsqueeze(1).unwrap().repeat((1, repeat)).unwrap().flatten_all().unwrap();
            let difference = tensor.broadcast_sub(&spread(row(mean))).unwrap();
            difference.broadcast_div(&spread(row(std))).unwrap()
        };
        let of_state = |name: &str| self.get(name).map(|tensor| standardise(tensor, "state_mean", "state_std", 1));
        let init = of_state("init").unwrap().squeeze(0).unwrap();
        let state = |n: usize| init.get(n).unwrap().t().unwrap().contiguous().unwrap();
        let (mut before, mut now) = (state(0), state(1));
        let statics = self.get("grid_static").or(self.get("interior_static")).unwrap();
        let boundary_statics = self.get("boundary_static");
        let (forcing, expected) = (self.get("forcing").unwrap(), self.get("pred_norm").unwrap());
        let window = config.num_past_forcing_steps + config.num_future_forcing_steps + 1;
        let forcing = standardise(forcing, "forcing_mean", "forcing_std", window);
        let target = of_state("target");
        let mask = self.get("boundary_mask").map(|mask| mask.reshape((1, ())).unwrap());
        let mut errors = Vec::new();
        for step in 0..expected.dim(1).unwrap() {
            let at = |tensor: &Tensor| tensor.get(0).unwrap().get(step).unwrap();
            let encoded = self.get("boundary_forcing").map(|forcing| {
                let forcing = at(&forcing);
                let frequencies = self.get("enc_freq_denom").unwrap();
                // features and the times of the window: three of each in these cases
                let features = forcing.dim(1).unwrap();
                let statics = boundary_statics.as_ref().map_or(0, |statics| statics.dim(1).unwrap());
                let dim = 2 * frequencies.elem_count();
                let window = (widths.boundary - statics - features) / (dim - 1);
                let encoding = encoding_of(&frequencies, dim, window, &device);
                encoding.encode(&forcing).unwrap()
            });
            let boundary: Vec<&Tensor> = encoded.iter().chain(&boundary_statics).collect();
            let inputs = Inputs {
                before: &before,
                now: &now,
                forcing: Some(&at(&forcing)),
                statics: Some(&statics),
                boundary: &boundary,
            };
            let mut next = predictor.predict(&inputs).unwrap();
            if let (Some(mask), Some(target)) = (&mask, &target) {
                let target = at(target).t().unwrap().contiguous().unwrap();
                let interior = mask.affine(-1.0, 1.0).unwrap();
                next = (target.broadcast_mul(mask).unwrap() + next.broadcast_mul(&interior).unwrap()).unwrap();
            }
            errors.push(worst_channel(&next, &at(&expected).t().unwrap()));
            (before, now) = (now, next);
        }
        errors
    }
}

/// The encoding whose frequencies the case tells: they follow from the farthest difference.
fn encoding_of(frequencies: &Tensor, dim: usize, window: usize, device: &Device) -> TimeDeltaEncoding {
    let first = f64::from(frequencies.to_vec1::<f32>().unwrap()[0]);
    let farthest = first.powf(dim as f64 / 2.0) / 2.0;
    // one future step of the boundary at the least, the others in the past
    let past = window - 2;
    TimeDeltaEncoding::new(dim, (past, 1), farthest / (past + 1) as f64, device).unwrap()
}

fn worst_channel(ours: &Tensor, reference: &Tensor) -> f64 {
    let norms = |x: &Tensor| -> Vec<f64> {
        let rows = x.contiguous().unwrap().to_vec2::<f32>().unwrap();
        rows.iter().map(|row| row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt()).collect()
    };
    let (difference, reference) = (norms(&(ours - reference).unwrap()), norms(reference));
    let errors = difference.iter().zip(&reference).map(|(difference, reference)| difference / reference);
    // a NaN agrees with nothing, and a maximum would pass it over
    errors.map(|error| if error.is_nan() { f64::INFINITY } else { error }).fold(0.0, f64::max)
}

#[test]
fn networks_compute_what_the_reference_computes() {
    let cases = cases();
    assert!(cases.len() >= 10);
    let mut failed = Vec::new();
    for path in cases {
        let errors = Case::read(&path).errors();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text: Vec<String> = errors.iter().map(|error| format!("{error:.1e}")).collect();
        println!("{name:30} worst channel after each step: {}", text.join("  "));
        if errors[0] > ONE_STEP || errors.iter().any(|error| *error > ALL_STEPS) {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "not the reference's numbers: {failed:?}");
}
