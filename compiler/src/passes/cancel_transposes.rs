//! Makes the Transpose nodes that converters wrap around every layer meet and vanish.
//!
//! Identities: `transpose(transpose(x, p), q) = transpose(x, p[q])`; a transposition that moves unit axes only is a Reshape;
//! `f(transpose(x)) = transpose(f'(x))`, where `f'` is `f` itself (elementwise functions, QuantizeLinear, global pools) or `f` with its
//! axes renamed (Concat, Softmax, Split, Pad, Slice, Squeeze, reductions). Constants are transposed backwards at compile time.
//!
//! It comes before the fusions, which look at neighbours. All motion goes down, so it ends. It leaves alone: a Transpose
//! right behind an input or right before an output of the model (lowering makes a view of it), one that meets a
//! reshape of several real axes, an operator with an operand in another order, and Conv, pooling and MatMul.

use super::axes;
use super::motion::{self, Behind, Moved};
use super::shared::{self, Weight, input, producer, shape};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::{Op, Reshape, Transpose};

/// See the module.
#[derive(Debug)]
pub struct CancelTransposes;

impl Pass for CancelTransposes {
    fn name(&self) -> &'static str {
        "cancel_transposes"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    match graph.node(id).op {
        Op::Transpose(_) => Ok(simplify(graph, id)),
        Op::Reshape(_) => below_reshape(graph, id),
        Op::Concat(_) => below_concat(graph, id),
        _ if motion::is_unary(graph, id) => below_unary(graph, id),
        _ if motion::is_elementwise(graph, id) => below_elementwise(graph, id),
        _ => below_axes(graph, id),
    }
}

/// The permutation of a Transpose node.
fn permutation(graph: &Graph, id: NodeId) -> Option<Vec<usize>> {
    let node = graph.node(id);
    let Op::Transpose(op) = &node.op else { return None };
    op.permutation(shape(graph, input(node, 0)?).len()).ok()
}

fn transpose(perm: Vec<usize>) -> Op {
    Op::Transpose(Transpose { perm: Some(perm) })
}

fn behind(perm: Vec<usize>) -> Behind {
    Behind { op: transpose(perm), operand: None }
}

/// Merges two, removes one that does nothing, or makes a Reshape of one that moves unit axes.
fn simplify(graph: &mut Graph, id: NodeId) -> bool {
    let (Some(x), Some(perm)) = (input(graph.node(id), 0), permutation(graph, id)) else { return false };
    if shared::is_identity(&perm) {
        return shared::bypass(graph, id, x);
    }
    if shared::moves_units_only(shape(graph, x), &perm) {
        let to = shape(graph, graph.node(id).outputs[0]).to_vec();
        let name = graph.node(id).name.clone();
        let dims = shared::shape_constant(graph, &name, &to);
        let node = graph.node_mut(id);
        node.op = Reshape::default().into();
        node.inputs = vec![Some(x), Some(dims)];
        return true;
    }
    let before = producer(graph, x).map(|(id, _)| id);
    let Some((before, first)) = before.and_then(|b| Some((b, permutation(graph, b)?))) else { return false };
    let source = input(graph.node(before), 0);
    let merged = perm.iter().map(|p| first[*p]).collect();
    let node = graph.node_mut(id);
    node.inputs[0] = source;
    node.op = transpose(merged);
    true
}

/// The Transpose before input 0, if any.
fn before(graph: &Graph, id: NodeId) -> Option<(Moved, Vec<usize>)> {
    let moved = Moved::of(graph, input(graph.node(id), 0)?, "Transpose")?;
    Some((moved, permutation(graph, moved.mover)?))
}

fn below_unary(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let Some((moved, perm)) = before(graph, id) else { return Ok(false) };
    let mut inputs = graph.node(id).inputs.clone();
    inputs[0] = Some(moved.without(graph)?);
    motion::sink(graph, id, inputs, moved.mover, &behind(perm))
}

fn below_elementwise(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let rank = shape(graph, graph.node(id).outputs[0]).len();
    let operands: Vec<ValueId> = graph.node(id).inputs.iter().flatten().copied().collect();
    let first = operands.iter().find_map(|v| {
        let moved = Moved::of(graph, *v, "Transpose")?;
        permutation(graph, moved.mover).filter(|p| p.len() == rank).map(|p| (moved, p))
    });
    let Some((moved, perm)) = first else { return Ok(false) };
    if !operands.iter().all(|v| Unmoved::of(graph, *v, &perm).is_some()) {
        return Ok(false);
    }
    let mut inputs = vec![];
    for v in operands {
        let unmoved = Unmoved::of(graph, v, &perm);
        let Some(value) = unmoved.and_then(|u| u.build(graph, v, id).transpose()).transpose()? else {
            return Ok(false);
        };
        inputs.push(Some(value));
    }
    motion::sink(graph, id, inputs, moved.mover, &behind(perm))
}

/// An operand as it is before the transposition of the result.
enum Unmoved {
    Moved(Moved),
    Weight(Weight, Vec<usize>),
    /// It only has unit axes to move.
    Reshape(Vec<usize>),
}

