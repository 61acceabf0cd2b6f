//! Expand: broadcasting to a shape, a view.

use super::shared;
use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::{TensorType};

/// Broadcasts input 0 to the shape of input 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Expand;

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Expand, ctx.node))
}

impl Operator for Expand {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "input")?.ty;
        inputs.required(1, "shape")?;
        let asked = inputs.integers(1, "shape")?.unwrap_or_default();
        let asked: Vec<usize> = asked.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
        Ok(vec![TensorType::new(x.elem, shared::broadcast(&x.shape, &asked)?)])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::moves()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let shape = b.output_ty(0).shape;
        let view = b.view(0)?.broadcast(&shape);
        b.bind(0, view);
        Ok(())
    }
}
