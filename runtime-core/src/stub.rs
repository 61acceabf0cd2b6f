//! stub
#![allow(missing_docs, unused)]
use crate::*;
use core::ops::Range;
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DepthwiseConv2dI8 {
    pub input: Image,
    pub output: Image,
    pub window: Window,
    pub depth_multiplier: usize,
    pub input_zero_point: i8,
    pub output_zero_point: i8,
    pub min: i8,
    pub max: i8,
}
impl DepthwiseConv2dI8 {
    pub const fn check(&self, _t: &Filter<'_>, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn depthwise_conv2d_i8(mem: &mut [Block], p: &DepthwiseConv2dI8, rows: Range<usize>, t: &Filter<'_>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FullyConnectedI8 {
    pub input: Image,
    pub output: Image,
    pub output_zero_point: i8,
    pub min: i8,
    pub max: i8,
}
impl FullyConnectedI8 {
    pub const fn check(&self, _t: &Filter<'_>, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn fully_connected_i8(mem: &mut [Block], p: &FullyConnectedI8, rows: Range<usize>, t: &Filter<'_>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatMulI8 {
    pub a: Image,
    pub b: Image,
    pub output: Image,
}
impl MatMulI8 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn matmul_i8(mem: &mut [Block], p: &MatMulI8, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AddI8 {
    pub a: Image,
    pub b: Image,
    pub output: Image,
}
impl AddI8 {
    pub const fn check(&self, _t: &[i8], arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn add_i8(mem: &mut [Block], p: &AddI8, rows: Range<usize>, t: &[i8]) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MulI8 {
    pub a: Image,
    pub b: Image,
    pub output: Image,
}
impl MulI8 {
    pub const fn check(&self, _t: &[i8], arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn mul_i8(mem: &mut [Block], p: &MulI8, rows: Range<usize>, t: &[i8]) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxPoolI8 {
    pub input: Image,
    pub output: Image,
}
impl MaxPoolI8 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn max_pool_i8(mem: &mut [Block], p: &MaxPoolI8, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AveragePoolI8 {
    pub input: Image,
    pub output: Image,
}
impl AveragePoolI8 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn average_pool_i8(mem: &mut [Block], p: &AveragePoolI8, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LookupI8 {
    pub input: Image,
    pub output: Image,
}
impl LookupI8 {
    pub const fn check(&self, _t: &[i8], arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn lookup_i8(mem: &mut [Block], p: &LookupI8, rows: Range<usize>, t: &[i8]) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClampI8 {
    pub input: Image,
    pub output: Image,
    pub min: i8,
    pub max: i8,
}
impl ClampI8 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn clamp_i8(mem: &mut [Block], p: &ClampI8, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RescaleI8 {
    pub input: Image,
    pub output: Image,
}
impl RescaleI8 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn rescale_i8(mem: &mut [Block], p: &RescaleI8, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoftmaxI8 {
    pub input: Image,
    pub output: Image,
}
impl SoftmaxI8 {
    pub const fn check(&self, _t: &[u32], arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn softmax_i8(mem: &mut [Block], p: &SoftmaxI8, rows: Range<usize>, t: &[u32]) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlipSign {
    pub input: Image,
    pub output: Image,
}
impl FlipSign {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn flip_sign(mem: &mut [Block], p: &FlipSign, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantizeF32I8 {
    pub input: Image,
    pub output: Image,
}
impl QuantizeF32I8 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn quantize_f32_i8(mem: &mut [Block], p: &QuantizeF32I8, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DequantizeI8F32 {
    pub input: Image,
    pub output: Image,
}
impl DequantizeI8F32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn dequantize_i8_f32(mem: &mut [Block], p: &DequantizeI8F32, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Copy {
    pub input: Image,
    pub output: Image,
}
impl Copy {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn copy_8(mem: &mut [Block], p: &Copy, rows: Range<usize>) {}
pub fn copy_32(mem: &mut [Block], p: &Copy, rows: Range<usize>) {}
pub fn copy_64(mem: &mut [Block], p: &Copy, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill8 {
    pub output: Image,
}
impl Fill8 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn fill_8(mem: &mut [Block], p: &Fill8, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fill32 {
    pub output: Image,
}
impl Fill32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn fill_32(mem: &mut [Block], p: &Fill32, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Load {
    pub output: Image,
}
impl Load {
    pub const fn check<T>(&self, _t: &[T], arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn load_8(mem: &mut [Block], p: &Load, rows: Range<usize>, t: &[i8]) {}
pub fn load_32(mem: &mut [Block], p: &Load, rows: Range<usize>, t: &[i32]) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv2dF32 {
    pub input: Image,
    pub output: Image,
    pub scratch: usize,
    pub window: Window,
    pub groups: usize,
    pub min: f32,
    pub max: f32,
}
impl Conv2dF32 {
    pub const fn check(&self, _t: &FilterF32<'_>, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
    pub const fn scratch_len(&self) -> usize {
        0
    }
}
pub fn conv2d_f32(mem: &mut [Block], p: &Conv2dF32, rows: Range<usize>, t: &FilterF32<'_>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DepthwiseConv2dF32 {
    pub input: Image,
    pub output: Image,
    pub window: Window,
    pub depth_multiplier: usize,
    pub min: f32,
    pub max: f32,
}
impl DepthwiseConv2dF32 {
    pub const fn check(&self, _t: &FilterF32<'_>, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn depthwise_conv2d_f32(
    mem: &mut [Block],
    p: &DepthwiseConv2dF32,
    rows: Range<usize>,
    t: &FilterF32<'_>,
) {
}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FullyConnectedF32 {
    pub input: Image,
    pub output: Image,
}
impl FullyConnectedF32 {
    pub const fn check(&self, _t: &FilterF32<'_>, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn fully_connected_f32(mem: &mut [Block], p: &FullyConnectedF32, rows: Range<usize>, t: &FilterF32<'_>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatMulF32 {
    pub a: Image,
    pub b: Image,
    pub output: Image,
}
impl MatMulF32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn matmul_f32(mem: &mut [Block], p: &MatMulF32, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryF32 {
    pub a: Image,
    pub b: Image,
    pub output: Image,
}
impl BinaryF32 {
    pub const fn check(&self, _t: &[f32], arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn add_f32(mem: &mut [Block], p: &BinaryF32, rows: Range<usize>, t: &[f32]) {}
pub fn sub_f32(mem: &mut [Block], p: &BinaryF32, rows: Range<usize>, t: &[f32]) {}
pub fn mul_f32(mem: &mut [Block], p: &BinaryF32, rows: Range<usize>, t: &[f32]) {}
pub fn div_f32(mem: &mut [Block], p: &BinaryF32, rows: Range<usize>, t: &[f32]) {}
pub fn prelu_f32(mem: &mut [Block], p: &BinaryF32, rows: Range<usize>, t: &[f32]) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MaxPoolF32 {
    pub input: Image,
    pub output: Image,
}
impl MaxPoolF32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn max_pool_f32(mem: &mut [Block], p: &MaxPoolF32, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AveragePoolF32 {
    pub input: Image,
    pub output: Image,
}
impl AveragePoolF32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn average_pool_f32(mem: &mut [Block], p: &AveragePoolF32, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoftmaxF32 {
    pub input: Image,
    pub output: Image,
}
impl SoftmaxF32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn softmax_f32(mem: &mut [Block], p: &SoftmaxF32, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClampF32 {
    pub input: Image,
    pub output: Image,
    pub min: f32,
    pub max: f32,
}
impl ClampF32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn clamp_f32(mem: &mut [Block], p: &ClampF32, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SigmoidF32 {
    pub input: Image,
    pub output: Image,
}
impl SigmoidF32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn sigmoid_f32(mem: &mut [Block], p: &SigmoidF32, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TanhF32 {
    pub input: Image,
    pub output: Image,
}
impl TanhF32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn tanh_f32(mem: &mut [Block], p: &TanhF32, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HardSigmoidF32 {
    pub input: Image,
    pub output: Image,
}
impl HardSigmoidF32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn hard_sigmoid_f32(mem: &mut [Block], p: &HardSigmoidF32, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HardSwishF32 {
    pub input: Image,
    pub output: Image,
}
impl HardSwishF32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn hard_swish_f32(mem: &mut [Block], p: &HardSwishF32, rows: Range<usize>) {}
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeakyReluF32 {
    pub input: Image,
    pub output: Image,
}
impl LeakyReluF32 {
    pub const fn check(&self, arena: usize) -> Result<(), &'static str> {
        Ok(())
    }
}
pub fn leaky_relu_f32(mem: &mut [Block], p: &LeakyReluF32, rows: Range<usize>) {}
