//! What several passes share: sweeps, cleaning up, and constants that may stand behind a DequantizeLinear.

use super::Changes;
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::lower;
use crate::ops::{Args, Op, Reshape};
use crate::tensor::Tensor;
use std::collections::HashSet;

/// Offers every node to a rewrite, in topological order. A rewrite says whether it changed the graph; what it left without
/// a reader is removed at once, so that the next rewrite sees who really reads a value.
pub(super) fn sweep(
    graph: &mut Graph,
    mut rewrite: impl FnMut(&mut Graph, NodeId) -> Result<bool, Diagnostic>,
) -> Result<Changes, Diagnostics> {
    let order = graph.topological().map_err(|id| {
        Diagnostic::new("E0902", format!("internal error: `{}` depends on itself", graph.node(id).name))
    })?;
    let mut changes = 0;
    for id in order {
        if graph.get(id).is_some() && rewrite(graph, id)? {
            changes += 1;
            remove_dead(graph);
        }
    }
    Ok(Changes(changes))
}

/// Removes the nodes that no output of the model depends on; returns how many.
pub(super) fn remove_dead(graph: &mut Graph) -> usize {
    let mut removed = 0;
    loop {
        let nodes = graph.node_ids();
        let read = nodes.iter().flat_map(|id| graph.node(*id).inputs.iter().flatten());
        let live: HashSet<ValueId> = read.chain(&graph.outputs).copied().collect();
        let dead: Vec<_> = nodes
            .into_iter()
            .filter(|id| !graph.node(*id).outputs.iter().any(|o| live.contains(o)))
            .collect();
        if dead.is_empty() {
            return removed;
        }
        removed += dead.len();
        dead.into_iter().for_each(|id| graph.remove_node(id));
    }
}

/// Whether all readers of `old` may read `new` instead. An output of the model keeps its name, which `new` takes over
/// unless it is an input or another output, whose name is taken.
pub(super) fn replaceable(graph: &Graph, old: ValueId, new: ValueId) -> bool {
    !graph.outputs.contains(&old) || !(graph.inputs.contains(&new) || graph.outputs.contains(&new))
}

/// Removes a node whose only output is the same as `value`; whether that was possible.
pub(super) fn bypass(graph: &mut Graph, id: NodeId, value: ValueId) -> bool {
    let [old] = graph.node(id).outputs[..] else { return false };
    if !replaceable(graph, old, value) {
        return false;
    }
    graph.remove_node(id);
    graph.replace_uses(old, value);
    true
}

/// Input `i` of a node, when present.
pub(super) fn input(node: &Node, i: usize) -> Option<ValueId> {
    node.inputs.get(i).copied().flatten()
}

/// The node that computes a value.
pub(super) fn producer(graph: &Graph, value: ValueId) -> Option<(NodeId, &Node)> {
    graph.producer(value).map(|(id, _)| (id, graph.node(id)))
}

/// The shape of a value.
pub(super) fn shape(graph: &Graph, value: ValueId) -> &[usize] {
    &graph.value(value).ty.shape
}

/// The constant value of input `i` as integers.
pub(super) fn integers(graph: &Graph, id: NodeId, i: usize) -> Option<Vec<i64>> {
    graph.constant(input(graph.node(id), i)?).map(Tensor::to_i64s)
}

/// Adds a Reshape of `x`; where `x` has that shape, it is `x` itself.
pub(super) fn reshape(
    graph: &mut Graph,
    name: &str,
    x: ValueId,
    to: &[usize],
    like: NodeId,
) -> Result<ValueId, Diagnostic> {
    if shape(graph, x) == to {
        return Ok(x);
    }
    let origin = graph.node(like).origin.clone();
    let dims = shape_constant(graph, name, to);
    graph.insert(name, Reshape::default().into(), vec![Some(x), Some(dims)], origin)
}

/// A constant that holds a shape.
pub(super) fn shape_constant(graph: &mut Graph, name: &str, shape: &[usize]) -> ValueId {
    let dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
    graph.add_constant(&format!("{name}/shape"), Tensor::from_i64(&[dims.len()], &dims))
}

/// A constant, or the DequantizeLinear of one: a weight, in float and in QDQ files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    /// The constant itself.
    pub stored: ValueId,
    /// The DequantizeLinear that reads it.
    pub dequantize: Option<NodeId>,
}

impl Weight {
    /// Recognizes one.
    pub fn of(graph: &Graph, value: ValueId) -> Option<Weight> {
        if graph.constant(value).is_some() {
            return Some(Weight { stored: value, dequantize: None });
        }
        let (id, node) = producer(graph, value)?;
        let stored = input(node, 0)?;
        let dequantize = matches!(node.op, Op::DequantizeLinear(_));
        let constant = node.inputs.iter().flatten().all(|v| graph.constant(*v).is_some());
        (dequantize && constant).then_some(Weight { stored, dequantize: Some(id) })
    }

