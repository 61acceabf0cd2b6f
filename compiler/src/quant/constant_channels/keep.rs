//! Which channels something needs.
//!
//! Channels that can only go together (an operator's input and output, both operands of an Add) are one group. What the
//! model's outputs and unknown operators read is needed; so is what a needed output of a layer reads with a weight that is
//! not zero, unless it is a constant that the bias can take over. Nothing else is.

use super::bounds::{Bounds, channels};
use super::layer::Layer;
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::{Args, Op};
use std::collections::BTreeMap;

/// For each int8 activation, the channels that stay.
#[derive(Debug, Default)]
pub(super) struct Keep(BTreeMap<ValueId, Vec<usize>>);

impl Keep {
    pub fn of(graph: &Graph, bounds: &Bounds) -> Keep {
        let mut groups = Groups::of(graph);
        let layers: Vec<(Layer, Vec<bool>)> = graph
            .node_ids()
            .into_iter()
            .filter_map(|id| Layer::of(graph, id))
            .map(|layer| {
                let foldable = foldable(&layer, bounds);
                (layer, foldable)
            })
            .collect();
        for id in graph.node_ids() {
            if !layers.iter().any(|(l, _)| l.id == id && !l.depthwise) && !groups.join(graph, id) {
                let node = graph.node(id);
                node.inputs.iter().flatten().chain(&node.outputs).for_each(|v| groups.need_all(*v));
            }
        }
        graph.inputs.iter().chain(&graph.outputs).for_each(|v| groups.need_all(*v));
        loop {
            while layers.iter().filter(|(l, _)| !l.depthwise).any(|(l, f)| groups.need_inputs(l, f, bounds)) {
            }
            // A tensor without channels has no shape that a kernel takes: one stays.
            let values: Vec<ValueId> = groups.first.keys().copied().collect();
            let Some(empty) = values.into_iter().find(|v| groups.kept(*v).is_empty()) else { break };
            groups.need(empty, 0);
        }
        let values: Vec<ValueId> = groups.first.keys().copied().collect();
        Keep(values.into_iter().map(|v| (v, groups.kept(v))).collect())
    }

    /// The channels of a value that stay, in order; `None` where channels are not followed.
    pub fn channels(&self, value: ValueId) -> Option<&[usize]> {
        self.0.get(&value).map(Vec::as_slice)
    }
}

/// Union-find over the channels of all int8 activations.
struct Groups {
    /// Index of each value's channel 0.
    first: BTreeMap<ValueId, usize>,
    count: BTreeMap<ValueId, usize>,
    parent: Vec<usize>,
    needed: Vec<bool>,
}

impl Groups {
    fn of(graph: &Graph) -> Groups {
        let (mut first, mut count, mut total) = (BTreeMap::new(), BTreeMap::new(), 0);
        let produced = graph.node_ids().into_iter().flat_map(|id| graph.node(id).outputs.clone());
        for value in graph.inputs.iter().copied().chain(produced) {
            if let Some(n) = channels(graph, value) {
                first.insert(value, total);
                count.insert(value, n);
                total += n;
            }
        }
        Groups { first, count, parent: (0..total).collect(), needed: vec![false; total] }
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.parent[at] != at {
            self.parent[at] = self.parent[self.parent[at]];
            at = self.parent[at];
        }
        at
    }

    fn is_needed(&mut self, value: ValueId, channel: usize) -> bool {
        let root = self.root(self.first[&value] + channel);
        self.needed[root]
    }

    /// Whether that is news.
    fn need(&mut self, value: ValueId, channel: usize) -> bool {
        let root = self.root(self.first[&value] + channel);
        !std::mem::replace(&mut self.needed[root], true)
    }

    fn need_all(&mut self, value: ValueId) {
        for channel in 0..self.count.get(&value).copied().unwrap_or(0) {
            self.need(value, channel);
        }
    }

    fn kept(&mut self, value: ValueId) -> Vec<usize> {
        (0..self.count[&value]).filter(|&c| self.is_needed(value, c)).collect()
    }

    fn link(&mut self, (a, i): (ValueId, usize), (b, j): (ValueId, usize)) {
        let (a, b) = (self.root(self.first[&a] + i), self.root(self.first[&b] + j));
        self.parent[a] = b;
    }

    /// What the needed outputs of a layer read; whether that is news.
    fn need_inputs(&mut self, layer: &Layer, foldable: &[bool], bounds: &Bounds) -> bool {
        let moving: Vec<usize> = (0..layer.outputs)
            .filter(|&o| self.is_needed(layer.y, o) && bounds.constant(layer.y, o).is_none())
            .collect();
        let mut news = false;
        for (i, folds) in foldable.iter().enumerate() {
            if *folds || self.is_needed(layer.x, i) {
                continue;
            }
            if moving.iter().any(|&o| layer.weights(o, i).iter().any(|w| *w != 0)) {
                news |= self.need(layer.x, i);
            }
        }
        news
    }

