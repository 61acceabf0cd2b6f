//! Div: `a / b`, broadcasting.

use super::shared::{self, Binary, Clamp};
use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// `a / b`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Div;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Div, ctx.node))
}

impl Operator for Div {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        shared::infer_binary(inputs)
    }

    fn quantize(&self) -> QuantRule {
        // A quotient of two int8 values has no fixed-point form.
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::lower_binary(b, Binary::Div, Clamp::NONE)
    }
}
