//! int8 depthwise convolution on padded planes.
//!
//! Every plane is copied into scratch whose borders hold the zero point, a strip of rows at a time. The borders are written
//! once a strip, and no kernel knows them.

use super::dw_window;
use super::dw3x3;
use super::gather::copy_rows;
use super::outside::{self, Outside};
use super::tiles::{self, planar};
use super::words::{fill, rolled, word};
use crate::{Block, Image, Window, view_mut};
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
    #[inline(never)]
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
    let (strip, mut y) = (p.strip(), rows.start);
    while y < rows.end {
        // Where the ring of the output begins anew, so does a strip.
        let end = rows.end.min(y + strip).min(p.output.run_end(y));
        let mut strip = Strip::new(p, y, end - y);
        y = end;
        fill(Some(view_mut(scratch)), word([p.input_zero_point; 4]));
        let plane = view_mut(scratch);
        let mut output = 0;
        for input in 0..p.input.channels {
            strip.copy(&outside, input, plane);
            for _ in 0..p.depth_multiplier {
                strip.compute(plane, filter, output, &mut outside);
                output += 1;
                rolled();
            }
            rolled();
        }
        rolled();
    }
    tiles::clamp(&mut outside, &p.output, rows, p.min, p.max);
}

/// Some rows of the output.
struct Strip<'a> {
    p: &'a DepthwiseConv2dI8Dsp,
    first: usize,
    rows: usize,
    /// Rows of the input that it reads.
    input: Range<usize>,
    /// Where they go in the padded plane, and how much of them.
    to: usize,
    columns: usize,
    /// Bytes of a padded row.
    stride: usize,
    /// The micro-kernel, where there is one for the window.
    small: Option<dw3x3::Planes>,
}

// Each step stands by itself: in one function, LLVM would load every parameter in front of all loops, and that is more code
// than the loops.
impl<'a> Strip<'a> {
    #[inline(never)]
    fn new(p: &'a DepthwiseConv2dI8Dsp, first: usize, rows: usize) -> Strip<'a> {
        let (w, output, stride) = (&p.window, &p.output, p.stride());
        // Padded rows of the strip, and those of them that the image has.
        let top = first * w.stride_h;
        let from = top.max(w.pad_top);
        let end = (top + p.padded_rows(rows)).min(w.pad_top + p.input.height).max(from);
        let (step, zero_point) = (w.stride_w, p.output_zero_point as i32);
        let shape =
            dw3x3::Shape { stride, step, rows, width: output.width, out_row: output.layout.row, zero_point };
        let small = w.height == 3 && w.width == 3 && w.dilation_h == 1 && w.stride_h == step;
        Strip {
            p,
            first,
            rows,
            input: from - w.pad_top..end - w.pad_top,
            to: (from - top) * stride + w.pad_left,
            columns: p.input.width.min(stride.saturating_sub(w.pad_left)),
            stride,
            small: if small { dw3x3::Planes::new(&shape) } else { None },
        }
    }

    /// Copies what the strip reads of an input channel; the borders are there.
    #[inline(never)]
    fn copy(&self, outside: &Outside, channel: usize, plane: &mut [i8]) {
        let input = &self.p.input;
        let (mut rows, mut to) = (self.input.clone(), self.to);
        while !rows.is_empty() {
            // As many rows as follow each other in memory.
            let n = rows.end.min(input.run_end(rows.start)) - rows.start;
            let at = input.row(rows.start) + channel * input.layout.chan;
            let source = outside.get(at, (n - 1) * input.layout.row + self.columns);
            let plane = plane.get_mut(to..).unwrap_or(&mut []);
            copy_rows((source, input.layout.row), (plane, self.stride), n, self.columns);
            (rows.start, to) = (rows.start + n, to + n * self.stride);
        }
    }

    /// One output channel.
    #[inline(never)]
    fn compute(&mut self, plane: &[i8], filter: &DepthwiseFilterDsp, channel: usize, outside: &mut Outside) {
        let (p, output, words) = (self.p, &self.p.output, self.p.words());
        let weights = filter.weights.get(channel * words..).and_then(|weights| weights.get(..words));
        let tables = filter.channels.as_chunks::<2>().0.get(channel);
        let (Some(weights), Some(&[bias, multiplier])) = (weights, tables) else { return };
        let at = output.row(self.first) + channel * output.layout.chan;
        let out = outside.get_mut(at, (self.rows - 1) * output.layout.row + output.width);
        match &mut self.small {
            Some(small) => small.run(plane, (weights, bias, multiplier), out),
            None => {
                let (rows, width, out_row) = (self.rows, output.width, output.layout.row);
                let plane = dw_window::Plane {
                    values: plane,
                    stride: self.stride,
                    window: &p.window,
                    rows,
                    width,
                    out_row,
                };
                dw_window::run(&plane, (weights, bias, multiplier, p.output_zero_point as i32), out);
            }
        }
    }
}
