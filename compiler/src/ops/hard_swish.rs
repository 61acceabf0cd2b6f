//! HardSwish: `x * clamp(x / 6 + 0.5, 0, 1)`.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
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

    fn export(&self, inputs: &Args) -> Export {
        Export::node("HardSwish", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::unary(b, math::hard_swish, |i| {
            Some(Kernel::HardSwishF32(rt::HardSwishF32 { input: i[0], output: i[1] }))
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
        let y = floats(HardSwish, &[input(Tensor::from_f32(&[3], &[1.0, 9.0, -9.0]))]).1;
        assert!((y[0] - 2.0 / 3.0).abs() < 1e-6 && y[1] == 9.0 && y[2] == 0.0, "{y:?}");
        let x = input(Tensor::from_i8(&[2], &[10, -128])).q(0.1, 0);
        assert_eq!(value(HardSwish, &[x], Some(QParams::per_tensor(0.1, 0))).to_i64s(), [7, 0]);
    }
}
