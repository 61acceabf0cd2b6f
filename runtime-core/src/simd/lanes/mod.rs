//! What the micro-kernels ask of an instruction set: eight sums of 32 bits at a time.

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
pub(super) mod level;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64", target_feature = "simd128"))))]
mod portable;
mod products;
#[cfg(target_feature = "simd128")]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub(super) use avx512::Vnni;
#[cfg(target_arch = "aarch64")]
use neon::Neon as Least;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_feature = "simd128")))]
use portable::Portable as Least;
pub(super) use products::{Pairs, Params, Products, Value};
#[cfg(target_feature = "simd128")]
use wasm::Simd128 as Least;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Sse2 as Least};

use core::marker::PhantomData;

/// What every machine of the target has.
pub(super) type Base = On<Least, Pairs>;

/// The smallest and the largest output.
pub(super) type Bounds = (i8, i8);

/// An instruction set. Sums wrap.
pub(super) trait Lanes {
    /// Eight sums of 32 bits.
    type Sums: Copy;
    /// Eight pairs of 16-bit values.
    type Pairs: Copy;
    /// Eight multipliers.
    type Multipliers: Copy;

    /// Whether the registers hold eight [`Lanes::Sums`] and what they are made of.
    const MANY: bool;

    /// Eight values.
    fn sums(values: &[i32; 8]) -> Self::Sums;

    /// Eight multipliers, none of them negative.
    fn multipliers(values: &[i32; 8]) -> Self::Multipliers;

    /// Bytes, sign-extended: pair `i` is bytes `2 * i` and `2 * i + 1`.
    fn widen(bytes: &[i8; 16]) -> Self::Pairs;

    /// The same pair eight times.
    fn same(pair: &[i16; 2]) -> Self::Pairs;

    /// `acc + a.0 * b.0 + a.1 * b.1`. One of `a` and `b` came from bytes, so that no product of 16 bits overflows.
    fn mac(acc: Self::Sums, a: Self::Pairs, b: Self::Pairs) -> Self::Sums;

    /// [`requantize`](crate::requantize) without a shift.
    fn requantize(acc: Self::Sums, multiplier: Self::Multipliers) -> Self::Sums;

    /// Adds the zero point and clamps to bytes, first the lanes of `a`, then those of `b`.
    fn bytes(a: Self::Sums, b: Self::Sums, zero_point: i8, bounds: Bounds) -> [i8; 16];

    /// Pairs `(a[i], b[i])`, for `i` in the order `0 1 2 3 8 9 10 11`, and `4 5 6 7 12 13 14 15`, that of the tables; or in another
    /// one, where [`Lanes::arrange`] and [`Lanes::arrange_pairs`] bring what tables hold into it.
    fn zip(a: &[i16; 16], b: &[i16; 16]) -> [Self::Pairs; 2];

    /// Weights from the order of the tables to that of [`Lanes::zip`].
    #[inline(always)]
    fn arrange_pairs(weights: [Self::Pairs; 2]) -> [Self::Pairs; 2] {
        weights
    }

    /// The same for biases and for multipliers.
    #[inline(always)]
    fn arrange(values: [[i32; 8]; 2]) -> [[i32; 8]; 2] {
        values
    }

    /// As [`Lanes::bytes`], of sums in the order of [`Lanes::zip`].
    fn join(values: [Self::Sums; 2], zero_point: i8, bounds: Bounds) -> [i8; 16];
}

/// What a layer is compiled for.
pub(super) trait Target {
    /// Its vectors.
    type Lanes: Lanes;
    /// How it computes matrix products.
    type Products: Products<Self::Lanes>;
}

/// Vectors, and a way to compute matrix products.
pub(super) struct On<V, D>(PhantomData<(V, D)>);

impl<V: Lanes, D: Products<V>> Target for On<V, D> {
    type Lanes = V;
    type Products = D;
}

/// What the values of images become.
pub(super) type ValueOf<T> = <<T as Target>::Products as Products<<T as Target>::Lanes>>::Value;

