//! int8 convolution by a kernel of one pixel: a matrix product, without a window to gather.

use super::FilterDsp;
use super::gather::planes_to_columns;
use super::lines::Lines;
use super::outside;
use super::tiles::{self, Form, Tiles, flat, gapless, planar, storable};
use crate::{Block, Image};
use core::ops::Range;

/// Parameters of [`pointwise_conv2d_i8_dsp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointwiseConv2dI8Dsp {
    /// Input image, int8.
    pub input: Image,
    /// Output image, int8, of the same rows and columns.
    pub output: Image,
    /// Whether the weights are packed in the dual way; see [`FilterDsp`].
    pub dual: bool,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
    /// Byte offset of [`PointwiseConv2dI8Dsp::scratch_len`] bytes, a multiple of 16: the columns of four pixels, and their
    /// outputs where a last tile is not whole.
    pub scratch: usize,
}

impl PointwiseConv2dI8Dsp {
    /// Whether all pixels are one run; otherwise every row is one.
    const fn one_run(&self) -> bool {
        flat(&self.input) && gapless(&self.output)
    }

    /// Output rows that a call computes in any order among each other: tiles over several rows belong to a few of them.
    pub const fn rows_at_once(&self) -> usize {
        if self.one_run() { 8 } else { 1 }
    }

    /// Words of weights for a pair of output channels.
    const fn words(&self) -> usize {
        self.input.channels.div_ceil(2)
    }

    const fn form(&self) -> Form<'_> {
        let one_run = self.one_run();
        Form {
            output: &self.output,
            scratch: self.scratch,
            ahead: 0,
            words: self.words(),
            dual: self.dual,
            one_run,
            // Where the last tile of the one run is not whole.
            once: one_run && !(self.output.height * self.output.width).is_multiple_of(4),
            zero_point: self.output_zero_point,
            min: self.min,
            max: self.max,
        }
    }

    /// Bytes of scratch: the columns of a tile, and the outputs of a last tile that is not whole.
    pub const fn scratch_len(&self) -> usize {
        self.form().scratch_len()
    }

    /// Whether the output may lie over the input, pixel over pixel: a tile is gathered from all input channels before any of
    /// its outputs is written, and no pixel is gathered after it was written.
    pub const fn in_place(&self) -> bool {
        self.input.same_pixels(&self.output) && (self.one_run() || self.output.width.is_multiple_of(4))
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterDsp, arena: usize) -> Result<(), &'static str> {
        if self.input.height != self.output.height || self.input.width != self.output.width {
            return Err("pointwise_conv2d_i8_dsp: input and output differ in rows or columns");
        }
        if !planar(&self.input) || !storable(&self.output) {
            return Err(
                "pointwise_conv2d_i8_dsp: the pixels of a row must be contiguous, or the channels of an output",
            );
        }
        if self.input.width < 4 && !(self.one_run() && self.input.height * self.input.width >= 4) {
            return Err("pointwise_conv2d_i8_dsp: rows of fewer than four pixels");
        }
        if !self.form().holds() || !Lines::hold(&self.input) {
            return Err("pointwise_conv2d_i8_dsp: an extent of more than 16 bits");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("pointwise_conv2d_i8_dsp: image outside of the arena");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("pointwise_conv2d_i8_dsp: scratch outside of the arena");
        }
        if self.input.channels == 0 || !filter.fits(self.output.channels, self.words()) {
            return Err("pointwise_conv2d_i8_dsp: tables do not fit the channels");
        }
        Ok(())
    }
}

/// [`PointwiseConv2dI8Dsp`] and its tables as the kernel reads them, in few bytes.
#[derive(Debug, Clone, Copy)]
pub struct PointwiseLayerDsp<'a> {
    tiles: Tiles<'a>,
    input: Lines,
    /// Bytes from a pixel of the first plane to the fourth one of the last plane.
    reach: u32,
}

impl PointwiseConv2dI8Dsp {
    /// Packs parameters and tables. Those that `check` refuses compute nothing, or what no one asked for.
    pub const fn layer<'a>(&self, filter: &FilterDsp<'a>) -> PointwiseLayerDsp<'a> {
        let tiles = Tiles::new(&self.form(), filter);
        let reach = self.input.channels.saturating_sub(1) * self.input.layout.chan + 4;
        PointwiseLayerDsp { tiles, input: Lines::of(&self.input), reach: reach as u32 }
    }
}

/// Computes output `rows` of [`conv2d_i8`](crate::conv2d_i8) for a kernel of one pixel, stride 1, without padding.
///
/// For each tile of four pixels: the planes of two channels become a word a pixel, then the micro-kernel computes all output
/// channels. Contiguous planes are one run of pixels over all rows.
#[inline(never)]
pub fn pointwise_conv2d_i8_dsp(mem: &mut [Block], p: &PointwiseLayerDsp, rows: Range<usize>) {
    tiles::run(mem, &p.tiles, rows, &mut |outside, _, start, columns| {
        let source = outside.get(p.input.at(start.y) + start.x, p.reach as usize);
        planes_to_columns(source, p.input.chan as usize, columns);
    });
}
