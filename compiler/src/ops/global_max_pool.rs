//! GlobalMaxPool: the largest value of each channel.

use super::shared::{self, Pool};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// `y[n, c] = max(x[n, c])` over all other axes, which keep extent 1.
#[derive(Debug, Clone, PartialEq)]
pub struct GlobalMaxPool;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(GlobalMaxPool, ctx.node))
}

impl Operator for GlobalMaxPool {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "X")?.ty;
        if x.shape.len() < 2 {
            return Err(Diagnostic::new("E0208", "GlobalMaxPool needs batch and channels"));
        }
        let axes: Vec<usize> = (2..x.shape.len()).collect();
        Ok(vec![TensorType::new(x.elem, shared::kept_shape(x, &axes, true))])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::activations(OutputRole::SameAs(0))
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        super::average_pool::channel_axes(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("GlobalMaxPool", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let axes: Vec<usize> = (2..b.ty(0)?.shape.len()).collect();
        shared::reduce(b, Pool::Max, &axes)
    }
}
