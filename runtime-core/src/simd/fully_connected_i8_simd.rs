//! Dense layers: every row of the input times a constant matrix.

use super::FilterSimd;
use super::gemm::{Gemm, Pixels};
use super::lanes::{Target, ValueOf, dispatch};
use super::ring::widen;
use crate::dsp::outside;
use crate::{Block, Image, view_mut};
use core::ops::Range;

/// Parameters of [`fully_connected_i8_simd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullyConnectedI8Simd {
    /// Input image, int8; the `width * channels` values of a row, one after the other, are its features.
    pub input: Image,
    /// Output image, int8, `rows x 1 x features`.
    pub output: Image,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
    /// Byte offset of [`FullyConnectedI8Simd::scratch_len`] bytes, a multiple of 16: the features, widened.
    pub scratch: usize,
}

impl FullyConnectedI8Simd {
    const fn features(&self) -> usize {
        self.input.width * self.input.channels
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        (4 * self.features().div_ceil(2)).next_multiple_of(16)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterSimd, arena: usize) -> Result<(), &'static str> {
        if self.input.height != self.output.height || self.output.width != 1 {
            return Err("fully_connected_i8_simd: the output needs one column and the rows of the input");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("fully_connected_i8_simd: image outside of the arena");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("fully_connected_i8_simd: scratch outside of the arena");
        }
        if self.features() == 0 || !filter.fits(self.output.channels, self.features().div_ceil(2)) {
            return Err("fully_connected_i8_simd: tables do not fit the features");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`fully_connected_i8`](crate::fully_connected_i8).
pub fn fully_connected_i8_simd(
    mem: &mut [Block],
    p: &FullyConnectedI8Simd,
    rows: Range<usize>,
    filter: &FilterSimd,
) {
    dispatch!(layer(mem: &mut [Block], p: &FullyConnectedI8Simd, rows: Range<usize>, filter: &FilterSimd));
}

#[inline(always)]
fn layer<T: Target>(mem: &mut [Block], p: &FullyConnectedI8Simd, rows: Range<usize>, filter: &FilterSimd) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let gemm = Gemm {
        filter,
        channels: p.output.channels,
        chan: p.output.layout.chan,
        zero_point: p.output_zero_point,
        bounds: (p.min, p.max),
    };
    let values = view_mut::<ValueOf<T>>(scratch);
    for y in rows {
        widen(outside.get(p.input.row(y), p.features()), values);
        let x = Pixels { values: [&*values], runs: &[0], words: p.features().div_ceil(2) };
        gemm.pixels::<T, 1>(x, &mut outside, [p.output.row(y)]);
    }
}
