//! Logits in front of a Softmax: a range for those that can win, and a shift that makes it narrow.
//!
//! Two identities of `softmax(z)`. What lies far below the largest logit has no probability, wherever it lies; and
//! `softmax(z - t) = softmax(z)` for any number `t`, also one that depends on the input. int8 has 255 steps for the logits of
//! all samples, and what a step is worth decides which of two close classes wins, so:
//!
//! * [`tail`]: the range begins `TAIL` (and `ln` of the number of classes) below the smallest largest logit of all samples. What is
//!   further down is cut off: together it has less than `e^-TAIL`, which is less than half a step of the output.
//! * [`shift`]: with `t = v^T x + c`, a linear function of the last layer's input `x`, `W x + b - t` is a layer like any:
//!   `w_k - v` and `b_k - c` for each class `k`. `v` and `c` are such that `t` is near the largest logit, in least squares over
//!   the samples with a ridge, `(C + lambda) v = cov(x, max z)`. Then all samples' largest logits meet near 0, and the
//!   range is not much longer than the tail. The output does not change, up to float rounding.
//!
//! And [`faint`]: where no class ever gets much of a probability, the output's range ends there.
//!
//! The first two leave alone: a Softmax of several vectors, logits that something else reads or that are an output of the model,
//! and layers that end in a clamp; the shift also layers other than a Gemm or a Conv on one pixel.

use super::channels::weight_axes;
use super::equalize::replace;
use super::layer_inputs::{Geometry, Moments};
use super::samples::Samples;
use super::score::softmax_input;
use super::sites::Sites;
use super::trace::Trace;
use super::tune::Bounds;
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId, ValueId};
use crate::ops::Op;
use crate::ops::shared::Clamp;
use crate::tensor::Tensor;

/// How far below the largest logit, in units of the exponent, the range begins.
const TAIL: f32 = 8.0;

/// Probabilities that are never larger than this need steps of their own.
const FAINT: f32 = 0.25;

/// Ridge of the least squares, relative to the mean variance of the inputs.
const RIDGE: f64 = 0.03;

/// Cuts the lower end off the ranges of logits.
///
/// # Errors
/// Those of lowering and of loading samples.
pub fn tail(
    graph: &Graph,
    sites: &Sites,
    samples: &Samples,
    which: &[usize],
    ranges: &mut Bounds,
) -> Result<(), Diagnostics> {
    let logits: Vec<ValueId> = graph
        .outputs
        .iter()
        .filter_map(|o| softmax_input(graph, *o))
        .filter(|z| is_private(graph, *z))
        .collect();
    let trace = Trace::new(graph, &logits)?;
    let mut smallest = vec![f32::INFINITY; logits.len()];
    let step = |(): &mut (), x: Vec<Tensor>| -> Result<Vec<f32>, Diagnostic> {
        let mut tops = vec![];
        trace.run(&x, &mut |_, z| tops.push(top(&z.to_f32s())))?;
        Ok(tops)
    };
    samples.fold(
        which,
        || (),
        step,
        |tops| smallest.iter_mut().zip(tops).for_each(|(s, top)| *s = s.min(top)),
    )?;
    for (value, smallest) in logits.iter().zip(smallest) {
        let classes = graph.value(*value).ty.elements() as f32;
        let root = sites.roots.get(value).copied().unwrap_or(*value);
        if let Some((low, high)) = ranges.get_mut(&root) {
            *low = low.max((smallest - TAIL - classes.ln()).min(0.0).min(*high));
        }
    }
    Ok(())
}

/// Gives a Softmax at an output the range of its probabilities where they are all far below 1, as with very many classes, of
/// which its usual 255 steps of 1 would leave nothing.
///
/// # Errors
/// Those of lowering and of loading samples.
pub fn faint(
    graph: &Graph,
    sites: &Sites,
    samples: &Samples,
    which: &[usize],
    ranges: &mut Bounds,
) -> Result<(), Diagnostics> {
    let outputs: Vec<ValueId> =
        graph.outputs.iter().copied().filter(|o| softmax_input(graph, *o).is_some()).collect();
    let trace = Trace::new(graph, &outputs)?;
    let mut largest = vec![0f32; outputs.len()];
    let step = |(): &mut (), x: Vec<Tensor>| -> Result<Vec<f32>, Diagnostic> {
        let mut tops = vec![];
        trace.run(&x, &mut |_, p| tops.push(top(&p.to_f32s())))?;
        Ok(tops)
    };
    samples.fold(
        which,
        || (),
        step,
        |tops| largest.iter_mut().zip(tops).for_each(|(l, top)| *l = l.max(top)),
    )?;
    for (output, largest) in outputs.iter().zip(largest).filter(|(_, l)| (0.0..FAINT).contains(l)) {
        let root = sites.roots.get(output).copied().unwrap_or(*output);
        if sites.fixed.contains_key(&root) {
            ranges.insert(root, (0.0, largest));
        }
    }
    Ok(())
}

/// Whether only the Softmax sees logits, also where they are moved on the way to it.
fn is_private(graph: &Graph, mut value: ValueId) -> bool {
    while graph.sole_consumer(value).is_some() {
        match graph.producer(value) {
            Some((id, _)) if moves(&graph.node(id).op) => match graph.node(id).inputs[0] {
                Some(input) => value = input,
                None => return true,
            },
            _ => return true,
        }
    }
    false
}

