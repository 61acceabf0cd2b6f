//! Tanh: `tanh(x)`.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
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
        QuantRule::activations(OutputRole::Fixed { scale: 1.0 / 127.0, zero_point: 0 })
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Tanh", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::unary(b, math::tanh, |i| {
            Some(Kernel::TanhF32(rt::TanhF32 { input: i[0], output: i[1] }))
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
        let y = floats(Tanh, &[input(Tensor::from_f32(&[3], &[0.0, 0.5, -100.0]))]).1;
        assert!(y[0] == 0.0 && (y[1] - 0.462_117_2).abs() < 1e-6 && y[2] == -1.0, "{y:?}");
        let x = input(Tensor::from_i8(&[3], &[0, 5, -128])).q(0.1, 0);
        assert_eq!(value(Tanh, &[x], Some(QParams::per_tensor(1.0 / 128.0, 0))).to_i64s(), [0, 59, -128]);
    }
}
