//! Pruning as one pure function: a fused float graph and samples in, a smaller ONNX file out.

use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{self, Graph};
use crate::ops::Op;
use crate::prune::{self, PruneOptions, Pruned};
use crate::quant::Samples;
use crate::{onnx, passes};

/// A pruned model.
#[derive(Debug, Clone)]
pub struct PrunedModel {
    /// The ONNX file.
    pub onnx: Vec<u8>,
    /// What was done.
    pub pruned: Pruned,
}

/// Prunes a graph that [`super::float_graph`] made.
///
/// # Errors
/// `E0320` without samples, `E0330` for a graph that is quantized, and those of [`prune::prune`].
pub fn prune(graph: &Graph, samples: &Samples, options: &PruneOptions) -> Result<PrunedModel, Diagnostics> {
    let quantized =
        |id: &graph::NodeId| matches!(graph.node(*id).op, Op::QuantizeLinear(_) | Op::DequantizeLinear(_));
    if let Some(&id) = graph.node_ids().iter().find(|id| quantized(id)) {
        let node = graph.node(id);
        let d = Diagnostic::new("E0330", "the model is quantized already")
            .help("prune the float model that it was made from, then quantize that");
        return Err(d.at(&node.name, &node.origin.op_type).into());
    }
    if samples.count == 0 {
        return Err(Diagnostic::new("E0320", "there are no samples").into());
    }
    let mut pruned = prune::prune(graph, samples, options)?;
    passes::run(&mut pruned.graph, &[&passes::DeadCode], &mut vec![])?;
    graph::verify(&pruned.graph)
        .map_err(|e| Diagnostic::new("E0902", format!("internal error after pruning: {e}")))?;
    Ok(PrunedModel { onnx: onnx::write(&graph::export(&pruned.graph)?), pruned })
}
