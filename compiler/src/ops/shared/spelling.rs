//! The QOperator format: quantized operators spelt as DequantizeLinear, the operator, QuantizeLinear.

use super::super::{DequantizeLinear, Fragment, ImportContext, Mul, Op, QuantizeLinear, Transpose, Wire};
use super::Clamp;
use crate::diag::Diagnostic;
use crate::tensor::ElemType;

/// Whether the node has input `i`.
pub fn has_input(ctx: ImportContext, i: usize) -> bool {
    ctx.node.inputs.get(i).is_some_and(|name| !name.is_empty())
}

/// DequantizeLinear of the inputs `i`, `i + 1` (scale) and `i + 2` (zero point).
pub fn dequantize(f: &mut Fragment, i: usize, axis: i64) -> Wire {
    f.node(DequantizeLinear { axis, block: 0 }, (i..i + 3).map(Wire::Input).collect())
}

/// QuantizeLinear by the inputs `i` (scale) and `i + 1` (zero point), as the node's output.
///
/// # Errors
/// `E0203` without the zero point, which says the type of the output.
pub fn quantize(f: &mut Fragment, ctx: ImportContext, real: Wire, i: usize) -> Result<(), Diagnostic> {
    for (i, name) in [(i, "y_scale"), (i + 1, "y_zero_point")] {
        if !has_input(ctx, i) {
            return Err(Diagnostic::new("E0203", format!("input {i} `{name}` is missing"))
                .help("state scale and zero point of the output, also where the zero point is 0"));
        }
    }
    let op = QuantizeLinear { axis: 1, elem: ElemType::U8 };
    let y = f.node(op, vec![real, Wire::Input(i), Wire::Input(i + 1)]);
    f.outputs = vec![y];
    Ok(())
}

/// A bias, input `i`, in units of the product of two scales.
pub fn dequantize_bias(f: &mut Fragment, i: usize, scales: [Wire; 2]) -> Wire {
    let scale = f.node(Mul { clamp: Clamp::NONE }, scales.into());
    f.node(DequantizeLinear { axis: -1, block: 0 }, vec![Wire::Input(i), scale, Wire::None])
}

/// An operator with one quantized input (0, 1, 2) and the output's parameters in inputs 3 and 4.
///
/// # Errors
/// As [`quantize`].
pub fn one_input(ctx: ImportContext, op: impl Into<Op>) -> Result<Fragment, Diagnostic> {
    let mut f = Fragment::default();
    let x = dequantize(&mut f, 0, 1);
    let y = f.node(op, vec![x]);
    quantize(&mut f, ctx, y, 3)?;
    Ok(f)
}

/// An operator with two quantized inputs (0 to 5) and the output's parameters in inputs 6 and 7.
///
/// # Errors
/// As [`quantize`].
pub fn two_inputs(ctx: ImportContext, op: impl Into<Op>) -> Result<Fragment, Diagnostic> {
    let mut f = Fragment::default();
    // Per-column scales of a matrix belong to its last axis.
    let (a, b) = (dequantize(&mut f, 0, -1), dequantize(&mut f, 3, -1));
    let y = f.node(op, vec![a, b]);
    quantize(&mut f, ctx, y, 6)?;
    Ok(f)
}

/// A pooling operator, which with `channels_last` stands between two transpositions of images of `axes` spatial axes.
///
/// # Errors
/// As [`quantize`].
pub fn pooling(ctx: ImportContext, op: impl Into<Op>, axes: usize) -> Result<Fragment, Diagnostic> {
    if ctx.node.attributes.int("channels_last")?.unwrap_or(0) == 0 {
        return one_input(ctx, op);
    }
    let last = axes + 1;
    let to_front: Vec<usize> = [0, last].into_iter().chain(1..last).collect();
    let to_back: Vec<usize> = [0].into_iter().chain(2..last + 1).chain([1]).collect();
    let mut f = Fragment::default();
    let x = dequantize(&mut f, 0, 1);
    let x = f.node(Transpose { perm: Some(to_front) }, vec![x]);
    let y = f.node(op, vec![x]);
    let y = f.node(Transpose { perm: Some(to_back) }, vec![y]);
    quantize(&mut f, ctx, y, 3)?;
    Ok(f)
}
