//! Max: the largest of its inputs, on integers that say shapes.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// The largest of its inputs, broadcasting.
#[derive(Debug, Clone, PartialEq)]
pub struct Max;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Max, ctx.node))
}

impl Operator for Max {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        shared::infer_variadic(inputs)
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Max", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let value = shared::host(b, |v| v.iter().copied().max())?;
        b.bind_constant(0, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{folded, list};
    use super::*;

    #[test]
    fn the_largest() {
        assert_eq!(folded(Max, &[list(&[1, 9]), list(&[5]), list(&[4, 4])]), (vec![2], vec![5, 9]));
    }
}
