//! Mul: `a * b`, broadcasting; a fused clamp.

use super::shared::{self, Binary, Clamp};
use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// `a * b`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Mul {
    /// Fused Relu or Clip.
    pub clamp: Clamp,
}

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Mul::default(), ctx.node))
}

impl Operator for Mul {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        shared::infer_binary(inputs)
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::activations(OutputRole::Calibrate)
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::lower_binary(b, Binary::Mul, self.clamp)
    }
}
