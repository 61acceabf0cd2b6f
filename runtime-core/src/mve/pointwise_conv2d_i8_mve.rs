//! int8 convolution by a kernel of one pixel: a matrix product, without a window to gather.

use super::conv2d_i8_mve::interleave;
use super::gemm::Gemm;
use super::transpose;
use super::{FilterMve, Range as Clamp};
use crate::dsp::outside;
use crate::dsp::tiles::flat;
use crate::{Block, Image, view_mut};
use core::ops::Range;

/// Parameters of [`pointwise_conv2d_i8_mve`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointwiseConv2dI8Mve {
    /// Input image, int8.
    pub input: Image,
    /// Output image, int8, of the same rows and columns.
    pub output: Image,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
    /// Byte offset of [`PointwiseConv2dI8Mve::scratch_len`] bytes, a multiple of 16: eight pixels with their channels side by
    /// side.
    pub scratch: usize,
}

impl PointwiseConv2dI8Mve {
    /// Bytes from pixel to pixel in the scratch.
    const fn step(&self) -> usize {
        self.input.channels.next_multiple_of(8)
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        transpose::PIXELS * self.step()
    }

    /// Whether the output may lie over the input, pixel over pixel: eight pixels are gathered from all input channels before any
    /// of their outputs is written, and each pixel is gathered once.
    pub const fn in_place(&self) -> bool {
        self.input.same_pixels(&self.output)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterMve, arena: usize) -> Result<(), &'static str> {
        if self.input.height != self.output.height || self.input.width != self.output.width {
            return Err("pointwise_conv2d_i8_mve: input and output differ in rows or columns");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("pointwise_conv2d_i8_mve: image outside of the arena");
        }
        if self.input.elements() == 0 || self.output.elements() == 0 {
            return Err("pointwise_conv2d_i8_mve: nothing to compute");
        }
        if self.input.channels > transpose::MOST_CHANNELS {
            return Err("pointwise_conv2d_i8_mve: too many channels");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("pointwise_conv2d_i8_mve: scratch outside of the arena");
        }
        if !filter.fits(self.output.channels, self.input.channels) {
            return Err("pointwise_conv2d_i8_mve: tables do not fit the channels");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`conv2d_i8`](crate::conv2d_i8) for a kernel of one pixel, stride 1, without padding.
///
/// Eight pixels at a time are interleaved, then the micro-kernel computes all output channels of two. Contiguous planes are
/// one run of pixels over all rows.
pub fn pointwise_conv2d_i8_mve(
    mem: &mut [Block],
    p: &PointwiseConv2dI8Mve,
    rows: Range<usize>,
    filter: &FilterMve,
) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let (pixels, step) = (view_mut::<i8>(scratch), p.step());
    let (input, output) = (&p.input, &p.output);
    let gemm = Gemm {
        filter,
        range: Clamp::new(p.output_zero_point, p.min, p.max),
        channels: output.channels,
        plane: output.layout.chan,
    };
    let (runs, length) = match flat(input) && flat(output) {
        true => (rows.start..rows.end.min(rows.start + 1), rows.len() * output.width),
        false => (rows, output.width),
    };
    for y in runs {
        for x in (0..length).step_by(transpose::PIXELS) {
            let count = (length - x).min(transpose::PIXELS);
            let at = input.row(y) + x * input.layout.col;
            interleave(&outside, input, (at, count), (&mut *pixels, step));
            for i in (0..count).step_by(2) {
                // A lone last pixel is computed twice, and stored once.
                let two = i + 1 < count;
                let column = |i: usize| pixels.get(i * step..).and_then(|from| from.get(..input.channels));
                let columns = [i, i + two as usize].map(|i| column(i).unwrap_or(&[]));
                let step = if two { output.layout.col } else { 0 };
                let len = (output.channels - 1) * output.layout.chan + step + 1;
                let at = output.row(y) + (x + i) * output.layout.col;
                gemm.run(columns, outside.get_mut(at, len), step);
            }
        }
    }
}
