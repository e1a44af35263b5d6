//! Which device computes.

use std::fmt;
use std::str::FromStr;

use candle_core::{Device, DeviceLocation};

/// `--device`: what the user asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceRequest {
    /// The first GPU if this build supports GPUs and there is one, else the CPU; whoever asks is told which.
    #[default]
    Auto,
    Cpu,
    /// This GPU and no other.
    Cuda(usize),
}

/// A device that cannot be had. Never answered by taking another one.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    #[error("{found:?} is no device; expected auto, cpu, cuda, cuda:N, or with --shards cuda:N,M,…")]
    Unknown { found: String },
    #[error("--device {request} --shards {shards}: {reason}")]
    Shards { request: String, shards: usize, reason: String },
    #[error("--device {request}: {reason}")]
    Unavailable { request: DeviceRequest, reason: String },
}

impl DeviceRequest {
    /// Opens the device.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Auto if cuda_devices() == 0 => Ok(Device::Cpu),
            Self::Auto => open_cuda(self, 0),
            Self::Cuda(index) => open_cuda(self, index),
        }
    }
}

impl FromStr for DeviceRequest {
    type Err = DeviceError;
    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| DeviceError::Unknown { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// How a device is called in logs and provenance: `cpu`, `cuda`.
pub fn device_name(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}

/// What NVIDIA calls a GPU everywhere, however its numbers are counted; `None` of what is none.
#[cfg(not(feature = "cuda"))]
pub(super) fn gpu_uuid(_device: &Device) -> Option<String> {
    None
}

/// What NVIDIA calls a GPU everywhere, however its numbers are counted; `None` of what is none.
#[cfg(feature = "cuda")]
pub(super) fn gpu_uuid(device: &Device) -> Option<String> {
    let Device::Cuda(device) = device else { return None };
    let uuid = device.cuda_stream().context().uuid().ok()?;
    let digits = hex::encode(uuid.bytes.map(|byte| byte as u8));
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    Some(format!("GPU-{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)))
}

/// Which device, where a process has several: a GPU by the number that `--device` has, a CPU by its place among them.
pub fn device_label(device: &Device, place: usize) -> String {
    match device.location() {
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        _ => format!("{}:{place}", device_name(device)),
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda_devices() -> usize {
    0
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(request: DeviceRequest, _index: usize) -> Result<Device, DeviceError> {
    let reason = "this vejr was built without GPU support; use --device cpu, or build it with make cuda".to_owned();
    Err(DeviceError::Unavailable { request, reason })
}

#[cfg(feature = "cuda")]
fn cuda_devices() -> usize {
    count_cuda_devices().unwrap_or(0)
}

/// GPUs that the driver knows, or why there are none.
#[cfg(feature = "cuda")]
fn count_cuda_devices() -> Result<usize, String> {
    use candle_core::cuda_backend::cudarc::driver::{CudaContext, sys};
    // SAFETY: only asks whether the driver's library can be loaded, without which every other call panics.
    if !unsafe { sys::is_culib_present() } {
        return Err("NVIDIA's driver is not installed on this machine: there is no libcuda.so.1".to_owned());
    }
    let count = CudaContext::device_count().map_err(|error| format!("NVIDIA's driver finds no GPU: {error}"))?;
    Ok(count.max(0) as usize)
}

#[cfg(feature = "cuda")]
fn open_cuda(request: DeviceRequest, index: usize) -> Result<Device, DeviceError> {
    use candle_core::cuda_backend::cudarc::{cublas, curand, driver};
    let unavailable = |reason| DeviceError::Unavailable { request, reason };
    let count = count_cuda_devices().map_err(unavailable)?;
    if index >= count {
        return Err(unavailable(format!("this machine has {count} NVIDIA GPU(s) with a working driver")));
    }
    let (mut version, needed) = (0, driver::sys::CUDA_VERSION as i32);
    // SAFETY: writes one integer.
    let asked = unsafe { driver::sys::cuDriverGetVersion(&mut version) };
    if asked == driver::sys::CUresult::CUDA_SUCCESS && version < needed {
        let cuda = |version: i32| format!("CUDA {}.{}", version / 1000, version % 1000 / 10);
        let versions = format!("it is for {}, and this vejr needs {}", cuda(version), cuda(needed));
        return Err(unavailable(format!("NVIDIA's driver is too old: {versions}")));
    }
    // SAFETY: only asks whether they can be loaded, without which opening the device panics.
    let (has_cublas, has_curand) = unsafe { (cublas::sys::is_culib_present(), curand::sys::is_culib_present()) };
    if let Some((name, _)) = [("cuBLAS", has_cublas), ("cuRAND", has_curand)].iter().find(|(_, present)| !present) {
        let advice = "install it, and name its folder in LD_LIBRARY_PATH (deploy/cuda.md)";
        return Err(unavailable(format!("NVIDIA's library {name} cannot be loaded: {advice}")));
    }
    Device::new_cuda(index).map_err(|error| unavailable(error.to_string()))
}
