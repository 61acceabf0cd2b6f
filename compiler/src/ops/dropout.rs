//! Dropout, which at inference is Identity.

use super::{Fragment, Identity, ImportContext, Wire};
use crate::diag::Diagnostic;

/// Identity of input 0; the mask, when it is asked for, is refused.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    if ctx.node.outputs.get(1).is_some_and(|mask| !mask.is_empty()) && ctx.node.outputs.len() > 2 {
        return Err(Diagnostic::new("E0206", "Dropout has one output and a mask"));
    }
    let mut fragment = Fragment::default();
    let y = fragment.node(Identity, vec![Wire::Input(0)]);
    // The mask is only for training; nothing in an exported model reads it.
    fragment.outputs = vec![y];
    Ok(fragment)
}
