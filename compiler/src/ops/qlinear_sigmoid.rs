//! QLinearSigmoid (com.microsoft): Sigmoid between DequantizeLinear and QuantizeLinear.

use super::shared::spelling;
use super::{Fragment, ImportContext, Sigmoid};
use crate::diag::Diagnostic;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    spelling::one_input(ctx, Sigmoid)
}
