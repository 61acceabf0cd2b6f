//! The graph without the channels that are gone.

use super::layers::{Layer, Layers};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::quant::channels::weight_axes;
use crate::tensor::Tensor;

/// Takes the channels of dead classes out of weights and shapes.
pub(super) fn cut(layers: &Layers, alive: &[bool]) -> Result<Graph, Diagnostics> {
    let mut graph = layers.graph.clone();
    for layer in &layers.layers {
        cut_layer(&mut graph, layer, alive);
    }
    let order = graph.topological().map_err(|id| {
        Diagnostic::new("E0902", format!("internal error: `{}` depends on itself", graph.node(id).name))
    })?;
    for id in order {
        cut_shapes(&mut graph, layers, id, alive);
        let types = graph.infer(id)?;
        for (output, ty) in graph.node(id).outputs.clone().into_iter().zip(types) {
            graph.value_mut(output).ty = ty;
        }
    }
    Ok(graph)
}

fn indices(classes: &[usize], alive: &[bool]) -> Vec<usize> {
    (0..classes.len()).filter(|i| alive[classes[*i]]).collect()
}

fn cut_layer(graph: &mut Graph, layer: &Layer, alive: &[bool]) {
    let Some((out, into, groups)) = weight_axes(&graph.node(layer.id).op) else { return };
    let outputs = indices(&layer.writes, alive);
    let inputs = indices(&layer.reads, alive);
    let [Some(w), Some(b)] = graph.node(layer.id).inputs[1..3] else { return };
    if let Some(weights) = graph.constant(w) {
        let weights = weights.take(out, &outputs);
        let weights = if groups == 1 { weights.take(into, &inputs) } else { weights };
        set(graph, w, weights);
    }
    if let Some(bias) = graph.constant(b) {
        let bias = bias.take(0, &outputs);
        set(graph, b, bias);
    }
    if let (Op::Conv(op), true) = (&mut graph.node_mut(layer.id).op, layer.depthwise) {
        op.groups = inputs.len();
    }
}

fn set(graph: &mut Graph, value: ValueId, data: Tensor) {
    graph.value_mut(value).ty = data.ty().clone();
    graph.value_mut(value).data = Some(data);
}

/// Shapes that a Reshape or Split is given as constants.
fn cut_shapes(graph: &mut Graph, layers: &Layers, id: NodeId, alive: &[bool]) {
    let node = graph.node(id).clone();
    let extents = |v: ValueId| extents(layers, v, alive);
    let (name, values) = match &node.op {
        Op::Reshape(_) => ("shape", extents(node.outputs[0])),
        Op::Split(op) => {
            let rank = graph.value(node.outputs[0]).ty.shape.len() as i64;
            let axis = (op.axis + if op.axis < 0 { rank } else { 0 }) as usize;
            ("split", node.outputs.iter().map(|v| extents(*v)[axis]).collect())
        }
        _ => return,
    };
    let values: Vec<i64> = values.into_iter().map(|d| d as i64).collect();
    let new =
        graph.add_constant(&format!("{}/{name}", node.name), Tensor::from_i64(&[values.len()], &values));
    let node = graph.node_mut(id);
    node.inputs.resize(2, None);
    node.inputs[1] = Some(new);
}

/// Shape of what is left of a value: its classes differ along one axis only.
fn extents(layers: &Layers, value: ValueId, alive: &[bool]) -> Vec<usize> {
    let mut shape = layers.graph.value(value).ty.shape.clone();
    let Some(classes) = layers.channels.elements.get(&value) else { return shape };
    let left = classes.iter().filter(|c| alive[**c]).count();
    if left == classes.len() {
        return shape;
    }
    let whole = classes.len();
    let along = (0..shape.len()).find(|&axis| {
        let inner: usize = shape[axis + 1..].iter().product();
        let there = |e: usize| alive[classes[e]];
        let mut first = vec![None; shape[axis]];
        (0..whole).all(|e| *first[e / inner % shape[axis]].get_or_insert(there(e)) == there(e))
    });
    if let Some(axis) = along {
        shape[axis] = shape[axis] * left / whole;
    }
    shape
}
