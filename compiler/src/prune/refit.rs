//! What is left of each layer, fitted to what the layer computed before: least squares, layer after layer.
//!
//! For a layer with outputs `y = W x + b` in the original program and inputs `x'` in the pruned one (whose earlier layers are
//! fitted by now), `W' = W'' + (Cov(x', x') + ridge)^-1 (Cov(x', y) - Cov(x', x') W'')` and `b' = E[y] - W' E[x']`, where `W''` are the
//! weights so far: the ridge keeps what the samples say nothing about (Y. He et al., "Channel Pruning for Accelerating Very Deep
//! Neural Networks", arXiv:1707.06168, section 3.1). This also re-estimates what BatchNormalization said, which is folded
//! into weights and biases by now.

use super::layers::{Layer, Layers};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::Graph;
use crate::quant::layer_inputs::Pair;
use crate::quant::linalg::{Matrix, dot};
use crate::quant::{Samples, Trace};
use crate::tensor::Tensor;

/// Ridge relative to the mean variance of the inputs: at least, and for as many inputs as there are observations.
const RIDGE: (f64, f64) = (1e-4, 0.05);

/// Fits all layers.
pub(super) fn refit(
    original: &Graph,
    layers: &mut Layers,
    alive: &[bool],
    samples: &Samples,
    which: &[usize],
) -> Result<(), Diagnostics> {
    for index in 0..layers.layers.len() {
        let layer = &layers.layers[index];
        let pair = pair(original, layers, layer, samples, which)?;
        let (weights, biases) = fitted(original, layers, layer, &pair, alive);
        layers.set(index, &weights, &biases);
    }
    Ok(())
}

/// Statistics of what a layer reads in both programs.
fn pair(
    original: &Graph,
    layers: &Layers,
    layer: &Layer,
    samples: &Samples,
    which: &[usize],
) -> Result<Pair, Diagnostics> {
    let trace = |graph: &Graph| {
        let mut graph = graph.clone();
        let wanted: Vec<_> = graph.node(layer.id).inputs[0].into_iter().collect();
        // What comes behind the layer does not matter.
        graph.outputs = wanted.clone();
        crate::passes::run(&mut graph, &[&crate::passes::DeadCode], &mut vec![])?;
        Trace::new(&graph, &wanted)
    };
    let (before, now) = (trace(original)?, trace(&layers.graph)?);
    let step = |pair: &mut Pair, x: Vec<Tensor>| -> Result<(), Diagnostic> {
        let (mut a, mut b) = (None, None);
        before.run(&x, &mut |_, t| a = Some(t.to_f32s()))?;
        now.run(&x, &mut |_, t| b = Some(t.to_f32s()))?;
        if let (Some(a), Some(b)) = (a, b) {
            pair.add(&layer.geometry, &a, &b);
        }
        Ok(())
    };
    let alone = Samples { threads: 1, ..*samples };
    let new = || Pair::new(&layer.geometry);
    let found = alone.fold(which, new, step, |()| ())?.into_iter().next();
    Ok(found.unwrap_or_else(new))
}

/// New weights and biases of a layer.
fn fitted(
    original: &Graph,
    layers: &Layers,
    layer: &Layer,
    pair: &Pair,
    alive: &[bool],
) -> (Vec<f32>, Vec<f32>) {
    let constant = |i: usize| {
        let value = original.node(layer.id).inputs.get(i).copied().flatten();
        value.and_then(|v| original.constant(v)).map(Tensor::to_f32s)
    };
    let (mut weights, mut biases) = (layers.weights(layer), layers.biases(layer));
    let target = constant(1).unwrap_or_default();
    let target_bias = constant(2).unwrap_or_else(|| vec![0.0; biases.len()]);
    let k = layer.geometry.k;
    let mut solver: Option<(usize, Vec<usize>, Matrix)> = None;
    for o in (0..layer.geometry.outputs).filter(|o| alive[layer.writes[*o]]) {
        let group = layer.geometry.group(o);
        if solver.as_ref().is_none_or(|(g, ..)| *g != group) {
            let there = layer.inputs(group, alive);
            let kept: Vec<usize> = (0..k).filter(|i| there[*i]).collect();
            let Some(inverse) = pair.inverse(group, &kept, RIDGE) else { continue };
            solver = Some((group, kept, inverse));
        }
        let Some((_, kept, inverse)) = &solver else { continue };
        let places: Vec<usize> = layer.geometry.weights(o).collect();
        let w: Vec<f64> = places.iter().map(|p| target[*p] as f64).collect();
        let now: Vec<f64> = kept.iter().map(|i| weights[places[*i]] as f64).collect();
        // Cov(x', y) - Cov(x', x') W''.
        let lack: Vec<f64> = kept
            .iter()
            .map(|&i| {
                let wanted: f64 = (0..k).map(|j| w[j] * pair.cross(group, i, j)).sum();
                let have: f64 = kept.iter().zip(&now).map(|(j, w)| w * pair.own(group, i, *j)).sum();
                wanted - have
            })
            .collect();
        let new: Vec<f64> = (0..kept.len()).map(|a| now[a] + dot(inverse.row(a), &lack)).collect();
        let (mean, mean_now) = pair.means(group);
        let before: f64 = w.iter().zip(&mean).map(|(w, m)| w * m).sum();
        let after: f64 = kept.iter().zip(&new).map(|(i, w)| w * mean_now[*i]).sum();
        if new.iter().all(|w| w.is_finite()) {
            biases[o] = (target_bias[o] as f64 + before - after) as f32;
            kept.iter().zip(&new).for_each(|(i, w)| weights[places[*i]] = *w as f32);
        }
    }
    (weights, biases)
}
