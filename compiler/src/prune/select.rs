//! Which channels go.
//!
//! With [`Importance::Layers`], removing the inputs `S` of a layer with weights `W` costs, if the other weights make up for them
//! as well as they can, `sum over outputs of w_S^T ((H^-1)_SS)^-1 w_S`, where `H` is the covariance of its inputs on the
//! samples (the bias takes up the mean), and leaves `W - W_S ((H^-1)_SS)^-1 (H^-1)_S`, `H^-1 - (H^-1)_:S ((H^-1)_SS)^-1 (H^-1)_S:`
//! (B. Hassibi, D. Stork, "Second Order Derivatives for Network Pruning: Optimal Brain Surgeon", NIPS 1992; in blocks: E. Kurtic et
//! al., "ZipLM", arXiv:2302.04089). As a share of the layer's energy, summed over the layers that read the channel, and divided by
//! the multiply-accumulates that go with it. The cheapest class goes, the costs of its readers change, and so on: greedy.
//!
//! [`Importance::Output`] weighs the layers by how much of such a share arrives at the outputs of the model. That needs samples
//! of all classes: where they are all of one, as the calibration data of one model of the zoo are, the outputs stay
//! right without almost all channels, and are wrong for all other inputs.

use super::Importance;
use super::layers::{Layer, Layers};
use crate::diag::{Diagnostic, Diagnostics};
use crate::quant::layer_inputs::Moments;
use crate::quant::linalg::{Matrix, dot};
use crate::quant::score::Judge;
use crate::quant::{Samples, Scheme, Trace};
use crate::tensor::Tensor;
use std::collections::BTreeMap;

/// Added to the variances, as a share of their mean.
const RIDGE: f64 = 1e-4;

/// Relative size of the disturbance that measures how much of a layer's error arrives at the outputs.
const DISTURBANCE: f64 = 0.05;

/// Removes classes until at most `goal` multiply-accumulates are left, or nothing more can go.
pub(super) fn select(
    layers: &Layers,
    alive: &mut [bool],
    goal: u64,
    importance: Importance,
    data: (&Samples, &[usize]),
    judge: &Judge,
) -> Result<(), Diagnostics> {
    let mut costs = match importance {
        Importance::Layers => Costs::Readers(readers(layers, alive, data, judge, false)?),
        Importance::Output => Costs::Readers(readers(layers, alive, data, judge, true)?),
        Importance::Activation => Costs::Fixed(activations(layers, data)?),
        Importance::L1 => Costs::Fixed(norms(layers, |w| w.abs(), |sum| sum)),
        Importance::L2 => Costs::Fixed(norms(layers, |w| w * w, f64::sqrt)),
    };
    let mut now = layers.macs(alive);
    while now > goal {
        let mut best: Option<(f64, usize)> = None;
        for class in 1..alive.len() {
            if !alive[class] || !removable(layers, alive, class) {
                continue;
            }
            alive[class] = false;
            let saved = now - layers.macs(alive);
            alive[class] = true;
            let cost = costs.of(class) / saved.max(1) as f64;
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, class));
            }
        }
        let Some((_, class)) = best else { break };
        alive[class] = false;
        costs.remove(class);
        now = layers.macs(alive);
    }
    Ok(())
}

/// Every layer keeps a channel.
fn removable(layers: &Layers, alive: &[bool], class: usize) -> bool {
    let stays = |l: &Layer| l.writes.iter().any(|c| *c != class && alive[*c]);
    layers.layers.iter().filter(|l| l.writes.contains(&class)).all(stays)
}

enum Costs {
    Fixed(Vec<f64>),
    Readers(Vec<Reader>),
}

impl Costs {
    fn of(&mut self, class: usize) -> f64 {
        match self {
            Costs::Fixed(costs) => costs[class],
            Costs::Readers(readers) => readers.iter_mut().map(|r| r.cost(class)).sum(),
        }
    }

    fn remove(&mut self, class: usize) {
        if let Costs::Readers(readers) = self {
            readers.iter_mut().for_each(|r| r.remove(class));
        }
    }
}

