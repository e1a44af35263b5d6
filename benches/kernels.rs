//! Kernels, one by one. Prints the median time of each kernel and shape that is named, or of all.
//!
//!     cargo bench --bench kernels -- [--list] [--json] [--seconds 0.5] [layer-norm:65536x512 …]
//!
//! `benches/kernels.py` compares them with PyTorch. What works in place begins each time with the same values; putting them back is not
//! measured.

use std::hint::black_box;
use std::time::Instant;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde_json::json;
use vejr::device::{
    Activation, BatchAxis, EdgeInput, Messages, Perceptron, ReceiverEdges, Triangle, batched_complex_matmul,
    batched_matmul, layer_norm_rows, message_passing, residual_mlp, transposed, wide_silu,
};

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[unsafe(export_name = "_rjem_malloc_conf")]
static MALLOC_CONF: &[u8; 36] = b"dirty_decay_ms:-1,muzzy_decay_ms:-1\0";

const KERNELS: &[&str] = &[
    // rows, inner, columns
    "product:4096x512x512",
    "product:65536x512x512",
    // products, rows, inner, columns: of windows of 144 points, and of a transform's 126 orders on 180 parallels
    "batched:8000x144x32x144",
    "batched:8000x144x144x32",
    "batched:126x126x180x192",
    "batched-triangle:126x126x180x192",
    // degrees, orders, inner, columns
    "complex:126x126x96x96",
    "complex-triangle:126x126x96x96",
    // rows, columns
    "gelu:65536x512",
    "bias-gelu:65536x512",
    "silu:65536x512",
    "bias-silu:65536x512",
    "layer-norm:65536x512",
    "transpose:65536x512",
    "transpose:83x65160",
    // rows, width in, hidden, out
    "mlp:65536x96x192x96",
    "mlp:65536x256x512x256",
    "perceptron:65536x256x256x256",
    "perceptron:65536x512x512x512",
    // edges, nodes, width
    "messages:300000x40000x64",
    "messages:300000x40000x256",
    "messages:300000x40000x512",
];
/// Numbers that one task takes at a time where a kernel works on slices, as networks do.
const AT_ONCE: usize = 32 << 10;
const MOST_RUNS: usize = 200;

fn main() {
    let (mut json, mut seconds, mut chosen) = (false, 0.5, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => return println!("{}", json!({ "kernels": KERNELS })),
            "--json" => json = true,
            "--seconds" => seconds = arguments.next().unwrap().parse().unwrap(),
            "--bench" => (), // cargo says so
            _ => chosen.push(argument),
        }
    }
    if chosen.is_empty() {
        chosen = KERNELS.iter().map(|&kernel| kernel.to_owned()).collect();
    }
    for kernel in chosen {
        let (median, runs) = measure(&kernel, seconds);
        if json {
            println!("{}", json!({ "kernel": kernel, "seconds": median, "runs": runs }));
        } else {
            println!("{kernel:40} {:10.3} ms, median of {runs}", median * 1e3);
        }
    }
}

