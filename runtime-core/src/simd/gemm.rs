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
use super::lanes::{Bounds, Lanes, Params, Products, Target, ValueOf};
use crate::dsp::outside::Outside;
use core::array::from_fn;

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
pub(super) struct Pixels<'a, X, const P: usize> {
    /// Values from the first one of each pixel on.
    pub values: [&'a [X]; P],
    /// Where the runs begin in them.
    pub runs: &'a [u32],
    /// Words of two values in a run.
    pub words: usize,
}

impl<'a, X, const P: usize> Pixels<'a, X, P> {
    /// Words of weights of eight channels.
    pub fn len(&self) -> usize {
        self.runs.len() * self.words
    }

    /// The values of a run, whose words are filled up to a multiple of `group`; `None` when they are not there.
    #[inline(always)]
    pub fn run(&self, run: u32, group: usize) -> Option<[&'a [X]; P]> {
        let len = 2 * self.words.next_multiple_of(group);
        let mut pixels: [&[X]; P] = [&[]; P];
        for (pixel, values) in pixels.iter_mut().zip(self.values) {
            *pixel = values.get(run as usize..)?.get(..len)?;
        }
        Some(pixels)
    }
}

impl Gemm<'_> {
    /// Computes all channels of `P` pixels, which begin `at`.
    #[inline(always)]
    pub fn pixels<T: Target, const P: usize>(
        &self,
        x: Pixels<ValueOf<T>, P>,
        outside: &mut Outside,
        at: [usize; P],
    ) {
        let words = x.len().max(1);
        let mut weights = self.filter.weights.as_chunks::<16>().0.chunks_exact(words);
        let mut blocks = self.filter.blocks.as_chunks::<8>().0.as_chunks::<3>().0;
        let mut first = 0;
        while let Some((some, rest)) = blocks.split_first_chunk::<8>().filter(|_| T::Products::WIDE) {
            let w = from_fn(|_| weights.next().unwrap_or(&[]));
            self.sixteens::<T, 8, 4, P>((w, some), x, outside, (at, first));
            (blocks, first) = (rest, first + 64);
        }
        while let Some((some, rest)) = blocks.split_first_chunk::<2>().filter(|_| T::Lanes::MANY) {
            let w = from_fn(|_| weights.next().unwrap_or(&[]));
            self.sixteens::<T, 2, 1, P>((w, some), x, outside, (at, first));
            (blocks, first) = (rest, first + 16);
        }
        for (p, w) in blocks.iter().zip(weights) {
            let [a] = block::<T, 1, P>([w], [p], x);
            let (pairs, rest) = a.as_chunks::<2>();
            let (ats, last) = at.as_chunks::<2>();
            for ([a, b], at) in pairs.iter().zip(ats) {
                let values = T::Lanes::bytes(*a, *b, self.zero_point, self.bounds);
                let [low, high] = halves(values);
                self.store(low, outside, at[0], first);
                self.store(high, outside, at[1], first);
            }
            for (a, at) in rest.iter().zip(last) {
                let [low, _] = halves(T::Lanes::bytes(*a, *a, self.zero_point, self.bounds));
                self.store(low, outside, *at, first);
            }
            first += 8;
        }
    }

    /// Computes `M` times sixteen channels, from `first` on.
    #[inline(always)]
    fn sixteens<T: Target, const N: usize, const M: usize, const P: usize>(
        &self,
        (weights, params): ([&[[i8; 16]]; N], &[Params; N]),
        x: Pixels<ValueOf<T>, P>,
        outside: &mut Outside,
        (at, first): ([usize; P], usize),
    ) {
        let (w, p) = (weights.as_chunks::<2>().0, params.as_chunks::<2>().0);
        let (Some(w), Some(p)) = (w.first_chunk::<M>(), p.first_chunk::<M>()) else { return };
        let outputs = T::Products::sixteens::<M, P>(*w, p, x, self.zero_point, self.bounds);
        for (values, i) in outputs.into_iter().zip(0..) {
            for (values, at) in values.into_iter().zip(at) {
                self.store(values, outside, at, first + 16 * i);
            }
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
pub(super) fn block<T: Target, const N: usize, const P: usize>(
    weights: [&[[i8; 16]]; N],
    params: [&Params; N],
    x: Pixels<ValueOf<T>, P>,
) -> [[<T::Lanes as Lanes>::Sums; P]; N] {
    // No closures around vectors: they would not be compiled with the instructions of this function.
    let mut sums = [[T::Lanes::sums(&[0; 8]); P]; N];
    for (sums, params) in sums.iter_mut().zip(params) {
        *sums = [T::Products::biases(params); P];
    }
    let mut from = 0;
    let known = weights.iter().all(|weights| weights.len() == x.len());
    for &run in if known { x.runs } else { &[] } {
        if let Some(pixels) = x.run(run, T::Products::GROUP) {
            // SAFETY: the lengths were compared, of all weights and of the pixels of this run.
            #[allow(unsafe_code)]
            unsafe {
                T::Products::add::<N, P>(&mut sums, weights, pixels, from..from + x.words)
            };
        }
        from += x.words;
    }
    for (sums, [_, multipliers, _]) in sums.iter_mut().zip(params) {
        let multipliers = T::Lanes::multipliers(multipliers);
        for sum in sums {
            *sum = T::Lanes::requantize(*sum, multipliers);
        }
    }
    sums
}
