//! QGemm (com.microsoft): Gemm behind DequantizeLinear, and before QuantizeLinear unless the output is float.

use super::shared::{Clamp, spelling};
use super::{DequantizeLinear, Fragment, Gemm, ImportContext, Mul, Wire};
use crate::diag::Diagnostic;
use crate::tensor::Tensor;

/// Reads the attributes. `alpha` goes into the scale of B: the bias is in units of `alpha * scale_a * scale_b`.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let attributes = super::gemm::attributes(ctx)?;
    let gemm = Gemm { alpha: 1.0, beta: 1.0, ..attributes.clone() };
    let mut f = Fragment::default();
    let a = spelling::dequantize(&mut f, 0, 1);
    let mut scale = Wire::Input(4);
    if attributes.alpha != 1.0 {
        let alpha = Wire::Const(Tensor::from_f32(&[], &[attributes.alpha]));
        scale = f.node(Mul { clamp: Clamp::NONE }, vec![scale, alpha]);
    }
    let axis = 1 - gemm.trans_b as i64;
    let b = f.node(DequantizeLinear { axis, block: 0 }, vec![Wire::Input(3), scale.clone(), Wire::Input(5)]);
    let mut inputs = vec![a, b];
    if spelling::has_input(ctx, 6) {
        inputs.push(spelling::dequantize_bias(&mut f, 6, [Wire::Input(1), scale]));
    }
    let y = f.node(gemm, inputs);
    if spelling::has_input(ctx, 7) {
        spelling::quantize(&mut f, ctx, y, 7)?;
    } else {
        f.outputs = vec![y];
    }
    Ok(f)
}
