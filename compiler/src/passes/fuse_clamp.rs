//! Gives an activation that only clamps to the operator before it.
//!
//! Identity: `clamp(f(x), a, b)` is `f` with the clamp `(a, b)` in its requantization or store, for every `f` that has one
//! (Conv, Gemm, Add, ..); two clamps in a row are [`Clamp::then`]; and what concatenates or selects may do so
//! before or behind the clamp. It comes after everything that moves operators
//! between the two. It leaves alone: a producer whose output something else reads or that is an output of the model,
//! a producer of other type than float (its clamp would be in other units), and Clip with bounds that are computed.

use super::shared::{self, Weight, input, producer};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::ops::shared::Clamp;
use crate::tensor::ElemType;

/// See the module.
#[derive(Debug)]
pub struct FuseClamp;

impl Pass for FuseClamp {
    fn name(&self) -> &'static str {
        "fuse_clamp"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let Some(clamp) = clamp_of(graph, id) else { return Ok(false) };
    let Some(x) = input(graph.node(id), 0) else { return Ok(false) };
    let mut owners = vec![];
    if !shared::replaceable(graph, graph.node(id).outputs[0], x) || !find_owners(graph, x, clamp, &mut owners)
    {
        return Ok(false);
    }
    let absorbed = graph.node(id).origin.nodes.clone();
    for owner in owners {
        let node = graph.node_mut(owner);
        node.origin.nodes.extend(absorbed.clone());
        if let Some(own) = clamp_mut(&mut node.op) {
            *own = own.then(clamp);
        }
    }
    Ok(shared::bypass(graph, id, x))
}

/// The operators whose clamps together clamp a value; whether there are such for all of it.
fn find_owners(graph: &Graph, value: ValueId, clamp: Clamp, owners: &mut Vec<NodeId>) -> bool {
    if clamp == Clamp::RELU && is_not_negative(graph, value) {
        return true;
    }
    let alone = graph.sole_consumer(value).is_some() && graph.value(value).ty.elem == ElemType::F32;
    let Some((id, node)) = producer(graph, value).filter(|_| alone) else { return false };
    match &node.op {
        // A product of two computed matrices has no kernel with a clamp.
        Op::Gemm(_) if input(node, 1).is_none_or(|w| Weight::of(graph, w).is_none()) => false,
        op if clamp_mut(&mut op.clone()).is_some() => {
            owners.push(id);
            true
        }
        Op::Concat(_) => node.inputs.iter().flatten().all(|v| find_owners(graph, *v, clamp, owners)),
        op if SELECTORS.contains(&op.name()) && node.outputs.len() == 1 => {
            input(node, 0).is_some_and(|v| find_owners(graph, v, clamp, owners))
        }
        _ => false,
    }
}

/// Operators whose outputs are some of their inputs.
const SELECTORS: &[&str] = &["MaxPool", "GlobalMaxPool", "Reshape", "Transpose", "Slice"];

/// Whether no element of a value is below zero, as far as what made it tells.
pub(super) fn is_not_negative(graph: &Graph, value: ValueId) -> bool {
    let Some((id, node)) = producer(graph, value) else { return false };
    let first = || input(node, 0).is_some_and(|x| is_not_negative(graph, x));
    match &node.op {
        // Conversions of one scale keep the sign, counted from the zero point.
        Op::DequantizeLinear(_) | Op::QuantizeLinear(_) => shared::is_per_tensor(graph, id) && first(),
        Op::AveragePool(_) | Op::GlobalAveragePool(_) | Op::ReduceMean(_) => first(),
        Op::Concat(_) => node.inputs.iter().flatten().all(|v| is_not_negative(graph, *v)),
        Op::Sigmoid(_) | Op::HardSigmoid(_) | Op::Softmax(_) => true,
        op if SELECTORS.contains(&op.name()) => first(),
        op => {
            let clamp = clamp_of(graph, id).or_else(|| clamp_mut(&mut op.clone()).copied());
            clamp.is_some_and(|c| c.min >= 0.0)
        }
    }
}

/// What a node clamps to, when that is all it does.
pub(super) fn clamp_of(graph: &Graph, id: NodeId) -> Option<Clamp> {
    match &graph.node(id).op {
        Op::Relu(_) => Some(Clamp::RELU),
        Op::Clip(_) => {
            let bound = |i: usize, default: f32| match input(graph.node(id), i) {
                None => Some(default),
                Some(v) => graph.constant(v)?.to_f32s().first().copied(),
            };
            let (min, max) = (bound(1, f32::NEG_INFINITY)?, bound(2, f32::INFINITY)?);
            // Some exporters write the largest float for no bound.
            let open = |x: f32| if x.abs() >= f32::MAX { x.signum() * f32::INFINITY } else { x };
            Some(Clamp { min: open(min), max: open(max) })
        }
        _ => None,
    }
}

/// The fused clamp of an operator that has one.
pub(super) fn clamp_mut(op: &mut Op) -> Option<&mut Clamp> {
    match op {
        Op::Conv(op) => Some(&mut op.clamp),
        Op::Gemm(op) => Some(&mut op.clamp),
        Op::Add(op) => Some(&mut op.clamp),
        Op::Sub(op) => Some(&mut op.clamp),
        Op::Mul(op) => Some(&mut op.clamp),
        _ => None,
    }
}
