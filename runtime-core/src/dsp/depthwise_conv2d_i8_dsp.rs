//! int8 depthwise convolution on padded planes.
//!
//! Every plane is copied into scratch whose borders hold the zero point, a strip of rows at a time. The borders are written
//! once a strip, and no kernel knows them.

use super::dw_window::{self, Plane};
use super::dw3x3;
use super::gather::copy_rows;
use super::lines::Lines;
use super::outside::{self, Outside};
use super::tiles::{self, Runs, clamp_lines, planar};
use super::words::{fill, rolled, word};
use crate::{Block, Image, Window, view_mut};
use core::num::NonZero;
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
        // [`DepthwiseLayerDsp`] counts them in a byte.
        while rows > u8::MAX as usize || rows > 1 && self.padded_rows(rows) * self.stride() > STRIP {
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
        if !self.holds() {
            return Err(
                "depthwise_conv2d_i8_dsp: a window of more than 255 rows or columns, or an image of more than 65,535",
            );
        }
        let channels = self.output.channels;
        if filter.weights.len() != channels * self.words() || filter.channels.len() != channels * 2 {
            return Err("depthwise_conv2d_i8_dsp: tables do not fit the output channels");
        }
        Ok(())
    }
}

/// [`DepthwiseConv2dI8Dsp`] and its tables as the kernel reads them, in few bytes.
#[derive(Debug, Clone, Copy)]
pub struct DepthwiseLayerDsp<'a> {
    pub(super) filter: DepthwiseFilterDsp<'a>,
    input: Lines,
    pub(super) output: Lines,
    scratch: u32,
    /// Blocks of scratch.
    blocks: u16,
    /// Output channels.
    pub(super) channels: u16,
    height: u16,
    /// Columns of the input that windows reach.
    inside: u16,
    /// Bytes of a padded row.
    pub(super) stride: u16,
    /// Columns of the output.
    pub(super) width: u16,
    strip: NonZero<u8>,
    /// Output channels for each input channel.
    depth_multiplier: u8,
    /// Columns of padding in front of those of the input, and rows above it.
    left: u8,
    pad_top: u8,
    /// Padded rows of one output row.
    pub(super) reach_h: u8,
    /// Words of a kernel row, and strides.
    pub(super) words: u8,
    pub(super) stride_h: u8,
    pub(super) stride_w: u8,
    input_zero_point: i8,
    pub(super) zero_point: i8,
    min: i8,
    max: i8,
    /// The micro-kernel for the window. A program holds the code of those that its layers need.
    plane: Micro,
}

/// Computes some rows of one output channel. Nothing is written when the lengths do not fit.
pub(super) type Micro = fn(&DepthwiseLayerDsp, &mut Plane);

impl DepthwiseConv2dI8Dsp {
    /// Whether [`DepthwiseLayerDsp`] can hold it.
    const fn holds(&self) -> bool {
        let (w, short, most) = (&self.window, u8::MAX as usize, u16::MAX as usize);
        let window = w.height <= short && w.width <= short && w.stride_h <= short && w.stride_w <= short;
        let padding = w.pad_top <= short && w.pad_left <= short && self.depth_multiplier <= short;
        let rows = w.dilation_h <= short && self.padded_rows(1) <= short;
        let plane = self.stride() <= most && self.scratch_len() / 16 <= most;
        window && padding && rows && plane && Lines::hold(&self.input) && Lines::hold(&self.output)
    }