impl Unmoved {
    fn of(graph: &Graph, v: ValueId, perm: &[usize]) -> Option<Unmoved> {
        if let Some(moved) = Moved::of(graph, v, "Transpose")
            && permutation(graph, moved.mover).is_some_and(|p| p == perm)
        {
            return Some(Unmoved::Moved(moved));
        }
        let back = shared::inverse(perm);
        if let Some(weight) = Weight::of(graph, v) {
            return Some(Unmoved::Weight(weight, back));
        }
        let padded = motion::padded_shape(graph, v, perm.len());
        let units = shared::moves_units_only(&padded, &back);
        units.then(|| Unmoved::Reshape(back.iter().map(|p| padded[*p]).collect()))
    }

    /// The operand itself; `None` when per-channel scales cannot follow.
    fn build(self, graph: &mut Graph, v: ValueId, node: NodeId) -> Result<Option<ValueId>, Diagnostic> {
        match self {
            Unmoved::Moved(moved) => moved.without(graph).map(Some),
            Unmoved::Weight(_, _) if graph.value(v).ty.elements() == 1 => Ok(Some(v)),
            Unmoved::Weight(weight, back) => {
                let padded = motion::padded_shape(graph, v, back.len());
                let full = weight.reshape(graph, &padded).and_then(|v| Weight::of(graph, v));
                Ok(full.and_then(|w| w.transpose(graph, &back)))
            }
            Unmoved::Reshape(to) => {
                let name = format!("{}/reshape", graph.value(v).name);
                shared::reshape(graph, &name, v, &to, node).map(Some)
            }
        }
    }
}

fn below_concat(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let Some((moved, perm)) = before(graph, id) else { return Ok(false) };
    let operands: Vec<ValueId> = graph.node(id).inputs.iter().flatten().copied().collect();
    let form = |graph: &Graph, v| Unmoved::of(graph, v, &perm).filter(|u| !matches!(u, Unmoved::Reshape(_)));
    if !operands.iter().all(|v| form(graph, *v).is_some()) {
        return Ok(false);
    }
    let Some(op) = axes::renamed(graph, id, &perm) else { return Ok(false) };
    let mut inputs = vec![];
    for v in operands {
        let Some(form) = form(graph, v) else { return Ok(false) };
        let Some(value) = form.build(graph, v, id)? else { return Ok(false) };
        inputs.push(Some(value));
    }
    graph.node_mut(id).op = op.op;
    motion::sink(graph, id, inputs, moved.mover, &behind(perm))
}

/// Operators with axes, which are renamed: output axis `i` of the Transpose is axis `perm[i]` of its input.
fn below_axes(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let Some((moved, perm)) = before(graph, id) else { return Ok(false) };
    let Some(renamed) = axes::renamed(graph, id, &perm) else { return Ok(false) };
    let mut inputs = graph.node(id).inputs.clone();
    inputs[0] = Some(moved.without(graph)?);
    let name = graph.node(id).name.clone();
    inputs.truncate(renamed.inputs);
    for (i, constant) in renamed.operands {
        inputs.resize(inputs.len().max(i + 1), None);
        inputs[i] = Some(graph.add_constant(&format!("{name}/axes"), constant));
    }
    graph.node_mut(id).op = renamed.op;
    motion::sink(graph, id, inputs, moved.mover, &behind(renamed.perm))
}

/// A reshape that adds or removes unit axes only: the transposition goes behind it.
fn below_reshape(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let Some((moved, perm)) = before(graph, id) else { return Ok(false) };
    let x = shape(graph, moved.source);
    let (from, to) =
        (shape(graph, graph.node(moved.mover).outputs[0]), shape(graph, graph.node(id).outputs[0]));
    let real = |s: &[usize]| s.iter().copied().filter(|d| *d != 1).collect::<Vec<_>>();
    if moved.dequantize.is_some() || real(from) != real(to) {
        return Ok(false);
    }
    // Unit axes stand where they will, so that they need not move; the real ones stay in the order of `x`.
    let mut sources = (0..x.len()).filter(|a| x[*a] != 1);
    let at: Vec<Option<usize>> = to.iter().map(|d| if *d == 1 { None } else { sources.next() }).collect();
    let mut wanted = perm.iter().filter(|p| x[**p] != 1);
    let find = |axis: usize| at.iter().position(|a| *a == Some(axis));
    let behind_perm: Option<Vec<usize>> =
        to.iter().enumerate().map(|(i, d)| if *d == 1 { Some(i) } else { find(*wanted.next()?) }).collect();
    let Some(behind_perm) = behind_perm else { return Ok(false) };
    let first: Vec<usize> = at.iter().map(|a| a.map_or(1, |a| x[a])).collect();
    let name = graph.node(id).name.clone();
    let dims = shared::shape_constant(graph, &name, &first);
    graph.node_mut(id).op = Reshape::default().into();
    motion::sink(graph, id, vec![Some(moved.source), Some(dims)], moved.mover, &behind(behind_perm))
}