    /// Joins the channels that an operator ties together; `false` when it does not say which.
    fn join(&mut self, graph: &Graph, id: NodeId) -> bool {
        let node = graph.node(id);
        let &[y] = node.outputs.as_slice() else { return false };
        if !self.first.contains_key(&y) {
            return false;
        }
        let moving = || node.inputs.iter().flatten().copied().filter(|v| graph.constant(*v).is_none());
        if !moving().all(|v| self.first.contains_key(&v)) {
            return false;
        }
        match &node.op {
            Op::Concat(op) => {
                if op.axis != 1 && op.axis + graph.value(y).ty.shape.len() as i64 != 1 {
                    return false;
                }
                let mut at = 0;
                for &v in node.inputs.iter().flatten() {
                    let n = graph.value(v).ty.shape[1];
                    (0..n)
                        .filter(|_| graph.constant(v).is_none())
                        .for_each(|c| self.link((v, c), (y, at + c)));
                    at += n;
                }
                // Constant operands cannot lose channels here.
                moving().count() == node.inputs.len()
            }
            Op::Reshape(_) | Op::Flatten(_) | Op::Squeeze(_) | Op::Unsqueeze(_) => {
                let x = node.inputs[0].filter(|x| self.first.contains_key(x));
                x.is_some_and(|x| self.join_reshaped(graph, x, y))
            }
            op if !follows(op) => false,
            op => {
                let args = graph.args(id);
                let followed = op.operator().axes(&Args(&args)).0.get(1).cloned().unwrap_or_default();
                let n = self.count[&y];
                let tied = |(i, v): (usize, &Option<ValueId>)| match v {
                    Some(v) if graph.constant(*v).is_none() => {
                        followed.contains(&(i, 1)) && self.count[v] == n
                    }
                    _ => true,
                };
                if !node.inputs.iter().enumerate().all(tied) {
                    return false;
                }
                moving().for_each(|v| (0..n).for_each(|c| self.link((v, c), (y, c))));
                true
            }
        }
    }

    /// Channels that hold the same elements in both shapes, where one is a multiple of the other.
    fn join_reshaped(&mut self, graph: &Graph, x: ValueId, y: ValueId) -> bool {
        let (from, to) = (&graph.value(x).ty.shape, &graph.value(y).ty.shape);
        if from[0] != 1 || to[0] != 1 {
            return false;
        }
        let (of_x, of_y) = (from[2..].iter().product::<usize>(), to[2..].iter().product::<usize>());
        if of_x == 0 || of_y == 0 || (of_x % of_y != 0 && of_y % of_x != 0) {
            return false;
        }
        for at in (0..from[1] * of_x).step_by(of_x.min(of_y)) {
            self.link((x, at / of_x), (y, at / of_y));
        }
        true
    }
}

/// Operators that compute each index of axis 1 from the same index of their operands, whatever the extent of that axis.
fn follows(op: &Op) -> bool {
    matches!(
        op,
        Op::Add(_)
            | Op::AveragePool(_)
            | Op::Clip(_)
            | Op::Conv(_)
            | Op::GlobalAveragePool(_)
            | Op::GlobalMaxPool(_)
            | Op::HardSigmoid(_)
            | Op::HardSwish(_)
            | Op::LeakyRelu(_)
            | Op::MaxPool(_)
            | Op::Mul(_)
            | Op::Pad(_)
            | Op::ReduceMean(_)
            | Op::Relu(_)
            | Op::Sigmoid(_)
            | Op::Sub(_)
            | Op::Tanh(_)
    )
}

/// Which input channels of a layer are constants that its biases can take over: all such together stay within 32 bits.
fn foldable(layer: &Layer, bounds: &Bounds) -> Vec<bool> {
    let constant = |i: usize| bounds.constant(layer.x, i).map(|k| k as i64 - layer.x_zero_point);
    let candidates: Vec<Option<i64>> =
        (0..layer.inputs).map(|i| constant(i).filter(|k| !layer.padded || *k == 0)).collect();
    let fits = (0..layer.outputs).all(|o| {
        let added = candidates.iter().enumerate().map(|(i, k)| {
            let weights: i64 = layer.weights(o, i).iter().map(|w| *w as i64).sum();
            (k.unwrap_or(0) * weights).abs()
        });
        layer.bias[o].abs() + added.sum::<i64>() <= i32::MAX as i64
    });
    candidates.iter().map(|k| fits && k.is_some()).collect()
}
