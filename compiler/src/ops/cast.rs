//! Cast: constants to any type; at run time from i32 to f32, or to the type that the value has.

use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::onnx::data_type;
use crate::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core as rt;

/// To another element type.
#[derive(Debug, Clone, PartialEq)]
pub struct Cast {
    /// The type.
    pub to: ElemType,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let to = match ctx.node.attributes.int("to")? {
        Some(1) => ElemType::F32,
        Some(2) => ElemType::U8,
        Some(3) => ElemType::I8,
        Some(6) => ElemType::I32,
        Some(7) => ElemType::I64,
        Some(9) => ElemType::Bool,
        Some(11) => ElemType::F64,
        None => {
            return Err(Diagnostic::new("E0206", "attribute `to` is missing")
                .help("the file is damaged: export it again"));
        }
        Some(other) => {
            return Err(Diagnostic::new("E0206", format!("Cast to ONNX's data type {other} is not supported"))
                .help("cast to f32, an integer of 8, 32 or 64 bits, or bool"));
        }
    };
    Ok(Fragment::single(Cast { to }, ctx.node))
}

impl Operator for Cast {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        Ok(vec![TensorType::new(self.to, inputs.required(0, "input")?.ty.shape.clone())])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("Cast", inputs).int("to", data_type(self.to).into())
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        if let Some(value) = b.constant(0) {
            b.bind_constant(0, convert(&value, self.to));
            return Ok(());
        }
        let ty = b.ty(0)?;
        if ty.elem == self.to {
            let view = b.view(0)?;
            b.bind(0, view);
            return Ok(());
        }
        if (ty.elem, self.to) == (ElemType::I32, ElemType::F32) {
            let (from, to) = (b.view(0)?, b.allocate(0));
            b.elementwise(&[&from], &to, &[], |i| {
                Kernel::CastI32F32(rt::CastI32F32 { input: i[0], output: i[1] })
            });
            return Ok(());
        }
        Err(Diagnostic::new("E0304", format!("no kernel casts {} to {} at run time", ty.elem, self.to))
            .fact("input", &ty)
            .help("export the model with one element type; constants may be cast"))
    }
}

/// Numeric conversion as ONNX defines it.
fn convert(value: &Tensor, to: ElemType) -> Tensor {
    let shape = value.shape();
    match to {
        ElemType::F32 => Tensor::from_f32(shape, &value.to_f32s()),
        ElemType::F64 => Tensor::from_f64(shape, &value.to_f64s()),
        ElemType::I8 => Tensor::from_i8(shape, &value.to_i8s()),
        ElemType::U8 => Tensor::from_u8(shape, &value.to_u8s()),
        ElemType::I32 => Tensor::from_i32(shape, &value.to_i32s()),
        ElemType::Bool => Tensor::from_bool(shape, &value.to_f64s().iter().map(|v| *v != 0.0).collect::<Vec<_>>()),
        _ => Tensor::from_i64(shape, &value.to_i64s()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, count, error, floats, folded, imported, input, list};
    use super::*;
    use crate::onnx::Attribute;

    #[test]
    fn constants_convert() {
        let x = constant(Tensor::from_f32(&[3], &[-1.7, 0.0, 2.5]));
        let to = |to| folded(Cast { to }, std::slice::from_ref(&x)).1;
        assert_eq!([ElemType::I64, ElemType::I32, ElemType::I8].map(to), [[-1, 0, 2]; 3]);
        assert_eq!(to(ElemType::Bool), [1, 0, 1]);
        assert_eq!(floats(Cast { to: ElemType::F32 }, &[list(&[3])]).1, [3.0]);
        assert_eq!(floats(Cast { to: ElemType::F32 }, &[count(&[2])]).1, [0.0, 1.0]);
    }

    #[test]
    fn integers_become_floats_at_run_time() {
        let x = input(Tensor::from_i32(&[4], &[i32::MIN, -3, 0, 16_777_217]));
        let y = floats(Cast { to: ElemType::F32 }, &[x]).1;
        assert_eq!(y, [-2_147_483_648.0, -3.0, 0.0, 16_777_216.0], "the last one is a tie, to even");
    }

    #[test]
    fn errors() {
        insta::assert_snapshot!(error(Cast { to: ElemType::I32 }, &[count(&[2])]), @r"
        error[E0304]: no kernel casts f32 to i32 at run time
          --> node `op` (Cast)
           | input  f32[2]
           | `x0`   f32[2]
           = help: export the model with one element type; constants may be cast
        ");
        insta::assert_snapshot!(imported(("Cast", 13), (1, 1), &[("to", Attribute::Int(8))]).unwrap_err(), @r"
        error[E0206]: Cast to ONNX's data type 8 is not supported
           = help: cast to f32, an integer of 8, 32 or 64 bits, or bool
        ");
    }
}
