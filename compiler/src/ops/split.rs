//! Split: parts of an axis as outputs, each a view.

use super::shared;
use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Op, Operator, QuantRule, Wire};
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
        let sizes: Vec<usize> = match inputs.integers(1, "split")? {
            Some(sizes) => sizes.iter().map(|&s| usize::try_from(s).unwrap_or(usize::MAX)).collect(),
            None => {
                let size = extent.div_ceil(self.parts.max(1));
                (0..self.parts).map(|i| size.min(extent.saturating_sub(i * size))).collect()
            }
        };
        let total = sizes.iter().fold(0usize, |t, &s| t.saturating_add(s));
        if sizes.len() != self.parts || total != extent {
            return Err(Diagnostic::new("E0202", format!("parts {sizes:?} do not make up axis {axis}"))
                .fact("extent", extent)
                .fact("outputs", self.parts));
        }
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
