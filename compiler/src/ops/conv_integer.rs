//! ConvInteger: 1-D and 2-D convolution of 8-bit integers, in 32 bits.

use super::conv::{self, Conv, channels_last};
use super::shared::{self, Clamp, Operand8, check_operand8, check_sums, flip_of};
use super::{Arg, Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::ops::shared::WindowSpec;
use crate::tensor::{ElemType, TensorType};
use kiln_runtime_core as rt;

/// `y[n, m] = sum((x[n, c] - zero_point(x)) * (w[m, c] - zero_point(w)))` over the window and the input channels of the group;
/// padding is the zero point of `x`.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvInteger {
    /// Strides, dilations and padding; the kernel extents are those of the weights.
    pub window: WindowSpec,
    /// Number of groups.
    pub groups: usize,
}

/// Reads the attributes: those of Conv.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let Conv { window, groups, .. } = conv::attributes(&ctx.node.attributes)?;
    Ok(Fragment::single(ConvInteger { window, groups }, ctx.node))
}

impl ConvInteger {
    fn conv(&self) -> Conv {
        Conv { window: self.window.clone(), groups: self.groups, clamp: Clamp::NONE }
    }
}

impl Operator for ConvInteger {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let (x, w) = (inputs.required(0, "x")?.ty, inputs.required(1, "w")?.ty);
        let operands = [x, w].map(|ty| Some(Arg { ty, value: None, qparams: None }));
        let shape = self.conv().infer(&Args(&operands))?.remove(0).shape;
        check_operand8(inputs, 0, "x", 2, 1)?;
        check_operand8(inputs, 1, "w", 3, w.shape[0])?;
        Ok(shared::sums(shape))
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::none(inputs.get(0).map_or(0, |x| x.ty.shape.len()))
    }

    fn export(&self, inputs: &Args) -> Export {
        let export = Export::node("ConvInteger", inputs).int("group", self.groups as i64);
        self.window.export(export)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let weights = b.require_constant(1, "w")?;
        let x = b.ty(0)?;
        let window = self.window.resolve(&x.shape[2..], Some(&weights.shape()[2..]))?.window();
        let packed = channels_last(&weights);
        let channels = weights.shape()[0];
        check_sums(b, Some(&packed), 3, packed.elements() / channels.max(1))?;
        let (input_flip, weight_flip) = (flip_of(x.elem), flip_of(weights.elem()));
        let (x_zero, w_zero) = (Operand8::zero_point(b, 2)?, Operand8::zero_point(b, 3)?);
        let (from, to) = (b.view(0)?, b.allocate(0));
        debug_assert_eq!(to.elem, ElemType::I32);
        let weights = Operand8::table(&packed);
        let tables = [("weights", &weights), ("input_zero_point", &x_zero), ("weight_zero_point", &w_zero)];
        let tables: Vec<_> = tables.iter().map(|(name, operand)| b.table(name, operand.data())).collect();
        for n in 0..x.shape[0] {
            let params = rt::Conv2dI8I32 {
                input: from.image(n),
                input_zero_point: x_zero.channels(1),
                weight_zero_point: w_zero.channels(channels),
                output: to.image(n),
                window,
                groups: self.groups,
                input_flip,
                weight_flip,
            };
            let reads = vec![Some(from.buffer), x_zero.buffer, w_zero.buffer];
            b.push(Kernel::Conv2dI8I32(params), reads, vec![to.buffer], tables.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{constant, error, imported, input, omitted, value};
    use super::*;
    use crate::onnx::Attribute;
    use crate::ops::shared::{AutoPad, Padding};
    use crate::tensor::Tensor;

    fn conv(pads: &[usize], groups: usize) -> ConvInteger {
        let padding = Padding { auto: AutoPad::NotSet, pads: pads.to_vec() };
        let none = vec![];
        let window = WindowSpec { kernel: none.clone(), strides: none.clone(), dilations: none, padding, ceil_mode: false };
        ConvInteger { window, groups }
    }

    /// The example of the ONNX specification.
    #[test]
    fn padding_is_the_zero_point() {
        let x = Tensor::from_u8(&[1, 1, 3, 3], &[2, 3, 4, 5, 6, 7, 8, 9, 10]);
        let w = Tensor::from_u8(&[1, 1, 2, 2], &[1, 1, 1, 1]);
        let zero = Tensor::from_u8(&[], &[1]);
        for point in [constant, input] {
            let operands = [input(x.clone()), constant(w.clone()), point(zero.clone())];
            assert_eq!(value(conv(&[], 1), &operands, None).to_i32s(), [12, 16, 24, 28]);
            let padded = value(conv(&[1, 1, 1, 1], 1), &operands, None);
            assert_eq!(padded.to_i32s(), [1, 3, 5, 3, 5, 12, 16, 9, 11, 24, 28, 15, 7, 15, 17, 9]);
        }
    }

    #[test]
    fn groups_channels_lines_and_batches() {
        // Two groups of one channel, two outputs each; weights in int8 with a zero point for each output.
        let x = Tensor::from_u8(&[2, 2, 3], &[1, 2, 3, 10, 20, 30, 4, 5, 6, 0, 0, 255]);
        let w = Tensor::from_i8(&[4, 1, 2], &[1, 1, 2, 0, -1, 1, 3, 4]);
        let points = [constant(Tensor::from_u8(&[], &[1])), constant(Tensor::from_i8(&[4], &[0, 1, 0, 3]))];
        let y = value(conv(&[], 2), &[&[input(x), constant(w)][..], &points].concat(), None);
        assert_eq!(y.shape(), [2, 4, 2]);
        // Differences [0, 1, 2], [9, 19, 29] and [3, 4, 5], [-1, -1, 254]; weights [1, 1], [1, -1], [-1, 1], [0, 1].
        let first = [1, 3, -1, -1, 10, 10, 19, 29];
        let second = [7, 9, -1, -1, 0, 255, -1, 254];
        assert_eq!(y.to_i32s(), [first, second].concat());
    }

    #[test]
    fn errors() {
        let x = || input(Tensor::from_u8(&[1, 1, 2, 2], &[0; 4]));
        let w = || constant(Tensor::from_u8(&[2, 1, 1, 1], &[0; 2]));
        let weights = input(Tensor::from_u8(&[2, 1, 1, 1], &[0; 2]));
        insta::assert_snapshot!(error(conv(&[], 1), &[x(), weights]), @r"
        error[E0301]: input 1 `w` must be constant
          --> node `op` (ConvInteger)
           | w     u8[2, 1, 1, 1]
           | `x0`  u8[1, 1, 2, 2]
           | `x1`  u8[2, 1, 1, 1]
           = help: bake it into the model as an initializer
        ");
        let points = constant(Tensor::from_u8(&[3], &[0; 3]));
        insta::assert_snapshot!(error(conv(&[], 1), &[x(), w(), omitted(), points]), @r"
        error[E0202]: the zero point of `w` has another shape
          --> node `op` (ConvInteger)
           | zero point  u8[3]
           | expected    one value, or 2
           | `x0`        u8[1, 1, 2, 2]
           | `x1`        u8[2, 1, 1, 1]
           | `x3`        u8[3]
           = help: give one for the tensor, or one for each row of A or output channel of the weights
        ");
        insta::assert_snapshot!(imported(("ConvInteger", 10), (2, 1), &[("group", Attribute::Int(0))]).unwrap_err(), @r"
        error[E0206]: attribute `group` must be at least 1
        ");
    }
}
