//! The same real values in another scale.

use super::super::Lowering;
use super::two_multiplier;
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::program::View;
use crate::tensor::QParams;
use kiln_runtime_core as rt;

/// Emits int8 values of scale `x` as int8 values of scale `y`; a copy when they are the same.
///
/// # Errors
/// `E0305` when the ratio of the scales does not fit.
pub fn rescale(b: &mut Lowering, from: &View, to: &View, x: &QParams, y: &QParams) -> Result<(), Diagnostic> {
    if x == y {
        return b.copy(from, to);
    }
    let ratio = x.scale[0] as f64 / y.scale[0] as f64;
    let ([multiplier, _], constant, shift) =
        two_multiplier([ratio, 0.0], [x.zero_point[0], 0], y.zero_point[0])?;
    b.elementwise(&[from], to, &[], |i| {
        Kernel::RescaleI8(rt::RescaleI8 {
            input: i[0],
            output: i[1],
            multiplier,
            constant,
            shift,
            min: -128,
            max: 127,
        })
    });
    Ok(())
}
