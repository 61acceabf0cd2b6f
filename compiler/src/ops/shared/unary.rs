//! Unary functions: a float kernel, or on int8 a table made by the same function.

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
/// `None`, only int8 is supported.
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
