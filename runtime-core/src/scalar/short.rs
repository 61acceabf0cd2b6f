//! Requantization where a multiplier gives the low 32 bits of a product only: exact, in seven instructions.
//!
//! Let `E = acc * M`, which has more than 32 bits, and `t` its low 32 bits as a signed number. The result is
//! `q = (E + 2^31) >> 32`, so `E = q * 2^32 + t` exactly. With `m = round(M / 2^12)`, a product of 32 bits is near enough to tell `q`:
//!
//! ```text
//! A = acc * m  =  E / 2^12 + acc * d         where d = m - M / 2^12, at most 1/2
//! A - (t >> 12)  =  q * 2^20 + acc * d + f   where 0 <= f < 1
//! q = (A - (t >> 12) + 2^19) >> 20           as long as |acc * d| < 2^19 - 1, and q has 11 bits
//! ```
//!
//! The bounds of `acc` follow from the weights; the compiler proves both conditions for each channel.

/// Bits below `q`.
pub(super) const FRACTION: u32 = 20;

/// `m` for a multiplier and bounds of the sums, or 0 where the conditions do not hold for all of them.
pub(super) const fn coarse(multiplier: i32, least: i64, greatest: i64) -> i32 {
    let shift = 32 - FRACTION;
    let m = (multiplier as i64 + (1 << (shift - 1))) >> shift;
    let error = ((m << shift) - multiplier as i64).unsigned_abs();
    let most = if least.unsigned_abs() > greatest.unsigned_abs() { least } else { greatest }.unsigned_abs();
    // Sums of 32 bits; a zero point of 8 bits is added before the last shift.
    let near = most < 1 << 31 && most * error < ((1 << (FRACTION - 1)) - 1) << shift;
    let fits = near && most * m.unsigned_abs() < ((1 << (31 - FRACTION)) - 130) << FRACTION;
    if fits { m as i32 } else { 0 }
}

/// What a short requantization adds before its last shift: one half, and the zero point of the output.
pub(super) const fn offset(zero_point: i32) -> i32 {
    (zero_point << FRACTION) + (1 << (FRACTION - 1))
}

/// `((acc * multiplier + 2^31) >> 32) + zero_point`, saturated to int8.
#[inline(always)]
pub(super) const fn quantize(acc: i32, multiplier: i32, m: i32, zero_point: i32) -> i8 {
    let q = if cfg!(kiln_short_products) && m != 0 {
        short(acc, multiplier, m, offset(zero_point))
    } else {
        crate::requantize(acc, multiplier, 0).wrapping_add(zero_point)
    };
    if q < -128 {
        -128
    } else if q > 127 {
        127
    } else {
        q as i8
    }
}

#[inline(always)]
const fn short(acc: i32, multiplier: i32, m: i32, offset: i32) -> i32 {
    let t = acc.wrapping_mul(multiplier) >> (32 - FRACTION);
    acc.wrapping_mul(m).wrapping_sub(t).wrapping_add(offset) >> FRACTION
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums near each change of the result, and near both bounds.
    fn check(multiplier: i32, bound: i64, zero_point: i32) -> bool {
        let m = coarse(multiplier, -bound, bound - 1);
        if m == 0 {
            return false;
        }
        let changes = (-2200i64..2200).map(|q| ((q << 32) - (1 << 31)) / multiplier as i64);
        let ends = [-bound, -bound + 1, bound - 2, bound - 1, 0, 1, -1];
        for acc in changes.flat_map(|acc| acc - 2..=acc + 2).chain(ends) {
            if acc >= -bound && acc < bound {
                let exact = crate::requantize(acc as i32, multiplier, 0) + zero_point;
                let got = short(acc as i32, multiplier, m, offset(zero_point));
                assert_eq!(got, exact, "{acc} * {multiplier}");
            }
        }
        true
    }

    #[test]
    fn the_short_form_is_the_same_definition() {
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i32
        };
        let mut permitted = 0;
        for _ in 0..2000 {
            let multiplier = (random() >> (random() % 16)).max(1);
            let bound = 1i64 << (8 + random() % 16);
            permitted +=
                i32::from(check(multiplier, bound + i64::from(random() % 100), random() % 256 - 128));
        }
        assert!(permitted > 300, "{permitted}");
        // Rounding errors of one half, up to where they are proven harmless.
        assert!(check((5 << 12) + 2048, (1 << 20) - 3, 127) && !check((5 << 12) + 2048, 1 << 20, 127));
        assert!(check(1 << 23, 1 << 19, -128), "no error at all");
    }

    #[test]
    fn results_beyond_eleven_bits_are_refused() {
        assert_eq!(coarse(1 << 30, -8000, 8000), 0);
        assert_eq!(coarse(1 << 30, -7600, 7600), 1 << 18);
        assert_eq!(coarse(1 << 24, i64::from(i32::MIN), 0), 0);
        assert_eq!(coarse(1 << 12, i64::MIN, i64::MAX), 0);
    }
}
