//! QLinearConv: Conv between DequantizeLinear and QuantizeLinear.

use super::shared::spelling;
use super::{Fragment, ImportContext, Op, Wire};
use crate::diag::Diagnostic;

/// Reads the attributes, which are Conv's.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let Some((Op::Conv(conv), ..)) = super::conv::import(ctx)?.nodes.into_iter().next() else {
        return Err(Diagnostic::new("E0901", "internal error: QLinearConv without a Conv"));
    };
    let mut f = Fragment::default();
    let mut inputs = vec![spelling::dequantize(&mut f, 0, 1), spelling::dequantize(&mut f, 3, 0)];
    if spelling::has_input(ctx, 8) {
        inputs.push(spelling::dequantize_bias(&mut f, 8, [Wire::Input(1), Wire::Input(4)]));
    }
    let y = f.node(conv, inputs);
    spelling::quantize(&mut f, ctx, y, 6)?;
    Ok(f)
}
