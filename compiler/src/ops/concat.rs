//! Concat: inputs one after the other along an axis.

use super::shared::{self, no_kernel};
use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::program::View;
use crate::tensor::{ElemType, Tensor, TensorType};

/// Inputs one after the other along an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Concat {
    /// The axis.
    pub axis: i64,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let axis = ctx.node.attributes.int("axis")?;
    let axis = axis.ok_or_else(|| Diagnostic::new("E0206", "attribute `axis` is missing"))?;
    Ok(Fragment::single(Concat { axis }, ctx.node))
}

impl Operator for Concat {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let first = inputs.required(0, "inputs")?.ty;
        let axis = shared::axis(self.axis, first.shape.len())?;
        let mut shape = first.shape.clone();
        for (i, input) in inputs.iter().enumerate().skip(1) {
            let same_rank = input.ty.shape.len() == shape.len() && input.ty.elem == first.elem;
            if !same_rank || (0..shape.len()).any(|a| a != axis && input.ty.shape[a] != shape[a]) {
                return Err(Diagnostic::new("E0202", format!("input {i} does not fit input 0 along axis {axis}"))
                    .help("all inputs need one element type, and the same extents on every other axis"));
            }
            shape[axis] += input.ty.shape[axis];
        }
        Ok(vec![TensorType::new(first.elem, shape)])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::activations(OutputRole::Calibrate)
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let Some(rank) = inputs.get(0).map(|x| x.ty.shape.len()) else { return AxisMap::default() };
        let axis = shared::axis(self.axis, rank).unwrap_or(0);
        let all = |a: usize| (0..inputs.len()).map(|i| (i, a)).collect();
        AxisMap((0..rank).map(|a| if a == axis { vec![] } else { all(a) }).collect())
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let ty = b.output_ty(0);
        let axis = shared::axis(self.axis, ty.shape.len())?;
        let constants: Option<Vec<Tensor>> = (0..b.inputs()).map(|i| b.constant(i)).collect();
        if let Some(constants) = constants {
            b.bind_constant(0, join(&constants, axis, &ty)?);
            return Ok(());
        }
        let views = (0..b.inputs()).map(|i| b.view(i)).collect::<Result<Vec<_>, _>>()?;
        let to = b.allocate(0);
        let mut start = 0;
        for (i, view) in views.iter().enumerate() {
            let part = to.slice(axis, start, view.shape[axis], 1);
            start += view.shape[axis];
            place(b, i, view, &part)?;
        }
        Ok(())
    }
}

/// Copies an input into its part of the output, to the output's scale where that differs.
fn place(b: &mut Lowering, i: usize, from: &View, to: &View) -> Result<(), Diagnostic> {
    if from.elem != ElemType::I8 || b.qparams(i).is_err() {
        return b.copy(from, to);
    }
    let (x, y) = (b.qparams(i)?, b.output_qparams(0)?);
    shared::rescale(b, from, to, &x, &y)
}

/// Joins constants of any element type.
fn join(parts: &[Tensor], axis: usize, ty: &TensorType) -> Result<Tensor, Diagnostic> {
    if parts.iter().any(|p| p.elem() != ty.elem) {
        return Err(no_kernel(ty.elem, ty));
    }
    let outer: usize = ty.shape[..axis].iter().product();
    let mut bytes = Vec::with_capacity(ty.elements() * ty.elem.size());
    for o in 0..outer {
        for part in parts {
            let run = part.bytes().len() / outer.max(1);
            bytes.extend_from_slice(&part.bytes()[o * run..(o + 1) * run]);
        }
    }
    Tensor::new(ty.clone(), bytes)
}
