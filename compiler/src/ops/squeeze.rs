//! Squeeze: drops axes of extent 1.

use super::shared;
use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Operator, QuantRule, Wire};
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

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::reshape(b)
    }
}
