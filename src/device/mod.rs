//! Devices and kernels: the only home of `cfg(cuda)` and `unsafe`.
