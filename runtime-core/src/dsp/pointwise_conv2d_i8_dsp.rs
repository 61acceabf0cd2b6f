//! int8 convolution by a kernel of one pixel: a matrix product, without a window to gather.

use super::gather::planes_to_columns;
use super::gemm::Gemm;
use super::tiles::{self, flat, planar};
use super::{FilterDsp, outside};
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
    /// Byte offset of [`PointwiseConv2dI8Dsp::scratch_len`] bytes, a multiple of 16: the columns of four pixels.
    pub scratch: usize,
}

impl PointwiseConv2dI8Dsp {
    /// Whether all pixels are one run; otherwise every row is one.
    const fn one_run(&self) -> bool {
        flat(&self.input) && flat(&self.output)
    }

    /// Words of weights for a pair of output channels.
    const fn words(&self) -> usize {
        self.input.channels.div_ceil(2)
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        16 * self.words()
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
    let columns = view_mut::<u32>(scratch).as_chunks_mut::<4>().0;
    let (dual, zero_point) = (p.dual, p.output_zero_point as i32);
    let gemm = Gemm { filter, dual, zero_point, channels: p.output.channels };
    let target = (&p.output, p.one_run());
    let plane = p.input.layout.chan;
    let len = p.input.channels.saturating_sub(1) * plane + 4;
    tiles::run(&gemm, target, rows.clone(), &mut outside, (columns, &mut []), |outside, start, columns| {
        let source = outside.get(p.input.row(start.y) + start.x, len);
        planes_to_columns(source, plane, p.input.channels, columns);
    });
    tiles::clamp(&mut outside, &p.output, rows, p.min, p.max);
}
