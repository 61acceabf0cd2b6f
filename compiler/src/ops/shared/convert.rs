//! Between integers and the real numbers that they stand for, at run time.

use super::super::Lowering;
use crate::kernels::Kernel;
use crate::program::View;
use crate::tensor::ElemType;
use kiln_runtime_core as rt;

/// Emits f32 values as int8 or int16, the type of `to`.
pub fn quantize(b: &mut Lowering, from: &View, to: &View, scale: f32, zero_point: i32) {
    let wide = to.elem == ElemType::I16;
    b.elementwise(&[from], to, &[], |i| {
        let (input, output) = (i[0], i[1]);
        if wide {
            Kernel::QuantizeF32I16(rt::QuantizeF32I16 { input, output, scale, zero_point: zero_point as i16 })
        } else {
            Kernel::QuantizeF32I8(rt::QuantizeF32I8 { input, output, scale, zero_point: zero_point as i8 })
        }
    });
}

/// Emits int8 or int16 values, the type of `from`, as f32.
pub fn dequantize(b: &mut Lowering, from: &View, to: &View, scale: f32, zero_point: i32) {
    let wide = from.elem == ElemType::I16;
    b.elementwise(&[from], to, &[], |i| {
        let (input, output) = (i[0], i[1]);
        if wide {
            Kernel::DequantizeI16F32(rt::DequantizeI16F32 {
                input,
                output,
                scale,
                zero_point: zero_point as i16,
            })
        } else {
            Kernel::DequantizeI8F32(rt::DequantizeI8F32 {
                input,
                output,
                scale,
                zero_point: zero_point as i8,
            })
        }
    });
}
