//! Size: number of elements, known at compile time.

use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::{ElemType, Tensor, TensorType};

/// Number of elements.
#[derive(Debug, Clone, PartialEq)]
pub struct Size;

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Size, ctx.node))
}

impl Operator for Size {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        inputs.required(0, "data")?;
        Ok(vec![TensorType::scalar(ElemType::I64)])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Size", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let elements = b.ty(0)?.elements() as i64;
        b.bind_constant(0, Tensor::from_i64(&[], &[elements]));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{count, folded};
    use super::*;

    #[test]
    fn counts() {
        assert_eq!(folded(Size, &[count(&[4, 5])]), (vec![], vec![20]));
    }
}
