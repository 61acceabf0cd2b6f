//! int8 convolution by a kernel of one pixel: a matrix product, without a window to gather.

use super::FilterDsp;
use super::gather::planes_to_columns;
use super::gemm::Gemm;
use super::outside::{self, Outside};
use super::tiles::{self, Start, Target, flat, planar};
use crate::{Block, Image, view_mut};
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
        flat(&self.input) && flat(&self.output)
    }

    /// Output rows that a call computes in any order among each other: tiles over several rows belong to a few of them.
    pub const fn rows_at_once(&self) -> usize {
        if self.one_run() { 8 } else { 1 }
    }

    /// Words of weights for a pair of output channels.
    const fn words(&self) -> usize {
        self.input.channels.div_ceil(2)
    }

    /// Whether the last tile of the one run is not whole.
    const fn rest(&self) -> bool {
        self.one_run() && !(self.output.height * self.output.width).is_multiple_of(4)
    }

    /// Bytes of scratch: the columns of a tile, and the outputs of a last tile that is not whole.
    pub const fn scratch_len(&self) -> usize {
        16 * self.words() + if self.rest() { (4 * self.output.channels).next_multiple_of(16) } else { 0 }
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
        if !planar(&self.input) || !planar(&self.output) {
            return Err("pointwise_conv2d_i8_dsp: the pixels of a row must be contiguous");
        }
        if self.input.width < 4 {
            return Err("pointwise_conv2d_i8_dsp: rows of fewer than four pixels");
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

/// Computes output `rows` of [`conv2d_i8`](crate::conv2d_i8) for a kernel of one pixel, stride 1, without padding.
///
/// For each tile of four pixels: the planes of two channels become a word a pixel, then the micro-kernel computes all output
/// channels. Contiguous planes are one run of pixels over all rows.
pub fn pointwise_conv2d_i8_dsp(
    mem: &mut [Block],
    p: &PointwiseConv2dI8Dsp,
    rows: Range<usize>,
    filter: &FilterDsp,
) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let Some((columns, buffer)) = scratch.split_at_mut_checked(p.words()) else { return };
    let columns = view_mut::<u32>(columns).as_chunks_mut::<4>().0;
    let (dual, zero_point) = (p.dual, p.output_zero_point as i32);
    let gemm = Gemm { filter, dual, zero_point, channels: p.output.channels };
    let target = Target { output: &p.output, one_run: p.one_run(), once: p.rest() };
    let buffers = (columns, view_mut::<i8>(buffer));
    let plane = p.input.layout.chan;
    let len = p.input.channels.saturating_sub(1) * plane + 4;
    let mut gather = |outside: &Outside, start: Start, columns: &mut [[u32; 4]]| {
        let source = outside.get(p.input.row(start.y) + start.x, len);
        planes_to_columns(source, plane, p.input.channels, columns);
    };
    tiles::run(&gemm, target, rows.clone(), &mut outside, buffers, &mut gather);
    tiles::clamp(&mut outside, &p.output, rows, p.min, p.max);
}
