//! Div: `a / b`, broadcasting.

use super::shared::{self, Binary, Clamp};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// `a / b`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Div;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Div, ctx.node))
}

impl Operator for Div {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        shared::infer_binary(inputs)
    }

    fn quantize(&self) -> QuantRule {
        // A quotient of two int8 values has no fixed-point form.
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Div", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::lower_binary(b, Binary::Div, Clamp::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, floats, fold, folded, input, list};
    use super::*;
    use crate::tensor::Tensor;

    #[test]
    fn quotients() {
        let c = constant(Tensor::from_f32(&[], &[4.0]));
        assert_eq!(floats(Div, &[count(&[3]), c.clone()]).1, [0.0, 0.25, 0.5]);
        let x = input(Tensor::from_f32(&[2], &[2.0, -8.0]));
        assert_eq!(floats(Div, &[c, x]).1, [2.0, -0.5]);
        assert_eq!(folded(Div, &[list(&[-7, 7]), list(&[2])]), (vec![2], vec![-3, 3]));
        assert!(fold(Div, &[list(&[1]), list(&[0])]).is_err());
    }
}
