//! Clip: `min(max(x, low), high)` with constant bounds.

use super::shared::{self, Clamp};
use super::{Args, AxisMap, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule, Wire};
use crate::diag::Diagnostic;
use crate::tensor::{Tensor, TensorType};

/// `min(max(x, low), high)`; the bounds are inputs 1 and 2, infinite where omitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip;

/// Reads the attributes: until opset 10 they hold the bounds, which become constant inputs.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    if ctx.opset >= 11 {
        return Ok(Fragment::single(Clip, ctx.node));
    }
    let bound = |name: &str| -> Result<Wire, Diagnostic> {
        let value = ctx.node.attributes.float(name)?;
        Ok(value.map_or(Wire::None, |v| Wire::Const(Tensor::from_f32(&[], &[v]))))
    };
    let mut fragment = Fragment::default();
    let y = fragment.node(Clip, vec![Wire::Input(0), bound("min")?, bound("max")?]);
    fragment.outputs.push(y);
    Ok(fragment)
}

impl Clip {
    /// The bounds, when constant.
    ///
    /// # Errors
    /// `E0204` when they are computed at run time.
    pub fn clamp(&self, inputs: &Args) -> Result<Clamp, Diagnostic> {
        let bound = |i: usize, name: &str, default: f32| match inputs.get(i) {
            None => Ok(default),
            Some(arg) => match arg.value {
                Some(value) => Ok(value.to_f32s().first().copied().unwrap_or(default)),
                None => Err(Diagnostic::new("E0204", format!("input {i} `{name}` must be constant"))
                    .fact(name, arg.ty)
                    .help("bake the bounds of Clip into the model")),
            },
        };
        Ok(Clamp { min: bound(1, "min", f32::NEG_INFINITY)?, max: bound(2, "max", f32::INFINITY)? })
    }
}

impl Operator for Clip {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        Ok(vec![inputs.required(0, "input")?.ty.clone()])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule { inputs: vec![InputRole::Activation, InputRole::Shape], output: OutputRole::Calibrate }
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let clamp = b.with_args(|args| self.clamp(args))?;
        shared::clamp(b, clamp)
    }
}
