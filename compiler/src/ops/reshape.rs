//! Reshape: the same values in another shape.

use super::shared;
use super::{Args, AxisMap, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// The shape is input 1: 0 keeps an extent, -1 takes what is left.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reshape {
    /// 0 means an extent of 0.
    pub allow_zero: bool,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let allow_zero = ctx.node.attributes.int("allowzero")?.unwrap_or(0) != 0;
    Ok(Fragment::single(Reshape { allow_zero }, ctx.node))
}

impl Operator for Reshape {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "data")?.ty;
        inputs.required(1, "shape")?;
        let asked = inputs.integers(1, "shape")?.unwrap_or_default();
        let mismatch = || {
            Diagnostic::new("E0202", format!("{x} cannot take the shape {asked:?}"))
                .help("the number of elements must stay; a batch that was fixed at export shows up here")
        };
        let mut shape = Vec::with_capacity(asked.len());
        for (i, &d) in asked.iter().enumerate() {
            shape.push(match d {
                0 if !self.allow_zero => x.shape.get(i).copied().ok_or_else(mismatch)?,
                -1 => 1,
                d => usize::try_from(d).map_err(|_| mismatch())?,
            });
        }
        if let Some(free) = asked.iter().position(|d| *d == -1) {
            let known = TensorType::new(x.elem, shape.clone()).elements();
            if known == 0 || x.elements() % known != 0 {
                return Err(mismatch());
            }
            shape[free] = x.elements() / known;
        }
        let ty = TensorType::new(x.elem, shape);
        if ty.checked_elements() != Some(x.elements()) {
            return Err(mismatch());
        }
        Ok(vec![ty])
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
