//! MatMulInteger: the product of two stacks of 8-bit matrices, in 32 bits.

use super::matmul::{product_shape, stacked};
use super::shared::{self, Operand8, check_operand8, check_sums, flip_of};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::program::View;
use crate::tensor::TensorType;
use kiln_runtime_core as rt;

/// `y[.., m, n] = sum((a[.., m, k] - zero_point(a)) * (b[.., k, n] - zero_point(b)))`; int8 or uint8 operands, zero points for the
/// tensor, for rows of A, for columns of B.
#[derive(Debug, Clone, PartialEq)]
pub struct MatMulInteger;

/// Reads the attributes: none.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(MatMulInteger, ctx.node))
}

impl Operator for MatMulInteger {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let (a, b) = (inputs.required(0, "A")?.ty, inputs.required(1, "B")?.ty);
        let shape = product_shape(a, b)?;
        let rows = if a.shape.len() > 1 { a.shape[a.shape.len() - 2] } else { 1 };
        let columns = if b.shape.len() > 1 { b.shape[b.shape.len() - 1] } else { 1 };
        check_operand8(inputs, 0, "A", 2, rows)?;
        check_operand8(inputs, 1, "B", 3, columns)?;
        Ok(shared::sums(shape))
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(inputs.iter().take(2).map(|a| a.ty.shape.len()).max().unwrap_or(0))
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("MatMulInteger", inputs)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let (a_flip, b_flip) = (flip_of(b.ty(0)?.elem), flip_of(b.ty(1)?.elem));
        let lhs = stacked(b.view(0)?, true);
        let weights = Operand8::of(b, 1)?;
        let rhs = stacked(weights.view.clone(), false);
        let (a_zero, b_zero) = (Operand8::zero_point(b, 2)?, Operand8::zero_point(b, 3)?);
        let (rows, inner) = (lhs.shape[lhs.shape.len() - 2], lhs.shape[lhs.shape.len() - 1]);
        let columns = rhs.shape[rhs.shape.len() - 1];
        let matrix = b.constant(1).filter(|w| w.shape().len() == 2).map(|w| w.transpose(&[1, 0]));
        check_sums(b, matrix.as_ref(), 3, inner)?;
        let to = b.allocate(0);
        let mut shape = shared::broadcast(&lhs.shape[..lhs.shape.len() - 2], &rhs.shape[..rhs.shape.len() - 2])?;
        shape.extend([rows, columns]);
        let target = View::new(to.buffer, to.elem, &shape);
        let tables = [("weights", &weights), ("input_zero_point", &a_zero), ("weight_zero_point", &b_zero)];
        let tables: Vec<_> = tables.iter().map(|(name, operand)| b.table(name, operand.data())).collect();
        for [a, w, output] in shared::matrices(&lhs, &rhs, &target) {
            let (a_zero_point, b_zero_point) = (a_zero.rows(rows), b_zero.channels(columns));
            let params = rt::MatMulI8I32 { a, b: w, a_zero_point, b_zero_point, output, a_flip, b_flip };
            let reads = vec![Some(lhs.buffer), weights.buffer, a_zero.buffer, b_zero.buffer];
            b.push(Kernel::MatMulI8I32(params), reads, vec![to.buffer], tables.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Operand, constant, error, input, omitted, value};
    use super::*;
    use crate::tensor::Tensor;

    /// The example of the ONNX specification.
    const A: [u8; 12] = [11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0];
    const B: [u8; 6] = [1, 4, 2, 5, 3, 6];
    const Y: [i32; 8] = [-38, -83, -44, -98, -50, -113, -56, -128];

    fn u8s(shape: &[usize], values: &[u8]) -> Tensor {
        Tensor::from_u8(shape, values)
    }

    #[test]
    fn the_example_of_the_specification_in_every_form() {
        let (a, b) = (u8s(&[4, 3], &A), u8s(&[3, 2], &B));
        let (za, zb) = (u8s(&[1], &[12]), u8s(&[1], &[0]));
        type Make = fn(Tensor) -> Operand;
        let forms: [(Make, Make); 3] = [(constant, constant), (input, constant), (input, input)];
        for (weights, points) in forms {
            let operands = [input(a.clone()), weights(b.clone()), points(za.clone()), points(zb.clone())];
            assert_eq!(value(MatMulInteger, &operands, None).to_i32s(), Y);
        }
        let y = value(MatMulInteger, &[input(a), constant(b), constant(za)], None);
        assert_eq!((y.to_i32s(), y.shape()), (Y.to_vec(), [4, 2].as_slice()));
    }

    #[test]
    fn zero_points_of_rows_and_columns_stacks_and_vectors() {
        let a = Tensor::from_i8(&[2, 2], &[1, 2, -3, 4]);
        let b = u8s(&[2, 3], &[1, 2, 3, 4, 5, 255]);
        let points = [constant(Tensor::from_i8(&[2], &[1, -1])), constant(u8s(&[3], &[0, 1, 2]))];
        let y = value(MatMulInteger, &[&[input(a.clone()), constant(b.clone())][..], &points].concat(), None);
        // Rows [0, 1] and [-2, 5]; columns [1, 4], [1, 4], [1, 253].
        assert_eq!(y.to_i32s(), [4, 4, 253, 18, 18, 1263]);
        let stack = Tensor::from_i8(&[2, 1, 2], &[1, 2, -3, 4]);
        let y = value(MatMulInteger, &[input(stack), input(b.clone())], None);
        assert_eq!((y.shape(), y.to_i32s()), ([2, 1, 3].as_slice(), vec![9, 12, 513, 13, 14, 1011]));
        let y = value(MatMulInteger, &[input(Tensor::from_i8(&[2], &[1, 2])), constant(b)], None);
        assert_eq!((y.shape(), y.to_i32s()), ([3].as_slice(), vec![9, 12, 513]));
    }

    #[test]
    fn errors() {
        let a = || input(u8s(&[1, 2], &[1, 2]));
        let b = || constant(u8s(&[2, 2], &[1, 2, 3, 4]));
        let floats = input(Tensor::from_f32(&[2, 2], &[0.0; 4]));
        insta::assert_snapshot!(error(MatMulInteger, &[a(), floats]), @r"
        error[E0202]: input 1 `B` must be int8 or uint8, it is f32
          --> node `op` (MatMulInteger)
           | `x0`  u8[1, 2]
           | `x1`  f32[2, 2]
        ");
        let signed = constant(Tensor::from_i8(&[], &[1]));
        insta::assert_snapshot!(error(MatMulInteger, &[a(), b(), signed]), @r"
        error[E0202]: `A` is u8, its zero point is i8
          --> node `op` (MatMulInteger)
           | `x0`  u8[1, 2]
           | `x1`  u8[2, 2]
           | `x2`  i8[]
           = help: both have the same type
        ");
        let three = constant(u8s(&[3], &[1, 2, 3]));
        insta::assert_snapshot!(error(MatMulInteger, &[a(), b(), omitted(), three]), @r"
        error[E0202]: the zero point of `B` has another shape
          --> node `op` (MatMulInteger)
           | zero point  u8[3]
           | expected    one value, or 2
           | `x0`        u8[1, 2]
           | `x1`        u8[2, 2]
           | `x3`        u8[3]
           = help: give one for the tensor, or one for each row of A or output channel of the weights
        ");
        let long = 40_000;
        let operands = [input(u8s(&[1, long], &vec![0; long])), constant(u8s(&[long, 1], &vec![255; long]))];
        insta::assert_snapshot!(error(MatMulInteger, &operands), @r"
        error[E0306]: the int32 accumulator of output channel 0 could overflow
          --> node `op` (MatMulInteger)
           | range  -2601000000 to 2601000000
           | limit  -2147483648 to 2147483647
           | `x0`   u8[1, 40000]
           | `x1`   u8[40000, 1]
           = help: use smaller weights or biases in that channel, split the layer, or keep it in float
        ");
    }
}
