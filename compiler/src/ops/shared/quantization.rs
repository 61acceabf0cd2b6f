//! What QuantizeLinear and DequantizeLinear share: scales and zero points from their inputs, per tensor or along an axis.

use super::super::{Args, Lowering};
use super::axis as axis_index;
use crate::diag::Diagnostic;
use crate::onnx::Attributes;
use crate::program::View;
use crate::tensor::{QParams, TensorType};

/// Reads `axis` and `block_size`, 0 for no blocks.
///
/// # Errors
/// `E0206` for a negative block size.
pub fn quantization_axis(a: &Attributes) -> Result<(i64, usize), Diagnostic> {
    let size = a.int("block_size")?.unwrap_or(0);
    let block = usize::try_from(size).map_err(|_| {
        Diagnostic::new("E0206", format!("attribute `block_size` is {size}"))
            .help("a block has as many indices of the axis as share a scale; 0 stands for no blocks")
    })?;
    Ok((a.int("axis")?.unwrap_or(1), block))
}

/// Checks that input 1 holds one scale, one for each index of `axis`, or one for each of its blocks, and input 2 as many zero points.
///
/// # Errors
/// `E0202` when they do not, `E0205` for an axis that does not exist.
pub fn check_scales(inputs: &Args, axis: i64, block: usize) -> Result<(), Diagnostic> {
    let (x, scale) = (inputs.required(0, "x")?.ty, inputs.required(1, "scale")?.ty);
    let fail = |what: String| Err(Diagnostic::new("E0202", what));
    if block != 0 {
        let mut expected = x.shape.clone();
        let axis = axis_index(axis, x.shape.len())?;
        expected[axis] = expected[axis].div_ceil(block);
        if scale.shape != expected {
            let scales = format!("blocks of {block} along axis {axis} need scales of shape {expected:?}");
            return fail(format!("{scales}, there are {:?}", scale.shape));
        }
    } else if scale.elements() != 1 {
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
    /// Indices of the axis that share a scale; 0 for one.
    pub block: usize,
}

impl Scales {
    /// Those of the node.
    ///
    /// # Errors
    /// `E0301` when they are computed at run time.
    pub fn of(b: &Lowering, axis: i64, block: usize, ty: &TensorType) -> Result<Scales, Diagnostic> {
        let scale = b.require_constant(1, "scale")?.to_f32s();
        let zero_point = match b.has(2) {
            true => b.require_constant(2, "zero_point")?.to_i32s(),
            false => vec![0; scale.len()],
        };
        let axis = if scale.len() == 1 { 0 } else { axis_index(axis, ty.shape.len())? };
        Ok(Scales { scale, zero_point, axis, block })
    }

    /// For each element in row-major order, the index of its scale.
    pub fn indices(&self, shape: &[usize]) -> Vec<usize> {
        let (scale, zero_point) = (self.scale.clone(), self.zero_point.clone());
        QParams { scale, zero_point, axis: Some(self.axis), block: self.block }.indices(shape)
    }

    /// The parts of a view that have one scale, with that scale and zero point. Only without blocks.
    pub fn parts(&self, view: &View) -> Vec<(View, f32, i32)> {
        let part =
            |i: usize| if self.scale.len() == 1 { view.clone() } else { view.slice(self.axis, i, 1, 1) };
        (0..self.scale.len()).map(|i| (part(i), self.scale[i], self.zero_point[i])).collect()
    }
}
