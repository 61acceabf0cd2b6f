//! Weights, biases and multipliers of Conv and Gemm as the kernels' tables.

use super::super::Lowering;
use super::{Channels, FixedPoint, Form, Integer, check_accumulator};
use crate::diag::Diagnostic;
use crate::kernels::ConstData;
use crate::program::ConstId;
use crate::tensor::{ElemType, QParams, Tensor, TensorType};

/// The quantization of an integer layer with activations of type `T`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerQuant<T> {
    /// Zero point of the input.
    pub input_zero_point: T,
    /// Zero point of the output.
    pub output_zero_point: T,
    /// Scale and zero point of the output.
    pub output: QParams,
    /// The form of the tables, for which there is a kernel.
    pub form: Form,
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

/// The scale of each single weight, in the shape of input 1, where its quantization has blocks.
///
/// # Errors
/// `E0302` when input 1 is not quantized.
pub fn blocked_scales(b: &Lowering) -> Result<Option<Tensor>, Diagnostic> {
    let (q, shape) = (b.qparams(1)?, b.ty(1)?.shape);
    if q.block == 0 {
        return Ok(None);
    }
    let scales: Vec<f32> = q.indices(&shape).into_iter().map(|i| q.scale[i]).collect();
    Ok(Some(Tensor::from_f32(&shape, &scales)))
}

/// Tables of an integer layer: `weights` as `[n][taps]`, quantized as input 1 says, activations as input `x` and output 0
/// say; a bias for each channel in the [units](QParams::units) of the weights. `scales` are those of the single weights,
/// where they have blocks. Folds the input's zero point into the bias and proves every accumulator.
///
/// # Errors
/// `E0302` for missing scales; `E0305`, `E0306` for scales and sums that do not fit.
pub fn filter<T: Integer>(
    b: &mut Lowering,
    weights: &Tensor,
    scales: Option<&[f32]>,
    x: usize,
    bias: Vec<i64>,
) -> Result<(Vec<ConstId>, LayerQuant<T>), Diagnostic> {
    let (xq, yq) = (b.qparams(x)?, b.output_qparams(0)?);
    let channels = Channels::of(b, weights, scales)?;
    let values = weights.to_i8s();
    let (zp_x, taps) = (xq.zero_point[0] as i64, channels.taps);
    let (low_x, high_x) = T::ELEM.bounds();
    let (mut biases, mut multipliers, mut shifts, mut sums) = (vec![], vec![], vec![], vec![]);
    for c in 0..channels.count {
        let zp_w = channels.zero_point[c];
        let fixed = FixedPoint::new(xq.scale[0] as f64 * channels.unit[c] / yq.scale[0] as f64)?;
        let terms: Vec<i64> = values[c * taps..(c + 1) * taps]
            .iter()
            .enumerate()
            .map(|(k, &w)| channels.factor(c, k) * (w as i64 - zp_w))
            .collect();
        // sum (x - zp_x)(w - zp_w) = sum x*w - zp_w * sum x - zp_x * sum (w - zp_w)
        let folded = bias[c] - zp_x * terms.iter().sum::<i64>();
        let (mut low, mut high) = (folded, folded);
        for w in terms {
            low += (w * high_x as i64).min(w * low_x as i64);
            high += (w * high_x as i64).max(w * low_x as i64);
        }
        sums.push((low.min(folded), high.max(folded)));
        biases.push(folded);
        multipliers.push(fixed.multiplier);
        shifts.push(fixed.shift);
    }
    let int4 = weights.elem() == ElemType::I4;
    let check = |bits: u32| {
        let mut all = sums.iter().zip(&shifts).enumerate();
        all.try_for_each(|(c, (sum, shift))| check_accumulator(c, *sum, *shift, bits))
    };
    let form = match (int4, check(32)) {
        (true, result) if !T::WIDE => result.map(|()| Form::Int4)?,
        (true, _) => check(64).map(|()| Form::Int4)?,
        (false, Err(_)) if T::WIDE => check(64).map(|()| Form::Wide)?,
        (false, result) => result.map(|()| Form::Narrow)?,
    };
    if shifts.iter().all(|&s| s == 0) {
        shifts.clear();
    }
    let bias = match T::WIDE && form != Form::Narrow {
        true => ConstData::I64(biases),
        false => ConstData::I32(biases.iter().map(|&b| b as i32).collect()),
    };
    let packed = if int4 { ConstData::U8(channels.pack(&values)) } else { ConstData::I8(values) };
    let mut consts = vec![
        b.table("weights", packed),
        b.table("bias", bias),
        b.table("multiplier", ConstData::I32(multipliers)),
        b.table("shift", ConstData::U8(shifts)),
    ];
    if int4 {
        consts.push(b.table("groups", ConstData::U16(channels.groups.iter().map(|&n| n as u16).collect())));
        consts.push(b.table("factor", ConstData::U8(channels.factors)));
    } else {
        let mut zero_points: Vec<i8> = channels.zero_point.iter().map(|&z| z as i8).collect();
        if zero_points.iter().all(|&z| z == 0) {
            zero_points.clear();
        }
        consts.push(b.table("weight_zero_point", ConstData::I8(zero_points)));
    }
    let quant = LayerQuant {
        input_zero_point: T::narrow(xq.zero_point[0]),
        output_zero_point: T::narrow(yq.zero_point[0]),
        output: yq,
        form,
    };
    Ok((consts, quant))
}
