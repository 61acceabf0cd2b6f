//! Removes a DequantizeLinear and QuantizeLinear that undo each other.
//!
//! Identity: `quantize(dequantize(x)) = x` where both have the same scale and zero point, since the scale is positive and every
//! step is its own nearest one. It comes behind the motion of data movers, which brings the two together, and again behind
//! `quant`, which makes int8 of uint8. It leaves alone: `dequantize(quantize(x))`, which rounds, and
//! conversions of several scales.

use super::shared::{self, input, is_per_tensor, producer};
use super::{Changes, Pass};
use crate::diag::Diagnostics;
use crate::graph::{Graph, NodeId};
use crate::ops::Op;

/// See the module.
#[derive(Debug)]
pub struct CancelConversions;

impl Pass for CancelConversions {
    fn name(&self) -> &'static str {
        "cancel_conversions"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, |graph, id| Ok(cancel(graph, id)))
    }
}

fn cancel(graph: &mut Graph, id: NodeId) -> bool {
    if !matches!(graph.node(id).op, Op::QuantizeLinear(_)) {
        return false;
    }
    let Some((from, node)) = input(graph.node(id), 0).and_then(|x| producer(graph, x)) else { return false };
    let (Op::DequantizeLinear(_), Some(x)) = (&node.op, input(node, 0)) else { return false };
    let (before, after) = (graph.value(x), graph.value(graph.node(id).outputs[0]));
    let same = is_per_tensor(graph, id)
        && is_per_tensor(graph, from)
        && before.ty == after.ty
        && before.qparams == after.qparams
        && parameters(graph, id).is_some_and(|p| Some(p) == parameters(graph, from));
    same && shared::bypass(graph, id, x)
}

/// Scale and zero point of a per-tensor conversion.
pub(super) fn parameters(graph: &Graph, id: NodeId) -> Option<(f32, i64)> {
    let node = graph.node(id);
    let scale = *graph.constant(input(node, 1)?)?.to_f32s().first()?;
    let zero = match input(node, 2) {
        Some(zero) => *graph.constant(zero)?.to_i64s().first()?,
        None => 0,
    };
    Some((scale, zero))
}
