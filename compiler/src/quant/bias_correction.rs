//! Bias correction: rounded weights shift the mean of a layer's output, and the bias takes that back.
//!
//! With `e = w - s q`, the mean error of an output channel is `E[e^T x] = e^T E[x]`, which is added to the bias: exact on the
//! samples, at no cost in the program (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
//! Correction", arXiv:1906.04721, section 4.2). Where `E[x]` comes from:
//!
//! * [`empirical`]: from the float model's inputs of each layer on the samples.
//! * [`measured`]: likewise, but `w^T E[x] - s q^T E[x']` with the inputs `x'` that the quantized program computes, layer after
//!   layer with those before it corrected. It also takes back what rounding and cutting off activations shifts, which
//!   a global average does not average out. One run of the program a layer. Where samples disagree about the shift, less
//!   of it is believed: of a mean `m` with the standard error `e`, `m * m^2 / (m^2 + e^2)`, on top of the empirical one.
//! * [`analytic`]: without samples, from means and variances that are propagated through the layers as if all inputs of a
//!   product were independent and all sums normal, and through a fused clamp by the moments of the clipped normal
//!   distribution (the paper's appendix C). The paper takes the normal's parameters from BatchNormalization; here those
//!   are folded by now, but what they said is in weights and biases.
//!
//! It leaves alone layers that are not Conv or Gemm, and the analytic form also those whose inputs come through other
//! operators than layers, pooling, and moves.

use super::calibrate::integer_graph;
use super::layer_inputs::{Geometry, Means, Moments};
use super::samples::Samples;
use super::scheme::{Scheme, Weights};
use super::trace::Trace;
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::ops::shared::Clamp;
use crate::passes;
use crate::tensor::{QParams, Tensor};
use std::collections::BTreeMap;

/// `(w - s q)^T mean` for each output channel; `mean` is that of the group.
fn shift(
    geometry: &Geometry,
    floats: &Tensor,
    weights: &Weights,
    mean: impl Fn(usize) -> Vec<f64>,
) -> Vec<f64> {
    let (w, q) = (floats.to_f32s(), weights.reals());
    let means: Vec<Vec<f64>> = (0..geometry.groups).map(mean).collect();
    let channel = |o: usize| {
        let error = geometry.weights(o).map(|p| w[p] as f64 - q[p]);
        error.zip(&means[geometry.group(o)]).map(|(e, m)| e * m).sum()
    };
    (0..geometry.outputs).map(channel).collect()
}

/// Corrects the layers, given in order of execution, one after the other by what the quantized program computes for the
/// samples `which`. Layers that the program has no integers for keep what they have.
///
/// # Errors
/// Those of lowering and of loading samples.
pub fn measured(
    graph: &Graph,
    scheme: &mut Scheme,
    layers: &[(NodeId, &Geometry)],
    samples: &Samples,
    which: &[usize],
) -> Result<(), Diagnostics> {
    let inputs = |id: &NodeId| graph.node(*id).inputs[0].map(|v| (v, None));
    let watched: Vec<_> = layers.iter().filter_map(|(id, g)| Some((inputs(id)?, *g))).collect();
    let floats = means(graph, &watched, samples, which)?;
    for (at, (id, geometry)) in layers.iter().enumerate() {
        let mut integers = integer_graph(graph, scheme)?;
        let input = integers.get(*id).and_then(|n| n.inputs[0]);
        let Some((input, params)) = input.and_then(|v| Some((v, integers.value(v).qparams.clone()?))) else {
            continue;
        };
        let (Some(weights), Some(w)) =
            (scheme.weights.get(&(*id, 1)), graph.node(*id).inputs[1].and_then(|w| graph.constant(w)))
        else {
            continue;
        };
        // What comes behind the layer does not matter yet.
        integers.outputs = vec![input];
        passes::run(&mut integers, &[&passes::DeadCode], &mut vec![])?;
        let quantized = means(&integers, &[((input, Some(params)), geometry)], samples, which)?;
        let (w, q) = (w.to_f32s(), weights.reals());
        let plain = scheme.corrections.get(id).cloned().unwrap_or_else(|| vec![0.0; geometry.outputs]);
        let channel = |o: usize| {
            let group = geometry.group(o);
            let shift = |(x, y): (&Vec<Means>, &Vec<Means>)| {
                let means = x[at].of(group).into_iter().zip(y[0].of(group));
                let term = |(p, (x, y)): (usize, (f64, f64))| w[p] as f64 * x - q[p] * y;
                geometry.weights(o).zip(means).map(term).sum::<f64>() - plain[o]
            };
            let shifts: Vec<f64> = floats.iter().zip(&quantized).map(shift).collect();
            plain[o] + believed(&shifts)
        };
        let correction = (0..geometry.outputs).map(channel).collect();
        scheme.corrections.insert(*id, correction);
    }
    Ok(())
}

