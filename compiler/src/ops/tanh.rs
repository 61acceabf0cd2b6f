//! Tanh: `tanh(x)`.

use super::shared;
use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::tensor::TensorType;
use kiln_runtime_core::{self as rt, math};

/// `tanh(x)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tanh;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Tanh, ctx.node))
}

impl Operator for Tanh {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        Ok(vec![inputs.required(0, "X")?.ty.clone()])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::activations(OutputRole::Fixed { scale: 1.0 / 128.0, zero_point: 0 })
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::unary(b, math::tanh, |i| {
            Some(Kernel::TanhF32(rt::TanhF32 { input: i[0], output: i[1] }))
        })
    }
}
