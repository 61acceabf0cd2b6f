//! QLinearSoftmax (com.microsoft): Softmax between DequantizeLinear and QuantizeLinear.

use super::shared::spelling;
use super::{Fragment, ImportContext, Softmax};
use crate::diag::Diagnostic;

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    // The attribute says which version of Softmax is meant.
    let flatten = a.int("opset")?.unwrap_or(13) < 13;
    spelling::one_input(ctx, Softmax { axis: a.int("axis")?.unwrap_or(-1), flatten })
}
