//! Gives every dequantized weight a constant of its own.
//!
//! Identity: a copy of a constant is the constant. Exporters merge constants of the same bytes, so that a bias of zeros is
//! also the zero points of another layer, or the bias of one with other scales; but a stored integer has one meaning in
//! `quant`, which gives it the scale and zero point of the DequantizeLinear that reads it. It comes first, and costs
//! nothing: copies share their bytes, and tables of the same bytes are written once. It leaves alone: constants that only the
//! same DequantizeLinear reads, twice.

use super::shared::{self, input};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId};
use crate::ops::Op;

/// See the module.
#[derive(Debug)]
pub struct SeparateWeights;

impl Pass for SeparateWeights {
    fn name(&self) -> &'static str {
        "separate_weights"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let node = graph.node(id);
    let (Op::DequantizeLinear(_), Some(x)) = (&node.op, input(node, 0)) else { return Ok(false) };
    let Some(tensor) = graph.constant(x).cloned() else { return Ok(false) };
    let same = |other: NodeId| {
        let other = graph.node(other);
        other.op == node.op && other.inputs == node.inputs
    };
    if graph.consumers(x).iter().all(|(other, i)| *i == 0 && same(*other)) {
        return Ok(false);
    }
    let name = graph.value(x).name.clone();
    let own = graph.add_constant(&name, tensor);
    graph.node_mut(id).inputs[0] = Some(own);
    Ok(true)
}
