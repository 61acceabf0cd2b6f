//! Relu: `max(x, 0)`.

use super::shared::{self, Clamp};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// `max(x, 0)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Relu;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Relu, ctx.node))
}

impl Operator for Relu {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        Ok(vec![inputs.required(0, "X")?.ty.clone()])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::activations(OutputRole::Calibrate)
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Relu", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::clamp(b, Clamp::RELU)
    }
}
