//! f32 depthwise convolution.

use crate::depthwise_conv2d::check;
use crate::hints::rolled;
use crate::requantize::clamp_float;
#[cfg(kiln_vfp)]
use crate::vfp::{Channel, depthwise_rows};
use crate::{Block, FilterF32, Image, Window, view_mut};
use core::ops::Range;

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
        let row = Row::new(p, y);
        let mut inner = 0..0;
        for channel in 0..p.output.channels {
            inner = row.inner(mem, channel, (weights_of(filter, channel, taps), bias_of(filter, channel)));
            if inner.is_empty() {
                break;
            }
        }
        for x in (0..inner.start).chain(inner.end..p.output.width) {
            row.column(mem, x, filter);
        }
    }
}

#[inline(always)]
fn weights_of<'a>(filter: &FilterF32<'a>, channel: usize, taps: usize) -> &'a [f32] {
    filter.weights.get(channel * taps..).and_then(|weights| weights.get(..taps)).unwrap_or(&[])
}

#[inline(always)]
fn bias_of(filter: &FilterF32, channel: usize) -> f32 {
    filter.bias.get(channel).copied().unwrap_or(0.0)
}

/// One row of the output, of any channel.
struct Row<'a> {
    p: &'a DepthwiseConv2dF32,
    y: usize,
    /// The rows of the window that lie in the image.
    inside: Range<usize>,
    /// Whether those rows follow each other in memory.
    follow: bool,
    /// The columns whose windows do not leave the image at the sides, where the micro-kernel can compute them.
    #[cfg_attr(not(kiln_vfp), allow(dead_code))]
    inner: Range<usize>,
}

impl<'a> Row<'a> {
    #[inline(always)]
    fn new(p: &'a DepthwiseConv2dF32, y: usize) -> Row<'a> {
        let (w, input) = (&p.window, &p.input);
        let inside = w.rows_inside(y, input.height);
        let (reach, stride) = (input.width + w.pad_left, w.stride_w.max(1));
        let start = w.pad_left.div_ceil(stride);
        let end = (reach.saturating_sub(w.width) / stride + 1).min(p.output.width);
        let planar = input.layout.col == 1 && p.output.layout.col == 1 && w.dilation_w == 1;
        let first = (y * w.stride_h + inside.start * w.dilation_h).saturating_sub(w.pad_top);
        let follow = first + inside.len().saturating_sub(1) * w.dilation_h < input.run_end(first);
        let fast = planar && follow && !inside.is_empty() && (1..=reach).contains(&w.width) && stride <= 2;
        Row { p, y, inside, follow, inner: if fast && end >= start + 4 { start..end } else { 0..0 } }
    }

    /// Where the first channel has what row `ky` and column `kx` of the window see from output column `x`, both in the image.
    #[inline(always)]
    fn at(&self, ky: usize, x: usize, kx: usize) -> usize {
        let (input, w) = (&self.p.input, &self.p.window);
        let row = (self.y * w.stride_h + ky * w.dilation_h).wrapping_sub(w.pad_top);
        let column = (x * w.stride_w + kx * w.dilation_w).wrapping_sub(w.pad_left);
        input.row(row) + column * input.layout.col
    }

    /// Where the channel lies that output channel `channel` reads, behind the first one.
    #[inline(always)]
    fn from(&self, channel: usize) -> usize {
        channel.checked_div(self.p.depth_multiplier).unwrap_or(0) * self.p.input.layout.chan
    }

    /// Computes one output of every channel, each sum in ascending order of `[ky][kx]`.
    #[inline(never)]
    fn column(&self, mem: &mut [f32], x: usize, filter: &FilterF32) {
        let (p, w) = (self.p, &self.p.window);
        let (taps, columns) = (w.height * w.width, w.columns_inside(x, p.input.width));
        let inside = if columns.is_empty() { 0..0 } else { self.inside.clone() };
        let step = (w.dilation_w * p.input.layout.col).max(1);
        let (first, row_step) = match inside.is_empty() {
            true => (0, 0),
            false => (self.at(inside.start, x, columns.start), w.dilation_h * p.input.layout.row),
        };
        for channel in 0..p.output.channels {
            let weights = weights_of(filter, channel, taps);
            let mut weights = weights.get(inside.start * w.width + columns.start..).unwrap_or(&[]);
            let (from, mut acc) = (self.from(channel), 0.0f32);
            let mut at = first + from;
            for ky in inside.clone() {
                if !self.follow {
                    at = self.at(ky, x, columns.start) + from;
                }
                let mut value = at;
                for &weight in weights.iter().take(columns.len()) {
                    acc += mem.get(value).copied().unwrap_or(0.0) * weight;
                    value += step;
                    rolled();
                }
                weights = weights.get(w.width..).unwrap_or(&[]);
                at += row_step;
                rolled();
            }
            if let Some(to) = mem.get_mut(p.output.at(self.y, x, channel)) {
                *to = clamp_float(acc + bias_of(filter, channel), p.min, p.max);
            }
        }
    }

    /// Computes the inner columns of a channel, and says which those are.
    #[cfg(not(kiln_vfp))]
    #[inline(always)]
    fn inner(&self, _: &mut [f32], _: usize, _: (&[f32], f32)) -> Range<usize> {
        0..0
    }

    /// Computes the inner columns of a channel, and says which those are.
    #[cfg(kiln_vfp)]
    #[inline(always)]
    fn inner(&self, mem: &mut [f32], channel: usize, (weights, bias): (&[f32], f32)) -> Range<usize> {
        let (p, w, Range { start, end }) = (self.p, &self.p.window, self.inner.clone());
        let weights = weights.get(self.inside.start * w.width..self.inside.end * w.width);
        let (Some(weights), Some(last)) = (weights, self.inside.len().checked_sub(1)) else { return 0..0 };
        if start == end {
            return 0..0;
        }
        let (from, to) = (self.from(channel), p.output.at(self.y, 0, channel));
        let (stride, row_step) = (w.stride_w, w.dilation_h * p.input.layout.row);
        let shared = Channel { columns: w.width, row_step, stride, bias, min: p.min, max: p.max };
        // The last four overlap those before them.
        let whole = start..start + (end - start) / 4 * 4;
        let rest = if whole.end < end { end - 4..end } else { end..end };
        for columns in [whole, rest].into_iter().filter(|columns| !columns.is_empty()) {
            let x = from + self.at(self.inside.start, columns.start, 0);
            let x = x..x + last * row_step + (columns.len() - 1) * stride + w.width;
            let (to, n) = (to + columns.start, columns.len());
            let Ok([x, out]) = mem.get_disjoint_mut([x, to..to + n]) else { return 0..0 };
            depthwise_rows(x, &shared, weights, out);
        }
        start..end
    }
}
