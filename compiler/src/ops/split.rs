//! Split: parts of an axis as outputs, each a view.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Op, Operator, QuantRule, Wire};
use crate::diag::Diagnostic;
use crate::tensor::{Tensor, TensorType};

/// Parts of an axis: of the sizes of input 1, or `parts` equal ones (the last may be smaller).
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// The axis.
    pub axis: i64,
    /// Number of outputs.
    pub parts: usize,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    let parts = ctx.node.outputs.len();
    let split = Split { axis: a.int("axis")?.unwrap_or(0), parts };
    // Until opset 12 the sizes are an attribute; they become a constant input.
    let sizes = match a.ints("split")? {
        Some(sizes) => Wire::Const(Tensor::from_i64(&[sizes.len()], &sizes)),
        None => Wire::Input(1),
    };
    let nodes = vec![(Op::from(split), vec![Wire::Input(0), sizes], parts)];
    Ok(Fragment { nodes, outputs: (0..parts).map(|o| Wire::Node(0, o)).collect() })
}

impl Split {
    fn sizes(&self, inputs: &Args) -> Result<(usize, Vec<usize>), Diagnostic> {
        let x = inputs.required(0, "input")?.ty;
        let axis = shared::axis(self.axis, x.shape.len())?;
        let extent = x.shape[axis];
        let sizes: Vec<i64> = match inputs.integers(1, "split")? {
            Some(sizes) => sizes,
            None => {
                let size = extent.div_ceil(self.parts.max(1));
                (0..self.parts).map(|i| size.min(extent.saturating_sub(i * size)) as i64).collect()
            }
        };
        let all: Option<Vec<usize>> = sizes.iter().map(|&s| usize::try_from(s).ok()).collect();
        let total = |all: &[usize]| all.iter().fold(0usize, |t, &s| t.saturating_add(s));
        let fitting = all.filter(|all| all.len() == self.parts && total(all) == extent);
        let sizes = fitting.ok_or_else(|| {
            Diagnostic::new("E0202", format!("parts {sizes:?} do not make up axis {axis}"))
                .fact("extent", extent)
                .fact("outputs", self.parts)
                .help("one size for each output, together the extent of the axis")
        })?;
        Ok((axis, sizes))
    }
}

impl Operator for Split {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "input")?.ty;
        let (axis, sizes) = self.sizes(inputs)?;
        let part = |size| {
            let mut ty = x.clone();
            ty.shape[axis] = size;
            ty
        };
        Ok(sizes.into_iter().map(part).collect())
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::moves()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let Some(rank) = inputs.get(0).map(|x| x.ty.shape.len()) else { return AxisMap::default() };
        let axis = shared::axis(self.axis, rank).unwrap_or(0);
        AxisMap((0..rank).map(|a| if a == axis { vec![] } else { vec![(0, a)] }).collect())
    }

    fn export(&self, inputs: &Args) -> Export {
        let export = Export::node("Split", inputs).int("axis", self.axis).outputs(self.parts);
        if inputs.get(1).is_some() { export } else { export.int("num_outputs", self.parts as i64) }
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let (axis, sizes) = b.with_args(|args| self.sizes(args))?;
        let view = b.view(0)?;
        let mut start = 0;
        for (o, size) in sizes.into_iter().enumerate() {
            b.bind(o, view.slice(axis, start, size, 1));
            start += size;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Operand, count, error, folded, imported, list, run};
    use super::*;
    use crate::onnx::Attribute;

    #[test]
    fn parts_of_given_or_equal_sizes() {
        let parts = |op, operands: &[Operand]| -> Vec<_> {
            run(op, operands, None).unwrap().iter().map(|t| t.to_f32s()).collect()
        };
        let two = |axis| Split { axis, parts: 2 };
        assert_eq!(parts(two(-1), &[count(&[2, 3])]), [vec![0.0, 1.0, 3.0, 4.0], vec![2.0, 5.0]]);
        assert_eq!(parts(two(0), &[count(&[3]), list(&[1, 2])]), [vec![0.0], vec![1.0, 2.0]]);
        assert_eq!(folded(two(0), &[list(&[8, 9])]), (vec![1], vec![8]));
        let f = imported(("Split", 11), (1, 2), &[("split", Attribute::Ints(vec![1, 2]))]).unwrap();
        let sizes = Wire::Const(Tensor::from_i64(&[2], &[1, 2]));
        assert_eq!(f.nodes, [(two(0).into(), vec![Wire::Input(0), sizes], 2)]);
        insta::assert_snapshot!(error(two(0), &[count(&[3]), list(&[1, 1])]), @r"
        error[E0202]: parts [1, 1] do not make up axis 0
          --> node `op` (Split)
           | extent   3
           | outputs  2
           | `x0`     f32[3]
           | `x1`     i64[2]
           = help: one size for each output, together the extent of the axis
        ");
        insta::assert_snapshot!(error(two(0), &[count(&[3]), list(&[-1, 4])]), @r"
        error[E0202]: parts [-1, 4] do not make up axis 0
          --> node `op` (Split)
           | extent   3
           | outputs  2
           | `x0`     f32[3]
           | `x1`     i64[2]
           = help: one size for each output, together the extent of the axis
        ");
    }
}
