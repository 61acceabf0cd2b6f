//! BatchNormalization that no convolution before it absorbed: one product and one sum a channel.

use super::shared;
use super::{Args, AxisMap, Export, Fragment, ImportContext, InputRole, Lowering, Operator, OutputRole, QuantRule, Wire};
use crate::diag::Diagnostic;
use crate::kernels::{ConstData, Kernel};
use crate::program::View;
use crate::tensor::{ElemType, TensorType};
use kiln_runtime_core::{self as rt, Window};

/// `y = (x - mean) / sqrt(var + epsilon) * scale + bias`, for each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchNormalization {
    /// Added to the variance.
    pub epsilon: f32,
}

/// Reads the attributes.
pub fn import(ctx: ImportContext) -> Result<Fragment, Diagnostic> {
    let a = &ctx.node.attributes;
    let training = a.int("training_mode")?.unwrap_or(0) != 0;
    if training || ctx.node.outputs.iter().skip(1).any(|o| !o.is_empty()) {
        return Err(Diagnostic::new("E0206", "BatchNormalization is in training mode")
            .help("switch the model to inference before export: `model.eval()` in PyTorch"));
    }
    let op = BatchNormalization { epsilon: a.float("epsilon")?.unwrap_or(1e-5) };
    let mut fragment = Fragment::default();
    fragment.outputs = vec![fragment.node(op, (0..5).map(Wire::Input).collect())];
    Ok(fragment)
}

const INPUTS: [&str; 5] = ["X", "scale", "B", "mean", "var"];

impl Operator for BatchNormalization {
    fn infer(&self, inputs: &Args) -> Result<Vec<TensorType>, Diagnostic> {
        let x = inputs.required(0, INPUTS[0])?.ty;
        let channels = *x.shape.get(1).ok_or_else(|| {
            Diagnostic::new("E0208", "BatchNormalization needs batch and channels")
        })?;
        for (i, name) in INPUTS.iter().enumerate().skip(1) {
            let ty = inputs.required(i, name)?.ty;
            if ty.shape != [channels] {
                return Err(Diagnostic::new("E0202", format!("`{name}` must have shape [{channels}]"))

                    .fact(name, ty));
            }
        }
        Ok(vec![x.clone()])
    }

    fn quantize(&self) -> QuantRule {
        QuantRule { inputs: vec![InputRole::Activation; 5], output: OutputRole::Float }
    }

    fn axes(&self, inputs: &Args) -> AxisMap {
        let rank = inputs.get(0).map_or(0, |x| x.ty.shape.len());
        let link = |a| if a == 1 { vec![(0, 1), (1, 0), (2, 0), (3, 0), (4, 0)] } else { vec![(0, a)] };
        AxisMap((0..rank).map(link).collect())
    }

    fn export(&self, inputs: &Args) -> Export {
        Export::node("BatchNormalization", inputs).float("epsilon", self.epsilon)
    }

    fn lower(&self, b: &mut Lowering) -> Result<(), Diagnostic> {
        let x = b.ty(0)?;
        if x.elem != ElemType::F32 {
            return Err(shared::no_kernel(x.elem, &x));
        }
        let mut values = vec![];
        for (i, name) in INPUTS.iter().enumerate().skip(1) {
            values.push(b.require_constant(i, name)?.to_f64s());
        }
        let factors = (0..x.shape[1]).map(|c| values[0][c] / (values[3][c] + self.epsilon as f64).sqrt());
        let weights: Vec<f64> = factors.collect();
        let bias = (0..x.shape[1]).map(|c| (values[1][c] - values[2][c] * weights[c]) as f32).collect();
        let weights = weights.iter().map(|&w| w as f32).collect();
        let consts = vec![b.table("weights", ConstData::F32(weights)), b.table("bias", ConstData::F32(bias))];
        let (from, to) = (b.view(0)?, b.allocate(0));
        // More than two spatial axes are as good as one.
        let flat = if x.shape.len() > 4 {
            vec![x.shape[0], x.shape[1], x.shape[2..].iter().product()]
        } else {
            x.shape.clone()
        };
        let from = match from.reshape(&flat) {
            Some(view) => view,
            None => View::new(b.contiguous(&from)?.buffer, from.elem, &flat),
        };
        let target = View::new(to.buffer, to.elem, &flat);
        for n in 0..x.shape[0] {
            let (input, output) = (from.image(n), target.image(n));
            let kernel = Kernel::DepthwiseConv2dF32(rt::DepthwiseConv2dF32 {
                input,
                output,
                window: POINT,
                depth_multiplier: 1,
                min: f32::MIN,
                max: f32::MAX,
            });
            b.step(kernel, &[&from], &[&to], consts.clone());
        }
        Ok(())
    }
}

/// A window of one pixel.
const POINT: Window = Window {
    height: 1,
    width: 1,
    stride_h: 1,
    stride_w: 1,
    dilation_h: 1,
    dilation_w: 1,
    pad_top: 0,
    pad_left: 0,
};
