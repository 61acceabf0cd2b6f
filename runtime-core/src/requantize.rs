//! From accumulators to int8: the one definition that every target follows bit for bit.

/// `((acc * 2^shift) * multiplier + 2^31) >> 32`, the product in 64 bits: rounds to nearest, ties up.
///
/// `multiplier = round(m * 2^(32 - shift))` for a real multiplier `m`, with the smallest `shift` for which it fits 31
/// bits. The compiler proves that `acc * 2^shift` fits i32.
#[inline(always)]
pub const fn requantize(acc: i32, multiplier: i32, shift: u8) -> i32 {
    let scaled = acc.wrapping_shl(shift as u32) as i64;
    ((scaled * multiplier as i64 + (1 << 31)) >> 32) as i32
}

/// `num / den` rounded to the nearest integer, ties to even; 0 for `den <= 0`.
#[inline]
pub const fn div_round_half_even(num: i64, den: i64) -> i64 {
    if den <= 0 {
        return 0;
    }
    let floor = num.div_euclid(den);
    let twice = 2 * (num - floor * den);
    if twice > den || (twice == den && floor & 1 == 1) { floor + 1 } else { floor }
}

/// The nearest integer as a float, ties to even, for `|x| <= 2^22`: adding `1.5 * 2^23` leaves no fraction bits, and
/// the hardware rounds to nearest even.
#[inline(always)]
pub const fn round_half_even(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC) - MAGIC
}
