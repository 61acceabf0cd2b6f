//! DequantizeLinear: integers as the real numbers that they stand for.

use super::quantize_linear::per_axis;
use super::shared::{self, Scales, check_scales, quantization_axis};
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core as rt;

/// `y = (x - zero_point) * scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct DequantizeLinear {
    /// The axis of per-channel scales.
    pub axis: i64,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let axis = quantization_axis(&ctx.node.attributes)?;
    Ok(Fragment::single(DequantizeLinear { axis }, ctx.node))
}

impl Operator for DequantizeLinear {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "x")?.ty;
        check_scales(inputs, self.axis)?;
        if !matches!(x.elem, ElemType::I8 | ElemType::U8 | ElemType::I32) {
            return Err(Diagnostic::new("E0209", format!("dequantization of {} is not supported", x.elem))
                .help("quantize activations and weights to int8 or uint8, biases to int32"));
        }
        Ok(vec![TensorType::new(ElemType::F32, x.shape.clone())])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule { inputs: vec![InputRole::Activation, InputRole::Shape], output: OutputRole::Float }
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        per_axis(inputs, self.axis)
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("DequantizeLinear", inputs).int("axis", self.axis)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let x = b.ty(0)?;
        let scales = Scales::of(b, self.axis, &x)?;
        if let Some(value) = b.constant(0) {
            b.bind_constant(0, dequantize(&value, &scales));
            return Ok(());
        }
        let from = b.view(0)?;
        let unsigned = x.elem == ElemType::U8;
        let signed = match x.elem {
            ElemType::I8 => from,
            ElemType::U8 => {
                let signed = b.temp(ElemType::I8, &x.shape);
                super::flip_sign::flip(b, &from, &signed);
                signed
            }
            elem => return Err(shared::no_kernel(elem, &x)),
        };
        let to = b.allocate(0);
        for ((input, scale, zero_point), (output, ..)) in scales.parts(&signed).iter().zip(scales.parts(&to)) {
            let (scale, zero_point) = (*scale, (zero_point - if unsigned { 128 } else { 0 }) as i8);
            b.elementwise(&[input], &output, &[], |i| {
                Kernel::DequantizeI8F32(rt::DequantizeI8F32 { input: i[0], output: i[1], scale, zero_point })
            });
        }
        Ok(())
    }
}

/// A constant's real numbers.
fn dequantize(value: &Tensor, scales: &Scales) -> Tensor {
    let integers = value.to_i64s();
    let real = |(q, s): (&i64, usize)| (q - scales.zero_point[s] as i64) as f32 * scales.scale[s];
    let reals: Vec<f32> = integers.iter().zip(scales.indices(value.shape())).map(real).collect();
    Tensor::from_f32(value.shape(), &reals)
}
