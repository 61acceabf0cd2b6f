//! QLinearLeakyRelu (com.microsoft): LeakyRelu between DequantizeLinear and QuantizeLinear.

use super::shared::spelling;
use super::{Fragment, ImportContext, LeakyRelu};
use crate::diag::Diagnostic;

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let alpha = ctx.node.attributes.float("alpha")?.unwrap_or(0.01);
    spelling::one_input(ctx, LeakyRelu { alpha })
}
