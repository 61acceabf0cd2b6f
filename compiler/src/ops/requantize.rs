//! Requantize, which ONNX spells as DequantizeLinear and QuantizeLinear: the same real values in another scale, or as
//! integers of another width.

use super::shared::{self, Clamp};
use super::{Args, AxisMap, Export, Fragment, ImportContext, Lowering, Operator, QuantRule, Wire};
use crate::diag::Diagnostic;
use crate::tensor::{ElemType, QParams, Tensor, TensorType};

/// Integers of 8 or 16 bits, per tensor, as integers of type `elem` with the given scale and zero point.
#[derive(Debug, Clone, PartialEq)]
pub struct Requantize {
    /// Type of the output.
    pub elem: ElemType,
    /// Scale of the output.
    pub scale: f32,
    /// Zero point of the output.
    pub zero_point: i32,
}

/// Never called: no ONNX operator has this name.
#[allow(dead_code)]
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    Ok(Fragment::single(Requantize { elem: ElemType::I8, scale: 1.0, zero_point: 0 }, ctx.node))
}

impl Operator for Requantize {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        Ok(vec![TensorType::new(self.elem, inputs.required(0, "X")?.ty.shape.clone())])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule::float()
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        AxisMap::elementwise(inputs)
    }

    fn export(&self, inputs: &Args) -> Export {
        let x = inputs.get(0);
        let from = x.and_then(|x| x.qparams.cloned()).unwrap_or(QParams::per_tensor(1.0, 0));
        let params = |q: &QParams, elem| {
            let point = if elem == ElemType::I16 {
                Tensor::from_i16(&[], &[q.zero_point[0] as i16])
            } else {
                Tensor::from_i8(&[], &[q.zero_point[0] as i8])
            };
            vec![Wire::Const(Tensor::from_f32(&[], &q.scale[..1])), Wire::Const(point)]
        };
        let elem = x.map_or(ElemType::I8, |x| x.ty.elem);
        let wires = [Wire::Input(0)].into_iter().chain(params(&from, elem)).collect();
        let to = QParams::per_tensor(self.scale, self.zero_point);
        Export::with_inputs("DequantizeLinear", wires).then("QuantizeLinear", params(&to, self.elem))
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let (x, from) = (b.qparams(0)?, b.view(0)?);
        let to = b.allocate(0);
        shared::rescale(b, &from, &to, (&x, &QParams::per_tensor(self.scale, self.zero_point)), Clamp::NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{input, value};
    use super::*;

    #[test]
    fn between_widths() {
        let x = input(Tensor::from_i8(&[3], &[-128, 3, 127])).q(0.5, 3);
        let wide = Requantize { elem: ElemType::I16, scale: 0.5 / 256.0, zero_point: 768 };
        assert_eq!(value(wide, &[x], None).to_i64s(), [-32_768, 768, 32_512]);
        let x = input(Tensor::from_i16(&[4], &[-32_768, 127, 128, 32_767])).q(0.5 / 256.0, 0);
        let narrow = Requantize { elem: ElemType::I8, scale: 0.5, zero_point: 0 };
        assert_eq!(value(narrow, &[x], None).to_i64s(), [-128, 0, 1, 127]);
    }
}
