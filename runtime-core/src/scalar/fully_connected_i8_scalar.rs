//! int8 dense layer: each row of the input times a constant matrix, four outputs at a time.

use super::dense::sums;
use super::filter_scalar::{FIELDS, FilterScalar};
use super::short::quantize;
use crate::dsp::{outside, tiles};
use crate::hints::rolled;
use crate::{Block, Image, view_mut};
use core::ops::Range;

/// Parameters of [`fully_connected_i8_scalar`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullyConnectedI8Scalar {
    /// Input image; the `width * channels` values of a row are its features, one after the other.
    pub input: Image,
    /// Output image, `rows x 1 x features`.
    pub output: Image,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
    /// Byte offset of [`FullyConnectedI8Scalar::scratch_len`] bytes, a multiple of 16: the features of a row.
    pub scratch: usize,
}

impl FullyConnectedI8Scalar {
    const fn features(&self) -> usize {
        self.input.width * self.input.channels
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        self.features().next_multiple_of(16)
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &FilterScalar, arena: usize) -> Result<(), &'static str> {
        let l = &self.input.layout;
        let (n, one) = (self.input.channels, self.input.width == 1);
        let flat = (one || l.col == n) && (n == 1 || l.chan == 1) || (n == 1 && l.col == 1);
        if !flat {
            return Err("fully_connected_i8_scalar: the values of a row must be contiguous");
        }
        if self.input.height != self.output.height || self.output.width != 1 {
            return Err("fully_connected_i8_scalar: the output needs one column and the rows of the input");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("fully_connected_i8_scalar: image outside of the arena");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("fully_connected_i8_scalar: scratch outside of the arena");
        }
        let rows = if self.output.channels < 4 { 4 } else { self.output.channels };
        if self.features() == 0 || !filter.fits(rows, self.features()) {
            return Err("fully_connected_i8_scalar: tables do not fit the features");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`fully_connected_i8`](crate::fully_connected_i8) with symmetric weights and multipliers below 0.5, from
/// weights in the same order. The last four outputs may overlap those before; fewer than four are filled up in the tables.
pub fn fully_connected_i8_scalar(
    mem: &mut [Block],
    p: &FullyConnectedI8Scalar,
    rows: Range<usize>,
    filter: &FilterScalar,
) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let features = p.features();
    let Some(x) = view_mut::<i8>(scratch).get_mut(..features) else { return };
    let channels = filter.channels.as_chunks::<FIELDS>().0;
    let last = p.output.channels.saturating_sub(4);
    for y in rows.clone() {
        for (to, &value) in x.iter_mut().zip(outside.get(p.input.row(y), features)) {
            *to = value;
            rolled();
        }
        let at = p.output.row(y);
        for first in (0..p.output.channels).step_by(4) {
            let first = first.min(last);
            let weights = filter.weights.get(first * features..).unwrap_or(&[]);
            let channels = channels.get(first..).unwrap_or(&[]);
            let sums = sums(x, weights);
            for ((c, &[bias, _, multiplier, m]), sum) in (first..p.output.channels).zip(channels).zip(sums) {
                if let [to] = outside.get_mut(at + c * p.output.layout.chan, 1) {
                    *to = quantize(sum.wrapping_add(bias), multiplier, m, p.output_zero_point as i32);
                }
            }
        }
    }
    tiles::clamp(&mut outside, &p.output, rows, p.min, p.max);
}
