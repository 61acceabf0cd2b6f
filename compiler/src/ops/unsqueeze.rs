//! Unsqueeze: inserts axes of extent 1.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule, Wire};
use crate::diag::Diagnostic;
use crate::tensor::{Tensor, TensorType};

/// Inserts the axes of input 1, counted in the output.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsqueeze;

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let axes = ctx.node.attributes.ints("axes")?;
    let mut fragment = Fragment::default();
    // Until opset 12 the axes are an attribute; they become a constant input.
    let wire = match axes {
        Some(axes) => Wire::Const(Tensor::from_i64(&[axes.len()], &axes)),
        None => Wire::Input(1),
    };
    let y = fragment.node(Unsqueeze, vec![Wire::Input(0), wire]);
    fragment.outputs.push(y);
    Ok(fragment)
}

impl Operator for Unsqueeze {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "data")?.ty;
        inputs.required(1, "axes")?;
        let list = inputs.integers(1, "axes")?.unwrap_or_default();
        let rank = x.shape.len() + list.len();
        let axes = shared::axes(&list, rank)?;
        let mut old = x.shape.iter().copied();
        let shape = (0..rank).map(|i| if axes.contains(&i) { 1 } else { old.next().unwrap_or(1) });
        Ok(vec![TensorType::new(x.elem, shape.collect::<Vec<_>>())])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::moves()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(self.infer(inputs).map_or(0, |t| t[0].shape.len()))
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Unsqueeze", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::reshape(b)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, error, floats, folded, list};
    use super::*;

    #[test]
    fn axes_count_in_the_output() {
        let shape = |axes: &[i64]| floats(Unsqueeze, &[count(&[2, 3]), list(axes)]).0;
        assert_eq!(shape(&[0, -1]), [1, 2, 3, 1]);
        assert_eq!(shape(&[1]), [2, 1, 3]);
        assert_eq!(folded(Unsqueeze, &[constant(Tensor::from_i64(&[], &[5])), list(&[0])]), (vec![1], vec![5]));
        insta::assert_snapshot!(error(Unsqueeze, &[count(&[2]), list(&[3])]), @r"
        error[E0205]: axis 3 does not exist in a value of rank 2
          --> node `op` (Unsqueeze)
           | `x0`  f32[2]
           | `x1`  i64[1]
           = help: its axes are 0 to 1, or -2 to -1 counted from the end
        ");
    }
}
