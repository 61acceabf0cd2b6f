//! Kernels for cores of 32 bits without SIMD: Cortex-M0+, M3, M23 and RV32.
//!
//! As in the other families, a kernel is a safe driver and a micro-kernel. One multiplication serves two pixels, which lie 16 bits
//! apart in a word ([`sums`]). Cortex-M0+ and M23, whose multiplier gives 32 bits of a product only, have assembly, and a
//! requantization without 64-bit products ([`short`]); the others run the portable bodies. `docs/kernels.md` explains the
//! algorithms.

mod conv2d_i8_scalar;
mod dense;
mod depthwise_conv2d_i8_scalar;
mod dw3x3;
mod filter_scalar;
mod fully_connected_i8_scalar;
mod gather;
mod gemm;
#[cfg(kiln_short_products)]
mod gemm_thumb;
mod pair_plane;
mod pixels;
mod pointwise_conv2d_i8_scalar;
mod ring;
mod short;
mod sums;
#[cfg(kiln_short_products)]
mod thumb;

pub use conv2d_i8_scalar::{Conv2dI8Scalar, conv2d_i8_scalar};
pub use depthwise_conv2d_i8_scalar::{DepthwiseConv2dI8Scalar, depthwise_conv2d_i8_scalar};
pub use filter_scalar::FilterScalar;
pub use fully_connected_i8_scalar::{FullyConnectedI8Scalar, fully_connected_i8_scalar};
pub use pointwise_conv2d_i8_scalar::{PointwiseConv2dI8Scalar, pointwise_conv2d_i8_scalar};
