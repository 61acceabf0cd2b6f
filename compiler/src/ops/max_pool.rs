//! MaxPool: the largest value of each window.

use super::shared::{self, Pool, WindowSpec};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// `y = max(x)` over the window; padding never wins.
#[derive(Debug, Clone, PartialEq)]
pub struct MaxPool {
    /// Kernel extents, strides, dilations and padding.
    pub window: WindowSpec,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    if ctx.node.outputs.iter().skip(1).any(|o| !o.is_empty()) {
        return Err(Diagnostic::new("E0206", "output 1 `Indices` is not supported")
            .help("remove what reads the indices (MaxUnpool) before export"));
    }
    let mut fragment = Fragment::default();
    let window = super::average_pool::window(a)?;
    fragment.outputs = vec![fragment.node(MaxPool { window }, vec![super::Wire::Input(0)])];
    Ok(fragment)
}

impl Operator for MaxPool {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        super::average_pool::infer(&self.window, "MaxPool", inputs)
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::activations(OutputRole::SameAs(0))
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        super::average_pool::channel_axes(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        let export = self.window.export(Export::node("MaxPool", inputs));
        export.int("ceil_mode", self.window.ceil_mode.into())
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let window = self.window.resolve(&b.ty(0)?.shape[2..], None)?.window();
        shared::pool_images(b, Pool::Max, window)
    }
}
