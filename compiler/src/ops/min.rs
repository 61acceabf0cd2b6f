//! Min: the smallest of its inputs, on integers that say shapes.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// The smallest of its inputs, broadcasting.
#[derive(Debug, Clone, PartialEq)]
pub struct Min;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Min, ctx.node))
}

impl Operator for Min {
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
        Export::node("Min", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let value = shared::host(b, |v| v.iter().copied().min())?;
        b.bind_constant(0, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{folded, list};
    use super::*;

    #[test]
    fn the_smallest() {
        assert_eq!(folded(Min, &[list(&[1, 9]), list(&[5]), list(&[4, 4])]), (vec![2], vec![1, 4]));
    }
}
