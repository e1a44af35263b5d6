//! Joules, from the counters that a machine has: NVIDIA's (NVML) of its GPUs, and RAPL of its CPUs, as Linux shows them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use candle_core::Device;

use super::DeviceGroup;
use super::select::gpu_uuid;

/// Where Linux has RAPL.
const POWERCAP: &str = "/sys/class/powercap";
/// For power without work: counters are renewed every millisecond (RAPL) to every 100 ms (NVML).
const IDLE: Duration = Duration::from_millis(300);

/// What was used since a lap began.
#[derive(Debug, Clone, PartialEq)]
pub struct Energy {
    pub joules: f64,
    /// Of these, what would have been used without work, too: power before the work began, times the time.
    pub idle_joules: f64,
    /// Of what, and who counted.
    pub source: Arc<str>,
}

/// The counters of what a device computes with, if there are any that may be read.
///
/// They count all that a GPU or a CPU does, whoever asks for it. What several laps of one process have in common, such as
/// the CPUs, they share: each joule is told once.
#[derive(Debug)]
pub struct EnergyMeter {
    gauges: Vec<Arc<Gauge>>,
    source: Arc<str>,
}

impl EnergyMeter {
    /// The meter of one device; see [`EnergyMeter::each`].
    pub fn new(device: &Device) -> Option<Self> {
        Self::each(std::slice::from_ref(device)).pop().flatten()
    }

    /// One meter of devices that compute together.
    pub fn together(devices: &DeviceGroup) -> Option<Self> {
        let own = devices.iter().filter_map(gpu_counter).collect();
        Self::of(rapl(Path::new(POWERCAP)), vec![own], IDLE).pop().flatten()
    }

    /// A meter for each device; they know what they share. Takes a moment, in which nothing should be computed: what is used
    /// then is the idle share. `None` where nothing counts.
    pub fn each(devices: &[Device]) -> Vec<Option<Self>> {
        let own = devices.iter().map(|device| gpu_counter(device).into_iter().collect());
        Self::of(rapl(Path::new(POWERCAP)), own.collect(), IDLE)
    }

    /// From the machine's counters, and those of each device.
    fn of(machine: Vec<Counter>, own: Vec<Vec<Counter>>, idle: Duration) -> Vec<Option<Self>> {
        let mut counters = machine.clone();
        for counter in own.iter().flatten() {
            if !counters.contains(counter) {
                counters.push(counter.clone());
            }
        }
        if counters.is_empty() {
            return own.iter().map(|_| None).collect();
        }
        let gauges: Vec<Gauge> = counters.into_iter().map(Gauge::new).collect();
        for gauge in &gauges {
            gauge.turn(Turn::Begin);
        }
        std::thread::sleep(idle);
        let with_idle = |mut gauge: Gauge| {
            let share = gauge.turn(Turn::End);
            gauge.idle = if share.seconds > 0.0 { share.joules / share.seconds } else { 0.0 };
            Arc::new(gauge)
        };
        let gauges: Vec<Arc<Gauge>> = gauges.into_iter().map(with_idle).collect();
        let meter = |own: Vec<Counter>| {
            let is_its = |gauge: &&Arc<Gauge>| own.contains(&gauge.counter) || machine.contains(&gauge.counter);
            let gauges: Vec<Arc<Gauge>> = gauges.iter().filter(is_its).cloned().collect();
            let mut names: Vec<&str> = gauges.iter().map(|gauge| &*gauge.counter.name).collect();
            names.dedup();
            let source = names.join(", ").into();
            (!gauges.is_empty()).then_some(Self { gauges, source })
        };
        own.into_iter().map(meter).collect()
    }

    /// From now on.
    pub fn begin(&self) -> EnergyLap {
        let began = self.gauges.iter().map(|gauge| (gauge.clone(), gauge.turn(Turn::Begin))).collect();
        EnergyLap { began, source: self.source.clone() }
    }
}

/// A measurement under way.
#[derive(Debug)]
pub struct EnergyLap {
    /// Counters, and what one lap's share of each was when this one began.
    began: Vec<(Arc<Gauge>, Share)>,
    source: Arc<str>,
}

