//! DequantizeLinear: integers as the real numbers that they stand for.

use super::quantize_linear::per_axis;
use super::shared::{self, Scales, check_scales, quantization_axis};
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::tensor::{ElemType, Tensor, TensorType};

/// `y = (x - zero_point) * scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct DequantizeLinear {
    /// The axis of per-channel or blocked scales.
    pub axis: i64,
    /// Indices of the axis that share a scale; 0 for one scale for each, or for all.
    pub block: usize,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let (axis, block) = quantization_axis(&ctx.node.attributes)?;
    Ok(Fragment::single(DequantizeLinear { axis, block }, ctx.node))
}

impl Operator for DequantizeLinear {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "x")?.ty;
        check_scales(inputs, self.axis, self.block)?;
        let constant = inputs.get(0).is_some_and(|x| x.value.is_some());
        match x.elem {
            ElemType::I8 | ElemType::U8 | ElemType::I16 | ElemType::U16 if self.block == 0 || constant => {}
            ElemType::I4 | ElemType::U4 if constant => {}
            ElemType::I32 if self.block == 0 => {}
            elem => {
                let blocks = if self.block == 0 { "" } else { " by blocks" };
                return Err(Diagnostic::new("E0209", format!("dequantization of {elem}{blocks} is not supported"))
                    .help("quantize activations to 8 or 16 bits, weights to 4 or 8, biases to int32; blocks are for constants"));
            }
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
        let export = Export::node("DequantizeLinear", inputs).int("axis", self.axis);
        if self.block == 0 { export } else { export.int("block_size", self.block as i64) }
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let x = b.ty(0)?;
        let scales = Scales::of(b, self.axis, self.block, &x)?;
        if let Some(value) = b.constant(0) {
            b.bind_constant(0, dequantize(&value, &scales));
            return Ok(());
        }
        let from = b.view(0)?;
        let signed = match x.elem {
            ElemType::I8 | ElemType::I16 => from,
            ElemType::U8 | ElemType::U16 => {
                let signed = b.temp(x.elem.signed(), &x.shape);
                super::flip_sign::flip(b, &from, &signed);
                signed
            }
            elem => return Err(shared::no_kernel(elem, &x)),
        };
        let shift = x.elem.bounds().0 - signed.elem.bounds().0;
        let to = b.allocate(0);
        for ((input, scale, zero_point), (output, ..)) in scales.parts(&signed).iter().zip(scales.parts(&to)) {
            shared::dequantize(b, input, &output, *scale, zero_point - shift);
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