    /// The stored constant.
    pub fn tensor<'g>(&self, graph: &'g Graph) -> Option<&'g Tensor> {
        graph.constant(self.stored)
    }

    /// The values that it stands for, dequantized.
    pub fn reals(&self, graph: &Graph) -> Option<Tensor> {
        let Some(id) = self.dequantize else { return self.tensor(graph).cloned() };
        let node = graph.node(id);
        let types: Vec<_> = node.outputs.iter().map(|o| graph.value(*o).ty.clone()).collect();
        let args = graph.args(id);
        lower::evaluate(&node.op, &Args(&args), &types).ok()??.into_iter().next()
    }

    /// A weight with the same values in another arrangement. `axis` says where an axis of the old one is in the new one,
    /// which per-channel scales need; `None` when they cannot follow.
    pub fn rearrange(
        &self,
        graph: &mut Graph,
        change: impl FnOnce(&Tensor) -> Option<Tensor>,
        axis: impl Fn(usize) -> Option<usize>,
    ) -> Option<ValueId> {
        let moved = change(self.tensor(graph)?)?;
        let Some(id) = self.dequantize else {
            let name = graph.value(self.stored).name.clone();
            return Some(graph.add_constant(&name, moved));
        };
        let rank = shape(graph, self.stored).len();
        let op = dequantize_along(graph, id, rank, &axis)?;
        let name = graph.value(self.stored).name.clone();
        let stored = graph.add_constant(&name, moved);
        let node = graph.node(id);
        let (name, origin, mut inputs) = (node.name.clone(), node.origin.clone(), node.inputs.clone());
        inputs[0] = Some(stored);
        graph.insert(&name, op, inputs, origin).ok()
    }

    /// The same values in another shape.
    pub fn reshape(&self, graph: &mut Graph, to: &[usize]) -> Option<ValueId> {
        let from = shape(graph, self.stored).to_vec();
        self.rearrange(graph, |t| t.reshape(to).ok(), |axis| follow_reshape(&from, to, axis))
    }

    /// The transposed values.
    pub fn transpose(&self, graph: &mut Graph, perm: &[usize]) -> Option<ValueId> {
        self.rearrange(graph, |t| Some(t.transpose(perm)), |axis| perm.iter().position(|p| *p == axis))
    }
}

/// Whether a QuantizeLinear or DequantizeLinear has one scale for the whole tensor.
pub(super) fn is_per_tensor(graph: &Graph, id: NodeId) -> bool {
    input(graph.node(id), 1).is_some_and(|scale| graph.value(scale).ty.elements() == 1)
}

/// The operator of a QuantizeLinear or DequantizeLinear for an operand whose axes were moved; `None` when its per-channel
/// scales cannot follow. Blocked quantization never can.
pub(super) fn dequantize_along(
    graph: &Graph,
    id: NodeId,
    rank: usize,
    follow: impl Fn(usize) -> Option<usize>,
) -> Option<Op> {
    let mut op = graph.node(id).op.clone();
    if is_per_tensor(graph, id) {
        return Some(op);
    }
    let axis = match &mut op {
        Op::DequantizeLinear(op) => &mut op.axis,
        Op::QuantizeLinear(op) => &mut op.axis,
        _ => return None,
    };
    let scales = input(graph.node(id), 1).map(|scale| shape(graph, scale).len())?;
    let old = if *axis < 0 { *axis + rank as i64 } else { *axis };
    *axis = follow(usize::try_from(old).ok()?)? as i64;
    (scales == 1).then_some(op)
}

/// Where an axis is behind a reshape: it keeps its extent, and as many elements lie before it and behind it.
pub(super) fn follow_reshape(from: &[usize], to: &[usize], axis: usize) -> Option<usize> {
    let extent = *from.get(axis)?;
    let before: usize = from[..axis].iter().product();
    let mut product = 1;
    for (i, &d) in to.iter().enumerate() {
        if product == before && d == extent {
            return Some(i);
        }
        product *= d;
    }
    None
}

/// Whether a transposition moves unit axes only, so that it is a reshape.
pub(super) fn moves_units_only(shape: &[usize], perm: &[usize]) -> bool {
    let real: Vec<_> = perm.iter().filter(|p| shape.get(**p).is_some_and(|d| *d != 1)).collect();
    real.is_sorted()
}

/// The permutation that undoes `perm`.
pub(super) fn inverse(perm: &[usize]) -> Vec<usize> {
    (0..perm.len()).map(|axis| perm.iter().position(|p| *p == axis).unwrap_or(axis)).collect()
}

/// Whether a permutation changes nothing.
pub(super) fn is_identity(perm: &[usize]) -> bool {
    perm.iter().enumerate().all(|(i, p)| i == *p)
}
