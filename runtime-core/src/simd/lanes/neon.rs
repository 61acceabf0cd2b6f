//! AArch64: NEON, which every such processor has.

#![allow(unsafe_code)]

use super::{Bounds, Lanes};
use core::arch::aarch64::*;

/// Two vectors of four lanes. A product is added to its sum in one instruction, but never two of them: pairs are kept as eight first
/// values and eight second ones.
pub struct Neon;

#[inline(always)]
fn requantize(acc: int32x4_t, multiplier: int32x4_t) -> int32x4_t {
    // SAFETY: NEON is part of AArch64. The shift adds 2^31 before it drops 32 bits.
    unsafe {
        let low = vrshrn_n_s64::<32>(vmull_s32(vget_low_s32(acc), vget_low_s32(multiplier)));
        vcombine_s32(low, vrshrn_n_s64::<32>(vmull_high_s32(acc, multiplier)))
    }
}

/// Plus the zero point to bytes between bounds, the lanes of the arguments one after the other.
#[inline(always)]
fn narrow([p, q, r, s]: [int32x4_t; 4], zero_point: i8, (min, max): Bounds) -> [i8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: NEON is part of AArch64; 16 bytes.
    unsafe {
        let zero_point = vdupq_n_s16(zero_point as i16);
        let low = vqaddq_s16(vcombine_s16(vqmovn_s32(p), vqmovn_s32(q)), zero_point);
        let high = vqaddq_s16(vcombine_s16(vqmovn_s32(r), vqmovn_s32(s)), zero_point);
        let values = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
        vst1q_s8(bytes.as_mut_ptr(), vmaxq_s8(vminq_s8(values, vdupq_n_s8(max)), vdupq_n_s8(min)));
    }
    bytes
}

impl Lanes for Neon {
    type Sums = [int32x4_t; 2];
    type Pairs = [int16x8_t; 2];
    type Multipliers = [int32x4_t; 2];
    const MANY: bool = true;

    #[inline(always)]
    fn sums(values: &[i32; 8]) -> [int32x4_t; 2] {
        let at = values.as_ptr();
        // SAFETY: eight values.
        unsafe { [vld1q_s32(at), vld1q_s32(at.add(4))] }
    }

    #[inline(always)]
    fn multipliers(values: &[i32; 8]) -> [int32x4_t; 2] {
        Neon::sums(values)
    }

    #[inline(always)]
    fn widen(bytes: &[i8; 16]) -> [int16x8_t; 2] {
        // SAFETY: 16 bytes. The first of each pair is the low half of 16 bits, the second the high one.
        unsafe {
            let pairs = vreinterpretq_s16_s8(vld1q_s8(bytes.as_ptr()));
            [vshrq_n_s16::<8>(vshlq_n_s16::<8>(pairs)), vshrq_n_s16::<8>(pairs)]
        }
    }

    #[inline(always)]
    fn same(pair: &[i16; 2]) -> [int16x8_t; 2] {
        // SAFETY: four bytes, read at any alignment. A lane that is repeated is an operand of a multiplication.
        unsafe {
            let pair = vreinterpret_s16_u32(vdup_n_u32(pair.as_ptr().cast::<u32>().read_unaligned()));
            [vdupq_lane_s16::<0>(pair), vdupq_lane_s16::<1>(pair)]
        }
    }

    #[inline(always)]
    fn mac([s, t]: [int32x4_t; 2], [a, c]: [int16x8_t; 2], [b, d]: [int16x8_t; 2]) -> [int32x4_t; 2] {
        // SAFETY: NEON is part of AArch64.
        unsafe {
            let s = vmlal_s16(s, vget_low_s16(a), vget_low_s16(b));
            let t = vmlal_high_s16(t, a, b);
            [vmlal_s16(s, vget_low_s16(c), vget_low_s16(d)), vmlal_high_s16(t, c, d)]
        }
    }

    #[inline(always)]
    fn requantize([s, t]: [int32x4_t; 2], [m, n]: [int32x4_t; 2]) -> [int32x4_t; 2] {
        [requantize(s, m), requantize(t, n)]
    }

    #[inline(always)]
    fn bytes([p, q]: [int32x4_t; 2], [r, s]: [int32x4_t; 2], zero_point: i8, bounds: Bounds) -> [i8; 16] {
        narrow([p, q, r, s], zero_point, bounds)
    }

    #[inline(always)]
    fn zip(a: &[i16; 16], b: &[i16; 16]) -> [[int16x8_t; 2]; 2] {
        let (a, b) = (a.as_ptr(), b.as_ptr());
        // SAFETY: 16 values each.
        unsafe { [[vld1q_s16(a), vld1q_s16(b)], [vld1q_s16(a.add(8)), vld1q_s16(b.add(8))]] }
    }

    #[inline(always)]
    fn arrange_pairs([[a, b], [c, d]]: [[int16x8_t; 2]; 2]) -> [[int16x8_t; 2]; 2] {
        let halves = |low, high| {
            // SAFETY: NEON is part of AArch64.
            unsafe {
                let (low, high) = (vreinterpretq_s64_s16(low), vreinterpretq_s64_s16(high));
                [vzip1q_s64(low, high), vzip2q_s64(low, high)].map(|both| vreinterpretq_s16_s64(both))
            }
        };
        let ([a, c], [b, d]) = (halves(a, c), halves(b, d));
        [[a, b], [c, d]]
    }

    #[inline(always)]
    fn arrange([[a, b, c, d, i, j, k, l], [e, f, g, h, m, n, o, p]]: [[i32; 8]; 2]) -> [[i32; 8]; 2] {
        [[a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]]
    }

    #[inline(always)]
    fn join([a, b]: [[int32x4_t; 2]; 2], zero_point: i8, bounds: Bounds) -> [i8; 16] {
        Neon::bytes(a, b, zero_point, bounds)
    }
}
