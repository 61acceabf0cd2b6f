//! Squeeze: drops axes of extent 1.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule, Wire};
use crate::diag::Diagnostic;
use crate::tensor::{Tensor, TensorType};

/// Drops the axes of input 1, or all axes of extent 1 where it is omitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Squeeze;

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let axes = ctx.node.attributes.ints("axes")?;
    let mut fragment = Fragment::default();
    // Until opset 12 the axes are an attribute; they become a constant input.
    let wire = match axes {
        Some(axes) => Wire::Const(Tensor::from_i64(&[axes.len()], &axes)),
        None => Wire::Input(1),
    };
    let y = fragment.node(Squeeze, vec![Wire::Input(0), wire]);
    fragment.outputs.push(y);
    Ok(fragment)
}

impl Operator for Squeeze {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "data")?.ty;
        let axes = match inputs.integers(1, "axes")? {
            Some(list) => shared::axes(&list, x.shape.len())?,
            None => (0..x.shape.len()).filter(|&i| x.shape[i] == 1).collect(),
        };
        if let Some(axis) = axes.iter().find(|a| x.shape[**a] != 1) {
            return Err(Diagnostic::new("E0202", format!("axis {axis} has {} elements, not 1", x.shape[*axis]))
                .help("Squeeze drops axes of extent 1 only"));
        }
        let kept = (0..x.shape.len()).filter(|i| !axes.contains(i)).map(|i| x.shape[i]);
        Ok(vec![TensorType::new(x.elem, kept.collect::<Vec<_>>())])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::moves()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Squeeze", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::reshape(b)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Operand, count, error, floats, imported, list};
    use super::*;
    use crate::onnx::Attribute;

    #[test]
    fn drops_named_or_all_axes() {
        let shape = |operands: &[Operand]| floats(Squeeze, operands).0;
        assert_eq!(shape(&[count(&[1, 3, 1])]), [3]);
        assert_eq!(shape(&[count(&[1, 3, 1]), list(&[-1])]), [1, 3]);
        let f = imported(("Squeeze", 11), (1, 1), &[("axes", Attribute::Ints(vec![2]))]).unwrap();
        let axes = Wire::Const(Tensor::from_i64(&[1], &[2]));
        assert_eq!(f.nodes, [(Squeeze.into(), vec![Wire::Input(0), axes], 1)]);
        insta::assert_snapshot!(error(Squeeze, &[count(&[1, 3]), list(&[1])]), @r"
        error[E0202]: axis 1 has 3 elements, not 1
          --> node `op` (Squeeze)
           | `x0`  f32[1, 3]
           | `x1`  i64[1]
           = help: Squeeze drops axes of extent 1 only
        ");
        insta::assert_snapshot!(error(Squeeze, &[count(&[1, 3]), list(&[0, -2])]), @r"
        error[E0205]: axes [0, -2] name one axis twice
          --> node `op` (Squeeze)
           | `x0`  f32[1, 3]
           | `x1`  i64[2]
           = help: name each axis once; negative ones count from the end
        ");
    }
}
