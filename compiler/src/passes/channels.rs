//! Layers with a bias (Conv, Gemm) seen alike: an axis of output channels, weights along it, a bias for each.

use super::shared::{Weight, input, shape};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::ops::shared::Clamp;
use crate::tensor::{ElemType, Tensor};

/// A Conv or Gemm without a clamp, which a following operator may be folded into.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer {
    /// The node.
    pub id: NodeId,
    /// Number of output channels, which are axis 1 of the output.
    pub channels: usize,
    /// The axis of the weights that they are.
    pub weight_axis: usize,
}

impl Layer {
    /// The layer that makes a value, when nothing else reads that.
    pub fn of(graph: &Graph, value: ValueId) -> Option<Layer> {
        graph.sole_consumer(value)?;
        let (id, _) = graph.producer(value)?;
        let (clamp, weight_axis) = match &graph.node(id).op {
            Op::Conv(op) => (op.clamp, 0),
            Op::Gemm(op) => (op.clamp, if op.trans_b { 0 } else { 1 }),
            _ => return None,
        };
        let channels = *shape(graph, value).get(1)?;
        let float = graph.value(value).ty.elem == ElemType::F32;
        (clamp == Clamp::NONE && float).then_some(Layer { id, channels, weight_axis })
    }

    /// The weights, when they are a constant float.
    pub fn weights<'g>(&self, graph: &'g Graph) -> Option<&'g Tensor> {
        graph.constant(input(graph.node(self.id), 1)?).filter(|w| w.elem() == ElemType::F32)
    }

    /// Whether there is a bias.
    pub fn has_bias(&self, graph: &Graph) -> bool {
        input(graph.node(self.id), 2).is_some()
    }

    /// The bias as it is added, a number for each channel; zeros where there is none; `None` when it is computed, or is
    /// not one for each channel.
    pub fn bias(&self, graph: &Graph) -> Option<Vec<f32>> {
        let Some(bias) = input(graph.node(self.id), 2) else { return Some(vec![0.0; self.channels]) };
        let rank = shape(graph, bias).len();
        let values = Weight::of(graph, bias)?.reals(graph)?;
        let beta = match &graph.node(self.id).op {
            Op::Gemm(op) => op.beta,
            _ => 1.0,
        };
        let values = spread(&values, self.channels, rank.saturating_sub(1))?;
        Some(values.into_iter().map(|b| b * beta).collect())
    }

    /// Gives the layer another bias, added as it is.
    pub fn set_bias(&self, graph: &mut Graph, bias: ValueId) {
        let node = graph.node_mut(self.id);
        node.inputs.resize(3, None);
        node.inputs[2] = Some(bias);
        if let Op::Gemm(op) = &mut node.op {
            op.beta = 1.0;
        }
    }

    /// Gives the layer another constant bias.
    pub fn set_bias_values(&self, graph: &mut Graph, bias: &[f32]) {
        let name = format!("{}/bias", graph.node(self.id).name);
        let bias = graph.add_constant(&name, Tensor::from_f32(&[bias.len()], bias));
        self.set_bias(graph, bias);
    }

    /// Gives the layer a clamp, and takes note of the nodes that it now stands for.
    pub fn absorb(&self, graph: &mut Graph, other: NodeId, clamp: Clamp) {
        let nodes = graph.node(other).origin.nodes.clone();
        let node = graph.node_mut(self.id);
        node.origin.nodes.extend(nodes);
        if let Some(own) = super::fuse_clamp::clamp_mut(&mut node.op) {
            *own = own.then(clamp);
        }
    }
}

/// A number for each channel, from a constant that is one number, or has extents of 1 except along `axis`.
pub(super) fn spread(constant: &Tensor, channels: usize, axis: usize) -> Option<Vec<f32>> {
    let values = constant.to_f32s();
    if values.len() == 1 {
        return Some(vec![values[0]; channels]);
    }
    (values.len() == channels && constant.shape().get(axis) == Some(&channels)).then_some(values)
}

/// The axis of a constant of `rank` axes that meets axis 1 of a value of `out` axes.
pub(super) fn channel_axis(rank: usize, out: usize) -> usize {
    // Below the first axis there is none: a vector next to an image belongs to its columns.
    (rank + 1).checked_sub(out).unwrap_or(usize::MAX)
}
