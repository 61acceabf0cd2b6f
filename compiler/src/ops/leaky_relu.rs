//! LeakyRelu: `x, or alpha * x below 0`.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::tensor::TensorType;
use kiln_runtime_core::{self as rt, math};

/// `x, or alpha * x below 0`.
#[derive(Debug, Clone, PartialEq)]
pub struct LeakyRelu {
    /// Slope below 0.
    pub alpha: f32,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    let op = LeakyRelu { alpha: a.float("alpha")?.unwrap_or(0.01) };
    Ok(Fragment::single(op, ctx.node))
}

impl Operator for LeakyRelu {
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
        Export::node("LeakyRelu", inputs).float("alpha", self.alpha)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let alpha = self.alpha;
        shared::unary(b, |x| math::leaky_relu(x, alpha), |i| {
            Some(Kernel::LeakyReluF32(rt::LeakyReluF32 { input: i[0], output: i[1], alpha }))
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
        let op = LeakyRelu { alpha: 0.25 };
        assert_eq!(floats(op.clone(), &[input(Tensor::from_f32(&[2], &[-4.0, 3.0]))]).1, [-1.0, 3.0]);
        let x = input(Tensor::from_i8(&[3], &[-40, 0, 30])).q(0.1, 0);
        assert_eq!(value(op, &[x], Some(QParams::per_tensor(0.1, 5))).to_i64s(), [-5, 5, 35]);
    }
}
