//! Rewrites of the graph, one file each: simplify, fuse, clean up.
//!
//! Every file states its identity as a formula, why it sits where it sits, and what it leaves alone. [`run`] runs a pass to
//! its fixpoint, verifies the graph, names the pass in any failure, and records the graph's text after it.
//!
//! There are two pipelines, and a short one for calibration. [`float_passes`] sees the graph as it was imported: in a QDQ file a weight is the
//! DequantizeLinear of a constant, which must stay as it is until `quant` has made integers of it, and data movers
//! (Transpose, Reshape, ..) sit between QuantizeLinear and DequantizeLinear, so that the islands of integer arithmetic meet.
//! [`cleanup_passes`] runs behind `quant`: what is still dequantized there stays in float, and folds.

mod axes;
mod channels;
mod motion;
mod shared;

mod absorb_transpose;
mod cancel_conversions;
mod cancel_transposes;
mod common_subexpressions;
mod dead_code;
mod dequantize_dynamic;
mod fold_add_into_bias;
mod fold_batch_normalization;
mod fold_constants;
mod fold_pad;
mod fuse_clamp;
mod matmul_to_gemm;
mod merge_reshapes;
mod move_quantize;
mod remove_identity;
mod separate_weights;

pub use absorb_transpose::AbsorbTranspose;
pub use cancel_conversions::CancelConversions;
pub use cancel_transposes::CancelTransposes;
pub use common_subexpressions::CommonSubexpressions;
pub use dead_code::DeadCode;
pub use dequantize_dynamic::DequantizeDynamic;
pub use fold_add_into_bias::FoldAddIntoBias;
pub use fold_batch_normalization::FoldBatchNormalization;
pub use fold_constants::FoldConstants;
pub use fold_pad::FoldPad;
pub use fuse_clamp::FuseClamp;
pub use matmul_to_gemm::MatMulToGemm;
pub use merge_reshapes::MergeReshapes;
pub use move_quantize::MoveQuantize;
pub use remove_identity::RemoveIdentity;
pub use separate_weights::SeparateWeights;

use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::{self, Graph};

/// How many rewrites a run of a pass made; none means that it is at its fixpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes(pub usize);

/// A rewrite of the graph.
pub trait Pass {
    /// The name of its file, which `kiln inspect --after` takes.
    fn name(&self) -> &'static str;
    /// Rewrites what it finds in one sweep.
    ///
    /// # Errors
    /// What operators say of the constants that they are computed from.
    fn run(&self, graph: &mut Graph) -> Result<Changes, Diagnostics>;
}

/// Sweeps of one pass, and rounds of one pipeline. More mean that two rewrites undo each other.
const MAX_SWEEPS: usize = 1000;

/// Before [`float_passes`], where a model is calibrated: layers that quantize their input at run time become float layers.
pub fn calibration_passes() -> Vec<&'static dyn Pass> {
    vec![&DequantizeDynamic]
}

/// Before `quant`: makes the graph as small as it gets in float, with the quantization nodes in place.
pub fn float_passes() -> Vec<&'static dyn Pass> {
    vec![
        &SeparateWeights,
        &FoldConstants { dequantize: false },
        &RemoveIdentity,
        &MergeReshapes,
        &CancelTransposes,
        &MoveQuantize,
        &CancelConversions,
        &MatMulToGemm,
        &FoldAddIntoBias,
        &FoldBatchNormalization,
        &FoldPad,
        &FuseClamp,
        &AbsorbTranspose,
        &CommonSubexpressions,
        &DeadCode,
    ]
}

/// Behind `quant`: folds what stayed in float, and removes what the conversion left over.
pub fn cleanup_passes() -> Vec<&'static dyn Pass> {
    vec![
        &FoldConstants { dequantize: true },
        &CancelConversions,
        &RemoveIdentity,
        &CommonSubexpressions,
        &DeadCode,
    ]
}

/// Runs the passes in order, in rounds until none of them finds anything. `record` receives the name of each pass and the
/// graph's text after it; from the second round on, only of those that changed something, as `name 2`, `name 3`, ...
///
/// # Errors
/// What a pass reports; `E0902`, an internal error that names the pass, when the graph it leaves breaks an invariant.
pub fn run(
    graph: &mut Graph,
    passes: &[&dyn Pass],
    record: &mut Vec<(String, String)>,
) -> Result<(), Diagnostics> {
    for round in 1..=MAX_SWEEPS {
        let mut changed = false;
        for pass in passes {
            let changes = fixpoint(graph, *pass)?;
            changed |= changes > 0;
            if round == 1 {
                record.push((pass.name().to_string(), graph.to_string()));
            } else if changes > 0 {
                record.push((format!("{} {round}", pass.name()), graph.to_string()));
            }
        }
        if !changed {
            return Ok(());
        }
    }
    let names: Vec<_> = passes.iter().map(|p| p.name()).collect();
    Err(endless(&names.join("`, `")).into())
}

/// Runs one pass until it finds nothing more, and verifies the graph if it found anything.
fn fixpoint(graph: &mut Graph, pass: &dyn Pass) -> Result<usize, Diagnostics> {
    let mut total = 0;
    for _ in 0..MAX_SWEEPS {
        let Changes(changes) = pass.run(graph)?;
        total += changes;
        if changes == 0 {
            if total > 0 {
                graph::verify(graph).map_err(|e| {
                    Diagnostic::new("E0902", format!("internal error after pass `{}`: {e}", pass.name()))
                })?;
            }
            return Ok(total);
        }
    }
    Err(endless(pass.name()).into())
}

fn endless(names: &str) -> Diagnostic {
    Diagnostic::new("E0902", format!("internal error after pass `{names}`: it never comes to an end"))
}
