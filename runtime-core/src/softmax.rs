//! Softmax over the channels of every pixel.

use crate::elementwise::check_map;
use crate::requantize::clamped_share;
use crate::{Block, Image, math, view_mut};
use core::ops::Range;

/// Parameters of [`softmax_i8`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftmaxI8 {
    /// Input image.
    pub input: Image,
    /// Output image.
    pub output: Image,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// `1 / scale_y = multiplier * 2^-shift`.
    pub multiplier: i32,
    /// See `multiplier`.
    pub shift: u8,
    /// Smallest output.
    pub min: i8,
    /// Largest output.
    pub max: i8,
}

impl SoftmaxI8 {
    /// Whether images and table fit together in `arena` bytes.
    pub const fn check(&self, exp: &[u32], arena: usize) -> Result<(), &'static str> {
        if exp.is_empty() || exp.len() > 256 {
            return Err("softmax_i8: the table of exponentials holds 1 to 256 entries");
        }
        // With sums below 2^31, nothing leaves 64 bits.
        let [largest, ..] = exp else { return Err("softmax_i8: the table of exponentials is empty") };
        if *largest as u64 * self.input.channels as u64 > i32::MAX as u64 || self.shift > 32 {
            return Err("softmax_i8: the sum of the exponentials may not fit 31 bits");
        }
        check_map(&self.input, 1, &self.output, 1, arena)
    }
}

/// Computes output `rows`: `y = clamp(zp_y + div_round_half_even(e * multiplier, sum(e) << shift))`, where `e` is
/// `exp[max(x) - x]`, and 0 behind the end of the table.
pub fn softmax_i8(mem: &mut [Block], p: &SoftmaxI8, rows: Range<usize>, exp: &[u32]) {
    let mem = view_mut::<i8>(mem);
    for y in rows {
        for x in 0..p.output.width {
            let value = |mem: &[i8], c| mem.get(p.input.at(y, x, c)).copied().unwrap_or(-128) as i32;
            let largest = (0..p.input.channels).fold(-128, |m, c| value(mem, c).max(m));
            let e = |mem: &[i8], c| exp.get((largest - value(mem, c)) as usize).copied().unwrap_or(0);
            let sum = (0..p.input.channels).fold(0u32, |sum, c| sum.wrapping_add(e(mem, c)));
            // The output may not lie over the input: later channels still read it.
            for c in 0..p.output.channels {
                let (num, den) =
                    (e(mem, c) as i64 * p.multiplier as i64, (sum as i64).wrapping_shl(p.shift as u32));
                let q = clamped_share((num, den), p.output_zero_point as i32, p.min as i32, p.max as i32);
                if let Some(to) = mem.get_mut(p.output.at(y, x, c)) {
                    *to = q as i8;
                }
            }
        }
    }
}

/// Parameters of [`softmax_f32`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoftmaxF32 {
    /// Input image.
    pub input: Image,
    /// Output image; it may be the input.
    pub output: Image,
}

impl SoftmaxF32 {
    /// Whether the images fit together in `arena` bytes.
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        check_map(&self.input, 4, &self.output, 4, arena)
    }
}

/// Computes output `rows`: `exp(x - max(x)) / sum(exp(x - max(x)))`, the sum in ascending order.
pub fn softmax_f32(mem: &mut [Block], p: &SoftmaxF32, rows: Range<usize>) {
    let mem = view_mut::<f32>(mem);
    for y in rows {
        for x in 0..p.output.width {
            let value = |mem: &[f32], image: &Image, c| mem.get(image.at(y, x, c)).copied().unwrap_or(0.0);
            let largest = (0..p.input.channels).fold(f32::MIN, |m, c| value(mem, &p.input, c).max(m));
            let mut sum = 0.0;
            for c in 0..p.output.channels {
                let e = math::exp(value(mem, &p.input, c) - largest);
                sum += e;
                if let Some(to) = mem.get_mut(p.output.at(y, x, c)) {
                    *to = e;
                }
            }
            for c in 0..p.output.channels {
                if let Some(to) = mem.get_mut(p.output.at(y, x, c)) {
                    *to /= sum;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, view};

    #[test]
    fn shares_sum_to_one() {
        let mut mem = [Block::ZERO; 1];
        view_mut::<i8>(&mut mem)[..3].copy_from_slice(&[10, 9, -120]);
        let image = |offset| Image {
            offset,
            height: 1,
            width: 1,
            channels: 3,
            layout: Layout { row: 3, col: 3, chan: 1 },
            ring: 1,
        };
        let p = SoftmaxI8 {
            input: image(0),
            output: image(8),
            output_zero_point: -128,
            multiplier: 1 << 30,
            shift: 22,
            min: -128,
            max: 127,
        };
        softmax_i8(&mut mem, &p, 0..1, &[3 << 20, 1 << 20]);
        assert_eq!(view::<i8>(&mem)[8..11], [64, -64, -128]); // 3/4 and 1/4 of 256
    }

    #[test]
    fn tables_whose_sums_leave_31_bits_are_refused() {
        let image = Image {
            offset: 0,
            height: 1,
            width: 1,
            channels: 4,
            layout: Layout { row: 4, col: 4, chan: 1 },
            ring: 1,
        };
        let p = SoftmaxI8 {
            input: image,
            output: image,
            output_zero_point: -128,
            multiplier: 1 << 30,
            shift: 32,
            min: -128,
            max: 127,
        };
        assert_eq!(p.check(&[(1 << 29) - 1], 16), Ok(()));
        assert!(p.check(&[1 << 29], 16).is_err());
        assert!(p.check(&[], 16).is_err());
        assert!(SoftmaxI8 { shift: 33, ..p }.check(&[1], 16).is_err());
    }

    #[test]
    fn float_shares_divide_by_their_sum() {
        let image = |offset| Image {
            offset,
            height: 1,
            width: 1,
            channels: 3,
            layout: Layout { row: 3, col: 3, chan: 1 },
            ring: 1,
        };
        let mut mem = [Block::ZERO; 2];
        view_mut::<f32>(&mut mem)[..3].copy_from_slice(&[1000.0, 1000.0, 998.0]);
        softmax_f32(&mut mem, &SoftmaxF32 { input: image(0), output: image(4) }, 0..1);
        let e = math::exp(-2.0);
        assert_eq!(view::<f32>(&mem)[4..7], [1.0 / (2.0 + e), 1.0 / (2.0 + e), e / (2.0 + e)]);
    }
}
