//! Lets the weights of a dense layer do what a transposition of its features did.
//!
//! Identity: `gemm(flatten(transpose(x, p)), w) = gemm(flatten(x), w')`, where the rows of `w'` are those of `w` in the order in
//! which `x` lies in memory. So the Flatten behind the last convolution of a network trained in NHWC costs no copy. It comes last of the
//! motions, when the Transpose has nowhere else to go. It leaves alone: a permutation that moves the batch, computed
//! weights, and features that were not flattened into one axis.

use super::motion::Moved;
use super::shared::{self, Weight, input, producer, shape};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::tensor::Tensor;

/// See the module.
#[derive(Debug)]
pub struct AbsorbTranspose;

impl Pass for AbsorbTranspose {
    fn name(&self) -> &'static str {
        "absorb_transpose"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let node = graph.node(id);
    let Op::Gemm(op) = &node.op else { return Ok(false) };
    let (Some(x), Some(w), false) = (input(node, 0), input(node, 1), op.trans_a) else { return Ok(false) };
    let trans_b = op.trans_b;
    let Some((flatten, source, perm)) = flattened(graph, x) else { return Ok(false) };
    let Some(weight) = Weight::of(graph, w) else { return Ok(false) };
    let extents: Vec<usize> = perm[1..].iter().map(|p| shape(graph, source)[*p]).collect();
    let back: Vec<usize> = shared::inverse(&perm)[1..].iter().map(|p| p - 1).collect();
    let kept = if trans_b { 0 } else { 1 };
    let change = |w: &Tensor| reorder(w, 1 - kept, &extents, &back);
    let Some(w) = weight.rearrange(graph, change, |axis| (axis == kept).then_some(axis)) else {
        return Ok(false);
    };
    let to = shape(graph, x).to_vec();
    let name = graph.node(flatten.mover).name.clone();
    let flat = shared::reshape(graph, &name, source, &to, flatten.mover)?;
    let x = Moved { source: flat, ..flatten }.without(graph)?;
    let node = graph.node_mut(id);
    node.inputs[0] = Some(x);
    node.inputs[1] = Some(w);
    Ok(true)
}

/// `flatten(transpose(x))` with the batch in its place: the Reshape, `x`, and the permutation.
fn flattened(graph: &Graph, value: ValueId) -> Option<(Moved, ValueId, Vec<usize>)> {
    let flatten = Moved::of(graph, value, "Reshape")?;
    let (_, node) = producer(graph, flatten.source)?;
    let Op::Transpose(op) = &node.op else { return None };
    let source = input(node, 0)?;
    let from = shape(graph, source);
    let perm = op.permutation(from.len()).ok()?;
    let flat = shape(graph, value);
    (perm.first() == Some(&0) && flat.len() == 2 && flat[0] == from[0]).then_some((flatten, source, perm))
}

/// The weights with the features (`axis`, which is `extents` in one) put in the order `back`.
fn reorder(weights: &Tensor, axis: usize, extents: &[usize], back: &[usize]) -> Option<Tensor> {
    let outputs = weights.shape().get(1 - axis).copied()?;
    let (before, shape): (usize, Vec<usize>) = match axis {
        0 => (0, extents.iter().copied().chain([outputs]).collect()),
        _ => (1, [outputs].into_iter().chain(extents.iter().copied()).collect()),
    };
    let features = back.iter().map(|p| p + before);
    let perm: Vec<usize> = match axis {
        0 => features.chain([extents.len()]).collect(),
        _ => [0].into_iter().chain(features).collect(),
    };
    weights.reshape(&shape).ok()?.transpose(&perm).reshape(weights.shape()).ok()
}
