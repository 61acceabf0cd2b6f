//! Fallback: layers that cost too much get int16 activations, and if that is not enough, stay in float.
//!
//! The loss is what a user notices, measured without labels: the share of samples whose most probable class is another than
//! the float model's where a Softmax makes an output, otherwise the noise as a share of the signal. As long as it is above what is
//! asked for, the layers of the lowest [`super::sensitivity`] change: one, two, four, ... to int16 until all are, then in the same
//! steps to float. After each step weights are rounded and biases corrected anew. Where even that does not help, the last
//! step stays, and the report says what was reached.

use super::samples::Samples;
use super::scheme::{Precision, Scheme};
use super::score::Judge;
use super::sensitivity::sensitivity;
use super::sites::{Sites, weights};
use super::tune::{Plan, Trial, Tuned, Widths};
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
                    widths.insert(*id, if at < count { precision } else { Precision::Int16 });
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

/// The first and the last layer with weights, which are known to need more than the others, at another precision.
pub fn ends(graph: &Graph, sites: &Sites, precision: Precision) -> Widths {
    let order = graph.topological().unwrap_or_default();
    let layers: Vec<NodeId> =
        order.into_iter().filter(|id| sites.nodes.contains(id) && !weights(graph, *id).is_empty()).collect();
    let both = layers.first().into_iter().chain(layers.last());
    both.filter(|_| precision != Precision::Int8).map(|id| (*id, precision)).collect()
}

/// Gives layers their precision.
pub fn widen(graph: &Graph, sites: &Sites, widths: &Widths, scheme: &mut Scheme) {
    for (&id, precision) in widths {
        match precision {
            Precision::Int16 => scheme.int16(graph, sites, id),
            Precision::Float => {
                scheme.nodes.insert(id, Precision::Float);
            }
            Precision::Int8 => {}
        }
    }
}
