//! Reshape: the same values in another shape.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
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
            if known == 0 || x.elements() % known != 0 || asked.iter().filter(|d| **d == -1).count() > 1 {
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

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Reshape", inputs).int("allowzero", self.allow_zero.into())
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        shared::reshape(b)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, error, floats, folded, input, list};
    use super::*;
    use crate::tensor::Tensor;

    const RESHAPE: Reshape = Reshape { allow_zero: false };

    #[test]
    fn keeps_and_infers_extents() {
        let y = floats(RESHAPE, &[count(&[2, 3]), list(&[-1, 2])]);
        assert_eq!(y, (vec![3, 2], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        assert_eq!(floats(RESHAPE, &[count(&[2, 3]), list(&[0, 1, -1])]).0, [2, 1, 3]);
        assert_eq!(floats(RESHAPE, &[count(&[1]), list(&[])]).0, [0usize; 0]);
        assert_eq!(folded(RESHAPE, &[list(&[1, 2, 3, 4]), list(&[2, 2])]), (vec![2, 2], vec![1, 2, 3, 4]));
        let empty = constant(Tensor::from_i64(&[0], &[]));
        assert_eq!(folded(Reshape { allow_zero: true }, &[empty, list(&[3, 0])]).0, [3, 0]);
    }

    #[test]
    fn errors() {
        insta::assert_snapshot!(error(RESHAPE, &[count(&[2, 3]), list(&[4, -1])]), @r"
        error[E0202]: f32[2, 3] cannot take the shape [4, -1]
          --> node `op` (Reshape)
           | `x0`  f32[2, 3]
           | `x1`  i64[2]
           = help: the number of elements must stay; a batch that was fixed at export shows up here
        ");
        insta::assert_snapshot!(error(RESHAPE, &[count(&[2, 3]), list(&[-1, -1])]), @r"
        error[E0202]: f32[2, 3] cannot take the shape [-1, -1]
          --> node `op` (Reshape)
           | `x0`  f32[2, 3]
           | `x1`  i64[2]
           = help: the number of elements must stay; a batch that was fixed at export shows up here
        ");
        insta::assert_snapshot!(error(RESHAPE, &[count(&[2]), list(&[i64::MAX, i64::MAX, -1])]), @r"
        error[E0202]: f32[2] cannot take the shape [9223372036854775807, 9223372036854775807, -1]
          --> node `op` (Reshape)
           | `x0`  f32[2]
           | `x1`  i64[3]
           = help: the number of elements must stay; a batch that was fixed at export shows up here
        ");
        insta::assert_snapshot!(error(RESHAPE, &[count(&[2]), input(Tensor::from_i64(&[1], &[2]))]), @r"
        error[E0204]: input 1 `shape` must be constant
          --> node `op` (Reshape)
           | shape  i64[1]
           | `x0`   f32[2]
           | `x1`   i64[1]
           = help: export with static shapes, or fix the dynamic dimensions with `--shape NAME=1x3x96x96`
        ");
    }
}