impl EnergyLap {
    /// What was used until now. Counters run over after minutes to hours, so this is asked at every step.
    pub fn used(&mut self) -> Energy {
        let mut used = Energy { joules: 0.0, idle_joules: 0.0, source: self.source.clone() };
        for (gauge, began) in &self.began {
            let now = gauge.turn(Turn::Look);
            let joules = now.joules - began.joules;
            used.joules += joules;
            used.idle_joules += (gauge.idle * (now.seconds - began.seconds)).min(joules);
        }
        used
    }
}

impl Drop for EnergyLap {
    fn drop(&mut self) {
        for (gauge, _) in &self.began {
            gauge.turn(Turn::End);
        }
    }
}

/// A counter, and how many share what it counts.
#[derive(Debug)]
struct Gauge {
    counter: Counter,
    /// W, before the work began.
    idle: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Microjoules; `None` as long as it could not be read.
    last: Option<u64>,
    at: Instant,
    laps: u32,
    share: Share,
}

/// What somebody would have used who had one lap under way all the time.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    joules: f64,
    seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Turn {
    Begin,
    Look,
    End,
}

impl Gauge {
    fn new(counter: Counter) -> Self {
        let state = State { last: counter.read(), at: Instant::now(), laps: 0, share: Share::default() };
        Self { counter, idle: 0.0, state: Mutex::new(state) }
    }

    /// Shares out what was used since the last turn among the laps of that time.
    fn turn(&self, turn: Turn) -> Share {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, now) = (state.last, self.counter.read());
        let seconds = state.at.elapsed().as_secs_f64();
        if state.laps > 0 {
            let laps = f64::from(state.laps);
            state.share.seconds += seconds / laps;
            if let (Some(before), Some(now)) = (before, now) {
                state.share.joules += self.counter.between(before, now) as f64 * 1e-6 / laps;
            }
        }
        (state.last, state.at) = (now.or(before), Instant::now());
        match turn {
            Turn::Begin => state.laps += 1,
            Turn::End => state.laps = state.laps.saturating_sub(1),
            Turn::Look => {}
        }
        state.share
    }
}

/// Something that counts energy upwards.
#[derive(Debug, Clone, PartialEq)]
struct Counter {
    name: Arc<str>,
    from: From,
}

#[derive(Debug, Clone)]
enum From {
    /// A file of microjoules, which begins anew after so many.
    Rapl { file: PathBuf, range: u64 },
    /// Millijoules since the driver was loaded.
    Nvml { nvml: Arc<nvml_wrapper::Nvml>, uuid: String },
}

impl PartialEq for From {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rapl { file, .. }, Self::Rapl { file: other, .. }) => file == other,
            (Self::Nvml { uuid, .. }, Self::Nvml { uuid: other, .. }) => uuid == other,
            _ => false,
        }
    }
}

impl Counter {
    /// Microjoules.
    fn read(&self) -> Option<u64> {
        match &self.from {
            From::Rapl { file, .. } => number(file),
            From::Nvml { nvml, uuid } => {
                let counted = nvml.device_by_uuid(uuid.as_str()).and_then(|gpu| gpu.total_energy_consumption());
                counted.ok().map(|millijoules| millijoules.saturating_mul(1000))
            }
        }
    }

    fn between(&self, before: u64, now: u64) -> u64 {
        match &self.from {
            From::Rapl { range, .. } if now < before => (range.saturating_sub(before)).saturating_add(now),
            _ => now.saturating_sub(before),
        }
    }
}

fn gpu_counter(device: &Device) -> Option<Counter> {
    let uuid = gpu_uuid(device)?;
    let nvml = Arc::new(nvml_wrapper::Nvml::init().ok()?);
    let name = nvml.device_by_uuid(uuid.as_str()).ok()?.name().ok()?;
    let counter = Counter { name: format!("{name} (NVML)").into(), from: From::Nvml { nvml, uuid } };
    counter.read().is_some().then_some(counter)
}

