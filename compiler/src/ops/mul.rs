//! Mul: `a * b`, broadcasting; a fused clamp.

use super::shared::{self, Binary, Clamp};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
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

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Mul", inputs).clamped(self.clamp)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::lower_binary(b, Binary::Mul, self.clamp)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, floats, folded, input, list, value};
    use super::*;
    use crate::tensor::{Tensor, QParams};

    #[test]
    fn products() {
        let c = Tensor::from_f32(&[2, 1], &[2.0, -1.0]);
        let op = Mul { clamp: Clamp::RELU };
        assert_eq!(floats(op.clone(), &[count(&[2, 2]), constant(c)]).1, [0.0, 2.0, 0.0, 0.0]);
        let (a, b) = (Tensor::from_i8(&[2], &[5, -5]), Tensor::from_i8(&[1], &[7]));
        // [2, -3] * 4, and 8 / 0.5 = 16 steps above the zero point
        for b in [input(b.clone()), constant(b)] {
            let y = value(op.clone(), &[input(a.clone()).q(0.5, 1), b.q(0.5, -1)], Some(QParams::per_tensor(0.5, 3)));
            assert_eq!(y.to_i64s(), [19, 3]);
        }
        assert_eq!(folded(op, &[list(&[5]), list(&[7])]), (vec![1], vec![35]));
    }
}
