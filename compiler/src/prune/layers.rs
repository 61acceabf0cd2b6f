//! The layers of a graph as pruning sees them: classes of the channels they read and write, weights that may change.

use super::LayerChange;
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId};
use crate::quant::channels::{Channels, weight_axes};
use crate::quant::equalize::replace;
use crate::quant::layer_inputs::Geometry;
use crate::tensor::Tensor;

/// A Conv or Gemm.
#[derive(Debug)]
pub(super) struct Layer {
    /// The node.
    pub id: NodeId,
    /// How it gathers what it multiplies.
    pub geometry: Geometry,
    /// Classes of what it reads, for each input channel.
    pub reads: Vec<usize>,
    /// Classes of what it writes, for each output channel.
    pub writes: Vec<usize>,
    /// Groups with an input channel each.
    pub depthwise: bool,
    /// Positions at which it is computed.
    positions: u64,
}

impl Layer {
    /// Weights for one input channel of one output channel.
    pub fn taps(&self) -> usize {
        self.geometry.k / self.inputs_of_one()
    }

    fn inputs_of_one(&self) -> usize {
        (self.reads.len() / self.geometry.groups).max(1)
    }

    /// Whether each of the `k` inputs of a group is there.
    pub fn inputs(&self, group: usize, alive: &[bool]) -> Vec<bool> {
        let first = group * self.inputs_of_one();
        (0..self.geometry.k).map(|i| alive[self.reads[first + i / self.taps()]]).collect()
    }

    fn counts(&self, alive: &[bool]) -> (u64, u64) {
        let count = |classes: &[usize]| classes.iter().filter(|c| alive[**c]).count() as u64;
        let inputs = if self.geometry.groups > 1 { self.inputs_of_one() as u64 } else { count(&self.reads) };
        (count(&self.writes), inputs)
    }

    fn macs(&self, alive: &[bool]) -> u64 {
        let (outputs, inputs) = self.counts(alive);
        outputs * inputs * self.taps() as u64 * self.positions
    }

    fn params(&self, alive: &[bool]) -> u64 {
        let (outputs, inputs) = self.counts(alive);
        outputs * (inputs * self.taps() as u64 + 1)
    }
}

/// A graph with its layers in order of execution.
#[derive(Debug)]
pub(super) struct Layers {
    /// The graph. Weights and biases of the layers are constants of their own.
    pub graph: Graph,
    /// Its classes.
    pub channels: Channels,
    /// The layers.
    pub layers: Vec<Layer>,
}

impl Layers {
    pub fn new(graph: &Graph, channels: Channels) -> Result<Layers, Diagnostics> {
        let mut graph = graph.clone();
        let mut layers = vec![];
        for (reads, writes) in channels.sinks.iter().zip(&channels.sources) {
            let id = reads.node;
            let Some(geometry) = Geometry::of(&graph, id) else {
                let node = graph.node(id);
                let d = Diagnostic::new("E0333", "a batch of more than one sample cannot be pruned")
                    .help("fix the first dimension with `--batch 1`");
                return Err(d.at(&node.name, &node.origin.op_type).into());
            };
            let shape = &graph.value(graph.node(id).outputs[0]).ty.shape;
            let positions = (shape.iter().product::<usize>() / geometry.outputs) as u64;
            let groups = weight_axes(&graph.node(id).op).map_or(1, |(_, _, groups)| groups);
            let depthwise = groups > 1 && groups == reads.classes.len();
            own_constants(&mut graph, id, geometry.outputs);
            let (reads, writes) = (reads.classes.clone(), writes.classes.clone());
            layers.push(Layer { id, geometry, reads, writes, depthwise, positions });
        }
        Ok(Layers { graph, channels, layers })
    }

    /// All classes.
    pub fn all(&self) -> Vec<bool> {
        vec![true; self.channels.count]
    }

    /// Multiply-accumulates of the layers.
    pub fn macs(&self, alive: &[bool]) -> u64 {
        self.layers.iter().map(|l| l.macs(alive)).sum()
    }

    /// What became of the layers.
    pub fn changes(&self, alive: &[bool]) -> Vec<LayerChange> {
        let all = self.all();
        let change = |l: &Layer| LayerChange {
            layer: self.graph.node(l.id).name.clone(),
            channels: (l.counts(&all).0 as usize, l.counts(alive).0 as usize),
            macs: (l.macs(&all), l.macs(alive)),
            params: (l.params(&all), l.params(alive)),
        };
        self.layers.iter().map(change).collect()
    }

    /// Weights of a layer.
    pub fn weights(&self, layer: &Layer) -> Vec<f32> {
        self.constant(layer, 1)
    }

    /// Its biases.
    pub fn biases(&self, layer: &Layer) -> Vec<f32> {
        self.constant(layer, 2)
    }

    fn constant(&self, layer: &Layer, input: usize) -> Vec<f32> {
        let value = self.graph.node(layer.id).inputs[input];
        value.and_then(|v| self.graph.constant(v)).map(Tensor::to_f32s).unwrap_or_default()
    }

    /// Gives layer `index` other weights and biases.
    pub fn set(&mut self, index: usize, weights: &[f32], biases: &[f32]) {
        let id = self.layers[index].id;
        for (input, values) in [(1, weights), (2, biases)] {
            if let Some(value) = self.graph.node(id).inputs[input] {
                let shape = self.graph.value(value).ty.shape.clone();
                self.graph.value_mut(value).data = Some(Tensor::from_f32(&shape, values));
            }
        }
    }

    /// Makes zeros of all weights and biases of channels that are gone.
    pub fn silence(&mut self, alive: &[bool]) {
        for index in 0..self.layers.len() {
            let layer = &self.layers[index];
            let (mut weights, mut biases) = (self.weights(layer), self.biases(layer));
            for o in 0..layer.geometry.outputs {
                let there = alive[layer.writes[o]];
                let inputs = layer.inputs(layer.geometry.group(o), alive);
                for (p, input) in layer.geometry.weights(o).zip(inputs) {
                    if !there || !input {
                        weights[p] = 0.0;
                    }
                }
                if !there {
                    biases[o] = 0.0;
                }
            }
            self.set(index, &weights, &biases);
        }
    }
}

/// Gives a layer constants that no other node shares, and a bias if it has none.
fn own_constants(graph: &mut Graph, id: NodeId, outputs: usize) {
    let constant = |graph: &Graph, i: usize| {
        let value = graph.node(id).inputs.get(i).copied().flatten();
        value.and_then(|v| graph.constant(v)).cloned()
    };
    if let Some(weights) = constant(graph, 1) {
        replace(graph, id, 1, "weights", weights);
    }
    let bias = constant(graph, 2).map_or_else(|| vec![0.0; outputs], |t| t.to_f32s());
    replace(graph, id, 2, "bias", Tensor::from_f32(&[outputs], &bias));
}
