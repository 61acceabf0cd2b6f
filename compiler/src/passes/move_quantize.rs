//! Gathers data movers between QuantizeLinear and DequantizeLinear, so that the islands of integer arithmetic meet.
//!
//! Identities, for an operator `m` that selects or moves elements: `m(dequantize(x)) = dequantize(m(x))`,
//! `quantize(m(x)) = m(quantize(x))`. MaxPool selects, for the conversions are monotonic.
//!
//! The integer values get no parameters here: `quant` reads them off the conversions. It leaves alone: per-channel conversions whose axis a mover splits; Pad, which brings in a value of
//! its own (`fold_pad` sees to it); and a mover of several outputs or operands (Split, Concat), which `quant` converts.

use super::shared::{self, input, is_per_tensor, producer, shape};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;

/// See the module.
#[derive(Debug)]
pub struct MoveQuantize;

/// Operators of one output that move or select elements of input 0.
const MOVERS: &[&str] =
    &["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "MaxPool", "GlobalMaxPool"];

impl Pass for MoveQuantize {
    fn name(&self) -> &'static str {
        "move_quantize"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    match graph.node(id).op {
        Op::QuantizeLinear(_) => quantize_first(graph, id),
        _ if is_mover(graph, id) => dequantize_last(graph, id),
        _ => Ok(false),
    }
}

fn is_mover(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    MOVERS.contains(&node.op.name()) && node.outputs.len() == 1
}

/// `m(dequantize(x)) = dequantize(m(x))`.
fn dequantize_last(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let Some((from, node)) = input(graph.node(id), 0).and_then(|x| producer(graph, x)) else {
        return Ok(false);
    };
    let (Op::DequantizeLinear(_), Some(x)) = (&node.op, input(node, 0)) else { return Ok(false) };
    // Int32 is a bias or an accumulator: kernels that select exist for 8 bits.
    if !is_per_tensor(graph, from) && graph.constant(x).is_none() {
        return Ok(false);
    }
    let rank = shape(graph, x).len();
    let Some(op) = shared::dequantize_along(graph, from, rank, |axis| follow(graph, id, axis)) else {
        return Ok(false);
    };
    let (name, origin, mut inputs) = (node.name.clone(), node.origin.clone(), node.inputs.clone());
    graph.node_mut(id).inputs[0] = Some(x);
    let Some(ty) = graph.infer(id)?.into_iter().next() else { return Ok(false) };
    let old = graph.node(id).outputs[0];
    let moved = graph.add_value(&format!("{}/integer", graph.value(old).name), ty);
    graph.node_mut(id).outputs[0] = moved;
    inputs[0] = Some(moved);
    graph.add_node(&name, op, inputs, vec![old], origin);
    Ok(true)
}

/// `quantize(m(x)) = m(quantize(x))`.
fn quantize_first(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let Some(x) = input(graph.node(id), 0) else { return Ok(false) };
    let Some((mover, node)) = producer(graph, x) else { return Ok(false) };
    let Some(source) = input(node, 0) else { return Ok(false) };
    if !is_mover(graph, mover) || !is_per_tensor(graph, id) {
        return Ok(false);
    }
    // A selection of few elements, some of them read in float as well, would be quantized twice.
    if shape(graph, source) != shape(graph, x) && graph.sole_consumer(x).is_none() {
        return Ok(false);
    }
    let (name, op, origin) = (node.name.clone(), node.op.clone(), node.origin.clone());
    let mut inputs = node.inputs.clone();
    let old = graph.node(id).outputs[0];
    graph.node_mut(id).inputs[0] = Some(source);
    let Some(ty) = graph.infer(id)?.into_iter().next() else { return Ok(false) };
    let quantized = graph.add_value(&format!("{}/unmoved", graph.value(old).name), ty);
    graph.node_mut(id).outputs[0] = quantized;
    inputs[0] = Some(quantized);
    graph.add_node(&name, op, inputs, vec![old], origin);
    Ok(true)
}

/// Where an axis of input 0 is in the output of a mover.
fn follow(graph: &Graph, id: NodeId, axis: usize) -> Option<usize> {
    let node = graph.node(id);
    let from = shape(graph, input(node, 0)?);
    match &node.op {
        Op::Transpose(op) => op.permutation(from.len()).ok()?.iter().position(|p| *p == axis),
        Op::Reshape(_) | Op::Flatten(_) | Op::Squeeze(_) | Op::Unsqueeze(_) => {
            shared::follow_reshape(from, shape(graph, node.outputs[0]), axis)
        }
        _ => None,
    }
}
