//! Several devices that compute one state together.

use candle_core::Device;

use super::{DeviceError, DeviceRequest, device_name};

/// More than one machine has.
const MOST_SHARDS: usize = 64;

/// One device, or several of one kind among which each state is divided.
#[derive(Debug, Clone)]
pub struct DeviceGroup(Vec<Device>);

impl DeviceGroup {
    /// As many as `shards` says: those that `request` names (`cuda:0,1`), GPUs from the one that it names on, or of the CPU
    /// shares of its cores.
    pub fn open(request: &str, shards: usize) -> Result<Self, DeviceError> {
        let wrong = |reason: String| Err(DeviceError::Shards { request: request.to_owned(), shards, reason });
        if !(1..=MOST_SHARDS).contains(&shards) {
            return wrong(format!("expected 1 to {MOST_SHARDS}"));
        }
        if let Some((first, others)) = request.split_once(',') {
            let first: DeviceRequest = first.parse()?;
            let others = others.split(',').map(|number| format!("cuda:{number}").parse());
            let all: Vec<DeviceRequest> = std::iter::once(Ok(first)).chain(others).collect::<Result<_, _>>()?;
            if all.len() != shards {
                return wrong(format!(
                    "{} devices are named; expected as many as shards. Members are spread over devices by vejr serve",
                    all.len()
                ));
            }
            if (1..all.len()).any(|n| all[..n].contains(&all[n])) {
                return wrong("a device is named twice".to_owned());
            }
            return Ok(Self(all.into_iter().map(DeviceRequest::open).collect::<Result<_, _>>()?));
        }
        let request: DeviceRequest = request.parse()?;
        match request.open()? {
            Device::Cpu => Ok(Self(vec![Device::Cpu; shards])),
            first => {
                let number = if let DeviceRequest::Cuda(number) = request { number } else { 0 };
                let others = (1..shards).map(|n| DeviceRequest::Cuda(number + n).open());
                Ok(Self(std::iter::once(Ok(first)).chain(others).collect::<Result<_, _>>()?))
            }
        }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: there is one at least.
    pub fn is_empty(&self) -> bool {
        false
    }

    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.0.iter()
    }

    /// The only one.
    pub fn single(&self) -> Option<&Device> {
        match &self.0[..] {
            [device] => Some(device),
            _ => None,
        }
    }

    /// Where whole states lie: on the device, or with several of them on the host.
    pub fn states(&self) -> &Device {
        self.single().unwrap_or(&Device::Cpu)
    }

    /// How they are called in logs and provenance: `cpu`, `cuda`; with several also how many.
    pub fn name(&self) -> String {
        let name = self.0.first().map_or("cpu", device_name);
        if self.len() == 1 { name.to_owned() } else { format!("{name} ({} shards)", self.len()) }
    }
}

impl From<Device> for DeviceGroup {
    fn from(device: Device) -> Self {
        Self(vec![device])
    }
}
