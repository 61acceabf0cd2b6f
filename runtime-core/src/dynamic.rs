//! Quantization with a scale that the values themselves decide: ONNX DynamicQuantizeLinear.

use crate::{Block, Image, round_half_even, view, view_mut};
use core::ops::Range;

/// Parameters of [`dynamic_range_f32`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DynamicRangeF32 {
    /// Input image.
    pub input: Image,
    /// Output, `1 x 1 x 2`: scale and zero point.
    pub output: Image,
}

impl DynamicRangeF32 {
    /// Whether the images fit in `arena` bytes.
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        if self.output.height != 1 || self.output.width != 1 || self.output.channels != 2 {
            return Err("dynamic_range_f32: the output is a scale and a zero point");
        }
        if !self.input.fits(4, arena) || !self.output.fits(4, arena) {
            return Err("dynamic_range_f32: image outside of the arena");
        }
        Ok(())
    }
}

/// `scale = (max - min) / 255` (1 when there is no range) and `zero_point = clamp(round_half_even(-min / scale), 0, 255)`, with
/// the smallest and the largest of all values and 0. Reads the whole input, whatever rows are asked for.
pub fn dynamic_range_f32(mem: &mut [Block], p: &DynamicRangeF32, rows: Range<usize>) {
    if rows.is_empty() {
        return;
    }
    let mem = view_mut::<f32>(mem);
    let (mut min, mut max) = (0.0f32, 0.0f32);
    for y in 0..p.input.height {
        for c in 0..p.input.channels {
            for x in 0..p.input.width {
                let value = mem.get(p.input.at(y, x, c)).copied().unwrap_or(0.0);
                min = if value < min { value } else { min };
                max = if value > max { value } else { max };
            }
        }
    }
    let scale = if max == min { 1.0 } else { (max - min) / 255.0 };
    let zero_point = round_half_even((0.0 - min / scale).clamp(0.0, 255.0));
    for (c, value) in [scale, zero_point].into_iter().enumerate() {
        if let Some(to) = mem.get_mut(p.output.at(0, 0, c)) {
            *to = value;
        }
    }
}

/// Parameters of [`quantize_dynamic_f32_u8`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuantizeDynamicF32U8 {
    /// Input image.
    pub input: Image,
    /// What [`dynamic_range_f32`] found.
    pub range: Image,
    /// Output image.
    pub output: Image,
}

impl QuantizeDynamicF32U8 {
    /// Whether the images fit together in `arena` bytes.
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        if self.range.channels != 2 || !self.range.fits(4, arena) {
            return Err("quantize_dynamic_f32_u8: the range is a scale and a zero point");
        }
        crate::elementwise::check_map(&self.input, 4, &self.output, 1, arena)
    }
}

/// `clamp(round_half_even(x / scale) + zero_point, 0, 255)`. NaN becomes the zero point.
pub fn quantize_dynamic_f32_u8(mem: &mut [Block], p: &QuantizeDynamicF32U8, rows: Range<usize>) {
    let parameter = |c| view::<f32>(mem).get(p.range.at(0, 0, c)).copied().unwrap_or(1.0);
    let (scale, zero_point) = (parameter(0), parameter(1) as i32);
    crate::elementwise::map(mem, &p.input, &p.output, rows, |x: f32| -> u8 {
        // Beyond a thousand steps every value saturates; within, the rounding trick is exact.
        let steps = round_half_even(crate::requantize::clamp_float(x / scale, -1000.0, 1000.0));
        (steps as i32 + zero_point).clamp(0, 255) as u8
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    fn row(offset: usize, channels: usize) -> Image {
        Image { offset, height: 1, width: 1, channels, layout: Layout { row: 0, col: 0, chan: 1 }, ring: 1 }
    }

    /// Scale, zero point, integers.
    fn quantize<const N: usize>(values: [f32; N]) -> (f32, f32, [u8; N]) {
        let mut mem = [Block::ZERO; 8];
        view_mut::<f32>(&mut mem)[..N].copy_from_slice(&values);
        let (input, range) = (row(0, N), row(16, 2));
        let p = DynamicRangeF32 { input, output: range };
        assert_eq!(p.check(128), Ok(()));
        dynamic_range_f32(&mut mem, &p, 0..1);
        let p = QuantizeDynamicF32U8 { input, range, output: row(96, N) };
        assert_eq!(p.check(128), Ok(()));
        quantize_dynamic_f32_u8(&mut mem, &p, 0..1);
        let mut bytes = [0; N];
        bytes.copy_from_slice(&view::<u8>(&mem)[96..96 + N]);
        (view::<f32>(&mem)[16], view::<f32>(&mem)[17], bytes)
    }

    #[test]
    fn examples_of_the_onnx_specification() {
        let (scale, zero, bytes) = quantize([0.0, 2.0, -3.0, -2.5, 1.34, 0.5]);
        assert_eq!((scale, zero), (0.019_607_844, 153.0));
        assert_eq!(bytes, [153, 255, 0, 26, 221, 179]);
        let (scale, zero, bytes) = quantize([-1.0, -2.1, -1.3, -2.5, -3.34, -4.0]);
        assert_eq!((scale, zero), (0.015_686_275, 255.0));
        assert_eq!(bytes, [191, 121, 172, 96, 42, 0]);
        let (scale, zero, bytes) = quantize([1.0, 2.1, 1.3, 2.5, 3.34, 4.0, 1.5, 2.6, 3.9, 4.0, 3.0, 2.345]);
        assert_eq!((scale, zero), (0.015_686_275, 0.0));
        assert_eq!(bytes, [64, 134, 83, 159, 213, 255, 96, 166, 249, 255, 191, 149]);
    }

    #[test]
    fn no_range_and_no_number_have_a_meaning() {
        assert_eq!(quantize([0.0; 3]), (1.0, 0.0, [0; 3]));
        let (scale, zero, bytes) = quantize([f32::NAN, 1.0, -1.0]);
        assert_eq!((scale, zero, bytes), (2.0 / 255.0, 127.0, [127, 254, 0]));
        assert_eq!(quantize([f32::MAX, f32::MIN, 1.0]).2, [0, 0, 0]);
        assert!(DynamicRangeF32 { input: row(0, 33), output: row(0, 2) }.check(128).is_err());
        assert!(DynamicRangeF32 { input: row(0, 3), output: row(0, 3) }.check(128).is_err());
    }
}
