//! A fused Relu, Relu6 or Clip, in real units.

use super::super::Lowering;
use super::Integer;
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::tensor::{ElemType, QParams};
use kiln_runtime_core as rt;

/// Bounds of an output, in real units; infinite where there is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// Lower bound.
    pub min: f32,
    /// Upper bound.
    pub max: f32,
}

impl Default for Clamp {
    fn default() -> Clamp {
        Clamp::NONE
    }
}

impl Clamp {
    /// No bounds.
    pub const NONE: Clamp = Clamp { min: f32::NEG_INFINITY, max: f32::INFINITY };
    /// Relu.
    pub const RELU: Clamp = Clamp { min: 0.0, max: f32::INFINITY };

    /// This clamp, then `next`: `clamp(clamp(x, a), b)` has bounds clamped by `b`.
    pub fn then(self, next: Clamp) -> Clamp {
        Clamp { min: self.min.max(next.min).min(next.max), max: self.max.max(next.min).min(next.max) }
    }

    /// Bounds as finite floats, which the f32 kernels take (and which print as literals).
    pub fn f32_bounds(self) -> (f32, f32) {
        (self.min.max(f32::MIN), self.max.min(f32::MAX))
    }

    /// Bounds as quantized values of the output: the nearest step, as QuantizeLinear after the clamp gives it.
    pub fn bounds<T: Integer>(self, q: &QParams) -> (T, T) {
        let (low, high) = T::ELEM.bounds();
        let bound = |x: f32| match x {
            x if x == f32::NEG_INFINITY => low,
            x if x == f32::INFINITY => high,
            x => q.quantize_to(x, T::ELEM),
        };
        (T::narrow(bound(self.min)), T::narrow(bound(self.max)))
    }
}

/// Lowers a clamp of input 0 that stands alone.
///
/// # Errors
/// As [`Lowering::view`].
pub fn clamp(b: &mut Lowering, clamp: Clamp) -> Result<(), Diagnostic> {
    let ty = b.ty(0)?;
    match ty.elem {
        ElemType::I8 => return integer::<i8>(b, clamp),
        ElemType::I16 => return integer::<i16>(b, clamp),
        _ => {}
    }
    if ty.elem != ElemType::F32 {
        return Err(super::no_kernel(ty.elem, &ty));
    }
    let (min, max) = clamp.f32_bounds();
    let from = b.view(0)?;
    let to = b.allocate(0);
    b.elementwise(&[&from], &to, &[], |i| {
        Kernel::ClampF32(rt::ClampF32 { input: i[0], output: i[1], min, max })
    });
    Ok(())
}

/// Between equal scales, the bounds; between others, a table of int8 values, and rescaling with the bounds for int16.
fn integer<T: Integer>(b: &mut Lowering, clamp: Clamp) -> Result<(), Diagnostic> {
    let (x, y) = (b.qparams(0)?, b.output_qparams(0)?);
    if x != y && T::ELEM == ElemType::I8 {
        return super::unary(b, |x| x.max(clamp.min).min(clamp.max), |_| None);
    }
    let from = b.view(0)?;
    let to = b.allocate(0);
    if x != y {
        return super::rescale(b, &from, &to, (&x, &y), clamp);
    }
    let bounds = clamp.bounds::<T>(&y);
    b.elementwise(&[&from], &to, &[], |i| T::bounded(i[0], i[1], bounds));
    Ok(())
}
