//! Elementwise kernels of two operands, the second from memory or from a constant table. Operands broadcast by strides
//! of 0.

use crate::elementwise::{check_zip, zip};
use crate::requantize::clamp_float;
use crate::{Accumulator, Activation, Block, Image};
use core::ops::Range;

/// Parameters of [`add_i8`] and [`add_i16`], which also subtract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Add<T: Activation> {
    /// First operand.
    pub a: Image,
    /// Second operand; its offset counts in the table when there is one.
    pub b: Image,
    /// Output image.
    pub output: Image,
    /// `round(scale_a / scale_y * 2^shift)`.
    pub a_multiplier: i32,
    /// `round(scale_b / scale_y * 2^shift)`, negative to subtract.
    pub b_multiplier: i32,
    /// Zero points and half of `2^shift`.
    pub constant: T::Sum,
    /// Right shift.
    pub shift: u8,
    /// Smallest output.
    pub min: T,
    /// Largest output.
    pub max: T,
}

/// Parameters of [`add_i8`].
pub type AddI8 = Add<i8>;
/// Parameters of [`add_i16`].
pub type AddI16 = Add<i16>;

impl<T: Activation> Add<T> {
    /// Whether images and table fit together in `arena` bytes.
    pub const fn check(&self, b_table: &[T], arena: usize) -> Result<(), &'static str> {
        check_zip((&self.a, &self.b, &self.output), b_table.len(), size_of::<T>(), arena)
    }
}

/// int8: `clamp((a * a_multiplier + b * b_multiplier + constant) >> shift)`, in 32 bits.
pub fn add_i8(mem: &mut [Block], p: &AddI8, rows: Range<usize>, b_table: &[i8]) {
    add(mem, p, rows, b_table);
}

/// int16: `clamp((a * a_multiplier + b * b_multiplier + constant) >> shift)`, in 64 bits.
pub fn add_i16(mem: &mut [Block], p: &AddI16, rows: Range<usize>, b_table: &[i16]) {
    add(mem, p, rows, b_table);
}

#[inline(always)]
pub(crate) fn add<T: Activation>(mem: &mut [Block], p: &Add<T>, rows: Range<usize>, b_table: &[T]) {
    zip(mem, (&p.a, &p.b, &p.output), rows, b_table, |a: T, b: T| {
        let (a, b) = (T::Sum::from(a).times(p.a_multiplier), T::Sum::from(b).times(p.b_multiplier));
        let sum = a.plus(b).plus(p.constant).shifted(p.shift);
        T::narrow(sum.max(p.min.into()).min(p.max.into()))
    });
}

/// Parameters of [`mul_i8`] and [`mul_i16`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mul<T> {
    /// First operand.
    pub a: Image,
    /// Second operand; its offset counts in the table when there is one.
    pub b: Image,
    /// Output image.
    pub output: Image,
    /// Zero point of the first operand.
    pub a_zero_point: T,
    /// Zero point of the second operand.
    pub b_zero_point: T,
    /// Zero point of the output.
    pub output_zero_point: T,
    /// Multiplier of `scale_a * scale_b / scale_y`.
    pub multiplier: i32,
    /// Its left shift.
    pub shift: u8,
    /// Smallest output.
    pub min: T,
    /// Largest output.
    pub max: T,
}

/// Parameters of [`mul_i8`].
pub type MulI8 = Mul<i8>;
/// Parameters of [`mul_i16`].
pub type MulI16 = Mul<i16>;

impl<T> Mul<T> {
    /// Whether images and table fit together in `arena` bytes.
    pub const fn check(&self, b_table: &[T], arena: usize) -> Result<(), &'static str> {
        check_zip((&self.a, &self.b, &self.output), b_table.len(), size_of::<T>(), arena)
    }
}

/// int8: `clamp(zp_y + requantize((a - zp_a) * (b - zp_b)))`.
pub fn mul_i8(mem: &mut [Block], p: &MulI8, rows: Range<usize>, b_table: &[i8]) {
    mul(mem, p, rows, b_table);
}

/// int16: `clamp(zp_y + requantize((a - zp_a) * (b - zp_b)))`, the product in 64 bits.
pub fn mul_i16(mem: &mut [Block], p: &MulI16, rows: Range<usize>, b_table: &[i16]) {
    mul(mem, p, rows, b_table);
}

#[inline(always)]
fn mul<T: Activation>(mem: &mut [Block], p: &Mul<T>, rows: Range<usize>, b_table: &[T]) {
    zip(mem, (&p.a, &p.b, &p.output), rows, b_table, |a: T, b: T| {
        let (a, b): (i32, i32) = (a.into() - p.a_zero_point.into(), b.into() - p.b_zero_point.into());
        let value = T::Sum::from(a).times(b).requantize(p.multiplier, p.shift);
        T::clamped(value, p.output_zero_point, p.min, p.max)
    });
}

/// Parameters of the f32 kernels of two operands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryF32 {
    /// First operand.
    pub a: Image,
    /// Second operand; its offset counts in the table when there is one.
    pub b: Image,
    /// Output image.
    pub output: Image,
    /// Smallest output.
    pub min: f32,
    /// Largest output.
    pub max: f32,
}

