//! FlipSign, which ONNX does not have: uint8 as int8 and back, by the top bit (`q - 128` of the unsigned value), and uint16 as
//! int16 (`q - 32768`).

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule, Wire};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::program::View;
use crate::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core as rt;

/// `y = x ^ 0x80`, or `x ^ 0x8000`.
#[derive(Debug, Clone, PartialEq)]
pub struct FlipSign;

/// Never called: no ONNX operator has this name.
#[allow(dead_code)]
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(FlipSign, ctx.node))
}

impl Operator for FlipSign {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "X")?.ty;
        let elem = match x.elem {
            ElemType::U8 => ElemType::I8,
            ElemType::I8 => ElemType::U8,
            ElemType::U16 => ElemType::I16,
            ElemType::I16 => ElemType::U16,
            other => return Err(shared::no_kernel(other, x)),
        };
        Ok(vec![TensorType::new(elem, x.shape.clone())])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        // `q - 128` as the real value of scale 1, exactly.
        let from_unsigned = inputs.get(0).is_some_and(|x| x.ty.elem == ElemType::U8);
        let (signed, unsigned) = (Tensor::from_i8(&[], &[0]), Tensor::from_u8(&[], &[128]));
        let (from, to) = if from_unsigned { (unsigned, signed) } else { (signed, unsigned) };
        let one = || Wire::Const(Tensor::from_f32(&[], &[1.0]));
        let export = Export::with_inputs("DequantizeLinear", vec![Wire::Input(0), one(), Wire::Const(from)]);
        export.then("QuantizeLinear", vec![one(), Wire::Const(to)])
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        if let Some(value) = b.constant(0) {
            // The sign is in the last byte of an element, the only one of 8 bits.
            let size = value.elem().size();
            let flip = |(i, x): (usize, &u8)| if i % size == size - 1 { x ^ 0x80 } else { *x };
            let bytes: Vec<u8> = value.bytes().iter().enumerate().map(flip).collect();
            b.bind_constant(0, Tensor::new(b.output_ty(0), bytes)?);
            return Ok(());
        }
        let (from, to) = (b.view(0)?, b.allocate(0));
        flip(b, &from, &to);
        Ok(())
    }
}

/// Emits the conversion of one view into another.
pub(super) fn flip(b: &mut Lowering, from: &View, to: &View) {
    let wide = from.elem.size() == 2;
    b.elementwise(&[from], to, &[], |i| match wide {
        true => Kernel::FlipSign16(rt::FlipSign16 { input: i[0], output: i[1] }),
        false => Kernel::FlipSign(rt::FlipSign { input: i[0], output: i[1] }),
    });
}
