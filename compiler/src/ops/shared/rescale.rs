//! The same real values in another scale, or another integer type.

use super::super::Lowering;
use super::{Clamp, two_multiplier};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::program::View;
use crate::tensor::{ElemType, QParams};
use kiln_runtime_core as rt;

/// Emits int8 or int16 values of scale `x` as such values of scale `y`, within the bounds of `clamp`; a copy when scale and
/// type are the same and there are no bounds.
///
/// # Errors
/// `E0305` when the ratio of the scales does not fit.
pub fn rescale(
    b: &mut Lowering,
    from: &View,
    to: &View,
    (x, y): (&QParams, &QParams),
    clamp: Clamp,
) -> Result<(), Diagnostic> {
    if x == y && from.elem == to.elem && clamp == Clamp::NONE {
        return b.copy(from, to);
    }
    let widest = if to.elem == ElemType::I8 { from.elem } else { to.elem };
    let ratio = x.scale[0] as f64 / y.scale[0] as f64;
    let ([multiplier, _], constant, shift) =
        two_multiplier([ratio, 0.0], [x.zero_point[0], 0], y.zero_point[0], widest)?;
    let (narrow, wide) = (clamp.bounds::<i8>(y), clamp.bounds::<i16>(y));
    macro_rules! kernel {
        ($kernel:ident, ($min:expr, $max:expr)) => {
            b.elementwise(&[from], to, &[], |i| {
                let (input, output, constant) = (i[0], i[1], constant as _);
                let (min, max) = ($min, $max);
                Kernel::$kernel(rt::$kernel { input, output, multiplier, constant, shift, min, max })
            })
        };
    }
    match (from.elem, to.elem) {
        (ElemType::I8, ElemType::I8) => kernel!(RescaleI8, (narrow.0, narrow.1)),
        (ElemType::I8, _) => kernel!(RescaleI8I16, (wide.0, wide.1)),
        (_, ElemType::I8) => kernel!(RescaleI16I8, (narrow.0, narrow.1)),
        _ => kernel!(RescaleI16, (wide.0, wide.1)),
    }
    Ok(())
}
