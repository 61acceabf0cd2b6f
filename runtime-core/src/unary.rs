//! Elementwise kernels of one operand: clamps, tables, rescaling, conversions, activation functions.

use crate::elementwise::{check_map, in_order, map};
use crate::requantize::clamp_float;
use crate::{Accumulator, Block, Image, math, round_half_even};
use core::ops::Range;

/// `clamp((x * multiplier + constant) >> shift)`.
#[inline(always)]
fn rescaled<A: Accumulator>(
    x: A,
    (multiplier, constant, shift): (i32, A, u8),
    (min, max): (i32, i32),
) -> i32 {
    x.times(multiplier).plus(constant).shifted(shift).max(min).min(max)
}

/// Declares a kernel `output = f(input)`: parameters, check, function.
macro_rules! unary {
    ($(
        $(#[$doc:meta])*
        $function:ident($params:ident { $($(#[$field_doc:meta])* $field:ident: $t:ty),* $(,)? }): $from:ty => $to:ty,
        |$p:ident, $x:ident| $value:expr;
    )*) => { $(
        #[doc = concat!("Parameters of [`", stringify!($function), "`].")]
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $params {
            /// Input image.
            pub input: Image,
            /// Output image.
            pub output: Image,
            $( $(#[$field_doc])* pub $field: $t, )*
        }

        impl $params {
            /// Whether the output may begin where the input begins: elements are read in the order of memory, and each is read
            /// before the output of another size that takes its place is written.
            pub const fn in_place(&self) -> bool {
                in_order(&self.input, size_of::<$from>(), &self.output, size_of::<$to>())
            }

            /// Whether the images fit together in `arena` bytes.
            pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
                check_map(&self.input, size_of::<$from>(), &self.output, size_of::<$to>(), arena)
            }
        }

        $(#[$doc])*
        pub fn $function(mem: &mut [Block], $p: &$params, rows: Range<usize>) {
            map(mem, &$p.input, &$p.output, rows, |$x: $from| -> $to { $value });
        }
    )* };
}

unary! {
    /// Clamps int8 values: Relu and Clip between equal scales.
    clamp_i8(ClampI8 {
        /// Smallest output.
        min: i8,
        /// Largest output.
        max: i8,
    }): i8 => i8, |p, x| x.max(p.min).min(p.max);

    /// Clamps int16 values: Relu and Clip between equal scales.
    clamp_i16(ClampI16 {
        /// Smallest output.
        min: i16,
        /// Largest output.
        max: i16,
    }): i16 => i16, |p, x| x.max(p.min).min(p.max);

    /// `clamp((x * multiplier + constant) >> shift)`, in 32 bits: to another scale and zero point.
    rescale_i8(RescaleI8 {
        /// `round(scale_x / scale_y * 2^shift)`.
        multiplier: i32,
        /// Zero points and half of `2^shift`.
        constant: i32,
        /// Right shift.
        shift: u8,
        /// Smallest output.
        min: i8,
        /// Largest output.
        max: i8,
    }): i8 => i8, |p, x| {
        rescaled(x as i32, (p.multiplier, p.constant, p.shift), (p.min as i32, p.max as i32)) as i8
    };

    /// `clamp((x * multiplier + constant) >> shift)`, in 64 bits: to another scale and zero point.
    rescale_i16(RescaleI16 {
        /// `round(scale_x / scale_y * 2^shift)`.
        multiplier: i32,
        /// Zero points and half of `2^shift`.
        constant: i64,
        /// Right shift.
        shift: u8,
        /// Smallest output.
        min: i16,
        /// Largest output.
        max: i16,
    }): i16 => i16, |p, x| {
        rescaled(x as i64, (p.multiplier, p.constant, p.shift), (p.min as i32, p.max as i32)) as i16
    };

    /// `clamp((x * multiplier + constant) >> shift)`, in 64 bits: int8 to int16.
    rescale_i8_i16(RescaleI8I16 {
        /// `round(scale_x / scale_y * 2^shift)`.
        multiplier: i32,
        /// Zero points and half of `2^shift`.
        constant: i64,
        /// Right shift.
        shift: u8,
        /// Smallest output.
        min: i16,
        /// Largest output.
        max: i16,
    }): i8 => i16, |p, x| {
        rescaled(x as i64, (p.multiplier, p.constant, p.shift), (p.min as i32, p.max as i32)) as i16
    };

    /// `clamp((x * multiplier + constant) >> shift)`, in 64 bits: int16 to int8.
    rescale_i16_i8(RescaleI16I8 {
        /// `round(scale_x / scale_y * 2^shift)`.
        multiplier: i32,
        /// Zero points and half of `2^shift`.
        constant: i64,
        /// Right shift.
        shift: u8,
        /// Smallest output.
        min: i8,
        /// Largest output.
        max: i8,
    }): i16 => i8, |p, x| {
        rescaled(x as i64, (p.multiplier, p.constant, p.shift), (p.min as i32, p.max as i32)) as i8
    };

    /// uint8 to int8 and back: subtracts or adds 128, which flips the top bit.
    flip_sign(FlipSign {}): u8 => u8, |_p, x| x ^ 0x80;

    /// ONNX QuantizeLinear: `clamp(round_half_even(x / scale) + zero_point)`. NaN becomes the zero point.
    quantize_f32_i8(QuantizeF32I8 {
        /// Scale.
        scale: f32,
        /// Zero point.
        zero_point: i8,
    }): f32 => i8, |p, x| {
        // Beyond a thousand steps every value saturates; within, the rounding trick is exact.
        let steps = round_half_even(clamp_float(x / p.scale, -1000.0, 1000.0));
        (steps as i32 + p.zero_point as i32).clamp(-128, 127) as i8
    };

    /// ONNX DequantizeLinear: `(q - zero_point) * scale`.
    dequantize_i8_f32(DequantizeI8F32 {
        /// Scale.
        scale: f32,
        /// Zero point.
        zero_point: i8,
    }): i8 => f32, |p, x| (x as i32 - p.zero_point as i32) as f32 * p.scale;

    /// To f32, the nearest value, ties to even.
    cast_i32_f32(CastI32F32 {}): i32 => f32, |_p, x| x as f32;

    /// uint16 to int16 and back: subtracts or adds 32768, which flips the top bit.
    flip_sign_16(FlipSign16 {}): u16 => u16, |_p, x| x ^ 0x8000;

    /// ONNX QuantizeLinear: `clamp(round_half_even(x / scale) + zero_point)`. NaN becomes the zero point.
    quantize_f32_i16(QuantizeF32I16 {
        /// Scale.
        scale: f32,
        /// Zero point.
        zero_point: i16,
    }): f32 => i16, |p, x| {
        // Beyond 2^17 steps every value saturates; within, the rounding trick is exact.
        let steps = round_half_even(clamp_float(x / p.scale, -131_072.0, 131_072.0));
        (steps as i32 + p.zero_point as i32).clamp(-32_768, 32_767) as i16
    };

    /// ONNX DequantizeLinear: `(q - zero_point) * scale`.
    dequantize_i16_f32(DequantizeI16F32 {
        /// Scale.
        scale: f32,
        /// Zero point.
        zero_point: i16,
    }): i16 => f32, |p, x| (x as i32 - p.zero_point as i32) as f32 * p.scale;

    /// Clamps floats: Relu and Clip.
    clamp_f32(ClampF32 {
        /// Smallest output.
        min: f32,
        /// Largest output.
        max: f32,
    }): f32 => f32, |p, x| clamp_float(x, p.min, p.max);

    /// `1 / (1 + exp(-x))`.
    sigmoid_f32(SigmoidF32 {}): f32 => f32, |_p, x| math::sigmoid(x);

    /// Hyperbolic tangent.
    tanh_f32(TanhF32 {}): f32 => f32, |_p, x| math::tanh(x);

    /// `clamp(alpha * x + beta, 0, 1)`.
    hard_sigmoid_f32(HardSigmoidF32 {
        /// Slope.
        alpha: f32,
        /// Value at 0.
        beta: f32,
    }): f32 => f32, |p, x| math::hard_sigmoid(x, p.alpha, p.beta);

    /// `x * clamp(x / 6 + 0.5, 0, 1)`.
    hard_swish_f32(HardSwishF32 {}): f32 => f32, |_p, x| math::hard_swish(x);

    /// `x`, or `alpha * x` below 0.
    leaky_relu_f32(LeakyReluF32 {
        /// Slope below 0.
        alpha: f32,
    }): f32 => f32, |p, x| math::leaky_relu(x, p.alpha);
}

/// Parameters of [`lookup_i8`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupI8 {
    /// Input image.
    pub input: Image,
    /// Output image.
    pub output: Image,
}

impl LookupI8 {
    /// Whether images and table fit together in `arena` bytes.
    pub const fn check(&self, table: &[i8], arena: usize) -> Result<(), &'static str> {
        if table.len() != 256 {
            return Err("lookup_i8: the table needs 256 entries");
        }
        check_map(&self.input, 1, &self.output, 1, arena)
    }
}

/// `table[x + 128]`: any function of one int8 value.
pub fn lookup_i8(mem: &mut [Block], p: &LookupI8, rows: Range<usize>, table: &[i8]) {
    map(mem, &p.input, &p.output, rows, |x: i8| table.get((x as i32 + 128) as usize).copied().unwrap_or(0));
}

/// Parameters of [`lookup_i16`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookupI16 {
    /// Input image.
    pub input: Image,
    /// Output image.
    pub output: Image,
}

impl LookupI16 {
    /// Whether images and table fit together in `arena` bytes.
    pub const fn check(&self, table: &[i16], arena: usize) -> Result<(), &'static str> {
        if table.len() != 513 {
            return Err("lookup_i16: the table needs 513 entries");
        }
        check_map(&self.input, 2, &self.output, 2, arena)
    }
}

/// A function of one int16 value, interpolated between its values at every 128th: with `x + 32768 = 128 i + r`,
/// `table[i] + (((table[i + 1] - table[i]) * r + 64) >> 7)`.
pub fn lookup_i16(mem: &mut [Block], p: &LookupI16, rows: Range<usize>, table: &[i16]) {
    let entry = |i: usize| table.get(i).copied().unwrap_or(0) as i32;
    map(mem, &p.input, &p.output, rows, |x: i16| {
        let at = (x as i32 + 32_768) as usize;
        let (low, high) = (entry(at >> 7), entry((at >> 7) + 1));
        (low + (((high - low) * (at & 127) as i32 + 64) >> 7)) as i16
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, view, view_mut};

    fn flat(offset: usize, n: usize) -> Image {
        Image {
            offset,
            height: 1,
            width: n,
            channels: 1,
            layout: Layout { row: n, col: 1, chan: n },
            ring: 1,
        }
    }

    #[test]
    fn quantize_rounds_ties_to_even_and_saturates() {
        let mut mem = [Block::ZERO; 3];
        view_mut::<f32>(&mut mem)[..6].copy_from_slice(&[0.5, 1.5, -0.5, 1e9, -1e9, 0.25]);
        let p = QuantizeF32I8 { input: flat(0, 6), output: flat(32, 6), scale: 1.0, zero_point: 3 };
        assert_eq!(p.check(48), Ok(()));
        quantize_f32_i8(&mut mem, &p, 0..1);
        assert_eq!(view::<i8>(&mem)[32..38], [3, 5, 3, 127, -128, 3]);
    }

    #[test]
    fn rescale_halves() {
        let mut mem = [Block::ZERO; 1];
        view_mut::<i8>(&mut mem)[..4].copy_from_slice(&[10, 3, -3, -128]);
        let (input, output) = (flat(0, 4), flat(4, 4));
        let p =
            RescaleI8 { input, output, multiplier: 1 << 9, constant: 1 << 9, shift: 10, min: -50, max: 127 };
        rescale_i8(&mut mem, &p, 0..1);
        assert_eq!(view::<i8>(&mem)[4..8], [5, 2, -1, -50]);
    }

    #[test]
    fn lookup_and_flip() {
        let mut mem = [Block::ZERO; 1];
        view_mut::<i8>(&mut mem)[..3].copy_from_slice(&[-128, 0, 127]);
        let mut table = [0i8; 256];
        (table[0], table[128], table[255]) = (1, 2, 3);
        lookup_i8(&mut mem, &LookupI8 { input: flat(0, 3), output: flat(3, 3) }, 0..1, &table);
        assert_eq!(view::<i8>(&mem)[3..6], [1, 2, 3]);
        flip_sign(&mut mem, &FlipSign { input: flat(0, 3), output: flat(0, 3) }, 0..1);
        assert_eq!(view::<u8>(&mem)[..3], [0, 128, 255]);
    }

    /// What a kernel makes of -4, -1, 0 and 2.
    fn floats(kernel: impl Fn(&mut [Block], Image, Image)) -> [f32; 4] {
        let mut mem = [Block::ZERO; 2];
        view_mut::<f32>(&mut mem)[..4].copy_from_slice(&[-4.0, -1.0, 0.0, 2.0]);
        kernel(&mut mem, flat(0, 4), flat(4, 4));
        [0, 1, 2, 3].map(|i| view::<f32>(&mem)[4 + i])
    }

    #[test]
    fn float_kernels_apply_their_function() {
        let clamped = floats(|mem, input, output| {
            clamp_f32(mem, &ClampF32 { input, output, min: -2.0, max: 1.5 }, 0..1);
        });
        assert_eq!(clamped, [-2.0, -1.0, 0.0, 1.5]);
        let sigmoid = floats(|mem, input, output| sigmoid_f32(mem, &SigmoidF32 { input, output }, 0..1));
        assert_eq!(sigmoid, [-4.0, -1.0, 0.0, 2.0].map(math::sigmoid));
        let tanh = floats(|mem, input, output| tanh_f32(mem, &TanhF32 { input, output }, 0..1));
        assert_eq!(tanh, [-4.0, -1.0, 0.0, 2.0].map(math::tanh));
        let hard_sigmoid = floats(|mem, input, output| {
            hard_sigmoid_f32(mem, &HardSigmoidF32 { input, output, alpha: 0.25, beta: 0.5 }, 0..1);
        });
        assert_eq!(hard_sigmoid, [0.0, 0.25, 0.5, 1.0]);
        let hard_swish =
            floats(|mem, input, output| hard_swish_f32(mem, &HardSwishF32 { input, output }, 0..1));
        assert_eq!(hard_swish, [-4.0, -1.0, 0.0, 2.0].map(math::hard_swish));
        let leaky = floats(|mem, input, output| {
            leaky_relu_f32(mem, &LeakyReluF32 { input, output, alpha: 0.25 }, 0..1);
        });
        assert_eq!(leaky, [-1.0, -0.25, 0.0, 2.0]);
    }

    #[test]
    fn dequantize_is_exact_and_clamp_i8_clamps() {
        let mut mem = [Block::ZERO; 2];
        view_mut::<i8>(&mut mem)[..3].copy_from_slice(&[-128, 3, 127]);
        let p = DequantizeI8F32 { input: flat(0, 3), output: flat(4, 3), scale: 0.5, zero_point: 3 };
        assert_eq!(p.check(28), Ok(()));
        assert!(p.check(24).is_err());
        dequantize_i8_f32(&mut mem, &p, 0..1);
        assert_eq!(view::<f32>(&mem)[4..7], [-65.5, 0.0, 62.0]);
        clamp_i8(&mut mem, &ClampI8 { input: flat(0, 3), output: flat(3, 3), min: 0, max: 100 }, 0..1);
        assert_eq!(view::<i8>(&mem)[3..6], [0, 3, 100]);
    }

    #[test]
    fn quantize_makes_nan_the_zero_point() {
        let mut mem = [Block::ZERO; 1];
        view_mut::<f32>(&mut mem)[..3].copy_from_slice(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        let p = QuantizeF32I8 { input: flat(0, 3), output: flat(12, 3), scale: 0.1, zero_point: 9 };
        quantize_f32_i8(&mut mem, &p, 0..1);
        assert_eq!(view::<i8>(&mem)[12..15], [9, 127, -128]);
    }
}
