//! Where: `condition ? x : y`, on integers that say shapes.

use super::shared::{self, broadcast, sized};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::{ElemType, TensorType};

/// `condition ? x : y`, broadcasting.
#[derive(Debug, Clone, PartialEq)]
pub struct Where;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Where, ctx.node))
}

impl Operator for Where {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let condition = inputs.required(0, "condition")?.ty;
        let (x, y) = (inputs.required(1, "X")?.ty, inputs.required(2, "Y")?.ty);
        if condition.elem != ElemType::Bool || x.elem != y.elem {
            return Err(Diagnostic::new("E0202", "Where needs a bool, and two values of one element type")
                .help("cast them at export"));
        }
        let shape = broadcast(&condition.shape, &broadcast(&x.shape, &y.shape)?)?;
        Ok(vec![sized(TensorType::new(x.elem, shape))?])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Where", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let value = shared::host(b, |v| Some(if v[0] != 0 { v[1] } else { v[2] }))?;
        b.bind_constant(0, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, error, folded, list};
    use super::*;
    use crate::tensor::Tensor;

    #[test]
    fn chooses_integers() {
        let condition = constant(Tensor::from_bool(&[2, 1], &[true, false]));
        let y = folded(Where, &[condition.clone(), list(&[1, 2]), list(&[7])]);
        assert_eq!(y, (vec![2, 2], vec![1, 2, 7, 7]));
        insta::assert_snapshot!(error(Where, &[list(&[1]), list(&[1]), list(&[7])]), @r"
        error[E0202]: Where needs a bool, and two values of one element type
          --> node `op` (Where)
           | `x0`  i64[1]
           | `x1`  i64[1]
           | `x2`  i64[1]
           = help: cast them at export
        ");
        insta::assert_snapshot!(error(Where, &[condition, count(&[1]), count(&[1])]), @r"
        error[E0304]: computed at compile time only, on integers that say shapes
          --> node `op` (Where)
           | input  f32[1]
           | `x0`   bool[2, 1]
           | `x1`   f32[1]
           | `x2`   f32[1]
           = help: export with static shapes, so that what it computes is constant
        ");
    }
}
