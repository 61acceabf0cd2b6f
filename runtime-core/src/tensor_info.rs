//! What generated code says about a model's inputs and outputs.

use crate::round_half_even;

/// An input or output of a model. `real = scale * (value - zero_point)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorInfo {
    /// Name in the model file.
    pub name: &'static str,
    /// Extents in ONNX order; elements lie row-major.
    pub shape: &'static [usize],
    /// Scale; 1 where values are not quantized.
    pub scale: f32,
    /// Zero point; 0 where values are not quantized.
    pub zero_point: i32,
}

impl TensorInfo {
    /// The integer that stands for a real number, to be clamped to its type: ONNX's QuantizeLinear.
    fn quantize(&self, real: f32) -> i32 {
        // Far beyond any 16-bit value, and small enough for the sum.
        (round_half_even((real / self.scale).clamp(-1e6, 1e6)) as i32).saturating_add(self.zero_point)
    }

    /// The int8 value of a real number.
    pub fn quantize_i8(&self, real: f32) -> i8 {
        self.quantize(real).clamp(-128, 127) as i8
    }

    /// The uint8 value of a real number.
    pub fn quantize_u8(&self, real: f32) -> u8 {
        self.quantize(real).clamp(0, 255) as u8
    }

    /// The int16 value of a real number.
    pub fn quantize_i16(&self, real: f32) -> i16 {
        self.quantize(real).clamp(-32_768, 32_767) as i16
    }

    /// The uint16 value of a real number.
    pub fn quantize_u16(&self, real: f32) -> u16 {
        self.quantize(real).clamp(0, 65_535) as u16
    }

    /// The real number of an integer value.
    pub fn dequantize(&self, value: i32) -> f32 {
        value.wrapping_sub(self.zero_point) as f32 * self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantizes_as_onnx_does() {
        let info = TensorInfo { name: "x", shape: &[1], scale: 0.5, zero_point: -1 };
        assert_eq!(
            [0.25, 0.75, 100.0, -100.0, f32::NAN].map(|x| info.quantize_i8(x)),
            [-1, 1, 127, -128, -1]
        );
        assert_eq!(info.quantize_u8(1e9), 255);
        assert_eq!((info.quantize_i16(-1e4), info.quantize_u16(1e9)), (-20_001, 65_535));
        assert_eq!(info.dequantize(3), 2.0);
    }
}
