//! HardSwish: `x * clamp(x / 6 + 0.5, 0, 1)`.

use super::shared;
use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::tensor::TensorType;
use kiln_runtime_core::{self as rt, math};

/// `x * clamp(x / 6 + 0.5, 0, 1)`.
#[derive(Debug, Clone, PartialEq)]
pub struct HardSwish;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(HardSwish, ctx.node))
}

impl Operator for HardSwish {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        Ok(vec![inputs.required(0, "X")?.ty.clone()])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::activations(OutputRole::Calibrate)
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::unary(b, math::hard_swish, |i| {
            Some(Kernel::HardSwishF32(rt::HardSwishF32 { input: i[0], output: i[1] }))
        })
    }
}
