//! A state that is divided among devices gives the numbers of one that is not, and each device needs its share of memory.
//! Devices are shares of the CPU's cores here; the code is that of any device.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use vejr::atmos::{Grid, LeadTime, Projection, ReferenceTime};
use vejr::device::DeviceGroup;
use vejr::forecast::{Rollout, Sources, read_inputs};
use vejr::import::{BareNetwork, read_network};
use vejr::ingest::{Inventory, Isolation};
use vejr::model::arch::neural_lam::{NeuralLam, NeuralLamConfig, Widths};
use vejr::model::{ModelPackage, State, Surroundings};

#[path = "common/command.rs"]
mod command;

use command::{done, refused, vejr};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const MOST_APART: f64 = 1e-6;

/// Tests take turns: memory is counted by the names of threads, and they call them the same.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn group(shards: usize) -> DeviceGroup {
    DeviceGroup::open("cpu", shards).unwrap()
}

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(ROOT).join("tests/fixtures").join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    paths.sort();
    paths
}

/// Relative L2 distance of two tensors.
fn apart(ours: &Tensor, whole: &Tensor) -> f64 {
    assert_eq!(ours.dims(), whole.dims());
    let values = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (ours, whole) = (values(ours), values(whole));
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = squares(&mut ours.iter().zip(&whole).map(|(a, b)| f64::from(a - b)));
    difference / squares(&mut whole.iter().map(|&v| f64::from(v)))
}

// ---- networks -------------------------------------------------------------------------------------------------------------

/// Numbers that look random and are the same each time.
fn noise(rows: usize, columns: usize) -> Tensor {
    let values: Vec<f32> = (0..rows * columns).map(|i| ((i as f32 * 12.9898).sin() * 43758.547).fract()).collect();
    Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap()
}

fn rows(x: &Tensor, places: &[u32]) -> Tensor {
    x.index_select(&Tensor::new(places, x.device()).unwrap(), 0).unwrap()
}

