//! Proof that a package computes what the reference implementation computed.

use candle_core::{Device, Tensor};

use super::{ModelPackage, PackageError};

/// Agreement of one output channel.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelParity {
    pub channel: String,
    /// `‖ours − reference‖₂ / ‖reference‖₂` over batch and points.
    pub relative_l2: f64,
}

/// Parity that could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum ParityError {
    #[error("the package has no [parity] section, nothing to compare with")]
    Nothing,
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error("{file}: {reason}")]
    File { file: String, reason: String },
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl ModelPackage {
    /// Runs the network on the package's reference input (`input`, `[B, C, H, W]`, as the network sees it) and compares
    /// with the reference output (`output`), channel by channel. Returns the tolerance and the agreement.
    pub fn parity(&self, device: &Device) -> Result<(f64, Vec<ChannelParity>), ParityError> {
        let section = self.manifest().parity.as_ref().ok_or(ParityError::Nothing)?;
        let file = |reason: String| ParityError::File { file: section.file.clone(), reason };
        let network = self.load_network(device)?.ok_or(ParityError::Nothing)?;
        let tensors = candle_core::safetensors::load(self.path().join(&section.file), device)
            .map_err(|error| file(error.to_string()))?;
        let tensor = |name: &str| {
            tensors.get(name).ok_or_else(|| file(format!("no tensor {name:?}; expected input and output")))
        };
        let (input, reference) = (tensor("input")?, tensor("output")?);
        let output = network.forward(input)?;
        if output.dims() != reference.dims() {
            return Err(file(format!(
                "output has shape {:?}; the network gives {:?}",
                reference.dims(),
                output.dims()
            )));
        }
        let difference = norms(&(&output - reference)?)?;
        let reference = norms(reference)?;
        let channels =
            self.layout().iter().zip(difference.iter().zip(&reference)).map(|(channel, (difference, reference))| {
                ChannelParity { channel: channel.label(), relative_l2: difference / reference.max(f64::MIN_POSITIVE) }
            });
        Ok((section.tolerance, channels.collect()))
    }
}

/// Euclidean norm of each channel of `[B, C, H, W]`, summed in float64.
fn norms(x: &Tensor) -> candle_core::Result<Vec<f64>> {
    let x = x.transpose(0, 1)?.flatten_from(1)?.to_vec2::<f32>()?;
    Ok(x.iter().map(|row| row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt()).collect())
}
