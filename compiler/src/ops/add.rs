//! Add: `a + b`, broadcasting; a fused clamp.

use super::shared::{self, Binary, Clamp};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// `a + b`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Add {
    /// Fused Relu or Clip.
    pub clamp: Clamp,
}

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Add::default(), ctx.node))
}

impl Operator for Add {
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
        Export::node("Add", inputs).clamped(self.clamp)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::lower_binary(b, Binary::Add, self.clamp)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, error, floats, fold, folded, input, list, value};
    use super::*;
    use crate::tensor::{Tensor, QParams};

    #[test]
    fn broadcasts_and_clamps() {
        let op = Add { clamp: Clamp { min: 1.0, max: 13.0 } };
        let (x, row) = (count(&[2, 3]), Tensor::from_f32(&[3], &[0.0, 10.0, 20.0]));
        let expected = (vec![2, 3], vec![1.0, 11.0, 13.0, 3.0, 13.0, 13.0]);
        assert_eq!(floats(op.clone(), &[x.clone(), constant(row.clone())]), expected);
        assert_eq!(floats(op.clone(), &[constant(row.clone()), x.clone()]), expected);
        assert_eq!(floats(op.clone(), &[x, input(row)]), expected);
        let column = constant(Tensor::from_f32(&[2, 1], &[1.0, 2.0]));
        assert_eq!(floats(op, &[count(&[1, 2]), column]), (vec![2, 2], vec![1.0, 2.0, 2.0, 3.0]));
    }

    #[test]
    fn int8_of_three_scales() {
        let (a, b) = (Tensor::from_i8(&[3], &[4, 6, 127]), Tensor::from_i8(&[3], &[1, -3, 127]));
        // [1, 2, 62.5] + [0.5, -0.5, 32]
        for b in [input(b.clone()), constant(b)] {
            let x = input(a.clone()).q(0.5, 2);
            let y = value(Add::default(), &[x, b.q(0.25, -1)], Some(QParams::per_tensor(0.5, -7)));
            assert_eq!(y.to_i64s(), [-4, -4, 127]);
        }
    }

    #[test]
    fn integers_fold() {
        let y = folded(Add::default(), &[list(&[1, 2]), list(&[-3])]);
        assert_eq!(y, (vec![2], vec![-2, -1]));
        insta::assert_snapshot!(fold(Add::default(), &[list(&[i64::MAX]), list(&[1])]).unwrap_err(), @r"
        error[E0209]: integer arithmetic overflows, or divides by zero
           = help: the model computes a shape that cannot be meant; check what it is computed from
        ");
    }

    #[test]
    fn errors() {
        let op = Add::default;
        insta::assert_snapshot!(error(op(), &[count(&[2, 3]), count(&[2])]), @r"
        error[E0202]: shapes do not broadcast: axis 1 is 3 and 2
          --> node `op` (Add)
           | `x0`  f32[2, 3]
           | `x1`  f32[2]
           = help: extents must be equal, or one of them 1
        ");
        insta::assert_snapshot!(error(op(), &[count(&[2]), list(&[1, 2])]), @r"
        error[E0202]: operands have different element types
          --> node `op` (Add)
           | `x0`  f32[2]
           | `x1`  i64[2]
           = help: cast one of them at export
        ");
        insta::assert_snapshot!(error(op(), &[count(&[2])]), @r"
        error[E0203]: input 1 `B` is missing
          --> node `op` (Add)
           | `x0`  f32[2]
        ");
        insta::assert_snapshot!(error(op(), &[input(Tensor::from_i64(&[1], &[1])), list(&[1])]), @r"
        error[E0304]: no kernel for elements of type i64
          --> node `op` (Add)
           | input  i64[1]
           | `x0`   i64[1]
           | `x1`   i64[1]
           = help: cast to f32 at export, or quantize to int8
        ");
        insta::assert_snapshot!(error(op(), &[input(Tensor::from_i8(&[1], &[1])), input(Tensor::from_i8(&[1], &[1]))]), @r"
        error[E0302]: input 0 is an integer without scale and zero point
          --> node `op` (Add)
           | type  i8[1]
           | `x0`  i8[1]
           | `x1`  i8[1]
           = help: wrap the operator in DequantizeLinear and QuantizeLinear
        ");
    }
}
