//! Products of matrices: with constant weights (a dense layer), and of two activations.

use super::super::Lowering;
use super::{
    Clamp, FixedPoint, Integer, blocked_scales, check_accumulator, filter, filter_f32_with, no_kernel,
};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::program::{View, image};
use crate::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core::{self as rt, Image};

/// The constant part of a dense layer.
#[derive(Debug)]
pub struct Dense {
    /// Weights, `[outputs, inputs]`.
    pub weights: Tensor,
    /// Biases, one for each output; integer layers take integers in units of `scale_x * scale_w`.
    pub bias: Vec<f64>,
    /// Fused Relu or Clip.
    pub clamp: Clamp,
    /// Scales of the single weights, in their shape, where their quantization has blocks.
    pub scales: Option<Tensor>,
}

/// Emits `to[.., n] = clamp(bias[n] + sum(from[.., k] * weights[n, k]))`. Quantization is that of inputs 0 and 1 and of
/// output 0.
///
/// # Errors
/// `E0302` to `E0306`: no scales, no kernel, scales or sums that do not fit.
pub fn dense(b: &mut Lowering, from: &View, to: &View, layer: &Dense) -> Result<(), Diagnostic> {
    let (outputs, inputs) = (layer.weights.shape()[0], layer.weights.shape()[1]);
    let rows = from.elements() / inputs.max(1);
    // The kernel wants the features of a row one after the other.
    let flat = match from.reshape(&[rows, inputs]).filter(|v| v.strides[1] == 1 || inputs == 1) {
        Some(view) => view,
        None => View { shape: vec![rows, inputs], strides: vec![inputs, 1], ..b.contiguous(from)? },
    };
    let target = View::new(to.buffer, to.elem, &[rows, outputs]);
    let (input, output) = (matrix(&flat, flat.offset), matrix(&target, to.offset));
    match from.elem {
        ElemType::F32 => {
            let bias = layer.bias.iter().map(|&b| b as f32).collect();
            let consts = filter_f32_with(b, &layer.weights, bias);
            let (min, max) = layer.clamp.f32_bounds();
            let params = rt::FullyConnectedF32 { input, output, min, max };
            b.step(Kernel::FullyConnectedF32(params), &[&flat], &[to], consts);
        }
        ElemType::I8 => integer::<i8>(b, (&flat, input), (to, output), layer)?,
        ElemType::I16 => integer::<i16>(b, (&flat, input), (to, output), layer)?,
        elem => return Err(no_kernel(elem, &b.ty(0)?)),
    }
    Ok(())
}

/// The scales of the single weights of a dense layer as `[outputs, inputs]`, where input 1 is quantized by blocks; `transposed`
/// says whether it has that shape already.
///
/// # Errors
/// `E0302` when activations are integers and the weights have no scale.
pub fn dense_scales(b: &Lowering, transposed: bool) -> Result<Option<Tensor>, Diagnostic> {
    if b.ty(0)?.elem == ElemType::F32 {
        return Ok(None);
    }
    let scales = blocked_scales(b)?;
    Ok(scales.map(|s| if transposed { s } else { s.transpose(&[1, 0]) }))
}

/// [`dense`] on integers of type `T`.
fn integer<T: Integer>(
    b: &mut Lowering,
    (flat, input): (&View, Image),
    (to, output): (&View, Image),
    layer: &Dense,
) -> Result<(), Diagnostic> {
    let bias = layer.bias.iter().map(|&b| b as i64).collect();
    let scales = layer.scales.as_ref().map(|s| s.to_f32s());
    let (consts, q) = filter::<T>(b, &layer.weights, scales.as_deref(), 0, bias)?;
    let (min, max) = layer.clamp.bounds::<T>(&q.output);
    let output_zero_point = q.output_zero_point;
    let kernel = T::dense(rt::FullyConnected { input, output, output_zero_point, min, max }, q.form);
    b.step(kernel, &[flat], &[to], consts);
    Ok(())
}