/// The mean, as far as its standard error lets one believe in it.
fn believed(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let error = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0) / n;
    if mean == 0.0 { 0.0 } else { mean * mean * mean / (mean * mean + error) }
}

/// Means of the inputs of layers, which may be integers, for each sample.
fn means(
    graph: &Graph,
    watched: &[((ValueId, Option<QParams>), &Geometry)],
    samples: &Samples,
    which: &[usize],
) -> Result<Vec<Vec<Means>>, Diagnostics> {
    let wanted: Vec<ValueId> = watched.iter().map(|((v, _), _)| *v).collect();
    let trace = Trace::new(graph, &wanted)?;
    let mut all = vec![];
    let step = |(): &mut (), x: Vec<Tensor>| -> Result<Vec<Means>, Diagnostic> {
        let mut means: Vec<Means> = watched.iter().map(|(_, g)| Means::new(g)).collect();
        trace.run(&x, &mut |i, tensor| {
            let ((_, params), geometry) = &watched[i];
            let mut values = tensor.to_f32s();
            if let Some(q) = params {
                values.iter_mut().for_each(|v| *v = (*v - q.zero_point[0] as f32) * q.scale[0]);
            }
            means[i].add(geometry, &values);
        })?;
        Ok(means)
    };
    samples.fold(which, || (), step, |means| all.push(means))?;
    Ok(all)
}

/// What the bias of a layer lacks, from the moments of its inputs.
pub fn empirical(geometry: &Geometry, moments: &Moments, floats: &Tensor, weights: &Weights) -> Vec<f64> {
    shift(geometry, floats, weights, |group| moments.mean(group))
}

/// Mean and variance of each channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Normal {
    /// Means.
    pub mean: Vec<f64>,
    /// Variances.
    pub variance: Vec<f64>,
}

/// What the biases of layers lack, from nothing but the weights and the mean and variance of the model's inputs, which are
/// taken to be the same for all their elements.
pub fn analytic(
    graph: &Graph,
    weights: &BTreeMap<(NodeId, usize), Weights>,
    input: (f64, f64),
) -> BTreeMap<NodeId, Vec<f64>> {
    let mut known: BTreeMap<ValueId, Normal> = BTreeMap::new();
    let mut corrections = BTreeMap::new();
    for id in graph.topological().unwrap_or_default() {
        let node = graph.node(id);
        let Some(x) = node.inputs.first().copied().flatten() else { continue };
        let Some(normal) = distribution(graph, &known, x, input) else { continue };
        let output = node.outputs[0];
        match &node.op {
            Op::Conv(_) | Op::Gemm(_) => {
                let (Some(geometry), Some(floats)) =
                    (Geometry::of(graph, id), node.inputs[1].and_then(|w| graph.constant(w)))
                else {
                    continue;
                };
                let Some(inputs) = spread(&geometry, &normal) else { continue };
                if let Some(weights) = weights.get(&(id, 1)) {
                    let mean = |group: usize| inputs[group].iter().map(|(m, _)| *m).collect();
                    corrections.insert(id, shift(&geometry, floats, weights, mean));
                }
                known.insert(output, through_layer(graph, id, &geometry, floats, &inputs));
            }
            Op::Relu(_) => {
                known.insert(output, through_clamp(&normal, Clamp::RELU));
            }
            // Means stay; the variance of an average, or of the largest of several, is taken to be that of one.
            Op::MaxPool(_)
            | Op::AveragePool(_)
            | Op::GlobalAveragePool(_)
            | Op::GlobalMaxPool(_)
            | Op::Pad(_) => {
                known.insert(output, normal);
            }
            Op::Reshape(_) | Op::Flatten(_) | Op::Squeeze(_) | Op::Unsqueeze(_) | Op::Transpose(_) => {
                let channels = |v: ValueId| graph.value(v).ty.shape.get(1).copied().unwrap_or(0);
                let inner = channels(output) / normal.mean.len().max(1);
                let even = channels(output) == inner * normal.mean.len();
                // NCHW to N(CHW): each channel is now many.
                if even && inner > 0 && !matches!(node.op, Op::Transpose(_)) {
                    let repeat = |v: &[f64]| v.iter().flat_map(|x| vec![*x; inner]).collect();
                    known.insert(
                        output,
                        Normal { mean: repeat(&normal.mean), variance: repeat(&normal.variance) },
                    );
                }
            }
            _ => {}
        }
    }
    corrections
}

