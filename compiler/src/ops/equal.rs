//! Equal: `a == b`, on integers that say shapes.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::{ElemType, TensorType};

/// `a == b`, broadcasting.
#[derive(Debug, Clone, PartialEq)]
pub struct Equal;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Equal, ctx.node))
}

impl Operator for Equal {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let mut types = shared::infer_binary(inputs)?;
        types.iter_mut().for_each(|ty| ty.elem = ElemType::Bool);
        Ok(types)
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Equal", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let value = shared::host(b, |v| Some((v[0] == v[1]) as i64))?;
        b.bind_constant(0, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{count, error, folded, list};
    use super::*;

    #[test]
    fn compares_integers() {
        assert_eq!(folded(Equal, &[list(&[1, -1, 3]), list(&[-1])]), (vec![3], vec![0, 1, 0]));
        insta::assert_snapshot!(error(Equal, &[count(&[2]), count(&[2])]), @r"
        error[E0304]: computed at compile time only, on integers that say shapes
          --> node `op` (Equal)
           | input  f32[2]
           | `x0`   f32[2]
           | `x1`   f32[2]
           = help: export with static shapes, so that what it computes is constant
        ");
    }
}
