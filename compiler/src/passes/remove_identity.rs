//! Removes operators that do nothing.
//!
//! Identity: `f(x) = x` for Identity, inference-time Dropout, Cast to the same type, Reshape (Flatten, Squeeze, Unsqueeze, Expand)
//! to the same shape, Transpose that moves nothing, Concat and Sum of one operand, Slice of everything, Pad by nothing,
//! and adding 0 or multiplying by 1. It comes early, since the other passes look at neighbours. It leaves alone: the mask output of
//! Dropout where something reads it, and a node between an input and an output of the model, which keep their names.

use super::shared::{self, Weight, input, shape};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;

/// See the module.
#[derive(Debug)]
pub struct RemoveIdentity;

impl Pass for RemoveIdentity {
    fn name(&self) -> &'static str {
        "remove_identity"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    drop_unread_outputs(graph, id);
    Ok(same_as(graph, id).is_some_and(|x| shared::bypass(graph, id, x)))
}

/// Dropout's mask, and MaxPool's indices, where nothing reads them.
fn drop_unread_outputs(graph: &mut Graph, id: NodeId) {
    let node = graph.node(id);
    let Some(&last) = node.outputs.last() else { return };
    let optional =
        matches!(node.op.name(), "Dropout" | "MaxPool" | "BatchNormalization") && node.outputs.len() > 1;
    if optional && graph.consumers(last).is_empty() && !graph.outputs.contains(&last) {
        graph.node_mut(id).outputs.pop();
    }
}

/// The input that the node's only output equals.
fn same_as(graph: &Graph, id: NodeId) -> Option<ValueId> {
    let node = graph.node(id);
    let x = input(node, 0)?;
    let same_type = node.outputs.len() == 1 && graph.value(x).ty == graph.value(node.outputs[0]).ty;
    let nothing = match &node.op {
        Op::Add(_) => return neutral(graph, id, 0.0, true),
        Op::Mul(_) => return neutral(graph, id, 1.0, true),
        Op::Sub(_) => return neutral(graph, id, 0.0, false),
        Op::Div(_) => return neutral(graph, id, 1.0, false),
        Op::Transpose(op) => op.permutation(shape(graph, x).len()).is_ok_and(|p| shared::is_identity(&p)),
        // A slice that keeps the extents may still run backwards.
        Op::Slice(_) => shared::integers(graph, id, 4).is_none_or(|steps| steps.iter().all(|s| *s > 0)),
        // Negative padding on one side may make up for that on the other.
        Op::Pad(_) => shared::integers(graph, id, 1).is_some_and(|pads| pads.iter().all(|p| *p == 0)),
        op => matches!(
            op.name(),
            "Identity"
                | "Dropout"
                | "Cast"
                | "Reshape"
                | "Flatten"
                | "Squeeze"
                | "Unsqueeze"
                | "Expand"
                | "Concat"
                | "Sum"
        ),
    };
    let alone = !matches!(node.op.name(), "Concat" | "Sum") || node.inputs.len() == 1;
    (same_type && nothing && alone).then_some(x)
}

/// The operand that a neutral element leaves as it is, when the operator has no clamp.
fn neutral(graph: &Graph, id: NodeId, element: f32, commutes: bool) -> Option<ValueId> {
    let node = graph.node(id);
    let clamped = super::fuse_clamp::clamp_mut(&mut node.op.clone())
        .is_some_and(|c| *c != crate::ops::shared::Clamp::NONE);
    let (a, b) = (input(node, 0)?, input(node, 1)?);
    let is_neutral = |v: ValueId| {
        let weight = Weight::of(graph, v).filter(|w| w.dequantize.is_none());
        weight.and_then(|w| w.tensor(graph)).is_some_and(|t| t.to_f32s().iter().all(|x| *x == element))
    };
    let kept = if is_neutral(b) {
        a
    } else if commutes && is_neutral(a) {
        b
    } else {
        return None;
    };
    (!clamped && graph.value(kept).ty == graph.value(node.outputs[0]).ty).then_some(kept)
}
