//! Fallback: layers that cost too much get int16 activations (and int8 weights, if they had int4), and if that is not enough, stay in float.
//!
//! The loss is what a user notices, measured without labels: the share of samples whose most probable class is another than
//! the float model's where a Softmax makes an output, otherwise the noise as a share of the signal. As long as it is above what is
//! asked for, the layers of the lowest [`super::sensitivity`] change: one, two, four, ... to int16 until all are, then in the same
//! steps to float. After each step weights are rounded and biases corrected anew. Where even that does not help, the last
//! step stays, and the report says what was reached.

use super::samples::Samples;
use super::scheme::{Precision, Scheme, WeightBits};
use super::score::Judge;
use super::sensitivity::sensitivity;
use super::sites::{Sites, weights};
use super::tune::{Aim, Plan, Trial, Tuned, Widths};
use crate::diag::Diagnostics;
use crate::graph::{Graph, NodeId};

/// Changes the scheme until it loses at most `max_loss` percent; returns what was tried, with the loss of each.
///
/// # Errors
/// Those of lowering and of loading samples.
pub fn fall_back(
    tuned: &mut Tuned,
    plan: &Plan,
    sites: &Sites,
    (samples, which): (&Samples, &[usize]),
    judge: &Judge,
    (widths, max_loss): (&Widths, f64),
) -> Result<Vec<Trial>, Diagnostics> {
    let loss = judge.loss(&tuned.graph, &tuned.scheme)?;
    let mut trials = vec![Trial { name: "loss in percent".into(), score: loss }];
    if loss <= max_loss {
        return Ok(trials);
    }
    let mut layers = sensitivity(&tuned.graph, &tuned.scheme, judge)?;
    layers.sort_by(|a, b| a.1.total_cmp(&b.1));
    for precision in [Precision::Int16, Precision::Float] {
        let mut count = 1;
        loop {
            let mut widths = widths.clone();
            for (at, (id, _)) in layers.iter().enumerate() {
                // Before any layer is float, all are int16.
                let changed = at < count || precision == Precision::Float;
                if changed {
                    let precision = if at < count { precision } else { Precision::Int16 };
                    widths.insert(*id, (precision, WeightBits::Int8));
                }
            }
            let scheme = plan.scheme(&tuned.graph, sites, &tuned.ranges, &widths, samples, which)?;
            let loss = judge.loss(&tuned.graph, &scheme)?;
            let name = format!("{} layers in {}, loss in percent", count.min(layers.len()), precision.name());
            trials.push(Trial { name, score: loss });
            tuned.scheme = scheme;
            if loss <= max_loss {
                return Ok(trials);
            }
            if count >= layers.len() {
                break;
            }
            count *= 2;
        }
    }
    Ok(trials)
}

/// The precision of each layer as it is asked for, before any falls back: the same for all, but for the first and the last
/// layer with weights, which are known to need more than the others.
pub fn asked(graph: &Graph, sites: &Sites, aim: Aim) -> Widths {
    let order = graph.topological().unwrap_or_default();
    let mut widths: Widths = sites.nodes.iter().map(|id| (*id, (aim.precision, aim.weights))).collect();
    let layers: Vec<NodeId> =
        order.into_iter().filter(|id| sites.nodes.contains(id) && !weights(graph, *id).is_empty()).collect();
    if let Some(precision) = aim.ends {
        widths.extend(
            layers.first().into_iter().chain(layers.last()).map(|id| (*id, (precision, WeightBits::Int8))),
        );
    }
    widths
}

/// Gives layers their precision, and weights their width.
pub fn widen(graph: &Graph, sites: &Sites, widths: &Widths, scheme: &mut Scheme) {
    for (&id, (precision, bits)) in widths {
        match precision {
            Precision::Int16 => scheme.int16(graph, sites, id),
            Precision::Float => {
                scheme.nodes.insert(id, Precision::Float);
            }
            Precision::Int8 => {}
        }
        if let (WeightBits::Int4 { block }, true) = (bits, scheme.nodes.get(&id) != Some(&Precision::Float)) {
            scheme.int4(graph, id, *block);
        }
    }
}
