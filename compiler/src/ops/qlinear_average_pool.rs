//! QLinearAveragePool (com.microsoft): AveragePool between DequantizeLinear and QuantizeLinear.

use super::shared::spelling;
use super::{Fragment, ImportContext, AveragePool};
use crate::diag::Diagnostic;

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let op: AveragePool = super::average_pool::attributes(&ctx.node.attributes)?;
    let axes = op.window.kernel.len();
    spelling::pooling(ctx, op, axes)
}
