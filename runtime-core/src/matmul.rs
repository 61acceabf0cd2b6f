//! Products of two activations.

use crate::requantize::clamp_float;
use crate::{Accumulator, Activation, Block, Image, view_mut};
use core::ops::Range;

const fn check(a: &Image, b: &Image, output: &Image, size: usize, arena: usize) -> Result<(), &'static str> {
    if a.width != 1 || b.width != 1 || output.width != 1 {
        return Err("matmul: operands are rows x 1 x channels");
    }
    if a.channels != b.height || a.height != output.height || b.channels != output.channels {
        return Err("matmul: operands do not fit together");
    }
    if !a.fits(size, arena) || !b.fits(size, arena) || !output.fits(size, arena) {
        return Err("matmul: image outside of the arena");
    }
    Ok(())
}

/// Parameters of [`matmul_i8`] and [`matmul_i16`]. A matrix is an image of its rows, one column, and its columns as
/// channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatMul<T> {
    /// Left operand, `M x 1 x K`.
    pub a: Image,
    /// Right operand, `K x 1 x N`.
    pub b: Image,
    /// Output, `M x 1 x N`.
    pub output: Image,
    /// Zero point of the left operand.
    pub a_zero_point: T,
    /// Zero point of the right operand.
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

/// Parameters of [`matmul_i8`].
pub type MatMulI8 = MatMul<i8>;
/// Parameters of [`matmul_i16`].
pub type MatMulI16 = MatMul<i16>;

impl<T> MatMul<T> {
    /// Whether the images fit together in `arena` bytes.
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        check(&self.a, &self.b, &self.output, size_of::<T>(), arena)
    }
}

/// Computes output `rows` of int8 matrices: `y = clamp(zp_y + requantize(sum((a - zp_a) * (b - zp_b))))`.
pub fn matmul_i8(mem: &mut [Block], p: &MatMulI8, rows: Range<usize>) {
    matmul(mem, p, rows);
}

/// Computes output `rows` of int16 matrices, sums in 64 bits:
/// `y = clamp(zp_y + requantize(sum((a - zp_a) * (b - zp_b))))`.
pub fn matmul_i16(mem: &mut [Block], p: &MatMulI16, rows: Range<usize>) {
    matmul(mem, p, rows);
}

#[inline(always)]
fn matmul<T: Activation>(mem: &mut [Block], p: &MatMul<T>, rows: Range<usize>) {
    let mem = view_mut::<T>(mem);
    for y in rows {
        for n in 0..p.output.channels {
            let mut acc = T::Sum::default();
            for k in 0..p.a.channels {
                let a = mem.get(p.a.at(y, 0, k)).copied().unwrap_or_default().into() - p.a_zero_point.into();
                let b = mem.get(p.b.at(k, 0, n)).copied().unwrap_or_default().into() - p.b_zero_point.into();
                acc = acc.plus(T::Sum::from(a).times(b));
            }
            let value = acc.requantize(p.multiplier, p.shift);
            if let Some(to) = mem.get_mut(p.output.at(y, 0, n)) {
                *to = T::clamped(value, p.output_zero_point, p.min, p.max);
            }
        }
    }
}

/// Parameters of [`matmul_f32`]. A matrix is an image of its rows, one column, and its columns as channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatMulF32 {
    /// Left operand, `M x 1 x K`.
    pub a: Image,
    /// Right operand, `K x 1 x N`.
    pub b: Image,
    /// Output, `M x 1 x N`.
    pub output: Image,
    /// Smallest output.
    pub min: f32,
    /// Largest output.
    pub max: f32,
}

impl MatMulF32 {
    /// Whether the images fit together in `arena` bytes.
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        check(&self.a, &self.b, &self.output, 4, arena)
    }
}

/// Computes output `rows`: `y = clamp(sum(a * b))`, the sum in ascending order.
pub fn matmul_f32(mem: &mut [Block], p: &MatMulF32, rows: Range<usize>) {
    let mem = view_mut::<f32>(mem);
    for y in rows {
        for n in 0..p.output.channels {
            let mut acc = 0.0f32;
            for k in 0..p.a.channels {
                let a = mem.get(p.a.at(y, 0, k)).copied().unwrap_or(0.0);
                acc += a * mem.get(p.b.at(k, 0, n)).copied().unwrap_or(0.0);
            }
            if let Some(to) = mem.get_mut(p.output.at(y, 0, n)) {
                *to = clamp_float(acc, p.min, p.max);
            }
        }
    }
}
