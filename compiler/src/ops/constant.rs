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

#[cfg(test)]
mod tests {
    use super::super::testing::{imported};
    use super::*;
    use crate::onnx::Attribute;

    #[test]
    fn every_spelling() {
        let of = |name, a| imported(("Constant", 13), (0, 1), &[(name, a)]).map(|f| f.outputs);
        let is = |t| Ok(vec![Wire::Const(t)]);
        let t = Tensor::from_i8(&[1], &[3]);
        assert_eq!(of("value", Attribute::Tensor(t.clone())), is(t));
        assert_eq!(of("value_float", Attribute::Float(1.5)), is(Tensor::from_f32(&[], &[1.5])));
        assert_eq!(of("value_floats", Attribute::Floats(vec![1.5])), is(Tensor::from_f32(&[1], &[1.5])));
        assert_eq!(of("value_int", Attribute::Int(2)), is(Tensor::from_i64(&[], &[2])));
        assert_eq!(of("value_ints", Attribute::Ints(vec![2, 3])), is(Tensor::from_i64(&[2], &[2, 3])));
        insta::assert_snapshot!(of("value_string", Attribute::String("x".into())).unwrap_err(), @r"
        error[E0206]: Constant without a value that is supported
           = help: tensors, floats and integers are; strings and sparse tensors are not
        ");
    }
}
