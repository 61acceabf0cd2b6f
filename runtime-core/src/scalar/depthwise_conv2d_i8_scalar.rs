//! int8 depthwise convolution on padded planes of pairs, two neighbouring outputs at a time.

use super::dw3x3;
use super::filter_scalar::{FIELDS, FilterScalar};
use super::pair_plane::Planes;
use super::short::quantize;
use super::sums::Sums;
use crate::dsp::outside::{self, Outside};
use crate::dsp::tiles;
use crate::{Block, Image, Window, view_mut};
use core::ops::Range;

/// Parameters of [`depthwise_conv2d_i8_scalar`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthwiseConv2dI8Scalar {
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
    /// Most rows that are computed from one copy of a plane: more of them cost more scratch and fewer instructions.
    pub strip: usize,
    /// Byte offset of [`DepthwiseConv2dI8Scalar::scratch_len`] bytes, a multiple of 16: a strip of one plane of pairs.
    pub scratch: usize,
}

impl DepthwiseConv2dI8Scalar {
    const fn planes(&self) -> Planes<'_> {
        Planes {
            input: &self.input,
            output: &self.output,
            window: &self.window,
            zero_point: self.input_zero_point,
            most: self.strip,
        }
    }

    /// Rows that are computed from one copy of a plane.
    pub const fn strip(&self) -> usize {
        self.planes().strip()
    }

    const fn taps(&self) -> usize {
        self.window.height * self.window.width
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        self.planes().len()
    }

    /// Whether the output may begin where the input begins: every channel is copied as a whole before its output is written, which
    /// does not reach beyond it.
    pub const fn in_place(&self) -> bool {
        let whole = self.strip() >= self.output.height && self.depth_multiplier == 1;
        whole && tiles::planes_within(&self.input, &self.output)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterScalar, arena: usize) -> Result<(), &'static str> {
        if self.input.channels * self.depth_multiplier != self.output.channels {
            return Err(
                "depthwise_conv2d_i8_scalar: output channels must be input channels times depth_multiplier",
            );
        }
        if self.taps() == 0 || self.output.elements() == 0 {
            return Err("depthwise_conv2d_i8_scalar: nothing to compute");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("depthwise_conv2d_i8_scalar: image outside of the arena");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("depthwise_conv2d_i8_scalar: scratch outside of the arena");
        }
        if !filter.fits(self.output.channels, self.taps()) {
            return Err("depthwise_conv2d_i8_scalar: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`depthwise_conv2d_i8`](crate::depthwise_conv2d_i8) with symmetric weights and multipliers below 0.5.
///
/// A strip of rows at a time, every plane becomes one of pairs (`pair_plane.rs`).
pub fn depthwise_conv2d_i8_scalar(
    mem: &mut [Block],
    p: &DepthwiseConv2dI8Scalar,
    rows: Range<usize>,
    filter: &FilterScalar,
) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let (plane, planes) = (view_mut::<u32>(scratch), p.planes());
    let mut y = rows.start;
    while y < rows.end {
        // Where the ring of the output begins anew, so does a strip.
        let strip = y..rows.end.min(y + p.strip()).min(p.output.run_end(y));
        y = strip.end;
        planes.clear(plane);
        let mut weights = filter.weights.chunks_exact(p.taps().max(1));
        let mut channels = filter.channels.as_chunks::<FIELDS>().0.iter().enumerate();
        for c in 0..p.input.channels {
            planes.fill(&outside, c, &strip, plane);
            for _ in 0..p.depth_multiplier {
                let (Some(weights), Some((c, &params))) = (weights.next(), channels.next()) else { return };
                let channel = Channel { c, weights, params, zero_point: p.output_zero_point as i32 };
                channel.strip(p, &mut outside, &strip, plane);
            }
        }
    }
    tiles::clamp_any(&mut outside, &p.output, rows, p.min, p.max);
}

/// An output channel.
pub(super) struct Channel<'a> {
    pub c: usize,
    pub weights: &'a [i8],
    pub params: [i32; FIELDS],
    pub zero_point: i32,
}

impl Channel<'_> {
    #[inline(always)]
    fn strip(&self, p: &DepthwiseConv2dI8Scalar, outside: &mut Outside, strip: &Range<usize>, plane: &[u32]) {
        let (w, output, stride) = (&p.window, &p.output, p.planes().stride());
        let small = w.height == 3 && w.width == 3 && w.dilation_h == 1 && w.dilation_w == 1;
        if small && output.layout.col == 1 && dw3x3::takes(self, output.width) {
            let len = (strip.len() - 1) * output.layout.row + output.width;
            let out = outside.get_mut(output.at(strip.start, 0, self.c), len);
            let plane = dw3x3::Plane { words: plane, stride, down: w.stride_h * stride, step: w.stride_w };
            dw3x3::run(self, &plane, out, (strip.len(), output.width, output.layout.row));
        } else {
            for (i, y) in strip.clone().enumerate() {
                let rows = plane.get(i * w.stride_h * stride..).unwrap_or(&[]);
                self.row(p, outside, y, rows);
            }
        }
    }

    /// A row of outputs, any kernel.
    #[inline(never)]
    fn row(&self, p: &DepthwiseConv2dI8Scalar, outside: &mut Outside, y: usize, rows: &[u32]) {
        let (w, stride, width) = (&p.window, p.planes().stride(), p.output.width);
        for x in (0..width).step_by(2) {
            // The last pair of an odd row overlaps the one before it.
            let x = if x + 2 <= width { x } else { width.saturating_sub(2) };
            let [bias, _, multiplier, m] = self.params;
            let mut sums = Sums::new(bias);
            for (ky, weights) in self.weights.chunks_exact(w.width.max(1)).enumerate() {
                let at = ky * w.dilation_h * stride + x * w.stride_w;
                let words = rows.get(at..).unwrap_or(&[]).iter().step_by(w.dilation_w.max(1));
                for (&word, &weight) in words.zip(weights) {
                    sums.add(word.wrapping_mul(weight as u32));
                }
            }
            for (x, acc) in (x..width).zip(sums.pixels()) {
                if let [to] = outside.get_mut(p.output.at(y, x, self.c), 1) {
                    *to = quantize(acc, multiplier, m, self.zero_point);
                }
            }
        }
    }
}
