//! QLinearMul (com.microsoft): Mul between DequantizeLinear and QuantizeLinear.

use super::shared::{Clamp, spelling};
use super::{Fragment, ImportContext, Mul};
use crate::diag::Diagnostic;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    spelling::two_inputs(ctx, Mul { clamp: Clamp::NONE })
}