impl BinaryF32 {
    /// Whether images and table fit together in `arena` bytes.
    pub const fn check(&self, b_table: &[f32], arena: usize) -> Result<(), &'static str> {
        check_zip((&self.a, &self.b, &self.output), b_table.len(), 4, arena)
    }
}

macro_rules! binary_f32 {
    ($($(#[$doc:meta])* $function:ident |$a:ident, $b:ident| $value:expr;)*) => { $(
        $(#[$doc])*
        pub fn $function(mem: &mut [Block], p: &BinaryF32, rows: Range<usize>, b_table: &[f32]) {
            zip(mem, (&p.a, &p.b, &p.output), rows, b_table, |$a: f32, $b: f32| clamp_float($value, p.min, p.max));
        }
    )* };
}

binary_f32! {
    /// `clamp(a + b)`.
    add_f32 |a, b| a + b;
    /// `clamp(a - b)`.
    sub_f32 |a, b| a - b;
    /// `clamp(a * b)`.
    mul_f32 |a, b| a * b;
    /// `clamp(a / b)`.
    div_f32 |a, b| a / b;
    /// `clamp(a)`, or `clamp(a * b)` for `a` below 0.
    prelu_f32 |a, b| if a < 0.0 { a * b } else { a };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, view, view_mut};

    fn flat(offset: usize, n: usize, col: usize) -> Image {
        Image { offset, height: 1, width: n, channels: 1, layout: Layout { row: n, col, chan: n }, ring: 1 }
    }

    #[test]
    fn adds_with_two_scales_and_broadcasts() {
        let mut mem = [Block::ZERO; 1];
        view_mut::<i8>(&mut mem)[..4].copy_from_slice(&[10, -10, 127, 5]);
        // y = a / 2 + 2 * b, b = 3 for all
        let p = AddI8 {
            a: flat(0, 4, 1),
            b: flat(0, 4, 0),
            output: flat(8, 4, 1),
            a_multiplier: 8,
            b_multiplier: 32,
            constant: 8,
            shift: 4,
            min: -128,
            max: 60,
        };
        assert_eq!(p.check(&[3], 16), Ok(()));
        assert!(p.check(&[3], 8).is_err());
        add_i8(&mut mem, &p, 0..1, &[3]);
        assert_eq!(view::<i8>(&mem)[8..12], [11, 1, 60, 9]);
    }

    #[test]
    fn multiplies_around_zero_points() {
        let mut mem = [Block::ZERO; 1];
        view_mut::<i8>(&mut mem)[..2].copy_from_slice(&[5, 7]);
        let p = MulI8 {
            a: flat(0, 1, 1),
            b: flat(1, 1, 1),
            output: flat(2, 1, 1),
            a_zero_point: 1,
            b_zero_point: -1,
            output_zero_point: 10,
            multiplier: 1 << 30,
            shift: 0,
            min: -128,
            max: 127,
        };
        mul_i8(&mut mem, &p, 0..1, &[]);
        assert_eq!(view::<i8>(&mem)[2], 18); // 10 + 4 * 8 / 4
    }

    #[test]
    fn float_kernels_keep_the_order_of_their_operands() {
        let run = |kernel: fn(&mut [Block], &BinaryF32, Range<usize>, &[f32]), max| {
            let mut mem = [Block::ZERO; 2];
            view_mut::<f32>(&mut mem)[..3].copy_from_slice(&[3.0, -6.0, 0.0]);
            let p =
                BinaryF32 { a: flat(0, 3, 1), b: flat(1, 3, 1), output: flat(4, 3, 1), min: f32::MIN, max };
            let table = [9.0, 2.0, 4.0, -8.0];
            assert_eq!(p.check(&table, 32), Ok(()));
            assert!(p.check(&table[..3], 32).is_err());
            assert!(p.check(&table, 24).is_err());
            kernel(&mut mem, &p, 0..1, &table);
            [0, 1, 2].map(|i| view::<f32>(&mem)[4 + i])
        };
        assert_eq!(run(add_f32, f32::MAX), [5.0, -2.0, -8.0]);
        assert_eq!(run(sub_f32, f32::MAX), [1.0, -10.0, 8.0]);
        assert_eq!(run(mul_f32, f32::MAX), [6.0, -24.0, 0.0]);
        assert_eq!(run(div_f32, 1.0), [1.0, -1.5, 0.0]);
        assert_eq!(run(prelu_f32, f32::MAX), [3.0, -24.0, 0.0]);
    }

    #[test]
    fn subtracts_by_a_negative_multiplier() {
        let mut mem = [Block::ZERO; 1];
        view_mut::<i8>(&mut mem)[..4].copy_from_slice(&[10, 100, -3, 127]);
        let (a_multiplier, b_multiplier) = (16, -32); // a - 2 b
        let p = AddI8 {
            a: flat(0, 2, 1),
            b: flat(2, 2, 1),
            output: flat(8, 2, 1),
            a_multiplier,
            b_multiplier,
            constant: 8,
            shift: 4,
            min: -128,
            max: 127,
        };
        add_i8(&mut mem, &p, 0..1, &[]);
        assert_eq!(view::<i8>(&mem)[8..10], [16, -128]);
    }
}
