//! Clip: `min(max(x, low), high)` with constant bounds.

use super::shared::{self, Clamp};
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule, Wire};
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

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Clip", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let clamp = b.with_args(|args| self.clamp(args))?;
        shared::clamp(b, clamp)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, error, floats, imported, input, list, omitted, value};
    use super::*;
    use crate::onnx::Attribute;
    use crate::tensor::QParams;

    #[test]
    fn bounds_from_inputs_and_attributes() {
        let x = input(Tensor::from_f32(&[3], &[-4.0, 3.0, 9.0]));
        let bound = |v: f32| constant(Tensor::from_f32(&[], &[v]));
        assert_eq!(floats(Clip, &[x.clone(), bound(0.0), bound(6.0)]).1, [0.0, 3.0, 6.0]);
        assert_eq!(floats(Clip, &[x.clone(), omitted(), bound(6.0)]).1, [-4.0, 3.0, 6.0]);
        assert_eq!(floats(Clip, &[x]).1, [-4.0, 3.0, 9.0]);
        let f = imported(("Clip", 6), (1, 1), &[("max", Attribute::Float(6.0))]).unwrap();
        let inputs = vec![Wire::Input(0), Wire::None, Wire::Const(Tensor::from_f32(&[], &[6.0]))];
        assert_eq!(f.nodes, [(Clip.into(), inputs, 1)]);
    }

    #[test]
    fn int8_keeps_or_changes_the_scale() {
        let x = input(Tensor::from_i8(&[3], &[-40, 10, 90])).q(0.1, 0);
        let bounds = [0.0, 6.0].map(|v| constant(Tensor::from_f32(&[], &[v])));
        let operands = [x, bounds[0].clone(), bounds[1].clone()];
        assert_eq!(value(Clip, &operands, Some(QParams::per_tensor(0.1, 0))).to_i64s(), [0, 10, 60]);
        assert_eq!(value(Clip, &operands, Some(QParams::per_tensor(0.2, 1))).to_i64s(), [1, 6, 31]);
    }

    #[test]
    fn errors() {
        let bound = input(Tensor::from_f32(&[], &[0.0]));
        insta::assert_snapshot!(error(Clip, &[count(&[2]), bound]), @r"
        error[E0204]: input 1 `min` must be constant
          --> node `op` (Clip)
           | min   f32[]
           | `x0`  f32[2]
           | `x1`  f32[]
           = help: bake the bounds of Clip into the model
        ");
        insta::assert_snapshot!(error(Clip, &[list(&[1])]), @r"
        error[E0304]: no kernel for elements of type i64
          --> node `op` (Clip)
           | input  i64[1]
           | `x0`   i64[1]
           = help: cast to f32 at export, or quantize to int8
        ");
    }
}
