//! int8 depthwise convolution on padded planes.
//!
//! Every plane is copied into scratch whose borders hold the zero point, a strip of rows at a time. The borders are written
//! once a strip, and no kernel knows them.

use super::dw3x3::{self, Plane};
use super::gather::{copy, copy_rows};
use super::outside::{self, Outside};
use super::tiles;
use super::words::{even, mac, odd, word};
use crate::{Block, Image, Window, requantize, view_mut};
use core::ops::Range;

/// Tables of an int8 depthwise layer for cores with the DSP extension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DepthwiseFilterDsp<'a> {
    /// For each channel and kernel row, four columns in two words of halves: `[w0 w2] [w1 w3]`, zeros behind the last column.
    pub weights: &'a [u32],
    /// For each channel its bias, in which the zero point of the input is folded, and its multiplier.
    pub channels: &'a [i32],
}

/// Parameters of [`depthwise_conv2d_i8_dsp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseConv2dI8Dsp {
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
    /// Byte offset of [`DepthwiseConv2dI8Dsp::scratch_len`] bytes, a multiple of 16: a strip of one padded plane.
    pub scratch: usize,
}

/// Bytes that a strip may take, where a strip of one output row does not need more.
const STRIP: usize = 4096;

impl DepthwiseConv2dI8Dsp {
    /// Bytes of a padded row.
    const fn stride(&self) -> usize {
        let (w, width) = (&self.window, self.output.width.saturating_sub(1));
        (width * w.stride_w + w.width).next_multiple_of(4)
    }

    /// Padded rows for output rows.
    const fn padded_rows(&self, rows: usize) -> usize {
        let w = &self.window;
        rows.saturating_sub(1) * w.stride_h + w.height.saturating_sub(1) * w.dilation_h + 1
    }

    /// Output rows of a strip.
    const fn strip(&self) -> usize {
        let mut rows = if self.output.height == 0 { 1 } else { self.output.height };
        while rows > 1 && self.padded_rows(rows) * self.stride() > STRIP {
            rows = rows.div_ceil(2);
        }
        rows
    }

    /// Words of weights for a channel.
    const fn words(&self) -> usize {
        self.window.height * self.window.width.div_ceil(4) * 2
    }