    /// Packs parameters and tables. Those that `check` refuses compute nothing, or what no one asked for.
    pub const fn layer<'a>(&self, filter: &DepthwiseFilterDsp<'a>) -> DepthwiseLayerDsp<'a> {
        let (w, stride) = (&self.window, self.stride());
        let left = if w.pad_left < stride { w.pad_left } else { stride };
        let inside = if self.input.width < stride - left { self.input.width } else { stride - left };
        let square = w.height == 3 && w.width == 3 && w.dilation_h == 1 && w.stride_h == w.stride_w;
        DepthwiseLayerDsp {
            filter: *filter,
            input: Lines::of(&self.input),
            output: Lines::of(&self.output),
            scratch: self.scratch as u32,
            blocks: (self.scratch_len() / 16) as u16,
            channels: self.output.channels as u16,
            height: self.input.height as u16,
            inside: inside as u16,
            stride: stride as u16,
            width: self.output.width as u16,
            strip: match NonZero::new(self.strip() as u8) {
                Some(strip) => strip,
                None => NonZero::<u8>::MIN,
            },
            depth_multiplier: self.depth_multiplier as u8,
            left: left as u8,
            pad_top: w.pad_top as u8,
            reach_h: self.padded_rows(1) as u8,
            words: w.width.div_ceil(4) as u8,
            stride_h: w.stride_h as u8,
            stride_w: w.stride_w as u8,
            input_zero_point: self.input_zero_point,
            zero_point: self.output_zero_point,
            min: self.min,
            max: self.max,
            plane: match (square, w.stride_w) {
                (true, 1) => dw3x3::STRIDES[0],
                (true, 2) => dw3x3::STRIDES[1],
                _ => dw_window::plane,
            },
        }
    }
}

/// Computes output `rows` of [`depthwise_conv2d_i8`](crate::depthwise_conv2d_i8) with symmetric weights.
pub fn depthwise_conv2d_i8_dsp(mem: &mut [Block], p: &DepthwiseLayerDsp, rows: Range<usize>) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch as usize, 16 * p.blocks as usize) else {
        return;
    };
    let mut y = rows.start;
    while y < rows.end {
        // Where the ring of the output begins anew, so does a strip.
        let n = (rows.end - y).min(p.strip.get() as usize).min(p.output.run(y));
        fill(view_mut(scratch), word([p.input_zero_point; 4]));
        let plane = view_mut(scratch);
        // The outputs of an input channel follow each other.
        let (mut input, mut left) = (0, 0);
        for channel in 0..p.channels as usize {
            if left == 0 {
                p.copy(&outside, (y, n), input, plane);
                (input, left) = (input + 1, p.depth_multiplier);
            }
            left = left.wrapping_sub(1);
            p.compute(plane, (y, n), channel, &mut outside);
            rolled();
        }
        y += n;
        rolled();
    }
    let runs = Runs::of_planes(&p.output, p.channels as usize, p.width as usize);
    clamp_lines(&mut outside, &p.output, (rows, runs), p.min, p.max);
}

// Each step stands by itself: in one function, LLVM would load every parameter in front of all loops, and that is more code
// than the loops.
impl DepthwiseLayerDsp<'_> {
    /// Copies what `rows` rows of the output from `first` on read of an input channel; the borders are there.
    #[inline(never)]
    fn copy(&self, outside: &Outside, (first, rows): (usize, usize), channel: usize, plane: &mut [i8]) {
        let (inside, stride, pad) = (self.inside as usize, self.stride as usize, self.pad_top as usize);
        // Padded rows, and those of them that the image has.
        let top = first * self.stride_h as usize;
        let reach = (rows - 1) * self.stride_h as usize + self.reach_h as usize;
        let mut y = top.max(pad);
        let end = (top + reach).min(pad + self.height as usize);
        let mut to = (y - top) * stride + self.left as usize;
        while y < end {
            // As many rows as follow each other in memory.
            let n = (end - y).min(self.input.run(y - pad));
            let source = outside.get(self.input.row(y - pad, channel), (n - 1) * self.input.step() + inside);
            let plane = plane.get_mut(to..).unwrap_or(&mut []);
            copy_rows(source, plane, (self.input.step(), stride), (n, inside));
            (y, to) = (y + n, to + n * stride);
        }
    }

    /// Rows of one output channel.
    #[inline(never)]
    fn compute(&self, values: &[i8], (first, rows): (usize, usize), channel: usize, outside: &mut Outside) {
        let out = (rows - 1) * self.output.step() + self.width as usize;
        let out = outside.get_mut(self.output.row(first, channel), out);
        (self.plane)(self, &mut Plane { values, channel, rows, out });
    }
}
