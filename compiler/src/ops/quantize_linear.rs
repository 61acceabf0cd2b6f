//! QuantizeLinear: real numbers as 8-bit integers.

use super::shared::{self, Scales, check_scales, quantization_axis};
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule};
use crate::diag::Diagnostic;
use crate::kernels::Kernel;
use crate::tensor::{ElemType, Tensor, TensorType};
use kiln_runtime_core as rt;

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
    // ONNX numbers types; of those, 8-bit ones are supported.
    let elem = match a.int("output_dtype")?.unwrap_or(0) {
        0 | 2 => ElemType::U8,
        3 => ElemType::I8,
        other => {
            return Err(Diagnostic::new("E0206", format!("attribute `output_dtype` is {other}"))
                .help("quantize to int8 (3) or uint8 (2)"));
        }
    };
    Ok(Fragment::single(QuantizeLinear { axis: quantization_axis(a)?, elem }, ctx.node))
}

impl Operator for QuantizeLinear {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, "x")?.ty;
        check_scales(inputs, self.axis)?;
        let elem = inputs.get(2).map_or(self.elem, |zero_point| zero_point.ty.elem);
        if !matches!(elem, ElemType::I8 | ElemType::U8) {
            return Err(Diagnostic::new("E0209", format!("quantization to {elem} is not supported"))
                .help("quantize activations and weights to int8 or uint8"));
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
            (None, ElemType::I8) => export.int("output_dtype", 3),
            _ => export,
        }
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let (x, elem) = (b.ty(0)?, b.output_ty(0).elem);
        let scales = Scales::of(b, self.axis, &x)?;
        if let Some(value) = b.constant(0) {
            b.bind_constant(0, quantize(&value, &scales, elem));
            return Ok(());
        }
        if x.elem != ElemType::F32 {
            return Err(shared::no_kernel(x.elem, &x));
        }
        let (from, to) = (b.view(0)?, b.allocate(0));
        // uint8 is int8 with another zero point and the top bit flipped.
        let unsigned = elem == ElemType::U8;
        let signed = if unsigned { b.temp(ElemType::I8, &x.shape) } else { to.clone() };
        for ((input, scale, zero_point), (output, ..)) in scales.parts(&from).iter().zip(scales.parts(&signed)) {
            let (scale, zero_point) = (*scale, (zero_point - if unsigned { 128 } else { 0 }) as i8);
            b.elementwise(&[input], &output, &[], |i| {
                Kernel::QuantizeF32I8(rt::QuantizeF32I8 { input: i[0], output: i[1], scale, zero_point })
            });
        }
        if unsigned {
            super::flip_sign::flip(b, &signed, &to);
        }
        Ok(())
    }
}

/// A constant's integers.
fn quantize(value: &Tensor, scales: &Scales, elem: ElemType) -> Tensor {
    let (low, high) = if elem == ElemType::U8 { (0.0, 255.0) } else { (-128.0, 127.0) };
    let reals = value.to_f32s();
    let real = |(x, s): (&f32, usize)| {
        let steps = rt::round_half_even((x / scales.scale[s]).clamp(-1000.0, 1000.0));
        (steps + scales.zero_point[s] as f32).clamp(low, high)
    };
    let integers = reals.iter().zip(scales.indices(value.shape())).map(real);
    if elem == ElemType::U8 {
        Tensor::from_u8(value.shape(), &integers.map(|q| q as u8).collect::<Vec<_>>())
    } else {
        Tensor::from_i8(value.shape(), &integers.map(|q| q as i8).collect::<Vec<_>>())
    }
}

/// Every axis follows the same axis of the input; the axis of the scales follows them too.
pub(super) fn per_axis(inputs: &Args, axis: i64) -> AxisMap {
    let rank = inputs.get(0).map_or(0, |x| x.ty.shape.len());
    let mut map = AxisMap((0..rank).map(|a| vec![(0, a)]).collect());
    if let Some(scale) = inputs.get(1)
        && scale.ty.elements() > 1
        && let Ok(axis) = shared::axis(axis, rank)
    {
        map.0[axis].push((1, 0));
        if inputs.get(2).is_some() {
            map.0[axis].push((2, 0));
        }
    }
    map
}
