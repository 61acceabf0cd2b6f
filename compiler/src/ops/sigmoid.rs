//! Sigmoid: `1 / (1 + exp(-x))`.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::tensor::TensorType;
use kiln_runtime_core::{self as rt, math};

/// `1 / (1 + exp(-x))`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sigmoid;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Sigmoid, ctx.node))
}

impl Operator for Sigmoid {
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
        Export::node("Sigmoid", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::unary(b, math::sigmoid, |i| {
            Some(Kernel::SigmoidF32(rt::SigmoidF32 { input: i[0], output: i[1] }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{error, floats, input, value};
    use super::*;
    use crate::tensor::{Tensor, QParams};

    #[test]
    fn in_both_numbers() {
        let y = floats(Sigmoid, &[input(Tensor::from_f32(&[3], &[0.0, 2.0, -100.0]))]).1;
        assert!(y[0] == 0.5 && (y[1] - 0.880_797_1).abs() < 1e-6 && y[2].abs() < 1e-30, "{y:?}");
        let x = input(Tensor::from_i8(&[3], &[0, 20, -128])).q(0.1, 0);
        let y = value(Sigmoid, &[x], Some(QParams::per_tensor(1.0 / 256.0, -128)));
        assert_eq!(y.to_i64s(), [0, 97, -128]);
    }

    #[test]
    fn errors() {
        insta::assert_snapshot!(error(Sigmoid, &[input(Tensor::from_i32(&[1], &[0]))]), @r"
        error[E0304]: no kernel for elements of type i32
          --> node `op` (Sigmoid)
           | input  i32[1]
           | `x0`   i32[1]
           = help: cast to f32 at export
        ");
        insta::assert_snapshot!(error(Sigmoid, &[input(Tensor::from_i8(&[1], &[0]))]), @r"
        error[E0302]: input 0 is an integer without scale and zero point
          --> node `op` (Sigmoid)
           | type  i8[1]
           | `x0`  i8[1]
           = help: wrap the operator in DequantizeLinear and QuantizeLinear
        ");
    }
}
