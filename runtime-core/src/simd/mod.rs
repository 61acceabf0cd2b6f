//! Kernels for cores with vectors: x86-64 (SSE2, or AVX2 where it is found at run time), wasm32 with simd128, AArch64.
//!
//! A kernel here is a safe driver, which brings values into scratch, and a micro-kernel that is written once over [`Lanes`]:
//! eight sums at a time. Each instruction set is a small file that says what a handful of operations are; there is one in plain Rust,
//! so that every target runs the same program. `docs/kernels.md` explains the algorithms.

mod add_i8_simd;
mod average_pool_i8_simd;
mod conv2d_i8_simd;
mod depthwise_conv2d_i8_simd;
mod filter_simd;
mod fully_connected_i8_simd;
mod gemm;
mod lanes;
mod pointwise_conv2d_i8_simd;
mod ring;

pub use add_i8_simd::add_i8_simd;
pub use average_pool_i8_simd::average_pool_i8_simd;
pub use conv2d_i8_simd::{Conv2dI8Simd, conv2d_i8_simd};
pub use depthwise_conv2d_i8_simd::{DepthwiseConv2dI8Simd, depthwise_conv2d_i8_simd};
pub use filter_simd::{DepthwiseFilterSimd, FilterSimd};
pub use fully_connected_i8_simd::{FullyConnectedI8Simd, fully_connected_i8_simd};
#[cfg(target_arch = "x86_64")]
pub use lanes::level::VectorLevel;
#[cfg(all(target_arch = "x86_64", feature = "std"))]
pub use lanes::level::limit_vectors;
pub use pointwise_conv2d_i8_simd::{PointwiseConv2dI8Simd, pointwise_conv2d_i8_simd};
