//! Makes a float layer of a dynamically quantized one, so that calibration can quantize it statically.
//!
//! Identity, but for the rounding of `x` to 8 bits that the file asks for at run time: with `q, s, z = dynamic_quantize(x)`,
//! `cast(matmul_integer(q, w, z, zw)) * s * sw = ((q - z) * s) @ ((w - zw) * sw)`, where `(q - z) * s` is `x` rounded; likewise
//! ConvInteger. The factors may be multiplied in any order, as ONNX Runtime and other tools do. It runs before all others, and only
//! where a model is calibrated: a model that is compiled as it is computes what the file says. It leaves alone: weights that are
//! computed or have factors that differ along another axis than the output channels', zero points and scales that
//! are not those of the quantized input, and sums that are not brought back to real numbers by exactly these factors.

use super::shared::{self, input, producer, shape};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::shared::Clamp;
use crate::ops::{Conv, MatMul, Op};
use crate::tensor::{ElemType, Tensor};

/// See the module.
#[derive(Debug)]
pub struct DequantizeDynamic;

impl Pass for DequantizeDynamic {
    fn name(&self) -> &'static str {
        "dequantize_dynamic"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let [output] = graph.node(id).outputs[..] else { return Ok(false) };
    let Some(found) = Layer::find(graph, id) else { return Ok(false) };
    let Some(weights) = found.weights(graph) else { return Ok(false) };
    let op: Op = match &graph.node(found.layer).op {
        Op::ConvInteger(op) => {
            Conv { window: op.window.clone(), groups: op.groups, clamp: Clamp::NONE }.into()
        }
        _ => MatMul.into(),
    };
    let (name, origin) = (graph.node(found.layer).name.clone(), graph.node(found.layer).origin.clone());
    let weights = graph.add_constant(&format!("{name}/weights"), weights);
    let layer = graph.add_node(&name, op, vec![Some(found.x), Some(weights)], vec![], origin);
    let Some(ty) = graph.infer(layer)?.into_iter().next().filter(|ty| *ty == graph.value(output).ty) else {
        graph.remove_node(layer);
        return Ok(false);
    };
    debug_assert_eq!(ty.elem, ElemType::F32);
    graph.remove_node(id);
    graph.node_mut(layer).outputs = vec![output];
    // The layer of integers is gone unless something else reads its sums; then the name is free.
    shared::remove_dead(graph);
    if graph.get(found.layer).is_none() {
        graph.node_mut(layer).name = name;
    }
    Ok(true)
}

/// A layer of 8-bit integers, with the factors that make real numbers of its sums.
struct Layer {
    /// The MatMulInteger or ConvInteger.
    layer: NodeId,
    /// What was quantized.
    x: ValueId,
    /// Constant factors.
    factors: Vec<ValueId>,
}

impl Layer {
    /// The layer whose sums node `id`, a Mul, makes real.
    fn find(graph: &Graph, id: NodeId) -> Option<Layer> {
        let (mut leaves, mut pending) = (vec![], vec![graph.node(id).outputs[0]]);
        while let Some(value) = pending.pop() {
            match producer(graph, value) {
                Some((_, node)) if matches!(&node.op, Op::Mul(op) if op.clamp == Clamp::NONE) => {
                    pending.extend(node.inputs.iter().flatten());
                }
                _ => leaves.push(value),
            }
            // More factors than any tool writes.
            if leaves.len() + pending.len() > 8 {
                return None;
            }
        }
        let sums = |v: &ValueId| {
            let (_, cast) = producer(graph, *v).filter(|(_, n)| matches!(n.op, Op::Cast(_)))?;
            let (layer, node) = producer(graph, input(cast, 0)?)?;
            matches!(node.op, Op::MatMulInteger(_) | Op::ConvInteger(_)).then_some(layer)
        };
        let layer = leaves.iter().find_map(sums)?;
        let node = graph.node(layer);
        let (quantize, dynamic) = producer(graph, input(node, 0)?)?;
        let [quantized, scale, zero_point] = dynamic.outputs[..] else { return None };
        if !matches!(dynamic.op, Op::DynamicQuantizeLinear(_))
            || input(node, 0) != Some(quantized)
            || input(node, 2) != Some(zero_point)
        {
            return None;
        }
        let factors: Vec<ValueId> = leaves.iter().copied().filter(|v| graph.constant(*v).is_some()).collect();
        // What is left must be the sums and the scale, each once.
        let others: Vec<_> = leaves.iter().filter(|v| !factors.contains(v)).collect();
        let (of_sums, of_scale) = (
            others.iter().filter(|v| sums(v).is_some()).count(),
            others.iter().filter(|v| ***v == scale).count(),
        );
        let x = input(graph.node(quantize), 0)?;
        (of_sums == 1 && of_scale == 1 && others.len() == 2).then_some(Layer { layer, x, factors })
    }

    /// `(w - zero_point) * factors`.
    fn weights(&self, graph: &Graph) -> Option<Tensor> {
        let node = graph.node(self.layer);
        let w = graph.constant(input(node, 1)?)?;
        let conv = matches!(node.op, Op::ConvInteger(_));
        let rank = w.shape().len();
        let axis = if conv { 0 } else { rank.checked_sub(1)? };
        let channels = *w.shape().get(axis)?;
        let zero = match input(node, 3) {
            Some(point) => per_channel(graph.constant(point)?, channels, None)?,
            None => vec![0.0; channels],
        };
        let output = shape(graph, node.outputs[0]);
        // Channels of the output, counted from its end, where factors broadcast.
        let back = if conv { output.len().checked_sub(1)? } else { 1 };
        let mut scale = vec![1.0f32; channels];
        for &factor in &self.factors {
            let values = per_channel(graph.constant(factor)?, channels, Some(back))?;
            scale.iter_mut().zip(values).for_each(|(s, v)| *s *= v);
        }
        let inner: usize = w.shape()[axis + 1..].iter().product();
        let real = w.to_f32s().into_iter().enumerate().map(|(i, w)| {
            let c = i / inner % channels;
            (w - zero[c]) * scale[c]
        });
        Some(Tensor::from_f32(w.shape(), &real.collect::<Vec<_>>()))
    }
}

/// One number, or one a channel. A factor has them along the axis that lies `back` axes before its end, counted from 1.
fn per_channel(constant: &Tensor, channels: usize, back: Option<usize>) -> Option<Vec<f32>> {
    let values = constant.to_f32s();
    if values.len() == 1 {
        return Some(vec![values[0]; channels]);
    }
    let along = match back {
        Some(back) => {
            constant.shape().len().checked_sub(back).is_some_and(|at| constant.shape()[at] == channels)
        }
        None => true,
    };
    (along && values.len() == channels).then_some(values)
}
