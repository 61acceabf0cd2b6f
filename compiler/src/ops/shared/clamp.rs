//! A fused Relu, Relu6 or Clip, in real units.

use super::super::Lowering;
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
    pub fn i8_bounds(self, q: &QParams) -> (i8, i8) {
        let bound = |x: f32| match x {
            x if x == f32::NEG_INFINITY => -128,
            x if x == f32::INFINITY => 127,
            x => q.quantize(x),
        };
        (bound(self.min), bound(self.max))
    }
}

/// Lowers a clamp of input 0 that stands alone.
///
/// # Errors
/// As [`Lowering::view`].
pub fn clamp(b: &mut Lowering, clamp: Clamp) -> Result<(), Diagnostic> {
    if b.ty(0)?.elem == ElemType::I8 {
        let (x, y) = (b.qparams(0)?, b.output_qparams(0)?);
        if x != y {
            return super::unary(b, |x| x.max(clamp.min).min(clamp.max), |_| None);
        }
        let (min, max) = clamp.i8_bounds(&y);
        let from = b.view(0)?;
        let to = b.allocate(0);
        b.elementwise(&[&from], &to, &[], |i| {
            Kernel::ClampI8(rt::ClampI8 { input: i[0], output: i[1], min, max })
        });
        return Ok(());
    }
    let ty = b.ty(0)?;
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
