//! The integer types of activations, and of the sums over them.

use crate::Plain;
use core::fmt::Debug;

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for i16 {}
    impl Sealed for i32 {}
    impl Sealed for i64 {}
}

/// An integer type of activations: `i8` or `i16`. A kernel has one body for both.
pub trait Activation: Plain + Into<i32> + Ord + Debug + sealed::Sealed {
    /// What fixed-point arithmetic on two such values needs: `i32` for `i8`, `i64` for `i16`.
    type Sum: Accumulator + From<Self>;
    /// Most values that an average may run over: their sum fits 32 bits, and 63 bits with a multiplier.
    const MOST_AVERAGED: usize;

    /// The value itself, which lies between the bounds of the type.
    fn narrow(value: i32) -> Self;

    /// `value + zero_point`, at least `min` and at most `max`. Requantized values are within 2^30, so that the sum fits.
    #[inline(always)]
    fn clamped(value: i32, zero_point: Self, min: Self, max: Self) -> Self {
        let (zero_point, min, max): (i32, i32, i32) = (zero_point.into(), min.into(), max.into());
        Self::narrow(value.wrapping_add(zero_point).max(min).min(max))
    }
}

impl Activation for i8 {
    type Sum = i32;
    const MOST_AVERAGED: usize = 1 << 20;

    #[inline(always)]
    fn narrow(value: i32) -> i8 {
        value as i8
    }
}

impl Activation for i16 {
    type Sum = i64;
    const MOST_AVERAGED: usize = 1 << 14;

    #[inline(always)]
    fn narrow(value: i32) -> i16 {
        value as i16
    }
}

/// What products are added up in: `i32`, where the compiler has proved that it suffices, or `i64`.
pub trait Accumulator: Copy + Default + PartialEq + Eq + Debug + From<i32> + sealed::Sealed {
    /// `self + other`; the compiler has proved that it fits.
    fn plus(self, other: Self) -> Self;
    /// `self * factor`, likewise.
    fn times(self, factor: i32) -> Self;
    /// [`requantize`](crate::requantize), or [`requantize_wide`](crate::requantize_wide).
    fn requantize(self, multiplier: i32, shift: u8) -> i32;
    /// `self >> shift`, saturated to 32 bits where the accumulator is wider.
    fn shifted(self, shift: u8) -> i32;
    /// `self + sum(x * w)`.
    fn dot<X: Activation>(self, x: &[X], w: &[i8]) -> Self;
}

impl Accumulator for i32 {
    #[inline(always)]
    fn plus(self, other: i32) -> i32 {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn times(self, factor: i32) -> i32 {
        self.wrapping_mul(factor)
    }

    #[inline(always)]
    fn requantize(self, multiplier: i32, shift: u8) -> i32 {
        crate::requantize(self, multiplier, shift)
    }

    #[inline(always)]
    fn shifted(self, shift: u8) -> i32 {
        self >> (shift & 31)
    }

    #[inline(always)]
    fn dot<X: Activation>(self, x: &[X], w: &[i8]) -> i32 {
        x.iter().zip(w).fold(self, |acc, (&x, &w)| acc.wrapping_add(x.into() * w as i32))
    }
}

/// Products of a 16-bit and an 8-bit value whose sum fits 32 bits: `2^8 * 2^15 * 2^7 = 2^30`.
const BLOCK: usize = 256;

impl Accumulator for i64 {
    #[inline(always)]
    fn plus(self, other: i64) -> i64 {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn times(self, factor: i32) -> i64 {
        self.wrapping_mul(factor as i64)
    }

    #[inline(always)]
    fn requantize(self, multiplier: i32, shift: u8) -> i32 {
        crate::requantize_wide(self, multiplier, shift)
    }

    #[inline(always)]
    fn shifted(self, shift: u8) -> i32 {
        (self >> (shift & 63)).max(i32::MIN as i64).min(i32::MAX as i64) as i32
    }

    /// A split sum: blocks in 32 bits, their sums in 64.
    #[inline(always)]
    fn dot<X: Activation>(self, x: &[X], w: &[i8]) -> i64 {
        x.chunks(BLOCK).zip(w.chunks(BLOCK)).fold(self, |acc, (x, w)| acc.wrapping_add(0i32.dot(x, w) as i64))
    }
}
