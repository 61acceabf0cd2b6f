//! QuantizeLinear: real numbers as integers of 8 or 16 bits; constants also of 4.

use super::shared::{self, Scales, check_scales, quantization_axis};
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::onnx;
use crate::tensor::{ElemType, QParams, Tensor, TensorType};

/// `y = clamp(round_half_even(x / scale) + zero_point)`, to the type of the zero point.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizeLinear {
    /// The axis of per-channel scales.
    pub axis: i64,
    /// Type of the output where no zero point says it.
    pub elem: ElemType,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    // ONNX numbers types; of those, integers of 4, 8 and 16 bits are supported.
    let elem = match a.int("output_dtype")?.unwrap_or(0) {
        0 | 2 => ElemType::U8,
        3 => ElemType::I8,
        4 => ElemType::U16,
        5 => ElemType::I16,
        21 => ElemType::U4,
        22 => ElemType::I4,
        other => {
            return Err(Diagnostic::new("E0206", format!("attribute `output_dtype` is {other}"))
                .help("quantize to int8 (3), uint8 (2), int16 (5) or uint16 (4)"));
        }
    };
    let (axis, block) = quantization_axis(a)?;
    if block != 0 {
        return Err(Diagnostic::new("E0206", "quantization by blocks is not supported")
            .help("store the quantized values, and let a DequantizeLinear read them; or quantize per tensor or channel"));
    }
    Ok(Fragment::single(QuantizeLinear { axis, elem }, ctx.node))
}

impl Operator for QuantizeLinear {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "x")?.ty;
        check_scales(inputs, self.axis, 0)?;
        let elem = inputs.get(2).map_or(self.elem, |zero_point| zero_point.ty.elem);
        let constant = inputs.get(0).is_some_and(|x| x.value.is_some());
        match elem {
            ElemType::I8 | ElemType::U8 | ElemType::I16 | ElemType::U16 => {}
            ElemType::I4 | ElemType::U4 if constant => {}
            _ => {
                return Err(Diagnostic::new("E0209", format!("quantization to {elem} is not supported"))
                    .help("quantize activations to 8 or 16 bits, weights to 4 or 8"));
            }
        }
        Ok(vec![TensorType::new(elem, x.shape.clone())])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule { inputs: vec![InputRole::Activation, InputRole::Shape], output: OutputRole::Float }
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        per_axis(inputs, self.axis)
    }

    fn export(&self, inputs: &Args) -> Export {
        let export = Export::node("QuantizeLinear", inputs).int("axis", self.axis);
        match (inputs.get(2), self.elem) {
            (None, elem) if elem != ElemType::U8 => export.int("output_dtype", onnx::data_type(elem) as i64),
            _ => export,
        }
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let (x, elem) = (b.ty(0)?, b.output_ty(0).elem);
        let scales = Scales::of(b, self.axis, 0, &x)?;
        if let Some(value) = b.constant(0) {
            b.bind_constant(0, quantize(&value, &scales, elem)?);
            return Ok(());
        }
        if x.elem != ElemType::F32 {
            return Err(shared::no_kernel(x.elem, &x));
        }
        let (from, to) = (b.view(0)?, b.allocate(0));
        // An unsigned integer is a signed one with another zero point and the top bit flipped.
        let unsigned = elem != elem.signed();
        let signed = if unsigned { b.temp(elem.signed(), &x.shape) } else { to.clone() };
        let shift = elem.bounds().0 - elem.signed().bounds().0;
        for ((input, scale, zero_point), (output, ..)) in scales.parts(&from).iter().zip(scales.parts(&signed)) {
            shared::quantize(b, input, &output, *scale, zero_point - shift);
        }
        if unsigned {
            super::flip_sign::flip(b, &signed, &to);
        }
        Ok(())
    }
}

/// A constant's integers.
fn quantize(value: &Tensor, scales: &Scales, elem: ElemType) -> Result<Tensor, Diagnostic> {
    let params: Vec<QParams> =
        scales.scale.iter().zip(&scales.zero_point).map(|(s, z)| QParams::per_tensor(*s, *z)).collect();
    let places = scales.indices(value.shape());
    let integers = value.to_f32s().into_iter().zip(places).map(|(x, s)| params[s].quantize_to(x, elem));
    let bytes = integers.flat_map(|q| q.to_le_bytes().into_iter().take(elem.size()));
    Tensor::new(TensorType::new(elem, value.shape()), bytes.collect::<Vec<u8>>())
}

/// Every axis follows the same axis of the input; the axis of the scales follows them too. Along an axis of blocks nothing
/// follows.
pub(super) fn per_axis(inputs: &Args, axis: i64) -> AxisMap {
    let rank = inputs.get(0).map_or(0, |x| x.ty.shape.len());
    let mut map = AxisMap((0..rank).map(|a| vec![(0, a)]).collect());
    if let Some(scale) = inputs.get(1)
        && scale.ty.elements() > 1
        && let Ok(axis) = shared::axis(axis, rank)
    {
        if scale.ty.shape.len() == rank && rank > 1 {
            // Blocks: an index of the axis belongs to no scale alone; the other axes are those of the scales.
            map.0.iter_mut().enumerate().for_each(|(a, links)| links.push((1, a)));
            map.0[axis].clear();
            return map;
        }
        map.0[axis].push((1, 0));
        if inputs.get(2).is_some() {
            map.0[axis].push((2, 0));
        }
    }
    map
}
