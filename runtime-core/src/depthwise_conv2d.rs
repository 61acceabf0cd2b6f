//! Depthwise convolution: every output channel reads one input channel.

use crate::requantize::clamp_float;
use crate::{Block, Filter, FilterF32, Image, Window, view_mut};
use core::ops::Range;

const fn check(
    input: &Image,
    output: &Image,
    multiplier: usize,
    size: usize,
    arena: usize,
) -> Result<(), &'static str> {
    if input.channels * multiplier != output.channels {
        return Err("depthwise_conv2d: output channels must be input channels times depth_multiplier");
    }
    if !input.fits(size, arena) || !output.fits(size, arena) {
        return Err("depthwise_conv2d: image outside of the arena");
    }
    Ok(())
}

/// Parameters of [`depthwise_conv2d_i8`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseConv2dI8 {
    /// Input image, int8.
    pub input: Image,
    /// Output image, int8.
    pub output: Image,
    /// Kernel extents, strides, dilations and padding.
    pub window: Window,
    /// Output channels for each input channel.
    pub depth_multiplier: usize,
    /// Zero point of the input, the value of padding.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
}

impl DepthwiseConv2dI8 {
    /// Whether images and tables fit together in `arena` bytes.
    pub const fn check(&self, filter: &Filter, arena: usize) -> Result<(), &'static str> {
        if !filter.fits(self.output.channels, self.window.height * self.window.width) {
            return Err("depthwise_conv2d_i8: tables do not fit the output channels");
        }
        check(&self.input, &self.output, self.depth_multiplier, 1, arena)
    }
}

/// Computes output `rows`:
/// `y[c] = clamp(zp_y + requantize(bias[c] + sum(x[c / m] * w[c]) - zp_w[c] * sum(x[c / m])))`, weights `[c][ky][kx]`.
pub fn depthwise_conv2d_i8(mem: &mut [Block], p: &DepthwiseConv2dI8, rows: Range<usize>, filter: &Filter) {
    let mem = view_mut::<i8>(mem);
    let taps = p.window.height * p.window.width;
    for y in rows {
        for channel in 0..p.output.channels {
            let from = channel.checked_div(p.depth_multiplier).unwrap_or(0);
            let weights = filter.weights.get(channel * taps..).unwrap_or(&[]);
            let bias = filter.bias.get(channel).copied().unwrap_or(0);
            let zero_point = filter.weight_zero_point.get(channel).copied().unwrap_or(0) as i32;
            for x in 0..p.output.width {
                let mut acc = bias;
                let mut weights = weights.iter();
                for ky in 0..p.window.height {
                    let row = p.window.input_row(y, ky, p.input.height);
                    for (kx, &w) in (0..p.window.width).zip(&mut weights) {
                        let value = match (row, p.window.input_col(x, kx, p.input.width)) {
                            (Some(row), Some(col)) => {
                                mem.get(p.input.at(row, col, from)).copied().unwrap_or(0)
                            }
                            _ => p.input_zero_point,
                        };
                        acc = acc.wrapping_add(value as i32 * (w as i32 - zero_point));
                    }
                }
                let q = filter.requantize(channel, acc).wrapping_add(p.output_zero_point as i32);
                if let Some(to) = mem.get_mut(p.output.at(y, x, channel)) {
                    *to = q.max(p.min as i32).min(p.max as i32) as i8;
                }
            }
        }
    }
}

/// Parameters of [`depthwise_conv2d_f32`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DepthwiseConv2dF32 {
    /// Input image.
    pub input: Image,
    /// Output image.
    pub output: Image,
    /// Kernel extents, strides, dilations and padding.
    pub window: Window,
    /// Output channels for each input channel.
    pub depth_multiplier: usize,
    /// Smallest output.
    pub min: f32,
    /// Largest output.
    pub max: f32,
}

impl DepthwiseConv2dF32 {
    /// Whether images and tables fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterF32, arena: usize) -> Result<(), &'static str> {
        if !filter.fits(self.output.channels, self.window.height * self.window.width) {
            return Err("depthwise_conv2d_f32: tables do not fit the output channels");
        }
        check(&self.input, &self.output, self.depth_multiplier, 4, arena)
    }
}

/// Computes output `rows`: `y[c] = clamp(sum(x[c / m] * w[c]) + bias[c])`, weights `[c][ky][kx]`. Padding adds nothing.
pub fn depthwise_conv2d_f32(
    mem: &mut [Block],
    p: &DepthwiseConv2dF32,
    rows: Range<usize>,
    filter: &FilterF32,
) {
    let mem = view_mut::<f32>(mem);
    let taps = p.window.height * p.window.width;
    for y in rows {
        for channel in 0..p.output.channels {
            let from = channel.checked_div(p.depth_multiplier).unwrap_or(0);
            let weights = filter.weights.get(channel * taps..).unwrap_or(&[]);
            let bias = filter.bias.get(channel).copied().unwrap_or(0.0);
            for x in 0..p.output.width {
                let mut acc = 0.0f32;
                let mut weights = weights.iter();
                for ky in 0..p.window.height {
                    let row = p.window.input_row(y, ky, p.input.height);
                    for (kx, &w) in (0..p.window.width).zip(&mut weights) {
                        if let (Some(row), Some(col)) = (row, p.window.input_col(x, kx, p.input.width)) {
                            acc += mem.get(p.input.at(row, col, from)).copied().unwrap_or(0.0) * w;
                        }
                    }
                }
                if let Some(to) = mem.get_mut(p.output.at(y, x, channel)) {
                    *to = clamp_float(acc + bias, p.min, p.max);
                }
            }
        }
    }
}
