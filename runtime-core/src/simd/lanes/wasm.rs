//! wasm32 with simd128.

#![allow(unsafe_code)]

use super::{Bounds, Lanes};
use core::arch::wasm32::*;

/// Two vectors of four lanes.
pub struct Simd128;

#[inline(always)]
fn requantize(acc: v128, multiplier: v128) -> v128 {
    let half = i64x2_splat(1 << 31);
    let low = i64x2_add(i64x2_extmul_low_i32x4(acc, multiplier), half);
    let high = i64x2_add(i64x2_extmul_high_i32x4(acc, multiplier), half);
    i32x4_shuffle::<1, 3, 5, 7>(low, high)
}

/// Plus the zero point to bytes between bounds, the lanes of the arguments one after the other.
#[inline(always)]
fn narrow([p, q, r, s]: [v128; 4], zero_point: i8, (min, max): Bounds) -> [i8; 16] {
    let zero_point = i16x8_splat(zero_point as i16);
    let low = i16x8_add_sat(i16x8_narrow_i32x4(p, q), zero_point);
    let high = i16x8_add_sat(i16x8_narrow_i32x4(r, s), zero_point);
    let values = i8x16_narrow_i16x8(low, high);
    let values = i8x16_max(i8x16_min(values, i8x16_splat(max)), i8x16_splat(min));
    let mut bytes = [0; 16];
    // SAFETY: 16 bytes, any alignment.
    unsafe { v128_store(bytes.as_mut_ptr().cast(), values) };
    bytes
}

impl Lanes for Simd128 {
    type Sums = [v128; 2];
    type Pairs = [v128; 2];
    type Multipliers = [v128; 2];
    const MANY: bool = false;

    #[inline(always)]
    fn sums(values: &[i32; 8]) -> [v128; 2] {
        let at = values.as_ptr().cast::<v128>();
        // SAFETY: 32 bytes, any alignment.
        unsafe { [v128_load(at), v128_load(at.add(1))] }
    }

    #[inline(always)]
    fn multipliers(values: &[i32; 8]) -> [v128; 2] {
        Simd128::sums(values)
    }

    #[inline(always)]
    fn widen(bytes: &[i8; 16]) -> [v128; 2] {
        // SAFETY: 16 bytes, any alignment.
        let bytes = unsafe { v128_load(bytes.as_ptr().cast()) };
        [i16x8_extend_low_i8x16(bytes), i16x8_extend_high_i8x16(bytes)]
    }

    #[inline(always)]
    fn same(pair: &[i16; 2]) -> [v128; 2] {
        // SAFETY: 4 bytes, any alignment.
        [unsafe { v128_load32_splat(pair.as_ptr().cast()) }; 2]
    }

    #[inline(always)]
    fn mac([s, t]: [v128; 2], [a, c]: [v128; 2], [b, d]: [v128; 2]) -> [v128; 2] {
        [i32x4_add(s, i32x4_dot_i16x8(a, b)), i32x4_add(t, i32x4_dot_i16x8(c, d))]
    }

    #[inline(always)]
    fn requantize([s, t]: [v128; 2], [m, n]: [v128; 2]) -> [v128; 2] {
        [requantize(s, m), requantize(t, n)]
    }

    #[inline(always)]
    fn bytes([p, q]: [v128; 2], [r, s]: [v128; 2], zero_point: i8, bounds: Bounds) -> [i8; 16] {
        narrow([p, q, r, s], zero_point, bounds)
    }

    #[inline(always)]
    fn zip(a: &[i16; 16], b: &[i16; 16]) -> [[v128; 2]; 2] {
        let (a, b) = (a.as_ptr().cast::<v128>(), b.as_ptr().cast::<v128>());
        // SAFETY: 32 bytes each, any alignment.
        let [(a, b), (c, d)] =
            unsafe { [(v128_load(a), v128_load(b)), (v128_load(a.add(1)), v128_load(b.add(1)))] };
        let low = |a, b| i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(a, b);
        let high = |a, b| i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(a, b);
        [[low(a, b), low(c, d)], [high(a, b), high(c, d)]]
    }

    #[inline(always)]
    fn join([[p, r], [q, s]]: [[v128; 2]; 2], zero_point: i8, bounds: Bounds) -> [i8; 16] {
        narrow([p, q, r, s], zero_point, bounds)
    }
}
