//! Unary functions: a float kernel, or on integers a table made by the same function, whole for int8, interpolated for int16.

use super::super::Lowering;
use crate::diag::Diagnostic;
use crate::kernels::{ConstData, Kernel};
use crate::tensor::{ElemType, QParams};
use kiln_runtime_core::{self as rt, Image};

/// The 256 outputs of `f` between two quantizations: `table[q + 128] = quantize(f(dequantize(q)))`.
pub fn lookup_table(f: impl Fn(f32) -> f32, x: &QParams, y: &QParams) -> Vec<i8> {
    (-128..=127i32)
        .map(|q| {
            let real = (q - x.zero_point.first().copied().unwrap_or(0)) as f32
                * x.scale.first().copied().unwrap_or(1.0);
            y.quantize(f(real))
        })
        .collect()
}

/// Lowers `y = f(x)` of input 0. `kernel` gives the float kernel's call for the images of input and output; where it gives
/// `None`, only integers are supported.
///
/// # Errors
/// `E0302` for int8 without quantization parameters, `E0304` for an element type without a kernel.
pub fn unary(
    b: &mut Lowering,
    f: impl Fn(f32) -> f32,
    kernel: impl Fn(&[Image]) -> Option<Kernel>,
) -> Result<(), Diagnostic> {
    let ty = b.ty(0)?;
    if ty.elem == ElemType::I8 {
        let table = lookup_table(f, &b.qparams(0)?, &b.output_qparams(0)?);
        let table = b.table("table", ConstData::I8(table));
        let from = b.view(0)?;
        let to = b.allocate(0);
        b.elementwise(&[&from], &to, &[table], |i| {
            Kernel::LookupI8(rt::LookupI8 { input: i[0], output: i[1] })
        });
        return Ok(());
    }
    if ty.elem == ElemType::I16 {
        return interpolated(b, f, kernel);
    }
    let probe = Image {
        offset: 0,
        height: 0,
        width: 0,
        channels: 0,
        layout: rt::Layout { row: 0, col: 0, chan: 0 },
        ring: 1,
    };
    if ty.elem != ElemType::F32 || kernel(&[probe, probe]).is_none() {
        return Err(Diagnostic::new("E0304", format!("no kernel for elements of type {}", ty.elem))
            .fact("input", &ty)
            .help("cast to f32 at export"));
    }
    let from = b.view(0)?;
    let to = b.allocate(0);
    // The kernel was there for the probe, so it is there for every image.
    b.elementwise(&[&from], &to, &[], |i| {
        kernel(i).unwrap_or(Kernel::Copy32(rt::Copy { input: i[0], output: i[1] }))
    });
    Ok(())
}

/// Largest deviation, in steps, of an interpolated function from the function itself.
const TOLERANCE: i32 = 2;

/// int16: a table of every 128th value where interpolation is within [`TOLERANCE`] of the function at every input;
/// otherwise, as for functions with a corner between two entries, the float kernel between conversions.
fn interpolated(
    b: &mut Lowering,
    f: impl Fn(f32) -> f32,
    kernel: impl Fn(&[Image]) -> Option<Kernel>,
) -> Result<(), Diagnostic> {
    let (x, y) = (b.qparams(0)?, b.output_qparams(0)?);
    let exact = |q: i32| y.quantize_to(f((q - x.zero_point[0]) as f32 * x.scale[0]), ElemType::I16);
    let table: Vec<i16> = (0..=512).map(|i| exact(-32_768 + 128 * i) as i16).collect();
    let close = (0..1 << 16).all(|at: i32| {
        let (low, high) = (table[(at >> 7) as usize] as i32, table[(at >> 7) as usize + 1] as i32);
        let value = low + (((high - low) * (at & 127) + 64) >> 7);
        (value - exact(at - 32_768)).abs() <= TOLERANCE
    });
    let (from, to) = (b.view(0)?, b.allocate(0));
    if close {
        let table = b.table("table", ConstData::I16(table));
        b.elementwise(&[&from], &to, &[table], |i| {
            Kernel::LookupI16(rt::LookupI16 { input: i[0], output: i[1] })
        });
        return Ok(());
    }
    let real = b.temp(ElemType::F32, &from.shape.clone());
    super::dequantize(b, &from, &real, x.scale[0], x.zero_point[0]);
    let result = b.temp(ElemType::F32, &from.shape.clone());
    b.elementwise(&[&real], &result, &[], |i| {
        kernel(i).unwrap_or(Kernel::Copy32(rt::Copy { input: i[0], output: i[1] }))
    });
    super::quantize(b, &result, &to, y.scale[0], y.zero_point[0]);
    Ok(())
}