/// What is known of a value; of those before the first layer only that they are the model's input, moved.
fn distribution(
    graph: &Graph,
    known: &BTreeMap<ValueId, Normal>,
    value: ValueId,
    input: (f64, f64),
) -> Option<Normal> {
    if let Some(normal) = known.get(&value) {
        return Some(normal.clone());
    }
    let mut from = value;
    while let Some((id, _)) = graph.producer(from) {
        let moves = matches!(
            graph.node(id).op,
            Op::Reshape(_) | Op::Flatten(_) | Op::Squeeze(_) | Op::Unsqueeze(_) | Op::Transpose(_)
        );
        from = graph.node(id).inputs[0].filter(|_| moves)?;
    }
    let channels = *graph.value(value).ty.shape.get(1)?;
    let normal = Normal { mean: vec![input.0; channels], variance: vec![input.1; channels] };
    graph.inputs.contains(&from).then_some(normal)
}

/// (mean, variance) of each of the `k` inputs, for each group; `None` where the channels do not fit.
fn spread(geometry: &Geometry, normal: &Normal) -> Option<Vec<Vec<(f64, f64)>>> {
    let channels = normal.mean.len();
    let per_group = channels / geometry.groups;
    if per_group == 0 || !channels.is_multiple_of(geometry.groups) || !geometry.k.is_multiple_of(per_group) {
        return None;
    }
    let taps = geometry.k / per_group;
    let input = |group: usize, i: usize| {
        let channel = group * per_group + i / taps;
        (normal.mean[channel], normal.variance[channel])
    };
    Some((0..geometry.groups).map(|g| (0..geometry.k).map(|i| input(g, i)).collect()).collect())
}

fn through_layer(
    graph: &Graph,
    id: NodeId,
    geometry: &Geometry,
    floats: &Tensor,
    inputs: &[Vec<(f64, f64)>],
) -> Normal {
    let w = floats.to_f32s();
    let bias = graph.node(id).inputs.get(2).copied().flatten().and_then(|b| graph.constant(b));
    let bias = bias.map(|b| b.to_f32s()).filter(|b| b.len() == geometry.outputs);
    let clamp = match &graph.node(id).op {
        Op::Conv(op) => op.clamp,
        Op::Gemm(op) => op.clamp,
        _ => Clamp::NONE,
    };
    let (mut mean, mut variance) = (vec![], vec![]);
    for o in 0..geometry.outputs {
        let pairs = || geometry.weights(o).map(|p| w[p] as f64).zip(&inputs[geometry.group(o)]);
        mean.push(pairs().map(|(w, (m, _))| w * m).sum::<f64>() + bias.as_ref().map_or(0.0, |b| b[o] as f64));
        variance.push(pairs().map(|(w, (_, v))| w * w * v).sum::<f64>());
    }
    through_clamp(&Normal { mean, variance }, clamp)
}