/// Emits `to = a * b` for matrices `a[.., m, k]` and `b[.., k, n]`; leading axes broadcast, and each matrix of the batch is
/// one call. Quantization is that of inputs 0 and 1 and of output 0.
///
/// # Errors
/// As [`dense`].
pub fn matmul(b: &mut Lowering, lhs: &View, rhs: &View, to: &View) -> Result<(), Diagnostic> {
    let kernel: MakeProduct = match lhs.elem {
        ElemType::F32 => Box::new(|[a, b, output]| {
            Kernel::MatMulF32(rt::MatMulF32 { a, b, output, min: f32::MIN, max: f32::MAX })
        }),
        ElemType::I8 => product::<i8>(b, lhs.shape[lhs.shape.len() - 1])?,
        ElemType::I16 => product::<i16>(b, lhs.shape[lhs.shape.len() - 1])?,
        elem => return Err(no_kernel(elem, &b.ty(0)?)),
    };
    for images in matrices(lhs, rhs, to) {
        b.step(kernel(images), &[lhs, rhs], &[to], vec![]);
    }
    Ok(())
}

/// Left, right and output matrix of each product of a batch; leading axes of the operands broadcast to those of `to`.
pub fn matrices(lhs: &View, rhs: &View, to: &View) -> Vec<[Image; 3]> {
    let batch = &to.shape[..to.shape.len() - 2];
    let broadcast = |v: &View| {
        let mut shape = batch.to_vec();
        shape.extend(&v.shape[v.shape.len() - 2..]);
        v.broadcast(&shape)
    };
    let (lhs, rhs) = (broadcast(lhs), broadcast(rhs));
    let offsets = |v: &View| {
        let axes = batch.iter().zip(&v.strides);
        axes.fold(vec![v.offset], |at, (&extent, stride)| {
            at.iter().flat_map(|o| (0..extent).map(move |i| o + i * stride)).collect()
        })
    };
    let all = offsets(&lhs).into_iter().zip(offsets(&rhs)).zip(offsets(to));
    all.map(|((a, w), o)| [matrix(&lhs, a), matrix(&rhs, w), matrix(to, o)]).collect()
}

/// The kernel call for the images of both operands and the output.
type MakeProduct = Box<dyn Fn([Image; 3]) -> Kernel>;

/// The kernel of a product of integer matrices with `k` terms in each sum.
fn product<T: Integer>(b: &Lowering, k: usize) -> Result<MakeProduct, Diagnostic> {
    let (qa, qb, qy) = (b.qparams(0)?, b.qparams(1)?, b.output_qparams(0)?);
    if !qa.is_per_tensor() || !qb.is_per_tensor() {
        return Err(Diagnostic::new("E0302", "a product of activations needs one scale for each operand")
            .help("quantize both operands per tensor"));
    }
    let real = qa.scale[0] as f64 * qb.scale[0] as f64 / qy.scale[0] as f64;
    let FixedPoint { multiplier, shift } = FixedPoint::new(real)?;
    // a - zp_a and b - zp_b lie within the width of the type in either direction.
    let (low, high) = T::ELEM.bounds();
    let width = (high - low) as i64;
    let bound = k as i64 * width * width;
    check_accumulator(0, (-bound, bound), shift, if T::WIDE { 64 } else { 32 })?;
    let points = [qa, qb, qy].map(|q| T::narrow(q.zero_point[0]));
    let (min, max) = T::bounds();
    Ok(Box::new(move |[a, b, output]| {
        let [a_zero_point, b_zero_point, output_zero_point] = points;
        T::matmul(rt::MatMul {
            a,
            b,
            output,
            a_zero_point,
            b_zero_point,
            output_zero_point,
            multiplier,
            shift,
            min,
            max,
        })
    }))
}

/// Checks that both operands hold the same element type, or integers of different widths, as int8 weights of int16
/// activations.
///
/// # Errors
/// `E0202` when they do not.
pub fn same_elem(a: &TensorType, b: &TensorType) -> Result<(), Diagnostic> {
    let narrow = |ty: &TensorType| matches!(ty.elem, ElemType::I4 | ElemType::I8 | ElemType::I16);
    if a.elem == b.elem || (narrow(a) && narrow(b)) {
        return Ok(());
    }
    Err(Diagnostic::new("E0202", format!("element types differ: {} and {}", a.elem, b.elem))
        .help("ONNX operators take operands of one type; insert a Cast"))
}

/// The last two axes as an image: rows, and channels.
fn matrix(view: &View, offset: usize) -> Image {
    let rank = view.shape.len();
    let axis = |i: usize| (view.shape[i], view.strides[i]);
    image(offset, axis(rank - 2), (1, 0), axis(rank - 1))
}
