//! Channel pruning: whole channels and neurons leave the float graph, and what is left is fitted to what the layers computed
//! before. No labels, no gradients.
//!
//! 1. [`Channels::removable`] finds the classes of channels that can only go together: through depthwise layers, additions,
//!    concatenations, reshapes.
//! 2. In rounds of 8 % of the multiply-accumulates: `select` chooses the classes that cost least at the outputs for
//!    what they save; `refit` then fits the weights and biases of all layers, in order of execution, to the original
//!    outputs of each by least squares. Channels that are gone are zeros until the end, so that all shapes stay.
//! 3. `cut` takes them out: smaller weights, smaller shapes.
//!
//! Identity: the pruned graph computes what the graph with zeros computes, bit for bit up to the order of sums. Inputs and outputs
//! of the model keep their shapes, and so does what meets an operator whose channels are not followed.

mod cut;
mod layers;
mod refit;
mod select;

use crate::diag::{Diagnostic, Diagnostics};
use crate::graph::Graph;
use crate::quant::channels::Channels;
use crate::quant::score::{self, Judge};
use crate::quant::{Samples, Scheme};
use layers::Layers;

/// Share of the multiply-accumulates that a round keeps of those before it. Small steps let the fit catch up.
const STEP: f64 = 0.92;

/// Samples that weights are fitted to, at most.
const SAMPLES: usize = 256;

/// Multiply-accumulates that one run of these samples may cost.
const RUN: u64 = 600_000_000;

/// What makes a channel worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Importance {
    /// The error of the layers that read it, as far as their other weights cannot make up for it.
    #[default]
    Layers,
    /// The same, by how much of it arrives at the outputs of the model. Needs samples of all kinds.
    Output,
    /// Sum of the magnitudes of its weights (H. Li et al., "Pruning Filters for Efficient ConvNets", arXiv:1608.08710).
    L1,
    /// Root of the sum of their squares.
    L2,
    /// Mean square of the activation.
    Activation,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PruneOptions {
    /// Share of the multiply-accumulates to keep, 0 to 1.
    pub keep: Option<f64>,
    /// Most that may be lost, in percent ([`Judge::loss`]).
    pub max_loss: Option<f64>,
    /// How channels are chosen.
    pub importance: Importance,
    /// Whether what is left is fitted.
    pub refit: bool,
}

impl Default for PruneOptions {
    fn default() -> PruneOptions {
        PruneOptions { keep: None, max_loss: None, importance: Importance::Layers, refit: true }
    }
}

/// A layer before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerChange {
    /// Name of the Conv or Gemm.
    pub layer: String,
    /// Output channels.
    pub channels: (usize, usize),
    /// Multiply-accumulates.
    pub macs: (u64, u64),
    /// Weights and biases.
    pub params: (u64, u64),
}

/// A pruned graph.
#[derive(Debug, Clone)]
pub struct Pruned {
    /// The graph.
    pub graph: Graph,
    /// Its layers with weights, in order of execution.
    pub layers: Vec<LayerChange>,
    /// Signal-to-noise ratio of the outputs on the samples, in dB.
    pub snr_db: f64,
    /// What is lost, in percent ([`Judge::loss`]).
    pub loss: f64,
}

impl Pruned {
    /// Multiply-accumulates of the layers before and after.
    pub fn macs(&self) -> (u64, u64) {
        self.layers.iter().fold((0, 0), |sum, l| (sum.0 + l.macs.0, sum.1 + l.macs.1))
    }

    /// Weights and biases before and after.
    pub fn params(&self) -> (u64, u64) {
        self.layers.iter().fold((0, 0), |sum, l| (sum.0 + l.params.0, sum.1 + l.params.1))
    }
}

/// Prunes a fused float graph.
///
/// # Errors
/// `E0331` where no channel can go, `E0332` where the target cannot be met; those of lowering and of loading samples.
pub fn prune(graph: &Graph, samples: &Samples, options: &PruneOptions) -> Result<Pruned, Diagnostics> {
    let channels = Channels::removable(graph)?;
    let mut layers = Layers::new(graph, channels)?;
    if layers.channels.count < 2 {
        return Err(Diagnostic::new("E0331", "no channel of this model can be removed")
            .help("its layers write outputs of the model, or operators whose channels are not followed")
            .into());
    }
    let cost = layers.macs(&layers.all()).max(1);
    let which = samples.spread(((RUN / cost) as usize).clamp(8, SAMPLES));
    let judge = Judge::new(graph, samples, &which)?;
    let original = graph.clone();
    let mut alive = layers.all();
    let mut best = (layers.graph.clone(), alive.clone());
    let (target, max_loss) = (options.keep.unwrap_or(0.0), options.max_loss.unwrap_or(f64::INFINITY));
    let mut share: f64 = 1.0;
    while share > target {
        share = (share * STEP).max(target);
        let goal = (share * cost as f64).floor() as u64;
        let before = alive.clone();
        select::select(&layers, &mut alive, goal, options.importance, (samples, &which), &judge)?;
        let stuck = layers.macs(&alive) > goal;
        if stuck && options.max_loss.is_none() {
            return Err(missed(&layers, &alive, target, "with one channel left where channels can go").into());
        }
        if alive == before && !stuck {
            // A coarse step went further than the last round asked for.
            continue;
        }
        layers.silence(&alive);
        if options.refit {
            refit::refit(&original, &mut layers, &alive, samples, &which)?;
        }
        if judge.loss(&layers.graph, &Scheme::default())? > max_loss {
            break;
        }
        best = (layers.graph.clone(), alive.clone());
        if stuck {
            break;
        }
    }
    (layers.graph, alive) = best;
    let loss = judge.loss(&layers.graph, &Scheme::default())?;
    if options.keep.is_some() && layers.macs(&alive) as f64 > target * cost as f64 {
        return Err(missed(&layers, &alive, target, &format!("within a loss of {max_loss} %")).into());
    }
    let changes = layers.changes(&alive);
    let pruned = cut::cut(&layers, &alive)?;
    let snr_db = score::between_db(graph, &pruned, samples)?.min(300.0);
    Ok(Pruned { graph: pruned, layers: changes, snr_db, loss })
}

/// The error of a target that is not met.
fn missed(layers: &Layers, alive: &[bool], target: f64, bound: &str) -> Diagnostic {
    let reached = layers.macs(alive) as f64 / layers.macs(&layers.all()).max(1) as f64;
    Diagnostic::new("E0332", format!("{:.1} % of the multiply-accumulates is not reached", 100.0 * target))
        .fact("reached", format!("{:.1} %, {bound}", 100.0 * reached))
        .help("ask for less, allow a larger loss, or cut the model where its channels cannot be followed")
}
