//! Kernels for Armv8.1-M cores with vectors of 16 bytes (MVE, "Helium"): Cortex-M52, M55 and M85.
//!
//! As in the family for DSP cores, a kernel is a safe driver and a micro-kernel of two bodies: assembly where the core has the
//! instructions, and a scalar one on the same packed tables everywhere else. The last vector of a sum or of a row is
//! predicated: lanes beyond the end read zeros and write nothing, so that no length has to be a multiple of anything.
//!
//! Requantization is `vrmulh.s32`, which computes `(acc * M + 2^31) >> 32` in four lanes: the definition itself.

mod conv2d_i8_mve;
mod copy_rows;
mod dense;
mod depthwise;
mod depthwise_conv2d_i8_mve;
mod filter_mve;
mod fully_connected_i8_mve;
mod gemm;
mod pointwise_conv2d_i8_mve;
mod runs;
mod strips;
mod transpose;

pub use conv2d_i8_mve::{Conv2dI8Mve, conv2d_i8_mve};
pub use depthwise_conv2d_i8_mve::{DepthwiseConv2dI8Mve, depthwise_conv2d_i8_mve};
pub use filter_mve::{DenseFilterMve, FilterMve};
pub use fully_connected_i8_mve::{FullyConnectedI8Mve, fully_connected_i8_mve};
pub use pointwise_conv2d_i8_mve::{PointwiseConv2dI8Mve, pointwise_conv2d_i8_mve};

/// What follows the sums of a layer: zero point and clamp.
#[derive(Clone, Copy)]
struct Range {
    zero_point: i32,
    min: i32,
    max: i32,
}

impl Range {
    fn new(zero_point: i8, min: i8, max: i8) -> Range {
        Range { zero_point: zero_point as i32, min: min as i32, max: max as i32 }
    }

    /// An output, from a sum.
    #[cfg(not(kiln_kernels = "mve"))]
    fn quantize(&self, acc: i32, multiplier: i32) -> i8 {
        let q = crate::requantize(acc, multiplier, 0).wrapping_add(self.zero_point);
        q.max(self.min).min(self.max) as i8
    }
}
