//! Bounds of every channel.

use super::layer::Layer;
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::tensor::{ElemType, Tensor};
use crate::{lower, program};
use std::collections::HashMap;

/// The lowest and the highest value of each index of axis 1, for int8 values that are not constant.
#[derive(Debug, Default)]
pub(super) struct Bounds(HashMap<ValueId, Vec<(i8, i8)>>);

impl Bounds {
    /// Follows the graph from its inputs, which may hold anything.
    pub fn of(graph: &Graph) -> Result<Bounds, Diagnostics> {
        let order = graph.topological().map_err(|id| {
            Diagnostic::new("E0902", format!("internal error: `{}` depends on itself", graph.node(id).name))
        })?;
        let mut bounds = Bounds::default();
        for id in order {
            let &[y] = graph.node(id).outputs.as_slice() else { continue };
            if channels(graph, y).is_none() {
                continue;
            }
            let found = match Layer::of(graph, id) {
                Some(layer) => Some(bounds.layer(&layer)),
                None if rises(&graph.node(id).op) => bounds.extremes(graph, id)?,
                None => None,
            };
            if let Some(found) = found {
                bounds.0.insert(y, found);
            }
        }
        Ok(bounds)
    }

    /// Bounds of one channel.
    pub fn channel(&self, value: ValueId, channel: usize) -> (i8, i8) {
        self.0.get(&value).and_then(|b| b.get(channel)).copied().unwrap_or((-128, 127))
    }

    /// The only value that a channel can have.
    pub fn constant(&self, value: ValueId, channel: usize) -> Option<i8> {
        let (low, high) = self.channel(value, channel);
        (low == high).then_some(low)
    }

    /// Whether there is any constant channel.
    pub fn any_constant(&self) -> bool {
        self.0.values().flatten().any(|(low, high)| low == high)
    }

    /// Both ends of the accumulator, requantized.
    fn layer(&self, layer: &Layer) -> Vec<(i8, i8)> {
        let output = |o: usize| {
            let (mut least, mut most) = (layer.bias[o], layer.bias[o]);
            for i in 0..layer.inputs {
                let (low, high) = self.channel(layer.x, layer.input(o, i));
                let (mut low, mut high) = (low as i64 - layer.x_zero_point, high as i64 - layer.x_zero_point);
                if layer.padded {
                    (low, high) = (low.min(0), high.max(0));
                }
                for &w in layer.weights(o, i) {
                    least += (low * w as i64).min(high * w as i64);
                    most += (low * w as i64).max(high * w as i64);
                }
            }
            (layer.requantize(o, least), layer.requantize(o, most))
        };
        (0..layer.outputs).map(output).collect()
    }

    /// Bounds behind an operator that never falls when an input rises: it is run on the lowest and on the highest values.
    fn extremes(&self, graph: &Graph, id: NodeId) -> Result<Option<Vec<(i8, i8)>>, Diagnostics> {
        let node = graph.node(id);
        let mut single = Graph::default();
        let (mut operands, mut lowest, mut highest) = (vec![], vec![], vec![]);
        for input in &node.inputs {
            let Some(input) = input else {
                operands.push(None);
                continue;
            };
            let value = graph.value(*input);
            let copy = single.add_value(&value.name, value.ty.clone());
            single.value_mut(copy).data = value.data.clone();
            single.value_mut(copy).qparams = value.qparams.clone();
            operands.push(Some(copy));
            if value.data.is_some() {
                continue;
            }
            if channels(graph, *input).is_none() {
                return Ok(None);
            }
            single.inputs.push(copy);
            let fill = |end: &dyn Fn((i8, i8)) -> i8| {
                let (n, inner) = (value.ty.shape[1], value.ty.shape[2..].iter().product::<usize>().max(1));
                let at = |i: usize| end(self.channel(*input, i / inner % n));
                Tensor::from_i8(&value.ty.shape, &(0..value.ty.elements()).map(at).collect::<Vec<_>>())
            };
            lowest.push(fill(&|b| b.0));
            highest.push(fill(&|b| b.1));
        }
        let y = graph.value(node.outputs[0]);
        let output = single.add_value("output", y.ty.clone());
        single.value_mut(output).qparams = y.qparams.clone();
        single.outputs.push(output);
        single.add_node(&node.name, node.op.clone(), operands, vec![output], node.origin.clone());
        let compiled = lower::lower(&single)?;
        let low = program::run(&compiled, &lowest)?.remove(0).to_i8s();
        let high = program::run(&compiled, &highest)?.remove(0).to_i8s();
        let (n, inner) = (y.ty.shape[1], y.ty.shape[2..].iter().product::<usize>().max(1));
        let mut found = vec![(i8::MAX, i8::MIN); n];
        for (i, (low, high)) in low.into_iter().zip(high).enumerate() {
            let bound = &mut found[i / inner % n];
            *bound = (bound.0.min(low), bound.1.max(high));
        }
        Ok(Some(found))
    }
}

/// The number of channels of an int8 activation.
pub(super) fn channels(graph: &Graph, value: ValueId) -> Option<usize> {
    let value = graph.value(value);
    let int8 = value.ty.elem == ElemType::I8 && value.data.is_none();
    value.ty.shape.get(1).copied().filter(|_| int8)
}

/// Operators whose outputs never fall when an input rises, quantized too.
fn rises(op: &Op) -> bool {
    matches!(
        op,
        Op::Add(_)
            | Op::AveragePool(_)
            | Op::Clip(_)
            | Op::Concat(_)
            | Op::Flatten(_)
            | Op::GlobalAveragePool(_)
            | Op::GlobalMaxPool(_)
            | Op::MaxPool(_)
            | Op::Pad(_)
            | Op::ReduceMean(_)
            | Op::Relu(_)
            | Op::Reshape(_)
            | Op::Sigmoid(_)
            | Op::Squeeze(_)
            | Op::Tanh(_)
            | Op::Transpose(_)
            | Op::Unsqueeze(_)
    )
}
