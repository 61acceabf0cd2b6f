//! Expand: broadcasting to a shape, a view.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::{TensorType};

/// Broadcasts input 0 to the shape of input 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Expand;

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Expand, ctx.node))
}

impl Operator for Expand {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "input")?.ty;
        inputs.required(1, "shape")?;
        let asked = inputs.integers(1, "shape")?.unwrap_or_default();
        let asked: Vec<usize> = asked.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
        Ok(vec![shared::sized(TensorType::new(x.elem, shared::broadcast(&x.shape, &asked)?))?])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::moves()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Expand", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let shape = b.output_ty(0).shape;
        let view = b.view(0)?.broadcast(&shape);
        b.bind(0, view);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{count, error, floats, folded, list};
    use super::*;

    #[test]
    fn repeats() {
        let y = floats(Expand, &[count(&[2, 1]), list(&[2, 1, 3])]);
        assert_eq!(y, (vec![2, 2, 3], [0.0, 0.0, 0.0, 1.0, 1.0, 1.0].repeat(2)));
        assert_eq!(folded(Expand, &[list(&[4]), list(&[2])]), (vec![2], vec![4, 4]));
        assert_eq!(floats(Expand, &[count(&[1, 2]), list(&[1])]).0, [1, 2]);
        insta::assert_snapshot!(error(Expand, &[count(&[2]), list(&[3])]), @r"
        error[E0202]: shapes do not broadcast: axis 0 is 2 and 3
          --> node `op` (Expand)
           | `x0`  f32[2]
           | `x1`  i64[1]
           = help: extents must be equal, or one of them 1
        ");
        insta::assert_snapshot!(error(Expand, &[count(&[1]), list(&[1 << 40])]), @r"
        error[E0202]: a value of shape [1099511627776] is too large
          --> node `op` (Expand)
           | `x0`  f32[1]
           | `x1`  i64[1]
           = help: the model computes a shape that cannot be meant; check what it is computed from
        ");
    }
}
