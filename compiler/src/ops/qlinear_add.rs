//! QLinearAdd (com.microsoft): Add between DequantizeLinear and QuantizeLinear.

use super::shared::{Clamp, spelling};
use super::{Fragment, ImportContext, Add};
use crate::diag::Diagnostic;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    spelling::two_inputs(ctx, Add { clamp: Clamp::NONE })
}
