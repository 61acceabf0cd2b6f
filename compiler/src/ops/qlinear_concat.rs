//! QLinearConcat (com.microsoft): Concat between DequantizeLinear and QuantizeLinear.

use super::shared::spelling;
use super::{Concat, Fragment, ImportContext};
use crate::diag::Diagnostic;

/// Reads the attributes. The output's parameters come first, then (value, scale, zero point) of every input.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let axis = ctx.node.attributes.int("axis")?.ok_or_else(|| {
        Diagnostic::new("E0206", "attribute `axis` is missing").help("the file is damaged: export it again")
    })?;
    let count = ctx.node.inputs.len().saturating_sub(2);
    if count == 0 || !count.is_multiple_of(3) {
        return Err(Diagnostic::new("E0203", "every input needs a scale and a zero point")
            .fact("inputs", ctx.node.inputs.len()));
    }
    let mut f = Fragment::default();
    let inputs = (0..count / 3).map(|i| spelling::dequantize(&mut f, 2 + 3 * i, 1)).collect();
    let y = f.node(Concat { axis }, inputs);
    spelling::quantize(&mut f, ctx, y, 0)?;
    Ok(f)
}
