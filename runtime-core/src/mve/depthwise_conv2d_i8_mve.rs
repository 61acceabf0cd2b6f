//! int8 depthwise convolution on padded planes, four neighbouring outputs at a time.

use super::depthwise::{self, Channel, Walk};
use super::strips::Strips;
use crate::dsp::outside::{self, Outside};
use crate::dsp::tiles;
use crate::{Block, Filter, Image, Window, view_mut};
use core::ops::Range;

/// Parameters of [`depthwise_conv2d_i8_mve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseConv2dI8Mve {
    /// Input image, int8.
    pub input: Image,
    /// Output image, int8.
    pub output: Image,
    /// Kernel extents, strides, dilation of rows, and padding; columns are not dilated.
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
    /// Most rows that are computed from one copy of a plane: more of them cost more scratch and fewer instructions.
    pub strip: usize,
    /// Byte offset of [`DepthwiseConv2dI8Mve::scratch_len`] bytes, a multiple of 16: a strip of one padded plane.
    pub scratch: usize,
}

impl DepthwiseConv2dI8Mve {
    const fn strips(&self) -> Strips<'_> {
        Strips {
            input: &self.input,
            output: &self.output,
            window: &self.window,
            depth_multiplier: self.depth_multiplier,
            zero_point: self.input_zero_point,
            most: self.strip,
        }
    }

    /// Rows that are computed from one copy of a plane.
    pub const fn strip(&self) -> usize {
        self.strips().strip()
    }

    const fn taps(&self) -> usize {
        self.window.height * self.window.width
    }

    /// Bytes of scratch: the last vector of a row reads three windows beyond it.
    pub const fn scratch_len(&self) -> usize {
        (self.strips().len() + 3 * self.window.stride_w).next_multiple_of(16)
    }

    /// Whether the output may begin where the input begins: every channel is copied as a whole before its output is written,
    /// which does not reach beyond it.
    pub const fn in_place(&self) -> bool {
        let whole = self.strips().strip() >= self.output.height && self.depth_multiplier == 1;
        whole && tiles::planes_within(&self.input, &self.output)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &Filter, arena: usize) -> Result<(), &'static str> {
        if self.input.channels * self.depth_multiplier != self.output.channels {
            return Err(
                "depthwise_conv2d_i8_mve: output channels must be input channels times depth_multiplier",
            );
        }
        if self.window.dilation_w != 1 {
            return Err("depthwise_conv2d_i8_mve: columns cannot be dilated");
        }
        if self.taps() == 0 || self.output.elements() == 0 {
            return Err("depthwise_conv2d_i8_mve: nothing to compute");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("depthwise_conv2d_i8_mve: image outside of the arena");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("depthwise_conv2d_i8_mve: scratch outside of the arena");
        }
        let plain = filter.shift.is_empty() && filter.weight_zero_point.is_empty();
        if !plain || !filter.fits(self.output.channels, self.taps()) {
            return Err("depthwise_conv2d_i8_mve: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`depthwise_conv2d_i8`](crate::depthwise_conv2d_i8) with symmetric weights and multipliers below
/// 0.5, from the same tables.
pub fn depthwise_conv2d_i8_mve(
    mem: &mut [Block],
    p: &DepthwiseConv2dI8Mve,
    rows: Range<usize>,
    filter: &Filter,
) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    p.strips().run(&mut outside, view_mut(scratch), rows.clone(), |outside, c, strip, plane| {
        let weights = filter.weights.get(c * p.taps()..).and_then(|weights| weights.get(..p.taps()));
        let (Some(weights), Some(&bias), Some(&multiplier)) =
            (weights, filter.bias.get(c), filter.multiplier.get(c))
        else {
            return;
        };
        let channel = Channel { weights, bias, multiplier, zero_point: p.output_zero_point as i32 };
        one_channel(&channel, outside, (p, c), strip, plane);
    });
    tiles::clamp_any(&mut outside, &p.output, rows, p.min, p.max);
}

#[inline(always)]
fn one_channel(
    channel: &Channel,
    outside: &mut Outside,
    (p, c): (&DepthwiseConv2dI8Mve, usize),
    strip: Range<usize>,
    plane: &[i8],
) {
    let (w, output, stride) = (&p.window, &p.output, p.strips().stride());
    let walk = Walk { kernel: (w.height, w.width), row: w.dilation_h * stride, step: w.stride_w };
    let next = w.stride_h * stride;
    // Rows of a ring lie apart.
    let whole = output.ring >= output.height;
    if depthwise::is_3x3(&walk, w.stride_h) && output.layout.col == 1 && whole {
        let len = strip.len().saturating_sub(1) * output.layout.row + output.width;
        let out = (outside.get_mut(output.at(strip.start, 0, c), len), output.layout.row);
        depthwise::rows_3x3(channel, (plane, walk, next), out, (strip.len(), output.width));
        return;
    }
    for (i, y) in strip.enumerate() {
        let out = outside.get_mut(output.at(y, 0, c), (output.width - 1) * output.layout.col + 1);
        let plane = plane.get(i * next..).unwrap_or(&[]);
        depthwise::row(channel, plane, walk, out, (output.width, output.layout.col));
    }
}
