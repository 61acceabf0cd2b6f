//! Cross-layer equalization: channels of one activation get ranges that suit one common scale.
//!
//! Identity: for a positively homogeneous `f` and any positive `s`, `W2 * f(W1 * x + b) = (W2 * S) * f((W1 * x + b) / S)` with
//! `S = diag(s)`. The function stays, up to float rounding; what changes is how much of the int8 range each channel of
//! the activation uses (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
//! arXiv:1906.04721, section 4.1). The choice of `s`, by what is known:
//!
//! * `Balance::Weights`, without data: the paper's `s = sqrt(r1 / r2)`, with the largest weights `r1` of the channel in the
//!   layer before and `r2` in the layer behind it, until nothing changes.
//! * `Balance::Activations(alpha)`: weights here have a scale for each output channel, so `W1` may be scaled at no
//!   price, and `r1` is the range of the activation itself: `s = r1^alpha / r2^(1 - alpha)` (the form of G. Xiao et al.,
//!   "SmoothQuant", arXiv:2211.10438, section 4), with `r2` relative to the largest weight of its row. A channel that
//!   only depthwise layers read has no price behind it either: there, `s = r1`.
//!
//! Channels under a Relu6 have a ceiling. They are only scaled up, and to no more than the ceiling: then nothing changes
//! for inputs like those of the calibration, and int8 would saturate there anyway. `Balance::Weights` leaves them alone.
//!
//! It runs on the fused float graph, before scales are chosen. It leaves alone: what [`channels`](super::channels) pins
//! (inputs and outputs of the model, operators that are not homogeneous, additions of constants), and channels that are
//! zero on all samples.

use super::channels::{Channels, Side, weight_axes};
use crate::diag::Diagnostic;
use crate::graph::{Graph, NodeId, ValueId};
use crate::tensor::{Tensor, strides};
use std::collections::BTreeMap;

/// For outputs of layers, the largest magnitude of each channel (axis 1) over the samples.
pub type ChannelRanges = BTreeMap<ValueId, Vec<f32>>;

/// What is to be equal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Balance {
    /// The weights before and behind a channel; needs no data.
    Weights,
    /// The activation (1) against the weights behind it (0), needs ranges.
    Activations(f64),
}

/// No factor goes beyond this, or below its inverse.
const LARGEST: f64 = 1024.0;

/// Rounds of the data-free balance; the paper's converges in a few.
const ROUNDS: usize = 20;

/// Rescales the channels; returns how many layers changed what they write. `ranges` is read by `Balance::Activations`.
///
/// # Errors
/// As [`Channels::of`].
pub fn equalize(graph: &mut Graph, balance: Balance, ranges: &ChannelRanges) -> Result<usize, Diagnostic> {
    let channels = Channels::of(graph)?;
    let factors = match balance {
        Balance::Weights => by_weights(graph, &channels),
        Balance::Activations(alpha) => by_activations(graph, &channels, ranges, alpha),
    };
    let mut changed = 0;
    for side in &channels.sources {
        let factors: Vec<f64> = side.classes.iter().map(|c| 1.0 / factors[*c]).collect();
        changed += scale(graph, side.node, &factors, true) as usize;
    }
    for side in &channels.sinks {
        let factors: Vec<f64> = side.classes.iter().map(|c| factors[*c]).collect();
        scale(graph, side.node, &factors, false);
    }
    Ok(changed)
}

/// Weights of a layer as `(output channel, input channel, value)`.
fn entries(graph: &Graph, node: NodeId) -> Vec<(usize, usize, f32)> {
    let Some((weights, out, into, groups)) = weights(graph, node) else { return vec![] };
    let (shape, steps) = (weights.shape(), strides(weights.shape()));
    let (outputs, per_group) = (shape[out], shape[into]);
    let index = |i: usize, axis: usize| i / steps[axis] % shape[axis];
    let entry = |(i, w): (usize, &f32)| {
        let o = index(i, out);
        (o, o / (outputs / groups) * per_group + index(i, into), *w)
    };
    weights.to_f32s().iter().enumerate().map(entry).collect()
}

fn weights(graph: &Graph, node: NodeId) -> Option<(&Tensor, usize, usize, usize)> {
    let (out, into, groups) = weight_axes(&graph.node(node).op)?;
    let value = graph.node(node).inputs.get(1).copied().flatten()?;
    Some((graph.constant(value)?, out, into, groups))
}

/// The paper's factors. The row ranges change with the factors of the layer before, hence the rounds.
fn by_weights(graph: &Graph, channels: &Channels) -> Vec<f64> {
    let mut factors = vec![1.0f64; channels.count];
    let sides: Vec<_> = pairs(channels).map(|(from, to)| (from, to, entries(graph, from.node))).collect();
    let mut free = vec![true; channels.count];
    free[0] = false;
    for side in channels.sources.iter().filter(|s| s.ceiling.is_some()) {
        side.classes.iter().for_each(|c| free[*c] = false);
    }
    for _ in 0..ROUNDS {
        let (mut before, mut behind) = (vec![0.0f64; channels.count], vec![0.0f64; channels.count]);
        for (source, sink, entries) in &sides {
            for &(o, i, w) in entries {
                let (o, i) = (source.classes[o], sink.classes[i]);
                let now = w.abs() as f64 / factors[o] * factors[i];
                before[o] = before[o].max(now);
                behind[i] = behind[i].max(now);
            }
        }
        for class in (1..channels.count).filter(|c| free[*c]) {
            if before[class] > 0.0 && behind[class] > 0.0 {
                let step = (before[class] / behind[class]).sqrt();
                factors[class] = (factors[class] * step).clamp(1.0 / LARGEST, LARGEST);
            }
        }
    }
    factors
}