/// The network's output at all nodes, computed in so many parts of the nodes.
fn divided(
    (config, widths): (&NeuralLamConfig, Widths),
    network: &BareNetwork,
    (grid, boundary): (&Tensor, Option<&Tensor>),
    parts: usize,
) -> Tensor {
    let graph = config.graph.scale(network.graph.clone(), 1.0);
    let nodes = graph.grid_nodes;
    let load = |graph| {
        let weights = VarBuilder::from_tensors(network.weights.clone(), DType::F32, &Device::Cpu);
        NeuralLam::load(config, widths, graph, weights).unwrap()
    };
    if parts == 1 {
        return load(&graph).forward(&[grid], &boundary.into_iter().collect::<Vec<_>>()).unwrap();
    }
    // every third node to another device: halos as large as they get
    let device = |node: usize| ((node / 3) % parts) as u32;
    let divided = graph.divide((0..nodes).map(device).collect(), parts);
    let outputs: Vec<(Vec<u32>, Tensor)> = std::thread::scope(|scope| {
        let threads: Vec<_> = divided
            .iter()
            .map(|part| {
                let load = &load;
                scope.spawn(move || {
                    let here = (0..nodes).filter(|&node| device(node) as usize == part.peer.rank());
                    let here: Vec<u32> = here.map(|node| node as u32).collect();
                    let network = load(&part.graph);
                    let boundary = boundary.map(|boundary| rows(boundary, &part.boundary));
                    let boundary: Vec<&Tensor> = boundary.iter().collect();
                    let output = network.forward(&[&rows(grid, &here)], &boundary).unwrap();
                    (here, output)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut place = vec![0u32; nodes];
    let order = outputs.iter().flat_map(|(nodes, _)| nodes);
    (0..).zip(order).for_each(|(n, &node)| place[node as usize] = n);
    let all: Vec<&Tensor> = outputs.iter().map(|(_, output)| output).collect();
    rows(&Tensor::cat(&all, 0).unwrap(), &place)
}

#[test]
fn networks_in_parts_compute_the_same() {
    let _turn = turn();
    for case in fixtures("neural-lam/networks") {
        let network = read_network(&case.join("checkpoint.ckpt"), &case.join("graph")).unwrap();
        let width = |name: &str| network.weights.get(name).map_or(0, |weight| weight.dims()[1]);
        let out = |name: &str| network.weights.get(name).map_or(0, |weight| weight.dims()[0]);
        let last = format!("output_map.{}.weight", 2 * network.config.hidden_layers);
        let state = out(&last) / if network.config.output_std { 2 } else { 1 };
        let input = width("grid_embedder.0.weight").max(width("interior_embedder.0.weight"));
        let widths = Widths { input, boundary: width("boundary_embedder.0.weight"), state };
        let grid = noise(network.graph.grid_nodes, widths.input);
        let boundary = (widths.boundary > 0).then(|| noise(network.graph.boundary_nodes, widths.boundary));
        let compute = |parts| divided((&network.config, widths), &network, (&grid, boundary.as_ref()), parts);
        let whole = compute(1);
        for parts in [2, 3, 4] {
            let apart = apart(&compute(parts), &whole);
            println!("{:30} {parts} parts: {apart:.1e} apart", case.file_name().unwrap().display());
            assert!(apart <= MOST_APART, "{}: {parts} parts are {apart:e} apart", case.display());
        }
    }
}

// ---- packages -------------------------------------------------------------------------------------------------------------

struct Case {
    name: String,
    package: ModelPackage,
    states: Vec<State>,
    surroundings: Surroundings,
    steps: usize,
    _work: tempfile::TempDir,
}

fn case(folder: &Path, files: &[&str], boundary: &[&str]) -> Case {
    let work = tempfile::tempdir().unwrap();
    let path = work.path().join("package");
    let artifact = folder.join("artifact.zip");
    let checkpoint = folder.join("training/last.ckpt");
    let told = std::fs::read(folder.join("case.json")).map(|text| serde_json::from_slice::<serde_json::Value>(&text));
    let told = told.map_or(serde_json::Value::Null, |told| told.unwrap());
    let mut params = folder.join("params.toml");
    if told["n_boundary_points"].is_u64() {
        params = work.path().join("params.toml");
        std::fs::write(&params, format!("n_boundary_points = {}\n", told["n_boundary_points"])).unwrap();
    }
    let source = [artifact, checkpoint].into_iter().find(|path| path.exists()).unwrap_or(folder.to_owned());
    let import: &[&dyn AsRef<std::ffi::OsStr>] = &[&"models", &"import", &source, &"--output", &path];
    done(if params.exists() { vejr(&[import, &[&"--params", &params]].concat()) } else { vejr(import) });
    let package = ModelPackage::open(&path).unwrap();
    let open = |files: &[&str]| {
        let files: Vec<PathBuf> = files.iter().map(|file| folder.join(file)).collect();
        Inventory::open(&files, &Isolation::None).unwrap()
    };
    let (init, boundary) = (open(files), (!boundary.is_empty()).then(|| open(boundary)));
    let sources = Sources { boundary: boundary.as_ref(), ..Sources::new(&init) };
    let time: Option<ReferenceTime> = told["init_time"].as_str().map(|time| time.parse().unwrap());
    let steps = told["steps"].as_u64().map_or(2, |steps| steps as usize);
    let lead = LeadTime::from_seconds(package.time_step().seconds() * steps as i64);
    let initial = read_inputs(&package, &sources, time, lead, &Device::Cpu).unwrap();
    let (states, surroundings) = (initial.states, initial.surroundings);
    Case { name: folder.file_name().unwrap().display().to_string(), package, states, surroundings, steps, _work: work }
}

impl Case {
    fn forecast(&self, shards: usize) -> Vec<State> {
        let model = self.package.load(&group(shards), self.surroundings.clone()).unwrap();
        let rollout = Rollout::new(&*model, self.states.clone()).unwrap();
        rollout.take(self.steps).collect::<candle_core::Result<_>>().unwrap()
    }
}

#[test]
fn forecasts_in_shards_are_the_same() {
    let _turn = turn();
    let inputs = ["inputs/single_levels.nc", "inputs/pressure_levels.nc"];
    let driving = ["inputs/single_levels.nc", "inputs/driving.nc"];
    let mut cases = vec![case(&fixtures("neural-lam/artifact")[0], &inputs, &inputs)];
    cases.extend(fixtures("neural-lam/driven").iter().map(|folder| case(folder, &inputs, &driving)));
    cases.extend(fixtures("graphcast").iter().map(|folder| case(folder, &["init.nc"], &[])));
    assert_eq!(cases.len(), 6);
    for case in &cases {
        let whole = case.forecast(1);
        for shards in [2, 3, 4] {
            let ours = case.forecast(shards);
            assert_eq!(ours.len(), whole.len());
            for (step, (ours, whole)) in ours.iter().zip(&whole).enumerate() {
                assert_eq!(ours.valid_time, whole.valid_time);
                for channel in 0..whole.tensor.dim(1).unwrap() {
                    let field = |state: &State| state.tensor.narrow(1, channel, 1).unwrap().contiguous().unwrap();
                    let apart = apart(&field(ours), &field(whole));
                    assert!(
                        apart <= MOST_APART,
                        "{}: {shards} shards, step {step}, channel {channel}: {apart:e}",
                        case.name
                    );
                }
            }
            println!(
                "{:20} {shards} shards: {:.1e}",
                case.name,
                apart(&ours.last().unwrap().tensor, &whole.last().unwrap().tensor)
            );
        }
    }
}

/// As a user goes; and what cannot be divided says so before anything is read.
#[test]
fn a_forecast_is_asked_for_in_shards() {
    let _turn = turn();
    let case = &fixtures("graphcast")[0];
    let work = tempfile::tempdir().unwrap();
    let package = work.path().join("package");
    done(vejr(&[&"models", &"import", case, &"--output", &package]));
    let (init, output) = (case.join("init.nc"), work.path().join("f.zarr"));
    let ask = |package: &Path, shards: &str, more: &[&dyn AsRef<std::ffi::OsStr>]| {
        let ask: &[&dyn AsRef<std::ffi::OsStr>] = &[
            &"forecast",
            &"--model",
            &package,
            &"--init",
            &init,
            &"--steps",
            &"2",
            &"--output",
            &output,
            &"--shards",
            &shards,
        ];
        vejr(&[ask, more].concat())
    };
    refused(ask(&package, "40", &[]), 2, &["cannot be computed on 40 devices together", "its grid has 11 rows"]);
    assert!(!output.exists());
    done(ask(&package, "2", &[&"--device", &"cpu"]));
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(output.join("zarr.json")).unwrap()).unwrap();
    assert_eq!(told["attributes"]["device"], "cpu (2 shards)");
    let again = done(ask(&package, "2", &[]));
    assert!(again.contains("complete already"), "{again}");
    refused(ask(&package, "0", &[]), 2, &["--shards 0", "expected 1 to 64"]);
    refused(ask(&package, "2", &[&"--device", &"cuda:0,1,2"]), 2, &["3 devices are named"]);
    refused(ask(&package, "2", &[&"--device", &"cuda:1,1"]), 2, &["named twice"]);
    refused(ask(&package, "2", &[&"--device", &"cuda:0,1"]), 4, &["--device cuda:0"]);
    let sfno = Path::new(ROOT).join("models/held-suarez-sfno");
    refused(ask(&sfno, "2", &[]), 2, &["cannot be computed on 2 devices together", "architecture sfno"]);
}

// ---- memory ---------------------------------------------------------------------------------------------------------------

/// Counts what is alive by the device whose thread asked for it; device number 0 is nobody's.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

const DEVICES: usize = 8;
static ALIVE: [AtomicI64; DEVICES] = [const { AtomicI64::new(0) }; DEVICES];
static PEAK: [AtomicI64; DEVICES] = [const { AtomicI64::new(0) }; DEVICES];

thread_local! {
    /// One more than the device's number; 255 as long as the thread was not asked for its name.
    static DEVICE: Cell<u8> = const { Cell::new(u8::MAX) };
}

unsafe extern "C" {
    fn prctl(option: i32, ...) -> i32;
}

fn device_of_thread() -> usize {
    let known = DEVICE.try_with(Cell::get).unwrap_or(0);
    if known != u8::MAX {
        return known.into();
    }
    const PR_GET_NAME: i32 = 16;
    let mut name = [0u8; 16];
    // SAFETY: the kernel writes at most 16 bytes
    unsafe { prctl(PR_GET_NAME, name.as_mut_ptr()) };
    let digit = name.strip_prefix(b"vejr-shard-").map_or(b'0', |rest| rest[0] + 1);
    let device = (digit - b'0').min(DEVICES as u8 - 1);
    let _ = DEVICE.try_with(|cell| cell.set(device));
    device.into()
}

// SAFETY: the system's allocator with the device's number in front of each piece, as far as its alignment asks for
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let front = layout.align().max(16);
        let Ok(larger) = Layout::from_size_align(layout.size() + front, front) else { return std::ptr::null_mut() };
        // SAFETY: the size is not zero
        let start = unsafe { System.alloc(larger) };
        if start.is_null() {
            return start;
        }
        let device = device_of_thread();
        let alive = ALIVE[device].fetch_add(layout.size() as i64, Ordering::Relaxed) + layout.size() as i64;
        PEAK[device].fetch_max(alive, Ordering::Relaxed);
        // SAFETY: `front` bytes lie before what is given out
        unsafe {
            start.cast::<usize>().write(device);
            start.add(front)
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let front = layout.align().max(16);
        // SAFETY: it came from `alloc`
        unsafe {
            let start = piece.sub(front);
            ALIVE[start.cast::<usize>().read()].fetch_sub(layout.size() as i64, Ordering::Relaxed);
            System.dealloc(start, Layout::from_size_align_unchecked(layout.size() + front, front));
        }
    }
}

/// Most that each device held at once while it computed.
fn peaks(package: &ModelPackage, surroundings: &Surroundings, states: &[State], shards: usize) -> Vec<i64> {
    let step = |surroundings: Surroundings| {
        let model = package.load(&group(shards), surroundings).unwrap();
        PEAK.iter().zip(&ALIVE).for_each(|(peak, alive)| peak.store(alive.load(Ordering::Relaxed), Ordering::Relaxed));
        let mut rollout = Rollout::new(&*model, states.to_vec()).unwrap();
        (0..2).for_each(|_| drop(rollout.next().unwrap().unwrap()));
        (1..=shards).map(|device| PEAK[device].load(Ordering::Relaxed)).collect()
    };
    if shards > 1 {
        return step(surroundings.clone());
    }
    // one device is nobody's thread: here it is called as the first of several is
    let pool = rayon::ThreadPoolBuilder::new().thread_name(|_| "vejr-shard-0".to_owned()).build().unwrap();
    pool.install(|| step(surroundings.clone()))
}

/// A larger area for a network of a limited area, of which the whole graph is made here.
#[test]
fn each_device_needs_its_share_of_memory() {
    let _turn = turn();
    let work = tempfile::tempdir().unwrap();
    let folder = &fixtures("neural-lam/artifact")[0];
    let params = work.path().join("params.toml");
    std::fs::write(&params, "n_boundary_points = 10\n").unwrap();
    let path = work.path().join("package");
    let artifact = folder.join("artifact.zip");
    done(vejr(&[&"models", &"import", &artifact, &"--output", &path, &"--params", &params]));
    let package = ModelPackage::open(&path).unwrap();
    let (h, w) = (270, 243);
    let projection = "+proj=lcc +lat_0=56.7 +lon_0=25 +lat_1=56.7 +lat_2=56.7 +R=6367470";
    let projection = Projection::from_proj_string(projection).unwrap();
    let axis = |n: usize, start: f64| (0..n).map(move |i| start + 2500.0 * i as f64);
    let y: Vec<f64> = axis(h, -2e5).rev().collect();
    let grid = Arc::new(Grid::projected(projection, y, axis(w, -1e6).collect()).unwrap());
    let (layout, time) = (package.layout(), "2020-03-28T00:00Z".parse::<ReferenceTime>().unwrap().valid());
    let mut surroundings = Surroundings::none(grid.clone());
    surroundings.statics = vec![0.5; package.channels().statics.len() * grid.len()];
    let read = package.channels().forcings.iter().filter(|channel| channel.formula.is_none()).count();
    let frame = package.frame(&grid).map_or(0, |frame| frame.points().len());
    let step = package.time_step();
    let at = |n: i64| time + LeadTime::from_seconds(n * step.seconds());
    surroundings.forcings = (-2..5).map(|n| (at(n), vec![0.5; read * grid.len()])).collect();
    surroundings.frame = (-2..5).map(|n| (at(n), vec![0.5; layout.len() * frame])).collect();
    let state = |n: i64| {
        let values = noise(layout.len(), grid.len()).flatten_all().unwrap().to_vec1().unwrap();
        State::assemble(values, at(n), layout, &grid, &Device::Cpu).unwrap()
    };
    let states = [state(-1), state(0)];
    let whole = peaks(&package, &surroundings, &states, 1)[0];
    let mut shares = HashMap::new();
    for shards in [2, 4] {
        let most = peaks(&package, &surroundings, &states, shards).into_iter().max().unwrap();
        let share = most as f64 / whole as f64;
        println!(
            "{shards} shards: {:.1} MiB on the fullest device, {:.1} MiB on one: {share:.2}",
            most as f64 / 1048576.0,
            whole as f64 / 1048576.0
        );
        shares.insert(shards, share);
    }
    assert!(shares[&2] <= 0.6 && shares[&4] <= 0.35, "{shares:?}");
}
