//! Gather: indices of an axis, constant.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::{Tensor, TensorType};

/// The entries of an axis that input 1 names.
#[derive(Debug, Clone, PartialEq)]
pub struct Gather {
    /// The axis.
    pub axis: i64,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Gather { axis: ctx.node.attributes.int("axis")?.unwrap_or(0) }, ctx.node))
}

impl Gather {
    /// Axis, and the indices from the start.
    fn indices(&self, inputs: &Args) -> Result<(usize, Vec<usize>), Diagnostic> {
        let x = inputs.required(0, "data")?.ty;
        let axis = shared::axis(self.axis, x.shape.len())?;
        inputs.required(1, "indices")?;
        let indices = inputs.integers(1, "indices")?.unwrap_or_default();
        let indices = indices.iter().map(|&i| shared::axis(i, x.shape[axis]));
        let indices: Result<Vec<_>, _> = indices.collect();
        let indices = indices.map_err(|_| {
            Diagnostic::new("E0202", format!("an index lies outside of axis {axis}")).fact("extent", x.shape[axis]).help("indices lie below the extent; negative ones count from the end")
        })?;
        Ok((axis, indices))
    }
}

impl Operator for Gather {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let (x, i) = (inputs.required(0, "data")?.ty, inputs.required(1, "indices")?.ty);
        let axis = shared::axis(self.axis, x.shape.len())?;
        let shape = [&x.shape[..axis], &i.shape, &x.shape[axis + 1..]].concat();
        Ok(vec![TensorType::new(x.elem, shape)])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule { inputs: vec![InputRole::Activation, InputRole::Shape], output: OutputRole::SameAs(0) }
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Gather", inputs).int("axis", self.axis)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let (axis, indices) = b.with_args(|args| self.indices(args))?;
        let ty = b.output_ty(0);
        if let Some(value) = b.constant(0) {
            b.bind_constant(0, gather(&value, axis, &indices, &ty)?);
            return Ok(());
        }
        let from = b.view(0)?;
        // Neighbours, or one index, are a view.
        if !indices.is_empty() && indices.windows(2).all(|w| w[1] == w[0] + 1) {
            let part = from.slice(axis, indices[0], indices.len(), 1);
            if let Some(view) = part.reshape(&ty.shape) {
                b.bind(0, view);
                return Ok(());
            }
        }
        let to = b.allocate(0);
        let mut flat = from.shape.clone();
        flat[axis] = indices.len();
        let Some(flat) = to.reshape(&flat) else { return Ok(()) };
        for (at, &index) in indices.iter().enumerate() {
            b.copy(&from.slice(axis, index, 1, 1), &flat.slice(axis, at, 1, 1))?;
        }
        Ok(())
    }
}

fn gather(value: &Tensor, axis: usize, indices: &[usize], ty: &TensorType) -> Result<Tensor, Diagnostic> {
    let shape = value.shape();
    let outer: usize = shape[..axis].iter().product();
    let run = shape[axis + 1..].iter().product::<usize>() * value.elem().size();
    let mut bytes = Vec::with_capacity(outer * indices.len() * run);
    for o in 0..outer {
        for &index in indices {
            let at = (o * shape[axis] + index) * run;
            bytes.extend_from_slice(&value.bytes()[at..at + run]);
        }
    }
    Tensor::new(ty.clone(), bytes)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, error, floats, folded, input, list};
    use super::*;

    #[test]
    fn neighbours_and_others() {
        let y = |axis, shape: &[usize], indices: &[i64]| {
            let indices = constant(Tensor::from_i64(shape, indices));
            floats(Gather { axis }, &[count(&[2, 3]), indices])
        };
        assert_eq!(y(1, &[], &[-1]), (vec![2], vec![2.0, 5.0]));
        assert_eq!(y(1, &[2], &[1, 2]), (vec![2, 2], vec![1.0, 2.0, 4.0, 5.0]));
        assert_eq!(y(0, &[1, 3], &[1, 0, 1]).1, [3.0, 4.0, 5.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(y(-1, &[2, 1], &[2, 0]), (vec![2, 2, 1], vec![2.0, 0.0, 5.0, 3.0]));
        assert_eq!(folded(Gather { axis: 0 }, &[list(&[7, 8, 9]), list(&[-1, 0])]), (vec![2], vec![9, 7]));
    }

    #[test]
    fn errors() {
        let op = || Gather { axis: 0 };
        insta::assert_snapshot!(error(op(), &[count(&[2, 3]), list(&[2])]), @r"
        error[E0202]: an index lies outside of axis 0
          --> node `op` (Gather)
           | extent  2
           | `x0`    f32[2, 3]
           | `x1`    i64[1]
           = help: indices lie below the extent; negative ones count from the end
        ");
        insta::assert_snapshot!(error(op(), &[count(&[2]), input(Tensor::from_i64(&[1], &[0]))]), @r"
        error[E0204]: input 1 `indices` must be constant
          --> node `op` (Gather)
           | indices  i64[1]
           | `x0`     f32[2]
           | `x1`     i64[1]
           = help: export with static shapes, or fix the dynamic dimensions with `--shape NAME=1x3x96x96`
        ");
        insta::assert_snapshot!(error(Gather { axis: 2 }, &[count(&[2]), list(&[0])]), @r"
        error[E0205]: axis 2 does not exist in a value of rank 1
          --> node `op` (Gather)
           | `x0`  f32[2]
           | `x1`  i64[1]
           = help: its axes are 0 to 0, or -1 to -1 counted from the end
        ");
    }
}
