//! Kernels for Armv7E-M and Armv8-M cores with the DSP extension: two 16-bit multiply-accumulates an instruction.
//!
//! A kernel here is a safe driver, which gathers values into scratch, and a micro-kernel, which multiplies what lies there.
//! A micro-kernel has two bodies: assembly where the core has the instructions, and a scalar one on the same packed tables
//! everywhere else, so that the host runs the very program that the device runs. `docs/kernels.md` explains the algorithms.

mod byte_runs;
mod byte_windows;
mod conv2d_i8_dsp;
mod dense;
mod depthwise_conv2d_i8_dsp;
mod dw3x3;
mod dw_window;
mod filter_dsp;
mod fully_connected_i8_dsp;
mod gather;
mod gemm;
mod interleave;
mod interleaved_conv2d_i8_dsp;
mod lines;
pub(crate) mod outside;
mod pointwise_conv2d_i8_dsp;
pub(crate) mod tiles;
mod words;

pub use conv2d_i8_dsp::{Conv2dI8Dsp, ConvLayerDsp, conv2d_i8_dsp};
pub use depthwise_conv2d_i8_dsp::{
    DepthwiseConv2dI8Dsp, DepthwiseFilterDsp, DepthwiseLayerDsp, depthwise_conv2d_i8_dsp,
};
pub use filter_dsp::FilterDsp;
pub use fully_connected_i8_dsp::{
    DenseFilterDsp, DenseLayerDsp, FullyConnectedI8Dsp, fully_connected_i8_dsp,
};
pub use interleaved_conv2d_i8_dsp::{InterleavedConv2dI8Dsp, InterleavedLayerDsp, interleaved_conv2d_i8_dsp};
pub use pointwise_conv2d_i8_dsp::{PointwiseConv2dI8Dsp, PointwiseLayerDsp, pointwise_conv2d_i8_dsp};