/// For each class, a norm of its weights relative to the mean of its layer, summed over the layers that write it.
fn norms(layers: &Layers, term: impl Fn(f64) -> f64, finish: impl Fn(f64) -> f64) -> Vec<f64> {
    let mut costs = vec![0.0; layers.channels.count];
    for layer in &layers.layers {
        let weights = layers.weights(layer);
        let norm = |o: usize| finish(layer.geometry.weights(o).map(|p| term(weights[p] as f64)).sum());
        let all: Vec<f64> = (0..layer.geometry.outputs).map(norm).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        layer.writes.iter().zip(&all).for_each(|(c, n)| costs[*c] += n / mean.max(f64::MIN_POSITIVE));
    }
    costs
}

/// For each class, the mean square of what layers read of it, relative to the mean of the layer.
fn activations(layers: &Layers, data: (&Samples, &[usize])) -> Result<Vec<f64>, Diagnostics> {
    let mut costs = vec![0.0; layers.channels.count];
    for (layer, moments) in layers.layers.iter().zip(&moments(layers, data)?) {
        let mut squares = vec![0.0; layer.reads.len()];
        for (i, square) in squares.iter_mut().enumerate() {
            let (group, first) = match layer.geometry.groups {
                1 => (0, i * layer.taps()),
                groups => (i * groups / layer.reads.len(), 0),
            };
            let diagonal = |j: usize| moments.products[group].values[j * layer.geometry.k + j];
            *square = (first..first + layer.taps()).map(diagonal).sum();
        }
        let mean = squares.iter().sum::<f64>() / squares.len() as f64;
        layer.reads.iter().zip(&squares).for_each(|(c, s)| costs[*c] += s / mean.max(f64::MIN_POSITIVE));
    }
    Ok(costs)
}

/// Statistics of the inputs of all layers.
fn moments(layers: &Layers, (samples, which): (&Samples, &[usize])) -> Result<Vec<Moments>, Diagnostics> {
    let wanted: Vec<_> = layers.layers.iter().filter_map(|l| layers.graph.node(l.id).inputs[0]).collect();
    let trace = Trace::new(&layers.graph, &wanted)?;
    let new = || layers.layers.iter().map(|l| Moments::new(&l.geometry)).collect::<Vec<_>>();
    let step = |all: &mut Vec<Moments>, x: Vec<Tensor>| -> Result<(), Diagnostic> {
        trace.run(&x, &mut |i, tensor| all[i].add(&layers.layers[i].geometry, tensor))?;
        Ok(())
    };
    // Sums of floats depend on their order: one thread.
    let alone = Samples { threads: 1, ..*samples };
    Ok(alone.fold(which, new, step, |()| ())?.into_iter().next().unwrap_or_default())
}

/// A layer that reads channels, with what the greedy choice has done to it so far.
struct Reader {
    /// Inputs of each class.
    places: BTreeMap<usize, Vec<usize>>,
    inverse: Matrix,
    /// Weights of the outputs that are there.
    rows: Vec<Vec<f64>>,
    classes: Vec<usize>,
    /// Makes a cost at the outputs of an error of the layer.
    scale: f64,
    known: BTreeMap<usize, f64>,
}

fn readers(
    layers: &Layers,
    alive: &[bool],
    data: (&Samples, &[usize]),
    judge: &Judge,
    at_outputs: bool,
) -> Result<Vec<Reader>, Diagnostics> {
    let mut readers = vec![];
    let clean = match at_outputs {
        true => judge.score(&layers.graph, &Scheme::default())?.noise(),
        false => 0.0,
    };
    for (at, moments) in moments(layers, data)?.iter().enumerate() {
        let layer = &layers.layers[at];
        // A depthwise layer loses a whole output with an input, and nothing else.
        if layer.geometry.groups > 1 {
            continue;
        }
        let there = layer.inputs(0, alive);
        let mut covariance = moments.covariance(0, 0.0);
        let k = covariance.n;
        let ridge = RIDGE * (0..k).map(|i| covariance.values[i * k + i]).sum::<f64>() / k as f64;
        for i in 0..k {
            covariance.values[i * k + i] += ridge + f64::MIN_POSITIVE;
        }
        let weights = layers.weights(layer);
        let row = |o: usize| layer.geometry.weights(o).map(|p| weights[p] as f64).collect::<Vec<f64>>();
        let outputs: Vec<usize> = (0..layer.geometry.outputs).filter(|o| alive[layer.writes[*o]]).collect();
        let rows: Vec<Vec<f64>> = outputs.iter().map(|o| row(*o)).collect();
        let energy: f64 = rows.iter().map(|w| covariance.quadratic(w)).sum();
        let Some(lower) = covariance.cholesky() else { continue };
        let inverse = lower.invert_lower().transposed_product();
        let mut places: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for i in (0..k).filter(|i| there[*i]) {
            places.entry(layer.reads[i / layer.taps()]).or_default().push(i);
        }
        let arrives = if at_outputs { sensitivity(layers, at, judge, clean)? } else { 1.0 };
        readers.push(Reader {
            places,
            inverse,
            rows,
            classes: outputs.iter().map(|o| layer.writes[*o]).collect(),
            scale: arrives / energy.max(f64::MIN_POSITIVE),
            known: BTreeMap::new(),
        });
    }
    Ok(readers)
}

