//! QLinearMatMul: MatMul between DequantizeLinear and QuantizeLinear.

use super::shared::spelling;
use super::{Fragment, ImportContext, MatMul};
use crate::diag::Diagnostic;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    spelling::two_inputs(ctx, MatMul)
}
