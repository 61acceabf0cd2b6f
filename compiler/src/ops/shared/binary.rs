//! Add, Sub, Mul, Div, PRelu: broadcasting, constants as tables, int8 forms.

use super::super::Lowering;
use super::super::lowering::tile;
use super::{Clamp, FixedPoint, Integer, MakeKernel, broadcast, no_kernel, two_multiplier};
use crate::diag::Diagnostic;
use crate::kernels::{ConstData, Kernel};
use crate::ops::Args;
use crate::program::{BufferId, View};
use crate::tensor::{ElemType, Tensor, TensorType, strides};
use kiln_runtime_core as rt;

/// The arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Prelu,
}

impl Binary {
    fn commutes(self) -> bool {
        matches!(self, Binary::Add | Binary::Mul)
    }

    /// On integers, for shape arithmetic; `None` for a division by zero.
    fn integer(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Binary::Add => a.checked_add(b),
            Binary::Sub => a.checked_sub(b),
            Binary::Mul => a.checked_mul(b),
            Binary::Div => a.checked_div(b),
            Binary::Prelu => Some(if a < 0 { a.checked_mul(b)? } else { a }),
        }
    }

    fn kernel_f32(self, p: rt::BinaryF32) -> Kernel {
        match self {
            Binary::Add => Kernel::AddF32(p),
            Binary::Sub => Kernel::SubF32(p),
            Binary::Mul => Kernel::MulF32(p),
            Binary::Div => Kernel::DivF32(p),
            Binary::Prelu => Kernel::PreluF32(p),
        }
    }
}

/// Output type.
///
/// # Errors
/// `E0202` when shapes or element types do not fit together.
pub fn infer_binary(inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
    let (a, b) = (inputs.required(0, "A")?.ty, inputs.required(1, "B")?.ty);
    if a.elem != b.elem {
        return Err(Diagnostic::new("E0202", "operands have different element types")
            .help("cast one of them at export"));
    }
    Ok(vec![super::sized(TensorType::new(a.elem, broadcast(&a.shape, &b.shape)?))?])
}

/// Output type of an operator of any number of operands.
///
/// # Errors
/// As [`infer_binary`].
pub fn infer_variadic(inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
    let mut ty = inputs.required(0, "data_0")?.ty.clone();
    for input in inputs.iter().skip(1) {
        if input.ty.elem != ty.elem {
            return Err(Diagnostic::new("E0202", "operands have different element types")
                .help("cast one of them at export"));
        }
        ty.shape = broadcast(&ty.shape, &input.ty.shape)?;
    }
    Ok(vec![super::sized(ty)?])
}

/// Lowers `clamp(a op b)`.
///
/// # Errors
/// `E0304` for element types without kernel, `E0302` and `E0305` for missing or impossible scales.
pub fn lower_binary(b: &mut Lowering, op: Binary, clamp: Clamp) -> Result<(), Diagnostic> {
    if let Some(folded) = integers(b, op)? {
        b.bind_constant(0, folded);
        return Ok(());
    }
    // A constant comes second, where the kernels take tables.
    let swap = op.commutes() && b.constant(0).is_some() && b.constant(1).is_none();
    let (first, second) = if swap { (1, 0) } else { (0, 1) };
    let ty = b.output_ty(0);
    let kernel: MakeKernel = match ty.elem {
        ElemType::F32 => {
            let (min, max) = clamp.f32_bounds();
            Box::new(move |i| op.kernel_f32(rt::BinaryF32 { a: i[0], b: i[1], output: i[2], min, max }))
        }
        ElemType::I8 => kernel_integer::<i8>(b, op, clamp, first, second)?,
        ElemType::I16 => kernel_integer::<i16>(b, op, clamp, first, second)?,
        elem => return Err(no_kernel(elem, &ty)),
    };
    let a = b.view(first)?;
    let (view, buffer, data) = second_operand(b, second, &ty)?;
    let table = b.table("operand", data);
    let to = b.allocate(0);
    let views = [a.broadcast(&ty.shape), view.broadcast(&ty.shape), to.clone()];
    for images in tile(&ty.shape, &views) {
        b.push(kernel(&images), vec![Some(a.buffer), buffer], vec![to.buffer], vec![table]);
    }
    Ok(())
}

