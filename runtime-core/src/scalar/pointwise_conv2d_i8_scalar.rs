//! int8 convolution by a kernel of one pixel: a matrix product, without a window to gather.

use super::FilterScalar;
use super::gather::{Runs, gather, gather_planes};
use super::gemm::Gemm;
use super::pixels::{self, buffer_len};
use crate::dsp::outside;
use crate::dsp::tiles::{self, flat};
use crate::{Block, Image, view_mut};
use core::ops::Range;

/// Parameters of [`pointwise_conv2d_i8_scalar`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointwiseConv2dI8Scalar {
    /// Input image, int8; the pixels of a row are contiguous in each channel.
    pub input: Image,
    /// Output image, int8, of the same rows and columns.
    pub output: Image,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
    /// Byte offset of [`PointwiseConv2dI8Scalar::scratch_len`] bytes, a multiple of 16: the columns and the outputs of four pixels.
    pub scratch: usize,
}

impl PointwiseConv2dI8Scalar {
    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        16 * self.input.channels.div_ceil(2) + buffer_len(&self.output)
    }

    /// Whether tiles run on over the rows.
    const fn one_run(&self) -> bool {
        flat(&self.input) && flat(&self.output)
    }

    /// Output rows of one tile, which is gathered before any of them is written; tiles come in ascending order.
    pub const fn rows_at_once(&self) -> usize {
        let width = if self.output.width == 0 { 1 } else { self.output.width };
        if self.one_run() { (width + 2) / width + 1 } else { 1 }
    }

    /// Whether the output may lie over the input, pixel over pixel: a tile is gathered from all input channels before any of its
    /// outputs is written, and each pixel is gathered once.
    pub const fn in_place(&self) -> bool {
        self.input.same_pixels(&self.output)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterScalar, arena: usize) -> Result<(), &'static str> {
        if self.input.height != self.output.height || self.input.width != self.output.width {
            return Err("pointwise_conv2d_i8_scalar: input and output differ in rows or columns");
        }
        if self.input.layout.col != 1 && self.input.width != 1 {
            return Err("pointwise_conv2d_i8_scalar: the pixels of a row must be contiguous");
        }
        if self.input.channels == 0 || self.output.elements() == 0 {
            return Err("pointwise_conv2d_i8_scalar: nothing to compute");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("pointwise_conv2d_i8_scalar: image outside of the arena");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("pointwise_conv2d_i8_scalar: scratch outside of the arena");
        }
        if !filter.fits(self.output.channels, self.input.channels.next_multiple_of(2)) {
            return Err("pointwise_conv2d_i8_scalar: tables do not fit the channels");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`conv2d_i8`](crate::conv2d_i8) for a kernel of one pixel, stride 1, without padding. Contiguous planes
/// are one run of pixels over all rows.
pub fn pointwise_conv2d_i8_scalar(
    mem: &mut [Block],
    p: &PointwiseConv2dI8Scalar,
    rows: Range<usize>,
    filter: &FilterScalar,
) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let Some((columns, buffer)) = scratch.split_at_mut_checked(p.input.channels.div_ceil(2)) else { return };
    let columns = view_mut::<u32>(columns).as_chunks_mut::<4>().0;
    let gemm = Gemm { filter, zero_point: p.output_zero_point as i32 };
    let target = (&p.output, p.one_run());
    let (channels, plane) = (p.input.channels, p.input.layout.chan);
    let buffers = (columns, view_mut::<i8>(buffer));
    pixels::run(&gemm, target, rows.clone(), &mut outside, buffers, |outside, tile, columns| {
        let [(y, x), ..] = tile.pixels;
        let len = channels.saturating_sub(1) * plane + tile.count;
        let source = outside.get(p.input.row(y) + x, len);
        let taps = columns.as_flattened_mut().as_chunks_mut::<2>().0;
        let Some(taps) = taps.get_mut(..channels) else { return };
        if tile.count == 4 {
            gather_planes(source, plane, taps);
        } else {
            let at = [0, 1, 2, 3].map(|i: usize| i.min(tile.count - 1));
            gather(source, &at, Runs { count: channels, step: plane, len: 1, apart: 1 }, taps);
        }
    });
    tiles::clamp_any(&mut outside, &p.output, rows, p.min, p.max);
}
