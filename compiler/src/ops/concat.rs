//! Concat: inputs one after the other along an axis.

use super::shared::{self, Clamp, no_kernel};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
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
    let axis = axis.ok_or_else(|| Diagnostic::new("E0206", "attribute `axis` is missing").help("the file is damaged: export it again"))?;
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

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Concat", inputs).int("axis", self.axis)
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
    if !matches!(from.elem, ElemType::I8 | ElemType::I16) || b.qparams(i).is_err() {
        return b.copy(from, to);
    }
    let (x, y) = (b.qparams(i)?, b.output_qparams(0)?);
    shared::rescale(b, from, to, (&x, &y), Clamp::NONE)
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

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, error, floats, folded, imported, input, value};
    use super::*;
    use crate::tensor::QParams;

    #[test]
    fn joins_along_any_axis() {
        let (a, b) = (count(&[2, 1]), constant(Tensor::from_f32(&[2, 2], &[5.0, 6.0, 7.0, 8.0])));
        let y = floats(Concat { axis: -1 }, &[a, b.clone()]);
        assert_eq!(y, (vec![2, 3], vec![0.0, 5.0, 6.0, 1.0, 7.0, 8.0]));
        let y = floats(Concat { axis: 0 }, &[count(&[1, 2]), b]);
        assert_eq!(y, (vec![3, 2], vec![0.0, 1.0, 5.0, 6.0, 7.0, 8.0]));
        let y = folded(Concat { axis: 1 }, &[constant(Tensor::from_i64(&[2, 1], &[1, 2])), constant(Tensor::from_i64(&[2, 1], &[3, 4]))]);
        assert_eq!(y, (vec![2, 2], vec![1, 3, 2, 4]));
    }

    #[test]
    fn int8_inputs_take_the_scale_of_the_output() {
        let (a, b) = (Tensor::from_i8(&[2], &[1, 2]), Tensor::from_i8(&[2], &[10, -100]));
        let operands = [input(a).q(0.5, 0), input(b).q(1.0, 1)];
        let y = value(Concat { axis: 0 }, &operands, Some(QParams::per_tensor(0.5, 0)));
        assert_eq!(y.to_i64s(), [1, 2, 18, -128]);
    }

    #[test]
    fn errors() {
        let op = || Concat { axis: 1 };
        insta::assert_snapshot!(error(op(), &[count(&[2, 1]), count(&[3, 1])]), @r"
        error[E0202]: input 1 does not fit input 0 along axis 1
          --> node `op` (Concat)
           | `x0`  f32[2, 1]
           | `x1`  f32[3, 1]
           = help: all inputs need one element type, and the same extents on every other axis
        ");
        insta::assert_snapshot!(error(op(), &[count(&[2])]), @r"
        error[E0205]: axis 1 does not exist in a value of rank 1
          --> node `op` (Concat)
           | `x0`  f32[2]
           = help: its axes are 0 to 0, or -1 to -1 counted from the end
        ");
        insta::assert_snapshot!(imported(("Concat", 13), (2, 1), &[]).unwrap_err(), @r"
        error[E0206]: attribute `axis` is missing
           = help: the file is damaged: export it again
        ");
    }
}