/// CPU packages and their memory. Usually only root may read them.
fn rapl(folder: &Path) -> Vec<Counter> {
    let Ok(zones) = fs::read_dir(folder) else { return Vec::new() };
    let mut zones: Vec<PathBuf> = zones.flatten().map(|zone| zone.path()).collect();
    zones.sort();
    let counter = |zone: PathBuf| {
        let name = fs::read_to_string(zone.join("name")).ok()?;
        // others are parts of these, or the whole machine
        let name = match name.trim() {
            name if name.starts_with("package") => "CPU packages (RAPL)",
            "dram" => "memory (RAPL)",
            _ => return None,
        };
        let (file, range) = (zone.join("energy_uj"), number(&zone.join("max_energy_range_uj"))?);
        let counter = Counter { name: name.into(), from: From::Rapl { file, range } };
        counter.read().is_some().then_some(counter)
    };
    // the same counters are there a second time, as those of another interface
    let own = |zone: &PathBuf| {
        let name = zone.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("intel-rapl:")
    };
    let mut counters: Vec<Counter> = zones.into_iter().filter(own).filter_map(counter).collect();
    counters.sort_by(|a, b| a.name.cmp(&b.name));
    counters
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(folder: &Path, zone: &str, name: &str, microjoules: u64) -> PathBuf {
        let zone = folder.join(zone);
        fs::create_dir_all(&zone).unwrap();
        fs::write(zone.join("name"), format!("{name}\n")).unwrap();
        fs::write(zone.join("max_energy_range_uj"), "1000000000\n").unwrap();
        fs::write(zone.join("energy_uj"), format!("{microjoules}\n")).unwrap();
        zone.join("energy_uj")
    }

    fn meter(folder: &Path) -> Option<EnergyMeter> {
        EnergyMeter::of(rapl(folder), vec![Vec::new()], Duration::ZERO).pop().unwrap()
    }

    #[test]
    fn what_several_use_at_once_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = zone(folder.path(), "intel-rapl:0", "package-0", 0);
        let meters = EnergyMeter::of(rapl(folder.path()), vec![Vec::new(), Vec::new()], Duration::ZERO);
        let [Some(one), Some(other)] = meters.as_slice() else { panic!("two meters") };
        let count = |microjoules: u64| fs::write(&file, format!("{microjoules}\n")).unwrap();
        let mut first = one.begin();
        count(10_000_000);
        let mut second = other.begin();
        count(30_000_000);
        assert!((first.used().joules - 20.0).abs() < 1e-9 && (second.used().joules - 10.0).abs() < 1e-9);
        count(40_000_000);
        drop(second);
        count(45_000_000);
        // 10, half of 20, half of 10, 5
        assert!((first.used().joules - 30.0).abs() < 1e-9);
    }

    #[test]
    fn packages_and_memory_are_counted_once_and_over_their_range() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let first = zone(folder, "intel-rapl:0", "package-0", 5_000_000);
        let second = zone(folder, "intel-rapl:1", "package-1", 999_000_000);
        let memory = zone(folder, "intel-rapl:0:1", "dram", 0);
        let part = zone(folder, "intel-rapl:0:0", "core", 0);
        let machine = zone(folder, "intel-rapl:2", "psys", 0);
        let again = zone(folder, "intel-rapl-mmio:0", "package-0", 0);
        let meter = meter(folder).unwrap();
        assert_eq!(&*meter.source, "CPU packages (RAPL), memory (RAPL)");
        let mut lap = meter.begin();
        fs::write(&first, "7000000\n").unwrap();
        fs::write(&second, "500000\n").unwrap();
        fs::write(&memory, "250000\n").unwrap();
        for other in [part, machine, again] {
            fs::write(other, "900000000\n").unwrap();
        }
        let used = lap.used();
        // 2 J, 1.5 J past the end of the range, 0.25 J
        assert!((used.joules - 3.75).abs() < 1e-9, "{used:?}");
        assert_eq!(used.idle_joules, 0.0);
        // one that cannot be read for a while loses nothing
        fs::remove_file(&first).unwrap();
        assert!((lap.used().joules - 3.75).abs() < 1e-9);
        fs::write(&first, "8000000\n").unwrap();
        assert!((lap.used().joules - 4.75).abs() < 1e-9);
    }

    #[test]
    fn the_idle_share_is_power_without_work_times_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = zone(folder.path(), "intel-rapl:0", "package-0", 0);
        let mut meter = meter(folder.path()).unwrap();
        Arc::get_mut(&mut meter.gauges[0]).unwrap().idle = 10.0;
        let mut lap = meter.begin();
        std::thread::sleep(Duration::from_millis(50));
        fs::write(&file, "100000000\n").unwrap();
        let used = lap.used();
        assert!(used.idle_joules >= 0.5 && used.idle_joules < 20.0, "{used:?}");
        assert_eq!(used.joules, 100.0);
    }

    #[test]
    fn where_nothing_counts_nothing_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        assert!(meter(folder.path()).is_none());
        assert!(rapl(&folder.path().join("missing")).is_empty());
    }
}
