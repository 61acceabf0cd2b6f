//! ConstantOfShape: one value everywhere.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::onnx::Attribute;
use crate::tensor::{ElemType, Tensor, TensorType};

/// One value in the shape of input 0.
#[derive(Debug, Clone, PartialEq)]
pub struct ConstantOfShape {
    /// The value, one element.
    pub value: Tensor,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let value = ctx.node.attributes.tensor("value")?.unwrap_or_else(|| Tensor::from_f32(&[1], &[0.0]));
    if value.elements() != 1 || !matches!(value.elem(), ElemType::F32 | ElemType::I64 | ElemType::I32 | ElemType::Bool) {
        return Err(Diagnostic::new("E0206", format!("attribute `value` is {}", value.ty()))
            .help("it must be one number of type f32, i64, i32 or bool"));
    }
    Ok(Fragment::single(ConstantOfShape { value }, ctx.node))
}

impl Operator for ConstantOfShape {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        inputs.required(0, "input")?;
        let dims = inputs.integers(0, "input")?.unwrap_or_default();
        let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let ty = shape.map(|shape| TensorType::new(self.value.elem(), shape));
        let negative = || {
            Diagnostic::new("E0202", format!("{dims:?} is no shape")).help("extents may not be negative")
        };
        Ok(vec![shared::sized(ty.ok_or_else(negative)?)?])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("ConstantOfShape", inputs).attribute("value", Attribute::Tensor(self.value.clone()))
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let ty = b.output_ty(0);
        let bytes = self.value.bytes().repeat(ty.elements());
        b.bind_constant(0, Tensor::new(ty, bytes)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{error, floats, folded, list};
    use super::*;

    #[test]
    fn fills_a_shape() {
        let op = |value| ConstantOfShape { value };
        assert_eq!(folded(op(Tensor::from_i64(&[1], &[7])), &[list(&[2, 1])]), (vec![2, 1], vec![7, 7]));
        assert_eq!(folded(op(Tensor::from_bool(&[1], &[true])), &[list(&[])]), (vec![], vec![1]));
        let zero = || op(Tensor::from_f32(&[1], &[0.0]));
        assert_eq!(floats(zero(), &[list(&[2])]), (vec![2], vec![0.0, 0.0]));
        insta::assert_snapshot!(error(zero(), &[list(&[2, -1])]), @r"
        error[E0202]: [2, -1] is no shape
          --> node `op` (ConstantOfShape)
           | `x0`  i64[2]
           = help: extents may not be negative
        ");
        insta::assert_snapshot!(error(zero(), &[list(&[1 << 40, 1 << 40])]), @r"
        error[E0202]: a value of shape [1099511627776, 1099511627776] is too large
          --> node `op` (ConstantOfShape)
           | `x0`  i64[2]
           = help: the model computes a shape that cannot be meant; check what it is computed from
        ");
    }
}
