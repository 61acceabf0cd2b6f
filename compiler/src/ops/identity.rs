//! Identity: the value itself.

use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Operator, QuantRule};
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
