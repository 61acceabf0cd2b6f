//! Sensitivity: what each layer alone costs the output, when it is int8 and all others are float.
//!
//! The layer's own activations and weights are quantized as the scheme says, nothing else is; the score is that of
//! [`super::score`], in dB. Layers of low scores are those to spend more bits on.

use super::scheme::{Precision, Scheme};
use super::score::Judge;
use crate::diag::Diagnostics;
use crate::graph::{Graph, NodeId};

/// The score of each layer that a scheme makes int8 and that has weights, in order of execution.
///
/// # Errors
/// Those of lowering and of loading samples.
pub fn sensitivity(graph: &Graph, scheme: &Scheme, judge: &Judge) -> Result<Vec<(NodeId, f64)>, Diagnostics> {
    let mut found = vec![];
    for id in graph.topological().unwrap_or_default() {
        let int8 = scheme.nodes.get(&id) == Some(&Precision::Int8);
        if int8 && scheme.weights.keys().any(|(node, _)| *node == id) {
            let alone = Scheme { nodes: [(id, Precision::Int8)].into(), ..scheme.clone() };
            // A layer that cannot be compiled so is as bad as can be.
            let score = judge.score(graph, &alone).map_or(f64::NEG_INFINITY, |s| s.db());
            found.push((id, score));
        }
    }
    Ok(found)
}
