//! QLinearGlobalAveragePool (com.microsoft): GlobalAveragePool between DequantizeLinear and QuantizeLinear.

use super::shared::spelling;
use super::{Fragment, ImportContext, GlobalAveragePool};
use crate::diag::Diagnostic;

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    // Images with channels last are two-dimensional; type inference says so when they are not.
    spelling::pooling(ctx, GlobalAveragePool, 2)
}
