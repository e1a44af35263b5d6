//! Joules, from the counters that a machine has: NVIDIA's (NVML) of its GPUs, and RAPL of its CPUs, as Linux shows them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::Device;

use super::select::gpu_uuid;

/// Where Linux has RAPL.
const POWERCAP: &str = "/sys/class/powercap";
/// For power without work: counters are renewed every millisecond (RAPL) to every 100 ms (NVML).
const IDLE: Duration = Duration::from_millis(300);

/// What was used since a meter began.
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
/// They count all that a GPU or a CPU does, whoever asks for it.
#[derive(Debug)]
pub struct EnergyMeter {
    counters: Vec<Counter>,
    /// W, before the work began.
    idle: f64,
    source: Arc<str>,
}

impl EnergyMeter {
    /// Takes a moment, in which nothing should be computed: what is used then is the idle share. `None` where nothing
    /// counts.
    pub fn new(device: &Device) -> Option<Self> {
        Self::of(gpu_counter(device).into_iter().chain(rapl(Path::new(POWERCAP))).collect(), IDLE)
    }

    fn of(counters: Vec<Counter>, idle: Duration) -> Option<Self> {
        if counters.is_empty() {
            return None;
        }
        let mut names: Vec<&str> = counters.iter().map(|counter| &*counter.name).collect();
        names.dedup();
        let source = names.join(", ").into();
        let mut meter = Self { counters, idle: 0.0, source };
        let mut lap = meter.begin();
        std::thread::sleep(idle);
        lap.look();
        let (joules, seconds) = (lap.joules, lap.begin.elapsed().as_secs_f64());
        meter.idle = joules / seconds;
        Some(meter)
    }

    /// From now on.
    pub fn begin(&self) -> EnergyLap {
        let counters = self.counters.clone();
        let last = counters.iter().map(Counter::read).collect();
        let (begin, joules) = (Instant::now(), 0.0);
        EnergyLap { counters, last, joules, idle: self.idle, source: self.source.clone(), begin }
    }
}

/// A measurement under way.
#[derive(Debug)]
pub struct EnergyLap {
    counters: Vec<Counter>,
    /// Microjoules; `None` of a counter that could not be read.
    last: Vec<Option<u64>>,
    joules: f64,
    idle: f64,
    source: Arc<str>,
    begin: Instant,
}

impl EnergyLap {
    /// What was used until now. Counters run over after minutes to hours, so this is asked at every step.
    pub fn used(&mut self) -> Energy {
        self.look();
        let idle_joules = (self.idle * self.begin.elapsed().as_secs_f64()).min(self.joules);
        Energy { joules: self.joules, idle_joules, source: self.source.clone() }
    }

    fn look(&mut self) {
        for (counter, last) in self.counters.iter().zip(&mut self.last) {
            let now = counter.read();
            if let (Some(before), Some(now)) = (*last, now) {
                self.joules += counter.between(before, now) as f64 * 1e-6;
            }
            *last = now.or(*last);
        }
    }
}

/// Something that counts energy upwards.
#[derive(Debug, Clone)]
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
        let meter = EnergyMeter::of(rapl(folder), Duration::ZERO).unwrap();
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
        let mut meter = EnergyMeter::of(rapl(folder.path()), Duration::ZERO).unwrap();
        meter.idle = 10.0;
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
        assert!(EnergyMeter::of(rapl(folder.path()), Duration::ZERO).is_none());
        assert!(rapl(&folder.path().join("missing")).is_empty());
    }
}
