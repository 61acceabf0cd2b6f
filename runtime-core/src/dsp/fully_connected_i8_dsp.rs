//! int8 dense layer: each row of the input times a constant matrix, four outputs at a time.

use super::dense::{self, Quads};
use super::gather::bytes_to_halves;
use super::outside;
use super::tiles;
use super::words::{opaque, rolled};
use crate::{Block, Image, view_mut};
use core::ops::Range;

/// Tables of an int8 dense layer for cores with the DSP extension, for four outputs at a time.
///
/// Sixteen inputs are four groups of `x0 x1 x2 x3`; for each group and each pair of outputs come two words that hold the
/// inputs `x0, x2` and `x1, x3`, in the order `[pair 0: 02] [pair 1: 02] [pair 0: 13] [pair 1: 13]`, packed as in
/// [`FilterDsp`](crate::FilterDsp). Inputs and outputs are filled up with zeros.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DenseFilterDsp<'a> {
    /// Words, `[outputs / 4][inputs / 4][4]`, the inputs a multiple of 16.
    pub weights: &'a [u32],
    /// For each four outputs `b0`, `b1`, `b2`, `b3`, `M0`, `M1`, `M2`, `M3`. Dual packing has `256 * b1 + b0` in the place of
    /// `b1`, and `256 * b3 + b2` in that of `b3`.
    pub quads: &'a [i32],
}

/// Parameters of [`fully_connected_i8_dsp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FullyConnectedI8Dsp {
    /// Input image; the `width * channels` values of a row are its features, one after the other.
    pub input: Image,
    /// Output image, `rows x 1 x features`.
    pub output: Image,
    /// Whether the weights are packed in the dual way.
    pub dual: bool,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
    /// Byte offset of [`FullyConnectedI8Dsp::scratch_len`] bytes, a multiple of 16: the features as 16-bit halves.
    pub scratch: usize,
}

impl FullyConnectedI8Dsp {
    const fn features(&self) -> usize {
        self.input.width * self.input.channels
    }

    /// Words of one row of features.
    const fn words(&self) -> usize {
        self.features().next_multiple_of(16) / 2
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        4 * self.words()
    }

    /// Whether images, tables and scratch fit together in `arena` bytes.
    pub const fn check(&self, filter: &DenseFilterDsp, arena: usize) -> Result<(), &'static str> {
        let l = &self.input.layout;
        let (n, one) = (self.input.channels, self.input.width == 1);
        let flat = (one || l.col == n) && (n == 1 || l.chan == 1) || (n == 1 && l.col == 1);
        if !flat {
            return Err("fully_connected_i8_dsp: the values of a row must be contiguous");
        }
        if self.input.height != self.output.height || self.output.width != 1 {
            return Err("fully_connected_i8_dsp: the output needs one column and the rows of the input");
        }
        if !self.input.fits(1, arena) || !self.output.fits(1, arena) {
            return Err("fully_connected_i8_dsp: image outside of the arena");
        }
        if !outside::fits(self.scratch, self.scratch_len(), arena) {
            return Err("fully_connected_i8_dsp: scratch outside of the arena");
        }
        let quads = self.output.channels.div_ceil(4);
        if self.features() == 0
            || filter.weights.len() != quads * self.words() * 2
            || filter.quads.len() != quads * 8
        {
            return Err("fully_connected_i8_dsp: tables do not fit the features");
        }
        Ok(())
    }
}

/// Computes output `rows` of [`fully_connected_i8`](crate::fully_connected_i8) with symmetric weights.
pub fn fully_connected_i8_dsp(
    mem: &mut [Block],
    p: &FullyConnectedI8Dsp,
    rows: Range<usize>,
    filter: &DenseFilterDsp,
) {
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch, p.scratch_len()) else { return };
    let x = view_mut::<u32>(scratch);
    let (n, step) = (p.output.channels, p.output.layout.chan);
    // As many as can be stored as words.
    let direct = if step == 1 { n / 4 } else { 0 };
    for y in rows.clone() {
        // What lies behind the features meets weights of zero.
        bytes_to_halves(outside.get(p.input.row(y), p.features()), x);
        let at = p.output.row(y);
        quads(p, filter, x, 0..direct, outside.get_mut(at, 4 * direct));
        for quad in direct..n.div_ceil(4) {
            let mut out = [opaque(0) as i8; 4];
            quads(p, filter, x, quad..quad + 1, &mut out);
            for (c, value) in (quad * 4..n).zip(out) {
                if let [to] = outside.get_mut(at + c * step, 1) {
                    *to = value;
                }
                rolled();
            }
        }
    }
    tiles::clamp(&mut outside, &p.output, rows, p.min, p.max);
}

/// Some outputs of a row of features `x`, four at a time.
#[inline(never)]
fn quads(p: &FullyConnectedI8Dsp, filter: &DenseFilterDsp, x: &[u32], quads: Range<usize>, out: &mut [i8]) {
    let words = 2 * x.len();
    let (weights, params) = (quads.start * words..quads.end * words, quads.start * 8..quads.end * 8);
    if let (Some(weights), Some(params)) = (filter.weights.get(weights), filter.quads.get(params)) {
        dense::run(Quads { x, weights, params, dual: p.dual, zero_point: p.output_zero_point as i32 }, out);
    }
}
