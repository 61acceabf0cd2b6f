//! HardSigmoid: `clamp(alpha * x + beta, 0, 1)`.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::tensor::TensorType;
use kiln_runtime_core::{self as rt, math};

/// `clamp(alpha * x + beta, 0, 1)`.
#[derive(Debug, Clone, PartialEq)]
pub struct HardSigmoid {
    /// Slope.
    pub alpha: f32,
    /// Value at 0.
    pub beta: f32,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    let op = HardSigmoid { alpha: a.float("alpha")?.unwrap_or(0.2), beta: a.float("beta")?.unwrap_or(0.5) };
    Ok(Fragment::single(op, ctx.node))
}

impl Operator for HardSigmoid {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        Ok(vec![inputs.required(0, "X")?.ty.clone()])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::activations(OutputRole::Fixed { scale: 1.0 / 255.0, zero_point: -128 })
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("HardSigmoid", inputs).float("alpha", self.alpha).float("beta", self.beta)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let (alpha, beta) = (self.alpha, self.beta);
        shared::unary(b, |x| math::hard_sigmoid(x, alpha, beta), |i| {
            Some(Kernel::HardSigmoidF32(rt::HardSigmoidF32 { input: i[0], output: i[1], alpha, beta }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{floats, input, value};
    use super::*;
    use crate::tensor::{Tensor, QParams};

    #[test]
    fn in_both_numbers() {
        let op = HardSigmoid { alpha: 0.25, beta: 0.5 };
        assert_eq!(floats(op.clone(), &[input(Tensor::from_f32(&[3], &[1.0, 9.0, -9.0]))]).1, [0.75, 1.0, 0.0]);
        let x = input(Tensor::from_i8(&[2], &[4, -128])).q(0.25, 0);
        assert_eq!(value(op, &[x], Some(QParams::per_tensor(1.0 / 256.0, -128))).to_i64s(), [64, -128]);
    }
}