/// Noise at the outputs for a disturbance of a layer's weights of random signs, as a share of the square of that disturbance.
fn sensitivity(layers: &Layers, index: usize, judge: &Judge, clean: f64) -> Result<f64, Diagnostics> {
    let layer = &layers.layers[index];
    let mut state = index as u32 + 1;
    let mut sign = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 31 == 0 { 1.0 } else { -1.0 }
    };
    let weights: Vec<f32> =
        layers.weights(layer).iter().map(|w| w * (1.0 + DISTURBANCE * sign()) as f32).collect();
    let mut graph = layers.graph.clone();
    if let Some(value) = graph.node(layer.id).inputs[1] {
        let shape = graph.value(value).ty.shape.clone();
        graph.value_mut(value).data = Some(Tensor::from_f32(&shape, &weights));
    }
    let noise = judge.score(&graph, &Scheme::default())?.noise();
    Ok((noise - clean).max(1e-3 * noise) / (DISTURBANCE * DISTURBANCE))
}

impl Reader {
    /// `L^-1` of the block of the inverse for some inputs, so that `((H^-1)_SS)^-1 = L^-T L^-1`.
    fn block(&self, places: &[usize]) -> Option<Matrix> {
        let mut block = Matrix::zeros(places.len());
        for (a, i) in places.iter().enumerate() {
            for (b, j) in places.iter().enumerate() {
                block.values[a * places.len() + b] = self.inverse.values[i * self.inverse.n + j];
            }
        }
        block.cholesky().map(|l| l.invert_lower())
    }

    fn cost(&mut self, class: usize) -> f64 {
        if let Some(cost) = self.known.get(&class) {
            return *cost;
        }
        let Some(places) = self.places.get(&class) else { return 0.0 };
        let Some(lower) = self.block(places) else { return f64::INFINITY };
        let mut sum = 0.0;
        for row in &self.rows {
            let w: Vec<f64> = places.iter().map(|p| row[*p]).collect();
            sum += (0..lower.n).map(|i| dot(lower.row(i), &w).powi(2)).sum::<f64>();
        }
        self.known.insert(class, self.scale * sum);
        self.scale * sum
    }

    fn remove(&mut self, class: usize) {
        let gone = self.classes.contains(&class);
        let rows = std::mem::take(&mut self.rows);
        let left = rows.into_iter().zip(&self.classes).filter(|(_, c)| **c != class).map(|(r, _)| r);
        self.rows = left.collect();
        self.classes.retain(|c| *c != class);
        if gone {
            self.known.clear();
        }
        let Some(places) = self.places.remove(&class) else { return };
        self.known.clear();
        let Some(lower) = self.block(&places) else { return };
        let inner = lower.transposed_product();
        // (H^-1)_:S ((H^-1)_SS)^-1, row by row.
        let n = self.inverse.n;
        let factor: Vec<Vec<f64>> = (0..n)
            .map(|i| {
                let row: Vec<f64> = places.iter().map(|p| self.inverse.values[i * n + p]).collect();
                (0..places.len()).map(|b| dot(inner.row(b), &row)).collect()
            })
            .collect();
        for row in &mut self.rows {
            let w: Vec<f64> = places.iter().map(|p| row[*p]).collect();
            for (value, f) in row.iter_mut().zip(&factor) {
                *value -= dot(f, &w);
            }
            places.iter().for_each(|p| row[*p] = 0.0);
        }
        let columns: Vec<Vec<f64>> =
            (0..n).map(|j| places.iter().map(|p| self.inverse.values[p * n + j]).collect()).collect();
        for (row, f) in self.inverse.values.chunks_mut(n).zip(&factor) {
            row.iter_mut().zip(&columns).for_each(|(value, column)| *value -= dot(f, column));
        }
    }
}
