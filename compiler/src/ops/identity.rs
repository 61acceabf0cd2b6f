//! Identity: the value itself.

use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// The value itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Identity, ctx.node))
}

impl Operator for Identity {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        Ok(vec![inputs.required(0, "input")?.ty.clone()])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::moves()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Identity", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        match b.constant(0) {
            Some(value) => b.bind_constant(0, value),
            None => {
                let view = b.view(0)?;
                b.bind(0, view);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{count, floats, folded, list};
    use super::*;

    #[test]
    fn stays_what_it_is() {
        assert_eq!(floats(Identity, &[count(&[2])]), (vec![2], vec![0.0, 1.0]));
        assert_eq!(folded(Identity, &[list(&[3])]), (vec![1], vec![3]));
    }
}
