//! Sub: `a - b`, broadcasting; a fused clamp.

use super::shared::{self, Binary, Clamp};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// `a - b`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sub {
    /// Fused Relu or Clip.
    pub clamp: Clamp,
}

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Sub::default(), ctx.node))
}

impl Operator for Sub {
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
        Export::node("Sub", inputs).clamped(self.clamp)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::lower_binary(b, Binary::Sub, self.clamp)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, floats, folded, input, list, value};
    use super::*;
    use crate::tensor::{Tensor, QParams};

    #[test]
    fn the_order_stays() {
        let c = Tensor::from_f32(&[2], &[10.0, 20.0]);
        assert_eq!(floats(Sub::default(), &[count(&[2]), constant(c.clone())]).1, [-10.0, -19.0]);
        assert_eq!(floats(Sub::default(), &[constant(c), count(&[2])]).1, [10.0, 19.0]);
        let (a, b) = (Tensor::from_i8(&[2], &[10, -128]), Tensor::from_i8(&[2], &[4, 127]));
        // [5, -64] - [4, 127]
        let y = value(Sub::default(), &[input(a).q(0.5, 0), input(b).q(1.0, 0)], Some(QParams::per_tensor(1.0, 3)));
        assert_eq!(y.to_i64s(), [4, -128]);
        assert_eq!(folded(Sub::default(), &[list(&[5]), list(&[7])]), (vec![1], vec![-2]));
    }
}
