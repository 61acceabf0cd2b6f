//! Computes at compile time what depends on constants only.
//!
//! Identity: `f(c)` is a constant, computed by running the operator's own lowering on the host. It comes first, since the
//! other passes look for constants. It leaves alone: before `quant`, DequantizeLinear of a constant, which is how a QDQ
//! file spells a weight (`dequantize: false`); behind it, nodes whose operands carry quantization parameters, for their
//! bits mean something only together with these.

use super::{Changes, Pass, shared};
use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{Graph, NodeId};
use crate::lower;
use crate::ops::{Args, Op};

/// See the module.
#[derive(Debug)]
pub struct FoldConstants {
    /// Whether DequantizeLinear of a constant folds as well.
    pub dequantize: bool,
}

impl Pass for FoldConstants {
    fn name(&self) -> &'static str {
        "fold_constants"
    }

    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics> {
        shared::sweep(graph, |graph, id| self.fold(graph, id))
    }
}

impl FoldConstants {
    fn fold(&self, graph: &mut Graph, id: NodeId) -> Result<bool, Diagnostic> {
        let node = graph.node(id);
        if !self.dequantize && matches!(node.op, Op::DequantizeLinear(_)) {
            return Ok(false);
        }
        let present = || node.inputs.iter().flatten();
        let quantized = present().chain(&node.outputs).any(|v| graph.value(*v).qparams.is_some());
        if quantized || present().any(|v| graph.constant(*v).is_none()) {
            return Ok(false);
        }
        let types: Vec<_> = node.outputs.iter().map(|o| graph.value(*o).ty.clone()).collect();
        let args = graph.args(id);
        let results = lower::evaluate(&node.op, &Args(&args), &types).map_err(|d| graph.locate(d, id))?;
        let Some(results) = results else { return Ok(false) };
        let outputs = node.outputs.clone();
        graph.remove_node(id);
        for (output, tensor) in outputs.into_iter().zip(results) {
            graph.value_mut(output).data = Some(tensor);
        }
        Ok(true)
    }
}
