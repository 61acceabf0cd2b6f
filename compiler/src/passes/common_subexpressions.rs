//! Computes the same thing once.
//!
//! Identity: `f(x)` and `f(x)` are one value, and so are two constants of the same type and bytes. It comes late, since
//! every rewrite that moves a node past a fork leaves copies of it. It leaves alone: two values that are both outputs of
//! the model (each keeps its name), and constants with different quantization parameters, or which a DequantizeLinear
//! is about to give them.

use super::{Changes, Pass, shared};
use crate::diag::Diagnostics;
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::tensor::TensorType;
use std::collections::HashMap;

/// See the module.
#[derive(Debug)]
pub struct CommonSubexpressions;

impl Pass for CommonSubexpressions {
    fn name(&self) -> &'static str {
        "common_subexpressions"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        let constants = constants(graph);
        Ok(Changes(constants + nodes(graph)))
    }
}

fn constants(graph: &mut Graph) -> usize {
    let mut seen: HashMap<TensorType, Vec<ValueId>> = HashMap::new();
    let mut changes = 0;
    for id in graph.value_ids().collect::<Vec<_>>() {
        let value = graph.value(id);
        if value.data.is_none() || graph.consumers(id).is_empty() || is_stored_weight(graph, id) {
            continue;
        }
        let same = seen.entry(value.ty.clone()).or_default();
        let twin = same.iter().find(|twin| {
            let twin = graph.value(**twin);
            twin.data == value.data && twin.qparams == value.qparams
        });
        match twin.copied() {
            Some(twin) if !graph.outputs.contains(&id) => {
                graph.replace_uses(id, twin);
                changes += 1;
            }
            Some(_) => {}
            None => same.push(id),
        }
    }
    changes
}

/// Whether a DequantizeLinear says what the constant means.
fn is_stored_weight(graph: &Graph, id: ValueId) -> bool {
    graph
        .consumers(id)
        .iter()
        .any(|(node, i)| *i == 0 && matches!(graph.node(*node).op, Op::DequantizeLinear(_)))
}

fn nodes(graph: &mut Graph) -> usize {
    let mut seen: HashMap<Vec<Option<ValueId>>, Vec<NodeId>> = HashMap::new();
    let mut changes = 0;
    for id in graph.topological().unwrap_or_default() {
        let same = seen.entry(graph.node(id).inputs.clone()).or_default();
        match same.iter().copied().find(|twin| equal(graph, *twin, id)) {
            Some(twin) => {
                let pairs: Vec<_> =
                    graph.node(id).outputs.iter().copied().zip(graph.node(twin).outputs.clone()).collect();
                for (old, new) in pairs {
                    graph.replace_uses(old, new);
                }
                graph.remove_node(id);
                changes += 1;
            }
            None => same.push(id),
        }
    }
    changes
}

fn equal(graph: &Graph, a: NodeId, b: NodeId) -> bool {
    let (a, b) = (graph.node(a), graph.node(b));
    a.op == b.op
        && a.outputs.len() == b.outputs.len()
        && a.outputs.iter().zip(&b.outputs).all(|(a, b)| {
            let (x, y) = (graph.value(*a), graph.value(*b));
            x.ty == y.ty && x.qparams == y.qparams && shared::replaceable(graph, *b, *a)
        })
}