/// Calls `$function::<T>($arguments)` for the best [`Target`] of this machine.
///
/// The function and what it calls are `#[inline(always)]`, so that they are compiled with its instructions.
macro_rules! dispatch {
    ($function:ident($($name:ident: $t:ty),* $(,)?)) => {{
        #[cfg(target_arch = "x86_64")]
        {
            use $crate::simd::lanes::{Avx2, On, Pairs, Vnni, level};
            use $crate::simd::VectorLevel;
            #[target_feature(enable = "avx2")]
            fn avx512($($name: $t),*) {
                $function::<On<Avx2, Vnni>>($($name),*)
            }
            #[target_feature(enable = "avx2")]
            fn avx2($($name: $t),*) {
                $function::<On<Avx2, Pairs>>($($name),*)
            }
            // SAFETY: the machine has what its level says.
            #[allow(unsafe_code)]
            match level() {
                VectorLevel::Avx512 => return unsafe { avx512($($name),*) },
                VectorLevel::Avx2 => return unsafe { avx2($($name),*) },
                VectorLevel::Sse2 => {}
            }
        }
        $function::<$crate::simd::lanes::Base>($($name),*)
    }};
}
pub(super) use dispatch;

#[cfg(target_arch = "x86_64")]
pub(super) use level::level;

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "x86_64")]
    use crate::simd::VectorLevel;
    use core::array::from_fn;
    use portable::Portable;

    /// Values at the edges and between, the same ones every time.
    fn values<const N: usize>(state: &mut u32, bits: u32) -> [i32; N] {
        from_fn(|_| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (kind, value) = (*state >> 29, state.wrapping_mul(0x9e37_79b9) as i32 >> (32 - bits));
            match kind {
                0 => i32::MIN >> (32 - bits),
                1 => i32::MAX >> (32 - bits),
                _ => value,
            }
        })
    }

    /// What every operation gives, down to bytes.
    #[inline(always)]
    fn results<V: Lanes>(seed: u32) -> [[i8; 16]; 2] {
        let mut state = seed;
        // From those that leave one bit of the sum to the greatest.
        let shift = seed % 31;
        let mut multipliers =
            || V::multipliers(&values::<8>(&mut state, 32).map(|m| (m & i32::MAX) >> shift));
        let multipliers = [multipliers(), multipliers()];
        let [a, b] = multipliers.map(|multipliers| {
            let weights = V::widen(&values::<16>(&mut state, 8).map(|v| v as i8));
            let x = V::same(&values(&mut state, 8).map(|v| v as i16));
            V::requantize(V::mac(V::sums(&values(&mut state, 32)), weights, x), multipliers)
        });
        let mut halves = || values::<16>(&mut state, 8).map(|v| v as i16);
        let [low, high] = V::zip(&halves(), &halves());
        let mut weights = || V::widen(&values::<16>(&mut state, 8).map(|v| v as i8));
        let [v, w] = V::arrange_pairs([weights(), weights()]);
        let biases = V::arrange([values(&mut state, 16), values(&mut state, 16)]).map(|b| V::sums(&b));
        let [m, n] = V::arrange([from_fn(|i| 1 << (24 - i)), from_fn(|i| 3 << (15 + i))]);
        let sums = [V::mac(biases[0], low, v), V::mac(biases[1], high, w)];
        let scaled = [V::requantize(sums[0], V::multipliers(&m)), V::requantize(sums[1], V::multipliers(&n))];
        let zero_point = state as i8;
        [V::bytes(a, b, zero_point, (-100, 90)), V::join(scaled, -3, (-128, 127))]
    }

    #[test]
    fn vectors_compute_what_plain_rust_does() {
        for seed in 0..2000 {
            let expected = results::<Portable>(seed);
            assert_eq!(results::<Least>(seed), expected, "{seed}");
            #[cfg(target_arch = "x86_64")]
            if level() >= VectorLevel::Avx2 {
                #[target_feature(enable = "avx2")]
                fn avx2(seed: u32) -> [[i8; 16]; 2] {
                    results::<Avx2>(seed)
                }
                // SAFETY: the machine has AVX2.
                #[allow(unsafe_code)]
                let wide = unsafe { avx2(seed) };
                assert_eq!(wide, expected, "{seed}");
            }
        }
    }
}