/// Moments of `clamp(x, a, b)` for a normal `x`: with `alpha = (a - mu) / sigma`, `beta = (b - mu) / sigma` and
/// `Z = Phi(beta) - Phi(alpha)`, the mean is `sigma (phi(alpha) - phi(beta)) + mu Z + a Phi(alpha) + b (1 - Phi(beta))`; the second moment is likewise.
fn through_clamp(x: &Normal, clamp: Clamp) -> Normal {
    let mut result = Normal { mean: vec![], variance: vec![] };
    for (&mu, &variance) in x.mean.iter().zip(&x.variance) {
        let sigma = variance.max(0.0).sqrt();
        let (low, high) = (clamp.min as f64, clamp.max as f64);
        if sigma < 1e-30 || (low.is_infinite() && high.is_infinite()) {
            result.mean.push(mu.max(low).min(high));
            result.variance.push(if sigma < 1e-30 { 0.0 } else { variance });
            continue;
        }
        let (alpha, beta) = ((low - mu) / sigma, (high - mu) / sigma);
        let inside = distribution_function(beta) - distribution_function(alpha);
        // A bound at infinity weighs nothing, and infinity times nothing is no number.
        let times = |bound: f64, share: f64| if bound.is_infinite() { 0.0 } else { bound * share };
        let (below, above) = (distribution_function(alpha), 1.0 - distribution_function(beta));
        let (da, db) = (density(alpha), density(beta));
        let mean = sigma * (da - db) + mu * inside + times(low, below) + times(high, above);
        let second = (mu * mu + variance) * inside
            + 2.0 * mu * sigma * (da - db)
            + variance * (times(alpha, da) - times(beta, db))
            + times(low, low * below)
            + times(high, high * above);
        result.mean.push(mean);
        result.variance.push((second - mean * mean).max(0.0));
    }
    result
}

fn density(x: f64) -> f64 {
    (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// The standard normal distribution, by the error function's approximation 7.1.26 of Abramowitz and Stegun (error below
/// 1.5e-7).
fn distribution_function(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let polynomial =
        t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    let erf = 1.0 - polynomial * (-z * z).exp();
    if x >= 0.0 { 0.5 * (1.0 + erf) } else { 0.5 * (1.0 - erf) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Midpoint sums over the density stand in for the closed form.
    fn integrate(mu: f64, variance: f64, clamp: Clamp) -> (f64, f64) {
        let (n, sigma) = (20_000, variance.sqrt());
        let x = |i: usize| mu + sigma * (-9.0 + 18.0 * (i as f64 + 0.5) / n as f64);
        let clamped = |i: usize| x(i).max(clamp.min as f64).min(clamp.max as f64);
        let share = |i: usize| density((x(i) - mu) / sigma) * 18.0 / n as f64;
        let mean: f64 = (0..n).map(|i| clamped(i) * share(i)).sum();
        (mean, (0..n).map(|i| (clamped(i) - mean).powi(2) * share(i)).sum())
    }

    #[test]
    fn moments_of_clipped_normals() {
        let relu6 = Clamp { min: 0.0, max: 6.0 };
        for clamp in [Clamp::RELU, relu6, Clamp { min: f32::NEG_INFINITY, max: 1.0 }] {
            for (mu, variance) in [(0.0, 1.0), (-2.0, 4.0), (5.0, 9.0), (20.0, 0.25)] {
                let got = through_clamp(&Normal { mean: vec![mu], variance: vec![variance] }, clamp);
                let (mean, spread) = integrate(mu, variance, clamp);
                assert!((got.mean[0] - mean).abs() < 1e-4, "{mu} {variance}: {} not {mean}", got.mean[0]);
                assert!(
                    (got.variance[0] - spread).abs() < 1e-3,
                    "{mu} {variance}: {} not {spread}",
                    got.variance[0]
                );
            }
        }
        let constant =
            through_clamp(&Normal { mean: vec![-1.0, 2.0], variance: vec![0.0, 0.0] }, Clamp::RELU);
        assert_eq!((constant.mean, constant.variance), (vec![0.0, 2.0], vec![0.0, 0.0]));
    }
}
