//! From accumulators to int8: the one definition that every target follows bit for bit.

use crate::hints::rolled;

/// `((acc * 2^shift) * multiplier + 2^31) >> 32`, the product in 64 bits: rounds to nearest, ties up.
///
/// `multiplier = round(m * 2^(32 - shift))` for a real multiplier `m`, with the smallest `shift` for which it fits 31
/// bits. The compiler proves that `acc * 2^shift` fits i32.
#[inline(always)]
pub const fn requantize(acc: i32, multiplier: i32, shift: u8) -> i32 {
    let scaled = acc.wrapping_shl(shift as u32);
    if cfg!(kiln_short_products) {
        return high_by_halves(scaled, multiplier);
    }
    ((scaled as i64 * multiplier as i64 + (1 << 31)) >> 32) as i32
}

/// `(a * b + 2^31) >> 32` for any two values, where a multiplier gives 32 bits only.
///
/// With `a = ah * 2^16 + al`, `b` likewise, and `t = ah * bl + (al * bl >> 16) + 2^15`, the sum is
/// `ah * bh * 2^32 + (t + al * bh) * 2^16` and less than `2^16`. Each line below fits 32 bits: `t` is at most
/// `(2^15 - 1) * (2^16 - 1) + (2^16 - 2) + 2^15 = 2^31 - 1`, and `middle` takes only its low half, so that it is at most
/// `(2^15 - 1) * (2^16 - 1) + 2^16 - 1` (after Warren, Hacker's Delight, 8-2).
#[inline(always)]
const fn high_by_halves(a: i32, b: i32) -> i32 {
    let (ah, al) = (a >> 16, (a & 0xffff) as u32);
    let (bh, bl) = (b >> 16, (b & 0xffff) as u32);
    let t = ah.wrapping_mul(bl as i32).wrapping_add((al.wrapping_mul(bl) >> 16) as i32 + 0x8000);
    let middle = (al as i32).wrapping_mul(bh).wrapping_add(t & 0xffff);
    ah.wrapping_mul(bh).wrapping_add(t >> 16).wrapping_add(middle >> 16)
}

/// [`requantize`] of a 64-bit accumulator, exactly, saturated at 2^30 (which bounds that one too): `acc * 2^shift = high * 2^32 + low` makes the product
/// `high * multiplier * 2^32 + low * multiplier`, each part in 64 bits.
///
/// The compiler proves that `acc * 2^shift` fits i64.
#[inline]
pub const fn requantize_wide(acc: i64, multiplier: i32, shift: u8) -> i32 {
    let scaled = acc.wrapping_shl(shift as u32);
    let (high, low) = (scaled >> 32, scaled & 0xffff_ffff);
    let rounded = (low * multiplier as i64 + (1 << 31)) >> 32;
    let q = high * multiplier as i64 + rounded;
    const BOUND: i64 = 1 << 30;
    if q > BOUND {
        BOUND as i32
    } else if q < -BOUND {
        -BOUND as i32
    } else {
        q as i32
    }
}

/// `num / den` rounded to the nearest integer, ties to even; 0 for `den <= 0`.
#[inline(never)]
pub fn div_round_half_even(num: i64, den: i64) -> i64 {
    if den <= 0 {
        return 0;
    }
    let (mut floor, rest) = if cfg!(target_pointer_width = "64") {
        (num.unsigned_abs() / den as u64, num.unsigned_abs() % den as u64)
    } else {
        long_division(num.unsigned_abs(), den as u64)
    };
    // A tie is a tie on both sides of zero, and evenness too.
    let complement = den as u64 - rest;
    if rest > complement || (rest == complement && floor & 1 == 1) {
        floor += 1;
    }
    if num < 0 { (floor as i64).wrapping_neg() } else { floor as i64 }
}

/// Quotient and remainder, bit by bit: small where 64-bit division is a function of the compiler's, and fast where quotients
/// are small.
fn long_division(num: u64, den: u64) -> (u64, u64) {
    let (mut floor, mut rest) = (0, num);
    let (mut den, mut bits) = (den, 0);
    while den <= rest >> 1 {
        (den, bits) = (den << 1, bits + 1);
        rolled();
    }
    loop {
        rolled();
        floor <<= 1;
        if rest >= den {
            rest -= den;
            floor |= 1;
        }
        if bits == 0 {
            break;
        }
        (den, bits) = (den >> 1, bits - 1);
    }
    (floor, rest)
}

/// `zero_point` plus `num / den`, rounded as by [`div_round_half_even`], at least `min` and at most `max`. Out of line: on small cores
/// a comparison of 64 bits is not worth a second copy.
#[inline(never)]
pub(crate) fn clamped_share((num, den): (i64, i64), zero_point: i32, min: i32, max: i32) -> i32 {
    (div_round_half_even(num, den) + zero_point as i64).max(min as i64).min(max as i64) as i32
}