fn moves(op: &Op) -> bool {
    matches!(op, Op::Reshape(_) | Op::Flatten(_) | Op::Squeeze(_) | Op::Unsqueeze(_) | Op::Transpose(_))
}

/// Subtracts from the logits what makes their largest alike; returns how many layers changed.
///
/// # Errors
/// Those of lowering and of loading samples.
pub fn shift(graph: &mut Graph, samples: &Samples, which: &[usize]) -> Result<usize, Diagnostics> {
    let outputs = graph.outputs.clone();
    let mut changed = 0;
    for output in outputs {
        let Some(layer) = softmax_input(graph, output).and_then(|z| last_layer(graph, z)) else { continue };
        if let Some(fit) = fit(graph, &layer, samples, which)? {
            subtract(graph, &layer, &fit);
            changed += 1;
        }
    }
    Ok(changed)
}

/// The layer that makes logits.
struct Last {
    id: NodeId,
    input: ValueId,
    logits: ValueId,
    geometry: Geometry,
}

fn last_layer(graph: &Graph, logits: ValueId) -> Option<Last> {
    let mut value = logits;
    loop {
        graph.sole_consumer(value)?;
        let (id, _) = graph.producer(value)?;
        let node = graph.node(id);
        let input = node.inputs[0]?;
        match &node.op {
            op if moves(op) => value = input,
            Op::Gemm(op) if op.clamp == Clamp::NONE && op.alpha == 1.0 && op.beta == 1.0 => {
                return last(graph, id, input, logits);
            }
            Op::Conv(op) if op.clamp == Clamp::NONE && op.groups == 1 => {
                return last(graph, id, input, logits);
            }
            _ => return None,
        }
    }
}

fn last(graph: &Graph, id: NodeId, input: ValueId, logits: ValueId) -> Option<Last> {
    let geometry = Geometry::of(graph, id)?;
    let bias = graph.node(id).inputs.get(2).copied().flatten();
    let vector = bias.is_none_or(|b| graph.constant(b).is_some_and(|t| t.elements() == geometry.outputs));
    let one_vector = geometry.outputs == graph.value(logits).ty.elements();
    weight_axes(&graph.node(id).op).filter(|_| vector && one_vector)?;
    Some(Last { id, input, logits, geometry })
}

/// `v` and `c`; `None` when the samples do not say.
fn fit(
    graph: &Graph,
    layer: &Last,
    samples: &Samples,
    which: &[usize],
) -> Result<Option<(Vec<f64>, f64)>, Diagnostics> {
    let trace = Trace::new(graph, &[layer.input, layer.logits])?;
    let (mut moments, mut tops) = (Moments::new(&layer.geometry), 0.0);
    let mut cross = vec![0.0; layer.geometry.k];
    let step = |(): &mut (), x: Vec<Tensor>| -> Result<(Option<Tensor>, f64), Diagnostic> {
        let mut seen = (None, 0.0);
        trace.run(&x, &mut |i, tensor| match i {
            0 => seen.0 = Some(tensor.clone()),
            _ => seen.1 = top(&tensor.to_f32s()) as f64,
        })?;
        Ok(seen)
    };
    samples.fold(
        which,
        || (),
        step,
        |(input, top)| {
            let Some(input) = input else { return };
            moments.add(&layer.geometry, &input);
            tops += top;
            let values = input.to_f32s();
            cross.iter_mut().zip(&values).for_each(|(c, x)| *c += *x as f64 * top);
        },
    )?;
    let (n, mean) = (which.len().max(1) as f64, moments.mean(0));
    let top = tops / n;
    let target: Vec<f64> = cross.iter().zip(&mean).map(|(c, m)| c / n - m * top).collect();
    let plain = moments.covariance(0, 0.0);
    let k = mean.len();
    let variance = (0..k).map(|i| plain.values[i * k + i]).sum::<f64>() / k.max(1) as f64;
    let Some(v) = moments.covariance(0, RIDGE * variance).solve(&target) else { return Ok(None) };
    let c = top - v.iter().zip(&mean).map(|(v, m)| v * m).sum::<f64>();
    Ok(v.iter().all(|x| x.is_finite()).then_some((v, c)))
}

fn subtract(graph: &mut Graph, layer: &Last, (v, c): &(Vec<f64>, f64)) {
    let Some(weights) = graph.node(layer.id).inputs[1].and_then(|w| graph.constant(w)).cloned() else {
        return;
    };
    let mut values = weights.to_f32s();
    for output in 0..layer.geometry.outputs {
        for (place, v) in layer.geometry.weights(output).zip(v) {
            values[place] = (values[place] as f64 - v) as f32;
        }
    }
    let bias = graph.node(layer.id).inputs.get(2).copied().flatten().and_then(|b| graph.constant(b));
    let bias = bias.map_or_else(|| vec![0.0; layer.geometry.outputs], Tensor::to_f32s);
    let bias: Vec<f32> = bias.into_iter().map(|b| (b as f64 - c) as f32).collect();
    replace(graph, layer.id, 1, "weights", Tensor::from_f32(weights.shape(), &values));
    replace(graph, layer.id, 2, "bias", Tensor::from_f32(&[bias.len()], &bias));
}

fn top(z: &[f32]) -> f32 {
    z.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}
