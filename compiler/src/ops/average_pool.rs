//! AveragePool: the mean of each window.

use super::shared::{self, Pool, WindowSpec};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::onnx::Attributes;
use crate::tensor::TensorType;

/// `y = mean(x)` over the window.
#[derive(Debug, Clone, PartialEq)]
pub struct AveragePool {
    /// Kernel extents, strides, dilations and padding.
    pub window: WindowSpec,
    /// Whether padding counts as zeros.
    pub count_include_pad: bool,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(attributes(&ctx.node.attributes)?, ctx.node))
}

/// The attributes, which QLinearAveragePool has too.
pub(super) fn attributes(a: &Attributes) -> Result<AveragePool, Diagnostic> {
    let count_include_pad = a.int("count_include_pad")?.unwrap_or(0) != 0;
    Ok(AveragePool { window: window(a)?, count_include_pad })
}

/// The window of a pooling operator, which has to say its extents.
pub(super) fn window(a: &Attributes) -> Result<WindowSpec, Diagnostic> {
    let window = WindowSpec::import(a)?;
    if window.kernel.is_empty() {
        return Err(Diagnostic::new("E0206", "attribute `kernel_shape` is missing")
            .help("the file is damaged: export it again"));
    }
    Ok(window)
}

/// Type inference of both pooling operators.
pub(super) fn infer(window: &WindowSpec, name: &str, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
    let x = inputs.required(0, "X")?.ty;
    if !(3..=4).contains(&x.shape.len()) {
        return Err(Diagnostic::new("E0208", format!("{name} needs 1-D or 2-D images")).help(
            "3-D pooling is not supported; images are [N, C, H, W] or [N, C, L]",
        ));
    }
    let mut shape = x.shape[..2].to_vec();
    shape.extend(window.resolve(&x.shape[2..], None)?.output);
    Ok(vec![TensorType::new(x.elem, shape)])
}

/// Batch and channels pass through, rows and columns do not.
pub(super) fn channel_axes(inputs: &Args) -> AxisMap {
    let mut map = AxisMap::none(inputs.get(0).map_or(0, |x| x.ty.shape.len()));
    map.0.iter_mut().enumerate().take(2).for_each(|(axis, links)| links.push((0, axis)));
    map
}

impl Operator for AveragePool {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        infer(&self.window, "AveragePool", inputs)
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::activations(OutputRole::Calibrate)
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        channel_axes(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        let export = Export::node("AveragePool", inputs).int("count_include_pad", self.count_include_pad.into());
        self.window.export(export).int("ceil_mode", self.window.ceil_mode.into())
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let window = self.window.resolve(&b.ty(0)?.shape[2..], None)?.window();
        shared::pool_images(b, Pool::Average { count_include_pad: self.count_include_pad }, window)
    }
}
