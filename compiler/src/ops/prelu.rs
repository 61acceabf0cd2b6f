//! PRelu: `a, or a * b below 0`, broadcasting.

use super::shared::{self, Binary, Clamp};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// `a, or a * b below 0`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PRelu;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(PRelu, ctx.node))
}

impl Operator for PRelu {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        shared::infer_binary(inputs)
    }

    fn quantize(&self) -> QuantRule {
        // With a slope for each channel there is no table; it stays between its own conversions.
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("PRelu", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::lower_binary(b, Binary::Prelu, Clamp::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, floats, input};
    use super::*;
    use crate::tensor::Tensor;

    #[test]
    fn a_slope_for_each_channel() {
        let x = input(Tensor::from_f32(&[1, 2, 2], &[-1.0, 2.0, -3.0, 4.0]));
        let slope = constant(Tensor::from_f32(&[2, 1], &[0.5, 10.0]));
        assert_eq!(floats(PRelu, &[x, slope]), (vec![1, 2, 2], vec![-0.5, 2.0, -30.0, 4.0]));
    }
}
