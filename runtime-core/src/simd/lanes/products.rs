//! How the micro-kernel of matrix products multiplies values by weights.

use super::{Bounds, Lanes, On};
use crate::Plain;
use crate::simd::gemm::{Pixels, block};
use core::ops::Range;

/// Of eight channels: biases, multipliers, and biases for values that are 128 larger.
pub(in crate::simd) type Params = [[i32; 8]; 3];

/// What the values of images become before they are multiplied.
pub(in crate::simd) trait Value: Plain {
    /// The value of a byte.
    fn of(byte: i8) -> Self;
}

impl Value for i16 {
    #[inline(always)]
    fn of(byte: i8) -> i16 {
        byte as i16
    }
}

/// Matrix products on an instruction set.
pub(in crate::simd) trait Products<V: Lanes> {
    type Value: Value;
    /// Words of two values that are read together.
    const GROUP: usize;
    /// Whether the registers hold the sums of 64 channels of four pixels.
    const WIDE: bool;

    /// The first sums of eight channels.
    fn biases(params: &Params) -> V::Sums;

    /// Adds the products of one run, whose weights are `words`.
    ///
    /// # Safety
    /// Weights hold these words, pixels as many, filled up to a multiple of `GROUP`.
    #[allow(unsafe_code)]
    unsafe fn add<const N: usize, const P: usize>(
        sums: &mut [[V::Sums; P]; N],
        weights: [&[[i8; 16]]; N],
        pixels: [&[Self::Value]; P],
        words: Range<usize>,
    );

    /// `M` times sixteen channels of `P` pixels.
    #[inline(always)]
    fn sixteens<const M: usize, const P: usize>(
        weights: [[&[[i8; 16]]; 2]; M],
        params: &[[Params; 2]; M],
        x: Pixels<Self::Value, P>,
        zero_point: i8,
        bounds: Bounds,
    ) -> [[[i8; 16]; P]; M]
    where
        Self: Sized,
    {
        let mut outputs = [[[0; 16]; P]; M];
        for ((outputs, weights), [p, q]) in outputs.iter_mut().zip(weights).zip(params) {
            let [a, b] = block::<On<V, Self>, 2, P>(weights, [p, q], x);
            for ((a, b), output) in a.into_iter().zip(b).zip(outputs) {
                *output = V::bytes(a, b, zero_point, bounds);
            }
        }
        outputs
    }
}

/// Two values at a time, of 16 bits each.
pub(in crate::simd) struct Pairs;

impl<V: Lanes> Products<V> for Pairs {
    type Value = i16;
    const GROUP: usize = 1;
    const WIDE: bool = false;

    #[inline(always)]
    fn biases([biases, ..]: &Params) -> V::Sums {
        V::sums(biases)
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn add<const N: usize, const P: usize>(
        sums: &mut [[V::Sums; P]; N],
        weights: [&[[i8; 16]]; N],
        pixels: [&[i16]; P],
        words: Range<usize>,
    ) {
        for k in 0..words.len() {
            for (sums, w) in sums.iter_mut().zip(weights) {
                // SAFETY: `k` is less than the number of words.
                let w = V::widen(unsafe { w.get_unchecked(words.start + k) });
                for (sum, x) in sums.iter_mut().zip(pixels) {
                    // SAFETY: likewise.
                    let x = V::same(unsafe { x.as_chunks::<2>().0.get_unchecked(k) });
                    *sum = V::mac(*sum, w, x);
                }
            }
        }
    }
}
