//! Dropout, which at inference is Identity.

use super::{Expand, Fragment, Identity, ImportContext, Shape, Wire};
use crate::diag::Diagnostic;
use crate::tensor::Tensor;

/// Identity of input 0, and a mask that keeps everything where a node asks for it.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let mut fragment = Fragment::default();
    let y = fragment.node(Identity, vec![Wire::Input(0)]);
    fragment.outputs = vec![y];
    if ctx.node.outputs.get(1).is_some_and(|mask| !mask.is_empty()) {
        // Hardly a model reads it, and then it goes away as dead code; but where one does, it has to exist.
        let shape = fragment.node(Shape { start: 0, end: i64::MAX }, vec![Wire::Input(0)]);
        let kept = Wire::Const(Tensor::from_bool(&[], &[true]));
        let mask = fragment.node(Expand, vec![kept, shape]);
        fragment.outputs.push(mask);
    }
    Ok(fragment)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{imported};
    use super::*;

    #[test]
    fn the_mask_is_made_only_when_it_has_a_name() {
        let f = imported(("Dropout", 13), (3, 1), &[]).unwrap();
        assert_eq!((f.nodes.len(), f.outputs), (1, vec![Wire::Node(0, 0)]));
        let f = imported(("Dropout", 13), (1, 2), &[]).unwrap();
        assert_eq!(f.outputs, [Wire::Node(0, 0), Wire::Node(2, 0)]);
    }
}
