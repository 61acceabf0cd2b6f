//! Makes weights and bias of a BatchNormalization, or of a multiplication, behind a layer.
//!
//! Identity: with `k = gamma / sqrt(variance + epsilon)`, `k * (conv(x, w) + b - mean) + beta = conv(x, k * w) + (k * (b - mean) + beta)`; a
//! product with one number for each channel is the case without mean and beta. It comes behind the motion that makes the two
//! neighbours, and before the clamps are fused, for a clamp between them would be in other units. It leaves alone: a layer
//! whose output something else reads, and weights that are not constant floats (integers cannot take a factor).

use super::channels::{self, Layer};
use super::shared::{self, Weight, input, shape};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::ops::shared::Clamp;
use crate::tensor::{Tensor, strides};

/// See the module.
#[derive(Debug)]
pub struct FoldBatchNormalization;

impl Pass for FoldBatchNormalization {
    fn name(&self) -> &'static str {
        "fold_batch_normalization"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

/// `y[c] = factor[c] * x[c] + offset[c]`.
struct Affine {
    x: ValueId,
    factor: Vec<f64>,
    offset: Vec<f64>,
    clamp: Clamp,
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let Some(affine) = normalization(graph, id).or_else(|| product(graph, id)) else { return Ok(false) };
    let Some(layer) = Layer::of(graph, affine.x) else { return Ok(false) };
    let output = graph.node(id).outputs[0];
    let same = graph.value(affine.x).ty == graph.value(output).ty && layer.channels == affine.factor.len();
    if !same || !shared::replaceable(graph, output, affine.x) {
        return Ok(false);
    }
    let (Some(weights), Some(bias)) = (layer.weights(graph), layer.bias(graph)) else { return Ok(false) };
    let scaled = scale(weights, layer.weight_axis, &affine.factor);
    let name = format!("{}/weights", graph.node(layer.id).name);
    let scaled = graph.add_constant(&name, scaled);
    graph.node_mut(layer.id).inputs[1] = Some(scaled);
    let terms = bias.iter().zip(&affine.factor).zip(&affine.offset);
    let bias: Vec<f32> = terms.map(|((b, k), o)| (*b as f64 * k + o) as f32).collect();
    layer.set_bias_values(graph, &bias);
    layer.absorb(graph, id, affine.clamp);
    Ok(shared::bypass(graph, id, affine.x))
}

fn normalization(graph: &Graph, id: NodeId) -> Option<Affine> {
    let node = graph.node(id);
    let Op::BatchNormalization(op) = &node.op else { return None };
    let list = |i: usize| -> Option<Vec<f64>> { Some(graph.constant(input(node, i)?)?.to_f64s()) };
    let (gamma, beta, mean, variance) = (list(1)?, list(2)?, list(3)?, list(4)?);
    let factor: Vec<f64> =
        gamma.iter().zip(&variance).map(|(g, v)| g / (v + op.epsilon as f64).sqrt()).collect();
    let offset = beta.iter().zip(&mean).zip(&factor).map(|((b, m), k)| b - m * k).collect();
    Some(Affine { x: input(node, 0)?, factor, offset, clamp: Clamp::NONE })
}

fn product(graph: &Graph, id: NodeId) -> Option<Affine> {
    let node = graph.node(id);
    let Op::Mul(op) = &node.op else { return None };
    let (a, b) = (input(node, 0)?, input(node, 1)?);
    let (x, c) = if graph.constant(b).is_some() { (a, b) } else { (b, a) };
    let constant = Weight::of(graph, c).filter(|w| w.dequantize.is_none())?.tensor(graph)?;
    let out = shape(graph, x);
    let axis = channels::channel_axis(constant.shape().len(), out.len());
    let factor: Vec<f64> =
        channels::spread(constant, *out.get(1)?, axis)?.into_iter().map(|k| k as f64).collect();
    let offset = vec![0.0; factor.len()];
    Some(Affine { x, factor, offset, clamp: op.clamp })
}

/// The weights, each multiplied by the factor of its index along `axis`.
fn scale(weights: &Tensor, axis: usize, factor: &[f64]) -> Tensor {
    let (stride, extent) = (strides(weights.shape())[axis], weights.shape()[axis]);
    let values = weights.to_f32s();
    let values = values.iter().enumerate().map(|(i, w)| (*w as f64 * factor[i / stride % extent]) as f32);
    Tensor::from_f32(weights.shape(), &values.collect::<Vec<_>>())
}
