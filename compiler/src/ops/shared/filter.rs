//! Weights, biases and multipliers of Conv and Gemm as the kernels' tables.

use super::super::Lowering;
use super::{FixedPoint, check_accumulator};
use crate::diag::Diagnostic;
use crate::kernels::ConstData;
use crate::program::ConstId;
use crate::tensor::{ElemType, QParams, Tensor, TensorType};

/// The quantization of an int8 layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerQuant {
    /// Zero point of the input.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Scale and zero point of the output.
    pub output: QParams,
}

/// "No kernel for elements of this type."
pub fn no_kernel(elem: ElemType, ty: &TensorType) -> Diagnostic {
    Diagnostic::new("E0304", format!("no kernel for elements of type {elem}"))
        .fact("input", ty)
        .help("cast to f32 at export, or quantize to int8")
}

/// Tables of an f32 layer: `weights` as `[n][taps]`, bias from input `bias`, zeros where it is omitted.
///
/// # Errors
/// `E0301` when the bias is computed at run time.
pub fn filter_f32(b: &mut Lowering, weights: &Tensor, bias: usize) -> Result<Vec<ConstId>, Diagnostic> {
    let n = weights.shape()[0];
    let bias = if b.has(bias) { b.require_constant(bias, "B")?.to_f32s() } else { vec![0.0; n] };
    Ok(filter_f32_with(b, weights, bias))
}

/// [`filter_f32`] with the biases themselves.
pub fn filter_f32_with(b: &mut Lowering, weights: &Tensor, bias: Vec<f32>) -> Vec<ConstId> {
    vec![b.table("weights", ConstData::F32(weights.to_f32s())), b.table("bias", ConstData::F32(bias))]
}

/// Tables of an int8 layer: `weights` as `[n][taps]`, quantized as input 1 says, activations as input `x` and output 0
/// say; bias int32 from input `bias`. Folds the input's zero point into the bias and proves every accumulator.
///
/// # Errors
/// `E0301`, `E0302` for missing constants and scales; `E0305`, `E0306` for scales and sums that do not fit.
pub fn filter_i8(
    b: &mut Lowering,
    weights: &Tensor,
    x: usize,
    bias: usize,
) -> Result<(Vec<ConstId>, LayerQuant), Diagnostic> {
    let n = weights.shape()[0];
    let bias = if b.has(bias) { b.require_constant(bias, "B")?.to_i64s() } else { vec![0; n] };
    filter_i8_with(b, weights, x, bias)
}

/// [`filter_i8`] with the biases themselves.
///
/// # Errors
/// As [`filter_i8`].
pub fn filter_i8_with(
    b: &mut Lowering,
    weights: &Tensor,
    x: usize,
    bias: Vec<i64>,
) -> Result<(Vec<ConstId>, LayerQuant), Diagnostic> {
    let (xq, wq, yq) = (b.qparams(x)?, b.qparams(1)?, b.output_qparams(0)?);
    let n = weights.shape()[0];
    let values = weights.to_i8s();
    let taps = values.len() / n.max(1);
    let per = |v: usize, len: usize| if len == 1 { 0 } else { v };
    let zp_x = xq.zero_point[0] as i64;
    let (mut biases, mut multipliers, mut shifts, mut zero_points) = (vec![], vec![], vec![], vec![]);
    for c in 0..n {
        let w = &values[c * taps..(c + 1) * taps];
        let zp_w = wq.zero_point[per(c, wq.zero_point.len())] as i64;
        let scale_w = wq.scale[per(c, wq.scale.len())] as f64;
        let fixed = FixedPoint::new(xq.scale[0] as f64 * scale_w / yq.scale[0] as f64)?;
        // sum (x - zp_x)(w - zp_w) = sum x*w - zp_w * sum x + (zp_x * zp_w * taps - zp_x * sum w)
        let sum_w: i64 = w.iter().map(|&w| w as i64).sum();
        let folded = bias[c] - zp_x * (sum_w - zp_w * taps as i64);
        let (mut low, mut high) = (folded, folded);
        for &w in w {
            let w = w as i64 - zp_w;
            low += (w * 127).min(w * -128);
            high += (w * 127).max(w * -128);
        }
        check_accumulator(c, low.min(folded), high.max(folded), fixed.shift)?;
        biases.push(folded as i32);
        multipliers.push(fixed.multiplier);
        shifts.push(fixed.shift);
        zero_points.push(zp_w as i8);
    }
    if shifts.iter().all(|&s| s == 0) {
        shifts.clear();
    }
    if zero_points.iter().all(|&z| z == 0) {
        zero_points.clear();
    }
    let consts = vec![
        b.table("weights", ConstData::I8(values)),
        b.table("bias", ConstData::I32(biases)),
        b.table("multiplier", ConstData::I32(multipliers)),
        b.table("shift", ConstData::U8(shifts)),
        b.table("weight_zero_point", ConstData::I8(zero_points)),
    ];
    let quant = LayerQuant {
        input_zero_point: xq.zero_point[0] as i8,
        output_zero_point: yq.zero_point[0] as i8,
        output: yq,
    };
    Ok((consts, quant))
}