    /// Bytes of scratch: the last words that are read of a row reach up to three bytes beyond it.
    pub const fn scratch_len(&self) -> usize {
        (self.padded_rows(self.strip()) * self.stride() + 4).next_multiple_of(16)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &DepthwiseFilterDsp, arena: usize) -> Result<(), &'static str> {
        if self.input.channels * self.depth_multiplier != self.output.channels {
            return Err(
                "depthwise_conv2d_i8_dsp: output channels must be input channels times depth_multiplier",
            );
        }
        if self.window.dilation_w != 1 {
            return Err("depthwise_conv2d_i8_dsp: columns cannot be dilated");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("depthwise_conv2d_i8_dsp: image outside of the arena");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("depthwise_conv2d_i8_dsp: scratch outside of the arena");
        }
        let channels = self.output.channels;
        if filter.weights.len() != channels * self.words() || filter.channels.len() != channels * 2 {
            return Err("depthwise_conv2d_i8_dsp: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`depthwise_conv2d_i8`](crate::depthwise_conv2d_i8) with symmetric weights.
pub fn depthwise_conv2d_i8_dsp(
    mem: &mut [Block],
    p: &DepthwiseConv2dI8Dsp,
    rows: Range<usize>,
    filter: &DepthwiseFilterDsp,
) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let plane = view_mut::<i8>(scratch);
    let mut y = rows.start;
    while y < rows.end {
        let strip = y..rows.end.min(y + p.strip());
        y = strip.end;
        plane.fill(p.input_zero_point);
        let mut weights = filter.weights.chunks_exact(p.words().max(1));
        let mut channels = filter.channels.as_chunks::<2>().0.iter();
        for channel in 0..p.input.channels {
            copy_plane(&outside, p, strip.clone(), channel, plane);
            for c in channel * p.depth_multiplier..(channel + 1) * p.depth_multiplier {
                let (Some(weights), Some(&[bias, multiplier])) = (weights.next(), channels.next()) else {
                    return;
                };
                let channel = Channel { c, weights, bias, multiplier };
                channel.run(&mut outside, p, strip.clone(), plane);
            }
        }
    }
    tiles::clamp(&mut outside, &p.output, rows, p.min, p.max);
}

/// Copies what a strip reads of one input channel; the borders are there.
#[inline(always)]
fn copy_plane(
    outside: &Outside,
    p: &DepthwiseConv2dI8Dsp,
    strip: Range<usize>,
    channel: usize,
    plane: &mut [i8],
) {
    let (w, stride) = (&p.window, p.stride());
    // Padded rows of the strip, and those of them that the image has.
    let first = strip.start * w.stride_h;
    let from = first.max(w.pad_top);
    let to = (first + p.padded_rows(strip.len())).min(w.pad_top + p.input.height);
    let columns = p.input.width.min(stride.saturating_sub(w.pad_left));
    let Some(n) = to.checked_sub(from).filter(|&n| n > 0) else { return };
    let Some(plane) = plane.get_mut((from - first) * stride + w.pad_left..) else { return };
    let at = |row: usize| p.input.row(row) + channel * p.input.layout.chan;
    if p.input.layout.col == 1 && p.input.ring >= p.input.height {
        let source = outside.get(at(from - w.pad_top), (n - 1) * p.input.layout.row + columns);
        copy_rows((source, p.input.layout.row), (plane, stride), n, columns);
    } else {
        for (row, to) in plane.chunks_mut(stride.max(1)).enumerate().take(n) {
            let Some(to) = to.get_mut(..columns) else { return };
            copy(outside, at(from - w.pad_top + row), p.input.layout.col, to);
        }
    }
}

/// An output channel.
struct Channel<'a> {
    c: usize,
    weights: &'a [u32],
    bias: i32,
    multiplier: i32,
}

impl Channel<'_> {
    #[inline(always)]
    fn run(&self, outside: &mut Outside, p: &DepthwiseConv2dI8Dsp, strip: Range<usize>, plane: &[i8]) {
        let w = &p.window;
        let small = w.height == 3 && w.width == 3 && w.dilation_h == 1;
        if dw3x3::FAST && small && w.stride_h == w.stride_w && w.stride_w <= 2 && p.output.layout.col == 1 {
            // Rows of a ring lie apart.
            let whole = p.output.ring >= p.output.height;
            let rows = if whole { strip.len() } else { 1 };
            for (i, y) in strip.step_by(rows.max(1)).enumerate() {
                let at = p.output.row(y) + self.c * p.output.layout.chan;
                let out = outside.get_mut(at, (rows - 1) * p.output.layout.row + p.output.width);
                let values = plane.get(i * w.stride_h * p.stride()..).unwrap_or(&[]);
                let plane = Plane { values, stride: p.stride(), step: w.stride_w };
                dw3x3::run(self.tables(p), &plane, out, (rows, p.output.width, p.output.layout.row));
            }
        } else {
            self.any(outside, p, strip, plane);
        }
    }

    fn tables(&self, p: &DepthwiseConv2dI8Dsp) -> (&[u32], i32, i32, i32) {
        (self.weights, self.bias, self.multiplier, p.output_zero_point as i32)
    }

    /// Any kernel: four columns of a kernel row at a time.
    #[inline(never)]
    fn any(&self, outside: &mut Outside, p: &DepthwiseConv2dI8Dsp, strip: Range<usize>, plane: &[i8]) {
        let (w, stride) = (&p.window, p.stride());
        let quads = w.width.div_ceil(4);
        for (i, y) in strip.enumerate() {
            for x in 0..p.output.width {
                let mut acc = self.bias;
                let mut weights = self.weights.as_chunks::<2>().0.iter();
                for ky in 0..w.height {
                    let at = (i * w.stride_h + ky * w.dilation_h) * stride + x * w.stride_w;
                    let row = plane.get(at..).and_then(|row| row.get(..quads * 4)).unwrap_or(&[]);
                    for (&bytes, &[a, b]) in row.as_chunks::<4>().0.iter().zip(&mut weights) {
                        let bytes = word(bytes);
                        acc = mac(odd(bytes), b, mac(even(bytes), a, acc));
                    }
                }
                let q = requantize(acc, self.multiplier, 0).wrapping_add(p.output_zero_point as i32);
                if let [to] = outside.get_mut(p.output.at(y, x, self.c), 1) {
                    *to = q.clamp(-128, 127) as i8;
                }
            }
        }
    }
}
