//! Devices, groups of them, and kernels: the only home of `cfg(cuda)` and `unsafe`.
//!
//! A kernel is a function on tensors. On the CPU it is ours; on other devices it is made of Candle's operations.

mod activation;
mod channel_norm;
mod energy;
mod exchange;
mod group;
mod health;
mod layer_norm;
mod linear;
mod matmul;
mod memory;
mod message_passing;
mod mlp;
mod perceptron;
mod select;
mod slices;
mod threads;
mod transpose;
mod weights;

pub use activation::Activation;
pub use channel_norm::channel_norm;
pub use energy::{Energy, EnergyLap, EnergyMeter};
pub use exchange::Peer;
pub use group::DeviceGroup;
pub use health::{DeviceWatch, HealthCheck};
pub use linear::{add, linear};
pub use matmul::{BatchAxis, Triangle, batched_complex_matmul, batched_matmul};
pub use memory::peak_resident_bytes;
pub use message_passing::{EdgeInput, Messages, ReceiverEdges, message_passing};
pub use mlp::residual_mlp;
pub use perceptron::Perceptron;
pub use select::{DeviceError, DeviceRequest, device_label, device_name};
pub use threads::leave_threads_to_rayon;
pub use transpose::transposed;
pub use weights::map_weights;
// for benches/kernels.rs
#[doc(hidden)]
pub use {activation::wide_silu, layer_norm::layer_norm_rows};
