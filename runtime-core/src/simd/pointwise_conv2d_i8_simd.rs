//! int8 convolution by a kernel of one pixel: a matrix product, without a window to gather.

use super::FilterSimd;
use super::gemm::{Gemm, Pixels};
use super::lanes::{Target, Value, ValueOf, dispatch};
use super::ring::widen;
use crate::dsp::outside::{self, Outside};
use crate::{Block, Image, view_mut};
use core::array::from_fn;
use core::ops::Range;

/// Parameters of [`pointwise_conv2d_i8_simd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointwiseConv2dI8Simd {
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
    /// Byte offset of [`PointwiseConv2dI8Simd::scratch_len`] bytes, a multiple of 16: the values of four pixels.
    pub scratch: usize,
}

impl PointwiseConv2dI8Simd {
    /// Words of weights for an output channel.
    const fn words(&self) -> usize {
        self.input.channels.div_ceil(2)
    }

    /// Whether the output may lie over the input, pixel over pixel: the channels of a pixel are widened before its outputs are
    /// written, and once.
    pub const fn in_place(&self) -> bool {
        self.input.same_pixels(&self.output)
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        16 * self.words()
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterSimd, arena: usize) -> Result<(), &'static str> {
        if self.input.height != self.output.height || self.input.width != self.output.width {
            return Err("pointwise_conv2d_i8_simd: input and output differ in rows or columns");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("pointwise_conv2d_i8_simd: image outside of the arena");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("pointwise_conv2d_i8_simd: scratch outside of the arena");
        }
        if self.input.channels == 0 || !filter.fits(self.output.channels, self.words()) {
            return Err("pointwise_conv2d_i8_simd: tables do not fit the channels");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`conv2d_i8`](crate::conv2d_i8) for a kernel of one pixel, stride 1, without padding.
///
/// For each tile of four pixels: their channels are widened, then the micro-kernel computes all output channels. Rows without gaps
/// are one run of pixels.
pub fn pointwise_conv2d_i8_simd(
    mem: &mut [Block],
    p: &PointwiseConv2dI8Simd,
    rows: Range<usize>,
    filter: &FilterSimd,
) {
    dispatch!(layer(mem: &mut [Block], p: &PointwiseConv2dI8Simd, rows: Range<usize>, filter: &FilterSimd));
}

/// Whether rows follow each other without a gap.
const fn gapless(image: &Image) -> bool {
    image.layout.row == image.width * image.layout.col && image.ring >= image.height
}

#[inline(always)]
fn layer<T: Target>(mem: &mut [Block], p: &PointwiseConv2dI8Simd, rows: Range<usize>, filter: &FilterSimd) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let gemm = Gemm {
        filter,
        channels: p.output.channels,
        chan: p.output.layout.chan,
        zero_point: p.output_zero_point,
        bounds: (p.min, p.max),
    };
    let (runs, length) = match gapless(&p.input) && gapless(&p.output) {
        true => (rows.start..rows.end.min(rows.start + 1), rows.len() * p.output.width),
        false => (rows, p.output.width),
    };
    let mut tile = Tile::<T> { p, gemm, values: view_mut(scratch) };
    for y in runs {
        let (mut from, mut to) = (p.input.row(y), p.output.row(y));
        for _ in 0..length / 4 {
            tile.run::<4>(&mut outside, from, to);
            (from, to) = (from + 4 * p.input.layout.col, to + 4 * p.output.layout.col);
        }
        for _ in 0..length % 4 {
            tile.run::<1>(&mut outside, from, to);
            (from, to) = (from + p.input.layout.col, to + p.output.layout.col);
        }
    }
}

/// Some neighbouring pixels at a time.
struct Tile<'a, T: Target> {
    p: &'a PointwiseConv2dI8Simd,
    gemm: Gemm<'a>,
    values: &'a mut [ValueOf<T>],
}

impl<T: Target> Tile<'_, T> {
    /// Computes the pixels that begin at `from`, into those that begin at `to`.
    #[inline(always)]
    fn run<const P: usize>(&mut self, outside: &mut Outside, from: usize, to: usize) {
        let (words, channels, layout) = (self.p.words(), self.p.input.channels, self.p.input.layout);
        // A slice of the channels has others between its pixels.
        if layout.chan == 1 && layout.col == channels && channels == 2 * words {
            widen(outside.get(from, P * channels), self.values);
        } else {
            for (j, values) in self.values.chunks_exact_mut((2 * words).max(1)).take(P).enumerate() {
                let at = from + j * layout.col;
                if layout.chan == 1 {
                    widen(outside.get(at, channels), values);
                    continue;
                }
                for (c, value) in values.iter_mut().take(channels).enumerate() {
                    *value =
                        ValueOf::<T>::of(outside.get(at + c * layout.chan, 1).first().copied().unwrap_or(0));
                }
            }
        }
        let values = &*self.values;
        let values = from_fn(|j| values.get(2 * j * words..).unwrap_or(&[]));
        let x = Pixels { values, runs: &[0], words };
        self.gemm.pixels::<T, P>(x, outside, from_fn(|j| to + j * self.p.output.layout.col));
    }
}
