//! What QuantizeLinear and DequantizeLinear share: scales and zero points from their inputs, per tensor or along an axis.

use super::super::{Args, Lowering};
use super::axis as axis_index;
use crate::diag::Diagnostic;
use crate::onnx::Attributes;
use crate::program::View;
use crate::tensor::TensorType;

/// Reads `axis`; refuses scales for blocks of an axis.
///
/// # Errors
/// `E0206` for blocks.
pub fn quantization_axis(a: &Attributes) -> Result<i64, Diagnostic> {
    if a.int("block_size")?.unwrap_or(0) != 0 {
        return Err(Diagnostic::new("E0206", "blocked quantization is not supported")
            .help("quantize per tensor or per channel"));
    }
    Ok(a.int("axis")?.unwrap_or(1))
}

/// Checks that input 1 holds one scale, or one for each index of `axis`, and input 2 as many zero points.
///
/// # Errors
/// `E0202` when they do not, `E0205` for an axis that does not exist.
pub fn check_scales(inputs: &Args, axis: i64) -> Result<(), Diagnostic> {
    let (x, scale) = (inputs.required(0, "x")?.ty, inputs.required(1, "scale")?.ty);
    let fail = |what: String| Err(Diagnostic::new("E0202", what));
    if scale.elements() != 1 {
        let extent = x.shape[axis_index(axis, x.shape.len())?];
        if scale.shape != [extent] {
            return fail(format!("axis {axis} has {extent} indices, there are {} scales", scale.elements()));
        }
    }
    match inputs.get(2) {
        Some(zero_point) if zero_point.ty.elements() != scale.elements() => {
            fail("there must be one zero point for each scale".to_string())
        }
        _ => Ok(()),
    }
}

/// Constant scales and zero points.
#[derive(Debug)]
pub struct Scales {
    /// Scales.
    pub scale: Vec<f32>,
    /// As many zero points.
    pub zero_point: Vec<i32>,
    /// The axis that they belong to, for more than one.
    pub axis: usize,
}

impl Scales {
    /// Those of the node.
    ///
    /// # Errors
    /// `E0301` when they are computed at run time.
    pub fn of(b: &Lowering, axis: i64, ty: &TensorType) -> Result<Scales, Diagnostic> {
        let scale = b.require_constant(1, "scale")?.to_f32s();
        let zero_point = match b.has(2) {
            true => b.require_constant(2, "zero_point")?.to_i32s(),
            false => vec![0; scale.len()],
        };
        let axis = if scale.len() == 1 { 0 } else { axis_index(axis, ty.shape.len())? };
        Ok(Scales { scale, zero_point, axis })
    }

    /// For each element in row-major order, the index of its scale.
    pub fn indices<'a>(&'a self, shape: &'a [usize]) -> impl Iterator<Item = usize> + 'a {
        let inner: usize = shape.iter().skip(self.axis + 1).product();
        let n = self.scale.len();
        (0..shape.iter().product()).map(move |i| if n == 1 { 0 } else { i / inner % n })
    }

    /// The parts of a view that have one scale, with that scale and zero point.
    pub fn parts(&self, view: &View) -> Vec<(View, f32, i32)> {
        let part =
            |i: usize| if self.scale.len() == 1 { view.clone() } else { view.slice(self.axis, i, 1, 1) };
        (0..self.scale.len()).map(|i| (part(i), self.scale[i], self.zero_point[i])).collect()
    }
}