/// The second operand: in memory, or a constant as a table whose images count from its start.
fn second_operand(
    b: &mut Lowering,
    index: usize,
    ty: &TensorType,
) -> Result<(View, Option<BufferId>, ConstData), Diagnostic> {
    let table = |value: &Tensor| match ty.elem {
        ElemType::I8 => i8::table(value),
        ElemType::I16 => i16::table(value),
        _ => ConstData::F32(value.to_f32s()),
    };
    let Some(value) = b.constant(index) else {
        let view = b.view(index)?;
        let buffer = Some(view.buffer);
        return Ok((view, buffer, table(&Tensor::from_f32(&[0], &[]))));
    };
    let data = table(&value);
    let shape = value.shape().to_vec();
    let view =
        View { buffer: BufferId(usize::MAX), elem: ty.elem, strides: strides(&shape), shape, offset: 0 };
    Ok((view, None, data))
}

fn kernel_integer<T: Integer>(
    b: &Lowering,
    op: Binary,
    clamp: Clamp,
    first: usize,
    second: usize,
) -> Result<MakeKernel, Diagnostic> {
    let (qa, qb, qy) = (b.qparams(first)?, b.qparams(second)?, b.output_qparams(0)?);
    let (min, max) = clamp.bounds::<T>(&qy);
    let (sa, sb, sy) = (qa.scale[0] as f64, qb.scale[0] as f64, qy.scale[0] as f64);
    Ok(match op {
        Binary::Add | Binary::Sub => {
            let sign = if op == Binary::Sub { -1.0 } else { 1.0 };
            let points = [qa.zero_point[0], qb.zero_point[0]];
            let ([a_multiplier, b_multiplier], constant, shift) =
                two_multiplier([sa / sy, sign * sb / sy], points, qy.zero_point[0], T::ELEM)?;
            let constant = T::constant(constant);
            Box::new(move |i| {
                let (a, b, output) = (i[0], i[1], i[2]);
                T::add(rt::Add { a, b, output, a_multiplier, b_multiplier, constant, shift, min, max })
            })
        }
        Binary::Mul => {
            let FixedPoint { multiplier, shift } = FixedPoint::new(sa * sb / sy)?;
            let (low, high) = T::ELEM.bounds();
            let bound = (high - low) as i64 * (high - low) as i64;
            super::check_accumulator(0, (-bound, bound), shift, if T::WIDE { 64 } else { 32 })?;
            let points = [&qa, &qb, &qy].map(|q| T::narrow(q.zero_point[0]));
            Box::new(move |i| {
                let [a_zero_point, b_zero_point, output_zero_point] = points;
                T::mul(rt::Mul {
                    a: i[0],
                    b: i[1],
                    output: i[2],
                    a_zero_point,
                    b_zero_point,
                    output_zero_point,
                    multiplier,
                    shift,
                    min,
                    max,
                })
            })
        }
        Binary::Div | Binary::Prelu => return Err(no_kernel(T::ELEM, &b.output_ty(0))),
    })
}

/// Constant integers without scales are shape arithmetic, which has no kernels.
fn integers(b: &Lowering, op: Binary) -> Result<Option<Tensor>, Diagnostic> {
    let constant = b.constant(0).is_some() && b.constant(1).is_some();
    if !constant || !matches!(b.output_ty(0).elem, ElemType::I64 | ElemType::I32) || b.qparams(0).is_ok() {
        return Ok(None);
    }
    super::host(b, |v| op.integer(v[0], v[1])).map(Some)
}
