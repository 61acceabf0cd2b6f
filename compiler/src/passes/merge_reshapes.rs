//! Leaves one Reshape where the file has a chain, and moves it towards the next.
//!
//! Identities: Flatten, Squeeze and Unsqueeze are Reshape to a known shape; `reshape(reshape(x)) = reshape(x)`;
//! `f(reshape(x)) = reshape(f(x))` for `f` that treats every element alike, QuantizeLinear included;
//! `reshape(x) + c = reshape(x + c')`, and `reshape(x) + reshape(y) = reshape(x + y)` for `x` and `y` of one shape.
//!
//! It comes before the fusions, which then find the activation or the bias right behind the convolution. It leaves alone:
//! operators that know axes (Softmax, Concat, ..), and constants that do not fit the shape before the reshape.

use super::motion::{self, Behind, Moved};
use super::shared::{self, Weight, input, producer, shape};
use super::{Changes, Pass};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::{Op, Reshape};
use crate::tensor::Tensor;

/// See the module.
#[derive(Debug)]
pub struct MergeReshapes;

impl Pass for MergeReshapes {
    fn name(&self) -> &'static str {
        "merge_reshapes"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, rewrite)
    }
}

fn rewrite(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    match graph.node(id).op {
        Op::Reshape(_) => Ok(merge(graph, id)),
        Op::Flatten(_) | Op::Squeeze(_) | Op::Unsqueeze(_) => Ok(normalize(graph, id)),
        _ if motion::is_unary(graph, id) => below_unary(graph, id),
        _ if motion::is_elementwise(graph, id) => below_elementwise(graph, id),
        _ => Ok(false),
    }
}

/// `reshape(reshape(x)) = reshape(x)`.
fn merge(graph: &mut Graph, id: NodeId) -> bool {
    let Some(x) = input(graph.node(id), 0) else { return false };
    let source = match producer(graph, x) {
        Some((_, node)) if matches!(node.op, Op::Reshape(_)) => input(node, 0),
        _ => None,
    };
    let Some(source) = source else { return false };
    graph.node_mut(id).inputs[0] = Some(source);
    // The shape as it is: 0 and -1 meant something else before.
    normalize(graph, id)
}

/// Makes a node a Reshape to the shape that its output has.
fn normalize(graph: &mut Graph, id: NodeId) -> bool {
    let to = shape(graph, graph.node(id).outputs[0]).to_vec();
    let name = graph.node(id).name.clone();
    let dims = shared::shape_constant(graph, &name, &to);
    let node = graph.node_mut(id);
    node.op = Reshape::default().into();
    node.inputs.truncate(1);
    node.inputs.push(Some(dims));
    true
}

fn behind(shape: &[usize]) -> Behind {
    let dims: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
    Behind { op: Reshape::default().into(), operand: Some(Tensor::from_i64(&[dims.len()], &dims)) }
}

fn below_unary(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let node = graph.node(id);
    let Some(moved) = input(node, 0).and_then(|x| Moved::of(graph, x, "Reshape")) else { return Ok(false) };
    let to = behind(shape(graph, node.outputs[0]));
    let mut inputs = node.inputs.clone();
    inputs[0] = Some(moved.without(graph)?);
    motion::sink(graph, id, inputs, moved.mover, &to)
}

fn below_elementwise(graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
    let node = graph.node(id);
    let out = shape(graph, node.outputs[0]).to_vec();
    let operands: Vec<ValueId> = node.inputs.iter().flatten().copied().collect();
    let whole = |v: ValueId| Moved::of(graph, v, "Reshape").filter(|_| shape(graph, v) == out);
    let Some(first) = operands.iter().find_map(|v| whole(*v)) else { return Ok(false) };
    let from = shape(graph, first.source).to_vec();
    let mut forms = vec![];
    for v in &operands {
        let Some(form) = Form::of(graph, *v, &from, &out) else { return Ok(false) };
        forms.push(form);
    }
    let mut inputs = vec![];
    for form in forms {
        let Some(value) = form.build(graph)? else { return Ok(false) };
        inputs.push(Some(value));
    }
    motion::sink(graph, id, inputs, first.mover, &behind(&out))
}

/// What an operand is before the reshape.
enum Form {
    Moved(Moved),
    Weight(Weight, Vec<usize>),
}

impl Form {
    fn of(graph: &Graph, v: ValueId, from: &[usize], out: &[usize]) -> Option<Form> {
        if let Some(moved) = Moved::of(graph, v, "Reshape")
            && shape(graph, v) == out
            && shape(graph, moved.source) == from
        {
            return Some(Form::Moved(moved));
        }
        let weight = Weight::of(graph, v)?;
        constant_shape(graph, v, from, out).map(|shape| Form::Weight(weight, shape))
    }

    fn build(self, graph: &mut Graph) -> Result<Option<ValueId>, Diagnostic> {
        match self {
            Form::Moved(moved) => moved.without(graph).map(Some),
            Form::Weight(weight, shape) => Ok(weight.reshape(graph, &shape)),
        }
    }
}

/// The shape in which a constant combines with `from` as its own does with `out`.
fn constant_shape(graph: &Graph, v: ValueId, from: &[usize], out: &[usize]) -> Option<Vec<usize>> {
    let elements = graph.value(v).ty.elements();
    if elements == 1 {
        return Some(vec![1; from.len()]);
    }
    if elements == out.iter().product::<usize>() {
        return Some(from.to_vec());
    }
    // The reshape adds or removes unit axes only: every real axis has one partner.
    let real = |s: &[usize]| (0..s.len()).filter(|i| s[*i] != 1).collect::<Vec<_>>();
    let (a, b) = (real(from), real(out));
    if a.len() != b.len() || a.iter().zip(&b).any(|(a, b)| from[*a] != out[*b]) {
        return None;
    }
    let own = motion::padded_shape(graph, v, out.len());
    let mut result = vec![1; from.len()];
    for (a, b) in a.into_iter().zip(b) {
        result[a] = own[b];
    }
    Some(result)
}
