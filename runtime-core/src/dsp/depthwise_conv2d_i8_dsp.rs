//! int8 depthwise convolution on padded planes.
//!
//! Every plane is copied into scratch whose borders hold the zero point, a strip of rows at a time. The borders are written
//! once a strip, and no kernel knows them.

use super::dw3x3::{self, Plane};
use super::gather::copy_rows;
use super::outside::{self, Outside};
use super::tiles::{self, planar};
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
    /// Most rows that are computed from one copy of a plane: more of them cost more scratch and fewer instructions.
    pub strip: usize,
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
    pub const fn strip(&self) -> usize {
        let most = if self.strip < self.output.height { self.strip } else { self.output.height };
        let mut rows = if most == 0 { 1 } else { most };
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

    /// Whether the output may begin where the input begins: every channel is copied as a whole before its output is written,
    /// which does not reach beyond it.
    pub const fn in_place(&self) -> bool {
        let whole = self.strip() >= self.output.height && self.depth_multiplier == 1;
        whole && tiles::planes_within(&self.input, &self.output)
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
        if !planar(&self.input) || !planar(&self.output) {
            return Err("depthwise_conv2d_i8_dsp: the pixels of a row must be contiguous");
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
    let (plane, stride) = (view_mut::<i8>(scratch), p.stride());
    let (words, strip) = (p.words(), p.strip());
    let mut y = rows.start;
    while y < rows.end {
        // Where the ring of the output begins anew, so does a strip.
        let strip = y..rows.end.min(y + strip).min(p.output.run_end(y));
        y = strip.end;
        plane.fill(p.input_zero_point);
        let copy = Copy::new(p, stride, &strip);
        let mut weights = filter.weights.chunks_exact(words.max(1));
        let mut channels = filter.channels.as_chunks::<2>().0.iter();
        let (mut input, mut output) = (0, p.output.row(strip.start));
        let out_len = (strip.len() - 1) * p.output.layout.row + p.output.width;
        for _ in 0..p.input.channels {
            copy.run(&outside, input, plane);
            input += p.input.layout.chan;
            for _ in 0..p.depth_multiplier {
                let (Some(weights), Some(channel)) = (weights.next(), channels.next()) else { return };
                let out = outside.get_mut(output, out_len);
                output += p.output.layout.chan;
                channel_of(p, (plane, stride), (weights, *channel), out, strip.len());
            }
        }
    }
    tiles::clamp(&mut outside, &p.output, rows, p.min, p.max);
}

/// The copy of what a strip reads of an input channel.
struct Copy<'a> {
    p: &'a DepthwiseConv2dI8Dsp,
    /// Rows of the input, and the padded row of the first of them.
    rows: Range<usize>,
    to: usize,
    columns: usize,
    /// Bytes of a padded row.
    stride: usize,
}

impl<'a> Copy<'a> {
    fn new(p: &'a DepthwiseConv2dI8Dsp, stride: usize, strip: &Range<usize>) -> Copy<'a> {
        let w = &p.window;
        // Padded rows of the strip, and those of them that the image has.
        let first = strip.start * w.stride_h;
        let from = first.max(w.pad_top);
        let to = (first + p.padded_rows(strip.len())).min(w.pad_top + p.input.height).max(from);
        let columns = p.input.width.min(stride.saturating_sub(w.pad_left));
        let rows = from - w.pad_top..to - w.pad_top;
        Copy { p, rows, to: (from - first) * stride + w.pad_left, columns, stride }
    }

    /// Copies the channel that begins `channel` elements behind the first one; the borders are there.
    #[inline(always)]
    fn run(&self, outside: &Outside, channel: usize, plane: &mut [i8]) {
        let (step, stride) = (self.p.input.layout.row, self.stride);
        let Some(to) = plane.get_mut(self.to..) else { return };
        if self.rows.end <= self.p.input.run_end(self.rows.start) {
            let n = self.rows.len();
            let len = n.saturating_sub(1) * step + self.columns;
            let from = outside.get(self.p.input.row(self.rows.start) + channel, len);
            copy_rows((from, step), (to, stride), n, self.columns);
        } else {
            for (row, to) in self.rows.clone().zip(to.chunks_mut(stride.max(1))) {
                let from = outside.get(self.p.input.row(row) + channel, self.columns);
                copy_rows((from, 0), (to, 0), 1, self.columns);
            }
        }
    }
}

/// One output channel of a strip.
#[inline(always)]
fn channel_of(
    p: &DepthwiseConv2dI8Dsp,
    (plane, stride): (&[i8], usize),
    (weights, [bias, multiplier]): (&[u32], [i32; 2]),
    out: &mut [i8],
    rows: usize,
) {
    let (w, zero_point) = (&p.window, p.output_zero_point as i32);
    let size = (rows, p.output.width, p.output.layout.row);
    let small = w.height == 3 && w.width == 3 && w.dilation_h == 1;
    if dw3x3::FAST && small && w.stride_h == w.stride_w && w.stride_w <= 2 {
        let plane = Plane { values: plane, stride, step: w.stride_w };
        dw3x3::run((weights, bias, multiplier, zero_point), &plane, out, size);
    } else {
        any_window(p, (plane, stride), (weights, [bias, multiplier]), out);
    }
}

/// Any kernel: four columns of a kernel row at a time.
#[inline(never)]
fn any_window(
    p: &DepthwiseConv2dI8Dsp,
    (plane, stride): (&[i8], usize),
    (weights, [bias, multiplier]): (&[u32], [i32; 2]),
    out: &mut [i8],
) {
    let (w, columns) = (&p.window, p.window.width.next_multiple_of(4));
    for (i, row) in out.chunks_mut(p.output.layout.row.max(1)).enumerate() {
        for (x, to) in row.iter_mut().take(p.output.width).enumerate() {
            let mut acc = bias;
            let mut at = i * w.stride_h * stride + x * w.stride_w;
            let mut weights = weights.as_chunks::<2>().0.iter();
            for _ in 0..w.height {
                let row = plane.get(at..).and_then(|row| row.get(..columns)).unwrap_or(&[]);
                at += w.dilation_h * stride;
                for (&bytes, &[a, b]) in row.as_chunks::<4>().0.iter().zip(&mut weights) {
                    let bytes = word(bytes);
                    acc = mac(odd(bytes), b, mac(even(bytes), a, acc));
                }
            }
            let q = requantize(acc, multiplier, 0).wrapping_add(p.output_zero_point as i32);
            *to = q.clamp(-128, 127) as i8;
        }
    }
}
