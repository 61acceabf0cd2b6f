//! Arithmetic on shapes: integers that are known at compile time, and have no kernels.

use super::super::Lowering;
use crate::diag::Diagnostic;
use crate::program::{BufferId, View};
use crate::tensor::{ElemType, Tensor, TensorType, strides};

/// More elements than any value of a microcontroller's model has.
const MAX_ELEMENTS: usize = 1 << 28;

/// A type that an attribute or a constant asks for, when it is of a size that can be.
///
/// # Errors
/// `E0202` when it is not.
pub fn sized(ty: TensorType) -> Result<TensorType, Diagnostic> {
    if ty.checked_elements().is_some_and(|n| n <= MAX_ELEMENTS) {
        return Ok(ty);
    }
    Err(Diagnostic::new("E0202", format!("a value of shape {:?} is too large", ty.shape))
        .help("the model computes a shape that cannot be meant; check what it is computed from"))
}

/// Output 0 as `f` of the inputs at each place, all of them constant integers or `bool`, broadcast.
///
/// # Errors
/// `E0304` when an input is computed at run time, or is not an integer; `E0209` when a result does not fit its type.
pub fn host(b: &Lowering, f: impl Fn(&[i64]) -> Option<i64>) -> Result<Tensor, Diagnostic> {
    let ty = b.output_ty(0);
    let mut columns = vec![];
    for i in 0..b.inputs() {
        let own = b.ty(i)?;
        let value = b.constant(i).filter(|v| v.elem().is_integer() || v.elem() == ElemType::Bool);
        let value = value.ok_or_else(|| {
            Diagnostic::new("E0304", "computed at compile time only, on integers that say shapes")
                .fact("input", &own)
                .help("export with static shapes, so that what it computes is constant")
        })?;
        columns.push(expand(&value, &ty.shape));
    }
    let at = |i: usize| columns.iter().map(|c| c[i]).collect::<Vec<_>>();
    let values: Option<Vec<i64>> = (0..ty.elements()).map(|i| f(&at(i))).collect();
    values.and_then(|values| integers(&ty, &values)).ok_or_else(|| {
        Diagnostic::new("E0209", "integer arithmetic overflows, or divides by zero")
            .help("the model computes a shape that cannot be meant; check what it is computed from")
    })
}

/// Integers as a tensor; `None` when one does not fit the type, or the type is none of i64, i32 and `bool`.
fn integers(ty: &TensorType, values: &[i64]) -> Option<Tensor> {
    match ty.elem {
        ElemType::I64 => Some(Tensor::from_i64(&ty.shape, values)),
        ElemType::I32 => {
            let values: Result<Vec<i32>, _> = values.iter().map(|&v| i32::try_from(v)).collect();
            Some(Tensor::from_i32(&ty.shape, &values.ok()?))
        }
        ElemType::Bool => {
            Some(Tensor::from_bool(&ty.shape, &values.iter().map(|v| *v != 0).collect::<Vec<_>>()))
        }
        _ => None,
    }
}

/// The values of a constant, broadcast to a shape.
fn expand(value: &Tensor, shape: &[usize]) -> Vec<i64> {
    let own = value.shape().to_vec();
    let from = View {
        buffer: BufferId(usize::MAX),
        elem: value.elem(),
        strides: strides(&own),
        shape: own,
        offset: 0,
    }
    .broadcast(shape);
    let (values, to) = (value.to_i64s(), strides(shape));
    let place =
        |i: usize| -> usize { (0..shape.len()).map(|a| i / to[a] % shape[a].max(1) * from.strides[a]).sum() };
    (0..shape.iter().product()).map(|i| values[place(i)]).collect()
}
