//! int8 dense layer: each row of the input times a constant matrix, four outputs at a time.

use super::dense::{self, Quads};
use super::gather::bytes_to_halves;
use super::lines::Lines;
use super::outside;
use super::tiles::{Runs, clamp_lines};
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

/// Words of one row of features.
const fn words(features: usize) -> usize {
    features.next_multiple_of(16) / 2
}

impl FullyConnectedI8Dsp {
    const fn features(&self) -> usize {
        self.input.width * self.input.channels
    }

    /// Bytes of scratch.
    pub const fn scratch_len(&self) -> usize {
        4 * words(self.features())
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
        if !Lines::hold(&self.input) || !Lines::hold(&self.output) {
            return Err("fully_connected_i8_dsp: an extent of more than 16 bits");
        }
        let quads = self.output.channels.div_ceil(4);
        if self.features() == 0
            || filter.weights.len() != quads * words(self.features()) * 2
            || filter.quads.len() != quads * 8
        {
            return Err("fully_connected_i8_dsp: tables do not fit the features");
        }
        Ok(())
    }
}

/// [`FullyConnectedI8Dsp`] and its tables as the kernel reads them, in few bytes.
#[derive(Debug, Clone, Copy)]
pub struct DenseLayerDsp<'a> {
    filter: DenseFilterDsp<'a>,
    input: Lines,
    output: Lines,
    scratch: u32,
    features: u32,
    channels: u16,
    dual: bool,
    zero_point: i8,
    min: i8,
    max: i8,
}

impl FullyConnectedI8Dsp {
    /// Packs parameters and tables. Those that `check` refuses compute nothing, or what no one asked for.
    pub const fn layer<'a>(&self, filter: &DenseFilterDsp<'a>) -> DenseLayerDsp<'a> {
        DenseLayerDsp {
            filter: *filter,
            input: Lines::of(&self.input),
            output: Lines::of(&self.output),
            scratch: self.scratch as u32,
            features: self.features() as u32,
            channels: self.output.channels as u16,
            dual: self.dual,
            zero_point: self.output_zero_point,
            min: self.min,
            max: self.max,
        }
    }
}

/// Computes output `rows` of [`fully_connected_i8`](crate::fully_connected_i8) with symmetric weights.
pub fn fully_connected_i8_dsp(mem: &mut [Block], p: &DenseLayerDsp, rows: Range<usize>) {
    let (features, n) = (p.features as usize, p.channels as usize);
    let len = 4 * words(features);
    let Some((scratch, mut outside)) = outside::split(mem, p.scratch as usize, len) else { return };
    let (x, step) = (view_mut::<u32>(scratch), p.output.chan as usize);
    // As many as can be stored as words.
    let direct = if step == 1 { n / 4 } else { 0 };
    for y in rows.clone() {
        // What lies behind the features meets weights of zero.
        bytes_to_halves(outside.get(p.input.at(y), features), x);
        let at = p.output.at(y);
        quads(p, x, 0..direct, outside.get_mut(at, 4 * direct));
        for quad in direct..n.div_ceil(4) {
            let mut out = [opaque(0) as i8; 4];
            quads(p, x, quad..quad + 1, &mut out);
            for (c, value) in (quad * 4..n).zip(out) {
                if let [to] = outside.get_mut(at + c * step, 1) {
                    *to = value;
                }
                rolled();
            }
        }
    }
    clamp_lines(&mut outside, &p.output, (rows, Runs::of_planes(&p.output, n, 1)), p.min, p.max);
}

/// Some outputs of a row of features `x`, four at a time.
#[inline(never)]
fn quads(p: &DenseLayerDsp, x: &[u32], quads: Range<usize>, out: &mut [i8]) {
    let words = 2 * x.len();
    let (weights, params) = (quads.start * words..quads.end * words, quads.start * 8..quads.end * 8);
    if let (Some(weights), Some(params)) = (p.filter.weights.get(weights), p.filter.quads.get(params)) {
        dense::run(Quads { x, weights, params, dual: p.dual, zero_point: p.zero_point as i32 }, out);
    }
}