/// The two sides of each layer.
fn pairs(channels: &Channels) -> impl Iterator<Item = (&Side, &Side)> {
    channels.sources.iter().zip(&channels.sinks)
}

/// `s = r1^alpha / r2^(1 - alpha)`, and `s = r1` where `r2` is nothing.
fn by_activations(graph: &Graph, channels: &Channels, ranges: &ChannelRanges, alpha: f64) -> Vec<f64> {
    let mut before = vec![0.0f64; channels.count];
    // No channel with a ceiling may be divided by less than this, nor by more than 1.
    let mut least = vec![0.0f64; channels.count];
    for side in &channels.sources {
        let output = graph.node(side.node).outputs[0];
        let Some(ranges) = ranges.get(&output).filter(|r| r.len() == side.classes.len()) else {
            side.classes.iter().for_each(|c| before[*c] = f64::NAN);
            continue;
        };
        for (&class, &range) in side.classes.iter().zip(ranges) {
            // A NaN stays: one layer without ranges holds its whole class.
            before[class] = if before[class].is_nan() { f64::NAN } else { before[class].max(range as f64) };
            if let Some(ceiling) = side.ceiling {
                least[class] = least[class].max((range / ceiling) as f64).max(1.0 / LARGEST);
            }
        }
    }
    let behind = price(graph, channels);
    let mut factors = vec![1.0f64; channels.count];
    for class in 1..channels.count {
        let (r1, r2) = (before[class], behind[class]);
        if r1 > 0.0 && r1.is_finite() {
            let raw = if r2 > 0.0 { r1.powf(alpha) / r2.powf(1.0 - alpha) } else { r1 };
            factors[class] = raw.clamp(1.0 / LARGEST, LARGEST);
        }
    }
    below_ceilings(channels, &least, &mut factors);
    factors
}

/// For each class, the largest weight behind it relative to its row; 0 where every row has one channel (depthwise).
fn price(graph: &Graph, channels: &Channels) -> Vec<f64> {
    let mut price = vec![0.0f64; channels.count];
    for sink in &channels.sinks {
        if weights(graph, sink.node).is_none_or(|(w, _, into, _)| w.shape()[into] == 1) {
            continue;
        }
        let entries = entries(graph, sink.node);
        let mut largest = BTreeMap::<usize, f32>::new();
        for &(o, _, w) in &entries {
            let row = largest.entry(o).or_default();
            *row = row.max(w.abs());
        }
        for (o, i, w) in entries {
            if w != 0.0 {
                let class = sink.classes[i];
                price[class] = price[class].max((w.abs() / largest[&o]) as f64);
            }
        }
    }
    price
}

/// Brings the factors of layers with a ceiling between `least` and 1, the largest of a layer to 1.
fn below_ceilings(channels: &Channels, least: &[f64], factors: &mut [f64]) {
    for side in channels.sources.iter().filter(|s| s.ceiling.is_some()) {
        let largest = side.classes.iter().map(|c| factors[*c]).fold(0.0, f64::max);
        let mut classes = side.classes.clone();
        classes.sort_unstable();
        classes.dedup();
        for class in classes {
            factors[class] = (factors[class] / largest).max(least[class]).min(1.0);
        }
    }
    factors[0] = 1.0;
}

/// Multiplies what belongs to each output channel (with the bias) or to each input channel; whether anything changed.
fn scale(graph: &mut Graph, id: NodeId, factors: &[f64], output: bool) -> bool {
    if factors.iter().all(|f| *f == 1.0) {
        return false;
    }
    let Some((tensor, ..)) = weights(graph, id) else { return false };
    let shape = tensor.shape().to_vec();
    let channel = |(o, i, _): &(usize, usize, f32)| if output { *o } else { *i };
    let values: Vec<f32> =
        entries(graph, id).iter().map(|e| (e.2 as f64 * factors[channel(e)]) as f32).collect();
    replace(graph, id, 1, "weights", Tensor::from_f32(&shape, &values));
    if let Some(bias) = graph.node(id).inputs.get(2).copied().flatten().filter(|_| output)
        && let Some(tensor) = graph.constant(bias)
    {
        let values: Vec<f32> =
            tensor.to_f32s().iter().zip(factors).map(|(b, f)| (*b as f64 * f) as f32).collect();
        let tensor = Tensor::from_f32(tensor.shape(), &values);
        replace(graph, id, 2, "bias", tensor);
    }
    true
}

/// Gives a node another constant, which no other node shares.
pub fn replace(graph: &mut Graph, id: NodeId, input: usize, name: &str, tensor: Tensor) {
    let name = format!("{}/{name}", graph.node(id).name);
    let value = graph.add_constant(&name, tensor);
    let node = graph.node_mut(id);
    node.inputs.resize(node.inputs.len().max(input + 1), None);
    node.inputs[input] = Some(value);
}
