//! ConstantOfShape: one value everywhere.

use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
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
    if value.elements() != 1 || !matches!(value.elem(), ElemType::F32 | ElemType::I64 | ElemType::I32) {
        return Err(Diagnostic::new("E0206", format!("attribute `value` is {}, not one number", value.ty())));
    }
    Ok(Fragment::single(ConstantOfShape { value }, ctx.node))
}

impl Operator for ConstantOfShape {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        inputs.required(0, "input")?;
        let dims = inputs.integers(0, "input")?.unwrap_or_default();
        let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let ty = shape.map(|shape| TensorType::new(self.value.elem(), shape));
        let ty = ty.filter(|ty| ty.checked_elements().is_some_and(|n| n <= 1 << 28));
        Ok(vec![ty.ok_or_else(|| Diagnostic::new("E0202", format!("{dims:?} is no shape")))?])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let ty = b.output_ty(0);
        let bytes = self.value.bytes().repeat(ty.elements());
        b.bind_constant(0, Tensor::new(ty, bytes)?);
        Ok(())
    }
}
