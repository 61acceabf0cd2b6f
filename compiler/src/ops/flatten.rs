//! Flatten: to two axes.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// Axes before `axis` become the first, the others the second.
#[derive(Debug, Clone, PartialEq)]
pub struct Flatten {
    /// Where to cut.
    pub axis: i64,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Flatten { axis: ctx.node.attributes.int("axis")?.unwrap_or(1) }, ctx.node))
}

impl Operator for Flatten {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "input")?.ty;
        let rank = x.shape.len();
        let axis = if self.axis == rank as i64 { rank } else { shared::axis(self.axis, rank)? };
        let (rows, cols) = x.shape.split_at(axis);
        Ok(vec![TensorType::new(x.elem, [rows.iter().product::<usize>(), cols.iter().product()])])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::moves()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Flatten", inputs).int("axis", self.axis)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::reshape(b)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{count, error, floats};
    use super::*;

    #[test]
    fn cuts_anywhere() {
        let shape = |axis| floats(Flatten { axis }, &[count(&[2, 3, 4])]).0;
        assert_eq!([0, 1, 2, 3, -1].map(shape), [[1, 24], [2, 12], [6, 4], [24, 1], [6, 4]]);
        insta::assert_snapshot!(error(Flatten { axis: 4 }, &[count(&[2, 3])]), @r"
        error[E0205]: axis 4 does not exist in a value of rank 2
          --> node `op` (Flatten)
           | `x0`  f32[2, 3]
           = help: its axes are 0 to 1, or -2 to -1 counted from the end
        ");
    }
}