fn measure(kernel: &str, seconds: f64) -> (f64, usize) {
    let (name, shape) = kernel.split_once(':').unwrap_or_else(|| panic!("{kernel} is no kernel:1x2x3"));
    let shape: Vec<usize> = shape.split('x').map(|size| size.parse().unwrap()).collect();
    match (name, shape[..].to_vec().as_slice()) {
        ("product", &[m, k, n]) => {
            let (x, weight) = (random(&[m, k]), random(&[k, n]));
            tensors(seconds, || x.matmul(&weight))
        }
        ("batched" | "batched-triangle", &[b, m, k, n]) => {
            let (lhs, rhs) = (random(&[b, m, k]), random(&[b, k, n]));
            let triangle = if name == "batched" { Triangle::Full } else { Triangle::RowsFrom };
            tensors(seconds, || batched_matmul(&lhs, &rhs, triangle, BatchAxis::First))
        }
        ("complex" | "complex-triangle", &[b, m, i, o]) => {
            let (x, weight) = (random(&[b, m, 2 * i]), random(&[b, 2, i, o]));
            let triangle = if name == "complex" { Triangle::Full } else { Triangle::RowsTo };
            tensors(seconds, || batched_complex_matmul(&x, &weight, triangle))
        }
        ("gelu" | "bias-gelu", &[n, width]) => {
            let bias = if name == "gelu" { vec![0.0; width] } else { values(width) };
            slices(seconds, n * width, width, |x| Activation::Gelu.add_bias_and_apply(x, &bias))
        }
        ("silu", &[n, width]) => slices(seconds, n * width, width, |x| wide_silu(x, &[])),
        ("bias-silu", &[n, width]) => {
            let bias = values(width);
            slices(seconds, n * width, width, |x| wide_silu(x, &bias))
        }
        ("layer-norm", &[n, width]) => {
            let (weight, bias) = (values(width), values(width));
            slices(seconds, n * width, width, |x| layer_norm_rows(x, &weight, &bias))
        }
        ("transpose", &[rows, columns]) => {
            let x = random(&[rows, columns]);
            tensors(seconds, || transposed(&x))
        }
        ("mlp", &[n, i, d, o]) => {
            let (x, w1, b1, w2, residual) =
                (random(&[n, i]), random(&[i, d]), random(&[d]), random(&[d, o]), random(&[n, o]));
            tensors(seconds, || residual_mlp(&x, (&w1, &b1), Activation::Gelu, &w2, &residual))
        }
        ("perceptron", &[n, i, d, o]) => {
            let (x, mlp) = (random(&[n, i]), perceptron([i, d, o]));
            tensors(seconds, || mlp.forward(&[&x], None))
        }
        ("messages", &[edges, nodes, width]) => {
            let (senders, receivers) = (indices(edges, nodes, 1), indices(edges, nodes, 2));
            let graph = ReceiverEdges::new(&senders, &receivers, (nodes, nodes)).unwrap();
            let (state, sending, receiving) =
                (random(&[edges, width]), random(&[nodes, width]), random(&[nodes, width]));
            let mlp = perceptron([3 * width, width, width]);
            repeated(
                seconds,
                &mut (),
                |()| (),
                |()| {
                    let nodes = (&sending, &receiving);
                    message_passing(&graph, &mlp, EdgeInput::State(&state), nodes, Messages::Sum, true).unwrap()
                },
            )
        }
        _ => panic!("{kernel} is none of {KERNELS:?}"),
    }
}

fn tensors(seconds: f64, mut kernel: impl FnMut() -> candle_core::Result<Tensor>) -> (f64, usize) {
    repeated(seconds, &mut (), |()| (), |()| kernel().unwrap())
}

/// A kernel that works on whole rows in place, on all threads.
fn slices(seconds: f64, size: usize, width: usize, kernel: impl Fn(&mut [f32]) + Sync) -> (f64, usize) {
    let source = values(size);
    let mut x = source.clone();
    let rows = (AT_ONCE / width).max(1) * width;
    repeated(seconds, &mut x, |x| x.copy_from_slice(&source), |x| x.par_chunks_mut(rows).for_each(&kernel))
}

/// The median time of a kernel, once it has run, and how often it was measured.
fn repeated<S, R>(
    seconds: f64,
    state: &mut S,
    restore: impl Fn(&mut S),
    mut kernel: impl FnMut(&mut S) -> R,
) -> (f64, usize) {
    black_box(kernel(state));
    let mut times: Vec<f64> = Vec::new();
    while times.is_empty() || (times.iter().sum::<f64>() < seconds && times.len() < MOST_RUNS) {
        restore(state);
        let begin = Instant::now();
        drop(black_box(kernel(state)));
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times.len())
}

fn perceptron(widths: [usize; 3]) -> Perceptron {
    let layers = widths.windows(2).map(|pair| (random(&[pair[1], pair[0]]), random(&[pair[1]])));
    let out = widths[2];
    Perceptron::new(layers.collect(), Some((random(&[out]), random(&[out])))).unwrap()
}

fn random(shape: &[usize]) -> Tensor {
    Tensor::from_vec(values(shape.iter().product()), shape, &Device::Cpu).unwrap()
}

/// Between -1 and 1.
fn values(count: usize) -> Vec<f32> {
    noise(1).take(count).map(|noise| (noise as i32) as f32 / i32::MAX as f32).collect()
}

fn indices(count: usize, below: usize, seed: u32) -> Vec<u32> {
    noise(seed).take(count).map(|noise| noise % below as u32).collect()
}

fn noise(seed: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(seed.wrapping_mul(0x9e37_79b9)), |&state| {
        let state = state ^ (state << 13);
        let state = state ^ (state >> 17);
        Some(state ^ (state << 5))
    })
}
