//! Transpose: a permutation of axes, which is only a change of strides.

use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::TensorType;

/// Output axis `i` is input axis `perm[i]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Transpose {
    /// The permutation; `None` reverses the axes.
    pub perm: Option<Vec<usize>>,
}

impl Transpose {
    /// The permutation for an input of `rank` axes.
    ///
    /// # Errors
    /// `E0205` when it is not a permutation of `rank` axes.
    pub fn permutation(&self, rank: usize) -> Result<Vec<usize>, Diagnostic> {
        let Some(perm) = &self.perm else { return Ok((0..rank).rev().collect()) };
        let mut sorted = perm.clone();
        sorted.sort_unstable();
        if sorted.into_iter().eq(0..rank) {
            return Ok(perm.clone());
        }
        Err(Diagnostic::new("E0205", format!("`perm` {perm:?} is not a permutation of {rank} axes")))
    }
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let perm = ctx.node.attributes.ints("perm")?;
    let perm = perm.map(|p| p.iter().map(|&p| usize::try_from(p).unwrap_or(usize::MAX)).collect());
    Ok(Fragment::single(Transpose { perm }, ctx.node))
}

impl Operator for Transpose {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "data")?;
        let perm = self.permutation(x.ty.shape.len())?;
        Ok(vec![TensorType::new(x.ty.elem, perm.iter().map(|&p| x.ty.shape[p]).collect::<Vec<_>>())])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::moves()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let rank = inputs.get(0).map_or(0, |x| x.ty.shape.len());
        let perm = self.permutation(rank).unwrap_or_default();
        AxisMap(perm.into_iter().map(|p| vec![(0, p)]).collect())
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Transpose", inputs).ints("perm", self.perm.as_deref().unwrap_or_default())
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let perm = self.permutation(b.ty(0)?.shape.len())?;
        if let Some(value) = b.constant(0) {
            b.bind_constant(0, value.transpose(&perm));
            return Ok(());
        }
        let view = b.view(0)?.transpose(&perm);
        b.bind(0, view);
        Ok(())
    }
}
