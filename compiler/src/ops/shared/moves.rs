//! What operators share that only give values another shape.

use super::super::Lowering;
use crate::diag::Diagnostic;

/// Lowers "the same values in the output's shape": a view where strides can say it, otherwise one copy and a view.
///
/// # Errors
/// `E0303` for an element type that cannot be copied.
pub fn reshape(b: &mut Lowering) -> Result<(), Diagnostic> {
    let shape = b.output_ty(0).shape;
    if let Some(value) = b.constant(0) {
        b.bind_constant(0, value.reshape(&shape)?);
        return Ok(());
    }
    let view = b.view(0)?;
    let view = match view.reshape(&shape) {
        Some(view) => view,
        None => {
            let copy = b.contiguous(&view)?;
            copy.reshape(&shape).unwrap_or(copy)
        }
    };
    b.bind(0, view);
    Ok(())
}