/// The nearest integer as a float, ties to even, for `|x| <= 2^22`: adding `1.5 * 2^23` leaves no fraction bits, and
/// the hardware rounds to nearest even.
#[inline(always)]
pub const fn round_half_even(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC) - MAGIC
}

/// `x` between `min` and `max`. By comparisons, because `f32::max` and `f32::min` leave the sign of a zero to the target;
/// NaN stays NaN.
#[inline(always)]
pub(crate) const fn clamp_float(x: f32, min: f32, max: f32) -> f32 {
    let x = if x < min { min } else { x };
    if x > max { max } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_rounds_ties_to_even_up_to_the_ends_of_the_range() {
        let halves = [-5, -3, -1, 1, 3, 5].map(|n| div_round_half_even(n, 2));
        assert_eq!(halves, [-2, -2, 0, 0, 2, 2]);
        assert_eq!((div_round_half_even(7, 0), div_round_half_even(7, -1)), (0, 0));
        assert_eq!(div_round_half_even(i64::MIN, 3), -3_074_457_345_618_258_603);
        assert_eq!(div_round_half_even((1 << 62) + 5, 3 << 61), 1); // 2/3
        assert_eq!(div_round_half_even(i64::MAX, i64::MAX), 1);
        for (num, den) in [(0, 7), (6, 7), (7, 7), (u64::MAX, 1), (1 << 63, 3), (u64::MAX, 1 << 62)] {
            assert_eq!(long_division(num, den), (num / den, num % den));
        }
    }

    #[test]
    fn requantize_rounds_to_nearest_and_ties_up() {
        let quarters = [-3, -2, -1, 1, 2, 3, 6].map(|acc| requantize(acc, 1 << 30, 0));
        assert_eq!(quarters, [-1, 0, 0, 0, 1, 1, 2]);
        assert_eq!(requantize(-5, 1 << 30, 2), -5);
        assert_eq!(requantize(i32::MIN, i32::MAX, 0), -(1 << 30) + 1);
    }

    #[test]
    fn products_by_halves_are_the_same_definition() {
        let extremes =
            [i32::MIN, i32::MIN + 1, -65_537, -65_536, -65_535, -32_769, -32_768, -1, 0, 1, 2, 0x7fff];
        let extremes = extremes.into_iter().chain([0x8000, 0xffff, 0x1_0000, 1 << 30, 0x7fff_8000, i32::MAX]);
        let same = |a: i32, b: i32| {
            let exact = (a as i64 * b as i64 + (1 << 31)) >> 32;
            assert_eq!(high_by_halves(a, b) as i64, exact, "{a} {b}");
        };
        for a in extremes.clone() {
            for b in extremes.clone() {
                same(a, b);
                // A product whose rounding hangs on its lowest bit, where there is one.
                let tie = ((1i64 << 31) - 1).checked_div(b as i64).unwrap_or(0) as i32;
                (-2..=2).for_each(|d| same(tie.wrapping_add(d), b));
            }
        }
        let mut state = 1u64;
        for _ in 0..1_000_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (a, b) = ((state >> 32) as i32, (state >> 13) as i32);
            same(a, b);
            same(a >> (b & 31), b >> (a & 31));
        }
    }

    #[test]
    fn the_wide_form_is_the_same_definition() {
        for acc in [i32::MIN, -70_000, -3, -1, 0, 1, 2, 12_345, i32::MAX] {
            for multiplier in [0, 1, 1 << 30, 0x1234_5678, i32::MAX] {
                assert_eq!(requantize_wide(acc as i64, multiplier, 0), requantize(acc, multiplier, 0));
            }
        }
        for (acc, multiplier, shift) in [((1i64 << 40) + 12_345, 77_777, 3), (-(1 << 43) - 1, 1 << 18, 0)] {
            let exact = ((acc as i128 * (1 << shift)) * multiplier as i128 + (1 << 31)) >> 32;
            assert_eq!(requantize_wide(acc, multiplier, shift) as i128, exact);
        }
        assert_eq!(requantize_wide(i64::MAX, i32::MAX, 0), 1 << 30);
        assert_eq!(requantize_wide(i64::MIN, i32::MAX, 0), -(1 << 30));
    }

    #[test]
    fn floats_round_to_even_and_clamps_keep_the_sign_of_zero() {
        let rounded = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.500_001].map(round_half_even);
        assert_eq!(rounded, [-2.0, -2.0, 0.0, 0.0, 2.0, 2.0, 3.0]);
        assert_eq!(clamp_float(-0.0, 0.0, 6.0).to_bits(), (-0.0f32).to_bits());
        assert_eq!(clamp_float(0.0, -0.0, 6.0).to_bits(), 0);
        assert_eq!((clamp_float(-1.0, 0.0, 6.0), clamp_float(f32::INFINITY, 0.0, 6.0)), (0.0, 6.0));
        assert!(clamp_float(f32::NAN, 0.0, 6.0).is_nan());
    }
}
