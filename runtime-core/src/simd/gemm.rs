//! The micro-kernel of convolutions and dense layers: every output channel of some pixels, eight channels at a time, or sixteen
//! where the registers hold their sums.
//!
//! ```text
//! for each block of 8 channels, or two blocks:
//!     a sum for each pixel = biases               a vector of 8 lanes for each pixel and block
//!     for each run, for each of its words of two taps:
//!         w = 16 bytes of weights, widened to 8 pairs of 16 bits
//!         for each pixel:
//!             x = the pixel's word, 8 times
//!             sum += w . x                        pmaddwd, paddd
//!     requantize, clamp, store the channels of each pixel side by side
//! ```
//!
//! With AVX2, four pixels and two blocks are 8 registers of sums, 2 of weights and 1 of values: 128 multiply-accumulates in 18
//! instructions of arithmetic and 4 broadcasts. A product of bytes has 15 bits: `pmaddwd` never saturates, and all sums are those of
//! the plain kernels.

use super::FilterSimd;
use super::lanes::{Bounds, Lanes};
use crate::dsp::outside::Outside;

/// A layer.
#[derive(Clone, Copy)]
pub(super) struct Gemm<'a> {
    /// Weights and parameters.
    pub filter: &'a FilterSimd<'a>,
    /// Output channels.
    pub channels: usize,
    /// Distance from one output channel to the next.
    pub chan: usize,
    /// Zero point of the output.
    pub zero_point: i8,
    /// Smallest and largest output.
    pub bounds: Bounds,
}

/// What some pixels read: runs of words, in the order of the weights.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a, const P: usize> {
    /// Values from the first one of each pixel on.
    pub values: [&'a [i16]; P],
    /// Where the runs begin in them.
    pub runs: &'a [u32],
    /// Words of two values in a run.
    pub words: usize,
}

impl Gemm<'_> {
    /// Computes all channels of `P` pixels, which begin `at`.
    #[inline(always)]
    pub fn pixels<V: Lanes, const P: usize>(&self, x: Pixels<P>, outside: &mut Outside, at: [usize; P]) {
        let words = (x.runs.len() * x.words).max(1);
        let mut weights = self.filter.weights.as_chunks::<16>().0.chunks_exact(words);
        let mut blocks = self.filter.blocks.as_chunks::<8>().0.as_chunks::<2>().0;
        let mut first = 0;
        if V::MANY {
            while let [p, q, rest @ ..] = blocks {
                let (Some(w), Some(v)) = (weights.next(), weights.next()) else { return };
                let [a, b] = block::<V, 2, P>([w, v], [p, q], x);
                for ((a, b), at) in a.into_iter().zip(b).zip(at) {
                    self.store(V::bytes(a, b, self.zero_point, self.bounds), outside, at, first);
                }
                (blocks, first) = (rest, first + 16);
            }
        }
        for (p, w) in blocks.iter().zip(weights) {
            let [a] = block::<V, 1, P>([w], [p], x);
            let (pairs, rest) = a.as_chunks::<2>();
            let (ats, last) = at.as_chunks::<2>();
            for ([a, b], at) in pairs.iter().zip(ats) {
                let values = V::bytes(*a, *b, self.zero_point, self.bounds);
                let [low, high] = halves(values);
                self.store(low, outside, at[0], first);
                self.store(high, outside, at[1], first);
            }
            for (a, at) in rest.iter().zip(last) {
                let [low, _] = halves(V::bytes(*a, *a, self.zero_point, self.bounds));
                self.store(low, outside, *at, first);
            }
            first += 8;
        }
    }

    /// Stores channels of a pixel from the channel `first` on, but none behind the last one.
    #[inline(always)]
    fn store<const N: usize>(&self, values: [i8; N], outside: &mut Outside, at: usize, first: usize) {
        let count = N.min(self.channels.saturating_sub(first));
        store(values, count, outside, at + first * self.chan, self.chan);
    }
}

/// Two halves of a vector.
#[inline(always)]
fn halves(values: [i8; 16]) -> [[i8; 8]; 2] {
    match values.as_chunks() {
        ([low, high], _) => [*low, *high],
        _ => [[0; 8]; 2],
    }
}

/// Stores the first `count` values, `step` bytes apart.
#[inline(always)]
pub(super) fn store<const N: usize>(
    values: [i8; N],
    count: usize,
    outside: &mut Outside,
    at: usize,
    step: usize,
) {
    if step == 1 && count == N {
        if let Some(out) = outside.get_mut(at, N).first_chunk_mut() {
            *out = values;
        }
        return;
    }
    for (i, value) in values.into_iter().take(count).enumerate() {
        if let [to] = outside.get_mut(at + i * step, 1) {
            *to = value;
        }
    }
}

/// The requantized sums of `N` blocks of channels of `P` pixels.
#[inline(always)]
fn block<V: Lanes, const N: usize, const P: usize>(
    weights: [&[[i8; 16]]; N],
    params: [&[[i32; 8]; 2]; N],
    x: Pixels<P>,
) -> [[V::Sums; P]; N] {
    let mut sums = params.map(|[biases, _]| [V::sums(biases); P]);
    let mut from = 0;
    for &run in x.runs {
        let pixels = x.values.map(|values| {
            let values = values.get(run as usize..).unwrap_or(&[]).as_chunks::<2>().0;
            values.get(..x.words).unwrap_or(&[])
        });
        let weights = weights.map(|weights| weights.get(from..from + x.words).unwrap_or(&[]));
        from += x.words;
        let lengths = weights.iter().map(|w| w.len()).chain(pixels.iter().map(|x| x.len()));
        if lengths.min() == Some(x.words) {
            // SAFETY: all slices are so long.
            #[allow(unsafe_code)]
            unsafe {
                products::<V, N, P>(&mut sums, weights, pixels, x.words)
            };
        }
    }
    for (sums, [_, multipliers]) in sums.iter_mut().zip(params) {
        let multipliers = V::multipliers(multipliers);
        for sum in sums {
            *sum = V::requantize(*sum, multipliers);
        }
    }
    sums
}

/// Adds the products of one run.
///
/// # Safety
/// All slices hold `words` words.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn products<V: Lanes, const N: usize, const P: usize>(
    sums: &mut [[V::Sums; P]; N],
    weights: [&[[i8; 16]]; N],
    pixels: [&[[i16; 2]]; P],
    words: usize,
) {
    for k in 0..words {
        for (sums, w) in sums.iter_mut().zip(weights) {
            // SAFETY: `k` is less than every length.
            let w = V::widen(unsafe { w.get_unchecked(k) });
            for (sum, x) in sums.iter_mut().zip(pixels) {
                // SAFETY: likewise.
                let x = V::same(unsafe { x.get_unchecked(k) });
                *sum = V::mac(*sum, w, x);
            }
        }
    }
}
