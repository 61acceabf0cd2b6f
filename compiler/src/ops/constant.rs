//! Constant: the value is an attribute.

use super::{Fragment, ImportContext, Wire};
use crate::diag::Diagnostic;
use crate::tensor::Tensor;

/// The attribute as a constant.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    let value = if let Some(tensor) = a.tensor("value")? {
        tensor
    } else if let Some(v) = a.float("value_float")? {
        Tensor::from_f32(&[], &[v])
    } else if let Some(v) = a.floats("value_floats")? {
        Tensor::from_f32(&[v.len()], &v)
    } else if let Some(v) = a.int("value_int")? {
        Tensor::from_i64(&[], &[v])
    } else if let Some(v) = a.ints("value_ints")? {
        Tensor::from_i64(&[v.len()], &v)
    } else {
        return Err(Diagnostic::new("E0206", "Constant without a value that is supported")
            .help("tensors, floats and integers are; strings and sparse tensors are not"));
    };
    Ok(Fragment { nodes: vec![], outputs: vec![Wire::Const(value)] })
}
