//! DynamicQuantizeLinear: real numbers as uint8, with the scale that their own range gives.

use super::lowering::tile;
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule, shared};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::program::{View, image};
use crate::tensor::{ElemType, TensorType};
use kiln_runtime_core as rt;

/// `scale = (max(x, 0) - min(x, 0)) / 255`, `zero_point = round_half_even(-min(x, 0) / scale)`, `y = clamp(round_half_even(x /
/// scale) + zero_point)`; outputs y, scale, zero point.
#[derive(Debug, Clone, PartialEq)]
pub struct DynamicQuantizeLinear;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(DynamicQuantizeLinear, ctx.node))
}

impl Operator for DynamicQuantizeLinear {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "x")?.ty;
        if x.elem != ElemType::F32 {
            return Err(shared::no_kernel(x.elem, x));
        }
        let y = TensorType::new(ElemType::U8, x.shape.clone());
        Ok(vec![y, TensorType::scalar(ElemType::F32), TensorType::scalar(ElemType::U8)])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    /// The range is that of the whole tensor: nothing may be cut out of it.
    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(inputs.get(0).map_or(0, |x| x.ty.shape.len()))
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("DynamicQuantizeLinear", inputs).outputs(3)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let from = b.view(0)?;
        let flat = b.contiguous(&from)?;
        let n = flat.elements();
        let range = b.temp(ElemType::F32, &[2]);
        let parameters = image(0, (1, 0), (1, 0), (2, 1));
        let input = image(flat.offset, (1, n), (1, n), (n, 1));
        b.step(
            Kernel::DynamicRangeF32(rt::DynamicRangeF32 { input, output: parameters }),
            &[&flat],
            &[&range],
            vec![],
        );
        let to = b.allocate(0);
        for images in tile(&to.shape, &[from.clone(), to.clone()]) {
            let (input, output) = (images[0], images[1]);
            let params = rt::QuantizeDynamicF32U8 { input, range: parameters, output };
            b.step(Kernel::QuantizeDynamicF32U8(params), &[&from, &range], &[&to], vec![]);
        }
        let value = |i: usize| View { shape: vec![], strides: vec![], offset: i, ..range.clone() };
        b.bind(1, value(0));
        // The zero point as uint8: a whole number in steps of 1.
        let signed = b.temp(ElemType::I8, &[]);
        b.elementwise(&[&value(1)], &signed, &[], |i| {
            Kernel::QuantizeF32I8(rt::QuantizeF32I8 {
                input: i[0],
                output: i[1],
                scale: 1.0,
                zero_point: -128,
            })
        });
        let zero_point = b.allocate(2);
        super::flip_sign::flip(b, &signed, &zero_point);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{error, input, run};
    use super::*;
    use crate::tensor::Tensor;

    #[test]
    fn range_and_values() {
        let x = Tensor::from_f32(&[2, 3], &[0.0, 2.0, -3.0, -2.5, 1.34, 0.5]);
        let y = run(DynamicQuantizeLinear, &[input(x)], None).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(y[0].to_i64s(), [153, 255, 0, 26, 221, 179]);
        assert_eq!((y[0].elem(), y[0].shape()), (ElemType::U8, [2, 3].as_slice()));
        assert_eq!((y[1].to_f32s(), y[2].to_i64s()), (vec![0.019_607_844], vec![153]));
        assert_eq!((y[1].shape().len(), y[2].elem()), (0, ElemType::U8));
    }

    #[test]
    fn errors() {
        insta::assert_snapshot!(error(DynamicQuantizeLinear, &[input(Tensor::from_i32(&[1], &[3]))]), @r"
        error[E0304]: no kernel for elements of type i32
          --> node `op` (DynamicQuantizeLinear)
           | input  i32[1]
           | `x0`   i32[1]
           = help: cast to f32 at export, or quantize to int8
        ");
    }
}
